"""Backgrounds of an analysis, brought back to where its observations come in.

An analysis holds the background of each cycle and its spread; what a filter carries
besides it does not, and that is made again from the observations of the cycles before.
Knows models, runs and superobservations as arrays; the tensors are the bridge's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.bridge import module_of, tensors_of
from xdeepda.calendar import Cycle
from xdeepda.core.influence import carried_on
from xdeepda.core.state import Observed, State
from xdeepda.errors import InputError, ModelMismatchError, Problems
from xdeepda.model import Model
from xdeepda.observations.target import Target
from xdeepda.source import RunSource

logger = logging.getLogger("xdeepda")

#: Share of the climatological variance from which on a spread counts as held at it.
_HELD = 0.9999
#: Cells, anomalies and errors of a cycle, in the units of the model.
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


class Backgrounds:
    """Backgrounds of an analysis and their spreads, cycle by cycle.

    Parameters
    ----------
    analysis : Dataset
        From :func:`xdeepda.assimilate`.
    model : Model
        The one that made it.
    problems : Problems
        Collects what is wrong; then nothing can be read.
    """

    def __init__(self, analysis: Any, model: Model, problems: Problems) -> None:
        self.model = model
        self.usable = False
        names = [f"{v}{part}" for v in model.variables
                 for part in ("_background", "_background_spread")]  # fmt: skip
        held = analysis.data_vars if isinstance(analysis, xr.Dataset) else ()
        lacking = [name for name in names if name not in held]
        if lacking:
            problems.add(
                "this is no analysis by the model",
                found=f"without {', '.join(lacking)}",
                expected="a Dataset from assimilate",
            )
            return
        before = len(problems)
        self.mean = RunSource(analysis, names[::2], model.cycle, problems=problems)
        self.spread = RunSource(analysis, names[1::2], model.cycle, problems=problems)
        if len(problems) == before:
            model.check(self.mean.grid, self.mean.units, problems)
            if len(problems) > before:
                problems.error = ModelMismatchError
        self.usable = len(problems) == before
        hashes = str(analysis.attrs.get("model_hash", model.hash)).split()
        if self.usable and model.hash not in hashes:
            logger.warning("the analysis was made by another model than %s: the gain is that "
                           "of this model at its background", model.hash)  # fmt: skip

    @property
    def units(self) -> tuple[str, ...]:
        """The user's units of the variables."""
        return self.mean.units

    @property
    def target(self) -> Target:
        """Where observations go."""
        model = self.model
        standard = tuple(
            model.attributes.get(n, {}).get("standard_name", "") for n in model.variables
        )
        layouts = dict(zip(model.variables, self.mean.layouts.values(), strict=True))
        return Target(model.grid, layouts, model.variables, model.units, standard, model.wet)

    def cycle_of(self, time: Any, problems: Problems) -> int | None:
        """Number of the cycle of a time; the only one by default."""
        cycles, cycle = self.mean.cycles, self.model.cycle
        first, last = cycle.bounds(cycles[[0, -1]], self.mean.calendar)
        span = f"from {first[0]} to {last[1]}"
        if time is None:
            if len(cycles) == 1:
                return int(cycles[0])
            problems.add("time= is missing: the analysis has several cycles", expected=span)
            return None
        number = cycle_number(time, cycle, "time=", problems)
        if number is None:
            return None
        if number not in cycles:
            problems.add("time= is outside of the analysis", found=str(time), expected=span)
            return None
        return number

    def climate(self, number: int) -> np.ndarray:
        """Climatology of the model in a cycle, (variable, nz, ny, nx)."""
        fraction = self.model.cycle.year_fraction([number], self.mean.calendar)
        return self.model.climatology.at(fraction)[0]

    def at(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Anomaly and spread of the background of a cycle, (C, Y, X), in the model's units.

        Raises
        ------
        InputError
            If values are missing in the sea.
        """
        model = self.model
        place = int(np.searchsorted(self.mean.cycles, number))
        mean = self.mean.read(place, place + 1)[0].astype(np.float64)
        spread = self.spread.read(place, place + 1)[0].astype(np.float64)
        missing = int((~np.isfinite(mean + spread) & model.wet).sum())
        if missing:
            raise InputError(
                f"the background holds NaN in {missing} cells of the model's sea, in the cycle "
                f"{model.cycle.middle([number], self.mean.calendar)[0]}"
            )
        lines = zip(self.mean.units, self.spread.units, model.units, strict=True)
        for v, (unit, spread_unit, own) in enumerate(lines):
            mean[v] = unit_tools.convert(mean[v], unit, own)
            spread[v] = unit_tools.convert_difference(spread[v], spread_unit, own)
        anomaly = np.where(model.wet, mean - self.climate(number), 0.0)
        shape = (-1, *model.wet.shape[2:])
        return anomaly.reshape(shape), np.where(model.wet, spread, 0.0).reshape(shape)


class Effects:
    """A model with its tensors, at the backgrounds of an analysis.

    Parameters
    ----------
    model : Model
    backgrounds : Backgrounds
    device : str, optional
    """

    def __init__(self, model: Model, backgrounds: Backgrounds, device: str | None) -> None:
        self.model, self.backgrounds = model, backgrounds
        self.tensors = tensors_of(model, device)
        self.module = module_of(model, self.tensors)

    def state(self, number: int) -> State:
        """Background of a cycle with its variance, as the cycle carries it: not calibrated."""
        mean, spread = self.backgrounds.at(number)
        factor = np.sqrt(self.model.calibration["background"].clip(1e-6))[:, None, None]
        most = self.module.clim_variance
        stored, free = (self.tensors.normalise(x[None]) ** 2 for x in (spread, spread / factor))
        variance = free.minimum(most)
        # a spread that was held at the climatological one is that of the unobserved sea
        variance = variance.where(stored < _HELD * most, most)
        return State(self.tensors.normalise(mean[None]), variance)

    def observed(self, number: int, rows: Rows) -> Observed:
        """Superobservations of a cycle as tensors."""
        return self.tensors.scatter([rows], self._fraction(number))

    def _fraction(self, number: int) -> np.ndarray:
        """Place in the year."""
        return self.model.cycle.year_fraction([number], self.backgrounds.mean.calendar)

    def follow(
        self, numbers: Sequence[int], rows: Callable[[int], Rows]
    ) -> Iterator[tuple[int, State, Observed]]:
        """Backgrounds and observations of consecutive cycles.

        What a filter carries begins with the first of them: as the control run varies, as
        much of it as the background's variance is of the climatological one.

        Parameters
        ----------
        numbers : sequence of int
        rows : callable
            Observations of a cycle.

        Yields
        ------
        number, background, observed
        """
        carried, carries = None, True
        for number in numbers:
            background = self.state(number)._replace(carried=carried)
            observed = self.observed(number, rows(number))
            yield number, background, observed
            if carries and number != numbers[-1]:
                season = self.tensors.season(self._fraction(number + 1))
                carried = carried_on(self.module, background, observed, season)
                carries = carried is not None


def anomaly_rows(cells: tuple[np.ndarray, ...], climate: np.ndarray) -> Rows:
    """Superobservations (cell, value, error, ...) as anomalies from a climatology."""
    cell, value, error = cells[:3]
    return cell, value - climate.reshape(-1)[cell] if cell.size else value, error


def cycle_number(time: Any, cycle: Cycle, name: str, problems: Problems) -> int | None:
    """Number of the cycle of a time that a user gives; None with a problem."""
    try:
        value = np.atleast_1d(np.asarray(getattr(time, "values", time)))
        if value.dtype.kind in "USM":
            value = value.astype("datetime64[s]")
        elif value.dtype != object or not hasattr(value[0], "calendar"):
            value = np.atleast_1d(np.datetime64(time)).astype("datetime64[s]")
        if value.size != 1 or (value.dtype.kind == "M" and np.isnat(value[0])):
            raise ValueError(f"{value.size} times")
        return int(cycle.index(value)[0])
    except (TypeError, ValueError, InputError) as error:
        problems.add(f"{name} is no time", found=f"{time!r} ({error})",
                     expected="one datetime64, cftime or text")  # fmt: skip
        return None
