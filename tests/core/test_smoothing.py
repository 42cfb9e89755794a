"""Smoothing, and noise whose variance and column correlation are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from core.geometries import geometry

from xdeepda.core.smoothing import REACH, GaussianSmoother, SmoothNoise, band_matrix


@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.parametrize("length", [(0.8, 1.7), (1e-6, 0.4), (2.0, 20.0)])
def test_smoother_is_the_gaussian_sum(cyclic, length):
    ny, nx = 5, 9
    x = torch.randn(2, 3, ny, nx, generator=torch.Generator().manual_seed(0))
    expected = np.zeros(x.shape)
    for j in range(ny):
        for i in range(nx):
            for jj in range(ny):
                for ii in range(nx):
                    east = abs(i - ii)
                    east = min(east, nx - east) if cyclic else east
                    near = abs(j - jj) <= np.ceil(REACH * length[0])
                    if near and east <= np.ceil(REACH * length[1]):
                        weight = np.exp(
                            -0.5 * ((j - jj) / max(length[0], 1e-3)) ** 2
                            - 0.5 * (east / max(length[1], 1e-3)) ** 2
                        )
                        expected[..., j, i] += weight * x[..., jj, ii].numpy()
    found = GaussianSmoother((ny, nx), length, cyclic)(x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_one_cell_keeps_its_own_weight():
    assert torch.equal(band_matrix(7, 1.3, True).diag(), torch.ones(7))


def matrix_of(noise: SmoothNoise, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """Matrix from white noise to fields, shape (white, C, Y, X)."""
    size = noise.wet.numel()
    monkeypatch.setattr(torch, "randn", lambda *shape, **_: torch.eye(size).view(shape))
    return noise(size).double()


@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.parametrize("length", [(0.1, 0.1), (1.0, 1.5), (3.0, 6.0)])
def test_variance_is_one_in_every_wet_cell(cyclic, length, monkeypatch):
    geo = geometry(3, cyclic=cyclic, land=0.4, length=length)
    matrix = matrix_of(SmoothNoise(geo), monkeypatch)
    variance = (matrix**2).sum(dim=0)
    np.testing.assert_allclose(variance, geo.wet, atol=1e-5)


def test_levels_of_a_column_correlate_as_asked(monkeypatch):
    geo = geometry(4, land=0.0)
    matrix = matrix_of(SmoothNoise(geo), monkeypatch)
    for j, i in ((0, 0), (3, 5)):
        column = matrix[:, :, j, i]
        np.testing.assert_allclose(column.T @ column, geo.correlation, atol=1e-5)


def test_neighbours_correlate_by_the_length(monkeypatch):
    geo = geometry(1, 24, 24, land=0.0, length=(2.0, 2.0))
    matrix = matrix_of(SmoothNoise(geo), monkeypatch)[:, 0]
    along = [(matrix[:, 12, 12] * matrix[:, 12, 12 + n]).sum() for n in range(4)]
    np.testing.assert_allclose(along, np.exp(-(np.arange(4) ** 2) / (2 * 2.0**2)), atol=0.03)


def test_a_generator_makes_it_repeatable():
    noise = SmoothNoise(geometry())
    a, b, c = (noise(2, torch.Generator().manual_seed(s)) for s in (4, 4, 5))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
