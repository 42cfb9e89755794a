"""An estimate against observations: sums over their departures, in observation space.

Equivalents of the estimate at the places of observations are those of
:func:`xdeepda.departures`.  Knows tables and sums; no statistics.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import xarray as xr

from xdeepda.errors import InputError, Problems
from xdeepda.observations.columns import is_points
from xdeepda.observations.departures import departures
from xdeepda.observations.ledger import is_ledger
from xdeepda.observations.placing import WITHHELD
from xdeepda.observations.records import ALL_FATES, COMPARED, USED
from xdeepda.verification.calibration import pit, pit_bins, quantile_edges, rank_bins
from xdeepda.verification.fields import Estimate
from xdeepda.verification.groups import Groups
from xdeepda.verification.normals import Normals
from xdeepda.verification.sums import Sums, field_terms

logger = logging.getLogger("xdeepda")


def are_observations(obj: Any) -> bool:
    """Whether this is a table of observations, their departures, or gridded observations."""
    if hasattr(obj, "columns") and hasattr(obj, "iloc"):
        return True  # a DataFrame
    if isinstance(obj, xr.Dataset):
        names = set(map(str, obj.data_vars))
        # what superob and observe give
        if any({f"{n}_error", f"{n}_count"} <= names for n in names):
            return True
    return isinstance(obj, (xr.Dataset, xr.DataArray)) and is_points(obj)


@dataclass(frozen=True, eq=False)
class PointComparison:
    """Departures of observations from one variable of an estimate; n of them.

    Attributes
    ----------
    estimate : Estimate
    columns : dict of numpy.ndarray, shape (n,)
        ``observed``, ``observed_error``, ``value``, ``spread``, ``background``,
        ``climatology``, ``depth``, ``latitude``, ``longitude``.
    members : numpy.ndarray or None, shape (member, n)
    cycle : numpy.ndarray of int64, shape (n,)
    platform : numpy.ndarray, shape (n,)
        Number of the platform.
    assimilated : bool
        Whether the estimate has seen them.
    desroziers : dict of numpy.ndarray or None
        O-B, O-A and position of those that were assimilated.
    told : str
        How many observations of the variable are not compared, and why.
    """

    estimate: Estimate
    columns: dict[str, np.ndarray]
    members: np.ndarray | None
    cycle: np.ndarray
    platform: np.ndarray
    assimilated: bool
    desroziers: dict[str, np.ndarray] | None
    told: str


def prepare(
    obs: Any,
    estimate: Estimate,
    part: str,
    normals: Normals | None,
    assimilated: bool,
    who: str,
    problems: Problems,
) -> PointComparison | None:
    """Departures of observations, or why there are none; None with a problem."""
    if estimate.cycle is None:
        problems.add(f"{who}: observations cannot be compared with an analysis without times",
                     todo="analysis.expand_dims('time')")  # fmt: skip
        return None
    try:
        table = obs if isinstance(obs, xr.Dataset) and is_ledger(obs) else None
        table = departures(_analysis(estimate), obs) if table is None else table
    except (InputError, NotImplementedError) as error:
        problems.add(f"{who}: these observations cannot be compared", found=str(error))
        return None
    rows, seen = _rows(table, estimate, assimilated)
    unseen = rows & ~seen
    if not rows.any():
        problems.add(
            f"{who}: no observation of {estimate.name!r} lies within the analysis",
            found=f"{table.sizes['obs']} rows",
            expected=f"within {estimate.grid}, {_period(estimate)}",
        )
        return None
    if not unseen.any() and not assimilated:
        logger.warning("verify: %s: the analysis has seen these observations: its errors look "
                       "smaller than they are", who)  # fmt: skip
    columns = _columns(table, rows, part)
    columns |= _climatology(table, rows, estimate, normals)
    return PointComparison(
        estimate,
        columns,
        _members(table, rows, estimate) if part == "analysis" else None,
        table["cycle"].values[rows],
        _platforms(table)[rows],
        not unseen.any(),
        _innovations(table, seen) if seen.any() else None,
        _left_out(table, estimate, rows),
    )


def _rows(
    table: xr.Dataset, estimate: Estimate, assimilated: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to verify with, those that the analysis has not seen if there are any; rows it saw."""
    has = table["analysed_variable"].values == estimate.name
    has &= np.isfinite(_column(table, "residual"))
    fate = table["fate"].values
    seen = has & (fate == USED)
    unseen = has & np.isin(fate, (COMPARED, WITHHELD))
    if assimilated:
        seen, unseen = seen | (unseen & (fate == COMPARED)), unseen & (fate == WITHHELD)
    return (unseen if unseen.any() else seen), seen


