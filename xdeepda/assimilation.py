"""The verb ``assimilate``: conducts one assimilation, and calculates nothing itself.

Observations become superobservations of cells and cycles, the bridge runs the
cycle, labels come back on the user's own grid, order, units and calendar.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.analysis import AnalysisWriter, user_fields
from xdeepda.calendar import calendar_of
from xdeepda.climatology import Climatology, fit_climatology, harmonics_of
from xdeepda.errors import InputError, MemoryForeseenError, ModelMismatchError, Problems
from xdeepda.initial import initial_anomalies, initial_spread
from xdeepda.model import Model, as_model
from xdeepda.observations.cells import Cells, merge
from xdeepda.observations.checks import Checks, Screen, checks_of, correlation_length
from xdeepda.observations.ledger import Ledger, attach, check_place, save, summary
from xdeepda.observations.records import Records, records_of
from xdeepda.observations.sources import binned_sources
from xdeepda.observations.target import Target
from xdeepda.options import available_memory, check_machine, torch_threads
from xdeepda.progress import progress_bar
from xdeepda.source import RunSource

logger = logging.getLogger("xdeepda")

_Cells = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Inputs:
    """Everything that an assimilation needs, checked.

    Attributes
    ----------
    source : RunSource
        Of the object that the estimate starts from.
    cells : Cells
        Superobservations in the units of the model.
    positions : numpy.ndarray of int
        Position in the model of each variable of `cells`.
    cycles : numpy.ndarray of int64
        Absolute numbers, consecutive.
    wanted : numpy.ndarray of int64
        Those that are given out.
    calendar : str
    records : Records, optional
        Every single datum, where a ledger or a check asks for them.
    changed : dict
        Superobservations of cycles of which a check has rejected something.
    """

    source: RunSource
    cells: Cells
    positions: np.ndarray
    cycles: np.ndarray
    wanted: np.ndarray
    calendar: str
    records: Records | None = None
    changed: dict[int, _Cells] = field(default_factory=dict)


@dataclass(frozen=True)
class Wishes:
    """What the user wants to be done and told besides the analysis.

    Attributes
    ----------
    checks : Checks, optional
    ledger : bool
    path : Path, optional
        File for the ledger.
    """

    checks: Checks | None
    ledger: bool
    path: Path | None

    @property
    def need_records(self) -> bool:
        """Whether every single datum must be remembered."""
        return self.ledger or self.checks is not None


def assimilate(
    ds: xr.Dataset | xr.DataArray,
    obs: Any,
    *,
    model: Model | str | os.PathLike[str],
    members: int = 1,
    times: Any = None,
    keep_members: bool = False,
    climatology: str | xr.Dataset | xr.DataArray = "model",
    checks: Any = None,
    ledger: bool | str | os.PathLike[str] = False,
    device: str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Analyse the ocean from observations, cycle after cycle.

    Parameters
    ----------
    ds : Dataset or DataArray
        Where the estimate starts: one state, an ensemble (dimension ``member``), or a
        run of several times.  Of a run, one member starts from its climatology, several
        from the training years (the same season of different years).  A state with its
        ``<var>_spread``, such as an analysis, starts with that uncertainty, any other
        with the climatological one.
    obs : Dataset, DataArray, pandas.DataFrame, or a list of these
        Points, or fields on the grid with NaN where nothing was measured; see
        :func:`xdeepda.superob`.
    model : Model or path
        Trained model or fitted baseline.
    members : int
        Members of the ensemble: each has its own initial state and its own draw of the
        observations within their errors.
    times : array-like of times, optional
        Cycles to give out; by default all that the observations cover.
    keep_members : bool
        Give the members out instead of their mean, on dimension ``member``.
    climatology : "model", or Dataset or DataArray
        What anomalies are taken from and added to: the model's climatology (as
        published), or an observed one on the grid of `ds` along time, a cycle of the
        year being enough.
    checks : None, "all", "background", "buddy", a list of these, or a mapping, optional
        Checks of the data against the background, within each cycle: an innovation of
        more than ``threshold`` (4) expected standard deviations is rejected unless
        data of other platforms nearby agree with it, others are if they disagree with
        theirs, and a profile of which more than ``profile`` (0.5) fails goes as a
        whole.  A mapping sets these, ``background`` and ``buddy`` (True or False) and
        others by name; see :class:`xdeepda.observations.checks.Checks`.
    ledger : bool or path, optional
        Account for every datum, also for those that were not used: True adds variables
        ``ledger_*`` to the analysis, a path writes a netCDF file.  See
        :func:`xdeepda.departures`, which reads both.
    device : str, optional
        See :func:`xdeepda.set_options`.
    seed : int
        Of initial states and perturbations.
    progress : bool
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        On the grid, order of dimensions and units of `ds` and in the calendar of the
        observations: ``<var>`` (analysis), ``<var>_spread`` (standard deviation of its
        error), ``<var>_background``, ``<var>_background_spread`` and
        ``<var>_obs_count``; ``time`` is the middle of the cycles, with ``time_bnds``.

    Raises
    ------
    InputError
        With everything that is wrong with the input, before the cycling starts.
    ModelFileError
        If the model file cannot be used.
    MemoryForeseenError
        If the result would not fit into memory.
    DivergenceError
        If a number that is not finite appears; the cycle and cell are named.

    Examples
    --------
    >>> analysis = xdeepda.assimilate(control, obs, model=model)  # doctest: +SKIP
    """
    trained = as_model(model)
    problems = Problems("assimilate", ModelMismatchError)
    check_machine(device, seed, problems)
    path = check_place(ledger, problems)
    wishes = Wishes(checks_of(checks, problems), bool(ledger), path)
    inputs = _prepare(ds, obs, trained, members, times, problems, wishes.need_records)
    anomaly_of = _climatology(climatology, inputs, trained)
    _check_memory(inputs, trained, members if keep_members else 1)
    initial = initial_anomalies(
        inputs.source, trained, int(inputs.cycles[0]), inputs.calendar, members, seed
    )
    writer = AnalysisWriter(
        inputs.source,
        trained,
        inputs.wanted,
        inputs.calendar,
        members=len(initial) if keep_members else None,
    )
    account = _ledger(inputs, trained) if wishes.ledger else None
    screen = _screen(inputs, trained, wishes.checks)
    with torch_threads(), progress_bar(len(inputs.cycles), "assimilate", progress, "cycle") as bar:
        results = _conduct(
            inputs, trained, anomaly_of, initial, screen,
            keep_members=keep_members, show_members=wishes.ledger, device=device, seed=seed,
        )  # fmt: skip
        for number, result in zip(inputs.cycles, results, strict=True):
            if number in writer.positions or account is not None:
                fraction = trained.cycle.year_fraction([number], inputs.calendar)
                climate = anomaly_of.at(fraction)[0]
                cells = _of_model(inputs, int(number), trained)
            if number in writer.positions:
                writer.write(int(number), result, climate, cells)
            if account is not None:
                fields = user_fields(result, climate, inputs.source, trained)
                account.record(int(number), fields, cells)
            inputs.changed.pop(int(number), None)
            bar.update(1)
    call = f"assimilate(members={len(initial)}, seed={seed}) with {trained.architecture.name}"
    return _finish(writer.finish(call, seed), wishes, account, screen)


