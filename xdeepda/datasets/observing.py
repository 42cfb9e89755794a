"""Observations of an idealised ocean, as a table of points "as they come".

Floats drift, ships drop probes along their lanes, moorings stand, surface
buoys report: each datum has its own time, depth and position, not the model's.
The truth is read in the nearest cell and noise of the stated error is added.
Knows numpy, xarray and the grid of the truth; no cycle, no superobservation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cftime
import numpy as np
import xarray as xr

from xdeepda import units
from xdeepda.calendar import calendar_of
from xdeepda.errors import Problems
from xdeepda.grid import EARTH_RADIUS, Grid, layout_of

_DEGREE = np.deg2rad(1.0) * EARTH_RADIUS / 1000.0  # km


@dataclass(frozen=True)
class Instrument:
    """What is lowered, and how well it measures."""

    name: str
    error: float  # K, of the instrument alone
    depths: tuple[float, ...] = (1.0,)  # m


_FLOAT_DEPTHS = (5, 10, 20, 30, 50, 75, 100, 125, 150, 175, 200, 250, 300, 350, 400, 500)
FLOAT = Instrument("float", 0.005, (*_FLOAT_DEPTHS, 600, 700, 800, 950, 1100, 1250, 1400))
XBT = Instrument("xbt", 0.15, (3, 10, 20, 30, 50, 75, 100, 125, 150, 200, 250, 300, 350, 400, 450))
MOORING = Instrument("mooring", 0.02, (1, 20, 40, 60, 80, 100, 120, 140, 180, 300, 500))
DRIFTER = Instrument("drifter", 0.1)
SHIP = Instrument("ship", 0.4, (5.0,))


@dataclass(frozen=True)
class Fleet:
    """What is in the water in an era.

    Numbers are of platforms per million km2 of sea, so that they follow the size of
    the ocean; intervals are days.
    """

    floats: float
    drifters: float
    lanes: float
    section_interval: float
    ship_interval: float
    mooring_longitudes: tuple[float, ...]


# A cell of the idealised ocean is as large as some forty of 1 degree: a
# thirtieth of the real Argo array (4,000 floats) leaves as much to guess.
ERAS = {
    "argo": Fleet(0.4, 0.2, 0.06, 90.0, 10.0, (156, 165, 180, 190, 205, 220, 235, 250, 265)),
    "1980s": Fleet(0.0, 0.02, 0.08, 60.0, 6.0, (165, 220, 250)),
}


@dataclass(frozen=True)
class Drift:
    """How a platform drifts: random velocities with a memory of 30 days."""

    interval: float  # days between profiles
    speed: float  # standard deviation of a component (m/s)
    life: float  # days, then another one is launched elsewhere
    floor: float  # it turns back before water shallower than this (m)


FLOAT_DRIFT = Drift(10.0, 0.04, 1600.0, 700.0)
DRIFTER_DRIFT = Drift(2.0, 0.15, 450.0, 0.0)


@dataclass(frozen=True)
class Sea:
    """The wet cells and the period in which something can be measured."""

    grid: Grid
    wet: np.ndarray  # (nz, ny, nx)
    days: float

    def number(self, per_area: float) -> int:
        """Platforms in this sea, from their density per million km2."""
        return round(per_area * float(self.grid.area[self.wet[0]].sum()) / 1e12)

    def is_wet(self, lat: np.ndarray, lon: np.ndarray, depth: float = 0.0) -> np.ndarray:
        """Whether the sea is at least so deep there."""
        cell = self.grid.locate(np.full(np.shape(lat), depth), lat, lon)
        return (cell >= 0) & self.wet.ravel()[cell]

    def positions(
        self, count: int, rng: np.random.Generator, depth: float, north: float = 0.5
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw positions evenly by area, a share of them on the northern hemisphere.

        Returns latitude and longitude (degrees), each of shape (count,).
        """
        lat, lon = self.grid.lat_edges, self.grid.lon_edges
        assert lat is not None  # checked at the door
        assert lon is not None
        middle_lat, middle_lon = (lat[:-1] + lat[1:]) / 2, (lon[:-1] + lon[1:]) / 2
        y, x = (a.ravel() for a in np.meshgrid(middle_lat, middle_lon, indexing="ij"))
        share = np.where(y > 0, north, 1.0 - north)
        weight = self.grid.area.ravel() * share * self.is_wet(y, x, depth)
        cells = rng.choice(weight.size, size=count, p=weight / weight.sum())
        j, i = np.unravel_index(cells, self.grid.area.shape)
        jitter = rng.random((2, count))
        return (
            lat[j] + jitter[0] * (lat[j + 1] - lat[j]),
            lon[i] + jitter[1] * (lon[i + 1] - lon[i]),
        )


