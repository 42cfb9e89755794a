"""Stochastic dynamics of the idealised ocean.

Anomalies are a handful of two-dimensional *components* on a strip that runs all
round the globe, each advected along its latitude, damped, driven by the
component above it and by smooth white noise; and one oscillator for the
equatorial Pacific.  All are linear and Gaussian, with rates that do not change in
time, so that the statistics are stationary.  Knows numpy only: no mask, no
climatology, no label; a seed comes in as a Generator.

Equations, with X_j a component (unit variance), phi latitude and x distance east:

    dX_j/dt + u_j(phi) dX_j/dx = -X_j / tau_j + g_j X_(j-1) / tau_j + K d2X_j/dx2 + F_j

solved exactly per zonal wavenumber over one step for constant forcing; F_j is white
in time with a Gaussian spectrum in wavenumber and a Gaussian correlation in latitude.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

#: Seconds in a year of 365 days, and the radius of the earth (m).
YEAR = 365.0 * 86400.0
EARTH = 6.371e6
_ROTATION = 7.292e-5  # 1/s

#: Eddy diffusivity along latitudes (m2/s): a few hundred years across a basin,
#: two months across a wave of 300 km.
_DIFFUSIVITY = 1500.0

#: Years before the first one that is returned: five times the longest memory.
SPINUP = 30

Speed = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Component:
    """One two-dimensional component of the variability.

    Parameters
    ----------
    name : str
    memory : float
        e-folding time of the damping (years).
    speed : callable
        Eastward speed (m/s) as a function of latitude (degrees).
    scale : tuple of float
        Correlation length of the forcing along longitude (degrees at the
        equator) and along latitude (degrees).
    gain : float
        Coupling g to the component before it in the list; 0 for none.
    """

    name: str
    memory: float
    speed: Speed
    scale: tuple[float, float]
    gain: float = 0.0


def gyre(share: float) -> Speed:
    """Mean currents: westward under the trades, eastward in the westerlies (m/s)."""

    def speed(lat: np.ndarray) -> np.ndarray:
        trades = -0.10 * np.exp(-((lat / 14.0) ** 2))
        westerlies = 0.06 * np.exp(-(((np.abs(lat) - 48.0) / 10.0) ** 2))
        return share * (trades + westerlies)

    return speed


def planetary(wave_speed: float) -> Speed:
    """Long Rossby waves of one vertical mode: always westward (m/s).

    ``-beta c^2 / (f^2 + 3 beta c)``: the long-wave speed ``beta c^2 / f^2`` away
    from the equator and ``c / 3``, that of the gravest equatorial Rossby wave, on it.

    Parameters
    ----------
    wave_speed : float
        Gravity wave speed c of the vertical mode (m/s).
    """

    def speed(lat: np.ndarray) -> np.ndarray:
        phi = np.deg2rad(lat)
        f, beta = 2 * _ROTATION * np.sin(phi), 2 * _ROTATION * np.cos(phi) / EARTH
        return -beta * wave_speed**2 / (f**2 + 3 * beta * wave_speed)

    return speed


#: Water masses from the mixed layer to the deep ocean (each feels the one above,
#: and remembers longer), the first two baroclinic modes, and salt of its own.
COMPONENTS = (
    Component("mixed layer", 0.30, gyre(1.0), (16.0, 10.0)),
    Component("seasonal thermocline", 0.6, gyre(0.8), (16.0, 9.0), gain=0.9),
    Component("main thermocline", 1.3, gyre(0.5), (16.0, 9.0), gain=0.9),
    Component("intermediate water", 3.0, gyre(0.25), (18.0, 9.0), gain=0.9),
    Component("deep water", 6.0, gyre(0.1), (20.0, 10.0), gain=0.9),
    Component("first mode", 2.0, planetary(2.4), (16.0, 9.0)),
    Component("second mode", 2.5, planetary(1.5), (14.0, 8.0)),
    Component("salt of the mixed layer", 0.5, gyre(1.0), (16.0, 9.0)),
    Component("salt of the thermocline", 2.0, gyre(0.5), (18.0, 9.0), gain=0.8),
    Component("salt of the deep water", 5.0, gyre(0.2), (18.0, 9.0), gain=0.8),
)


class Strip:
    """The components as a recursion in zonal wavenumber and latitude.

    Parameters
    ----------
    components : sequence of Component
    lat : numpy.ndarray, shape (ny,)
        Latitude of the rows (degrees).
    nx : int
        Number of cells round the globe.
    step : float
        Time step (years).
    """

    def __init__(self, components: tuple[Component, ...], lat: np.ndarray, nx: int, step: float):
        self.nx = nx
        wavenumber = np.arange(_cutoff(components, nx) + 1)
        rates = [_rates(c, lat, wavenumber, step) for c in components]
        self.decay = np.stack([decay for decay, _ in rates])  # (nc, ny, nk)
        gain = np.array([c.gain for c in components])[:, None, None]
        self.coupling = gain * -np.expm1(-step / _memories(components))  # (nc, 1, 1)
        self.noise = np.stack([noise for _, noise in rates])  # (nc, ny, nk)
        self.smooth = np.stack([_root(lat, c.scale[1]) for c in components])  # (nc, ny, ny)
        self.noise = self.noise / self._stationary_std()[:, :, None]

    def _stationary_std(self) -> np.ndarray:
        """Find the standard deviation of each component and latitude, shape (nc, ny)."""
        nc, ny, nk = self.decay.shape
        step = np.zeros((ny, nk, nc, nc), dtype=complex)
        forcing = np.zeros_like(step)
        for j in range(nc):
            step[:, :, j, j] = self.decay[j]
            forcing[:, :, j, j] = self.noise[j] ** 2
            if j and self.coupling[j]:
                step[:, :, j, j - 1] = self.coupling[j]
        covariance = stationary_covariance(step, forcing)
        power = np.einsum("ykjj->jyk", covariance).real
        power[:, :, 1:] *= 2.0  # a wavenumber and its conjugate
        return np.sqrt(power.sum(axis=2))

    def run(self, steps: int, rng: np.random.Generator, block: int) -> Iterator[np.ndarray]:
        """Yield the components, ``block`` steps at a time.

        Parameters
        ----------
        steps : int
            Number of steps; a multiple of ``block``.
        rng : numpy.random.Generator
        block : int

        Yields
        ------
        numpy.ndarray of complex, shape (block, nc, ny, nk)
            Fourier coefficients along longitude; :meth:`grid` makes fields of them.
        """
        state = np.zeros_like(self.decay)
        for _ in range(steps // block):
            states = self._forcing(block, rng)
            for states_t in states:
                driven = self.coupling[1:] * state[:-1]
                states_t += self.decay * state
                states_t[1:] += driven
                state = states_t
            yield states

    def _forcing(self, steps: int, rng: np.random.Generator) -> np.ndarray:
        """White noise in time, smooth in space, shape (steps, nc, ny, nk)."""
        draws = rng.standard_normal((2, steps, *self.noise.shape))
        white = draws[0] + 1j * draws[1]
        white[..., 1:] *= np.sqrt(0.5)
        white[..., 0] = draws[0][..., 0]  # the zonal mean is real
        return self.noise * (self.smooth @ white)

    def grid(self, coefficients: np.ndarray) -> np.ndarray:
        """Fields of unit variance from Fourier coefficients, shape (..., ny, nx)."""
        return np.fft.irfft(coefficients, n=self.nx, axis=-1, norm="forward")


def _memories(components: tuple[Component, ...]) -> np.ndarray:
    """Damping times (years), shape (nc, 1, 1)."""
    return np.array([c.memory for c in components])[:, None, None]


def _cutoff(components: tuple[Component, ...], nx: int) -> int:
    """Highest wavenumber that carries anything, below the shortest resolved wave."""
    shortest = min(np.deg2rad(c.scale[0]) for c in components)
    return int(min((nx - 1) // 2, np.ceil(3.0 / shortest)))


def _rates(
    component: Component, lat: np.ndarray, wavenumber: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Factor per step (complex) and amplitude of the forcing, each of shape (ny, nk)."""
    cos = np.cos(np.deg2rad(lat))[:, None]
    k = wavenumber[None, :] / (EARTH * cos)  # 1/m
    seconds = step * YEAR
    phase = k * component.speed(lat)[:, None] * seconds
    growth = -step / component.memory - _DIFFUSIVITY * k**2 * seconds
    decay = np.exp(growth - 1j * phase)
    # of equal width in kilometres, down to a limit towards the poles
    width = np.deg2rad(component.scale[0]) / np.maximum(cos, 0.45)
    spectrum = np.exp(-0.25 * (wavenumber[None, :] * width) ** 2)
    return decay, spectrum * np.sqrt(-np.expm1(-2 * step / component.memory))


