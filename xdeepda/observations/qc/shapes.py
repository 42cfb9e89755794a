"""The shape of a profile: constant, stuck, spikes, gradients, inversions of density.

Each rule looks at the levels that earlier rules left; a level without a neighbour on
either side is judged by none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xdeepda.observations.flags import PROBABLY_BAD
from xdeepda.observations.qc.rule import Limits, Rule
from xdeepda.observations.qc.sample import Levels, S, Sample, T, by_cast

# ---- constant

#: Share of equal neighbours below which no cast is constant.
_ALIKE = 0.5


def _tolerance(sample: Sample, limits: Limits) -> np.ndarray:
    """Difference that counts as none; infinite for other quantities (never compared)."""
    table = np.array([limits["temperature"], limits["salinity"], -1.0])
    return table[sample.kind]


def constant(sample: Sample, limits: Limits) -> np.ndarray:
    """Nine tenths of a cast show one value over a great range of depths."""
    levels = sample.levels()
    if not len(levels):
        return np.zeros(sample.size, dtype=bool)
    tolerance = _tolerance(sample, limits)[levels.rows]
    # nine tenths equal means that eight tenths of the neighbours are: only such casts are sorted
    above = levels.shifted(-1)
    equal = (above >= 0) & (np.abs(levels.v - levels.v[above]) <= 2 * tolerance)
    alike = by_cast(np.add, levels, equal.astype(float)) >= (levels.sizes - 1) * _ALIKE
    chosen = levels.spread(alike & (levels.sizes >= 2))
    if not chosen.any():
        return np.zeros(sample.size, dtype=bool)
    levels, tolerance = levels.subset(chosen), tolerance[chosen]
    same = np.abs(levels.v - levels.spread(_medians(levels))) <= tolerance
    share = by_cast(np.add, levels, same.astype(float)) / levels.sizes
    top = by_cast(np.minimum, levels, np.where(same, levels.z, np.inf))
    base = by_cast(np.maximum, levels, np.where(same, levels.z, -np.inf))
    bad = (share >= limits["share"]) & (base - top >= limits["metres"])
    return levels.mask(levels.spread(bad))


def _medians(levels: Levels) -> np.ndarray:
    """Lower median of each cast."""
    number = levels.spread(np.arange(levels.starts.size))
    by_value = np.lexsort((levels.v, number))
    return levels.v[by_value][levels.starts + (levels.sizes - 1) // 2]


def stuck(sample: Sample, limits: Limits) -> np.ndarray:
    """A run of equal temperatures over a great range of depths; its first value is believed.

    Salinity is left out: below 1,000 m two decimals of it do not change over 500 m.
    """
    levels = sample.levels(sample.kind == T)
    if not len(levels):
        return np.zeros(sample.size, dtype=bool)
    above, limit = levels.shifted(-1), limits["temperature"]
    # a drift is no repetition: neighbours equal to a tenth of what the whole run may differ
    equal = (above >= 0) & (np.abs(levels.v - levels.v[above]) <= limit / 10)
    run = np.cumsum(~equal) - 1
    first = np.flatnonzero(~equal)
    last = np.append(first[1:], len(levels)) - 1
    ends = [function.reduceat(levels.v, first) for function in (np.minimum, np.maximum)]
    long = levels.z[last] - levels.z[first] >= limits["metres"]
    long &= (last - first + 1 >= limits["levels"]) & (ends[1] - ends[0] <= limit)
    return levels.mask(equal & long[run])


# ---- spikes


def _step_tolerance(z: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Difference of temperature (K) between levels that is doubtful, by depth.

    5 K down to 300 m in the tropics (20 degrees) and 200 m elsewhere, half of it 100 m
    deeper, 2 K below 500 m, 1.5 K below 600 m.
    """
    upper = np.where(np.abs(lat) < 20.0, 300.0, 200.0)
    factor = np.clip(1.0 - 0.005 * (z - upper), 0.5, 1.0)
    return 5.0 * np.where(z > 600.0, 0.3, np.where(z > 500.0, 0.4, factor))


def _above_below(deep: np.ndarray, pair: tuple[float, float]) -> np.ndarray:
    """First of two limits above, second below; float of shape (m,)."""
    return np.where(deep, float(pair[1]), float(pair[0]))


def _spike_limit(levels: Levels, close: np.ndarray, limits: Limits) -> np.ndarray:
    """How far a value may stick out of its neighbours."""
    sample, z = levels.sample, levels.z
    kind = sample.kind[levels.rows]
    deep = z >= limits["deep"]
    argo = _above_below(deep, limits["temperature"])
    fine = limits["close_share"] * _step_tolerance(z, sample.lat[levels.rows])
    temperature = np.where(close, np.minimum(fine, argo), argo)
    salinity = _above_below(deep, limits["salinity"])
    return np.where(kind == T, temperature, np.where(kind == S, salinity, np.inf))


