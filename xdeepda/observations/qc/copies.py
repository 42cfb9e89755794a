"""Data that came twice: the same number, or the same cast by way of another archive.

Which copy stays does not depend on the order of the rows: the one of the cast with
more levels, then the one with an error, then the first in the alphabet of source,
platform and profile.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from xdeepda.observations.platforms import EARTH_RADIUS_KM
from xdeepda.observations.qc.rule import Limits, Rule
from xdeepda.observations.qc.sample import Levels, S, Sample, T


def exact(sample: Sample, limits: Limits) -> np.ndarray:
    """The same variable, time, place, depth and value as a row that stays."""
    found = np.zeros(sample.size, dtype=bool)
    rows = np.flatnonzero(sample.good)
    if not rows.size:
        return found
    limit = limits["degrees"]
    key = sample.variable[rows].astype(np.uint64)
    for values, unit in (
        (sample.seconds[rows], limits["seconds"]), (sample.lat[rows], limit),
        (np.mod(sample.lon[rows], 360.0), limit), (sample.depth[rows], limits["metres"]),
        (sample.value[rows], limits["value"]),
    ):  # fmt: skip
        key = _mixed(key ^ _rounded(values, unit))
    twice = pd.Series(key).duplicated(keep=False).to_numpy()
    rows, key = rows[twice], key[twice]
    if not rows.size:
        return found
    count = np.bincount(sample.column[sample.good], minlength=int(sample.column.max()) + 1)
    last = (sample.value, sample.depth, sample.lon, sample.lat, sample.seconds)
    texts = tuple(sample.codes[n][rows] for n in ("instrument", "profile", "platform", "source"))
    error = np.nan_to_num(sample.error[rows], nan=np.inf)
    order = np.lexsort((*(v[rows] for v in last), error, *texts, -count[sample.column[rows]], key))
    key = key[order]
    repeated = np.append(False, key[1:] == key[:-1])
    found[rows[order[repeated]]] = True
    return found


def _rounded(values: np.ndarray, unit: float) -> np.ndarray:
    """Bits of whole multiples of a unit; NaN is one of them."""
    whole = np.clip(np.round(values / unit), -(2.0**61), 2.0**61)
    return np.where(np.isnan(whole), -(2.0**62), whole).astype(np.int64).view(np.uint64)


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Spread each bit over all 64 (the finaliser of splitmix64): equal only for equal input.

    Among ten million rows two different ones collide with a probability of 3e-6.
    """
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


class _Casts:
    """Casts of three levels or more, for the search of copies."""

    def __init__(self, levels: Levels, few: int) -> None:
        self.levels = levels
        sample = levels.sample
        start, size = levels.starts, levels.sizes
        keep = size >= few
        self.start, self.size = start[keep], size[keep]
        first = levels.rows[self.start]
        self.variable = sample.variable[first]
        self.kind = sample.kind[first]
        self.seconds, self.lat, self.lon = (
            x[first] for x in (sample.seconds, sample.lat, sample.lon)
        )
        self.source, self.platform, self.profile = (
            sample.codes[n][first] for n in ("source", "platform", "profile")
        )
        # levels of all casts on one increasing axis: casts lie 20 km apart on it
        number = np.repeat(np.arange(start.size), size)
        self.axis = number * 20_000.0 + levels.z + 100.0
        self.offset = np.flatnonzero(keep) * 20_000.0 + 100.0

    def pairs(self, kilometres: float, seconds: float) -> np.ndarray:
        """Pairs of casts that are near each other, of other platforms or sources; (pairs, 2)."""
        from scipy.spatial import cKDTree

        lat, lon = np.deg2rad(self.lat), np.deg2rad(self.lon)
        where = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1)
        tree = cKDTree(
            np.column_stack([where * (EARTH_RADIUS_KM / kilometres), self.seconds / seconds])
        )
        pairs = tree.query_pairs(1.0, p=np.inf, output_type="ndarray")
        i, j = pairs.T
        other = (self.source[i] != self.source[j]) | (self.platform[i] != self.platform[j])
        return pairs[other & (self.variable[i] == self.variable[j])]

    def within(self, own: np.ndarray, other: np.ndarray, limits: Limits) -> np.ndarray:
        """Whether each cast says nothing that another one does not say; bool, shape (pairs,)."""
        size = self.size[own]
        pair = np.repeat(np.arange(own.size), size)
        step = np.arange(pair.size) - np.repeat(np.cumsum(size) - size, size)
        at = self.start[own][pair] + step
        z, v = self.levels.z[at], self.levels.v[at]
        begin = self.start[other][pair]
        end = begin + self.size[other][pair] - 1
        right = np.searchsorted(self.axis, self.offset[other][pair] + z)
        slack = limits["metres"]
        inside = (z >= self.levels.z[begin] - slack) & (z <= self.levels.z[end] + slack)
        right = np.clip(right, begin + 1, end)
        thick = self.levels.z[right] - self.levels.z[right - 1]
        part = (z - self.levels.z[right - 1]) / np.where(thick > 0, thick, 1.0)
        part = np.clip(part, 0.0, 1.0)
        there = (1 - part) * self.levels.v[right - 1] + part * self.levels.v[right]
        tolerance = np.array([limits["temperature"], limits["salinity"], -1.0])[self.kind[own]]
        same = inside & (np.abs(v - there) <= tolerance[pair])
        share = np.bincount(pair, weights=same, minlength=own.size) / size
        return share >= limits["share"]


def near(sample: Sample, limits: Limits) -> np.ndarray:
    """A cast that another platform or source gives as well."""
    found = np.zeros(sample.size, dtype=bool)
    levels = sample.levels(np.isfinite(sample.seconds) & (sample.kind <= max(T, S)))
    if not len(levels):
        return found
    casts = _Casts(levels, int(limits["levels"]))
    if casts.start.size < 2:
        return found
    pairs = casts.pairs(limits["kilometres"], limits["minutes"] * 60.0)
    if not pairs.size:
        return found
    keys = (casts.profile, casts.platform, casts.source, -casts.size)
    better = np.empty(casts.start.size, dtype=np.int64)
    better[np.lexsort(keys)] = np.arange(casts.start.size)
    swap = better[pairs[:, 0]] > better[pairs[:, 1]]
    best, rest = np.where(swap, pairs[:, 1], pairs[:, 0]), np.where(swap, pairs[:, 0], pairs[:, 1])
    copied = casts.within(rest, best, limits)
    reverse = ~copied & casts.within(best, rest, limits)
    lost = np.unique(np.concatenate([rest[copied], best[reverse]]))
    column = sample.column[levels.rows[casts.start[lost]]]
    gone = np.zeros(int(sample.column.max()) + 1, dtype=bool)
    gone[column] = True
    return sample.good & gone[sample.column]


EXACT = Rule(
    "duplicate", "the same number is in the table already", exact,
    # what counts as equal: half of these units
    {"seconds": 1.0, "degrees": 1e-4, "metres": 1e-3, "value": 1e-5},
    "WOD User's Manual (duplicate checks)",
)  # fmt: skip
NEAR = Rule(
    "near_duplicate", "another platform or source gives this profile as well", near,
    # archives round times to minutes and positions to 0.01 degrees
    {
        "kilometres": 2.5, "minutes": 30.0, "levels": 3, "share": 0.9, "metres": 5.0,
        "temperature": 0.02, "salinity": 0.011,
    },
    "after WOD User's Manual (near duplicates) and Gronell & Wijffels 2008",
)  # fmt: skip
