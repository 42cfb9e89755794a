"""What statistics are grouped by: regions and bands of latitude, parts of time.

Knows regions, cycles and names; no values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import Cycle
from xdeepda.errors import Problems
from xdeepda.verification.regions import ALL, BANDS, Regions, regions_of, whole

#: Everything that `by` may name; at most one of the parts of time.
SPACE_PARTS = ("depth", "region", "latitude")
TIME_PARTS = ("season", "month", "year", "time")

SEASONS = ("DJF", "MAM", "JJA", "SON")


@dataclass(frozen=True)
class Groups:
    """Groups of places: each region within each band of latitude.

    Attributes
    ----------
    regions : Regions
    bands : numpy.ndarray or None, shape (bands + 1,)
        Edges in degrees north; None for one band of all latitudes.
    """

    regions: Regions
    bands: np.ndarray | None

    @property
    def shape(self) -> tuple[int, int]:
        """(regions, bands)."""
        return len(self.regions.names), 1 if self.bands is None else self.bands.size - 1

    def members(self, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
        """Which groups hold points of shape (n,); bool, shape (regions * bands, n)."""
        inside = self.regions.membership(lat, lon)
        if self.bands is None:
            return inside
        band = np.searchsorted(self.bands, lat, side="right") - 1
        # the north pole belongs to the last band
        band = np.where(lat == self.bands[-1], self.bands.size - 2, band)
        held = band == np.arange(self.bands.size - 1)[:, None]
        both: np.ndarray = inside[:, None] & held[None]
        return both.reshape(-1, lat.size)

    def without(self, empty: Sequence[str]) -> Groups:
        """Leave out some regions."""
        kept = [n for n, name in enumerate(self.regions.names) if name not in empty]
        tests = tuple(self.regions.tests[n - 1] for n in kept if n)
        names = tuple(self.regions.names[n] for n in kept)
        return Groups(Regions(names, tests, self.regions.told), self.bands)


def parts_of(by: Any, problems: Problems) -> tuple[str, ...]:
    """Names of the parts that `by` asks for; empty with a problem."""
    names = (by,) if isinstance(by, str) else tuple(by) if isinstance(by, (list, tuple)) else None
    known = (*SPACE_PARTS, *TIME_PARTS)
    if names is None or any(n not in known for n in names) or len(set(names)) < len(names):
        problems.add("by= is not understood", found=repr(by),
                     expected=f"one or several of {', '.join(known)}")  # fmt: skip
        return ()
    if sum(n in TIME_PARTS for n in names) > 1:
        problems.add("by= names several parts of time", found=repr(by),
                     expected=f"one of {', '.join(TIME_PARTS)}")  # fmt: skip
    return names


def groups_of(by: tuple[str, ...], regions: Any, bands: Any, problems: Problems) -> Groups:
    """Groups of places that are asked for."""
    if regions is not None and "region" not in by:
        problems.add("regions= is given, but not asked for", todo="by=('depth', 'region')")
    if bands is not None and "latitude" not in by:
        problems.add("bands= is given, but not asked for", todo="by=('depth', 'latitude')")
    named = regions_of(regions, problems) if "region" in by else whole()
    edges = None
    if "latitude" in by:
        edges = np.asarray(BANDS if bands is None else bands, dtype=float)
        if edges.ndim != 1 or edges.size < 2 or not (np.diff(edges) > 0).all():
            problems.add("bands= is no list of edges", found=repr(bands)[:200],
                         expected="increasing latitudes, such as [-90, -30, 30, 90]")  # fmt: skip
    return Groups(named, edges)


# ---- time


@dataclass(frozen=True)
class Parts:
    """Parts of time, and which units of the sums they hold.

    Attributes
    ----------
    name : str or None
        One of `TIME_PARTS`; None for the whole.
    labels : array, shape (parts,)
    held : numpy.ndarray of bool, shape (parts, unit)
    """

    name: str | None
    labels: Any
    held: np.ndarray


def time_parts(
    by: tuple[str, ...], numbers: np.ndarray, cycle: Cycle | None, calendar: str
) -> Parts:
    """Parts of time of units.

    Parameters
    ----------
    by : tuple of str
    numbers : numpy.ndarray of int64, shape (unit,)
        Cycle of each unit.
    cycle : Cycle or None
    calendar : str
    """
    asked = [n for n in by if n in TIME_PARTS]
    if not asked or cycle is None:
        return Parts(None, None, np.ones((1, numbers.size), dtype=bool))
    name = asked[0]
    if name == "time":
        labels, where = np.unique(numbers, return_inverse=True)
        return Parts(name, cycle.middle(labels, calendar), where == np.arange(labels.size)[:, None])
    if name == "year":
        years = numbers // cycle.per_year
        labels = np.unique(years)
        return Parts(name, labels, years == labels[:, None])
    dates = xr.DataArray(cycle.middle(numbers, calendar), dims="unit").dt
    month = dates.month.values
    if name == "month":
        return Parts(name, np.arange(1, 13), month == np.arange(1, 13)[:, None])
    season = month % 12 // 3
    held = np.concatenate([np.ones((1, numbers.size), bool), season == np.arange(4)[:, None]])
    return Parts(name, np.array([ALL, *SEASONS], dtype=object), held)
