"""The verb ``update``: goes on with a stored analysis when more observations have arrived.

Conducts, and calculates nothing itself: what is cycled, written and accounted for is the
work of others, as in ``assimilate``.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.analysis import Labels
from xdeepda.assimilation import (
    Wishes,
    _check_memory,
    _conduct,
    _cycle,
    _finish,
    _ledger,
    _screen,
    _stepper,
)
from xdeepda.errors import InputError, ModelMismatchError, Problems
from xdeepda.forecasts import Forecast, forecast_of
from xdeepda.model import Model
from xdeepda.observations.checks import Checks
from xdeepda.options import check_machine, device_of
from xdeepda.production.account import Account
from xdeepda.production.extension import (
    Extension,
    Left,
    extended,
    left_of,
    place_of,
    tell_of_the_joint,
)
from xdeepda.production.identity import machine_of, request_of_update
from xdeepda.production.models import common_model, models_of
from xdeepda.production.restart import Keeper
from xdeepda.provenance import history_line
from xdeepda.request import Gathered, Inputs, gather
from xdeepda.source import RunSource

logger = logging.getLogger("xdeepda")


def update(
    analysis: xr.Dataset | xr.DataArray | str | os.PathLike[str],
    obs: Any,
    *,
    model: Model | str | os.PathLike[str] | Sequence[Model | str | os.PathLike[str]],
    store: str | os.PathLike[str] | None = None,
    times: Any = None,
    forecast: Forecast | Callable[[xr.Dataset], xr.Dataset] | None = None,
    device: str | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Go on with a stored analysis when more observations have arrived.

    The analyses are, to the bit, those of one run over the whole period: all that flows
    from cycle to cycle (states, carried covariances, random numbers, members) is kept with
    the store.  Members, seed, checks, climatology and ledger are those of the analysis.

    Parameters
    ----------
    analysis : Dataset, DataArray or path
        Analysis that :func:`xdeepda.assimilate` has written with ``store=``: as it was
        returned, as it was opened, or the path of the store.
    obs : Dataset, DataArray, pandas.DataFrame, or a list of these
        What has arrived since.  Those of cycles that are analysed already are not used,
        which is told.
    model : Model or path, or a list of these
        The same that made the analysis; smoothers are refused.
    store : path, optional
        The store, where `analysis` does not know it.
    times : array-like of times, optional
        Cycles to give out, after the end of the analysis; by default all until the last
        observation.
    forecast : callable or Forecast, optional
        The same that made the analysis, if it was not made by the model's own.
    device : str, optional
        See :func:`xdeepda.set_options`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        The whole analysis with the new cycles behind the others, lazy, as ``xr.open_zarr``
        would open it.  Objects that were opened before stay as they are.

    Raises
    ------
    InputError
        With everything that is wrong, before anything is written: no stored analysis, or
        one that keeps no end, another model, a smoother, observations that are all late, a
        year or more without any, ...
    StoreError
        If the store cannot be written; what is kept is told.
    ForecastError
        If `forecast` fails, or what it returns cannot be used; the cycle is named.
    DivergenceError
        If a number that is not finite appears; cycle, member and cell are named.

    Notes
    -----
    Called again with the same arguments after it was interrupted, it goes on where it was;
    after it was complete, it returns the analysis.  Until it is complete, readers of the
    store see the analysis as it was.

    Examples
    --------
    >>> analysis = xdeepda.update("analysis.zarr", new_obs, model=model)  # doctest: +SKIP
    """
    problems = Problems("update")
    check_machine(device, 0, problems)
    path = place_of(analysis, store, problems)
    models: list[Model] = []
    try:
        models = models_of(model)
    except InputError as error:
        problems.absorb(error)
        problems.error = ModelMismatchError
    if path is None or not models:
        problems.raise_if_any()
    assert path is not None
    keeper = Keeper(path)
    keeper.lock()
    try:
        left = left_of(keeper, analysis, problems)
        _check_models(left, models, problems)
        _check_device(left, device, problems)
        chosen = _forecast(forecast, left, models, problems)
        return _update(keeper, left, models, obs, problems, times, chosen, device, progress)
    finally:
        keeper.release()


def _check_models(left: Left | None, models: Sequence[Model], problems: Problems) -> None:
    """Refuse smoothers, and others than those that made the analysis."""
    lags = [model.window[1] for model in models if model.window[1]]
    if lags:
        problems.add(
            "a real-time analysis cannot see later observations, which a smoother needs",
            found=f"a window of {max(lags)} later cycles",
            todo="use a filter: train(..., window=(0, 0)), and make the analysis with it",
        )
    elif left is not None:
        mine, theirs = [m.hash for m in models], left.request["model"].split()
        if mine != theirs:
            problems.error = ModelMismatchError
            problems.add(
                "the analysis was made by another model",
                found=" ".join(mine),
                expected=" ".join(theirs),
                todo="give the model that made it; or begin anew, into another store",
            )


def _check_device(left: Left | None, device: str | None, problems: Problems) -> None:
    """Random numbers of members go on only on the kind of device that drew them."""
    if left is None or left.members == 1:
        return
    try:
        mine, theirs = device_of(device), left.machine["device"]
    except (InputError, ValueError):
        return  # told by others
    if mine.partition(":")[0] != theirs.partition(":")[0]:
        problems.add(
            "the members were drawn on another kind of device, where alone they can go on",
            found=repr(mine),
            expected=repr(theirs),
            todo=f"device={theirs!r}",
        )