def _left_out(table: xr.Dataset, estimate: Estimate, rows: np.ndarray) -> str:
    """Number of the other rows of the variable, by what became of them."""
    other = (table["analysed_variable"].values == estimate.name) & ~rows
    number = np.bincount(table["fate"].values[other], minlength=len(ALL_FATES))
    words = {USED: "assimilated", COMPARED: "without a value of the analysis at their place"}
    told = [f"{n} {words.get(k, ALL_FATES[k])}" for k, n in enumerate(number.tolist()) if n]
    return ", ".join(told)


def _analysis(estimate: Estimate) -> xr.Dataset:
    """The fields that departures need, and no others."""
    ds = estimate.dataset
    suffixes = ("", "_spread", "_background", "_background_spread", "_obs_count")
    return ds[[estimate.name + s for s in suffixes if estimate.name + s in ds]]


def _period(estimate: Estimate) -> str:
    """First and last cycle in words."""
    assert estimate.cycle is not None
    first, last = estimate.cycle.middle(estimate.value.numbers[[0, -1]], estimate.calendar)
    return f"{first!s:.10} to {last!s:.10}"


def _column(table: xr.Dataset, name: str) -> np.ndarray:
    """Column as floats, NaN where there is none."""
    if name not in table.variables:
        return np.full(table.sizes["obs"], np.nan)
    return np.asarray(table[name].values, dtype=np.float64)


def _columns(table: xr.Dataset, rows: np.ndarray, part: str) -> dict[str, np.ndarray]:
    """What is summed, of some rows."""
    names = {
        "observed": "observed",
        "observed_error": "observed_error",
        "value": part,
        "spread": f"{part}_spread",
        "depth": "depth",
        "latitude": "latitude",
        "longitude": "longitude",
    }
    if part == "analysis":
        names["background"] = "background"
    return {key: _column(table, name)[rows] for key, name in names.items()}


def _platforms(table: xr.Dataset) -> np.ndarray:
    """Number of the platform of each row; places of 5 degrees where it has no name."""
    if "platform" in table.variables:
        names = np.array([str(v) for v in table["platform"].values])
        if (names != "").any():
            return np.unique(names, return_inverse=True)[1]
    lat, lon = _column(table, "latitude"), np.mod(_column(table, "longitude"), 360)
    boxes = np.nan_to_num(lat + 90) // 5 * 72 + np.nan_to_num(lon) // 5
    return np.unique(boxes, return_inverse=True)[1]


def _innovations(table: xr.Dataset, seen: np.ndarray) -> dict[str, np.ndarray] | None:
    """O-B and O-A of what was assimilated."""
    keys = ("innovation", "residual", "depth", "latitude", "longitude")
    out = {key: _column(table, key)[seen] for key in keys}
    if not np.isfinite(out["innovation"]).any():
        return None
    out["cycle"], out["platform"] = table["cycle"].values[seen], _platforms(table)[seen]
    return out


def _climatology(
    table: xr.Dataset, rows: np.ndarray, estimate: Estimate, normals: Normals | None
) -> dict[str, np.ndarray]:
    """Climatology at the places of observations, by the same operator."""
    if normals is None:
        return {}
    assert estimate.cycle is not None
    numbers = np.unique(table["cycle"].values[rows])
    fields = np.stack([normals.at(int(n)) for n in numbers])
    layout, grid = estimate.layout, estimate.grid
    sizes = [getattr(grid, d).size for d in grid.dims]
    da = xr.DataArray(fields.reshape(-1, *sizes), dims=("time", *grid.dims))
    da = layout.restore(da.assign_coords(time=estimate.cycle.middle(numbers, estimate.calendar)))
    return {"climatology": _equivalents(da, estimate, _places(table, rows, estimate))}


def _members(table: xr.Dataset, rows: np.ndarray, estimate: Estimate) -> np.ndarray | None:
    """Each member at the places of observations."""
    name = estimate.layout.axes.member
    if name is None or estimate.value.members < 2:
        return None
    da, where = estimate.dataset[estimate.name], _places(table, rows, estimate)
    members = (da.isel({name: m}, drop=True) for m in range(estimate.value.members))
    return np.stack([_equivalents(member, estimate, where) for member in members])


