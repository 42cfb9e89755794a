"""The idealised ocean: a control run out of a box.

A stochastic ocean of potential temperature and salinity on the globe, made in
seconds, for examples, tests and first tries: a warm, salty, stratified mean state
with a seasonal cycle, and variability that a data assimilation can find, because it
is smooth, moves slowly, and ties depth to depth and salt to heat.  Assembles the
mean state (:mod:`~xdeepda.datasets.geography`) and the variability
(:mod:`~xdeepda.datasets.dynamics`) into a labelled Dataset; knows numpy and xarray,
no network, no file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import Cycle
from xdeepda.datasets.dynamics import COMPONENTS, SPINUP, Strip, oscillator
from xdeepda.datasets.geography import Geography, pacific
from xdeepda.errors import Problems

#: Steps of the dynamics in one cycle: a month is the mean of six steps, as long
#: as a pentad each.
_STEPS = {"pentad": 1, "month": 6}

_CALENDARS = ("standard", "noleap", "360_day", "all_leap", "julian")

# The water masses, in the order of COMPONENTS: depth of the centre (m), standard
# deviation (K), and the share of a temperature anomaly that salt compensates in
# density: little under the heat flux, nearly all in the interior (spice).
_WATER_MASSES = (
    (0.0, 0.56, 0.25),
    (65.0, 0.45, 0.50),
    (170.0, 0.42, 0.80),
    (420.0, 0.32, 0.90),
    (1100.0, 0.16, 0.90),
)
# The baroclinic modes: displacement of the thermocline, standard deviation (m).
_DISPLACEMENTS = (6.0, 4.5)
# Salt of its own: depth of the centre (m), standard deviation.
_SALT = ((0.0, 0.12), (170.0, 0.035), (750.0, 0.014))


def idealised_ocean(
    years: int = 30,
    *,
    cycle: str = "month",
    resolution: float | tuple[float, float] = (7.5, 6.0),
    levels: int = 8,
    seed: int = 0,
    calendar: str = "noleap",
    start_year: int = 1,
    dtype: Any = "float32",
) -> xr.Dataset:
    """Make a control run of an idealised ocean.

    Parameters
    ----------
    years : int
        Length of the run, at least 1.
    cycle : {"month", "pentad"}
        Means over months (12 a year) or pentads (73 a year).
    resolution : float or tuple of float
        Width of the cells in degrees of longitude and latitude, 1 to 15; rounded
        so that the cells fill 360 and 144 degrees.  The default has 48 x 24 cells.
    levels : int
        Number of levels, 2 to 12, from 10 m to about 1,200 m.
    seed : int
        Same seed, same bits; the numbers of one seed at two cycles, resolutions or
        lengths are unrelated.
    calendar : {"noleap", "standard", "360_day", "all_leap", "julian"}
        Times are cftime objects of this calendar, datetime64 for ``"standard"``.
    start_year : int
        First year, 1 to 9,000.
    dtype : numpy dtype
        float32 or float64.

    Returns
    -------
    xarray.Dataset
        ``thetao`` (potential temperature, degC) and ``so`` (practical salinity),
        dims (time, depth, lat, lon), NaN on land; ``time_bnds`` and ``depth_bnds``.
        ``time`` is the middle of the cycles.

    Raises
    ------
    InputError
        If an argument is out of its range; all of them are told at once.

    Notes
    -----
    The anomalies are linear and Gaussian, with stationary statistics; the first
    30 years are discarded.  Temperature is the sum of

    - *water masses*: five components from the mixed layer (memory 4 months) to the
      deep ocean (6 years), carried by mean currents, each forced by noise and by the
      one above it;
    - *planetary waves*: two baroclinic modes of vertical displacement that travel west
      at the speed of long Rossby waves and show wherever the mean state is stratified,
      as minus displacement times the vertical gradient;
    - *El Nino*: a see-saw of the thermocline along the equatorial Pacific with its
      surface temperature, a damped oscillator of 4 years excited by noise.

    Salinity follows the water masses in part (compensating their density), follows
    the displacements, and has three components of its own.

    Examples
    --------
    >>> control = idealised_ocean(2, seed=1)
    >>> dict(control.sizes)
    {'time': 24, 'depth': 8, 'lat': 24, 'lon': 48, 'bnds': 2}
    """
    widths = _checked(years, cycle, resolution, levels, calendar, start_year, dtype)
    geography = Geography(widths, int(levels))
    time = Cycle(cycle)
    index = int(start_year) * time.per_year + np.arange(years * time.per_year)
    fields = _fields(geography, time, index, calendar, np.random.default_rng(seed), np.dtype(dtype))
    return _labelled(geography, time, index, calendar, fields, seed)


def _checked(
    years: Any,
    cycle: Any,
    resolution: Any,
    levels: Any,
    calendar: Any,
    start_year: Any,
    dtype: Any,
) -> tuple[float, float]:
    """Refuse what cannot be made; return the widths of the cells."""
    problems = Problems("idealised_ocean")
    for name, value, low, high in (
        ("years", years, 1, 100_000),
        ("levels", levels, 2, 12),
        ("start_year", start_year, 1, 9000),
    ):
        if not isinstance(value, (int, np.integer)) or not low <= value <= high:
            problems.add(f"{name} is out of range", found=repr(value), expected=f"{low} to {high}")
    for name, value, known in (
        ("cycle", cycle, tuple(_STEPS)),
        ("calendar", calendar, _CALENDARS),
    ):
        if value not in known:
            problems.add(f"{name} is not known", found=repr(value), expected=", ".join(known))
    try:
        kind = np.dtype(dtype)
    except TypeError:
        kind = np.dtype(object)
    if kind not in (np.dtype("float32"), np.dtype("float64")):
        problems.add("dtype is no float", found=repr(dtype), expected="float32 or float64")
    try:
        widths = np.broadcast_to(np.asarray(resolution, dtype=float), (2,))
    except (TypeError, ValueError):
        widths = np.array([np.nan, np.nan])
    if not np.all((widths >= 1.0) & (widths <= 15.0)):
        problems.add(
            "resolution is out of range",
            found=repr(resolution),
            expected="1 to 15 degrees, one number or (longitude, latitude)",
        )
    problems.raise_if_any()
    return float(widths[0]), float(widths[1])


def _fields(
    geography: Geography,
    cycle: Cycle,
    index: np.ndarray,
    calendar: str,
    rng: np.random.Generator,
    dtype: np.dtype,
) -> tuple[np.ndarray, np.ndarray]:
    """Temperature and salinity, each of shape (nt, nz, ny, nx), NaN on land."""
    weights = _weights(geography)
    patterns = _el_nino(geography)
    means = [
        np.where(geography.wet, m, np.nan) for m in (geography.temperature, geography.salinity)
    ]
    shape = (index.size, *geography.wet.shape)
    fields = np.empty(shape, dtype), np.empty(shape, dtype)
    years = index.size // cycle.per_year
    for year, (components, nino) in enumerate(_variability(geography, cycle, years, rng)):
        rows = slice(year * cycle.per_year, (year + 1) * cycle.per_year)
        seasonal = geography.seasonal(cycle.year_fraction(index[rows], calendar))
        modes = np.stack([nino.real, nino.imag], axis=1)
        for field, weight, pattern, mean, season in zip(
            fields, weights, patterns, means, seasonal, strict=True
        ):
            anomaly = np.einsum("tjyx,jzyx->tzyx", components, weight)
            anomaly += np.einsum("tm,mzyx->tzyx", modes, pattern)
            field[rows] = mean + season[..., None] + anomaly
    return fields


def _variability(
    geography: Geography, cycle: Cycle, years: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the components (per_year, nc, ny, nx) and El Nino (per_year,) year by year."""
    steps = _STEPS[cycle.name]
    per_year = cycle.per_year * steps
    strip = Strip(COMPONENTS, geography.lat, geography.lon.size, 1.0 / per_year)
    nino = oscillator(years * per_year, 1.0 / per_year, rng)
    nino = nino.reshape(years, cycle.per_year, steps).mean(axis=2)
    for year, block in enumerate(strip.run((SPINUP + years) * per_year, rng, per_year)):
        if year >= SPINUP:
            means = block.reshape(cycle.per_year, steps, *block.shape[1:]).mean(axis=1)
            yield strip.grid(means), nino[year - SPINUP]


