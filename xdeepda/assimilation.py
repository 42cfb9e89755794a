"""The verb ``assimilate``: conducts one assimilation, and calculates nothing itself.

Observations become superobservations of cells and cycles, the bridge runs the
cycle, labels come back on the user's own grid, order, units and calendar.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xdeepda.analysis import Labels, attributes_of
from xdeepda.calendar import Cycle
from xdeepda.errors import DivergenceError, ForecastError, MemoryForeseenError, Problems
from xdeepda.forecasts import Forecast, Stepper, check_models, forecast_of
from xdeepda.initial import initial_states
from xdeepda.model import Model
from xdeepda.observations.checks import Checks, Screen, checks_of, correlation_length
from xdeepda.observations.ledger import (
    Ledger,
    attach,
    check_place,
    joined,
    read_ledger,
    save,
    summary,
)
from xdeepda.options import available_memory, check_machine, torch_threads
from xdeepda.production.account import Account
from xdeepda.production.cluster import check_client
from xdeepda.production.identity import machine_of, request_of
from xdeepda.production.models import common_model, models_of
from xdeepda.production.observed import read_ahead
from xdeepda.production.splitting import Division, division_of
from xdeepda.production.store import InMemory, Store, check_store
from xdeepda.production.streams import Streams
from xdeepda.progress import progress_bar
from xdeepda.request import Inputs, prepare, target_of_model

if TYPE_CHECKING:
    from xdeepda.production.cycling import Cycling

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
    store : Path, optional
        Folder for the analysis.
    division : Division, optional
        Into streams.
    forecast : Forecast, optional
        In place of those of the models.
    """

    checks: Checks | None
    ledger: bool
    path: Path | None
    store: Path | None
    division: Division | None = None
    forecast: Forecast | None = None

    @property
    def need_records(self) -> bool:
        """Whether every single datum must be remembered."""
        return self.ledger or self.checks is not None

    def divided(
        self, streams: Any, spinup: Any, client: Any, cycle: Cycle, problems: Problems
    ) -> Wishes:
        """Wishes with the division into streams that is asked for, checked."""
        division = division_of(
            streams, spinup, client, cycle=cycle, store=self.store,
            single_data=self.need_records, problems=problems,
        )  # fmt: skip
        folder = None if self.store is None else self.store.parent
        check_client(None if streams is None else client, folder, problems)
        return replace(self, division=division)

    def forecasting(self, given: Any, models: list[Model], problems: Problems) -> Wishes:
        """Wishes with the forecast that is asked for, checked."""
        forecast = forecast_of(given, models[0], problems, stored=self.store is not None)
        check_models(forecast, models, problems)
        if forecast is not None and self.division is not None:
            problems.add(
                "forecast= cannot be cut into streams", todo="leave streams= or forecast= out"
            )
        return replace(self, forecast=forecast)


