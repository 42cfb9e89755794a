"""The verb ``assimilate``: conducts one assimilation, and calculates nothing itself.

Observations become superobservations of cells and cycles, the bridge runs the
cycle, labels come back on the user's own grid, order, units and calendar.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.analysis import AnalysisWriter, user_fields
from xdeepda.errors import MemoryForeseenError, Problems
from xdeepda.initial import initial_anomalies, initial_spread
from xdeepda.model import Model, as_model
from xdeepda.observations.checks import Checks, Screen, checks_of, correlation_length
from xdeepda.observations.ledger import Ledger, attach, check_place, save, summary
from xdeepda.options import available_memory, check_machine, torch_threads
from xdeepda.progress import progress_bar
from xdeepda.request import Inputs, prepare, target_of_model

logger = logging.getLogger("xdeepda")


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
    problems = Problems("assimilate")
    check_machine(device, seed, problems)
    if not isinstance(keep_members, (bool, np.bool_)):
        problems.add("keep_members is True or False", found=repr(keep_members))
    path = check_place(ledger, problems)
    wishes = Wishes(checks_of(checks, problems), bool(ledger), path)
    inputs = prepare(
        ds, obs, trained, members=members, times=times, climatology=climatology,
        problems=problems, need_records=wishes.need_records,
    )  # fmt: skip
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
            inputs, trained, initial, screen,
            keep_members=keep_members, show_members=wishes.ledger, device=device, seed=seed,
        )  # fmt: skip
        for number, result in zip(inputs.cycles, results, strict=True):
            if number in writer.positions or account is not None:
                fraction = trained.cycle.year_fraction([number], inputs.calendar)
                climate = inputs.climatology.at(fraction)[0]
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
    target = target_of_model(inputs.source, model)
    return Ledger(inputs.records, target, inputs.source.units, model.cycle)


def _screen(inputs: Inputs, model: Model, checks: Checks | None) -> Screen | None:
    """Judge of the data, where checks are wanted."""
    if checks is None:
        return None
    assert inputs.records is not None
    length = correlation_length(model.grid, model.statistics.length)
    return Screen(inputs.records, target_of_model(inputs.source, model), checks, length)


def _conduct(
    inputs: Inputs,
    model: Model,
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
        climate = inputs.climatology.at(fraction)[0]
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
    stream = _anomalies(inputs, model)
    hook = None if screen is None else judge
    return conductor.run(inputs.cycles, inputs.calendar, stream, hook)


def _anomalies(inputs: Inputs, model: Model) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Cells, anomalies and errors of each cycle."""
    for number in inputs.cycles:
        cell, value, error, _ = _of_model(inputs, int(number), model)
        fraction = model.cycle.year_fraction([number], inputs.calendar)
        if cell.size:
            value = value - inputs.climatology.at(fraction)[0].reshape(-1)[cell]
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
