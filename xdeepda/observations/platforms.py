"""The platforms of the observing system, era by era, in physical numbers.

Rates are per area of sea and per day, so that they mean the same on every grid
and for every cycle.  All numbers are round; what they rest on is said beside
them, and what is merely assumed is said to be.  The area of the ocean is taken
as 361 million km².  Knows no grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from xdeepda.observations.quantities import SALINITY, TEMPERATURE

#: km of one degree of latitude.
KM_PER_DEGREE = 111.2
EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True)
class Platform:
    """One kind of platform.

    Attributes
    ----------
    name : str
    motion : {"route", "drift", "fixed"}
        Ships sail along routes, drifters and floats move slowly from anywhere,
        moorings stay at their sites.
    rate : float
        Reports (a profile is one) per 10⁶ km² and day, on average between the
        latitudes ±`limit`.  For moorings: the share of cycles in which a site
        reports.
    interval : float
        Days between two reports of one platform (between two positions, if it
        reports several times at one).
    repeats : int
        Reports at one position.
    speed : float
        km per day.
    duration : float
        Days of one voyage.
    routes : int
        Number of routes that exist; voyages go back and forth on them.
    north : float
        Share of the platforms in the northern hemisphere.
    limit : float
        Degrees of latitude beyond which there are none.
    depths : tuple of float
        Metres: the range of a continuous profile, or the fixed depths of sensors.
    sensors : bool
        Whether `depths` are those of sensors.
    instrument : dict
        Standard deviation of the instrument's error by kind of quantity (K, psu).
    share : dict
        Share of the reports that measure a kind of quantity; 1 by default.
    water : float
        Metres of water that the platform needs.
    sites : tuple of (latitude, longitude)
    """

    name: str
    motion: str
    rate: float
    interval: float
    depths: tuple[float, ...]
    instrument: Mapping[str, float]
    speed: float = 0.0
    duration: float = np.inf
    routes: int = 0
    north: float = 0.5
    limit: float = 65.0
    sensors: bool = False
    share: Mapping[str, float] = field(default_factory=dict)
    water: float = 0.0
    repeats: int = 1
    sites: tuple[tuple[float, float], ...] = ()

    @property
    def area(self) -> float:
        """Area of the sphere between ±limit in 10⁶ km²."""
        return 4e-6 * np.pi * EARTH_RADIUS_KM**2 * np.sin(np.deg2rad(self.limit))

    def levels(self, depth: np.ndarray | None, edges: np.ndarray | None) -> np.ndarray:
        """Levels of a grid that the platform observes, as positions.

        A profile observes a level whose centre it passes, and the first one if it
        begins within it; a sensor the level whose edges hold it.  A grid without
        a depth axis is observed by what reports from the upper 10 m.
        """
        if depth is None or edges is None:
            return np.arange(1) if self.depths[0] <= 10.0 else np.arange(0)
        if self.sensors:
            inside = np.searchsorted(edges, self.depths, side="right") - 1
            return np.unique(inside[(inside >= 0) & (inside < depth.size)])
        top, bottom = self.depths
        # the uppermost level counts as passed by all that reports near the surface
        passed = (depth <= bottom) | (np.arange(depth.size) == 0)
        return np.flatnonzero(passed & (edges[1:] > top))

    def start_positions(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Latitudes and longitudes, uniform over each hemisphere up to the limit."""
        sign = np.where(rng.random(size) < self.north, 1.0, -1.0)
        top = np.sin(np.deg2rad(self.limit))
        lat = np.rad2deg(np.arcsin(sign * top * rng.random(size)))
        return lat, 360.0 * rng.random(size)


