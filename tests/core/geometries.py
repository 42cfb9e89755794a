"""Small geometries for the tests of the core."""

from __future__ import annotations

import torch

from xdeepda.core.state import Geometry, Observed


def geometry(
    channels: int = 2,
    ny: int = 6,
    nx: int = 8,
    *,
    cyclic: bool = True,
    land: float = 0.2,
    seed: int = 0,
    variables: int = 1,
    length: tuple[float, float] = (1.0, 1.5),
) -> Geometry:
    """Random land that widens with depth, variances, memories and correlations."""
    rng = torch.Generator().manual_seed(seed)
    dry = torch.rand(ny, nx, generator=rng) < land * torch.linspace(1, 1.5, channels)[:, None, None]
    wet = (~dry).float()
    factor = torch.randn(channels, 3, generator=rng)
    covariance = factor @ factor.T + 0.1 * torch.eye(channels)
    root = covariance.diag().sqrt()
    return Geometry(
        wet=wet,
        variance=(0.3 + torch.rand(channels, ny, nx, generator=rng)) * wet,
        persistence=(0.3 + 0.6 * torch.rand(channels, ny, nx, generator=rng)) * wet,
        area=torch.linspace(0.5, 1.5, ny)[:, None].expand(ny, nx).contiguous(),
        latitude=torch.linspace(-1, 1, ny),
        correlation=covariance / root[:, None] / root[None, :],
        length=length,
        variables=variables,
        cyclic=cyclic,
    )


def observed(
    geo: Geometry, batch: int = 2, share: float = 0.3, seed: int = 1, error: float = 0.1
) -> Observed:
    """Random observations in the sea."""
    rng = torch.Generator().manual_seed(seed)
    shape = (batch, *geo.wet.shape)
    mask = (torch.rand(shape, generator=rng) < share).float() * geo.wet
    value = torch.randn(shape, generator=rng) * mask
    return Observed(value, error**2 * mask, mask, torch.tensor([[0.6, 0.8]]).expand(batch, 2))
