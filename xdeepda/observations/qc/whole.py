"""Casts of which so much is wrong that the rest is not believed either."""

from __future__ import annotations

import numpy as np

from xdeepda.observations.flags import PROBABLY_BAD
from xdeepda.observations.qc.rule import Limits, Rule
from xdeepda.observations.qc.sample import Sample

#: Rules whose failures count against a whole profile.  A value out of all range is more often
#: a fill that nobody declared (99.99) than a measurement, and says nothing of the others.
VALUE_RULES = (
    "region", "depth_range", "constant", "stuck", "spike", "last_step", "gradient", "density",
)  # fmt: skip
#: Rules whose failure in the middle of an XBT cast says that the wire has broken.
_BREAKS = ("range", "region", "depth_range")


def _failed(sample: Sample, names: tuple[str, ...]) -> np.ndarray:
    """Rows that failed any of these rules."""
    found = np.zeros(sample.size, dtype=bool)
    for name in names:
        if name in sample.failures:
            found |= sample.failures[name]
    return found


def wire(sample: Sample, limits: Limits) -> np.ndarray:
    """Below a value of an XBT that no sea has: the wire has broken there.

    The first metres are left out: the probe's start is no break.
    """
    probe = sample.named("instrument", lambda n: limits["instrument"] in n.upper())
    if not probe.any():
        return probe
    with np.errstate(invalid="ignore"):
        broken = probe & _failed(sample, _BREAKS) & (sample.depth > limits["metres"])
    first = np.full(int(sample.column.max(initial=-1)) + 1, np.inf)
    np.minimum.at(first, sample.column[broken], sample.depth[broken])
    with np.errstate(invalid="ignore"):
        return sample.good & (sample.depth > first[sample.column])


def profile(sample: Sample, limits: Limits) -> np.ndarray:
    """What is left of a cast of which most levels failed."""
    failed = _failed(sample, (*VALUE_RULES, "wire"))
    if not failed.any():
        return failed
    size = int(sample.column.max()) + 1
    bad = np.bincount(sample.column[failed], minlength=size)
    good = np.bincount(sample.column[sample.good], minlength=size)
    lost = (bad >= limits["levels"]) & (bad > limits["share"] * (bad + good))
    return sample.good & lost[sample.column]


WIRE = Rule(
    "wire", "below the depth where the wire of the XBT broke", wire,
    {"metres": 10.0, "instrument": "XBT"},
    "CSIRO XBT cookbook (Bailey et al. 1994, wire break); IQuOD/AutoQC wire break check",
    PROBABLY_BAD,
)  # fmt: skip
PROFILE = Rule(
    "profile", "most of this profile failed", profile,
    {"levels": 2, "share": 0.5},
    "Ingleby & Huddleston 2007 (whole profile rejection)", PROBABLY_BAD,
)  # fmt: skip
