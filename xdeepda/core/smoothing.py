"""Gaussian smoothing on the grid, and smooth random fields with the channels' correlation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from xdeepda.core.state import Geometry

#: Kernels end at this many standard deviations.
REACH = 2.5


def band_matrix(size: int, length: float, cyclic: bool) -> Tensor:
    """Gaussian weights between the cells of one axis, zero beyond the reach; (size, size)."""
    # on the processor, also where a module is only drafted on the device "meta"
    steps = torch.arange(size, dtype=torch.float64, device="cpu")
    distance = (steps[:, None] - steps[None, :]).abs()
    if cyclic:
        distance = torch.minimum(distance, size - distance)
    weights = torch.exp(-0.5 * (distance / max(length, 1e-3)) ** 2)
    return torch.where(distance <= math.ceil(REACH * length), weights, 0).float()


class GaussianSmoother(nn.Module):
    """Separable Gaussian sum over neighbouring cells, the same for every channel.

    Not normalised (a single cell of weight 1 gives 1 at itself): divide by the
    smoothed mask to get an average.  Two matrix products, which are faster than
    convolutions of one channel and exact across the seam.

    Parameters
    ----------
    shape : tuple of two int
        Sizes (Y, X).
    length : tuple of two floats
        Standard deviation of the kernel in cells, along Y and X.
    cyclic : bool
    """

    along_y: Tensor
    along_x: Tensor

    def __init__(self, shape: tuple[int, int], length: tuple[float, float], cyclic: bool) -> None:
        super().__init__()
        self.register_buffer("along_y", band_matrix(shape[0], length[0], False), persistent=False)
        self.register_buffer("along_x", band_matrix(shape[1], length[1], cyclic), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Smooth the last two axes of (B, C, Y, X)."""
        return self.along_y @ (x @ self.along_x)


class SmoothNoise(nn.Module):
    """Gaussian fields of unit variance in every wet cell, smooth and correlated in the column.

    White noise is mixed between channels by a square root of their correlation,
    then smoothed on the wet cells; the division by the root of the smoothed
    squares makes the variance exactly one, at coasts as well.

    Parameters
    ----------
    geometry : Geometry
    """

    wet: Tensor
    norm: Tensor
    root: Tensor

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        # two smoothings of length L / sqrt(2) are one of the correlation length L
        length = (geometry.length[0] / math.sqrt(2), geometry.length[1] / math.sqrt(2))
        wet = geometry.wet.float()
        shape = (int(wet.shape[1]), int(wet.shape[2]))
        self.smoother = GaussianSmoother(shape, length, geometry.cyclic)
        self.register_buffer("wet", wet, persistent=False)
        # the variance of a smoothed field is the mask smoothed by the squared kernel
        power = self.smoother.along_y**2 @ (wet @ self.smoother.along_x**2)
        norm = torch.where(wet > 0, power.clamp_min(1e-12).rsqrt(), 0)
        self.register_buffer("norm", norm, persistent=False)
        values, vectors = torch.linalg.eigh(geometry.correlation.double())
        root = vectors * values.clamp_min(0).sqrt()
        root = root / root.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-12)
        self.register_buffer("root", root.float(), persistent=False)

    def forward(self, batch: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw fields, shape (batch, C, Y, X), 0 on land."""
        white = torch.randn(batch, *self.wet.shape, generator=generator, device=self.wet.device)
        # smoothing first, on each channel's own mask; the mix of normalised fields keeps
        # variance one where the whole column is wet, and is renormalised where it is not
        fields = self.smoother(white * self.wet) * self.norm
        mixed = torch.einsum("cd,bdyx->bcyx", self.root, fields)
        power = torch.einsum("cd,dyx->cyx", self.root**2, self.wet)
        return mixed * torch.where(self.wet > 0, power.clamp_min(1e-12).rsqrt(), 0)
