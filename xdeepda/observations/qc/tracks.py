"""Reports of a platform that it could not have reached in time.

Of two reports that are too far apart the one is at fault without which the track is
possible.  Knows names of platforms and instruments.
"""

from __future__ import annotations

import re

import numpy as np

from xdeepda.observations.flags import PROBABLY_BAD
from xdeepda.observations.platforms import EARTH_RADIUS_KM
from xdeepda.observations.qc.rule import Limits, Rule
from xdeepda.observations.qc.sample import Sample, _codes, _joined

#: Names that many platforms share: cruise 0 or country 99 of WOD, call signs of nobody.
_ANYBODY = re.compile(
    r"(cruise 99-.*|cruise \S*-0|ships?|plat|maskstid|unknown|none|nan|9+|-|\s*)", re.I
)
#: Instruments of platforms that drift, glide, swim or lie at anchor.
_SLOW = re.compile(r"float|drift|buoy|glider|moor|animal|mammal|ice|argo|apex|provor|solo", re.I)
#: What is thrown from aeroplanes.
_AIR = re.compile(r"\bAX(BT|CTD)", re.I)
#: WMO table 1770: instruments from 840 on are floats, gliders, animals.
_WMO = re.compile(r"WMO (\d+)")

#: Passes over the tracks: each takes at most one report out of any three.
_PASSES = 50


def _speed_limit(instrument: str, limits: Limits) -> float:
    """Greatest speed (m/s) by the name of the instrument."""
    if _AIR.search(instrument):
        return np.inf
    code = _WMO.match(instrument)
    slow = int(code[1]) >= 840 if code else bool(_SLOW.search(instrument))
    return float(limits["slow" if slow else "ship"])