def _bump(depth: np.ndarray, centre: float) -> np.ndarray:
    """Shape of a water mass in depth: a bell in log(1 + depth / 50 m), 1 at the centre."""
    distance = np.log1p(depth / 50.0) - np.log1p(centre / 50.0)
    return np.exp(-0.5 * (distance / 0.45) ** 2)


def _modes(depth: np.ndarray) -> list[np.ndarray]:
    """Vertical displacement of the first two baroclinic modes, 0 at the surface."""
    first = np.tanh(depth / 90.0)
    second = depth / 110.0 * np.exp(1.0 - depth / 110.0) - 0.6 * np.tanh(depth / 500.0)
    return [first, second]


def _energy(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Relative strength of the upper ocean's variability, shape (ny, nx)."""
    lat, lon = lat[:, None], lon[None, :]
    energy = 1.0 - 0.35 * np.clip((np.abs(lat) - 50.0) / 20.0, 0.0, 1.0)
    # the separated western boundary currents: Kuroshio, Gulf Stream, Agulhas, Brazil
    for east, north in ((155.0, 38.0), (305.0, 41.0), (25.0, -41.0), (310.0, -40.0)):
        away = (lon - east + 180.0) % 360.0 - 180.0
        energy = energy + 0.7 * np.exp(-((away / 18.0) ** 2) - ((lat - north) / 8.0) ** 2)
    return energy


def _weights(geography: Geography) -> tuple[np.ndarray, np.ndarray]:
    """Temperature (K) and salinity per unit of each component, each (nc, nz, ny, nx)."""
    depth = geography.depth[:, None, None]
    energy = _energy(geography.lat, geography.lon)
    # ratio of thermal expansion to haline contraction (1/K), growing with warmth
    ratio = 0.07 + 0.01 * geography.temperature
    temperature, salinity = [], []
    for centre, deviation, compensated in _WATER_MASSES:
        # the deep ocean does not know the currents at the surface
        strength = 1.0 + (energy - 1.0) * np.exp(-centre / 300.0)
        heat = deviation * _bump(depth, centre) * strength
        temperature.append(heat)
        salinity.append(compensated * ratio * heat)
    heave_heat, heave_salt = (-gradient for gradient in geography.stratification)
    for deviation, shape in zip(_DISPLACEMENTS, _modes(depth), strict=True):
        temperature.append(deviation * shape * heave_heat)
        salinity.append(deviation * shape * heave_salt)
    for centre, deviation in _SALT:
        temperature.append(np.zeros_like(heave_heat))
        salinity.append(deviation * _bump(depth, centre) * energy)
    shape4 = (len(COMPONENTS), *geography.wet.shape)
    return _stacked(temperature, shape4), _stacked(salinity, shape4)


def _stacked(parts: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Parts of differing extent as one array."""
    return np.stack([np.broadcast_to(part, shape[1:]) for part in parts])


def _el_nino(geography: Geography) -> tuple[np.ndarray, np.ndarray]:
    """Temperature and salinity of the oscillator's two phases, each (2, nz, ny, nx)."""
    depth = geography.depth[:, None, None]
    lat, lon = geography.lat[None, :, None], geography.lon[None, None, :]
    position = pacific(lon)
    basin = 0.25 * (1 + np.tanh((lon - 132.0) / 8.0)) * (1 + np.tanh((287.0 - lon) / 5.0))
    equator = np.exp(-0.5 * (lat / 5.5) ** 2)
    beside = np.exp(-0.5 * ((np.abs(lat) - 13.0) / 5.0) ** 2)
    reach = np.tanh(depth / 70.0)
    # deeper in the east and shallower in the west; the warm water that fills the
    # whole equator beforehand comes from its two sides
    seesaw = 15.0 * -np.cos(np.pi * position) * basin * equator * reach
    recharge = 7.0 * basin * (equator - 0.6 * beside) * reach
    warmth = np.exp(-0.5 * ((lon - 232.0) / 34.0) ** 2 - 0.5 * (lat / 8.0) ** 2)
    cold_horseshoe = 0.2 * np.exp(-0.5 * ((lon - 150.0) / 18.0) ** 2 - 0.5 * (lat / 14.0) ** 2)
    surface = (0.85 * warmth - cold_horseshoe) * basin * np.exp(-((depth / 75.0) ** 2))
    heat, salt = (-gradient for gradient in geography.stratification)
    rain = -0.10 * np.exp(-0.5 * ((lon - 180.0) / 25.0) ** 2 - 0.5 * (lat / 7.0) ** 2)
    return (
        np.stack([seesaw * heat + surface, -recharge * heat]),
        np.stack([seesaw * salt + rain * basin * np.exp(-depth / 50.0), -recharge * salt]),
    )


def _labelled(
    geography: Geography,
    cycle: Cycle,
    index: np.ndarray,
    calendar: str,
    fields: tuple[np.ndarray, np.ndarray],
    seed: int,
) -> xr.Dataset:
    """Dataset with coordinates, bounds and CF attributes."""
    dims = ("time", "depth", "lat", "lon")
    edges = geography.depth_edges
    ds = xr.Dataset(
        {
            "thetao": (dims, fields[0], _TEMPERATURE),
            "so": (dims, fields[1], _SALINITY),
            "depth_bnds": (("depth", "bnds"), np.stack([edges[:-1], edges[1:]], axis=1)),
        },
        coords=horizontal_coordinates(geography.lat, geography.lon)
        | {"depth": ("depth", geography.depth, DEPTH | {"bounds": "depth_bnds"})},
        attrs={
            "Conventions": "CF-1.11",
            "title": "Idealised ocean",
            "source": "xdeepda.datasets.idealised_ocean: stochastic, linear, idealised coasts",
            "seed": int(seed),
        },
    )
    return with_time(ds, cycle, index, calendar)


_TEMPERATURE = {
    "standard_name": "sea_water_potential_temperature",
    "long_name": "Sea water potential temperature",
    "units": "degC",
    "cell_methods": "time: mean",
}
_SALINITY = {
    "standard_name": "sea_water_practical_salinity",
    "long_name": "Sea water practical salinity",
    "units": "psu",
    "cell_methods": "time: mean",
}
#: CF attributes of a depth axis.
DEPTH = {
    "standard_name": "depth",
    "long_name": "Depth",
    "units": "m",
    "positive": "down",
    "axis": "Z",
}


def horizontal_coordinates(lat: np.ndarray, lon: np.ndarray) -> dict[str, Any]:
    """Latitude and longitude with their CF attributes, as xarray coordinates."""
    north = {"standard_name": "latitude", "long_name": "Latitude", "units": "degrees_north"}
    east = {"standard_name": "longitude", "long_name": "Longitude", "units": "degrees_east"}
    return {
        "lat": ("lat", lat, north | {"axis": "Y"}),
        "lon": ("lon", lon, east | {"axis": "X"}),
    }


def with_time(ds: xr.Dataset, cycle: Cycle, index: np.ndarray, calendar: str) -> xr.Dataset:
    """Give a Dataset the times of cycles, their bounds and an encoding.

    Parameters
    ----------
    ds : xarray.Dataset
        With a dimension ``time`` without coordinate.
    cycle : Cycle
    index : numpy.ndarray of int, shape (nt,)
        Absolute cycle numbers.
    calendar : str

    Returns
    -------
    xarray.Dataset
        With the coordinate ``time`` (middle of the cycles) and ``time_bnds``.
    """
    bounds = np.stack(cycle.bounds(index, calendar), axis=1)
    attrs = {"standard_name": "time", "long_name": "Time", "axis": "T", "bounds": "time_bnds"}
    ds = ds.assign_coords(time=("time", cycle.middle(index, calendar), attrs))
    ds["time_bnds"] = (("time", "bnds"), bounds)
    year = int(index[0]) // cycle.per_year
    name = "proleptic_gregorian" if calendar == "standard" else calendar
    ds["time"].encoding = {
        "units": f"seconds since {year:04d}-01-01",
        "calendar": name,
        "dtype": "int64",
    }
    ds["time_bnds"].encoding = dict(ds["time"].encoding)
    return ds
