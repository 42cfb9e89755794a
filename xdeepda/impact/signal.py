"""The verb ``degrees_of_freedom``: how much each observing system tells an analysis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.core.influence import probed_sensitivity, self_sensitivity, signs_from
from xdeepda.core.state import Observed, State
from xdeepda.errors import InputError, Problems
from xdeepda.impact.effect import Backgrounds, Effects, Rows, anomaly_rows
from xdeepda.model import Model, as_model
from xdeepda.observations.cells import combine
from xdeepda.observations.records import USED, Records, records_of
from xdeepda.observations.sources import binned_sources
from xdeepda.options import check_machine, torch_threads
from xdeepda.provenance import history_line, package_version

#: Number, background and observations of a cycle.
Scene = tuple[int, State, Observed]

#: Groupings that need no column of the observations.
_OWN = ("variable", "depth", "source")
#: Name of the group of rows whose column says nothing.
_UNNAMED = "unknown"


def degrees_of_freedom(
    model: Model,
    analysis: xr.Dataset,
    obs: Any,
    *,
    by: str | None = "instrument",
    time: Any = None,
    probes: int = 30,
    device: str | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Degrees of freedom for signal: what the analysis takes from each observing system.

    Parameters
    ----------
    model : Model or path
        Trained model or baseline that made `analysis`.
    analysis : Dataset
        From :func:`xdeepda.assimilate`, with background and background spread.
    obs : Dataset, DataArray, pandas.DataFrame, or a list of these
        The observations that were assimilated.
    by : str or None
        What is told apart: a column of the observations (``instrument``,
        ``platform``, ...), "variable", "depth" (levels of the grid),
        "source" (of a list), or None for the total alone.
    time : datetime64, cftime or text, optional
        One cycle; by default all that both analysis and observations cover.
    probes : int
        Random vectors of signs in each cycle.  A cycle of no more superobservations than
        these is calculated exactly.
    device : str, optional
        See :func:`xdeepda.set_options`.
    seed : int
        Of the random signs.

    Returns
    -------
    xarray.Dataset
        Along ``time`` and ``group``: ``dfs``, ``dfs_error`` (standard error of the estimate
        by random signs, 0 where it is exact) and ``obs_count`` (data used); along ``time``
        alone ``dfs_total``, ``dfs_total_error`` and ``superob_count``.

    Raises
    ------
    InputError
        With all that is wrong with the input.
    ModelMismatchError
        If the analysis is on another grid than the model.

    Notes
    -----
    ``DFS = trace(S)``, ``S = d(H x_a)/dy`` (Cardinali et al. 2004; for a linear scheme
    ``trace(H K)``): an observation that the analysis follows wholly counts 1, one that it
    ignores 0, the sum is at most the number of superobservations, and what is left,
    ``p - DFS``, is told by the background.  ``trace(S)`` is estimated by random signs v,
    ``E[v' S v]`` (Chapnik et al. 2006; Hutchinson 1990), where ``S v`` is exact.  Of a
    superobservation each datum has the part of its weight.  The states at which S is taken,
    and the covariance that filters carry, are as in :func:`xdeepda.influence` with `obs`.

    References
    ----------
    Cardinali, Pezzulli & Andersson (2004), doi:10.1256/qj.03.205; Chapnik, Desroziers,
    Rabier & Talagrand (2006), doi:10.1256/qj.04.182.

    Examples
    --------
    >>> dfs = xdeepda.degrees_of_freedom(model, analysis, obs)  # doctest: +SKIP
    """
    problems = Problems("degrees_of_freedom")
    lead = as_model(model)
    check_machine(device, seed, problems)
    if isinstance(probes, bool) or not isinstance(probes, int) or probes < 2:
        problems.add("probes is a number of vectors", found=repr(probes), expected="at least 2")
    backgrounds = Backgrounds(analysis, lead, problems)
    records = number = None
    if backgrounds.usable:
        number = None if time is None else backgrounds.cycle_of(time, problems)
        records = _records(obs, backgrounds, problems)
    names = group = None
    if records is not None:
        names, group = groups_of(records, by, backgrounds, problems)
    problems.raise_if_any()
    assert records is not None
    assert names is not None
    assert group is not None
    wanted = _wanted(records, backgrounds, number)
    grouped = Grouped(records, group, len(names))
    with torch_threads():
        effects = Effects(lead, backgrounds, device)
        sums = [
            _cycle_sums(effects, scene, grouped, probes, seed)
            for scene in _scenes(effects, records, wanted)
        ]
    return _labelled(sums, names, wanted, by, backgrounds)


