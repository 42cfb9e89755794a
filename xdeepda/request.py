"""What an assimilation is asked for, checked: everything that is wrong is told at once.

Observations become superobservations of the model's cells and cycles here; nothing is
analysed yet.  Knows models, runs and observations as arrays; no tensors.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xdeepda import units as unit_tools
from xdeepda.analysis import CycleCells
from xdeepda.calendar import calendar_of
from xdeepda.climatology import Climatology, fit_climatology, harmonics_of
from xdeepda.errors import InputError, ModelMismatchError, Problems
from xdeepda.initial import check_members
from xdeepda.model import Model
from xdeepda.observations.cells import Cells
from xdeepda.observations.records import Records, records_of
from xdeepda.observations.sources import binned_sources
from xdeepda.observations.stored import MergedCells, StoredCells, merged
from xdeepda.observations.target import Target
from xdeepda.source import RunSource

logger = logging.getLogger("xdeepda")

AnyCells = Cells | StoredCells | MergedCells


@dataclass(frozen=True)
class Inputs:
    """Everything that an assimilation needs, checked.

    Attributes
    ----------
    source : RunSource
        Of the object that the estimate starts from.
    models : list of Model
    lead : Model
        The first, with the sea that all of them have.
    cells : Cells
        Superobservations in the units of the model.
    positions : numpy.ndarray of int
        Position in the model of each variable of `cells`.
    cycles : numpy.ndarray of int64
        Absolute numbers, consecutive.
    wanted : numpy.ndarray of int64
        Those that are given out.
    calendar : str
    climatologies : list of Climatology
        What anomalies are taken from by each model, in its units.
    records : Records, optional
        Every single datum, where a ledger or a check asks for them.
    changed : dict
        Superobservations of cycles of which a check has rejected something.
    """

    source: RunSource
    models: Sequence[Model]
    lead: Model
    cells: AnyCells
    positions: np.ndarray
    cycles: np.ndarray
    wanted: np.ndarray
    calendar: str
    climatologies: Sequence[Climatology]
    records: Records | None = None
    changed: dict[int, CycleCells] = field(default_factory=dict)

    def at(self, number: int) -> CycleCells:
        """Superobservations of a cycle, with cells numbered over the variables of the models."""
        if number in self.changed:
            return self.changed[number]
        cell, value, error, count = self.cells.at(number)
        size = int(np.prod(self.lead.grid.shape))
        variable, place = np.divmod(cell, size)
        return self.positions[variable] * size + place, value, error, count


def prepare(
    ds: Any,
    obs: Any,
    models: Sequence[Model],
    lead: Model,
    *,
    members: Any,
    times: Any,
    climatology: Any,
    problems: Problems,
    need_records: bool,
    folder: Path | None = None,
) -> Inputs:
    """Check everything, combine the observations and find the cycles.

    Parameters are those of :func:`xdeepda.assimilate`; `lead` is the first model with the sea
    that all have, `need_records` asks for every single datum, and superobservations of lazy
    tables are kept in files in `folder`.

    Raises
    ------
    InputError
        With all problems; a ModelMismatchError where the model is of another grid or unit.
    """
    source = RunSource(ds, list(lead.variables), lead.cycle, problems=problems, need_time=False)
    gathered = gather(obs, source, lead, problems, need_records=need_records, folder=folder)
    if source.layout is not None:
        check_members(source, lead, members, problems)
    cells, calendar, records = gathered.cells, gathered.calendar, gathered.records
    wanted = wanted_cycles(times, lead, calendar, cells, problems)
    anomalies_of = _climatologies(climatology, models, problems)
    problems.raise_if_any()
    assert cells is not None
    assert wanted is not None
    assert anomalies_of is not None
    first = min(cells.first, int(wanted[0]))
    # a smoother sees some cycles behind the last that is given out
    lag = max(model.window[1] for model in models)
    last = max(int(wanted[-1]), min(int(wanted[-1]) + lag, cells.last))
    late = cells.after(last)
    if records is not None:
        records.close(last)
    if late:
        logger.info("assimilate: %d superobservations after the last output time not used", late)
    cycles = np.arange(first, last + 1)
    return Inputs(
        source, models, lead, cells, positions_of(cells, lead), cycles, wanted, calendar,
        anomalies_of, records,
    )  # fmt: skip


def positions_of(cells: AnyCells, lead: Model) -> np.ndarray:
    """Position in the model of each variable of superobservations."""
    return np.array([lead.variables.index(name) for name in cells.variables])


@dataclass(frozen=True)
class Gathered:
    """Observations, combined by cell and cycle.

    Attributes
    ----------
    cells : Cells, optional
        None where a problem was found.
    calendar : str
    records : Records, optional
        Every single datum, where they are asked for.
    """

    cells: AnyCells | None
    calendar: str
    records: Records | None


def gather(
    obs: Any,
    source: RunSource,
    lead: Model,
    problems: Problems,
    *,
    need_records: bool,
    folder: Path | None,
) -> Gathered:
    """Check a run against the model, and combine the observations on its grid."""
    sources, records = [], None
    if source.layout is not None:
        before = len(problems)
        lead.check(source.grid, source.units, problems)
        if len(problems) > before:
            problems.error = ModelMismatchError
        target = target_of_model(source, lead)
        try:
            sources = binned_sources(obs, target, lead.cycle, rows=need_records, folder=folder)
            if len(sources) > 1:
                # of a single one it was told already
                for one in sources:
                    logger.info("%s: %s", problems.verb, one.note)
            if need_records:
                records = records_of(sources, target, lead.cycle)
        except InputError as error:
            problems.absorb(error)
    filled = [s for s in sources if len(s.any_cells)]
    cells = merged([s.any_cells for s in filled]) if filled else None
    return Gathered(cells, filled[0].calendar if filled else "standard", records)


def target_of_model(source: RunSource, model: Model) -> Target:
    """Where observations go: the model's grid, sea and units."""
    standard = tuple(model.attributes.get(n, {}).get("standard_name", "") for n in model.variables)
    return Target(model.grid, source.layouts, model.variables, model.units, standard, model.wet)