def _root(lat: np.ndarray, scale: float) -> np.ndarray:
    """Symmetric root of a Gaussian correlation matrix in latitude, shape (ny, ny)."""
    correlation = np.exp(-0.5 * ((lat[:, None] - lat[None, :]) / scale) ** 2)
    values, vectors = np.linalg.eigh(correlation)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def stationary_covariance(step: np.ndarray, forcing: np.ndarray) -> np.ndarray:
    """Stationary covariance of ``x -> step x + noise``.

    Solves ``P = M P M^H + Q`` by doubling (Smith 1968, SIAM J. Appl. Math. 16,
    198-201): after n rounds ``P`` holds the first 2^n terms of the series of
    ``M^k Q M^kH``.

    Parameters
    ----------
    step : numpy.ndarray, shape (..., n, n)
        M, of spectral radius below one.
    forcing : numpy.ndarray, shape (..., n, n)
        Q, Hermitian.

    Returns
    -------
    numpy.ndarray, shape (..., n, n)
        P, Hermitian.

    Raises
    ------
    ArithmeticError
        If the series does not converge.

    Examples
    --------
    >>> float(stationary_covariance(np.array([[0.6]]), np.array([[0.64]]))[0, 0])
    1.0
    """
    power, covariance = step, forcing
    for _ in range(60):
        term = power @ covariance @ np.swapaxes(power.conj(), -1, -2)
        covariance = covariance + term
        covariance = (covariance + np.swapaxes(covariance.conj(), -1, -2)) / 2
        if np.abs(term).max() <= 1e-16 * np.abs(covariance).max():
            return covariance
        power = power @ power
    raise ArithmeticError("the stationary covariance does not converge: an unstable matrix")


def oscillator(
    steps: int,
    step: float,
    rng: np.random.Generator,
    *,
    period: float = 4.0,
    memory: float = 1.6,
) -> np.ndarray:
    """Recharge oscillator of the equatorial Pacific, excited by noise.

    ``dz/dt = (-1/memory + 2 pi i / period) z + noise``: the real part is the
    temperature of the eastern Pacific, minus the imaginary part the warm water
    along the equator, which leads by a quarter period (Jin 1997, J. Atmos. Sci.
    54, 811-829).

    Parameters
    ----------
    steps : int
        Number of steps.
    step : float
        Time step (years).
    rng : numpy.random.Generator
    period, memory : float
        Period and e-folding time (years).

    Returns
    -------
    numpy.ndarray of complex, shape (steps,)
        Real and imaginary part of unit variance.
    """
    factor = np.exp(step * (-1.0 / memory + 2j * np.pi / period))
    draws = rng.standard_normal((steps + 1, 2)) @ np.array([1.0, 1j])
    noise = np.sqrt(1.0 - abs(factor) ** 2) * draws
    states = np.empty(steps, dtype=complex)
    state = draws[0]  # of the stationary distribution
    for t in range(steps):
        state = factor * state + noise[t + 1]
        states[t] = state
    return states
