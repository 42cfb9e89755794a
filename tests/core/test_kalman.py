"""Kalman filter and smoother against naive dense solves."""

from __future__ import annotations

import numpy as np
import torch

from xdeepda.core import kalman
from xdeepda.core.kalman import Step, kalman_step, low_rank_variance, smoother_step


def spd(k: int, seed: int) -> torch.Tensor:
    a = torch.randn(k, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return a @ a.mT + 0.1 * torch.eye(k, dtype=torch.float64)


def test_kalman_step_is_the_naive_solve():
    rng = torch.Generator().manual_seed(1)
    p, k = 11, 5
    cov, h = spd(k, 0), torch.randn(p, k, generator=rng, dtype=torch.float64)
    mean = torch.randn(3, k, generator=rng, dtype=torch.float64)
    d = torch.randn(3, p, generator=rng, dtype=torch.float64)
    r = 0.1 + torch.rand(p, generator=rng, dtype=torch.float64)
    after, covered = kalman_step(mean, cov, h, d, r)
    gain = cov @ h.mT @ torch.linalg.inv(h @ cov @ h.mT + torch.diag(r))
    np.testing.assert_allclose(after, mean + d @ gain.mT, rtol=1e-10)
    np.testing.assert_allclose(covered, cov - gain @ h @ cov, rtol=1e-10, atol=1e-12)
    assert torch.equal(covered, covered.mT)
    assert torch.linalg.eigvalsh(covered).min() > 0
    assert torch.linalg.eigvalsh(cov - covered).min() > -1e-12


def test_smoother_step_is_conditioning_on_all():
    """Filter and smoother of three times equal the dense solve of the joint Gaussian."""
    k, times = 3, 3
    rng = torch.Generator().manual_seed(2)
    m = 0.8 * torch.randn(k, k, generator=rng, dtype=torch.float64) / k**0.5
    q, first = spd(k, 3), spd(k, 4)
    h = [torch.randn(2, k, generator=rng, dtype=torch.float64) for _ in range(times)]
    y = [torch.randn(1, 2, generator=rng, dtype=torch.float64) for _ in range(times)]
    r = torch.tensor([0.3, 0.7], dtype=torch.float64)
    forecasts, analyses = [], []
    state = Step(torch.zeros(1, k, dtype=torch.float64), first)
    for t in range(times):
        if t:
            state = Step(state.mean @ m.mT, m @ state.covariance @ m.mT + q)
        forecasts.append(state)
        state = Step(*kalman_step(*state, h[t], y[t] - state.mean @ h[t].mT, r))
        analyses.append(state)
    smoothed = analyses[-1]
    results = [smoothed]
    for t in reversed(range(times - 1)):
        smoothed = smoother_step(analyses[t], forecasts[t + 1], m, smoothed)
        results.insert(0, smoothed)
    # the joint covariance of all times
    power = [torch.linalg.matrix_power(m, t) for t in range(times)]
    variances = [first]
    for _ in range(times - 1):
        variances.append(m @ variances[-1] @ m.mT + q)
    joint = torch.zeros(times * k, times * k, dtype=torch.float64)
    for a in range(times):
        for b in range(times):
            low, gap = min(a, b), abs(a - b)
            block = power[gap] @ variances[low]
            joint[a * k : a * k + k, b * k : b * k + k] = block if a >= b else block.mT
    big = torch.block_diag(*h)
    gain = joint @ big.mT @ torch.linalg.inv(big @ joint @ big.mT + torch.diag(r.repeat(times)))
    mean, cov = torch.cat(y, dim=1) @ gain.mT, joint - gain @ big @ joint
    for t, result in enumerate(results):
        part = slice(t * k, t * k + k)
        np.testing.assert_allclose(result.mean, mean[:, part], rtol=1e-10)
        np.testing.assert_allclose(result.covariance, cov[part, part], rtol=1e-10, atol=1e-12)
        assert (result.covariance.diag() <= analyses[t].covariance.diag() + 1e-12).all()


def test_low_rank_variance_is_the_diagonal(monkeypatch):
    monkeypatch.setattr(kalman, "_CHUNK", 12)
    e = torch.randn(17, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    p = spd(4, 7)
    np.testing.assert_allclose(low_rank_variance(e, p), (e @ p @ e.mT).diag(), rtol=1e-10)
