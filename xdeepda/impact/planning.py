"""The verb ``design``: which of some sites would make a mean better known, and by how much."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.bridge import module_of, tensors_of
from xdeepda.errors import InputError, Problems
from xdeepda.impact.effect import cycle_number
from xdeepda.impact.regression import expected_reduction, reduction_of
from xdeepda.impact.sites import joined, mean_weights, sites_of
from xdeepda.model import Model, as_model
from xdeepda.observations.operator import error_scales
from xdeepda.options import check_machine, torch_threads
from xdeepda.progress import progress_bar
from xdeepda.provenance import history_line, package_version
from xdeepda.source import RunSource
from xdeepda.training.experiment import Experiment, Sites
from xdeepda.training.lanes import Period
from xdeepda.training.simulation import Simulator

logger = logging.getLogger("xdeepda")

#: Fewer cycles after the spin-up give no covariance.
_FEWEST = 24


def design(
    model: Model,
    control: xr.Dataset | xr.DataArray,
    candidates: Mapping[str, Mapping[str, Any]],
    *,
    region: Any,
    depths: tuple[float, float] | None = None,
    var: str | None = None,
    network: Any = None,
    choose: int = 1,
    period: tuple[Any, Any] | None = None,
    verify: bool | str = True,
    device: str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Rank candidate moorings or sections by how much better they would make a mean known.

    Parameters
    ----------
    model : Model or path
        Trained model or baseline that would analyse the observations.
    control : Dataset or DataArray
        A run in the units of the model, of which a part is taken for the truth.
    candidates : mapping of mapping
        Name -> ``lat``, ``lon`` (of one column, or of the columns of a section), ``depth``
        (all depths that each column measures), and optionally ``var`` and ``error``
        (standard deviation, one or by depth; by default
        :func:`xdeepda.observations.default_error`).  Measured in every cycle.
    region : (south, north, west, east) or DataArray of bool
        Whose mean shall be known.
    depths : (float, float), optional
        Levels of the mean, by their centres (m); by default all.
    var : str, optional
        Variable of the mean; the first of the model by default.
    network : Network, optional
        What observes already; by default nothing does.
    choose : int
        Number of candidates to choose, one after the other: each the best besides those
        that were chosen before.
    period : (time, time), optional
        Part of the run to take for the truth; by default the years that the model was not
        trained on.
    verify : bool or "all"
        Run experiments with the chosen candidates, or with each candidate alone as well.
    device : str, optional
        See :func:`xdeepda.set_options`.
    seed : int
        Of the simulated observations; the verification draws others.
    progress : bool
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        Along ``candidate``: ``expected_reduction`` (share of the error variance of the mean
        that it would take away by itself) with ``expected_reduction_error``, ``rank`` (1 is
        the best) and ``chosen`` (1, 2, ..., 0 for the others); along ``candidate`` and
        ``step``: ``expected_reduction_of_step``, besides those chosen before (NaN for
        these).  With `verify`, along ``number`` (of chosen candidates, from 0): ``rmse`` of
        the mean, and ``verified_reduction`` with ``verified_reduction_error`` against none;
        with "all", ``verified_reduction_alone`` and its error along ``candidate``.

    Raises
    ------
    InputError
        With all that is wrong with the input.

    Notes
    -----
    The model is cycled through the period with the base network, from a climatological
    start; the first cycles (a quarter, at most a year) do not count.  Errors of its
    analyses at the places of a candidate, and of the mean, are the sample of which the
    Kalman gain is made that would correct the mean by the departures of the candidate:
    ``cov(m, d) (cov(d, d) + R)^-1``.  Since an analysis remembers, departures are those of
    the cycle and their averages over the last 2, 4, ... 32 cycles.  There is no
    localisation: the gain is fitted to four fifths of the series and judged on the last
    (five times), and cov(d, d) is shrunk to its diagonal by the share that does best
    there.  The result is what a linear correction of the base analysis would gain; the
    experiment tells what the model itself makes of the observations.  Smoothers are taken
    as filters.

    Examples
    --------
    >>> sites = {f"{lon} E": {"lat": 0, "lon": lon, "depth": [10, 100, 200], "error": 0.3}
    ...          for lon in range(150, 270, 10)}
    >>> plan = xdeepda.design(model, control, sites, region=(-5, 5, 210, 270),
    ...                       network=network)  # doctest: +SKIP
    """
    problems = Problems("design")
    lead = as_model(model)
    check_machine(device, seed, problems)
    source = _open(control, lead, problems)
    sites = sites_of(candidates, lead, problems)
    weights = mean_weights(lead, region, depths, var, problems)
    whole = isinstance(choose, int) and not isinstance(choose, bool)
    if not whole or not 1 <= choose <= max(len(sites), 1):
        problems.add("choose is a number of candidates", found=repr(choose),
                     expected=f"1 to {len(sites)}")  # fmt: skip
    if verify not in (True, False, "all"):
        problems.add("verify is True, False or 'all'", found=repr(verify))
    if network is not None and not hasattr(network, "on"):
        problems.add("network is no Network", found=type(network).__name__)
    truth = None if source is None else _period(source, lead, period, problems)
    problems.raise_if_any()
    assert source is not None
    assert truth is not None
    assert weights is not None
    with torch_threads():
        plan = _Plan(_experiment(lead, source, truth, network, device), sites, weights, seed)
        runs = 1 + (verify is not False) * (choose + 1) + (verify == "all") * len(sites)
        with progress_bar(runs, "design", progress, "experiment") as bar:
            plan.choose(choose, bar)
            if verify is not False:
                plan.verify(bar, alone=verify == "all")
    name = lead.variables[0] if var is None else var
    unit = unit_tools.difference_unit(lead.units[lead.variables.index(name)])
    return _labelled(plan, name, unit, lead)


