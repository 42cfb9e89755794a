"""Checks against the background, between the forecast and the analysis of a cycle.

The probability of a gross error follows Lorenc and Hammon (1988, Q. J. R. Meteorol.
Soc. 114, 217) and Ingleby and Huddleston (2007, J. Mar. Syst. 65, 158), simplified:

* Background check.  A good innovation d is normal with variance s² = B + R, a gross
  error equally likely everywhere.  Then the odds of a gross error are
  exp((z² - k²) / 2) with z = d / s, where the one threshold k stands for its prior
  probability and its range: at an absolute z of k it is as likely as not.
* Buddy check.  Two good innovations of different platforms are correlated by their
  background errors.  The probability of a gross error is multiplied by
  [1 - (1 - P_i) (1 - P_j) (1 - p(d_i, d_j) / (p(d_i) p(d_j)))]^(-1/2) for each buddy j:
  it falls where they agree, and rises where they do not; the root allows for buddies
  that are not independent.  For this, P is at most 0.9 after the background check, so
  that neighbours which agree on a real anomaly (or on a bias of the model) can bring
  each other back.
* Errors that are given too small.  Where the innovations of a level and cycle are larger
  than expected as a whole (by their median, which gross errors do not move), all of
  that level are measured against what they are, not against what was expected; that is
  told.  What a coarse grid does not show of a point is easily forgotten in its error.
* Whole profiles.  Where most of a profile fails, the rest goes with it.

Simpler than the sources: a buddy is the median of what one platform measured in one
model cell; its correlation is one Gaussian in the horizontal within one level; the
nearest eight count, and all at once instead of pair after pair, so that the order of
the data does not matter.  Knows numbers in observation space; knows no fields'
labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from numbers import Real
from typing import Any

import numpy as np

from xdeepda.errors import Problems
from xdeepda.grid import EARTH_RADIUS, Grid
from xdeepda.observations.interpolation import PointOperator
from xdeepda.observations.records import (
    BY_BACKGROUND,
    BY_BUDDIES,
    BY_PROFILE,
    USED,
    Records,
)
from xdeepda.observations.target import Target

#: Largest probability with which a datum enters the buddy check.
_MOST = 0.9
#: Beyond this many thresholds no neighbour helps: equal fill values would restore each other.
_HOPELESS = 2.5
#: Buddies that are heard, and looked at (some are of the same platform).
_HEARD, _LOOKED_AT = 8, 16
#: Data that look for their buddies at a time.
_BLOCK = 2**16
#: Buddies are looked for within this many correlation lengths.
_REACH = 2.0
#: Power of the factor of a buddy.
_DAMPING = 0.5
#: Median of the absolute value of a standard normal number.
_MEDIAN = 0.6745
#: Levels with fewer data in a cycle are taken at their word.
_ENOUGH = 30
#: Profiles with fewer data in a cycle are judged datum by datum.
_FEWEST = 3


@dataclass(frozen=True)
class Checks:
    """Settings of the checks of the data against the background, within the cycle.

    Method of Lorenc and Hammon (1988) and of Ingleby and Huddleston (2007), simplified;
    the page "What happened to my data?" describes it.

    Attributes
    ----------
    background, buddy : bool
    threshold : float
        Innovations of more than this many expected standard deviations are suspicious.
    profile : float
        A profile of which a larger part fails is rejected as a whole; 1 for never.
    length : float, optional
        Correlation length of the background error in km, for the buddy check; by
        default that of the anomalies of the control run.
    inflate : bool
        Measure innovations against what those of the level and cycle are as a whole,
        where that is more than expected.
    """

    background: bool = True
    buddy: bool = True
    threshold: float = 4.0
    profile: float = 0.5
    length: float | None = None
    inflate: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain settings, for JSON."""
        return asdict(self)