def _array(lats: tuple[float, ...], lons: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    """Sites of a rectangular array of moorings."""
    return tuple((lat, lon) for lon in lons for lat in lats)


#: Tropical Pacific: 11 meridians, 7 parallels (nominal positions, McPhaden et al. 1998).
_TAO = _array(
    (8.0, 5.0, 2.0, 0.0, -2.0, -5.0, -8.0),
    (137.0, 147.0, 156.0, 165.0, 180.0, 190.0, 205.0, 220.0, 235.0, 250.0, 265.0),
)
#: Its first sites, 1984 to 1986: the equator, and a few beside it.
_TAO_FIRST = (
    *_array((0.0,), (165.0, 190.0, 220.0, 235.0, 250.0)),
    *_array((5.0, 2.0, -2.0, -5.0), (165.0, 250.0)),
)
#: Tropical Atlantic (PIRATA), nominal.
_PIRATA = (
    *_array((15.0, 11.5, 8.0, 4.0), (322.0,)),
    *_array((20.5, 11.5, 4.0, 0.0), (337.0,)),
    *_array((0.0, -6.0, -10.0), (350.0,)),
    (0.0, 325.0), (0.0, 0.0), (-8.0, 329.5), (-14.0, 328.0), (-19.0, 326.0),
)  # fmt: skip
#: Indian Ocean (RAMA), about half of the planned sites, nominal.
_RAMA = (
    *_array((8.0, 4.0, 1.5, 0.0, -1.5, -4.0, -8.0, -12.0), (80.5,)),
    *_array((15.0, 12.0, 8.0, 4.0, 0.0), (90.0,)),
    *_array((-5.0, -8.0, -12.0), (67.0, 95.0)),
)
_MOORED_DEPTHS = (1.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 140.0, 180.0, 300.0, 500.0)

_T = TEMPERATURE
_XBT = {_T: 0.15}  # manufacturer: 0.1 K or 0.2 K; fall rate (about 2 %) adds to it
_CTD = {_T: 0.005, SALINITY: 0.005}
_SHIP = {_T: 1.1}  # intakes and buckets; 0.7 to 1.3 K in the review of Kennedy (2014)
_BUOY = {_T: 0.25}
_MOORED = {_T: 0.02, SALINITY: 0.03}

#: About 1985.  XBT: some 46,000 a year, two thirds of them T-4 to 460 m, three
#: quarters north of the equator, dropped every 6 hours at 600 km a day.  MBT: some
#: 23,000 a year, to 250 m, nearly all northern.  Stations (bottles and CTD, both
#: variables): some 11,000 a year in the open ocean, 50 km apart.  Ships: some 1.7
#: million reports of surface temperature a year.  Drifters: some 200 at a time.  Yearly
#: numbers are assumed from the yearly counts of the World Ocean Database and ICOADS to
#: about a factor of 1.5.  The numbers of routes are chosen such that a quarter of all
#: cells of 4 degrees hold a profile in a month, also assumed.
_ERA_1980S = (
    Platform("XBT T-4", "route", 0.25, 0.25, (0.0, 460.0), _XBT,
             speed=600.0, duration=10.0, routes=24, north=0.75),
    Platform("XBT T-7", "route", 0.13, 0.25, (0.0, 760.0), _XBT,
             speed=600.0, duration=10.0, routes=12, north=0.75),
    Platform("MBT", "route", 0.19, 0.25, (0.0, 250.0), {_T: 0.2},
             speed=150.0, duration=15.0, routes=40, north=0.9),
    Platform("CTD", "route", 0.09, 0.25, (0.0, 6000.0), _CTD,
             speed=200.0, duration=20.0, routes=60, north=0.7),
    Platform("mooring", "fixed", 0.8, 1.0, _MOORED_DEPTHS, {_T: 0.05},
             sensors=True, sites=_TAO_FIRST),
    Platform("ship", "route", 14.0, 0.25, (0.0, 0.0), _SHIP,
             speed=600.0, duration=10.0, routes=400, north=0.8),
    Platform("drifter", "drift", 0.55, 5.0, (0.0, 0.0), _BUOY, speed=15.0, repeats=5, north=0.4),
)  # fmt: skip

#: About 2015.  Argo: the programme counts 3,800 floats, 3 degrees apart, and 120,000
#: profiles a year to 2,000 m, in water deeper than that (here: 1,000 m, where they
#: park), which is 1.06 per 10⁶ km² and day.  XBT: some 17,000 a year, most to 760 m.
#: Stations: 5,000 a year.  Moorings: TAO/TRITON, PIRATA and about half of RAMA.
#: Ships: some 1.0 million reports a year.  Drifters: 1,250 at a time, one daily mean
#: each.
_ERA_ARGO = (
    Platform("Argo", "drift", 1.06, 10.0, (4.0, 2000.0), {_T: 0.002, SALINITY: 0.01},
             speed=4.0, limit=65.0, water=1000.0),
    Platform("XBT T-7", "route", 0.14, 0.25, (0.0, 760.0), _XBT,
             speed=600.0, duration=10.0, routes=40, north=0.65),
    Platform("CTD", "route", 0.04, 0.25, (0.0, 6000.0), _CTD,
             speed=200.0, duration=20.0, routes=100, north=0.65),
    Platform("mooring", "fixed", 0.8, 1.0, _MOORED_DEPTHS, _MOORED,
             sensors=True, share={SALINITY: 0.4}, sites=_TAO + _PIRATA + _RAMA),
    Platform("ship", "route", 8.5, 0.25, (0.0, 0.0), _SHIP,
             speed=600.0, duration=10.0, routes=400, north=0.8),
    Platform("drifter", "drift", 3.5, 5.0, (0.0, 0.0), _BUOY, speed=15.0, repeats=5),
)  # fmt: skip

#: Platforms by era.
ERAS: dict[str, tuple[Platform, ...]] = {"1980s": _ERA_1980S, "argo": _ERA_ARGO}


def route_points(platform: Platform, seed: int, per_report: int) -> tuple[np.ndarray, np.ndarray]:
    """Points along the routes of a platform: great circles of random place and heading.

    Parameters
    ----------
    platform : Platform
    seed : int
    per_report : int
        Points per report interval.

    Returns
    -------
    lat, lon : numpy.ndarray, shape (routes, points)
    """
    name = [ord(letter) for letter in platform.name]
    rng = np.random.default_rng(np.random.SeedSequence([seed, *name]))
    lat, lon = platform.start_positions(rng, platform.routes)
    heading = np.pi * rng.random(platform.routes)
    points = round(platform.duration / platform.interval * per_report)
    along = ((np.arange(points) + 0.5) / points - 0.5) * platform.duration * platform.speed
    angle = along[None, :] / EARTH_RADIUS_KM
    middle, heading = np.deg2rad(lat)[:, None], heading[:, None]
    sine = np.sin(middle) * np.cos(angle) + np.cos(middle) * np.sin(angle) * np.cos(heading)
    east = np.arctan2(
        np.sin(heading) * np.sin(angle) * np.cos(middle), np.cos(angle) - np.sin(middle) * sine
    )
    return np.rad2deg(np.arcsin(np.clip(sine, -1, 1))), lon[:, None] + np.rad2deg(east)
