"""An estimate against a reference on a grid: streamed cycle by cycle into sums.

The reference comes to the grid of the estimate (:mod:`xdeepda.verification.regrid`); cells
that it does not cover are counted as missing.  Knows fields and sums; no statistics.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from xdeepda.errors import Problems
from xdeepda.progress import progress_bar
from xdeepda.verification.calibration import pit, pit_bins, quantile_edges, rank_bins
from xdeepda.verification.collecting import ColumnSums
from xdeepda.verification.fields import Estimate, FieldSeries, reference_series
from xdeepda.verification.groups import Groups, Parts
from xdeepda.verification.normals import Normals
from xdeepda.verification.regrid import Regridder
from xdeepda.verification.sums import NUMBERS, Sums, field_terms

#: Cycles whose spreads give the edges of the bins of reliability.
_SAMPLED = 12

#: How a reference on another grid is compared.
BROUGHT = (
    "reference brought to the grid of the estimate: mean over what overlaps a cell where it is "
    "finer, linear where it is not; cells that are not covered wholly are left out"
)


@dataclass(frozen=True, eq=False)
class FieldComparison:
    """An estimate and a reference on a grid that can be compared.

    Attributes
    ----------
    estimate : Estimate
    reference : FieldSeries
    regrid : Regridder
    numbers : numpy.ndarray of int64
        Cycles that both have.
    told : str
        How the grids meet.
    """

    estimate: Estimate
    reference: FieldSeries
    regrid: Regridder
    numbers: np.ndarray
    told: str
    _recent: dict[int, np.ndarray] = field(default_factory=dict)

    def on_grid(self, number: int, keep: int = 0) -> np.ndarray:
        """Reference of a cycle on the grid of the estimate, shape (nz, ny, nx).

        The last `keep` cycles are remembered: persistence asks for them again.
        """
        if number not in self._recent:
            self._recent[number] = self.regrid(self.reference.read(number)[0])
        found = self._recent[number]
        for old in [n for n in self._recent if n <= number - keep]:
            del self._recent[old]
        return found


def prepare(
    ds: xr.Dataset, estimate: Estimate, who: str, problems: Problems
) -> FieldComparison | None:
    """Check that a product can be compared with an estimate; None with a problem."""
    series = reference_series(ds, estimate, who, problems)
    if series is None:
        return None
    numbers = np.intersect1d(estimate.value.numbers, series.numbers)
    if not numbers.size:
        problems.add(f"{who}: no time in common with the analysis",
                     found=_period(series.numbers, estimate),
                     expected=_period(estimate.value.numbers, estimate))  # fmt: skip
        return None
    regrid = Regridder(series.grid, estimate.grid)
    if not np.isfinite(regrid(np.ones(series.grid.shape))).any():
        problems.add(f"{who}: its grid covers no cell of the analysis",
                     found=str(series.grid), expected=f"within {estimate.grid}")  # fmt: skip
        return None
    told = "on the same grid" if regrid.same else BROUGHT
    return FieldComparison(estimate, series, regrid, numbers, told)


def _period(numbers: np.ndarray, estimate: Estimate) -> str:
    """First and last cycle in words."""
    if estimate.cycle is None or not numbers.size:
        return "no time"
    first, last = estimate.cycle.middle(numbers[[0, -1]], estimate.calendar)
    return f"{first!s:.10} to {last!s:.10}"


def sum_fields(
    comparison: FieldComparison,
    groups: Groups,
    parts: Parts,
    *,
    normals: Normals | None,
    persistence: int,
    bins: int,
    by_depth: bool,
    seed: int,
    progress: bool,
) -> Sums:
    """Sum over all cycles.

    Parameters
    ----------
    comparison : FieldComparison
    groups : Groups
    parts : Parts
        Of time, for the histograms; units are the cycles of the comparison.
    normals : Normals or None
    persistence : int
        Lag in cycles; 0 for none.
    bins : int
        Of the histogram of transforms and of reliability.
    by_depth : bool
        Whether bins of reliability are quantiles within each level.
    seed : int
    progress : bool
    """
    grid = comparison.estimate.grid
    inside = groups.members(*places(comparison.estimate))
    area = (grid.area / grid.area.max()).ravel()
    collector = _Collector(ColumnSums(inside, area), parts, bins)
    collector.edges = _edges(comparison, bins, by_depth)
    bar = progress_bar(len(comparison.numbers), "verify", progress, unit="cycle", delay=2.0)
    with bar:
        for unit, number in enumerate(comparison.numbers.tolist()):
            cycle = _Cycle(comparison, normals, persistence, number)
            collector.add(unit, cycle, seed)
            bar.update()
    return collector.finish(grid.thickness)


def places(estimate: Estimate) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude of the columns, shape (ny * nx,); NaN for a missing axis."""
    grid = estimate.grid
    lat = np.full(1, np.nan) if grid.lat is None else grid.lat
    lon = np.full(1, np.nan) if grid.lon is None else grid.lon
    both = np.meshgrid(lat, lon, indexing="ij")
    return both[0].ravel(), both[1].ravel()


def _edges(comparison: FieldComparison, bins: int, by_depth: bool) -> np.ndarray | None:
    """Quantiles of the spread, shape (level or 1, bins - 1), from some of the cycles."""
    spread = comparison.estimate.spread
    if spread is None:
        return None
    numbers = comparison.numbers
    some = numbers[np.unique(np.linspace(0, len(numbers) - 1, _SAMPLED).astype(int))]
    drawn = np.stack([spread.read(n)[0] for n in some.tolist()], axis=1)
    drawn = drawn.reshape(len(drawn) if by_depth else 1, -1)
    return np.stack([quantile_edges(row[np.isfinite(row)], bins) for row in drawn])


