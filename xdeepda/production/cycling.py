"""One or several models, taken through the cycles of an assimilation in step.

All models see the same observations, cycle by cycle, so that no more than one cycle of
each is held; what they make of it is combined.  Knows models, superobservations and
arrays; labels belong to others, and the tensors to the bridge.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

import numpy as np

from xdeepda.analysis import CycleCells, Fields, absolute_fields
from xdeepda.bridge import Conductor, CycleResult
from xdeepda.errors import DivergenceError
from xdeepda.forecasts import Stepper
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
    stepper : Stepper, optional
        A forecast of the user in place of those of the models.
    keep_members, show_members, device, seed
        See :class:`xdeepda.bridge.Conductor`.
    """

    def __init__(
        self,
        inputs: Inputs,
        initial: list[np.ndarray],
        screen: Screen | None,
        *,
        stepper: Stepper | None = None,
        keep_members: bool,
        show_members: bool,
        device: str | None,
        seed: int,
    ) -> None:
        self.inputs, self.screen, self.stepper = inputs, screen, stepper
        self._last: tuple[int, list[np.ndarray]] | None = None
        #: Results of each model that wait for those of the others.
        self.queues: list[deque[CycleResult]] = [deque() for _ in inputs.models]
        self.conductors = [
            Conductor(
                model, first, spread=initial_spread(inputs.source, model), device=device,
                keep_members=keep_members, show_members=show_members, seed=draws_of(seed, number),
            )
            for number, (model, first) in enumerate(zip(inputs.models, initial, strict=True))
        ]  # fmt: skip

    @property
    def ahead(self) -> int:
        """Cycles that are analysed, and not given out yet."""
        waiting = zip(self.conductors, self.queues, strict=True)
        return max(len(c.lagged.held) + len(queue) for c, queue in waiting)

    def run(self, start: int = 0) -> Iterator[tuple[int, Fields, CycleCells]]:
        """Analyse consecutive cycles.

        Parameters
        ----------
        start : int
            Position of the next cycle to give out; others than the first after
            :meth:`restore`.

        Yields
        ------
        number, fields, cells
            Absolute number of the cycle, the combined fields, and the superobservations
            that were used.

        Raises
        ------
        DivergenceError
            If a number that is not finite appears; model, cycle, member and cell are named.
        ForecastError
            If the forecast of the user cannot be used; the cycle is named.
        """
        numbers = iter(map(int, self.inputs.cycles[start:]))
        for number in map(int, self.inputs.cycles[start + self.ahead :]):
            self._step(number)
            yield from self._ready(numbers)
        last = int(self.inputs.cycles[-1])
        while self.ahead:
            for queue, conductor in zip(self.queues, self.conductors, strict=True):
                result = conductor.rest(last)
                queue.extend([] if result is None else [result])
            yield from self._ready(numbers)
        for conductor in self.conductors:
            conductor.finish()

    def _ready(self, numbers: Iterator[int]) -> Iterator[tuple[int, Fields, CycleCells]]:
        """Cycles of which all models have given their analysis, combined."""
        while all(self.queues):
            number = next(numbers)
            climates = self._climates(number)
            parts = [
                absolute_fields(queue.popleft(), climate)
                for queue, climate in zip(self.queues, climates, strict=True)
            ]
            yield number, combine(parts), self.inputs.at(number)
            self.inputs.changed.pop(number, None)

    def _climates(self, number: int) -> list[np.ndarray]:
        """Climatology of each model in a cycle; the last is remembered."""
        if self._last is None or self._last[0] != number:
            fraction = self.inputs.lead.cycle.year_fraction([number], self.inputs.calendar)
            made = [climatology.at(fraction)[0] for climatology in self.inputs.climatologies]
            self._last = number, made
        return self._last[1]

    def _step(self, number: int) -> None:
        """Forecast, check and analyse one cycle with all models."""
        place = self.inputs.lead.cycle.year_fraction([number], self.inputs.calendar)
        fraction, climates = float(place[0]), self._climates(number)
        for position in range(len(self.conductors)):
            self._forecast(position, number, fraction, climates[position])
        if self.screen is not None:
            self._check(self.screen, number, climates)
        cells = self.inputs.at(number)
        for position, conductor in enumerate(self.conductors):
            rows = _anomalies(cells, climates[position])
            try:
                result = conductor.analyse(number, fraction, rows)
            except DivergenceError as error:
                if len(self.conductors) == 1:
                    raise
                raise DivergenceError(f"model {position} of the list: {error}") from None
            self.queues[position].extend([] if result is None else [result])

    def _forecast(self, position: int, number: int, fraction: float, climate: np.ndarray) -> None:
        """Background of one model, by its own forecast or by that of the user."""
        conductor, stepper = self.conductors[position], self.stepper
        if stepper is None:
            conductor.forecast(fraction)
            return
        before = self._climates(number - 1)[position]
        model = self.inputs.models[position]
        made = stepper(conductor.anomalies(), before, climate, number, model)
        conductor.forecast(fraction, made, stepper.error)

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
        arrays: dict[str, np.ndarray] = {}
        for number, conductor in enumerate(self.conductors):
            arrays |= {f"{number}/{name}": x for name, x in conductor.snapshot().items()}
            for n, result in enumerate(self.queues[number]):
                arrays |= {f"{number}/queue {n:03d}/{k}": x for k, x in _arrays(result).items()}
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what :meth:`snapshot` gave."""
        for number, conductor in enumerate(self.conductors):
            begin = f"{number}/"
            mine = {k.removeprefix(begin): v for k, v in arrays.items() if k.startswith(begin)}
            queue: dict[str, dict[str, np.ndarray]] = {}
            for name in sorted(n for n in mine if n.startswith("queue ")):
                place, part = name.split("/")
                queue.setdefault(place, {})[part] = mine.pop(name)
            self.queues[number].extend(map(_result, queue.values()))
            conductor.restore(mine)


def _arrays(result: CycleResult) -> dict[str, np.ndarray]:
    """Arrays of a result that waits for those of other models."""
    arrays = {n: x for n, x in vars(result).items() if x is not None and n != "cycled"}
    if result.cycled is not None:
        arrays |= {"cycled 0": result.cycled[0], "cycled 1": result.cycled[1]}
    return arrays


def _result(arrays: dict[str, np.ndarray]) -> CycleResult:
    """Inverse of :func:`_arrays`."""
    pairs = [arrays.pop(n) for n in ("cycled 0", "cycled 1") if n in arrays]
    cycled = (pairs[0], pairs[1]) if pairs else None
    members = arrays.pop("members", None)
    return CycleResult(members=members, cycled=cycled, **arrays)


def _anomalies(cells: CycleCells, climate: np.ndarray) -> Rows:
    """Superobservations as anomalies from a climatology."""
    cell, value, error, _ = cells
    return cell, value - climate.reshape(-1)[cell] if cell.size else value, error