@dataclass(frozen=True)
class Profiles:
    """Where and when instruments of one kind measure, one entry per profile."""

    instrument: Instrument
    day: np.ndarray  # since the start of the period
    lat: np.ndarray
    lon: np.ndarray
    platform: np.ndarray  # number


def idealised_observations(
    truth: xr.Dataset | xr.DataArray,
    *,
    era: str = "argo",
    density: float = 1.0,
    seed: int = 0,
    var: str = "thetao",
) -> xr.Dataset:
    """Measure the temperature of an idealised ocean.

    Parameters
    ----------
    truth : xarray.Dataset or DataArray
        A run with time, depth, latitude and longitude, NaN on land, and the bounds of
        its times, such as :func:`idealised_ocean` makes.
    era : {"argo", "1980s"}
        ``"argo"``: a drifting float per 2.5 million km2 with a profile every 10 days,
        surface drifters, sections of XBTs every 3 months, ships' surface
        temperatures, nine equatorial moorings.  ``"1980s"``: no floats, hardly a
        drifter, but more lanes and sections of XBTs every 2 months, mostly north of the
        equator, and three moorings.
    density : float
        Multiplies the numbers of floats, drifters and lanes.
    seed : int
        Same seed and truth, same bits.
    var : str
        Variable of a Dataset to measure.

    Returns
    -------
    xarray.Dataset
        Along ``obs``, in order of time: ``value`` and ``error`` (degC; standard
        deviation, K), ``time``, ``depth`` (m, positive down), ``latitude``,
        ``longitude`` (-180 to 180), ``platform``, ``profile``, ``instrument``,
        ``variable``.

    Raises
    ------
    InputError
        If the truth lacks an axis, the bounds of its times or its units, or an argument
        is unknown.

    Notes
    -----
    The error is that of the instrument (0.005 K for floats to 0.4 K for ships) and of
    representativeness, what the cell mean does not show of a point: 0.28 K at the
    surface, 0.2 K at 250 m, 0.05 K at 1,000 m; both Gaussian and independent from
    datum to datum.

    Examples
    --------
    >>> from xdeepda.datasets import idealised_ocean
    >>> table = idealised_observations(idealised_ocean(1), era="1980s")
    >>> table["value"].dims, table["value"].attrs["units"]
    (('obs',), 'degC')
    """
    temperature, bounds = _checked(truth, era, density, var)
    layout = layout_of(temperature)
    values = layout.canonical(temperature).values
    seconds = _seconds(bounds)
    sea = Sea(layout.grid, np.isfinite(values[0]), float(seconds[:, 1].max()) / 86400.0)
    rng = np.random.default_rng(seed)
    columns = _expand(_campaign(sea, ERAS[era], density, rng), sea, seconds, values)
    columns["noise"] = rng.standard_normal(columns["depth"].size)
    unit = str(temperature.attrs["units"])
    columns["truth"] = units.convert(columns["truth"].astype(float), unit, "degC")
    return _table(columns, bounds, var if isinstance(truth, xr.Dataset) else str(truth.name or var))


