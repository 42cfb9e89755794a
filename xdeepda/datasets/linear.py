"""A linear, Gaussian ocean with its matrices at hand.

Anomalies follow x(t+1) = M x(t) + q(t), q ~ N(0, Q): westward advection, diffusion,
damping and vertical coupling between the wet cells of a small globe, kept going by
smooth noise.  M, Q and the stationary covariance are plain matrices, so that the best
possible analysis, the Kalman filter, can be computed, and any other be measured
against it.  Knows numpy and xarray; assimilates nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import Cycle
from xdeepda.datasets.dynamics import stationary_covariance
from xdeepda.datasets.idealised import DEPTH, horizontal_coordinates, with_time
from xdeepda.errors import Problems

_PENTAD = Cycle("pentad")
_CALENDAR = "noleap"

# Westward speed in cells per pentad at the equator, per level; the upper levels
# carry the signal, as the faster baroclinic mode does.
_SPEED = (0.25, 0.20, 0.10)
# e-folding times of the damping in pentads, per level.
_MEMORY = (60.0, 80.0, 150.0)
# Standard deviation of the stationary state (K), about, per level.
_DEVIATION = (1.0, 0.9, 0.6)
# Diffusion (cells2 per pentad) and vertical exchange (per pentad).
_DIFFUSION, _EXCHANGE = 0.010, 0.010
# Decay length of the root of the noise: cells along longitude and latitude, levels.
_SMOOTH = (2.2, 1.6, 0.7)
# Share of the noise that is white in space.
_WHITE = 0.005
#: Share of the wet cells observed anew in each cycle, per level.
SHARES = (0.06, 0.04, 0.015)
_DEPTHS = (10.0, 120.0, 450.0)


@dataclass(frozen=True, eq=False)
class LinearOcean:
    """An ocean of which everything is known.

    Attributes
    ----------
    M : numpy.ndarray, shape (n, n)
        Step of one pentad for the anomalies of the n wet cells; its spectral norm is
        below one.
    Q : numpy.ndarray, shape (n, n)
        Covariance of the noise of one step (K2).
    P_inf : numpy.ndarray, shape (n, n)
        Stationary covariance (K2): ``P_inf = M P_inf M.T + Q``.
    wet : numpy.ndarray of bool, shape (nz, ny, nx)
        Cells of the sea; vectors hold them in C order.
    depth, lat, lon : numpy.ndarray, shapes (nz,), (ny,), (nx,)
        Metres positive down, degrees north, degrees east.
    climatology : numpy.ndarray, shape (73, n)
        Mean state of each pentad of the year (degC).
    error : float
        Standard deviation of the observation error (K).
    """

    M: np.ndarray = field(repr=False)
    Q: np.ndarray = field(repr=False)
    P_inf: np.ndarray = field(repr=False)
    wet: np.ndarray = field(repr=False)
    depth: np.ndarray
    lat: np.ndarray = field(repr=False)
    lon: np.ndarray = field(repr=False)
    climatology: np.ndarray = field(repr=False)
    error: float = 0.3

    @property
    def size(self) -> int:
        """Number n of wet cells."""
        return self.M.shape[0]

    @cached_property
    def _roots(self) -> tuple[np.ndarray, np.ndarray]:
        """Symmetric roots of Q and P_inf."""
        return _root(self.Q), _root(self.P_inf)

    def states(self, cycles: int, seed: int = 0) -> np.ndarray:
        """Draw a series of anomalies, the first one from the stationary distribution.

        Parameters
        ----------
        cycles : int
        seed : int

        Returns
        -------
        numpy.ndarray, shape (cycles, n)
            K.
        """
        rng = np.random.default_rng(seed)
        states = rng.standard_normal((cycles, self.size))
        noise_root, state_root = self._roots
        noise = states[1:] @ noise_root
        states[:1] = states[:1] @ state_root
        for t in range(cycles - 1):
            states[t + 1] = self.M @ states[t] + noise[t]
        return states

    def simulate(self, cycles: int, seed: int = 0, start: int = 73) -> xr.Dataset:
        """Draw a control run.

        Parameters
        ----------
        cycles : int
            Number of pentads, 73 a year.
        seed : int
            Same seed, same bits.
        start : int
            Absolute number of the first pentad, year * 73 + pentad of the year;
            73 is 1 January of year 1.

        Returns
        -------
        xarray.Dataset
            See :meth:`dataset`.
        """
        return self.dataset(self.states(cycles, seed), start)

    def dataset(self, x: np.ndarray, start: int = 73) -> xr.Dataset:
        """Anomalies as labelled fields, climatology added.

        Parameters
        ----------
        x : numpy.ndarray, shape (cycles, n)
            Anomalies of successive pentads (K).
        start : int
            Absolute number of the first pentad.

        Returns
        -------
        xarray.Dataset
            ``thetao`` (degC), dims (time, depth, lat, lon), NaN on land, noleap
            calendar, with ``time_bnds``.
        """
        index = start + np.arange(len(x))
        fields = np.full((len(x), *self.wet.shape), np.nan)
        fields[:, self.wet] = x + self.climatology[_PENTAD.phase(index)]
        attrs = {
            "standard_name": "sea_water_potential_temperature",
            "long_name": "Sea water potential temperature",
            "units": "degC",
            "cell_methods": "time: mean",
        }
        ds = xr.Dataset(
            {"thetao": (("time", "depth", "lat", "lon"), fields, attrs)},
            coords=horizontal_coordinates(self.lat, self.lon)
            | {"depth": ("depth", self.depth, DEPTH)},
            attrs={
                "Conventions": "CF-1.11",
                "title": "Linear ocean",
                "source": "xdeepda.datasets.linear_ocean: linear and Gaussian",
            },
        )
        return with_time(ds, _PENTAD, index, _CALENDAR)

    def vector(self, ds: xr.Dataset | xr.DataArray) -> np.ndarray:
        """Anomalies of labelled fields; inverse of :meth:`dataset`.

        Parameters
        ----------
        ds : xarray.Dataset or DataArray
            ``thetao`` (degC) on this grid, dims time, depth, lat, lon in any order.

        Returns
        -------
        numpy.ndarray, shape (time, n)
            K, climatology subtracted.

        Raises
        ------
        InputError
            If the field is not on this grid.
        """
        field_ = ds["thetao"] if isinstance(ds, xr.Dataset) else ds
        field_ = field_.transpose("time", "depth", "lat", "lon")
        problems = Problems("LinearOcean.vector")
        for name in ("depth", "lat", "lon"):
            mine, theirs = getattr(self, name), field_[name].values
            if mine.shape != theirs.shape or not np.allclose(mine, theirs):
                problems.add(f"another {name}", found=str(theirs), expected=str(mine))
        problems.raise_if_any()
        phase = _PENTAD.phase(_PENTAD.index(field_["time"].values))
        return field_.values[:, self.wet].astype(float) - self.climatology[phase]

    @property
    def moorings(self) -> np.ndarray:
        """Vector positions of the four moored columns, all their levels, sorted."""
        number = np.full(self.wet.shape, -1)
        number[self.wet] = np.arange(self.size)
        row = self.lat.size // 2
        open_sea = np.flatnonzero(self.wet[:, row].all(axis=0))
        columns = open_sea[(np.arange(4) * open_sea.size) // 4 + open_sea.size // 8]
        return np.unique(number[:, row, columns])

    def observation_masks(self, cycles: int, seed: int = 0) -> np.ndarray:
        """Draw where is measured in each cycle.

        Parameters
        ----------
        cycles : int
        seed : int

        Returns
        -------
        numpy.ndarray of bool, shape (cycles, n)
            6, 4 and 1.5 % of the wet cells of the levels, anew in each cycle, and four
            moorings on the equator always.
        """
        level = np.nonzero(self.wet)[0]
        share = np.array(SHARES)[level]
        masks = np.random.default_rng(seed).random((cycles, self.size)) < share
        masks[:, self.moorings] = True
        return masks


def linear_ocean(
    shape: tuple[int, int, int] = (3, 12, 24),
    *,
    land: bool = True,
    seasonal: bool = True,
) -> LinearOcean:
    """Build a linear, Gaussian ocean.

    Parameters
    ----------
    shape : tuple of int
        Levels (1 to 3), rows of latitude (4 to 24) and of longitude (8 to 48).
    land : bool
        With two continents and a ridge below; else all cells are wet.
    seasonal : bool
        With a seasonal cycle in the climatology; the anomalies are the same.

    Returns
    -------
    LinearOcean

    Raises
    ------
    InputError
        If the shape is out of range.

    Notes
    -----
    ``M = exp(A - D)``: A is centred advection to the west, a quarter of a cell a pentad
    at the equator and the surface, less towards the poles and below, antisymmetric and hence
    without numerical diffusion, whatever the coast; D is diffusion, exchange between
    levels and damping (7 to 25 months), symmetric and positive definite.  Thus the
    spectral norm of M is below one.  Q is smooth in space, with correlation lengths of a
    few cells; its amplitude makes standard deviations of about 1.0, 0.9 and 0.6 K.

    Examples
    --------
    >>> ocean = linear_ocean((2, 6, 12))
    >>> bool(np.linalg.norm(ocean.M, 2) < 1)
    True
    """
    _check_shape(shape)
    nz, ny, nx = shape
    lat = (np.arange(ny) + 0.5) * (120.0 / ny) - 60.0
    lon = (np.arange(nx) + 0.5) * (360.0 / nx)
    depth = np.array(_DEPTHS[:nz])
    wet = _wet(shape, lat, lon) if land else np.ones(shape, dtype=bool)
    step = _step(wet, lat)
    noise = _noise(wet)
    noise = _scaled(noise, stationary_covariance(step, noise), np.nonzero(wet)[0])
    covariance = stationary_covariance(step, noise)
    climatology = _climatology(depth, lat, lon, seasonal)[:, wet]
    arrays = (step, noise, covariance, wet, depth, lat, lon, climatology)
    for array in arrays:
        array.flags.writeable = False
    return LinearOcean(*arrays)


def _check_shape(shape: Any) -> None:
    """Refuse a shape that is no small ocean."""
    problems = Problems("linear_ocean")
    limits = (("levels", 1, 3), ("latitudes", 4, 24), ("longitudes", 8, 48))
    if len(shape) != 3:
        problems.add("shape is not three numbers", found=repr(shape))
        problems.raise_if_any()
    for value, (name, low, high) in zip(shape, limits, strict=True):
        if not isinstance(value, (int, np.integer)) or not low <= value <= high:
            problems.add(f"number of {name}", found=repr(value), expected=f"{low} to {high}")
    problems.raise_if_any()


def _wet(shape: tuple[int, int, int], lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Two continents, wider below, and a ridge in the lowest of three levels."""
    north, east = lat[:, None], lon[None, :]
    wet = np.ones(shape, dtype=bool)
    for level in range(shape[0]):
        shelf = 8.0 * level
        americas = np.abs(east - 290.0 + 0.4 * north) < 14.0 + shelf
        americas &= north > -45.0
        africa = (np.abs(east - 20.0) < 16.0 + shelf) & (north > -30.0 - shelf)
        wet[level] = ~(americas | africa)
    if shape[0] == 3:
        wet[2] &= ~((np.abs(east - 200.0) < 10.0) & (north < -20.0))
    return wet