def assimilate(
    ds: xr.Dataset | xr.DataArray,
    obs: Any,
    *,
    model: Model | str | os.PathLike[str] | Sequence[Model | str | os.PathLike[str]],
    members: int = 1,
    times: Any = None,
    keep_members: bool = False,
    climatology: str | xr.Dataset | xr.DataArray = "model",
    checks: Any = None,
    forecast: Forecast | Callable[[xr.Dataset], xr.Dataset] | None = None,
    store: str | os.PathLike[str] | None = None,
    streams: int | None = None,
    spinup: Any = None,
    client: Any = None,
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
    model : Model or path, or a list of these
        Trained model or fitted baseline.  Several, of one grid, cycle, variables and
        units, cycle on their own with the same observations, the first with `seed`, each
        other one with draws of its own; the analysis is the mean over them.
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
    forecast : callable or Forecast, optional
        Takes the analysis of a cycle, as a Dataset of full fields, to the background of the
        next, in place of the model's own forecast: another emulator, or a numerical model;
        :class:`xdeepda.Forecast` declares anomalies, members, units, a name and its error.
    store : path, optional
        Folder of a zarr store to write to as it goes.  The result is then lazy; memory
        does not grow with the number of cycles.  Called again with the same arguments
        after it was interrupted, it goes on where it was, to the same bits; see
        "Large runs" in the documentation.
    streams : int, optional
        Cut the period into so many streams that overlap by their spin-up, and write them
        into the one `store`; :func:`xdeepda.joints` compares them where they meet.
        Random numbers then belong to the cycle, so that the members of one stream go over
        into those of the next.
    spinup : str, timedelta or int, optional
        How long each stream but the first runs before its own part, such as "1Y" (taken
        where none is given), "18 months", "90D", or a number of cycles; this is not
        written.
    client : distributed.Client, optional
        Cluster that runs the streams, with one thread of torch in each worker unless
        ``set_options(threads=...)`` says otherwise; the store must be on a disk that all
        workers share.  Without one the streams run one after the other in this process,
        with the same result.
    ledger : bool or path, optional
        Account for every datum, also for those that were not used: True adds variables
        ``ledger_*`` to the analysis, a path writes a netCDF file (and so does True with
        `store`, beside it).  See :func:`xdeepda.departures`, which reads both.  All data
        are held in memory for it, however they are stored.
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
        Of several models, ``<var>_spread`` and ``<var>_background_spread`` are the root
        of the sum of the squares of ``..._within`` (root of the mean variance that the
        models predict) and ``..._between`` (standard deviation between them); of the
        members, those of each model follow each other, with a coordinate ``model``.

    Raises
    ------
    InputError
        With everything that is wrong with the input, before the cycling starts.
    ModelFileError
        If the model file cannot be used.
    MemoryForeseenError
        If the result would not fit into memory.
    StoreError
        If the store cannot be written, such as on a full disk; what is kept is told.
    LostProcessError
        If workers of a cluster are lost again and again.
    ForecastError
        If `forecast` fails, or what it returns cannot be used; the cycle is named.
    DivergenceError
        If a number that is not finite appears; cycle, member and cell are named.

    Examples
    --------
    >>> analysis = xdeepda.assimilate(control, obs, model=model)  # doctest: +SKIP
    """
    models = models_of(model)
    problems = Problems("assimilate")
    check_machine(device, seed, problems)
    if not isinstance(keep_members, (bool, np.bool_)):
        problems.add("keep_members is True or False", found=repr(keep_members))
    lead = common_model(models)
    wishes = _wishes(checks, ledger, store, problems)
    wishes = wishes.divided(streams, spinup, client, lead.cycle, problems)
    wishes = wishes.forecasting(forecast, models, problems)
    inputs = prepare(
        ds, obs, models, lead, members=members, times=times,
        climatology=climatology, problems=problems, need_records=wishes.need_records,
        folder=None if wishes.store is None else wishes.store.parent,
    )  # fmt: skip
    initial = initial_states(
        inputs.source, models, int(inputs.cycles[0]), inputs.calendar, members, seed
    )
    kept = sum(map(len, initial)) if keep_members else None
    labels = _labels(inputs, wishes, kept, len(initial[0]), seed)
    screen = _screen(inputs, wishes.checks)
    account = Account(inputs, _ledger(inputs) if wishes.ledger else None, screen)
    stepper = _stepper(inputs, wishes.forecast)

    def conduct(output: InMemory | Store) -> None:
        """Cycle into memory or into a store."""
        cycling = _conduct(
            inputs, initial, screen, stepper=stepper, keep_members=keep_members,
            show_members=wishes.ledger, device=device, seed=seed,
        )  # fmt: skip
        _cycle(cycling, output, account, progress)

    fields = len(labels.parts) - 1 + (kept or 1)
    if wishes.store is None:
        todo = "let it be written as it goes: store='analysis.zarr'"
        _check_memory(inputs, fields, len(inputs.wanted), todo)
        held = InMemory(labels, inputs.wanted)
        conduct(held)
        return _finish(held.finish(), wishes, account)
    with Store(wishes.store, labels, inputs, account) as stored:
        request, machine = request_of(inputs, labels, initial, seed), machine_of(device)
        blocks, act = 2, partial(conduct, stored)  # one is filled while the other is written
        if wishes.division is not None:
            parts = Streams(
                wishes.division, stored, inputs, initial, keep_members=keep_members,
                device=device, seed=seed,
            )  # fmt: skip
            request, machine = request | parts.request(), machine | parts.machine()
            blocks, act = blocks * parts.at_once, partial(parts.conduct, progress)
        stored.open(request, machine)
        if not stored.complete:
            todo = "fewer members, or a coarser grid"
            _check_memory(inputs, fields, blocks * stored.chunk, todo)
            act()
        analysis = _finish(stored.finish(), wishes, account, again=stored.complete)
        stored.mark_complete()
    return analysis


def _wishes(checks: Any, ledger: Any, store: Any, problems: Problems) -> Wishes:
    """Wishes of the user, checked."""
    place = check_store(store, problems)
    path = check_place(ledger, problems)
    if ledger is True and place is not None:
        path = place.with_suffix(".ledger.nc")
        logger.info("assimilate: the ledger is written to %s", path)
    return Wishes(checks_of(checks, problems), bool(ledger), path, place)


def _cycle(cycling: Cycling, output: InMemory | Store, account: Account, progress: bool) -> None:
    """Take the models through the cycles that are left."""
    total = len(cycling.inputs.cycles)
    with torch_threads(), progress_bar(total, "assimilate", progress, "cycle") as bar:
        # what was done before is no part of the estimate of the time
        bar.initial = bar.n = output.start
        if isinstance(output, Store) and output.restart is not None:
            cycling.restore(output.restart.arrays)
            logger.info("assimilate: %d of %d cycles were done before", output.start, total)
        try:
            for position, (number, fields, cells) in enumerate(
                cycling.run(output.start), output.start + 1
            ):
                output.take(number, fields, cells)
                account.record(number, fields, cells)
                output.after(position, cycling)
                bar.update(1)
            output.ended(cycling)
        except (DivergenceError, ForecastError) as error:
            if isinstance(output, Store):
                raise type(error)(f"{error}; {output.keep()}") from error.__cause__
            raise


def _labels(inputs: Inputs, wishes: Wishes, kept: int | None, members: int, seed: int) -> Labels:
    """What the analysis is labelled with."""
    names = " and ".join(model.architecture.name for model in inputs.models)
    call = f"assimilate(members={members}, seed={seed}) with {names}"
    hashes = [model.hash for model in inputs.models]
    attributes = attributes_of(inputs.source, inputs.lead, call, seed, hashes)
    if wishes.checks is not None:
        attributes["checks"] = json.dumps(wishes.checks.to_dict())
    if wishes.path is not None:
        attributes["ledger"] = str(wishes.path)
    if wishes.forecast is not None:
        attributes["forecast"] = wishes.forecast.identity
    return Labels(
        inputs.source, inputs.lead, inputs.calendar, int(inputs.wanted[0]), members=kept,
        attributes=attributes, models=len(hashes),
    )  # fmt: skip


def _finish(
    analysis: xr.Dataset, wishes: Wishes, account: Account, *, again: bool = False
) -> xr.Dataset:
    """Tell what the checks have found, and put the ledger where it belongs.

    `again`: that was done before.
    """
    if again:
        return analysis
    screen, ledger = account.screen, account.ledger
    if screen is not None:
        told = f"{summary(screen.records)}; {screen.restored} restored by their neighbours"
        if screen.inflation > 1.5:
            told += (
                f"; innovations of some levels are {screen.inflation:.2g} times as large as "
                "expected: the errors given may leave out what the grid does not resolve"
            )
        logger.warning("assimilate, after the checks: %s", told)
    if ledger is None:
        return analysis
    if screen is not None:
        ledger.columns["gross_error"] = screen.probability
    table = ledger.to_dataset()
    table.attrs |= {
        name: analysis.attrs[name]
        for name in ("history", "xdeepda_version", "model_hash", "seed", "checks")
        if name in analysis.attrs
    }
    if wishes.path is None:
        return attach(analysis, table)
    if account.earlier:
        with read_ledger(wishes.path, account.inputs.calendar) as whole:
            old = whole.isel(obs=slice(0, account.earlier)).load()
        table = joined(old, table, account.inputs.calendar)
    save(table, wishes.path)
    return analysis


def _ledger(inputs: Inputs) -> Ledger:
    """Ledger of all data, still empty."""
    assert inputs.records is not None
    target = target_of_model(inputs.source, inputs.lead)
    return Ledger(inputs.records, target, inputs.source.units, inputs.lead.cycle)


def _screen(inputs: Inputs, checks: Checks | None) -> Screen | None:
    """Judge of the data, where checks are wanted."""
    if checks is None:
        return None
    assert inputs.records is not None
    length = correlation_length(inputs.lead.grid, inputs.lead.statistics.length)
    target = target_of_model(inputs.source, inputs.lead)
    return Screen(inputs.records, target, checks, length)


def _conduct(
    inputs: Inputs, initial: list[np.ndarray], screen: Screen | None, **settings: Any
) -> Cycling:
    """Models ready to cycle; `settings` are those of the Conductor."""
    from xdeepda.production.cycling import Cycling

    return Cycling(read_ahead(inputs), initial, screen, **settings)


def _stepper(inputs: Inputs, forecast: Forecast | None) -> Stepper | None:
    """Forecast of the user ready to step, where there is one."""
    if forecast is None:
        return None
    return Stepper(forecast, inputs.source, inputs.lead, inputs.calendar)


def _check_memory(inputs: Inputs, fields: int, cycles: int, todo: str) -> None:
    """Refuse what would not fit; `fields` are those of a cycle and variable.

    Raises
    ------
    MemoryForeseenError
    """
    free = available_memory()
    needed = 4 * cycles * inputs.lead.wet.size * fields
    if free is None or needed < 0.8 * free:
        return
    problems = Problems("assimilate", MemoryForeseenError)
    problems.add(
        "the result would not fit into memory",
        found=f"{needed / 2**30:.3g} GiB for {cycles} cycles, {free / 2**30:.3g} GiB free",
        todo=todo,
    )
    problems.raise_if_any()