def _places(table: xr.Dataset, rows: np.ndarray, estimate: Estimate) -> xr.Dataset:
    """Some rows as observations that need no conversion any more."""
    attrs = {"units": estimate.unit, "standard_name": estimate.standard_name}
    units = {"depth": "m", "latitude": "degrees_north", "longitude": "degrees_east"}
    coords = {name: ("obs", table[name].values[rows], {"units": u}) for name, u in units.items()}
    coords["time"] = ("obs", table["time"].values[rows], {})
    variables = {
        estimate.name: ("obs", table["observed"].values[rows], attrs),
        # any number will do, but without one a default would be told of
        f"{estimate.name}_error": ("obs", np.ones(int(rows.sum())), {}),
    }
    return xr.Dataset(variables, coords)


def _equivalents(da: xr.DataArray, estimate: Estimate, places: xr.Dataset) -> np.ndarray:
    """A field at places; NaN where it has no value."""
    assert estimate.cycle is not None
    attrs = {"units": estimate.unit, "standard_name": estimate.standard_name}
    ds = da.assign_attrs(attrs).to_dataset(name=estimate.name)
    ds.attrs["cycle"] = estimate.cycle.name
    found = departures(ds, places)
    out = np.full(places.sizes["obs"], np.nan)
    out[found["row"].values] = _column(found, "analysis")
    return out


# ---- sums