def _finish(
    analysis: xr.Dataset, wishes: Wishes, account: Ledger | None, screen: Screen | None
) -> xr.Dataset:
    """Tell what the checks have found, and put the ledger where it belongs."""
    if screen is not None:
        told = f"{summary(screen.records)}; {screen.restored} restored by their neighbours"
        if screen.inflation > 1.5:
            told += (
                f"; innovations of some levels are {screen.inflation:.2g} times as large as "
                "expected: the errors given may leave out what the grid does not resolve"
            )
        logger.warning("assimilate, after the checks: %s", told)
        analysis.attrs["checks"] = json.dumps(screen.checks.to_dict())
    if account is None:
        return analysis
    if screen is not None:
        account.columns["gross_error"] = screen.probability
    table = account.to_dataset()
    table.attrs |= {
        name: analysis.attrs[name]
        for name in ("history", "xdeepda_version", "model_hash", "seed", "checks")
        if name in analysis.attrs
    }
    if wishes.path is None:
        return attach(analysis, table)
    save(table, wishes.path)
    analysis.attrs["ledger"] = str(wishes.path)
    return analysis


def _ledger(inputs: Inputs, model: Model) -> Ledger:
    """Ledger of all data, still empty."""
    assert inputs.records is not None
    target = _target(inputs.source, model)
    return Ledger(inputs.records, target, inputs.source.units, model.cycle)