class _Track:
    """Reports by platform and time.

    Attributes
    ----------
    row : numpy.ndarray
        A row of the table of each report.
    platform : numpy.ndarray of int64
    """

    def __init__(self, sample: Sample, row: np.ndarray, platform: np.ndarray) -> None:
        order = np.lexsort((sample.lon[row], sample.lat[row], sample.seconds[row], platform))
        self.platform = platform[order]
        self.seconds, self.lat, self.lon = (
            x[row[order]] for x in (sample.seconds, sample.lat, sample.lon)
        )
        self.order = order

    def metres(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Distance along the great circle."""
        y1, y2 = np.deg2rad(self.lat[a]), np.deg2rad(self.lat[b])
        dx = np.deg2rad(self.lon[b] - self.lon[a])
        half = np.sin((y2 - y1) / 2) ** 2 + np.cos(y1) * np.cos(y2) * np.sin(dx / 2) ** 2
        return 2e3 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))

    def fast(self, a: np.ndarray, b: np.ndarray, limit: np.ndarray, limits: Limits) -> np.ndarray:
        """Whether the way between reports was too fast; false where one is none (-1)."""
        time = np.maximum(np.abs(self.seconds[b] - self.seconds[a]), limits["seconds"])
        # noon or midnight sharp: the archive knew the day alone
        time += 43_200.0 * ((self.seconds[a] % 43_200 == 0) | (self.seconds[b] % 43_200 == 0))
        return self.same(a, b) & ((self.metres(a, b) - limits["metres"]) / time > limit[b])

    def same(self, *reports: np.ndarray) -> np.ndarray:
        """Whether reports are all there and of one platform."""
        found = np.ones(reports[0].size, dtype=bool)
        for report in reports:
            found &= (report >= 0) & (self.platform[report] == self.platform[reports[0]])
        return found


#: Report two before, one before, here, one after, two after.
_Way = list[np.ndarray]


def _outliers(track: _Track, limit: np.ndarray, limits: Limits) -> np.ndarray:
    """Reports at fault; bool in the order of the track."""
    lost = np.zeros(track.platform.size, dtype=bool)
    for _ in range(_PASSES):
        here = np.flatnonzero(~lost)
        if here.size < 2:
            break
        wide = np.concatenate([[-1, -1], here, [-1, -1]])
        way = [wide[k : k + here.size] for k in range(5)]
        bad = _by_speed(track, way, limit, limits)
        if not bad.any():
            bad = _by_length(track, way, limit, limits)
        if not bad.any():
            break
        # of neighbours that seem at fault only the first goes now, the others may be cleared
        number = np.flatnonzero(bad)
        alone = np.append(True, np.diff(number) > 1)
        end = ~track.same(way[1], way[2]) | ~track.same(way[2], way[3])
        lost[here[number[alone | end[number]]]] = True
    return lost


def _by_speed(track: _Track, way: _Way, limit: np.ndarray, limits: Limits) -> np.ndarray:
    """Reports without which the track would be possible."""
    before, last, here, next_, after = way

    def fast(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return track.fast(a, b, limit, limits)

    into, out, around = fast(last, here), fast(here, next_), fast(last, next_)
    behind, ahead = fast(before, here), fast(here, after)
    inner = track.same(last, here, next_) & ~around
    # a leap to and fro, or to one side with a long pause on the other
    bad = inner & ((into & out) | (into & behind) | (out & ahead))
    # an end is at fault if the neighbour's neighbour is too far as well; two reports alone are
    # both doubtful
    first, end = ~track.same(last, here), ~track.same(here, next_)
    bad |= first & out & (ahead | ~track.same(here, after))
    return bad | (end & into & (behind | ~track.same(before, here)))


def _by_length(track: _Track, way: _Way, limit: np.ndarray, limits: Limits) -> np.ndarray:
    """Of two reports that are too far apart the one without which the track is shorter."""
    before, last, here, next_, after = way
    bad = np.zeros(here.size, dtype=bool)
    for a, b, c, other in ((before, last, next_, last), (last, next_, after, next_)):
        # a - b - c is the track without this report, the other end of the leap being b
        ends = track.same(a, b, c, here)
        without = track.metres(a, b) + track.metres(b, c)
        with_it = track.metres(a, here) + track.metres(here, c)
        leap = track.fast(np.minimum(here, other), np.maximum(here, other), limit, limits)
        bad |= ends & leap & (without + np.maximum(limits["metres"], 0.1 * with_it) < with_it)
    return bad


def speed(sample: Sample, limits: Limits) -> np.ndarray:
    """Reports that the platform cannot have reached."""
    found = np.zeros(sample.size, dtype=bool)
    names = sample.codes["platform"]
    use = sample.good & ~sample.named("platform", _ANYBODY.fullmatch)
    if sample.names["source"] != [""]:
        sources = set(sample.names["source"]) - {""}
        use &= ~sample.named("platform", lambda name: name in sources)  # a name of a file
    rows = np.flatnonzero(use)
    if not rows.size:
        return found
    places = [_codes(x[rows]) for x in (sample.seconds, sample.lat, sample.lon)]
    report = _joined([names[rows], *places])
    first = np.empty(int(report.max()) + 1, dtype=np.int64)
    first[report] = rows
    allowed = sample.named("instrument", lambda name: _speed_limit(name, limits), float)[rows]
    fastest = np.zeros(first.size)
    np.maximum.at(fastest, report, allowed)
    own = names[first]
    track = _Track(sample, first, own)
    lost = np.zeros(first.size, dtype=bool)
    lost[track.order] = _outliers(track, fastest[track.order], limits)
    # a name under which so much is impossible is not the name of one platform
    reports = np.bincount(own)
    share = np.bincount(own, weights=lost) / np.maximum(reports, 1)
    lost &= ((share <= limits["share"]) | (reports <= 2))[own]
    found[rows] = lost[report]
    return found


SPEED = Rule(
    "speed", "the platform cannot have come here in time", speed,
    # m/s; positions are known to 20 km and times to 10 minutes
    {"ship": 15.0, "slow": 3.0, "metres": 20_000.0, "seconds": 600.0, "share": 0.2},
    "Ingleby & Huddleston 2007 (track check), Argo QC manual test 5 (3 m/s)", PROBABLY_BAD,
)  # fmt: skip