def checks_of(given: Any, problems: Problems) -> Checks | None:
    """Settings that ``checks=`` asks for; None for no checks, or with a problem."""
    if given is None or given is False:
        return None
    expected = "None, 'all', 'background', 'buddy', a list of these, or a mapping of " + ", ".join(
        f.name for f in fields(Checks)
    )
    if given == "all" or isinstance(given, Checks):
        return given if isinstance(given, Checks) else Checks()
    if isinstance(given, Mapping):
        return _of_mapping(given, expected, problems)
    names = [given] if isinstance(given, str) else given
    if isinstance(names, (list, tuple, set)) and names and set(names) <= {"background", "buddy"}:
        return Checks("background" in names, "buddy" in names)
    problems.add("checks= is not understood", found=repr(given), expected=expected)
    return None


def _of_mapping(given: Mapping[str, Any], expected: str, problems: Problems) -> Checks | None:
    """Settings by name, each checked."""
    before = len(problems)
    limits = {"threshold": (0, 100), "profile": (0, 1), "length": (0, 2e4)}
    known = [f.name for f in fields(Checks)]
    for name, value in given.items():
        if name not in known:
            problems.add(f"checks= has no setting {name!r}", expected=expected)
        elif name not in limits:
            if not isinstance(value, (bool, np.bool_)):
                problems.add(f"{name} of checks= is not True or False", found=repr(value))
        elif name != "length" or value is not None:
            low, high = limits[name]
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not low < float(value) <= high:
                problems.add(f"{name} of checks= is out of range", found=repr(value),
                             expected=f"more than {low}, at most {high:g}")  # fmt: skip
    return Checks(**given) if len(problems) == before else None


