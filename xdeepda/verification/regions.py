"""Regions of the ocean: basins by coordinates, boxes, and masks that are given.

A region is known by what it holds: ``membership`` tells for any points which regions hold
them, so that cells of a field and single observations are sorted alike.  Regions may
overlap.  Knows grids and labels; no fields and no scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError, Problems
from xdeepda.grid import layout_of

#: Name of the whole, which is the first of every list of regions.
ALL = "all"

BASINS = ("Atlantic", "Pacific", "Indian", "Arctic", "Southern")

#: Edges of the default bands of latitude, degrees north.
BANDS = (-90.0, -60.0, -30.0, -10.0, 10.0, 30.0, 60.0, 90.0)

# Longitudes (degrees east) that divide oceans, by latitude.  On land any line will do; at
# sea they follow the meridians of Cape Agulhas (20 E), of Tasmania (146.9 E) and of Cape
# Horn (67.3 W), the Torres Strait, the arc of the Sunda islands, the end of the Strait of
# Malacca, and the crest of Central America from Panama to Mexico.
_AFRICA = ((-50, 20), (-34, 20), (-25, 25), (0, 32), (12, 36), (29, 32.4), (31, 33), (31.1, 60))
_ASIA = (
    *((-50, 146.9), (-38, 146.9), (-30, 146), (-11, 142), (-10, 129), (-8.8, 119), (-7.5, 110)),
    *((-6.2, 105.6), (-3, 103), (0, 100.5), (4, 97), (5.5, 95.5), (6.5, 100.2), (10, 98.9)),
    *((14, 99), (30, 98), (66, 98)),
)
_AMERICA = (
    *((-50, 292.7), (-46, 288), (-18, 291), (-5, 281), (0, 282), (7, 283), (8.6, 282.7)),
    *((9.1, 280.5), (8.7, 278), (9.6, 276.5), (11, 275.2), (13, 273.8), (15, 270), (16.8, 265.5)),
    *((18.5, 261.5), (23, 257), (32, 252), (50, 245), (66, 245)),
)
_SOUTH, _NORTH = -50.0, 66.0


def _line(points: tuple[tuple[float, float], ...], lat: np.ndarray) -> np.ndarray:
    """Longitude of a dividing line at latitudes."""
    at, lon = zip(*points, strict=True)
    return np.interp(lat, at, lon)


def basins(lat: Any, lon: Any) -> np.ndarray:
    """Which basin holds each point; coarse, by coordinates alone.

    Parameters
    ----------
    lat, lon : array-like, shape (n,)
        Degrees north and east, any convention of longitudes.

    Returns
    -------
    numpy.ndarray of bool, shape (5, n)
        In the order of `BASINS`: Atlantic (with the Caribbean, the Gulf of Mexico, the
        North, Baltic and Labrador Seas, Hudson Bay), Pacific (with the seas of the Far
        East and of Indonesia), Indian (with the Red Sea and the Persian Gulf), Arctic (north
        of 66° N: all beyond Bering and Denmark Straits, and the northern Nordic Seas),
        Southern (south of 50° S).  The Mediterranean and the Black and Caspian Seas are
        in none.  Land is somewhere: the mask of the field decides.

    Examples
    --------
    >>> [BASINS[k] for k in basins([30.0, 0, -15], [-40.0, -140, 80]).argmax(axis=0)]
    ['Atlantic', 'Pacific', 'Indian']
    """
    lat, lon = np.broadcast_arrays(np.asarray(lat, dtype=float), np.asarray(lon, dtype=float))
    lon = np.mod(lon, 360.0)
    arctic, southern = lat >= _NORTH, lat < _SOUTH
    between = ~arctic & ~southern & ~np.isnan(lat) & ~np.isnan(lon) & ~_enclosed(lat, lon)
    africa, asia, america = (_line(p, lat) for p in (_AFRICA, _ASIA, _AMERICA))
    indian = between & (lon >= africa) & (lon < asia) & (lat < 31)
    pacific = between & (lon >= asia) & (lon < america)
    atlantic = between & ((lon >= america) | (lon < africa))
    return np.stack([atlantic, pacific, indian, arctic, southern])


def _enclosed(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Mediterranean, Black and Caspian Seas; `lon` in [0, 360)."""
    west = (lat >= 30) & (lat < 41.5) & (lon >= 354.4)
    middle = (lat >= 30) & (lat < 46) & (lon < 36.5)
    black = (lat >= 40.5) & (lat < 47.5) & (lon >= 27) & (lon < 42)
    return west | middle | black | ((lat >= 36) & (lat < 48) & (lon >= 46) & (lon < 56))


