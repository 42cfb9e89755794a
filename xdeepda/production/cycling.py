"""One or several models, taken through the cycles of an assimilation in step.

All models see the same observations, cycle by cycle, so that no more than one cycle of
each is held; what they make of it is combined.  Knows models, superobservations and
arrays; labels belong to others, and the tensors to the bridge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from xdeepda.analysis import CycleCells, Fields, absolute_fields
from xdeepda.bridge import Conductor
from xdeepda.errors import DivergenceError
from xdeepda.initial import draws_of, initial_spread
from xdeepda.observations.checks import Screen
from xdeepda.production.models import combine
from xdeepda.request import Inputs

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


class Cycling:
    """The cycles of an assimilation.

    Parameters
    ----------
    inputs : Inputs
    initial : list of numpy.ndarray, shape (members, C, Y, X)
        Initial anomalies of each model, in the units of the variables.
    screen : Screen, optional
        Judges the data of each cycle against the background.
    keep_members, show_members, device, seed
        See :class:`xdeepda.bridge.Conductor`.
    """

    def __init__(
        self,
        inputs: Inputs,
        initial: list[np.ndarray],
        screen: Screen | None,
        *,
        keep_members: bool,
        show_members: bool,
        device: str | None,
        seed: int,
    ) -> None:
        self.inputs, self.screen = inputs, screen
        self.conductors = [
            Conductor(
                model, first, spread=initial_spread(inputs.source, model), device=device,
                keep_members=keep_members, show_members=show_members, seed=draws_of(seed, number),
            )
            for number, (model, first) in enumerate(zip(inputs.models, initial, strict=True))
        ]  # fmt: skip

    def run(self, start: int = 0) -> Iterator[tuple[int, Fields, CycleCells]]:
        """Analyse consecutive cycles.

        Parameters
        ----------
        start : int
            Position in the cycles to go on from.

        Yields
        ------
        number, fields, cells
            Absolute number of the cycle, the combined fields, and the superobservations
            that were used.

        Raises
        ------
        DivergenceError
            If a number that is not finite appears; model, cycle, member and cell are named.
        """
        for number in map(int, self.inputs.cycles[start:]):
            yield number, *self._step(number)
            self.inputs.changed.pop(number, None)
        for conductor in self.conductors:
            conductor.finish()

    def _step(self, number: int) -> tuple[Fields, CycleCells]:
        """Forecast, check and analyse one cycle with all models."""
        fraction = self.inputs.lead.cycle.year_fraction([number], self.inputs.calendar)
        climates = [climatology.at(fraction)[0] for climatology in self.inputs.climatologies]
        for conductor in self.conductors:
            conductor.forecast(float(fraction[0]))
        if self.screen is not None:
            self._check(self.screen, number, climates)
        cells = self.inputs.at(number)
        parts = []
        for position, (conductor, climate) in enumerate(
            zip(self.conductors, climates, strict=True)
        ):
            rows = _anomalies(cells, climate)
            try:
                result = conductor.analyse(number, float(fraction[0]), rows)
            except DivergenceError as error:
                if len(self.conductors) == 1:
                    raise
                raise DivergenceError(f"model {position} of the list: {error}") from None
            parts.append(absolute_fields(result, climate))
        return combine(parts), cells

    def _check(self, screen: Screen, number: int, climates: list[np.ndarray]) -> None:
        """Let the data of a cycle be checked, and note what is left if any was rejected."""
        parts = []
        for conductor, climate in zip(self.conductors, climates, strict=True):
            mean, spread = conductor.background_fields()
            parts.append({"_background": mean + climate, "_background_spread": spread})
        both = combine(parts)
        if screen.judge(number, both["_background"], both["_background_spread"]):
            self.inputs.changed[number] = screen.records.combined(number)

    def snapshot(self) -> dict[str, np.ndarray]:
        """All that the next cycle depends on, by name and number of the model."""
        return {
            f"{number}/{name}": array
            for number, conductor in enumerate(self.conductors)
            for name, array in conductor.snapshot().items()
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what :meth:`snapshot` gave."""
        for number, conductor in enumerate(self.conductors):
            mine = f"{number}/"
            conductor.restore(
                {k.removeprefix(mine): v for k, v in arrays.items() if k.startswith(mine)}
            )


def _anomalies(cells: CycleCells, climate: np.ndarray) -> Rows:
    """Superobservations as anomalies from a climatology."""
    cell, value, error, _ = cells
    return cell, value - climate.reshape(-1)[cell] if cell.size else value, error
