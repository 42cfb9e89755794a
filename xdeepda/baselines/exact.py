"""Exact Kalman filter and smoother of the linear ocean: nothing can be better.

All matrices are the true ones, the ocean is linear and Gaussian, hence the filter's mean is
the best estimate from the observations so far, and the smoother's the best from all of
them, and both know their error.  Plain matrices of some hundreds of cells; numpy and scipy.

References
----------
Kalman (1960), doi:10.1115/1.3662552; Rauch, Tung & Striebel (1965), doi:10.2514/3.3166.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from xdeepda.datasets import LinearOcean
from xdeepda.errors import MemoryForeseenError, Problems
from xdeepda.options import available_memory


@dataclass(frozen=True)
class Estimate:
    """Estimate of a series of states with its exact error variance.

    Attributes
    ----------
    mean, variance : numpy.ndarray, shape (cycles, n)
        Of the analyses: anomalies (K) and error variances (K2).
    background, background_variance : numpy.ndarray, shape (cycles, n)
        Of the filter before the observations of each cycle.
    chi2 : numpy.ndarray, shape (cycles,)
        dᵀ S⁻¹ d of the innovations; on average their number.
    count : numpy.ndarray of int, shape (cycles,)
        Observations.
    """

    mean: np.ndarray
    variance: np.ndarray
    background: np.ndarray
    background_variance: np.ndarray
    chi2: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class _Step:
    """One cycle of the filter with its whole covariances."""

    background: np.ndarray
    forecast: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    chi2: float


def exact_filter(
    ocean: LinearOcean, values: Any, mask: Any, *, error: float | None = None
) -> Estimate:
    """Kalman filter with the matrices of the ocean, from its stationary distribution.

    Parameters
    ----------
    ocean : LinearOcean
    values : array, shape (cycles, n)
        Observed anomalies (K); what stands where `mask` is False is ignored.
    mask : array of bool, shape (cycles, n)
        Where is observed, such as ``ocean.observation_masks(cycles)``.
    error : float, optional
        Standard deviation of the observation error (K); that of the ocean by default.

    Returns
    -------
    Estimate

    Raises
    ------
    InputError
        If the arrays do not fit the ocean, or an observation is not finite.

    Examples
    --------
    >>> import xdeepda
    >>> ocean = xdeepda.datasets.linear_ocean((1, 4, 8))
    >>> truth, mask = ocean.states(20), ocean.observation_masks(20)
    >>> estimate = exact_filter(ocean, truth, mask)
    >>> bool((estimate.variance <= estimate.background_variance + 1e-12).all())
    True
    """
    seen, where, noise = _check("exact_filter", ocean, values, mask, error)
    out = _room(len(seen), ocean.size, where)
    start = (np.zeros(ocean.size), ocean.P_inf)
    for t, step in enumerate(_filter(ocean, seen, where, noise, start, first=True)):
        _keep(out, t, step)
    return out


def exact_smoother(
    ocean: LinearOcean, values: Any, mask: Any, *, error: float | None = None
) -> Estimate:
    """Rauch-Tung-Striebel smoother: the best estimate from earlier and later observations.

    Parameters
    ----------
    ocean, values, mask, error
        As of :func:`exact_filter`.

    Returns
    -------
    Estimate
        The background is the filter's.

    Raises
    ------
    InputError
        If the arrays do not fit the ocean, or an observation is not finite.
    MemoryForeseenError
        If the covariances would not fit into memory.

    Notes
    -----
    Covariances are kept for every s-th cycle, s the root of their number, and those
    between are made anew on the way back: memory 4 s n² numbers at most.

    Examples
    --------
    >>> import xdeepda
    >>> ocean = xdeepda.datasets.linear_ocean((1, 4, 8))
    >>> truth, mask = ocean.states(20), ocean.observation_masks(20)
    >>> smoothed = exact_smoother(ocean, truth, mask)
    >>> bool((smoothed.variance <= exact_filter(ocean, truth, mask).variance + 1e-9).all())
    True
    """
    seen, where, noise = _check("exact_smoother", ocean, values, mask, error)
    stride = max(1, math.isqrt(len(seen)))
    _foresee(8 * 4 * stride * ocean.size**2)
    out = _room(len(seen), ocean.size, where)
    starts: list[tuple[np.ndarray, np.ndarray]] = []
    state = (np.zeros(ocean.size), ocean.P_inf)
    for t, step in enumerate(_filter(ocean, seen, where, noise, state, first=True)):
        if t % stride == 0:
            starts.append(state)
        _keep(out, t, step)
        state = (step.mean, step.covariance)
    later: tuple[_Step, tuple[np.ndarray, np.ndarray]] | None = None
    for part in reversed(range(len(starts))):
        rows = slice(part * stride, min((part + 1) * stride, len(seen)))
        again = _filter(ocean, seen[rows], where[rows], noise, starts[part], first=part == 0)
        for t, step in reversed(list(zip(range(rows.start, rows.stop), again, strict=True))):
            smooth = (step.mean, step.covariance)
            if later is not None:
                smooth = _back(ocean, step, *later)
            out.mean[t], out.variance[t] = smooth[0], np.diag(smooth[1])
            later = (step, smooth)
    return out


def _check(
    verb: str, ocean: LinearOcean, values: Any, mask: Any, error: float | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Arrays of the right shape, or everything that is wrong."""
    problems = Problems(verb)
    where, seen = np.asarray(mask), np.asarray(values, dtype=float)
    noise = ocean.error if error is None else error
    if where.dtype != bool or where.ndim != 2 or where.shape[1:] != (ocean.size,):
        problems.add(
            "mask does not fit the ocean",
            found=f"{where.dtype} of shape {where.shape}",
            expected=f"bool of shape (cycles, {ocean.size})",
            todo="ocean.observation_masks(cycles)",
        )
    elif seen.shape != where.shape:
        problems.add("values and mask differ", found=str(seen.shape), expected=str(where.shape))
    elif not np.isfinite(seen[where]).all():
        problems.add("observations are not finite", todo="set mask to False where they are not")
    if not isinstance(noise, (int, float)) or not 0 < noise < np.inf:
        problems.add("error is a standard deviation", found=repr(noise), expected="above 0 K")
    problems.raise_if_any()
    return seen, where, float(noise)