def _forecast(
    given: Any, left: Left | None, models: Sequence[Model], problems: Problems
) -> Forecast | None:
    """Forecast of the user, which must be that of the analysis."""
    forecast = forecast_of(given, models[0], problems, stored=True) if models else None
    mine = None if forecast is None else forecast.identity
    if left is not None and mine != left.request.get("forecast"):
        problems.add(
            "the analysis was made with another forecast",
            found=mine or "the model's own",
            expected=left.request.get("forecast", "the model's own"),
        )
    return forecast


def _update(
    keeper: Keeper,
    left: Left | None,
    models: Sequence[Model],
    obs: Any,
    problems: Problems,
    times: Any,
    forecast: Forecast | None,
    device: str | None,
    progress: bool,
) -> xr.Dataset:
    """Go on with what a store was left with."""
    if left is None:
        problems.raise_if_any()
    assert left is not None
    wishes = replace(_wishes(left, keeper.store, problems), forecast=forecast)
    lead = common_model(models)
    source = RunSource(
        left.template, list(lead.variables), lead.cycle, problems=problems, need_time=False
    )
    gathered = gather(
        obs, source, lead, problems, need_records=wishes.need_records, folder=keeper.store.parent
    )
    given = (source, models, lead, gathered, times)
    done = _done(left, given)
    if done is not None:
        logger.info("update: %s holds these observations already", keeper.store)
    inputs = done or extended(left, *given, problems)
    problems.raise_if_any()
    assert inputs is not None
    if done is None:
        tell_of_the_joint(inputs, left.last.position)
    return _go_on(keeper, left, inputs, wishes, device, progress, done=done is not None)


def _wishes(left: Left, store: Path, problems: Problems) -> Wishes:
    """What the analysis was made with."""
    checks, ledger = (left.request.get(n, "none") for n in ("checks", "ledger"))
    path = None
    if ledger != "none":
        beside = store.parent / Path(ledger).name
        path = Path(ledger) if Path(ledger).is_file() or not beside.is_file() else beside
        if not path.is_file():
            problems.add(
                "the ledger of the analysis is not there",
                found=f"neither {ledger} nor {beside}",
                todo="put it back: what becomes of the new data is added to it",
            )
    screen = None if checks == "none" else Checks(**json.loads(checks))
    return Wishes(screen, path is not None, path, store)


def _done(
    left: Left,
    given: tuple[RunSource, Sequence[Model], Model, Gathered, Any],
) -> Inputs | None:
    """Inputs of the update that was made last, if this is the same."""
    before = left.last.notes.get("before")
    if before is None or left.pending:
        return None
    inputs = extended(left, *given, Problems("update"), before)
    if inputs is None or len(inputs.wanted) != len(left.wanted):
        return None
    request = request_of_update(inputs, left.request, left.request["continues"], before["position"])
    return inputs if request == left.request else None


def _go_on(
    keeper: Keeper,
    left: Left,
    inputs: Inputs,
    wishes: Wishes,
    device: str | None,
    progress: bool,
    *,
    done: bool,
) -> xr.Dataset:
    """Cycle through what is new; where it is `done`, there is nothing to do."""
    start, screen = left.last.position, _screen(inputs, wishes.checks)
    labels = _labels(left, inputs)
    account = Account(
        inputs, _ledger(inputs) if wishes.ledger else None, screen, start=start,
        earlier=left.rows,
    )  # fmt: skip
    with Extension(keeper, labels, inputs, account, left) as stored:
        if done:
            return stored.opened()
        request = request_of_update(inputs, left.request, left.hash, start)
        stored.open(request, machine_of(device))
        fields = len(labels.parts) - 1 + (labels.members or 1)
        _check_memory(inputs, fields, 2 * stored.chunk, "fewer members, or a coarser grid")
        channels = inputs.lead.wet.reshape(-1, *inputs.lead.wet.shape[2:])
        nothing = np.zeros((left.members, *channels.shape), dtype=np.float32)
        cycling = _conduct(
            inputs, [nothing] * len(inputs.models), screen,
            stepper=_stepper(inputs, wishes.forecast), keep_members=left.keep_members,
            show_members=wishes.ledger, device=device, seed=left.seed,
        )  # fmt: skip
        _cycle(cycling, stored, account, progress)
        whole = _finish(stored.finish(), wishes, account)
        stored.mark_complete()
    return whole


def _labels(left: Left, inputs: Inputs) -> Labels:
    """Labels of the whole analysis: those that it has, and a line of history."""
    names = " and ".join(model.architecture.name for model in inputs.models)
    end = inputs.lead.cycle.middle(inputs.wanted[-1:], inputs.calendar)[0]
    call = f"update({len(inputs.wanted)} cycles until {end}) with {names}"
    attributes = dict(left.template.attrs)
    before = attributes.get("history", "")
    if call not in before.partition("\n")[0]:
        # else an update that was interrupted at its very end
        attributes["history"] = history_line(call, before)
    kept = left.members * len(inputs.models) if left.keep_members else None
    return Labels(
        inputs.source, inputs.lead, inputs.calendar, int(inputs.wanted[0]), members=kept,
        attributes=attributes, models=len(inputs.models),
    )  # fmt: skip