@dataclass(frozen=True)
class Regions:
    """Named regions.

    Attributes
    ----------
    names : tuple of str
        The first is `ALL`.
    tests : tuple of callables
        For each of the others, (lat, lon) -> bool.
    told : str
        One sentence on where they are from.
    """

    names: tuple[str, ...]
    tests: tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], ...]
    told: str

    def membership(self, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
        """Which regions hold points; bool, shape (region, n)."""
        rows = [np.ones(lat.shape, dtype=bool), *(test(lat, lon) for test in self.tests)]
        return np.stack(rows)


def whole() -> Regions:
    """Everything, undivided."""
    return Regions((ALL,), (), "")


def regions_of(given: Any, problems: Problems) -> Regions:
    """Understand what a user gives as regions.

    Parameters
    ----------
    given : None, dict or DataArray
        None: the basins of :func:`basins`.  A dict of name -> (south, north, west, east)
        in degrees, or -> DataArray of bool on latitude and longitude.  A DataArray of
        numbers or words on latitude and longitude: one region for each value, named by
        ``flag_meanings`` where there are any; 0, NaN and "" are in none.
    problems : Problems
        Collects what is wrong; the whole is returned then.

    Returns
    -------
    Regions
    """
    if given is None:
        return Regions((ALL, *BASINS), tuple(_basin(n) for n in range(5)), "basins by coordinates")
    if isinstance(given, xr.DataArray):
        found = _of_mask(given, problems)
    elif isinstance(given, Mapping) and given:
        found = _of_dict(given, problems)
    else:
        problems.add(
            "regions= is not understood",
            found=repr(given)[:200],
            expected="a dict of name -> (south, north, west, east) or mask, or a mask of numbers",
        )
        return whole()
    if ALL in found:
        problems.add(f"no region can be called {ALL!r}: it is the whole")
    return Regions((ALL, *found), tuple(found.values()), "as given")


def _basin(number: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Test of one basin."""
    return lambda lat, lon: basins(lat, lon)[number]


def _of_dict(given: Mapping[Any, Any], problems: Problems) -> dict[str, Any]:
    """Boxes and masks by name."""
    found = {}
    for name, what in given.items():
        if isinstance(what, xr.DataArray):
            test = _lookup(what, lambda values: np.nan_to_num(values).astype(bool), problems)
        else:
            test = _box(str(name), what, problems)
        if test is not None:
            found[str(name)] = test
    return found


def _box(name: str, what: Any, problems: Problems) -> Any:
    """Test of a box; its eastern and northern edges do not belong to it."""
    try:
        south, north, west, east = (float(x) for x in what)
    except (TypeError, ValueError):
        south, north, west, east = (float("nan"),) * 4
    if not (-90 <= south < north <= 90 and np.isfinite([west, east]).all()):
        problems.add(
            f"region {name!r} is no box",
            found=repr(what)[:200],
            expected="(south, north, west, east) in degrees, south < north",
        )
        return None
    width = np.mod(east - west, 360.0) or 360.0
    top = np.inf if north == 90 else north

    def test(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
        return (lat >= south) & (lat < top) & (np.mod(lon - west, 360.0) < width)

    return test


def _of_mask(mask: xr.DataArray, problems: Problems) -> dict[str, Any]:
    """One region for each value of a mask."""
    values = np.asarray(mask.values)
    if values.dtype.kind in "US" or values.dtype == object:
        text = np.array([str(v) for v in values.flat]).reshape(values.shape)
        words, numbers = np.unique(text, return_inverse=True)
        codes = mask.copy(data=numbers.reshape(values.shape))
        names = {float(n): w for n, w in enumerate(words.tolist()) if w and w != "nan"}
    else:
        codes = mask.astype(float)
        present = [float(v) for v in np.unique(codes.values) if np.isfinite(v) and v != 0]
        flags = np.atleast_1d(mask.attrs.get("flag_values", [])).astype(float).tolist()
        meant = dict(zip(flags, str(mask.attrs.get("flag_meanings", "")).split(), strict=False))
        names = {v: meant.get(v, f"{v:g}") for v in present}
    tests = {
        name: _lookup(codes, partial(np.equal, code), problems) for code, name in names.items()
    }
    return {name: test for name, test in tests.items() if test is not None}


def _lookup(
    mask: xr.DataArray, judge: Callable[[np.ndarray], np.ndarray], problems: Problems
) -> Any:
    """Test by the cell of a mask that holds a point; outside of the mask no point is in."""
    own = Problems("regions")
    try:
        layout = layout_of(mask, own)
    except (InputError, NotImplementedError) as error:
        own.add("a mask of regions is not understood", found=str(error))
    if not len(own) and layout.grid.dims != ("lat", "lon"):
        own.add(
            "a mask of regions lies on latitude and longitude alone",
            found=f"dimensions {tuple(mask.dims)}",
        )
    if len(own):
        if not any(p.what == q.what for p in problems for q in own):
            problems.absorb(own)
        return None
    flat = np.asarray(layout.canonical(mask).values, dtype=float).reshape(-1)

    def test(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
        cell = layout.grid.locate(np.zeros(lat.size), lat.ravel(), lon.ravel())
        found = judge(flat[np.maximum(cell, 0)]) & (cell >= 0)
        return np.asarray(found).reshape(lat.shape)

    return test
