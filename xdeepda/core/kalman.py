"""Steps of the Kalman filter and of the RTS smoother in a reduced space.

Means (M, k) of M members that share one covariance (k, k).

Knows numbers only: no grid, no names, no time.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

#: Numbers of patterns that are weighted at a time.
_CHUNK = 8 * 10**6


def kalman_step(
    mean: Tensor, covariance: Tensor, operator: Tensor, innovation: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Analysis of the Kalman filter, for fewer state variables than observations.

    Parameters
    ----------
    mean : Tensor, shape (M, k)
    covariance : Tensor, shape (k, k)
        Positive definite.
    operator : Tensor, shape (p, k)
        H.
    innovation : Tensor, shape (M, p)
        Observation minus H of the mean.
    variance : Tensor, shape (p,)
        Of independent errors, positive.

    Returns
    -------
    mean : Tensor, shape (M, k)
    covariance : Tensor, shape (k, k)

    Notes
    -----
    With P = L Lᵀ: (P⁻¹ + Hᵀ R⁻¹ H)⁻¹ = L (1 + Lᵀ Hᵀ R⁻¹ H L)⁻¹ Lᵀ, which stays symmetric
    and positive.  Time p k² + k³.
    """
    root = torch.linalg.cholesky(covariance)
    weighted = operator / variance[:, None]
    inner = root.mT @ (operator.mT @ weighted).to(root.dtype) @ root
    eye = torch.eye(root.shape[0], dtype=root.dtype, device=root.device)
    factor = torch.linalg.cholesky(eye + (inner + inner.mT) / 2)
    half = torch.linalg.solve_triangular(factor, root.mT, upper=False)
    updated = half.mT @ half
    return mean + (innovation @ weighted).to(root.dtype) @ updated, updated


class Step(NamedTuple):
    """Mean (M, k) and covariance (k, k) of one time."""

    mean: Tensor
    covariance: Tensor


def smoother_step(analysis: Step, forecast: Step, operator: Tensor, later: Step) -> Step:
    """One step back of the Rauch-Tung-Striebel smoother.

    Parameters
    ----------
    analysis : Step
        Of the filter at time t.
    forecast : Step
        Of the filter at t + 1, before its observations.
    operator : Tensor, shape (k, k)
        The model from t to t + 1.
    later : Step
        Smoothed estimate of t + 1.

    Returns
    -------
    Step
        Smoothed estimate of t.

    References
    ----------
    Rauch, Tung & Striebel (1965), doi:10.2514/3.3166.
    """
    root = torch.linalg.cholesky(forecast.covariance)
    gain = torch.cholesky_solve(operator @ analysis.covariance, root).mT
    mean = analysis.mean + (later.mean - forecast.mean) @ gain.mT
    change = gain @ (later.covariance - forecast.covariance) @ gain.mT
    covariance = analysis.covariance + change
    return Step(mean, (covariance + covariance.mT) / 2)


def low_rank_variance(patterns: Tensor, covariance: Tensor) -> Tensor:
    """Diagonal of E P Eᵀ for patterns E (n, k) and covariance P (k, k); (n,)."""
    weights = covariance.to(torch.promote_types(patterns.dtype, torch.float32))
    rows = max(1, _CHUNK // max(weights.shape[0], 1))
    parts = (part.to(weights.dtype) for part in patterns.split(rows))
    return torch.cat([((part @ weights) * part).sum(dim=1) for part in parts]).clamp_min(0)