def _open(control: Any, model: Model, problems: Problems) -> RunSource | None:
    """The run, of the model's grid and units; None with a problem."""
    before = len(problems)
    try:
        source = RunSource(control, list(model.variables), model.cycle, problems=problems)
    except InputError as error:
        problems.absorb(error)
        return None
    if len(problems) > before:
        return None
    model.check(source.grid, source.units, problems)
    for name, own, unit in zip(model.variables, model.units, source.units, strict=True):
        if len(problems) == before and unit_tools.conversion(unit, own) != (1.0, 0.0):
            problems.add(f"units of {name!r} are not those of the model", found=repr(unit),
                         expected=repr(own))  # fmt: skip
    return source if len(problems) == before else None


def _period(source: RunSource, model: Model, given: Any, problems: Problems) -> Period | None:
    """Part of the run that is the truth; None with a problem."""
    cycles, before = source.cycles, len(problems)
    if given is None:
        trained = model.provenance.get("training_cycles", [0, int(cycles[0]) - 1])
        start, stop = int(np.searchsorted(cycles, trained[1], side="right")), len(cycles)
        todo = "period=(start, end), or a run that goes on after the training years"
    else:
        ends = list(given) if isinstance(given, (tuple, list)) and len(given) == 2 else [None] * 2
        first, last = (cycle_number(t, model.cycle, "period=", problems) for t in ends)
        if first is None or last is None:
            return None
        start = int(np.searchsorted(cycles, first))
        stop = int(np.searchsorted(cycles, last, side="right"))
        todo = "a longer period"
    if stop - start < _FEWEST * 4 / 3:
        problems.add(
            "there is too little truth",
            found=f"{max(stop - start, 0)} cycles",
            expected=f"at least {_FEWEST * 4 // 3}; decades are better",
            todo=todo,
        )
    return Period(start, stop) if len(problems) == before else None


def _experiment(
    model: Model, source: RunSource, truth: Period, network: Any, device: str | None
) -> Experiment:
    """Experiment of the base network."""
    tensors = tensors_of(model, device)
    simulator = None
    if network is not None:
        bound = network.on(source.grid, source.cycle, source.calendar, source.variables, model.wet)
        simulator = Simulator(tensors, bound, source, error_scales(source, network))
    return Experiment(tensors, module_of(model, tensors), source, truth, simulator)


