"""Where and when: impossible positions, dates, depths; land and bottom of a model.

Positions and dates are looked at before anything else, so that a table with some that
are impossible can be used all the same.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from xdeepda.observations.flags import PROBABLY_BAD
from xdeepda.observations.qc.rule import Limits, Rule
from xdeepda.observations.qc.sample import Sample
from xdeepda.observations.qc.seas import SEAS, inside
from xdeepda.observations.qc.whole import is_xbt
from xdeepda.observations.target import Target

#: Calendars in which real measurements are dated; others are a model's.
_REAL = ("standard", "gregorian", "proleptic_gregorian", "julian")


def position(sample: Sample, limits: Limits) -> np.ndarray:
    """No position, one off the earth, a depth above the sea or below the deepest trench."""
    wrong = ~(np.abs(sample.lat) <= limits["latitude"])
    wrong |= ~(np.abs(sample.lon) <= limits["longitude"])
    with np.errstate(invalid="ignore"):
        wrong |= (sample.depth < limits["above"]) | (sample.depth > limits["deepest"])
    return wrong


def date(sample: Sample, limits: Limits) -> np.ndarray:
    """No date, or one that cannot be; only the first where the calendar is a model's."""
    wrong = np.isnan(sample.seconds)
    if sample.calendar not in _REAL:
        return wrong
    first = (np.datetime64(int(limits["first_year"]) - 1970, "Y")).astype("datetime64[s]")
    now = datetime.now(UTC).timestamp()
    with np.errstate(invalid="ignore"):
        wrong |= sample.seconds < first.astype(np.int64)
        wrong |= sample.seconds > now + limits["ahead_days"] * 86400
    return wrong


def _around(field: np.ndarray, cyclic: bool) -> np.ndarray:
    """Largest of each cell and its eight neighbours, shape (ny, nx)."""
    wide = np.pad(field, ((1, 1), (0, 0)), mode="edge")
    wide = np.pad(wide, ((0, 0), (1, 1)), mode="wrap" if cyclic else "edge")
    ny, nx = field.shape
    parts = [wide[j : j + ny, i : i + nx] for j in range(3) for i in range(3)]
    return np.max(parts, axis=0)


def _columns(sample: Sample, like: Target) -> np.ndarray:
    """Column of the grid of each good row, -1 outside; ignores the depth."""
    _, ny, nx = like.grid.shape
    first = np.zeros(1) if like.grid.depth is None else like.grid.depth[:1]
    cell = like.grid.locate(first, sample.lat, sample.lon)
    return np.where(sample.good & (cell >= 0), cell % (ny * nx), -1)


def land(sample: Sample, limits: Limits) -> np.ndarray:
    """No sea in the cell of `like`, nor in any of its eight neighbours.

    In a marginal sea of which the model has no cell at all nothing can be told.
    """
    like = sample.like
    nothing = np.zeros(sample.size, dtype=bool)
    if like is None or like.grid.lat is None or like.grid.lon is None:
        return nothing
    wet = np.asarray(like.wet.any(axis=(0, 1)))
    dry = ~_around(wet, like.grid.cyclic).ravel()
    column = _columns(sample, like)
    found = (column >= 0) & dry[column]
    lon, lat = np.meshgrid(like.grid.lon, like.grid.lat)
    for sea in SEAS:
        if not inside(sea, lon[wet], lat[wet]).any():
            found &= ~inside(sea, sample.lon, sample.lat)
    return found


def bottom(sample: Sample, limits: Limits) -> np.ndarray:
    """Far below the deepest sea of the cell of `like` and its eight neighbours.

    Where the sea reaches the last level of the grid nothing is known of its bottom.
    """
    like = sample.like
    nothing = np.zeros(sample.size, dtype=bool)
    if like is None or like.grid.depth is None or like.grid.lat is None or like.grid.lon is None:
        return nothing
    edges = like.grid.depth_edges
    assert edges is not None
    wet = np.asarray(like.wet.any(axis=0))  # (nz, ny, nx)
    count = np.where(wet.any(axis=0), wet.shape[0] - np.argmax(wet[::-1], axis=0), 0)
    deepest = _around(count, like.grid.cyclic).ravel()
    floor = np.where((deepest > 0) & (deepest < wet.shape[0]), edges[deepest], np.inf)
    column = _columns(sample, like)
    with np.errstate(invalid="ignore"):
        below = sample.depth > floor[column] * limits["factor"] + limits["metres"]
    return (column >= 0) & below


def deepest(sample: Sample, limits: Limits) -> np.ndarray:
    """Deeper than the instrument goes."""
    reach = sample.named("instrument", lambda n: limits.get(_probe(n), np.inf), float)
    with np.errstate(invalid="ignore"):
        return sample.good & (sample.depth > reach)


def _probe(name: str) -> str:
    """Kind of bathythermograph that a name says: "xbt", "mbt" or ""."""
    upper = name.upper()
    if "MBT" in upper or upper == "WMO 800":
        return "mbt"
    return "xbt" if is_xbt(name) else ""


POSITION = Rule(
    "position", "the position or depth is missing or impossible", position,
    # the Challenger Deep has 10,935 m; what floats above the sea surface is no water
    {"latitude": 90.0, "longitude": 540.0, "above": -10.0, "deepest": 11_000.0},
    "Argo QC manual test 3, GTSPP real-time QC manual (impossible location)",
)  # fmt: skip
DATE = Rule(
    "date", "the date is missing or impossible", date,
    # thermometers went to sea in the 18th century; a clock may run ahead by a day
    {"first_year": 1700, "ahead_days": 1.0},
    "Argo QC manual test 2, GTSPP (impossible date), with an earlier first year for the archives",
)  # fmt: skip
LAND = Rule(
    "land", "no sea in this cell of the model nor in its neighbours", land, {},
    "Argo QC manual test 4, GTSPP (position on land), on the model's own mask", PROBABLY_BAD,
)  # fmt: skip
BOTTOM = Rule(
    "bottom", "far below the bottom of the model here", bottom,
    # a smoothed bathymetry hides trenches and canyons
    {"factor": 1.2, "metres": 100.0},
    "GTSPP real-time QC manual (bottom), on the model's own mask", PROBABLY_BAD,
)  # fmt: skip
DEEPEST = Rule(
    "deepest", "deeper than such an instrument goes", deepest,
    # the deepest mechanical one reached 900 ft (274 m); a T-5 is rated to 1,830 m and
    # records somewhat longer
    {"mbt": 310.0, "xbt": 2000.0},
    "IQuOD (Gouretski) maximum depth check, Argo QC manual test 19", PROBABLY_BAD,
)  # fmt: skip
