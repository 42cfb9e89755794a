"""Casts of which so much is wrong that the rest is not believed either."""

from __future__ import annotations

import re

import numpy as np

from xdeepda.observations.flags import PROBABLY_BAD
from xdeepda.observations.qc.rule import Limits, Rule
from xdeepda.observations.qc.sample import Sample, T, by_cast

#: Rules whose failures count against a whole profile.  A value out of all range is more often
#: a fill that nobody declared (99.99) than a measurement, and says nothing of the others.
VALUE_RULES = (
    "region", "depth_range", "constant", "stuck", "spike", "last_step", "gradient", "density",
)  # fmt: skip
#: Rules whose failure in the middle of an XBT cast says that the wire has broken.
_BREAKS = ("range", "region", "depth_range")
#: WMO table 1770: instruments below 500 are expendable bathythermographs.
_WMO = re.compile(r"WMO (\d+)")


def _failed(sample: Sample, names: tuple[str, ...]) -> np.ndarray:
    """Rows that failed any of these rules."""
    found = np.zeros(sample.size, dtype=bool)
    for name in names:
        if name in sample.failures:
            found |= sample.failures[name]
    return found


def wire(sample: Sample, limits: Limits) -> np.ndarray:
    """Below values of an XBT that no sea has: the wire has broken there.

    One such value alone is a fill that nobody declared, and in the first metres it is the
    start of the probe.
    """
    probe = sample.named("instrument", is_xbt)
    if not probe.any():
        return probe
    with np.errstate(invalid="ignore"):
        broken = probe & _failed(sample, _BREAKS) & (sample.depth > limits["metres"])
    size = int(sample.column.max(initial=-1)) + 1
    often = np.bincount(sample.column[broken], minlength=size) >= limits["levels"]
    first = np.full(size, np.inf)
    np.minimum.at(first, sample.column[broken], sample.depth[broken])
    first[~often] = np.inf
    with np.errstate(invalid="ignore"):
        return sample.good & probe & (sample.depth > first[sample.column])


def lying(sample: Sample, limits: Limits) -> np.ndarray:
    """An XBT that lies on the bottom: the thermocline ends and nothing changes any more.

    The coldest value lies far above the end of the cast, the water above it cooled fast,
    and below it the temperature stays within a fraction of a degree.  Cold water, where
    temperature may rise with depth, is left out.
    """
    probe = sample.named("instrument", is_xbt) & (sample.kind == T)
    levels = sample.levels(probe)
    if not len(levels):
        return np.zeros(sample.size, dtype=bool)
    v, z = levels.v, levels.z
    coldest = by_cast(np.minimum, levels, v)
    # the upper one where two are equally cold
    depth = by_cast(np.minimum, levels, np.where(v == levels.spread(coldest), z, np.inf))
    end = by_cast(np.maximum, levels, z)
    below = z >= levels.spread(depth)
    warmest = by_cast(np.maximum, levels, np.where(below, v, -np.inf))
    above = ~below & (z >= levels.spread(depth - limits["above"]))
    before = by_cast(np.maximum, levels, np.where(above, v, -np.inf))
    bad = (end - depth >= limits["metres"]) & (warmest - coldest <= limits["range"])
    bad &= (before - coldest >= limits["drop"]) & (coldest >= limits["coldest"])
    bad &= by_cast(np.add, levels, below.astype(int)) > limits["levels"]
    return levels.mask(levels.spread(bad) & (z > levels.spread(depth)))


def is_xbt(name: str) -> bool:
    """Whether an instrument is an expendable bathythermograph.

    Examples
    --------
    >>> is_xbt("XBT: T7 (SIPPICAN)"), is_xbt("CTD"), is_xbt("WMO 052"), is_xbt("WMO 846")
    (True, False, True, False)
    """
    code = _WMO.fullmatch(name.strip())
    return int(code[1]) < 500 if code else "XBT" in name.upper()


def profile(sample: Sample, limits: Limits) -> np.ndarray:
    """What is left of a cast of which most levels failed."""
    failed = _failed(sample, (*VALUE_RULES, "wire", "lying"))
    if not failed.any():
        return failed
    size = int(sample.column.max()) + 1
    bad = np.bincount(sample.column[failed], minlength=size)
    good = np.bincount(sample.column[sample.good], minlength=size)
    lost = (bad >= limits["levels"]) & (bad > limits["share"] * (bad + good))
    return sample.good & lost[sample.column]


WIRE = Rule(
    "wire", "below the depth where the wire of the XBT broke", wire,
    {"metres": 10.0, "levels": 2},
    "Bailey et al. 1994, Quality control cookbook for XBT data (wire break)", PROBABLY_BAD,
)  # fmt: skip
LYING = Rule(
    "lying", "the XBT seems to lie on the bottom from here on", lying,
    # metres below the coldest level, K that they vary by, K of cooling within `above` metres
    # over it, lowest temperature to which this applies: our own numbers
    {
        "metres": 50.0, "levels": 4, "range": 0.25, "drop": 1.0, "above": 30.0, "coldest": 8.0,
    },
    "after Bailey et al. 1994, Quality control cookbook for XBT data (hit bottom)", PROBABLY_BAD,
)  # fmt: skip
PROFILE = Rule(
    "profile", "most of this profile failed", profile,
    {"levels": 2, "share": 0.5},
    "Ingleby & Huddleston 2007 (whole profile rejection)", PROBABLY_BAD,
)  # fmt: skip