def _screen(inputs: Inputs, model: Model, checks: Checks | None) -> Screen | None:
    """Judge of the data, where checks are wanted."""
    if checks is None:
        return None
    assert inputs.records is not None
    length = correlation_length(model.grid, model.statistics.length)
    return Screen(inputs.records, _target(inputs.source, model), checks, length)


def _conduct(
    inputs: Inputs,
    model: Model,
    climatology: Climatology,
    initial: np.ndarray,
    screen: Screen | None,
    **settings: Any,
) -> Iterator[Any]:
    """Run the cycles; `settings` are those of the Conductor."""
    from xdeepda.bridge import Conductor

    def judge(number: int, mean: np.ndarray, spread: np.ndarray) -> Any:
        """Let the data of a cycle be checked; what is left, if anything was rejected."""
        assert screen is not None
        fraction = model.cycle.year_fraction([number], inputs.calendar)
        climate = climatology.at(fraction)[0]
        if not screen.judge(number, mean + climate, spread):
            return None
        cell, value, error, count = screen.records.combined(number)
        inputs.changed[number] = cell, value, error, count
        return cell, value - climate.reshape(-1)[cell], error

    conductor = Conductor(
        model,
        initial,
        spread=initial_spread(inputs.source, model),
        **settings,
    )
    stream = _anomalies(inputs, model, climatology)
    hook = None if screen is None else judge
    return conductor.run(inputs.cycles, inputs.calendar, stream, hook)


def _prepare(
    ds: Any, obs: Any, model: Model, members: Any, times: Any, problems: Problems,
    need_records: bool,
) -> Inputs:  # fmt: skip
    """Check everything and find the cycles.

    Raises
    ------
    InputError
        With all problems.
    """
    if not isinstance(members, (int, np.integer)) or members < 1:
        problems.add("members is a positive integer", found=repr(members))
    source = RunSource(ds, list(model.variables), model.cycle, problems=problems, need_time=False)
    cells, calendar, records = None, "standard", None
    if source.layout is not None:
        model.check(source.grid, source.units, problems)
    if not len(problems):
        try:
            target = _target(source, model)
            sources = binned_sources(obs, target, model.cycle, rows=need_records)
            filled = [s for s in sources if len(s.cells)]
            cells, calendar = merge([s.cells for s in filled]), filled[0].calendar
            for s in sources:
                logger.info("assimilate: %s", s.note)
            if need_records:
                records = records_of(sources, target, model.cycle)
        except InputError as error:
            problems.absorb(error)
    wanted = _wanted(times, model, calendar, cells, problems)
    problems.raise_if_any()
    assert cells is not None
    assert wanted is not None
    first = min(int(cells.cycle[0]), int(wanted[0]))
    late = int((cells.cycle > wanted[-1]).sum())
    if records is not None:
        records.close(int(wanted[-1]))
    if late:
        logger.info("assimilate: %d superobservations after the last output time not used", late)
    positions = np.array([model.variables.index(name) for name in cells.variables])
    cycles = np.arange(first, int(wanted[-1]) + 1)
    return Inputs(source, cells, positions, cycles, wanted, calendar, records)


def _target(source: RunSource, model: Model) -> Target:
    """Where observations go: the model's grid, sea and units."""
    standard = tuple(model.attributes.get(n, {}).get("standard_name", "") for n in model.variables)
    return Target(model.grid, source.layouts, model.variables, model.units, standard, model.wet)


