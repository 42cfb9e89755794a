"""The verb ``assimilate``: conducts one assimilation, and calculates nothing itself.

Observations become superobservations of cells and cycles, the bridge runs the
cycle, labels come back on the user's own grid, order, units and calendar.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.analysis import AnalysisWriter
from xdeepda.calendar import calendar_of
from xdeepda.climatology import Climatology, fit_climatology, harmonics_of
from xdeepda.errors import InputError, MemoryForeseenError, ModelMismatchError, Problems
from xdeepda.model import Model, as_model
from xdeepda.observations.cells import Cells
from xdeepda.observations.sources import superobservations
from xdeepda.observations.target import Target
from xdeepda.options import available_memory, check_machine, torch_threads
from xdeepda.progress import progress_bar
from xdeepda.source import RunSource

logger = logging.getLogger("xdeepda")


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
    """

    source: RunSource
    cells: Cells
    positions: np.ndarray
    cycles: np.ndarray
    wanted: np.ndarray
    calendar: str


def assimilate(
    ds: xr.Dataset | xr.DataArray,
    obs: Any,
    *,
    model: Model | str | os.PathLike[str],
    members: int = 1,
    times: Any = None,
    keep_members: bool = False,
    climatology: str | xr.Dataset | xr.DataArray = "model",
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
    inputs = _prepare(ds, obs, trained, members, times, problems)
    anomaly_of = _climatology(climatology, inputs, trained)
    _check_memory(inputs, trained, members if keep_members else 1)
    initial = _initial(inputs, trained, members, seed)
    writer = AnalysisWriter(
        inputs.source,
        trained,
        inputs.wanted,
        inputs.calendar,
        members=len(initial) if keep_members else None,
    )
    with torch_threads(), progress_bar(len(inputs.cycles), "assimilate", progress, "cycle") as bar:
        results = _conduct(inputs, trained, anomaly_of, initial, keep_members, device, seed)
        for number, result in zip(inputs.cycles, results, strict=True):
            if number in writer.positions:
                fraction = trained.cycle.year_fraction([number], inputs.calendar)
                cells = _of_model(inputs, int(number), trained)
                writer.write(int(number), result, anomaly_of.at(fraction)[0], cells)
            bar.update(1)
    call = f"assimilate(members={len(initial)}, seed={seed}) with {trained.architecture.name}"
    return writer.finish(call, seed)


def _conduct(
    inputs: Inputs,
    model: Model,
    climatology: Climatology,
    initial: np.ndarray,
    keep_members: bool,
    device: str | None,
    seed: int,
) -> Iterator[Any]:
    """Run the cycles."""
    from xdeepda.bridge import Conductor

    conductor = Conductor(
        model,
        initial,
        spread=_initial_spread(inputs.source, model),
        keep_members=keep_members,
        device=device,
        seed=seed,
    )
    stream = _anomalies(inputs, model, climatology)
    return conductor.run(inputs.cycles, inputs.calendar, stream)


def _prepare(
    ds: Any, obs: Any, model: Model, members: Any, times: Any, problems: Problems
) -> Inputs:
    """Check everything and find the cycles.

    Raises
    ------
    InputError
        With all problems.
    """
    if not isinstance(members, (int, np.integer)) or members < 1:
        problems.add("members is a positive integer", found=repr(members))
    source = RunSource(ds, list(model.variables), model.cycle, problems=problems, need_time=False)
    cells, calendar = None, "standard"
    if source.layout is not None:
        model.check(source.grid, source.units, problems)
    if not len(problems):
        try:
            cells, calendar, notes = superobservations(obs, _target(source, model), model.cycle)
            for note in notes:
                logger.info("assimilate: %s", note)
        except InputError as error:
            problems.absorb(error)
    wanted = _wanted(times, model, calendar, cells, problems)
    problems.raise_if_any()
    assert cells is not None
    assert wanted is not None
    first = min(int(cells.cycle[0]), int(wanted[0]))
    late = int((cells.cycle > wanted[-1]).sum())
    if late:
        logger.info("assimilate: %d superobservations after the last output time not used", late)
    positions = np.array([model.variables.index(name) for name in cells.variables])
    cycles = np.arange(first, int(wanted[-1]) + 1)
    return Inputs(source, cells, positions, cycles, wanted, calendar)


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
    cell, value, error, count = inputs.cells.at(number)
    size = int(np.prod(model.grid.shape))
    variable, place = np.divmod(cell, size)
    return inputs.positions[variable] * size + place, value, error, count


def _initial(inputs: Inputs, model: Model, members: int, seed: int) -> np.ndarray:
    """Initial anomalies in the units of the model, shape (members, C, Y, X)."""
    source = inputs.source
    rng = np.random.default_rng(seed)
    if len(source) > 1:
        return _from_run(source, inputs, model, members, rng)
    first = inputs.cycles[0]
    states = source.states()
    if len(states) == 1 and members > 1:
        logger.info("assimilate: all %d members start from the one state given", members)
        states = np.repeat(states, members, axis=0)
    elif len(states) > 1 and members not in (1, len(states)):
        raise InputError(f"members={members}, but ds holds an ensemble of {len(states)}")
    before = model.cycle.year_fraction([first - 1], inputs.calendar)
    calendar_cycle = source.cycles[0] if len(source) else None
    if calendar_cycle is not None:
        before = model.cycle.year_fraction([calendar_cycle], source.calendar)
    return _anomaly_states(states, source, model, before)


def _initial_spread(source: RunSource, model: Model) -> np.ndarray | None:
    """Spread of the one state that the estimate starts from, (C, Y, X), if it has one."""
    ds = source.original
    if len(source) > 1 or not isinstance(ds, xr.Dataset):
        return None
    if any(f"{name}_spread" not in ds for name in model.variables):
        return None
    parts = []
    for v, name in enumerate(model.variables):
        da = unit_tools.dequantify(ds[f"{name}_spread"])
        if any(str(d) not in source.layouts[name].dims for d in da.dims):
            return None
        values = source.layouts[name].canonical(da).values.reshape(model.grid.shape)
        unit = unit_tools.unit_of(da) or source.units[v]
        parts.append(unit_tools.convert_difference(values, unit, model.units[v]))
    return np.concatenate(parts)


def _anomaly_states(
    states: np.ndarray, source: RunSource, model: Model, fraction: np.ndarray
) -> np.ndarray:
    """Anomalies of states (n, variable, nz, ny, nx) at one place in the year."""
    converted = np.stack(
        [
            unit_tools.convert(states[:, v], unit, target)
            for v, (unit, target) in enumerate(zip(source.units, model.units, strict=True))
        ],
        axis=1,
    )
    missing = int((~np.isfinite(converted) & model.wet).sum())
    if missing:
        raise InputError(
            f"assimilate: the initial state has NaN in {missing} cells of the model's sea; fill "
            "them, or start from the control run"
        )
    values = np.where(model.wet, converted - model.climatology.at(fraction), 0)
    return values.reshape(len(values), -1, *model.wet.shape[2:])


def _from_run(
    source: RunSource, inputs: Inputs, model: Model, members: int, rng: np.random.Generator
) -> np.ndarray:
    """Initial anomalies out of a run: none for one member, years drawn for several."""
    channels = model.wet.shape[0] * model.wet.shape[1]
    if members == 1:
        return np.zeros((1, channels, *model.wet.shape[2:]), dtype=np.float32)
    phase = model.cycle.phase(inputs.cycles[0] - 1)
    candidates = np.flatnonzero(model.cycle.phase(source.cycles) == phase)
    first, last = model.provenance.get("training_cycles", (source.cycles[0], source.cycles[-1]))
    trained = (source.cycles[candidates] >= first) & (source.cycles[candidates] <= last)
    candidates = candidates[trained] if trained.any() else candidates
    if not candidates.size:
        raise InputError("assimilate: ds has no state at the season of the first cycle")
    if members > candidates.size:
        raise InputError(
            f"assimilate: members={members}, but ds holds {candidates.size} years to start from"
        )
    years = rng.choice(candidates, size=members, replace=False)
    fraction = model.cycle.year_fraction(source.cycles[years], source.calendar)
    states = [
        _anomaly_states(source.read(int(y), int(y) + 1), source, model, fraction[n : n + 1])
        for n, y in enumerate(years)
    ]
    return np.concatenate(states)


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