def _checked(
    truth: xr.Dataset | xr.DataArray, era: Any, density: Any, var: str
) -> tuple[xr.DataArray, np.ndarray]:
    """Refuse what cannot be measured; return the field and the bounds of its times (nt, 2)."""
    problems = Problems("idealised_observations")
    if era not in ERAS:
        problems.add("era is not known", found=repr(era), expected=", ".join(ERAS))
    if not isinstance(density, (int, float)) or not 0 < density <= 1000:
        problems.add("density is out of range", found=repr(density), expected="above 0, to 1000")
    if isinstance(truth, xr.Dataset) and var not in truth:
        problems.add(f"no variable {var!r}", found=f"{list(truth.data_vars)}", todo="give var=")
        problems.raise_if_any()
    plain = units.dequantify(truth)
    temperature = plain[var] if isinstance(plain, xr.Dataset) else plain
    if "units" not in temperature.attrs:
        problems.add("the truth has no units", expected="degC or K", todo="set attrs['units']")
    axes = layout_of(temperature).axes
    missing = [name for name in ("time", "depth", "lat", "lon") if getattr(axes, name) is None]
    if missing:
        problems.add("the truth lacks axes", found=f"no {', '.join(missing)}")
    if axes.member is not None:
        problems.add("the truth is an ensemble", todo=f"choose one: .isel({axes.member}=0)")
    bounds = _time_bounds(truth, axes.time)
    if axes.time is not None and bounds is None:
        problems.add(
            "the truth has no bounds of its times",
            expected="a Dataset with time_bnds, named by the attribute bounds of its time",
            todo="make the truth with idealised_ocean, or add the bounds",
        )
    problems.raise_if_any()
    assert bounds is not None
    return temperature, bounds


def _time_bounds(truth: xr.Dataset | xr.DataArray, time: str | None) -> np.ndarray | None:
    """Bounds of the times, shape (nt, 2), None where there are none."""
    if time is None:
        return None
    name = truth[time].attrs.get("bounds", f"{time}_bnds")
    known = truth.variables if isinstance(truth, xr.Dataset) else truth.coords
    if name not in known:
        return None
    bounds = truth[name]
    return bounds.transpose(time, ...).values


def _seconds(bounds: np.ndarray) -> np.ndarray:
    """Bounds as seconds since the first start, shape (nt, 2)."""
    since = bounds - bounds[0, 0]
    if np.issubdtype(since.dtype, np.timedelta64):
        return since / np.timedelta64(1, "s")
    return np.array([s.total_seconds() for s in since.ravel()]).reshape(bounds.shape)


def _campaign(sea: Sea, fleet: Fleet, density: float, rng: np.random.Generator) -> list[Profiles]:
    """All that is measured in the period, kind by kind."""
    kinds = [
        _drifting(sea, FLOAT, FLOAT_DRIFT, sea.number(fleet.floats * density), rng),
        _drifting(sea, DRIFTER, DRIFTER_DRIFT, sea.number(fleet.drifters * density), rng),
        _moored(sea, fleet.mooring_longitudes, rng),
    ]
    lanes = _lanes(sea, sea.number(fleet.lanes * density), rng)
    kinds.append(_voyages(sea, XBT, lanes, rng, fleet.section_interval, 250.0))
    kinds.append(_voyages(sea, SHIP, lanes, rng, fleet.ship_interval, 350.0))
    return [kind for kind in kinds if kind.day.size]


def _drifting(
    sea: Sea, instrument: Instrument, drift: Drift, count: int, rng: np.random.Generator
) -> Profiles:
    """Follow platforms that drift and are replaced at the end of their lives."""
    steps = int(np.ceil(sea.days / drift.interval)) if count else 0
    lat, lon = sea.positions(count, rng, drift.floor)
    age = rng.random(count) * drift.life
    velocity = drift.speed * rng.standard_normal((2, count))
    memory = np.exp(-drift.interval / 30.0)
    kick = np.sqrt(1 - memory**2) * drift.speed
    platform = np.arange(count)
    track = np.empty((3, steps, count))
    for step in range(steps):
        track[:, step] = lat, lon, platform
        velocity = memory * velocity + kick * rng.standard_normal((2, count))
        lat, lon, free = _moved(sea, lat, lon, velocity, drift)
        velocity = np.where(free, velocity, -velocity)
        age += drift.interval
        old = np.flatnonzero(age > drift.life)
        if old.size:
            lat[old], lon[old] = sea.positions(old.size, rng, drift.floor)
            age[old] = 0.0
            platform[old] = platform.max() + 1 + np.arange(old.size)
    day = (np.arange(steps)[:, None] + rng.random(count)) * drift.interval
    lats, lons, platforms = track.reshape(3, -1)
    return Profiles(instrument, day.ravel(), lats, lons, platforms)


