"""Values that no sea has: everywhere, by depth, and in seas of their own.

Temperatures are compared as they are measured, in situ.
"""

from __future__ import annotations

import numpy as np

from xdeepda.observations.qc.rule import Limits, Rule, step
from xdeepda.observations.qc.sample import S, Sample, T
from xdeepda.observations.qc.seas import CLOSED, MEDITERRANEAN, RED_SEA, inside


def _outside(
    sample: Sample, kind: int, low: np.ndarray | float, high: np.ndarray | float
) -> np.ndarray:
    """Good rows of a kind outside of bounds."""
    v = sample.measured
    with np.errstate(invalid="ignore"):
        return sample.good & (sample.kind == kind) & ((v < low) | (v > high))


def global_range(sample: Sample, limits: Limits) -> np.ndarray:
    """Outside of what any sea has."""
    found = np.zeros(sample.size, dtype=bool)
    for kind, name in ((T, "temperature"), (S, "salinity")):
        low, high = limits[name]
        found |= _outside(sample, kind, low, high)
    return found


def depth_range(sample: Sample, limits: Limits) -> np.ndarray:
    """Outside of what the open ocean has at this depth."""
    open_ocean = np.ones(sample.size, dtype=bool)
    for region in CLOSED:
        open_ocean &= ~inside(region, sample.lon, sample.lat)
    found = np.zeros(sample.size, dtype=bool)
    for kind, name in ((T, "temperature"), (S, "salinity")):
        found |= _outside(sample, kind, *step(limits[name], sample.depth))
    latitude, depth, coldest = limits["tropics"]
    with np.errstate(invalid="ignore"):
        warm = (np.abs(sample.lat) < latitude) & ~(sample.depth >= depth)
    found |= warm & _outside(sample, T, coldest, np.inf)
    return found & open_ocean


def regional_range(sample: Sample, limits: Limits) -> np.ndarray:
    """Outside of what the Red Sea or the Mediterranean have."""
    found = np.zeros(sample.size, dtype=bool)
    for region, name in ((RED_SEA, "red_sea"), (MEDITERRANEAN, "mediterranean")):
        there = inside(region, sample.lon, sample.lat)
        if not there.any():
            continue
        for kind, what in ((T, "temperature"), (S, "salinity")):
            low, high = limits[f"{name}_{what}"]
            found |= there & _outside(sample, kind, low, high)
    return found


RANGE = Rule(
    "range", "no sea has such a value", global_range,
    # lowest, highest; the salinity of the northern Red Sea passes 41
    {"temperature": (-2.5, 40.0), "salinity": (0.0, 42.0)},
    "Argo QC manual test 6, GTSPP real-time QC manual (global impossible values)",
)  # fmt: skip
REGION = Rule(
    "region", "the Red Sea or the Mediterranean has no such value", regional_range,
    {
        "red_sea_temperature": (21.0, 40.0), "red_sea_salinity": (2.0, 42.0),
        "mediterranean_temperature": (10.0, 40.0), "mediterranean_salinity": (2.0, 40.0),
    },
    "Argo QC manual test 7 (its 21.7 of the Red Sea lowered to 21)",
)  # fmt: skip
DEPTH_RANGE = Rule(
    "depth_range", "the open ocean has no such value at this depth", depth_range,
    # from this depth (m), lowest, highest.  The lowest temperatures are those of the manual
    # less half a degree down to 1,100 m: water below ice shelves is colder than -2
    {
        "temperature": (
            (-11.0, -2.5, 37.0), (25.0, -2.5, 36.0), (100.0, -2.5, 34.0), (150.0, -2.5, 33.0),
            (200.0, -2.5, 29.0), (300.0, -2.5, 27.0), (1100.0, -1.5, 18.0), (3000.0, -1.5, 7.0),
            (5500.0, -1.5, 4.0),
        ),
        "salinity": (
            (-11.0, 0.0, 41.0), (50.0, 1.0, 41.0), (100.0, 3.0, 41.0), (400.0, 10.0, 41.0),
            (1100.0, 22.0, 38.0), (3000.0, 33.0, 37.0),
        ),
        # nearer to the equator than this latitude and above this depth nothing is colder
        "tropics": (20.0, 1000.0, 1.0),
    },
    "GTSPP real-time QC manual (profile envelope); tropics: Ingleby & Huddleston 2007",
)  # fmt: skip
