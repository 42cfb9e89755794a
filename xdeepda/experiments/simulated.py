"""The verb ``osse``: a known truth observed, analysed by several systems, and scored.

Conducts the experiment; calculates nothing itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import Cycle
from xdeepda.errors import Problems
from xdeepda.experiments.overlap import check_overlap
from xdeepda.experiments.systems import (
    Chosen,
    Systems,
    analyses,
    by_system,
    check_settings,
    check_wishes,
    common_cycle,
    common_variables,
    described,
    fitted,
    systems_of,
)
from xdeepda.observations.network import network as network_of
from xdeepda.observations.operator import observe
from xdeepda.source import RunSource
from xdeepda.verification.verb import verify


@dataclass(frozen=True)
class _Plan:
    """What an experiment consists of, checked.

    Attributes
    ----------
    chosen : dict
        Systems, baselines not fitted yet.
    source : RunSource
        Of the truth.
    time : str
        Name of the time axis of the analyses.
    skipped : int
        Cycles that are not scored.
    """

    chosen: Chosen
    source: RunSource
    time: str
    skipped: int


def osse(
    truth: xr.Dataset | xr.DataArray,
    network: Any,
    *,
    control: xr.Dataset | xr.DataArray | None = None,
    models: Any = None,
    baselines: Any = ("climatology", "persistence"),
    var: str | Sequence[str] | None = None,
    cycle: str | None = None,
    members: int = 1,
    by: str | Sequence[str] = "depth",
    statistics: str | Sequence[str] | None = None,
    regions: Any = None,
    bands: Sequence[float] | None = None,
    climatology: str | xr.Dataset | xr.DataArray = "model",
    spinup: str | int = "1Y",
    independent: bool = False,
    device: str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Observing system simulation experiment: which system finds a known truth best.

    The truth is observed through the network once, each system assimilates the same
    observations, and its analyses are verified against the truth.

    Parameters
    ----------
    truth : Dataset or DataArray
        What is to be found: years of a run that no system was trained or chosen on, or
        another run.
    network : Network, or observations that :func:`xdeepda.network` takes
    control : Dataset or DataArray, optional
        The run that the systems were trained on: baselines by name are fitted to it,
        estimates start from it, and its climatology is what skill and anomaly
        correlation are relative to.  Without it, systems are given fitted, estimates
        start from the climatology of the model, and the standard is the mean annual
        cycle of the truth itself, if that spans five years.
    models : Model or path, or a list or dict of these, optional
        Each entry is a system; an entry that is itself a list is several models in one
        analysis.  The keys of a dict are their names.
    baselines : list or dict, optional
        Names (``climatology``, ``persistence``, ``oi``, ``enoi``, ``kalman``,
        ``combined``), to be fitted, or fitted ones; in a dict, a mapping of settings
        under a name fits it with these.
    var : str or list of str, optional
        Variables to observe and to verify; by default those of the models.
    cycle : {"pentad", "month", "year"}, optional
        By default that of the models, else guessed from the time step of the truth.
    members : int
        See :func:`xdeepda.assimilate`; several need `control`.
    by, statistics, regions, bands
        Of the scores, see :func:`xdeepda.verify`.
    climatology : "model", or Dataset or DataArray
        What the systems take anomalies from, see :func:`xdeepda.assimilate`; a field is
        also the climatology of the scores.  Give one where the truth is another model.
    spinup : str or int
        What is not scored: years or months, such as ``"1Y"`` or ``"6M"``, or a number
        of cycles.
    independent : bool
        Say so if the truth is no part of a training run although it has times in common
        with one and no comparison is possible.
    device : str, optional
    seed : int
        Of the observations, the members and the bootstrap.
    progress : bool

    Returns
    -------
    xarray.Dataset
        The statistics of :func:`xdeepda.verify` with a first dimension ``system``, and
        for each one those of the references: ``rmse_background``,
        ``rmse_climatology``, ``rmse_persistence`` and the skill against them.
        Attributes say network, seed, members, spin-up, period and the hash of each
        model.  The repr of ``.deepda`` is a table.

    Raises
    ------
    InputError
        With all that is wrong, before anything is fitted or assimilated: an unknown
        baseline, systems of different cycles or variables, nothing left after the
        spin-up, a truth that the systems were trained on, or where that cannot be
        decided.

    Notes
    -----
    Where truth and control have cycles in common, their values there are compared: equal
    ones are the same run.  A model with the climatology of the control run was trained
    on it.  Years that a model was validated on count as used: its epochs were chosen by
    them.

    Examples
    --------
    >>> scores = truth.deepda.osse(network, control=control, models=model)  # doctest: +SKIP
    >>> scores.deepda  # doctest: +SKIP
    """
    problems = Problems("osse")
    asked = {"by": by, "statistics": statistics, "regions": regions, "bands": bands, "seed": seed}
    check_settings(asked, problems)
    chosen = systems_of(models, baselines, control, problems)
    plan = _plan(truth, control, chosen, var, cycle, spinup, independent, problems)
    if control is None and members != 1:
        problems.add(f"members={members} start from states of the control run", todo="control=")
    problems.raise_if_any()
    assert plan is not None
    source, names = plan.source, list(plan.source.variables)
    if not hasattr(network, "on"):
        network = network_of(network, truth, var=names)
    cells = observe(truth, network, var=names, cycle=source.cycle.name, seed=seed)
    systems = fitted(chosen, control, var=names, cycle=source.cycle.name, network=network)
    own = None if isinstance(climatology, str) else climatology
    standard = own if own is not None else control
    parts = {
        name: verify(
            analysis.isel({plan.time: slice(plan.skipped, None)}), truth, var=names,
            climatology=standard, cycle=source.cycle.name, progress=False, **asked,
        )
        for name, analysis in analyses(
            truth if control is None else control, cells, systems, seed=seed, progress=progress,
            members=members, climatology=climatology, device=device,
            times=cells[source.time_name],
        )
    }  # fmt: skip
    attrs = {
        "network": repr(network), "seed": int(seed), "members": int(members),
        "spinup": f"{plan.skipped} cycles ({source.cycle.name}) that are not scored",
    }  # fmt: skip
    return described(
        by_system(parts), "observing system simulation experiment",
        f"osse(seed={seed}, members={members})", systems, attrs,
    )  # fmt: skip


