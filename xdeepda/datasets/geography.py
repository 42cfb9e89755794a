"""Geometry and mean state of the idealised ocean.

Coordinates, sea floor, climatology and its seasonal cycle, as closed formulas
of position, so that every resolution shows the same ocean.  Knows numpy only;
no time axis, no random number, no label.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Latitude of the northern and southern wall: poleward of it the real ocean is
#: ice and narrow straits, and the cells of a regular grid are slivers.
WALL = 72.0

#: Bottom of the deepest level (m), about: below it, years change little.
BOTTOM = 1500.0

# Continents as ellipses: centre (degrees east, degrees north), half axes
# (degrees) and the angle of the first axis against the east (degrees).
_CONTINENTS = (
    (255.0, 55.0, 36.0, 22.0, 0.0),  # North America
    (266.0, 22.0, 17.0, 7.0, -35.0),  # Mexico and the isthmus
    (279.0, 9.0, 8.0, 5.5, -20.0),
    (299.0, -8.0, 17.0, 18.0, 0.0),  # South America
    (293.0, -35.0, 8.0, 22.0, 0.0),
    (318.0, 72.0, 16.0, 12.0, 0.0),  # Greenland
    (75.0, 56.0, 72.0, 24.0, 0.0),  # Eurasia
    (62.0, 32.0, 62.0, 12.0, 0.0),
    (160.0, 66.0, 24.0, 10.0, 0.0),
    (78.0, 20.0, 8.0, 13.0, 0.0),  # India
    (103.0, 18.0, 9.0, 16.0, 0.0),  # Indochina
    (108.0, -1.0, 14.0, 5.5, -15.0),  # Indonesia
    (137.0, -5.0, 11.0, 4.5, -10.0),  # New Guinea
    (10.0, 16.0, 26.0, 18.0, 0.0),  # Africa
    (26.0, -8.0, 14.0, 26.0, 0.0),
    (134.0, -25.0, 19.0, 12.0, 0.0),  # Australia
)
# A submarine ridge along the Atlantic and around Antarctica, so that the mask
# of the deepest levels is more than the coast once more: centre, half axes,
# angle as above.
_RIDGES = ((333.0, -5.0, 5.0, 55.0, -8.0), (250.0, -35.0, 5.0, 30.0, 15.0))
_ANTARCTICA = -67.0


@dataclass(frozen=True)
class Geography:
    """Cells, sea floor and mean state of the idealised ocean.

    Parameters
    ----------
    resolution : tuple of float
        Width of the cells in degrees of longitude and of latitude.
    levels : int
        Number of levels.
    """

    resolution: tuple[float, float]
    levels: int

    @cached_property
    def lon(self) -> np.ndarray:
        """Longitude of the cells (degrees east), shape (nx,)."""
        nx = round(360.0 / self.resolution[0])
        return (np.arange(nx) + 0.5) * (360.0 / nx)

    @cached_property
    def lat(self) -> np.ndarray:
        """Latitude of the cells (degrees north), shape (ny,)."""
        ny = round(2 * WALL / self.resolution[1])
        return -WALL + (np.arange(ny) + 0.5) * (2 * WALL / ny)

    @cached_property
    def depth(self) -> np.ndarray:
        """Middle of the levels (m), shape (nz,); 10 m at the top, ever wider spaced."""
        s = np.arange(self.levels + 1) / self.levels
        rate = _stretching(self.levels)
        edges = BOTTOM * np.expm1(rate * s) / np.expm1(rate)
        return np.round((edges[:-1] + edges[1:]) / 2)

    @cached_property
    def depth_edges(self) -> np.ndarray:
        """Bounds of the levels (m), shape (nz + 1,): half-way between their middles."""
        halves = (self.depth[:-1] + self.depth[1:]) / 2
        return np.concatenate([[0.0], halves, [2 * self.depth[-1] - halves[-1]]])

    @cached_property
    def wet(self) -> np.ndarray:
        """Cells of the sea, boolean, shape (nz, ny, nx)."""
        lat, lon = self.lat[:, None], self.lon[None, :]
        return self.depth[:, None, None] < sea_floor(lat, lon)

    @cached_property
    def temperature(self) -> np.ndarray:
        """Annual mean of potential temperature (degC), shape (nz, ny, nx)."""
        return mean_temperature(*self._mesh)

    @cached_property
    def salinity(self) -> np.ndarray:
        """Annual mean of practical salinity, shape (nz, ny, nx)."""
        return mean_salinity(*self._mesh)

    @cached_property
    def stratification(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertical gradients of temperature and salinity (1/m, downwards), (nz, ny, nx)."""
        _, lat, lon = self._mesh
        # over the thickness of a level, hence of the cell mean and not of a point
        top, bottom = self.depth_edges[:-1, None, None], self.depth_edges[1:, None, None]
        return (
            (mean_temperature(bottom, lat, lon) - mean_temperature(top, lat, lon)) / (bottom - top),
            (mean_salinity(bottom, lat, lon) - mean_salinity(top, lat, lon)) / (bottom - top),
        )

    @property
    def _mesh(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Depth, latitude and longitude, broadcasting to (nz, ny, nx)."""
        return self.depth[:, None, None], self.lat[None, :, None], self.lon[None, None, :]

    def seasonal(self, year_fraction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Seasonal cycle of temperature (K) and salinity.

        Parameters
        ----------
        year_fraction : numpy.ndarray, shape (nt,)
            Time of the year, from 0 on 1 January to 1.

        Returns
        -------
        temperature, salinity : numpy.ndarray, shape (nt, nz, ny)

        Notes
        -----
        An annual harmonic, opposite in the hemispheres, warmest 0.16 years
        after midsummer; with depth it decays over 45 m and lags by 0.1 years
        per 45 m, as a diffusive wave does.
        """
        depth, lat = self.depth[:, None], self.lat[None, :]
        fraction = np.asarray(year_fraction)[:, None, None]
        angle = 2 * np.pi * (fraction - 0.63 - 0.1 * depth / 45.0)
        wave = np.cos(angle) * np.exp(-depth / 45.0)
        amplitude = 5.6 * np.sin(2 * np.deg2rad(lat)) * np.cos(np.deg2rad(lat)) ** 0.5
        return amplitude * wave, -0.02 * amplitude * wave


def _stretching(levels: int) -> float:
    """Rate at which the first of ``levels`` exponential layers is 20 m thick."""
    low, high = 1e-6, 50.0
    for _ in range(80):  # bisection: thickness of the first layer falls with the rate
        rate = (low + high) / 2
        first = BOTTOM * np.expm1(rate / levels) / np.expm1(rate)
        low, high = (rate, high) if first > 20.0 else (low, rate)
    return rate


def _east_of(lon: np.ndarray, centre: float) -> np.ndarray:
    """Degrees east of a longitude, the short way round."""
    return (lon - centre + 180.0) % 360.0 - 180.0


def _ellipse(lat: np.ndarray, lon: np.ndarray, shape: tuple[float, ...]) -> np.ndarray:
    """Distance from the rim of an ellipse (about degrees, negative inside)."""
    centre_lon, centre_lat, a, b, angle = shape
    east, north = _east_of(lon, centre_lon), lat - centre_lat
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    along, across = east * cos + north * sin, -east * sin + north * cos
    radius = np.hypot(along / a, across / b)
    # first-order distance to the rim of a level line: value over gradient
    gradient = np.hypot(along / a**2, across / b**2) / np.maximum(radius, 1e-9)
    return (radius - 1.0) / np.maximum(gradient, 1.0 / max(a, b))


def sea_floor(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Depth of the sea floor (m), 0 on land; broadcasts over position."""
    coast = np.minimum.reduce([_ellipse(lat, lon, shape) for shape in _CONTINENTS])
    undulation = 1.5 * np.sin(np.deg2rad(2 * lon + 40.0))
    coast = np.minimum(coast, lat - _ANTARCTICA - undulation)
    floor = 4000.0 * np.tanh(np.maximum(coast, 0.0) / 13.0)
    for shape in _RIDGES:
        crest = 900.0 + 3100.0 * np.clip(_ellipse(lat, lon, shape) / 8.0, 0.0, 1.0)
        floor = np.minimum(floor, crest)
    return np.where(coast > 0.5, floor, 0.0)


def pacific(lon: np.ndarray) -> np.ndarray:
    """Position in the equatorial Pacific: 0 at its western, 1 at its eastern coast."""
    return np.clip((np.asarray(lon) - 130.0) / (280.0 - 130.0), 0.0, 1.0)


def _basin_tilt(lon: np.ndarray) -> np.ndarray:
    """Tilt of the thermocline under the trade winds: -1 in the west, 1 in the east."""
    # periodic and smooth; steepest across the Pacific, weak elsewhere
    east = _east_of(lon, 268.0)
    west = _east_of(lon, 150.0)
    atlantic = _east_of(lon, 5.0)
    return (
        np.exp(-((east / 32.0) ** 2))
        - 0.7 * np.exp(-((west / 35.0) ** 2))
        + 0.5 * np.exp(-((atlantic / 20.0) ** 2))
    )


def _thermocline_depth(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Depth of the middle of the thermocline (m)."""
    equator = np.exp(-((lat / 9.0) ** 2))
    gyre = np.exp(-(((np.abs(lat) - 28.0) / 14.0) ** 2))
    # deepest in the west of the gyres (western intensification), per ocean
    gyre_tilt = 1.0 + 0.25 * np.cos(np.deg2rad(2.0 * (lon - 160.0)))
    return 115.0 - equator * (10.0 + 55.0 * _basin_tilt(lon)) + 130.0 * gyre * gyre_tilt


def mean_temperature(depth: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Annual mean of potential temperature (degC); broadcasts over position.

    A warm surface layer over a thermocline (hyperbolic tangent in depth, deep in
    the subtropical gyres, tilted along the equator) over water that cools to the
    deep ocean with a scale of 700 m.
    """
    cos = np.cos(np.deg2rad(lat))
    surface = 1.8 + 26.7 * np.maximum((cos - 0.35) / 0.65, 0.0) ** 1.1
    surface = surface + 0.9 * np.exp(-((lat / 14.0) ** 2)) * -_basin_tilt(lon)
    surface = surface - 1.6 * np.exp(-((lat / 5.0) ** 2)) * np.maximum(_basin_tilt(lon), 0.0)
    below = 1.0 + 12.0 * cos**2 * np.exp(-(((np.abs(lat) - 25.0) / 30.0) ** 2))
    below = np.minimum(below, surface - 0.5)
    middle = _thermocline_depth(lat, lon)
    width = 25.0 + 0.35 * middle
    share = 0.5 * (1.0 - np.tanh((depth - middle) / width))
    share = share / (0.5 * (1.0 + np.tanh(middle / width)))  # 1 at the surface
    deep = 1.0 + (below - 1.0) * (0.25 + 0.75 * np.exp(-depth / 600.0))
    return deep + (surface - deep) * share


def mean_salinity(depth: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Annual mean of practical salinity; broadcasts over position.

    Salt under the dry subtropics, fresh under the rain of the tropics and high
    latitudes, saltier in the Atlantic, 34.7 at depth with a fresh intermediate layer.
    """
    dry = np.exp(-(((np.abs(lat) - 25.0) / 12.0) ** 2))
    rain = np.exp(-(((lat - 6.0) / 8.0) ** 2))
    atlantic = np.exp(-((_east_of(lon, 335.0) / 35.0) ** 2))
    polar = np.clip((np.abs(lat) - 45.0) / 25.0, 0.0, 1.0)
    surface = 34.7 + 1.1 * dry - 0.5 * rain - 1.2 * polar + 0.9 * atlantic
    intermediate = -0.35 * np.exp(-(((depth - 750.0) / 350.0) ** 2)) * (1.0 - polar)
    scale = 120.0 + 0.6 * _thermocline_depth(lat, lon)
    return 34.7 + (surface - 34.7) * np.exp(-((depth / scale) ** 1.5)) + intermediate