class Screen:
    """Judges the data of each cycle, and notes what became of them in their records.

    Parameters
    ----------
    records : Records
        Their fates are changed in place.
    target : Target
    checks : Checks
    length : float
        Correlation length in km where `checks` has none.
    """

    def __init__(self, records: Records, target: Target, checks: Checks, length: float) -> None:
        self.records, self.target, self.checks = records, target, checks
        self.length = checks.length or length
        self.probability = np.full(len(records), np.nan, dtype=np.float32)
        self.restored = 0
        self.inflation = 1.0

    def judge(self, number: int, background: np.ndarray, spread: np.ndarray) -> int:
        """Check the data of a cycle.

        Parameters
        ----------
        number : int
            Absolute number of the cycle.
        background, spread : numpy.ndarray, shape (variable, nz, ny, nx)
            Absolute values and standard deviations of their error, in the units of
            the target.

        Returns
        -------
        int
            How many data were rejected.
        """
        records = self.records
        rows = records.of(number)
        rows = rows[records.fate[rows] == USED]
        if not rows.size or not (self.checks.background or self.checks.buddy):
            return 0
        innovation, sigma = self._innovations(rows, background, spread)
        variance = np.stack([sigma**2, records.error[rows] ** 2])
        if self.checks.inflate:
            variance *= self._inflation(rows, innovation / np.sqrt(variance.sum(axis=0))) ** 2
        z = innovation / np.sqrt(variance.sum(axis=0))
        threshold = self.checks.threshold
        odds = np.clip((z**2 - threshold**2) / 2, -80, 80)
        chance = 1 / (1 + np.exp(-odds))
        alone = np.abs(z) > threshold
        rejected = alone if self.checks.background else np.zeros(rows.size, dtype=bool)
        if self.checks.buddy:
            chance, heard = self._with_buddies(rows, innovation, variance, chance)
            hopeless = np.abs(z) > _HOPELESS * threshold
            rejected = np.where(heard, (chance > 0.5) | hopeless, rejected)
            self.restored += int((alone & ~rejected).sum()) if self.checks.background else 0
        self.probability[rows] = chance
        fate = np.where(alone & self.checks.background, BY_BACKGROUND, BY_BUDDIES)
        records.fate[rows] = np.where(rejected, fate, USED)
        return int(rejected.sum()) + self._whole_profiles(rows, rejected)

    def _innovations(
        self, rows: np.ndarray, background: np.ndarray, spread: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Observed minus background at each datum, and the spread of the background there."""
        innovation, sigma = np.zeros((2, rows.size))
        for v, name in enumerate(self.target.variables):
            mine = self.records.variable[rows] == v
            if not mine.any():
                continue
            columns = ("depth", "latitude", "longitude")
            where = (self.records.table[n].values[rows[mine]] for n in columns)
            grid = self.target.layouts[name].grid
            operator = PointOperator.on(grid, self.target.wet[v], *where)
            innovation[mine] = self.records.value[rows[mine]] - operator.apply(background[v])
            sigma[mine] = operator.apply(spread[v])
        return innovation, sigma

    def _levels(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Level (of a variable) and column of cells of each row."""
        _, ny, nx = self.target.grid.shape
        level, column = np.divmod(self.records.cell[rows], ny * nx)
        return level, column

    def _inflation(self, rows: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Factor on the expected standard deviation of each row, at least 1."""
        level, _ = self._levels(rows)
        factor = np.ones(rows.size)
        for number in np.unique(level):
            mine = level == number
            if mine.sum() >= _ENOUGH:
                factor[mine] = max(1.0, float(np.median(np.abs(z[mine]))) / _MEDIAN)
        self.inflation = max(self.inflation, float(factor.max(initial=1.0)))
        return factor

    def _with_buddies(
        self, rows: np.ndarray, innovation: np.ndarray, variance: np.ndarray, chance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities after the buddies were heard, and whether there were any."""
        level, column = self._levels(rows)
        source = self.records.source[rows].astype(np.uint64) << np.uint64(56)
        platform = self.records.platform[rows] ^ source
        place = _unit_vectors(self.target.grid, self._positions(rows))
        start = np.minimum(chance, _MOST)
        log = np.log(np.maximum(start, 1e-35))
        heard = np.zeros(rows.size, dtype=bool)
        for number in np.unique(level):
            mine = np.flatnonzero(level == number)
            buddies = _buddies(
                platform[mine], column[mine], innovation[mine], variance[:, mine], place[mine]
            )
            for first in range(0, mine.size, _BLOCK):
                some = mine[first : first + _BLOCK]
                factor, heard[some] = _factors(
                    innovation[some], variance[:, some], place[some], platform[some],
                    start[some], buddies, self.length, self.checks.threshold,
                )  # fmt: skip
                log[some] += factor
        return np.where(heard, np.exp(np.minimum(log, 0)), chance), heard

    def _positions(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude of rows in degrees."""
        table = self.records.table
        return table["latitude"].values[rows], table["longitude"].values[rows]

    def _whole_profiles(self, rows: np.ndarray, rejected: np.ndarray) -> int:
        """Reject what is left of profiles of which most has failed."""
        records = self.records
        rows, rejected = (a[records.single[rows]] for a in (rows, rejected))
        if not rejected.any():
            return 0
        key = np.stack([records.source[rows].astype(np.uint64), records.profile[rows]])
        _, group = np.unique(key, axis=1, return_inverse=True)
        group = group.reshape(-1)
        total, failed = np.bincount(group), np.bincount(group, rejected)
        bad = (total >= _FEWEST) & (failed > self.checks.profile * total)
        rest = rows[bad[group] & ~rejected]
        records.fate[rest] = BY_PROFILE
        return int(rest.size)


@dataclass(frozen=True, eq=False)
class _Buddies:
    """What platforms measured in the cells of one level: medians, and their variances."""

    platform: np.ndarray
    innovation: np.ndarray
    variance: np.ndarray  # (2, n) of the background and of the observation
    place: np.ndarray  # (n, 3)


def _buddies(
    platform: np.ndarray,
    column: np.ndarray,
    innovation: np.ndarray,
    variance: np.ndarray,
    place: np.ndarray,
) -> _Buddies:
    """Combine the data of one level by platform and cell."""
    order = np.lexsort((innovation, column, platform))
    new = np.append(True, (np.diff(platform[order]) != 0) | (np.diff(column[order]) != 0))
    starts = np.flatnonzero(new)
    size = np.diff(np.append(starts, order.size))
    middle = order[starts + (size - 1) // 2], order[starts + size // 2]
    means = np.add.reduceat(variance[:, order], starts, axis=1) / size
    centre = np.add.reduceat(place[order], starts, axis=0) / size[:, None]
    value = (innovation[middle[0]] + innovation[middle[1]]) / 2
    return _Buddies(platform[order][starts], value, means, centre)


def _factors(
    innovation: np.ndarray,
    variance: np.ndarray,
    place: np.ndarray,
    platform: np.ndarray,
    start: np.ndarray,
    buddies: _Buddies,
    length: float,
    threshold: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Logarithm of the factor on the probability of each datum, and whether anyone was heard."""
    from scipy.spatial import cKDTree

    n = len(buddies.innovation)
    radius = length * 1e3 / EARTH_RADIUS
    most = min(_LOOKED_AT, n)
    distance, at = cKDTree(buddies.place).query(place, k=most, distance_upper_bound=_REACH * radius)
    distance, at = distance.reshape(-1, most), at.reshape(-1, most)
    there = np.isfinite(distance)
    at = np.where(there, at, 0)
    there &= buddies.platform[at] != platform[:, None]
    there &= np.cumsum(there, axis=1) <= _HEARD
    own, other = variance.sum(axis=0), buddies.variance.sum(axis=0)
    z, theirs = innovation / np.sqrt(own), buddies.innovation / np.sqrt(other)
    odds = np.clip((theirs**2 - threshold**2) / 2, -80, 80)
    chance = np.minimum(1 / (1 + np.exp(-odds)), _MOST)
    covariance = np.sqrt(variance[0][:, None] * buddies.variance[0][at])
    distance = np.where(there, distance, 0)
    rho = covariance * np.exp(-0.5 * (distance / radius) ** 2) / np.sqrt(own[:, None] * other[at])
    rho = np.clip(rho, 1e-6, 0.99)
    a, b = z[:, None], theirs[at]
    quadratic = rho**2 * (a**2 + b**2) - 2 * rho * a * b
    exponent = -0.5 * np.log(1 - rho**2) - quadratic / (2 * (1 - rho**2))
    ratio = np.exp(np.clip(exponent, -80, 80))
    # 1 - (1 - P_i) (1 - P_j) (1 - ratio), without taking near-equal numbers from each other
    p, q = start[:, None], chance[at]
    factor = -_DAMPING * np.log(p + q - p * q + (1 - p) * (1 - q) * ratio)
    return np.where(there, factor, 0).sum(axis=1), there.any(axis=1)


def _unit_vectors(grid: Grid, positions: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Places on the unit sphere, shape (n, 3); what belongs to a missing axis is one place."""
    lat, lon = (np.deg2rad(np.nan_to_num(p)) for p in positions)
    lat = lat if grid.lat is not None else np.zeros_like(lat)
    lon = lon if grid.lon is not None else np.zeros_like(lon)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def correlation_length(grid: Grid, cells: np.ndarray) -> float:
    """Correlation length in km out of those in cells northward and eastward, at most 1,000 km.

    Parameters
    ----------
    grid : Grid
    cells : numpy.ndarray, shape (2,)
    """
    found = []
    middle = 0.0 if grid.lat is None else float(np.median(np.abs(grid.lat)))
    for axis, number, shrink in (
        (grid.lat, cells[0], 1.0),
        (grid.lon, cells[1], np.cos(np.deg2rad(middle))),
    ):
        if axis is not None and axis.size > 1:
            degrees = float(np.median(np.diff(axis))) * shrink
            found.append(float(number) * np.deg2rad(degrees) * EARTH_RADIUS / 1e3)
    length = float(np.mean(found)) if found else 1000.0
    return float(np.clip(length, 50.0, 1000.0))