def _wanted(
    times: Any, model: Model, calendar: str, cells: Cells | None, problems: Problems
) -> np.ndarray | None:
    """Cycles to give out."""
    if times is None:
        return None if cells is None else np.arange(cells.cycle[0], cells.cycle[-1] + 1)
    try:
        values = np.atleast_1d(np.asarray(getattr(times, "values", times)))
        if values.dtype.kind in "US":
            values = values.astype("datetime64[ns]")
        theirs = calendar_of(values)
    except (InputError, ValueError) as error:
        problems.add("times= holds no times", found=str(error))
        return None
    if cells is not None and theirs != calendar:
        problems.add(
            "times= and the observations are of different calendars",
            found=f"{theirs!r} and {calendar!r}",
        )
        return None
    wanted = np.unique(model.cycle.index(values))
    if cells is not None and (wanted[0] > cells.cycle[-1] or wanted[-1] < cells.cycle[0]):
        ends = model.cycle.middle(cells.cycle[[0, -1]], calendar)
        problems.add(
            "no observation falls into the period of times=",
            found=f"observations from {ends[0]} to {ends[1]}",
            expected=f"{values.min()} to {values.max()}",
        )
    return wanted


def _climatology(given: Any, inputs: Inputs, model: Model) -> Climatology:
    """Climatology to take anomalies from, in the units of the model."""
    if isinstance(given, str):
        if given != "model":
            raise InputError(f"climatology={given!r}: 'model', or fields on the grid of the model")
        return model.climatology
    problems = Problems("assimilate: climatology")
    source = RunSource(given, list(model.variables), model.cycle, problems=problems)
    if source.layout is not None:
        model.check(source.grid, source.units, problems)
    if len(source) < model.cycle.per_year:
        problems.add(
            "the climatology does not cover a year",
            found=f"{len(source)} cycles",
            expected=f"at least {model.cycle.per_year}",
        )
    problems.raise_if_any()
    if (model.wet & ~source.wet).any():
        raise InputError(
            f"climatology: {int((model.wet & ~source.wet).sum())} cells of the model's sea hold "
            "no value; fill them"
        )
    fitted = fit_climatology(source, model.wet, harmonics_of(None, model.cycle))
    return Climatology(_in_units(fitted.coefficients, source.units, model.units))


def _in_units(coefficients: np.ndarray, units: Sequence[str], targets: Sequence[str]) -> np.ndarray:
    """Convert harmonic coefficients: only the mean takes the offset."""
    out = coefficients.copy()
    for v, (unit, target) in enumerate(zip(units, targets, strict=True)):
        slope, offset = unit_tools.conversion(unit, target)
        out[:, v] *= slope
        out[0, v] += offset
    return out


def _anomalies(
    inputs: Inputs, model: Model, climatology: Climatology
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Cells, anomalies and errors of each cycle."""
    for number in inputs.cycles:
        cell, value, error, _ = _of_model(inputs, int(number), model)
        fraction = model.cycle.year_fraction([number], inputs.calendar)
        if cell.size:
            value = value - climatology.at(fraction)[0].reshape(-1)[cell]
        yield cell, value, error


def _of_model(
    inputs: Inputs, number: int, model: Model
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Superobservations of a cycle, with cells numbered over the model's variables."""
    if number in inputs.changed:
        return inputs.changed[number]
    cell, value, error, count = inputs.cells.at(number)
    size = int(np.prod(model.grid.shape))
    variable, place = np.divmod(cell, size)
    return inputs.positions[variable] * size + place, value, error, count


def _check_memory(inputs: Inputs, model: Model, copies: int) -> None:
    """Refuse a result that would not fit.

    Raises
    ------
    MemoryForeseenError
    """
    free = available_memory()
    needed = 4 * len(inputs.wanted) * model.wet.size * (4 + copies)
    if free is None or needed < 0.8 * free:
        return
    problems = Problems("assimilate", MemoryForeseenError)
    problems.add(
        "the result would not fit into memory",
        found=f"{needed / 2**30:.3g} GiB for {len(inputs.wanted)} cycles, "
        f"{free / 2**30:.3g} GiB free",
        todo="take shorter periods with times=, starting each from the last analysis of the one "
        "before",
    )
    problems.raise_if_any()