def _close(levels: Levels, gap: np.ndarray, limits: Limits) -> np.ndarray:
    """Whether levels lie close enough for the finer limits."""
    return gap <= np.where(levels.z >= 350.0, limits["gap_deep"], limits["gap"])


def _out_of(v: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How far values are outside of the interval of two others, with sign."""
    return np.maximum(v - np.maximum(a, b), 0.0) + np.minimum(v - np.minimum(a, b), 0.0)


def spike(sample: Sample, limits: Limits) -> np.ndarray:
    """One level, or two together, stick out of those above and below."""
    levels = sample.levels()
    if not len(levels):
        return np.zeros(sample.size, dtype=bool)
    v, z = levels.v, levels.z
    up, down, below = (levels.shifted(k) for k in (-1, 1, 2))
    whole = (up >= 0) & (down >= 0)
    gap = np.maximum(z - z[up], z[down] - z)
    out = np.abs(_out_of(v, v[up], v[down]))
    found = whole & (out > _spike_limit(levels, _close(levels, gap, limits), limits))
    # pairs: this level and the next against the ones around both; close ones only
    pair = (up >= 0) & (below >= 0) & ~found & ~found[down]
    gap = np.maximum(np.maximum(z - z[up], z[down] - z), z[below] - z[down])
    close = pair & _close(levels, gap, limits)
    limit = _spike_limit(levels, close, limits)
    mine, next_ = _out_of(v, v[up], v[below]), _out_of(v[down], v[up], v[below])
    both = close & (np.abs(mine) > limit) & (np.abs(next_) > limit) & (mine * next_ > 0)
    found |= both
    found[down[both]] = True
    return levels.mask(found)


def last_step(sample: Sample, limits: Limits) -> np.ndarray:
    """The deepest level leaves the course of the two above it, and no thermocline explains it."""
    levels = sample.levels(sample.kind == T)
    if not len(levels):
        return np.zeros(sample.size, dtype=bool)
    v, z = levels.v, levels.z
    up, over, down = (levels.shifted(k) for k in (-1, -2, 1))
    limit = _step_tolerance(z, sample.lat[levels.rows]) * limits["share"]
    near = _close(levels, z - z[up], limits)
    change = v - v[up]
    thermocline = (change < 0) & (z <= 250.0) & (change > -3.0 * limit)
    slope = (v[up] - v[over]) / np.maximum(z[up] - z[over], 1.0)
    course = np.where(over >= 0, slope * (z - z[up]), 0.0)
    # the nearer of going on as above and of staying as it is
    leap = np.abs(_out_of(change, course, np.zeros_like(course)))
    return levels.mask((up >= 0) & (down < 0) & near & (leap > limit) & ~thermocline)


# ---- gradients


def gradient(sample: Sample, limits: Limits) -> np.ndarray:
    """Both levels of a change with depth that is faster than the sea allows.

    Where the salinity is known, too, temperature may rise with depth as it likes: whether
    the water can lie so is for the rule of density to say.
    """
    levels = sample.levels()
    if not len(levels):
        return np.zeros(sample.size, dtype=bool)
    up = levels.shifted(-1)
    slope = (levels.v - levels.v[up]) / np.maximum(levels.z - levels.z[up], limits["metres"])
    kind = sample.kind[levels.rows]
    deep = levels.z > limits["thermocline"]
    fall = _above_below(deep, (limits["fall_above"], limits["fall"]))
    salty = np.zeros(len(levels), dtype=bool)
    salty[_pairs(levels)[0]] = True
    weighed = salty & salty[up]
    steep = (kind == T) & (((slope > limits["rise"]) & ~weighed) | (slope < -fall))
    steep |= (kind == S) & (levels.z >= limits["deep"]) & (np.abs(slope) > limits["salinity"])
    steep &= up >= 0
    found = steep.copy()
    found[up[steep]] = True
    return levels.mask(found)


# ---- density


def density(sample: Sample, limits: Limits) -> np.ndarray:
    """Heavier water above lighter: the level at fault, or both where none can be told."""
    levels = sample.levels(sample.kind <= S)
    warm, salt = _pairs(levels)
    if not warm.size:
        return np.zeros(sample.size, dtype=bool)
    import gsw

    t, s = levels.rows[warm], levels.rows[salt]
    p = sample.pressure[t]
    absolute = sample.value[s] * (35.16504 / 35.0)
    potential = np.where(
        sample.potential[t], sample.value[t], gsw.pt0_from_t(absolute, sample.value[t], p)
    )
    heat = gsw.CT_from_pt(absolute, potential)
    cast = sample.cast[t]

    def lighter(below: np.ndarray, above: np.ndarray) -> np.ndarray:
        """How much lighter one level is than another above it, at the pressure between."""
        middle = (p[below] + p[above]) / 2
        own = gsw.rho(absolute[below], heat[below], middle)
        return np.asarray(gsw.rho(absolute[above], heat[above], middle) - own)

    found = _at_fault(
        lighter, _beside(cast, -1), _beside(cast, 1), _density_limit(sample, s, limits)
    )
    failing = np.zeros(len(levels), dtype=bool)
    failing[warm[found]] = failing[salt[found]] = True
    return levels.mask(failing)


def _at_fault(
    lighter: Callable[[np.ndarray, np.ndarray], np.ndarray],
    up: np.ndarray,
    down: np.ndarray,
    limit: np.ndarray,
) -> np.ndarray:
    """Levels that make the column unstable, as positions.

    The lower one of two if it is lighter than the next above as well; the upper one if it
    is heavier than the next below; both if that tells nothing.
    """
    low = np.flatnonzero((up >= 0) & (lighter(np.arange(up.size), up) > limit))
    high = up[low]
    over, under = up[high], down[low]
    fault_low = (over >= 0) & (lighter(low, over) > limit[low])
    fault_high = (under >= 0) & (lighter(under, high) > limit[high])
    unsure = fault_low == fault_high
    return np.concatenate([low[fault_low | unsure], high[fault_high | unsure]])


def _density_limit(sample: Sample, rows: np.ndarray, limits: Limits) -> np.ndarray:
    """Inversion that is none, by instrument."""
    bottle = sample.named("instrument", lambda name: "bottle" in name.lower())[rows]
    return np.where(bottle, float(limits["bottle"]), float(limits["kg_m3"]))


def _pairs(levels: Levels) -> tuple[np.ndarray, np.ndarray]:
    """Levels of temperature and salinity of the same cast and depth, by cast and depth."""
    kind, cast = levels.sample.kind[levels.rows], levels.sample.cast[levels.rows]
    parts = []
    for own in (T, S):
        at = np.flatnonzero(kind == own)
        key = cast[at] * 30_000.0 + levels.z[at]
        by_key = np.argsort(key, kind="stable")
        at, key = at[by_key], key[by_key]
        first = np.append(True, key[1:] != key[:-1])[: key.size]
        parts.append((at[first], key[first]))
    (warm, one), (salt, other) = parts
    if not (warm.size and salt.size):
        return warm[:0], salt[:0]
    at = np.minimum(np.searchsorted(other, one), other.size - 1)
    both = other[at] == one
    return warm[both], salt[at[both]]


def _beside(cast: np.ndarray, by: int) -> np.ndarray:
    """Position of the neighbour of the same cast, -1 where there is none."""
    at = np.arange(cast.size) + by
    inside = (at >= 0) & (at < cast.size)
    at = np.where(inside, at, 0)
    return np.where(inside & (cast[at] == cast), at, -1)


CONSTANT = Rule(
    "constant", "the whole profile shows one value", constant,
    # 100 m in the paper, which rejects mixed layers of winter seen with 0.1 K resolution
    {"temperature": 0.002, "salinity": 0.0005, "share": 0.9, "metres": 200.0},
    "Ingleby & Huddleston 2007 (constant value check), with 200 m for its 100 m",
)  # fmt: skip
STUCK = Rule(
    "stuck", "the temperature repeats over hundreds of metres", stuck,
    {"temperature": 0.002, "levels": 4, "metres": 300.0},
    "IQuOD (Gouretski) stuck value check, with a longer run", PROBABLY_BAD,
)  # fmt: skip
SPIKE = Rule(
    "spike", "sticks out of the levels above and below", spike,
    # temperature and salinity above and below `deep`: Argo; where the neighbours lie within
    # `gap` (m; `gap_deep` below 350 m) half of the tolerance of steps of Ingleby & Huddleston
    {
        "temperature": (6.0, 2.0), "salinity": (0.9, 0.3), "deep": 500.0,
        "close_share": 0.5, "gap": 50.0, "gap_deep": 100.0,
    },
    "Argo QC manual test 9; Ingleby & Huddleston 2007 (spikes)",
)  # fmt: skip
LAST_STEP = Rule(
    "last_step", "the deepest value jumps from the one above", last_step,
    {"share": 1.0, "gap": 50.0, "gap_deep": 100.0},
    "Ingleby & Huddleston 2007 (steps at the bottom of a profile)", PROBABLY_BAD,
)  # fmt: skip
GRADIENT = Rule(
    "gradient", "changes with depth faster than the sea allows", gradient,
    # K/m, levels nearer than `metres` counting as so far apart; psu/m below `deep`.  Floats
    # and CTDs see thermoclines of 1.5 K/m in the tropics: there the limit is our own
    {
        "rise": 0.3, "fall": 0.7, "fall_above": 2.0, "thermocline": 250.0, "metres": 3.0,
        "salinity": 0.05, "deep": 400.0,
    },
    "WOD User's Manual (excessive inversions and gradients)", PROBABLY_BAD,
)  # fmt: skip
DENSITY = Rule(
    "density", "heavier than the water below, or lighter than that above", density,
    # the salinity of water samples was known to 0.02 to 0.05 for most of the century
    {"kg_m3": 0.03, "bottle": 0.06},
    "Argo QC manual test 14, Ingleby & Huddleston 2007 (stability check)",
)  # fmt: skip