def _plan(
    truth: Any,
    control: Any,
    chosen: Chosen,
    var: Any,
    cycle: str | None,
    spinup: Any,
    independent: bool,
    problems: Problems,
) -> _Plan | None:
    """Check that truth, control run and systems belong together; None with a problem."""
    before = len(problems)
    check_wishes(chosen, problems)
    names, interval = common_variables(chosen, var, problems), common_cycle(chosen, cycle, problems)
    if len(problems) > before or (names is None and before):
        # which variable is meant, a model would have said that could not be used
        return None
    source = _run("truth", truth, names, interval, problems)
    if source is None:
        return None
    skipped = spinup_cycles(spinup, source.cycle, problems)
    if skipped is not None and len(source) - skipped < 1:
        problems.add(
            "nothing is left to be scored after the spin-up",
            found=f"a truth of {len(source)} cycles ({source.cycle.name}), spinup={spinup!r}",
            todo="a longer truth, or a shorter spin-up: spinup=0",
        )
    if control is None and len(source) == 1:
        problems.add("a truth of one cycle, and nothing to start from", todo="control=")
    past = None
    if control is not None:
        past = _run("control", control, list(source.variables), source.cycle, problems)
    held = {n: s for n, s in chosen.items() if isinstance(s, list)}
    _check_grids(source, past, held, problems)
    if len(problems) == before:
        check_overlap(source, past, held, independent, problems)
    if len(problems) > before:
        return None
    assert skipped is not None
    return _Plan(chosen, source, (past or source).time_name, skipped)


def _check_grids(
    truth: RunSource, control: RunSource | None, systems: Systems, problems: Problems
) -> None:
    """Truth, control run and models must be on one grid."""
    if control is not None and (told := control.grid.differences(truth.grid)):
        problems.add(
            "truth and control run are on different grids",
            found="; ".join(told) + " (control against truth)",
            todo="interpolate the truth: truth.interp(lat=..., lon=..., depth=...)",
        )
        return
    for name, models in systems.items():
        own = Problems(name)
        models[0].check(truth.grid, (), own)
        if len(own):
            first = next(iter(own))
            problems.add(f"system {name!r}: the truth is on another grid than the model",
                         found=first.found, todo=first.todo)  # fmt: skip


def _run(
    who: str, obj: Any, names: Sequence[str] | None, cycle: Cycle | None, problems: Problems
) -> RunSource | None:
    """A run, understood but not read; None with a problem."""
    own = Problems(who)
    source = RunSource(obj, names, cycle, problems=own)
    for problem in own:
        problems.add(f"{who}: {problem.what}", found=problem.found, expected=problem.expected,
                     todo=problem.todo)  # fmt: skip
    return None if len(own) else source


def spinup_cycles(spinup: Any, cycle: Cycle, problems: Problems) -> int | None:
    """Cycles of a spin-up that is given as such, or in years or months; None with a problem."""
    whole = isinstance(spinup, (int, np.integer)) and not isinstance(spinup, bool)
    if whole and spinup >= 0:
        return int(spinup)
    found = re.fullmatch(r"(\d+(?:\.\d+)?) *([YM])", spinup) if isinstance(spinup, str) else None
    if found is None:
        problems.add(
            "spinup= is not understood", found=repr(spinup),
            expected="a number of cycles, or years or months such as '1Y' or '6M'",
        )  # fmt: skip
        return None
    years = float(found[1]) / (12 if found[2] == "M" else 1)
    return int(np.ceil(years * cycle.per_year - 1e-9))