def _foresee(needed: int) -> None:
    """Refuse covariances that would not fit into memory."""
    free = available_memory()
    if free is not None and needed > 0.9 * free:
        problems = Problems("exact_smoother", MemoryForeseenError)
        problems.add(
            "the covariances would not fit into memory",
            found=f"{needed / 2**30:.3g} GiB needed, {free / 2**30:.3g} GiB free",
            todo="fewer cycles, or the reduced filter: xdeepda.baselines.kalman",
        )
        problems.raise_if_any()


def _room(cycles: int, size: int, where: np.ndarray) -> Estimate:
    """Empty estimate."""
    mean, variance, background, before = np.empty((4, cycles, size))
    return Estimate(mean, variance, background, before, np.empty(cycles), where.sum(axis=1))


def _keep(out: Estimate, t: int, step: _Step) -> None:
    """Write a step of the filter into an estimate."""
    out.mean[t], out.variance[t] = step.mean, np.diag(step.covariance)
    out.background[t], out.background_variance[t] = step.background, np.diag(step.forecast)
    out.chi2[t] = step.chi2


def _filter(
    ocean: LinearOcean,
    values: np.ndarray,
    mask: np.ndarray,
    error: float,
    start: tuple[np.ndarray, np.ndarray],
    *,
    first: bool,
) -> Iterator[_Step]:
    """Cycles of the filter; `start` is the first background, or else the analysis before."""
    mean, covariance = start
    for t, (value, seen) in enumerate(zip(values, mask, strict=True)):
        if t or not first:
            mean = ocean.M @ mean
            covariance = ocean.M @ covariance @ ocean.M.T + ocean.Q
            covariance = (covariance + covariance.T) / 2
        background, forecast, chi2 = mean, covariance, 0.0
        cell = np.flatnonzero(seen)
        if cell.size:
            innovation = value[cell] - mean[cell]
            across = covariance[:, cell]
            inner = cho_factor(across[cell] + error**2 * np.eye(cell.size), lower=True)
            weights = cho_solve(inner, innovation)
            chi2 = float(innovation @ weights)
            mean = mean + across @ weights
            covariance = covariance - across @ cho_solve(inner, across.T)
            covariance = (covariance + covariance.T) / 2
        yield _Step(background, forecast, mean, covariance, chi2)


def _back(
    ocean: LinearOcean, step: _Step, later: _Step, smooth: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed mean and covariance, from those of the cycle after."""
    gain = cho_solve(cho_factor(later.forecast, lower=True), ocean.M @ step.covariance).T
    mean = step.mean + gain @ (smooth[0] - later.background)
    covariance = step.covariance + gain @ (smooth[1] - later.forecast) @ gain.T
    return mean, (covariance + covariance.T) / 2