def _moved(
    sea: Sea, lat: np.ndarray, lon: np.ndarray, velocity: np.ndarray, drift: Drift
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions one interval later, and who was free to move."""
    east, north = velocity * drift.interval * 86.4 / _DEGREE  # degrees at the equator
    new_lat, new_lon = lat + north, lon + east / np.cos(np.deg2rad(lat))
    free = sea.is_wet(new_lat, new_lon, drift.floor)
    return np.where(free, new_lat, lat), np.where(free, new_lon, lon), free


def _moored(sea: Sea, longitudes: tuple[float, ...], rng: np.random.Generator) -> Profiles:
    """Daily means of moorings on the equator, a tenth of the days lost."""
    lon = np.array([x for x in longitudes if sea.is_wet(np.zeros(1), np.array([x]))[0]])
    day, mooring = np.meshgrid(np.arange(int(sea.days)) + 0.5, np.arange(lon.size), indexing="ij")
    kept = rng.random(day.shape) < 0.9
    day, mooring = day[kept], mooring[kept]
    return Profiles(MOORING, day, np.zeros(day.size), lon[mooring], mooring)


def _lanes(sea: Sea, count: int, rng: np.random.Generator) -> np.ndarray:
    """Lay shipping lanes, three quarters of them in the north, shape (4, count).

    Latitude and longitude of one end, and the way to the other in degrees (at most 60 east).
    """
    lat, lon = sea.positions(count, rng, 0.0, north=0.75)
    to_lat, to_lon = sea.positions(count, rng, 0.0, north=0.75)
    east = np.clip((to_lon - lon + 180.0) % 360.0 - 180.0, -60.0, 60.0)
    return np.stack([lat, lon, to_lat - lat, east])


def _voyages(
    sea: Sea,
    instrument: Instrument,
    lanes: np.ndarray,
    rng: np.random.Generator,
    interval: float,
    spacing: float,
) -> Profiles:
    """Sail the lanes every ``interval`` days, and measure every ``spacing`` km at 700 km a day."""
    count = lanes.shape[1]
    trips = int(np.ceil(sea.days / interval)) if count else 0
    middle = np.cos(np.deg2rad(lanes[0] + lanes[2] / 2))
    length = _DEGREE * np.hypot(lanes[2], lanes[3] * middle)
    casts = int(length.max() / spacing) + 1 if count else 0
    along = np.arange(casts) * spacing
    share = along / np.maximum(length, 1.0)[:, None]  # (lane, cast)
    lat = lanes[0][:, None] + share * lanes[2][:, None]
    lon = lanes[1][:, None] + share * lanes[3][:, None]
    departure = (np.arange(trips) + rng.random((count, trips))) * interval
    day = departure[:, :, None] + along / 700.0  # (lane, trip, cast)
    lat, lon, share = (np.broadcast_to(a[:, None], day.shape) for a in (lat, lon, share))
    ship = np.broadcast_to(np.arange(count)[:, None, None], day.shape)
    kept = share <= 1.0
    return Profiles(instrument, day[kept], lat[kept], lon[kept], ship[kept])


def representativeness(depth: np.ndarray) -> np.ndarray:
    """Return the standard deviation (K) of what a point has and the mean of its cell has not."""
    return 0.04 + 0.24 * np.exp(-((np.asarray(depth) / 400.0) ** 2))


def _expand(
    kinds: list[Profiles], sea: Sea, seconds: np.ndarray, values: np.ndarray
) -> dict[str, Any]:
    """Columns of all data in the sea and the period, in order of time.

    Parameters
    ----------
    kinds : list of Profiles
    sea : Sea
    seconds : numpy.ndarray, shape (nt, 2)
        Bounds of the cycles.
    values : numpy.ndarray, shape (nt, nz, ny, nx)
        The truth.
    """
    kind = np.repeat(np.arange(len(kinds)), [k.day.size for k in kinds])
    joined = {
        name: np.concatenate([getattr(k, name) for k in kinds])
        for name in ("day", "lat", "lon", "platform")
    }
    second = np.floor(joined["day"] * 86400.0)
    cycle = np.searchsorted(seconds[:, 0], second, side="right") - 1
    measured = (cycle >= 0) & (second < seconds[np.maximum(cycle, 0), 1])
    order = np.argsort(second, kind="stable")
    order = order[measured[order]]
    levels = np.array([len(k.instrument.depths) for k in kinds])[kind[order]]
    profile = np.repeat(np.arange(order.size), levels)
    row = order[profile]
    depths = [np.asarray(k.instrument.depths, dtype=float) for k in kinds]
    depth = np.concatenate([depths[n] for n in kind[order]])
    cell = sea.grid.locate(depth, joined["lat"][row], joined["lon"][row])
    kept = np.flatnonzero((cell >= 0) & sea.wet.ravel()[cell])
    row, depth, profile, cell = row[kept], depth[kept], profile[kept], cell[kept]
    instruments = np.array([k.instrument.error for k in kinds])[kind[row]]
    return {
        "depth": depth,
        "latitude": joined["lat"][row],
        "longitude": (joined["lon"][row] + 180.0) % 360.0 - 180.0,
        "truth": values.reshape(values.shape[0], -1)[cycle[row], cell],
        "error": np.hypot(instruments, representativeness(depth)),
        "profile": np.unique(profile, return_inverse=True)[1],
        "second": second[row],
        "platform": joined["platform"][row].astype(np.int64),
        "instrument": np.array([k.instrument.name for k in kinds])[kind[row]],
    }


def _table(columns: dict[str, Any], bounds: np.ndarray, variable: str) -> xr.Dataset:
    """Observation table with CF attributes."""
    size = columns["depth"].size
    value = columns["truth"] + columns["error"] * columns["noise"]
    data: dict[str, tuple[str, Any, dict[str, str]]] = {
        "value": ("obs", value, _ATTRS["value"]),
        "error": ("obs", columns["error"], _ATTRS["error"]),
        "platform": ("obs", _platforms(columns), {"long_name": "Platform"}),
        "profile": ("obs", columns["profile"], {"long_name": "Number of the profile"}),
        "instrument": ("obs", columns["instrument"], {"long_name": "Instrument"}),
        "variable": ("obs", np.full(size, variable), {"long_name": "Variable measured"}),
    }
    times = _times(columns["second"], bounds)
    coords = {
        "time": ("obs", times, {"standard_name": "time", "long_name": "Time"}),
        **{name: ("obs", columns[name], _ATTRS[name]) for name in _POSITION},
    }
    attrs = {
        "Conventions": "CF-1.11",
        "title": "Observations of an idealised ocean",
        "featureType": "point",
        "source": "xdeepda.datasets.idealised_observations",
    }
    return xr.Dataset(data, coords=coords, attrs=attrs)


_POSITION = ("depth", "latitude", "longitude")
_ATTRS = {
    "value": {
        "standard_name": "sea_water_potential_temperature",
        "long_name": "Potential temperature as measured",
        "units": "degC",
    },
    "error": {
        "standard_name": "sea_water_potential_temperature standard_error",
        "long_name": "Standard deviation of the error of instrument and representativeness",
        "units": "delta_degC",
    },
    "depth": {
        "standard_name": "depth",
        "long_name": "Depth",
        "units": "m",
        "positive": "down",
    },
    "latitude": {
        "standard_name": "latitude",
        "long_name": "Latitude",
        "units": "degrees_north",
    },
    "longitude": {
        "standard_name": "longitude",
        "long_name": "Longitude",
        "units": "degrees_east",
    },
}


def _platforms(columns: dict[str, Any]) -> np.ndarray:
    """Names of the platforms, such as ``"float 17"``, one per datum."""
    numbers = np.char.mod(" %d", np.arange(columns["platform"].max(initial=0) + 1))
    return np.char.add(columns["instrument"], numbers[columns["platform"]])


def _times(second: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Make times of the data, of the kind of the bounds of the truth."""
    start = bounds[0, 0]
    if np.issubdtype(bounds.dtype, np.datetime64):
        return start + second.astype("timedelta64[s]")
    # a profile has one time: only the distinct ones are converted
    distinct, inverse = np.unique(second.astype(np.int64), return_inverse=True)
    origin = f"seconds since {start.strftime('%Y-%m-%d %H:%M:%S')}"
    calendar = calendar_of(bounds)
    dates = cftime.num2date(distinct, origin, calendar=calendar, has_year_zero=start.has_year_zero)
    return np.atleast_1d(dates)[inverse]
