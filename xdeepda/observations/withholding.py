"""Withholding: part of the observations kept aside, to judge an analysis by.

What is withheld together (a platform, a cast, a block of the sea, ...) stays
together, a cast always.  How independent the withheld data are of the kept ones is
measured and told.  Knows tables; no grid, no model.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import Cycle
from xdeepda.errors import InputError, Problems
from xdeepda.observations.flags import rejected
from xdeepda.observations.placing import cycle_numbers
from xdeepda.observations.table import as_table, is_gridded, mixed_bits, profiles_of

logger = logging.getLogger("xdeepda")

#: Degrees of a side of a block, which lasts a month, and of a region, which lasts for ever.
BLOCK_DEGREES, REGION_DEGREES = 10.0, 20.0

#: Kilometres that count as much as a day where the nearest kept cast is looked for: anomalies
#: of the open ocean are alike over some 100 km, and over some 10 days.
KM_PER_DAY = 10.0

#: Casts whose distances are measured at most: a median and a percentile need no more.
_SAMPLE = 20_000

_EARTH_RADIUS_KM = 6371.0


def withhold(
    obs: Any,
    fraction: float,
    *,
    by: str = "platform",
    seed: int = 0,
) -> tuple[Any, Any]:
    """Keep part of the observations aside, to verify with.

    Parameters
    ----------
    obs : Dataset, DataArray, pandas.DataFrame, or a list of these
        Points (see :func:`xdeepda.observations.as_table`).
    fraction : float
        Of the casts that can be used, between 0 and 1; met as closely as whole groups
        allow.
    by : {"platform", "profile", "block", "month", "region"}
        What is withheld as a whole: all casts of a platform; single casts; the
        casts of a box of 10° by 10° in one month; of a month, everywhere; of a
        box of 20° by 20°, at all times.  The later ones ask more of an analysis:
        a single cast often has a sister of the same float nearby.
    seed : int
        Chooses the groups.  The choice depends on names, positions and times, not
        on the order of the rows, and hardly on what other data there are.

    Returns
    -------
    kept, withheld : Dataset
        Tables with all columns; lists of tables where `obs` is a list, without
        sources of which nothing is left.  Attributes say what was done:
        ``withheld`` in words, ``withheld_by``, ``withheld_seed``,
        ``withheld_fraction`` (of the casts, as it came out), and the distance of
        the withheld casts from the nearest kept one:
        ``withheld_km_median``, ``withheld_km_5_percent``,
        ``withheld_days_median``, ``withheld_days_5_percent``.

    Raises
    ------
    InputError
        With all problems: a fraction that is not between 0 and 1, an unknown
        `by`, no column `platform`, fields in place of points; if everything or
        nothing would be withheld.

    Notes
    -----
    A cast is all rows of the same platform and profile name (without a column
    `profile`: of the same time and position), of all variables, and is never
    split: it belongs where its first row belongs.  Casts without a platform are
    platforms of their own; casts without time or position are kept.  Casts of which
    every row is flagged as bad or without a value judge nothing: they are not counted,
    and go with their group (kept, where it has no others).  The nearest
    kept cast is that of the smallest distance in space and time, a day counting as
    10 km.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"value": np.arange(20.0), "depth": 5.0, "lat": np.arange(20.0),
    ...     "lon": 0.0, "time": pd.Timestamp("2001-01-01"), "platform": list("abcde") * 4})
    >>> frame.attrs["units"] = "degC"
    >>> kept, withheld = withhold(frame, 0.2, by="platform")
    >>> sorted(set(kept.platform.values.tolist())), set(withheld.platform.values.tolist())
    (['a', 'b', 'c', 'd'], {'e'})
    """
    problems = Problems("withhold")
    tables = _tables(obs, problems)
    _check(fraction, by, seed, tables, problems)
    problems.raise_if_any()
    casts = _Casts.of(tables)
    chosen = _choose(casts, _GROUPS[by](casts), fraction, by, int(seed))
    attrs = _described(casts, chosen, by, int(seed))
    logger.info("%s", attrs["withheld"])
    parts = [
        [_part(table, (chosen == side)[row], attrs) for table, row in zip(tables, casts.row,
                                                                         strict=True)]
        for side in (False, True)
    ]  # fmt: skip
    if not isinstance(obs, (list, tuple)):
        return parts[0][0], parts[1][0]
    kept, withheld = ([t for t in part if t.sizes["obs"]] for part in parts)
    return kept, withheld


def _tables(obs: Any, problems: Problems) -> list[xr.Dataset]:
    """Tables of all sources."""
    sources = list(obs) if isinstance(obs, (list, tuple)) else [obs]
    if not sources:
        problems.add("there are no observations", found="an empty list")
    tables = []
    for number, source in enumerate(sources, 1):
        if is_gridded(source):
            problems.add(
                f"source {number} is gridded",
                expected="points",
                todo="withhold before superob, or cells of fields with .where(...)",
            )
            continue
        try:
            tables.append(as_table(source))
        except InputError as error:
            problems.absorb(error)
    return tables


def _check(
    fraction: float, by: str, seed: int, tables: Sequence[xr.Dataset], problems: Problems
) -> None:
    """Whether the arguments make sense together."""
    number = isinstance(fraction, (int, float, np.number)) and not isinstance(fraction, bool)
    if not number or not 0 < fraction < 1:
        problems.add(
            "fraction is not between 0 and 1", found=f"{fraction!r}", todo="0.1 withholds a tenth"
        )
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        problems.add("seed is not a number from 0 on", found=f"{seed!r}")
    if by not in _GROUPS:
        problems.add(f"by={by!r} is not known", expected=", ".join(map(repr, _GROUPS)))
    for n, table in enumerate(tables, 1):
        if by == "platform" and "platform" not in table.coords:
            which = f" of source {n}" if len(tables) > 1 else ""
            problems.add(
                f"the observations{which} have no column 'platform'",
                found=f"columns {sorted(map(str, table.variables))}",
                todo="add the column, or withhold by 'profile', 'block', 'month' or 'region'",
            )


@dataclass(frozen=True)
class _Casts:
    """The casts of all sources, sorted by their number.

    Attributes
    ----------
    name : numpy.ndarray of uint64, shape (n,)
        Number of the cast, by its contents.
    platform : numpy.ndarray of uint64, shape (n,)
        Number of the platform; that of the cast where there is none.
    month : numpy.ndarray of int64, shape (n,)
    day, latitude, longitude : numpy.ndarray of float64, shape (n,)
        Of the first row; NaN where unknown.  Days since the first one.
    usable : numpy.ndarray of bool, shape (n,)
        Whether any row has a value that is not flagged as bad; all where none has.
    row : list of numpy.ndarray of int64
        Cast of each row, by source.
    """

    name: np.ndarray
    platform: np.ndarray
    month: np.ndarray
    day: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    usable: np.ndarray
    row: list[np.ndarray]

    @classmethod
    def of(cls, tables: Sequence[xr.Dataset]) -> _Casts:
        """Casts of some tables."""
        names = [profiles_of(table, slice(None)) for table in tables]
        unique, first, cast = np.unique(
            np.concatenate(names), return_index=True, return_inverse=True
        )
        ends = np.cumsum([n.size for n in names])
        columns = [_columns(table, name) for table, name in zip(tables, names, strict=True)]
        platform, times, lat, lon = (
            np.concatenate(column)[first] for column in zip(*columns, strict=True)
        )
        month, day = _months_and_days(times)
        good = np.concatenate([_good(table) for table in tables])
        usable = np.bincount(cast[good], minlength=unique.size) > 0
        usable |= not usable.any()
        return cls(unique, platform, month, day, lat, lon, usable, np.split(cast, ends[:-1]))

    @property
    def placed(self) -> np.ndarray:
        """Whether time and position are known."""
        return np.isfinite(self.day + self.latitude + self.longitude)

    def boxes(self, degrees: float) -> np.ndarray:
        """Number of the box of each cast, -1 where it has none."""
        known = self.placed
        rows = int(180 / degrees)
        columns = int(360 / degrees)
        y, x = np.where(known, self.latitude, 0.0), np.where(known, self.longitude, 0.0)
        j = np.minimum((y + 90) // degrees, rows - 1)
        i = np.minimum(np.mod(x, 360) // degrees, columns - 1)
        return np.where(known, j * columns + i, -1).astype(np.int64)


def _columns(table: xr.Dataset, cast: np.ndarray) -> tuple[np.ndarray, ...]:
    """Platform, time and position of each row."""
    platform = cast
    if "platform" in table.coords:
        values = table["platform"].values
        text = values.dtype.kind not in "iuf"
        nameless = values == "" if text else ~np.isfinite(values.astype(float))
        platform = np.where(nameless, cast, mixed_bits(values))
    return (
        platform,
        table["time"].values,
        table["latitude"].values,
        table["longitude"].values,
    )


def _good(table: xr.Dataset) -> np.ndarray:
    """Rows with a value that is not flagged as bad."""
    return np.isfinite(table["value"].values) & ~rejected(table["qc"].values)


def _months_and_days(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Absolute month of each time (-1 where unknown) and days since the first (NaN)."""
    stamps = times.dtype.kind == "M"
    known = ~np.isnat(times) if stamps else np.array([t is not None and t == t for t in times])
    month = np.full(times.size, -1, dtype=np.int64)
    day = np.full(times.size, np.nan)
    if known.any():
        there = times[known]
        month[known] = cycle_numbers(there, Cycle("month"))
        apart = there - there.min()
        if stamps:
            day[known] = apart / np.timedelta64(1, "D")
        else:
            day[known] = [t.total_seconds() / 86400 for t in apart]
    return month, day