class _Cycle:
    """What one cycle of a comparison holds, of the columns in the sea; shape (level, column)."""

    def __init__(
        self, comparison: FieldComparison, normals: Normals | None, lag: int, number: int
    ) -> None:
        estimate = comparison.estimate
        self.number = number
        fields = estimate.value.read(number)
        nz = fields.shape[1]
        value = fields.mean(axis=0)
        self.columns = np.flatnonzero(np.isfinite(value).any(axis=0))

        def sea(field: np.ndarray) -> np.ndarray:
            return field.reshape(*field.shape[:-3], nz, -1)[..., self.columns]

        self.value = sea(value)
        self.members = sea(fields) if estimate.value.members > 1 else None
        # the earlier one first: it is remembered, or read with what follows it
        earlier = _earlier(comparison, lag, number)
        self.reference = sea(comparison.on_grid(number, lag))
        self.spread = None if estimate.spread is None else sea(estimate.spread.read(number)[0])
        standards: dict[str, np.ndarray] = {}
        if normals is not None:
            standards["climatology"] = normals.at(number)
        if earlier is not None and normals is not None:
            earlier = earlier + standards["climatology"] - normals.at(number - lag)
        if earlier is not None:
            standards["persistence"] = earlier
        if estimate.background is not None:
            standards["background"] = estimate.background.read(number).mean(axis=0)
        self.standards = {name: sea(field) for name, field in standards.items()}


def _earlier(comparison: FieldComparison, lag: int, number: int) -> np.ndarray | None:
    """Reference of some cycles before; NaN where there is none; None without persistence."""
    if not lag:
        return None
    if number - lag not in comparison.reference.numbers:
        return np.full(comparison.estimate.grid.shape, np.nan)
    return comparison.on_grid(number - lag, lag + 1)


class _Collector:
    """Sums by unit, level and group."""

    def __init__(self, places: ColumnSums, parts: Parts, bins: int) -> None:
        self.places, self.parts, self.bins = places, parts, bins
        self.rows: list[dict[str, np.ndarray]] = []
        self.members: list[np.ndarray] = []
        self.histograms: dict[str, np.ndarray] = {}
        self.edges: np.ndarray | None = None
        self._columns, self._sums = np.arange(places.area.size), places

    def add(self, unit: int, cycle: _Cycle, seed: int) -> None:
        """Take over one cycle."""
        if not np.array_equal(cycle.columns, self._columns):
            self._columns, self._sums = cycle.columns, self.places.of(cycle.columns)
        sums = self._sums
        terms = field_terms(
            cycle.value,
            cycle.reference,
            standards=cycle.standards,
            spread=cycle.spread,
            members=cycle.members,
        )
        self.rows.append(
            {n: sums.number(v) if n in NUMBERS else sums.total(v) for n, v in terms.items()}
        )
        there = terms["n"] > 0
        if cycle.members is not None:
            held = [sums.total(np.where(there, m, 0.0)) for m in cycle.members]
            self.members.append(np.stack(held))
        if self.parts.name != "time":
            self._count(unit, cycle, there, seed)

    def _count(self, unit: int, cycle: _Cycle, there: np.ndarray, seed: int) -> None:
        """Histograms of transforms, ranks and variances."""
        if cycle.spread is not None:
            values = np.where(there, pit(cycle.value, cycle.spread, cycle.reference), np.nan)
            self._tally(unit, pit_bins(values, self.bins), self.bins, {"pit": None})
            self._reliability(cycle, there, unit)
        if cycle.members is not None:
            ranks = rank_bins(cycle.members, cycle.reference, seed=seed, stream=cycle.number)
            self._tally(unit, ranks, len(cycle.members) + 1, {"rank": None})

    def _reliability(self, cycle: _Cycle, there: np.ndarray, unit: int) -> None:
        """Squared errors in bins of the predicted variance."""
        assert cycle.spread is not None
        assert self.edges is not None
        edges = np.broadcast_to(self.edges, (len(cycle.spread), self.bins - 1))
        pairs = zip(edges, cycle.spread, strict=True)
        numbers = np.stack([np.searchsorted(e, s) for e, s in pairs])
        numbers = np.where(there & np.isfinite(cycle.spread), numbers, -1)
        squares = {"v": cycle.spread**2, "e": np.square(cycle.value - cycle.reference)}
        named: dict[str, np.ndarray | None] = {f"reliability:{n}": v for n, v in squares.items()}
        self._tally(unit, numbers, self.bins, {"reliability:w": None, **named})

    def _tally(
        self, unit: int, bin_of: np.ndarray, bins: int, terms: dict[str, np.ndarray | None]
    ) -> None:
        """Add sums by bin to the parts of time that hold a unit."""
        for name, sums in self._sums.tally(bin_of, bins, terms).items():
            empty = np.zeros((len(self.parts.held), *sums.shape))
            self.histograms.setdefault(name, empty)[self.parts.held[:, unit]] += sums

    def finish(self, thickness: np.ndarray) -> Sums:
        """Return the sums."""
        values = {name: np.stack([row[name] for row in self.rows]) for name in self.rows[0]}
        members = np.stack(self.members) if self.members else None
        return Sums(values, members, self.histograms, thickness)