@dataclass
class _Plan:
    """Choice of candidates, and its verification.

    Attributes
    ----------
    experiment : Experiment
    sites : dict of Sites
    weights : numpy.ndarray, shape (C, Y, X)
        Of the mean.
    seed : int
    steps : list of dict
        For each choice, by candidate: expected reduction and its standard error.
    chosen : list of str
    rmse, verified : list
        With 0, 1, ... of the chosen ones: RMSE of the mean; reduction and its standard error.
    alone : dict
        By candidate: verified reduction and its standard error.
    """

    experiment: Experiment
    sites: dict[str, Sites]
    weights: np.ndarray
    seed: int
    steps: list[dict[str, tuple[float, float]]] = field(default_factory=list)
    chosen: list[str] = field(default_factory=list)
    rmse: list[float] = field(default_factory=list)
    verified: list[tuple[float, float]] = field(default_factory=list)
    alone: dict[str, tuple[float, float]] = field(default_factory=dict)

    def _run(self, seed: int, cells: np.ndarray, sites: Sites | None = None) -> Any:
        """Errors of an experiment after the spin-up."""
        errors, mean = self.experiment.errors(seed, cells, self.weights, sites)
        spinup = min(self.experiment.source.cycle.per_year, len(mean) // 4)
        return errors[spinup:], mean[spinup:]

    def choose(self, number: int, bar: Any) -> None:
        """Rank the candidates, and choose some of them one after the other."""
        every = joined(list(self.sites.values())).cell
        errors, mean = self._run(self.seed, every)
        bar.update(1)
        for _ in range(number):
            step = {}
            for name in self.sites:
                if name in self.chosen:
                    continue
                both = joined([self.sites[n] for n in (*self.chosen, name)])
                column = np.searchsorted(every, both.cell)
                step[name] = expected_reduction(mean, errors[:, column], both.error)
            self.steps.append(step)
            self.chosen.append(max(step, key=lambda name: step[name][0]))

    def verify(self, bar: Any, *, alone: bool) -> None:
        """Run experiments with the chosen ones, with other observations than the choice saw."""
        none = np.zeros(0, dtype=np.int64)
        _, before = self._run(self.seed + 1, none)
        bar.update(1)
        self.rmse, self.verified = [_rms(before)], [(0.0, 0.0)]
        for number in range(1, len(self.chosen) + 1):
            some = joined([self.sites[name] for name in self.chosen[:number]])
            _, after = self._run(self.seed + 1, none, some)
            bar.update(1)
            self.rmse.append(_rms(after))
            self.verified.append(reduction_of(before, after))
        for name in self.sites if alone else ():
            _, after = self._run(self.seed + 1, none, self.sites[name])
            bar.update(1)
            self.alone[name] = reduction_of(before, after)


def _rms(errors: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(errors**2)))


def _labelled(plan: _Plan, var: str, unit: str, model: Model) -> xr.Dataset:
    """The plan as a Dataset."""
    names = list(plan.sites)
    first = np.array([plan.steps[0][name] for name in names])
    rank = np.empty(len(names), dtype=int)
    rank[np.argsort(-first[:, 0], kind="stable")] = np.arange(1, len(names) + 1)
    chosen = [plan.chosen.index(name) + 1 if name in plan.chosen else 0 for name in names]
    steps = [[step.get(name, (np.nan, np.nan))[0] for step in plan.steps] for name in names]
    share = f"share of the error variance of the mean of {var}"
    c = ("candidate",)
    columns: dict[str, Any] = {
        "expected_reduction": (c, first[:, 0], f"expected reduction, {share}", "1"),
        "expected_reduction_error": (c, first[:, 1], "standard error of expected_reduction", "1"),
        "rank": (c, rank, "rank by expected reduction", "1"),
        "chosen": (c, chosen, "order in which it was chosen, 0 if it was not", "1"),
        "expected_reduction_of_step": (
            ("candidate", "step"), steps, f"expected with those chosen before, {share}", "1",
        ),
    }  # fmt: skip
    if plan.rmse:
        verified, n = np.array(plan.verified), ("number",)
        told = "verified reduction"
        columns |= {
            "rmse": (n, plan.rmse, f"RMSE of the mean of {var}", unit),
            "verified_reduction": (n, verified[:, 0], f"{told}, {share}", "1"),
            "verified_reduction_error": (n, verified[:, 1], f"standard error, {told}", "1"),
        }
    if plan.alone:
        alone = np.array([plan.alone[name] for name in names])
        told = "verified reduction by the candidate alone"
        columns |= {
            "verified_reduction_alone": (c, alone[:, 0], f"{told}, {share}", "1"),
            "verified_reduction_alone_error": (c, alone[:, 1], f"standard error, {told}", "1"),
        }
    out = xr.Dataset(
        {
            name: (dims, np.asarray(values), {"long_name": text, "units": units})
            for name, (dims, values, text, units) in columns.items()
        },
        coords={"candidate": names, "step": np.arange(1, len(plan.steps) + 1)},
    )
    if plan.rmse:
        out = out.assign_coords(number=np.arange(len(plan.rmse)))
    period, cycle = plan.experiment.period, plan.experiment.source.cycle
    ends = plan.experiment.source.cycles[[period.start, period.stop - 1]]
    first_time, last_time = cycle.middle(ends, plan.experiment.source.calendar)
    out.attrs = {
        "title": "design of an observing network",
        "truth": f"{first_time} to {last_time}",
        "history": history_line("design"),
        "xdeepda_version": package_version(),
        "model_hash": model.hash,
        "seed": plan.seed,
    }
    return out