def units_of(comparison: PointComparison, by_platform: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cycle and platform of each unit, shape (unit,): those of all rows, in order."""
    cycle, platform = _keys(comparison.cycle, comparison.platform, by_platform)
    if comparison.desroziers is not None:
        more = _keys(comparison.desroziers["cycle"], comparison.desroziers["platform"], by_platform)
        cycle, platform = np.append(cycle, more[0]), np.append(platform, more[1])
    both = np.unique(np.stack([cycle, platform], axis=1), axis=0)
    return both[:, 0], both[:, 1]


def _keys(
    cycle: np.ndarray, platform: np.ndarray, by_platform: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Cycle and platform; one platform if they do not matter."""
    return cycle, platform if by_platform else np.zeros(cycle.size, dtype=np.int64)


class _Rows:
    """Where rows go: to a unit, a level, and groups of places."""

    def __init__(
        self,
        estimate: Estimate,
        groups: Groups,
        units: tuple[np.ndarray, np.ndarray],
        where: dict[str, np.ndarray],
        cycle: np.ndarray,
        platform: np.ndarray,
    ) -> None:
        self.inside = groups.members(where["latitude"], where["longitude"])
        self.nz, self.groups = estimate.grid.shape[0], len(self.inside)
        known = {pair: n for n, pair in enumerate(zip(*(u.tolist() for u in units), strict=True))}
        pairs = zip(cycle.tolist(), platform.tolist(), strict=True)
        self.unit = np.array([known[pair] for pair in pairs], dtype=np.int64)
        self.units = len(known)
        self.level = _levels(estimate, where["depth"])

    def sums(self, terms: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Sums of columns; shape (unit, level, group)."""
        return {
            name: self._sum(self.unit, self.units, v.astype(np.float64))
            for name, v in terms.items()
        }

    def tally(
        self, held: np.ndarray, numbers: np.ndarray, bins: int, term: np.ndarray | float = 1.0
    ) -> np.ndarray:
        """Sums of a term by bin, -1 in none; shape (part of time, bin, level, group)."""
        term = np.broadcast_to(np.asarray(term, dtype=np.float64), numbers.shape)
        known = np.where((numbers >= 0) & np.isfinite(term), term, 0.0)
        by_unit = self._sum(
            self.unit * bins + np.maximum(numbers, 0), self.units * bins, known
        ).reshape(self.units, bins, self.nz, self.groups)
        return np.einsum("pu,ubzg->pbzg", held.astype(np.float64), by_unit)

    def _sum(self, number: np.ndarray, size: int, column: np.ndarray) -> np.ndarray:
        """Sums by a number of each row, by level and group."""
        there = self.level >= 0
        flat = (number * self.nz + self.level)[there]
        shape = (size * self.nz, int(there.sum()))
        where = sp.csr_matrix((column[there], (flat, np.arange(flat.size))), shape=shape)
        found = np.asarray(where @ self.inside[:, there].T.astype(np.float64))
        return found.reshape(size, self.nz, self.groups)


def _levels(estimate: Estimate, depth: np.ndarray) -> np.ndarray:
    """Level that holds each depth; the nearest beyond the ends; 0 without a depth axis."""
    edges = estimate.grid.depth_edges
    if edges is None:
        return np.zeros(depth.size, dtype=np.int64)
    found = np.searchsorted(edges, np.nan_to_num(depth), side="right") - 1
    return np.clip(found, 0, edges.size - 2)


def sum_points(
    comparison: PointComparison,
    groups: Groups,
    units: tuple[np.ndarray, np.ndarray],
    held: np.ndarray,
    *,
    by_platform: bool,
    bins: int,
    seed: int,
) -> Sums:
    """Sum over all observations.

    Parameters
    ----------
    comparison : PointComparison
    groups : Groups
    units : (cycle, platform)
        From :func:`units_of`.
    held : numpy.ndarray of bool, shape (part of time, unit)
    by_platform : bool
    bins : int
    seed : int
    """
    c, estimate = comparison.columns, comparison.estimate
    keys = _keys(comparison.cycle, comparison.platform, by_platform)
    rows = _Rows(estimate, groups, units, c, *keys)
    names = [n for n in ("climatology", "background") if n in c and np.isfinite(c[n]).any()]
    spread = c["spread"] if np.isfinite(c["spread"]).any() else None
    error = np.nan_to_num(c["observed_error"])
    value, noisy = c["value"], None
    if comparison.members is not None:
        value = comparison.members.mean(axis=0)
        rng = np.random.default_rng([seed, 1])
        noisy = comparison.members + error * rng.standard_normal(comparison.members.shape)
    terms = field_terms(
        value,
        c["observed"],
        standards={n: c[n] for n in names},
        spread=spread,
        members=comparison.members,
        error=error,
        noisy=noisy,
    )
    there = np.isfinite(c["observed_error"])
    terms |= {"observation:w": there, "observation:vv": error**2}
    sums = rows.sums(terms)
    if comparison.desroziers is not None:
        sums |= _desroziers(comparison, groups, units, by_platform)
    histograms = _histograms(rows, comparison, value, spread, error, held, bins, seed)
    return Sums(sums, None, histograms, np.ones(rows.nz))


def _desroziers(
    comparison: PointComparison,
    groups: Groups,
    units: tuple[np.ndarray, np.ndarray],
    by_platform: bool,
) -> dict[str, np.ndarray]:
    """Products of the departures of what was assimilated."""
    d = comparison.desroziers
    assert d is not None
    rows = _Rows(
        comparison.estimate, groups, units, d, *_keys(d["cycle"], d["platform"], by_platform)
    )
    ob, oa = d["innovation"], d["residual"]
    there = np.isfinite(ob) & np.isfinite(oa)
    terms = {"w": there.astype(float), "observation": oa * ob, "background": (ob - oa) * ob}
    return rows.sums({f"desroziers:{n}": np.where(there, v, 0.0) for n, v in terms.items()})


def _histograms(
    rows: _Rows,
    comparison: PointComparison,
    value: np.ndarray,
    spread: np.ndarray | None,
    error: np.ndarray,
    held: np.ndarray,
    bins: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Transforms, ranks and reliability; of each level its own quantiles of the variance."""
    observed = comparison.columns["observed"]
    out = {}
    if spread is not None:
        values = pit(value, spread, observed, error=error)
        out["pit"] = rows.tally(held, pit_bins(values, bins), bins)
        variance = spread**2 + error**2
        numbers = _quantile_bins(variance, rows.level, bins)
        squared = np.square(value - observed)
        for name, term in (("w", 1.0), ("v", variance), ("e", squared)):
            out[f"reliability:{name}"] = rows.tally(held, numbers, bins, term)
    if comparison.members is not None:
        ranks = rank_bins(comparison.members, observed, error=error, seed=seed)
        out["rank"] = rows.tally(held, ranks, len(comparison.members) + 1)
    return out


def _quantile_bins(variance: np.ndarray, level: np.ndarray, bins: int) -> np.ndarray:
    """Bin of each variance among those of its level, -1 where it is not known."""
    out = np.full(variance.size, -1)
    for k in np.unique(level):
        mine = np.flatnonzero((level == k) & np.isfinite(variance))
        out[mine] = np.searchsorted(quantile_edges(variance[mine], bins), variance[mine])
    return out