def _times_of(times: Any) -> np.ndarray:
    """Array of times out of what a user may give.

    Raises
    ------
    ValueError
        If there are none, or not all are times.
    """
    if isinstance(times, slice):
        raise ValueError("a slice; give the times, such as xr.date_range(start, stop, freq='MS')")
    values = np.atleast_1d(np.asarray(getattr(times, "values", times)))
    plain = values.dtype == object and values.size
    if plain and all(isinstance(v, (datetime.date, np.datetime64)) for v in values.flat):
        values = values.astype("datetime64[ns]")
    if values.dtype.kind in "US":
        values = values.astype("datetime64[ns]")
    if not values.size:
        raise ValueError("no time at all")
    if values.dtype.kind == "M" and np.isnat(values).any():
        raise ValueError(f"NaT in {int(np.isnat(values).sum())} of {values.size} entries")
    is_cftime = values.dtype == object and all(hasattr(v, "calendar") for v in values.flat)
    if values.dtype.kind != "M" and not is_cftime:
        raise ValueError(f"values of type {values.dtype}, such as {values.flat[0]!r}")
    return values


def wanted_cycles(
    times: Any, model: Model, calendar: str, cells: AnyCells | None, problems: Problems
) -> np.ndarray | None:
    """Cycles to give out: those of ``times=``, or all that are observed."""
    if times is None:
        return None if cells is None else np.arange(cells.first, cells.last + 1)
    try:
        values = _times_of(times)
        theirs = calendar_of(values)
    except (InputError, ValueError) as error:
        problems.add(
            "times= holds no times", found=str(error), expected="datetime64, cftime or text"
        )
        return None
    if cells is not None and theirs != calendar:
        problems.add(
            "times= and the observations are of different calendars",
            found=f"{theirs!r} and {calendar!r}",
        )
        return None
    wanted = np.unique(model.cycle.index(values))
    if cells is not None and (wanted[0] > cells.last or wanted[-1] < cells.first):
        ends = model.cycle.middle(np.array([cells.first, cells.last]), calendar)
        problems.add(
            "no observation falls into the period of times=",
            found=f"observations from {ends[0]} to {ends[1]}",
            expected=f"{values.min()} to {values.max()}",
        )
    return wanted


def _climatologies(
    given: Any, models: Sequence[Model], problems: Problems
) -> list[Climatology] | None:
    """Climatology of each model to take anomalies from; problems are collected."""
    if isinstance(given, str) and given == "model":
        return [model.climatology for model in models]
    if isinstance(given, str):
        problems.add(
            f"climatology={given!r} is not known", expected="'model', or fields on its grid"
        )
        return None
    head = models[0]
    wet = np.logical_or.reduce([model.wet for model in models])
    own = Problems("climatology")
    source = RunSource(given, list(head.variables), head.cycle, problems=own)
    if source.layout is not None:
        head.check(source.grid, source.units, own)
    if len(source) < head.cycle.per_year:
        own.add(
            "the climatology does not cover a year",
            found=f"{len(source)} cycles",
            expected=f"at least {head.cycle.per_year}",
        )
    lacking = 0 if len(own) else int((wet & ~source.wet).sum())
    if lacking:
        own.add(f"climatology: {lacking} cells of the model's sea hold no value", todo="fill them")
    problems.absorb(own)
    if len(own):
        return None
    fitted = fit_climatology(source, wet, harmonics_of(None, head.cycle))
    coefficients = _in_units(fitted.coefficients, source.units, head.units)
    return [Climatology(coefficients)] * len(models)


def _in_units(coefficients: np.ndarray, units: Sequence[str], targets: Sequence[str]) -> np.ndarray:
    """Convert harmonic coefficients: only the mean takes the offset."""
    out = coefficients.copy()
    for v, (unit, target) in enumerate(zip(units, targets, strict=True)):
        slope, offset = unit_tools.conversion(unit, target)
        out[:, v] *= slope
        out[0, v] += offset
    return out