#: Number of the group of each cast, -1 for those that are kept in any case.
_GROUPS: dict[str, Callable[[_Casts], np.ndarray]] = {
    "platform": lambda casts: casts.platform.view(np.int64) & (2**63 - 1),
    "profile": lambda casts: casts.name.view(np.int64) & (2**63 - 1),
    "block": lambda casts: np.where(
        casts.placed, casts.month * 10_000 + casts.boxes(BLOCK_DEGREES), -1
    ),
    "month": lambda casts: casts.month,
    "region": lambda casts: casts.boxes(REGION_DEGREES),
}


def _choose(casts: _Casts, group: np.ndarray, fraction: float, by: str, seed: int) -> np.ndarray:
    """Which casts are withheld: groups in an order drawn by the seed, up to the fraction."""
    names, member = np.unique(group, return_inverse=True)
    size = np.bincount(member[casts.usable], minlength=names.size)
    total = int(size.sum())
    drawn = mixed_bits(names, seed)
    order = np.argsort(drawn, kind="stable")
    order = order[(names[order] >= 0) & (size[order] > 0)]
    # whole groups up to the fraction, then whichever of the others bring it closer to it
    wanted = fraction * total
    number = int(np.searchsorted(np.cumsum(size[order]), wanted, side="right"))
    picked = order[:number].tolist()
    lacking = wanted - int(size[picked].sum())
    for candidate in order[number:]:
        if lacking < 0.5:
            break
        if size[candidate] < 2 * lacking:
            picked.append(candidate)
            lacking -= int(size[candidate])
    number = len(picked)
    if number == 0 or number == np.count_nonzero(size):
        what = "nothing" if number == 0 else "everything"
        problems = Problems("withhold")
        problems.add(
            f"{what} would be withheld",
            found=f"{order.size} groups by {by!r}, of {size[size > 0].min()} to {size.max()} of "
            f"{total} casts; fraction {fraction:g}",
            expected="at least two groups, of fitting size",
            todo="another fraction, or smaller groups: by='profile'",
        )
        problems.raise_if_any()
    taken = np.zeros(names.size, dtype=bool)
    taken[picked] = True
    return taken[member]