@dataclass(frozen=True, eq=False)
class Grouped:
    """Data, and the group of each."""

    records: Records
    group: np.ndarray
    number: int


@dataclass(frozen=True)
class Sums:
    """Of one cycle: by group, and in total."""

    dfs: np.ndarray
    error: np.ndarray
    count: np.ndarray
    total: float
    total_error: float
    superobs: int


def _records(obs: Any, backgrounds: Backgrounds, problems: Problems) -> Records | None:
    """Every datum, placed; None with a problem."""
    target, cycle = backgrounds.target, backgrounds.model.cycle
    try:
        records = records_of(binned_sources(obs, target, cycle), target, cycle)
    except InputError as error:
        problems.absorb(error)
        return None
    used = records.cycle[records.fate == USED]
    if not np.isin(used, backgrounds.mean.cycles).any():
        ends = cycle.middle(backgrounds.mean.cycles[[0, -1]], backgrounds.mean.calendar)
        problems.add("no observation falls into the analysis", expected=f"{ends[0]} to {ends[1]}")
        return None
    return records


def _wanted(records: Records, backgrounds: Backgrounds, number: int | None) -> np.ndarray:
    """Cycles that are asked for."""
    if number is not None:
        return np.array([number])
    used = records.cycle[records.fate == USED]
    cycles = backgrounds.mean.cycles
    return cycles[(cycles >= used.min()) & (cycles <= used.max())]


def groups_of(
    records: Records, by: Any, backgrounds: Backgrounds, problems: Problems
) -> tuple[list[Any] | None, np.ndarray | None]:
    """Names of the groups, and the group of each datum; None with a problem."""
    table = records.table
    if by is None:
        return ["all"], np.zeros(len(records), dtype=np.int64)
    if by == "variable":
        names = np.array([*backgrounds.model.variables, _UNNAMED], dtype=object)
        values = names[records.variable]
    elif by == "source":
        values = records.source.astype(np.int64)
    elif by == "depth" and backgrounds.target.grid.depth is not None:
        depth, _, _ = backgrounds.target.grid.coordinates(
            records.cell.clip(0) % int(np.prod(backgrounds.target.grid.shape))
        )
        values = depth
    elif isinstance(by, str) and by in table.variables and table[by].dims == ("obs",):
        values = table[by].values
        if values.dtype.kind not in "iufb":
            text = np.array([str(v) for v in values], dtype=object)
            text[(text == "") | (text == "nan") | (text == "None")] = _UNNAMED
            values = text
    else:
        columns = [str(n) for n in table.variables if table[n].dims == ("obs",)]
        problems.add(f"by={by!r} is no column of the observations",
                     expected=f"of {', '.join([*columns, *_OWN])}, or None")  # fmt: skip
        return None, None
    # names of groups that are used at all
    used = records.fate == USED
    names, inverse = np.unique(values[used], return_inverse=True)
    group = np.full(len(records), -1, dtype=np.int64)
    group[used] = inverse
    return names.tolist(), group


def _scenes(effects: Effects, records: Records, wanted: np.ndarray) -> Iterator[Scene]:
    """Background and observations of the wanted cycles."""
    backgrounds = effects.backgrounds
    used = records.cycle[records.fate == USED]
    first = max(int(backgrounds.mean.cycles[0]), int(used.min()))
    # what a filter remembers of more than a year before does not matter
    first = min(max(first, int(wanted[0]) - effects.model.cycle.per_year), int(wanted[0]))

    def rows(number: int) -> Rows:
        return anomaly_rows(records.combined(number), backgrounds.climate(number))

    for scene in effects.follow(list(range(first, int(wanted[-1]) + 1)), rows):
        if scene[0] in wanted:
            yield scene