def _step(wet: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Matrix M of one pentad, shape (n, n)."""
    nz, ny, nx = wet.shape
    number = np.full(wet.shape, -1)
    size = int(wet.sum())
    number[wet] = np.arange(size)
    k = np.arange(nz)[:, None, None]
    speed = np.array(_SPEED)[k] * np.cos(np.deg2rad(lat))[None, :, None] ** 2
    speed = np.broadcast_to(speed, wet.shape)
    east = np.roll(number, -1, axis=2)
    north = np.concatenate([number[:, 1:], np.full((nz, 1, nx), -1)], axis=1)
    below = np.concatenate([number[1:], np.full((1, ny, nx), -1)], axis=0)
    rate = np.zeros((size, size))
    here, there = _pairs(number, east)
    rate[here, there] += speed[wet][here] / 2  # what is in the east comes
    rate[there, here] -= speed[wet][here] / 2
    for neighbour, exchange in ((east, _DIFFUSION), (north, _DIFFUSION), (below, _EXCHANGE)):
        here, there = _pairs(number, neighbour)
        np.add.at(rate, (here, there), exchange)
        np.add.at(rate, (there, here), exchange)
        np.add.at(rate, (here, here), -exchange)
        np.add.at(rate, (there, there), -exchange)
    damping = 1.0 / np.array(_MEMORY)[np.nonzero(wet)[0]]
    # waves leave through a western coast: reflected, they would be two cells long
    coast = np.roll(number, 1, axis=2)[wet] < 0
    damping = damping + np.where(coast, speed[wet] / 2, 0.0)
    return _exponential(rate - np.diag(damping))


def _pairs(number: np.ndarray, neighbour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vector positions of cells and of their neighbours, where both are wet."""
    both = (number >= 0) & (neighbour >= 0)
    return number[both], neighbour[both]


def _exponential(rate: np.ndarray) -> np.ndarray:
    """Matrix exponential."""
    from scipy.linalg import expm

    return np.asarray(expm(rate))


def _noise(wet: np.ndarray) -> np.ndarray:
    """Smooth noise of unit variance: covariance, shape (n, n)."""
    root = np.ones((1, 1))
    for length, scale, cyclic in zip(
        wet.shape, (_SMOOTH[2], _SMOOTH[1], _SMOOTH[0]), (False, False, True), strict=True
    ):
        away = np.abs(np.arange(length)[:, None] - np.arange(length)[None, :])
        away = np.minimum(away, length - away) if cyclic else away
        # the root of a covariance, not the covariance: positive whatever the distance
        root = np.kron(root, np.exp(-((away / scale) ** 2)))
    root = root[wet.ravel()]
    root = root / np.linalg.norm(root, axis=1, keepdims=True)
    correlation = root @ root.T
    correlation = (correlation + correlation.T) / 2
    # a little white noise, else Q could not be inverted or factored
    return (1.0 - _WHITE) * correlation + _WHITE * np.eye(len(correlation))


def _scaled(noise: np.ndarray, covariance: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Noise that brings the stationary deviations of the levels near the wanted ones."""
    # near only: the levels exchange a little of what each is given
    factor = np.empty(level.size)
    for k in range(int(level.max()) + 1):
        factor[level == k] = _DEVIATION[k] / np.sqrt(np.diag(covariance)[level == k].mean())
    return noise * np.outer(factor, factor)


def _root(covariance: np.ndarray) -> np.ndarray:
    """Symmetric root of a covariance that may be singular to rounding."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _climatology(depth: np.ndarray, lat: np.ndarray, lon: np.ndarray, seasonal: bool) -> np.ndarray:
    """Mean state of the pentads (degC), shape (73, nz, ny, nx)."""
    phase = np.arange(_PENTAD.per_year)
    fraction = _PENTAD.year_fraction(_PENTAD.per_year + phase, _CALENDAR)
    shape = (fraction.size, depth.size, lat.size, lon.size)
    north = np.deg2rad(lat)[None, :, None]
    mean = 3.0 + 24.0 * np.cos(north) ** 2 * np.exp(-depth / 300.0)[:, None, None]
    season = np.cos(2 * np.pi * (fraction - 0.63))[:, None, None, None]
    decay = np.exp(-depth / 60.0)[:, None, None]
    cycle = 5.0 * np.sin(north) * decay * season if seasonal else 0.0
    return np.broadcast_to(mean + cycle, shape).copy()