def _described(casts: _Casts, chosen: np.ndarray, by: str, seed: int) -> dict[str, Any]:
    """Attributes that say what was withheld and how far it is from the rest."""
    usable = casts.usable
    share = float(chosen[usable].mean())
    attrs: dict[str, Any] = {
        "withheld_by": by,
        "withheld_seed": seed,
        "withheld_fraction": share,
    }
    text = (
        f"{int(chosen[usable].sum())} of {int(usable.sum())} casts ({share:.1%}) withheld by {by}"
    )
    if not usable.all():
        text += f" ({int((~usable).sum())} more casts have no good value)"
    km, days = _distances(casts, chosen)
    if km.size:
        for name, values in (("km", km), ("days", days)):
            attrs[f"withheld_{name}_median"] = float(np.median(values))
            attrs[f"withheld_{name}_5_percent"] = float(np.percentile(values, 5))
        text += (
            "; from the nearest kept cast they are (median, 5 %) "
            f"{attrs['withheld_km_median']:.3g}, {attrs['withheld_km_5_percent']:.3g} km and "
            f"{attrs['withheld_days_median']:.3g}, {attrs['withheld_days_5_percent']:.3g} days away"
        )
    return {"withheld": text, **attrs}


def _distances(casts: _Casts, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kilometres and days from withheld casts to the nearest kept one."""
    from scipy.spatial import cKDTree

    there = casts.placed & casts.usable
    inside, outside = (np.flatnonzero(there & (chosen == side)) for side in (False, True))
    if not inside.size or not outside.size:
        return np.zeros(0), np.zeros(0)
    outside = outside[:: -(-outside.size // _SAMPLE)]
    lat, lon = np.deg2rad(casts.latitude), np.deg2rad(casts.longitude)
    unit = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    points = np.stack([*(_EARTH_RADIUS_KM * c for c in unit), KM_PER_DAY * casts.day], axis=1)
    _, nearest = cKDTree(points[inside]).query(points[outside])
    near = inside[nearest]
    chord = np.linalg.norm(points[near, :3] - points[outside, :3], axis=1)
    km = 2 * _EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / (2 * _EARTH_RADIUS_KM), 1.0))
    return km, np.abs(casts.day[near] - casts.day[outside])


def _part(table: xr.Dataset, rows: np.ndarray, attrs: dict[str, Any]) -> xr.Dataset:
    """Some rows of a table, with more attributes."""
    out = table.isel(obs=np.flatnonzero(rows))
    out.attrs = {**table.attrs, **attrs}
    return out