def shares_of(records: Records, rows: np.ndarray) -> np.ndarray:
    """Weight of each of some data in the superobservation of its cell; of sum 1 in each.

    Parameters
    ----------
    records : Records
    rows : numpy.ndarray of int, shape (m,)
        Positions of the used data of one cycle.
    """
    weight = 1.0 / records.error[rows] ** 2
    share = np.zeros(len(rows))
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    cells, place = np.unique(records.cell[rows], return_inverse=True)
    total = np.zeros(len(cells))
    for source in np.unique(records.source[rows]):
        mine = np.flatnonzero(records.source[rows] == source)
        some = rows[mine]
        one = combine(
            records.cell[some], records.value[some], records.error[some], records.profile[some],
            count=records.count[some],
        )  # fmt: skip
        within = np.bincount(place[mine], weights=weight[mine], minlength=len(cells))
        told = np.zeros(len(cells))
        told[np.searchsorted(cells, one.key)] = 1.0 / one.error**2
        total += told
        parts.append((mine, within, told))
    for mine, within, told in parts:
        at = place[mine]
        share[mine] = weight[mine] / within[at] * told[at] / total[at]
    return share


def _cycle_sums(effects: Effects, scene: Scene, grouped: Grouped, probes: int, seed: int) -> Sums:
    """Degrees of freedom of one cycle."""
    number, state, observed = scene
    records, group, groups = grouped.records, grouped.group, grouped.number
    at = observed.mask[0].flatten().nonzero()[:, 0]
    cells = at.cpu().numpy()
    rows = records.of(number)
    rows = rows[records.fate[rows] == USED]
    rows = rows[np.isin(records.cell[rows], cells)]
    nothing = np.zeros(groups)
    if not cells.size:
        return Sums(nothing, nothing, nothing.astype(int), 0.0, 0.0, 0)
    place = np.searchsorted(cells, records.cell[rows]) + group[rows] * cells.size
    weight = np.bincount(place, weights=shares_of(records, rows), minlength=groups * cells.size)
    weight = weight.reshape(groups, cells.size)
    count = np.bincount(group[rows], weights=records.count[rows], minlength=groups).astype(int)
    if cells.size <= probes:
        exact = self_sensitivity(effects.module, state, observed, at)
        diagonal = exact.cpu().numpy().astype(np.float64)
        return Sums(weight @ diagonal, nothing, count, float(diagonal.sum()), 0.0, cells.size)
    generator = signs_from(seed + number % 2**31)
    made = probed_sensitivity(effects.module, state, observed, at, probes, generator)
    samples = made.cpu().numpy().astype(np.float64)
    parts, total = samples @ weight.T, samples.sum(axis=1)
    root = np.sqrt(probes)
    return Sums(
        parts.mean(axis=0), parts.std(axis=0, ddof=1) / root, count,
        float(total.mean()), float(total.std(ddof=1) / root), cells.size,
    )  # fmt: skip


def _labelled(
    sums: list[Sums], names: list[Any], wanted: np.ndarray, by: str | None, backgrounds: Backgrounds
) -> xr.Dataset:
    """Sums of the cycles as a Dataset."""
    model, time = backgrounds.model, backgrounds.mean.time_name
    both = (time, "group")
    words = {
        "dfs": (both, "degrees of freedom for signal", [s.dfs for s in sums]),
        "dfs_error": (both, "standard error of dfs", [s.error for s in sums]),
        "obs_count": (both, "data used", [s.count for s in sums]),
        "dfs_total": ((time,), "degrees of freedom for signal of all", [s.total for s in sums]),
        "dfs_total_error": ((time,), "standard error of dfs_total", [s.total_error for s in sums]),
        "superob_count": ((time,), "superobservations", [s.superobs for s in sums]),
    }
    out = xr.Dataset(
        {
            name: (dims, np.array(values), {"long_name": text, "units": "1"})
            for name, (dims, text, values) in words.items()
        },
        coords={
            time: model.cycle.middle(wanted, backgrounds.mean.calendar),
            "group": ("group", names, {"long_name": by or "all observations"}),
        },
    )
    out.attrs = {
        "title": "degrees of freedom for signal",
        "history": history_line(f"degrees_of_freedom(by={by!r})"),
        "xdeepda_version": package_version(),
        "model_hash": model.hash,
    }
    return out
