"""Layers of the networks: convolutions that know the seam, at two resolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from xdeepda.core.precision import Network


class PeriodicConv(nn.Conv2d):
    """A 3 x 3 convolution, padded by zeros in Y and, where cyclic, periodically in X."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        cyclic: bool,
        *,
        stride: tuple[int, int] = (1, 1),
        dilation: int = 1,
    ) -> None:
        super().__init__(inputs, outputs, 3, stride=stride, dilation=dilation)
        self.cyclic = cyclic

    def forward(self, x: Tensor) -> Tensor:  # (B, inputs, Y, X)
        """Convolve; sizes are kept (or divided by the stride, rounded up)."""
        reach = self.dilation[0]
        x = wrap(x, reach) if self.cyclic else functional.pad(x, (reach, reach, 0, 0))
        return super().forward(functional.pad(x, (0, 0, reach, reach)))


def wrap(x: Tensor, reach: int) -> Tensor:
    """Pad the last axis periodically, also further than its length."""
    size = x.shape[-1]
    if reach <= size:
        return torch.cat([x[..., size - reach :], x, x[..., :reach]], dim=-1)
    index = torch.arange(-reach, size + reach, device=x.device) % size
    return x[..., index]


class Residual(nn.Module):
    """Two dilated convolutions around an identity."""

    def __init__(self, width: int, dilation: int, cyclic: bool) -> None:
        super().__init__()
        self.first = PeriodicConv(width, width, cyclic, dilation=dilation)
        self.second = PeriodicConv(width, width, cyclic, dilation=dilation)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions find."""
        return x + self.second(functional.silu(self.first(functional.silu(x))))


class TwoScales(Network):
    """A network that looks at the full resolution, and wider at half of it.

    Parameters
    ----------
    inputs, width, deep_width, outputs : int
        Features that come in, at full and at half resolution, and that go out; zero at first.
    dilations : tuple of int
        Of the residual blocks at half resolution.
    shape : tuple of two int
        Sizes (Y, X); an axis that is short or odd is not halved.
    cyclic : bool
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        deep_width: int,
        outputs: int,
        *,
        dilations: tuple[int, ...],
        shape: tuple[int, int],
        cyclic: bool,
    ) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, width, 1)
        stride_y, stride_x = (2 if s >= 8 and s % 2 == 0 else 1 for s in shape)
        self.down = PeriodicConv(width, deep_width, cyclic, stride=(stride_y, stride_x))
        self.blocks = nn.ModuleList(Residual(deep_width, d, cyclic) for d in dilations)
        self.join = PeriodicConv(width + deep_width, width, cyclic)
        self.head = nn.Conv2d(width, outputs, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:  # (B, inputs, Y, X) -> (B, outputs, Y, X)
        """Fields that the network makes of features; of their precision."""
        with self.lowered(x):
            return self._made(x).to(x.dtype)

    def _made(self, x: Tensor) -> Tensor:
        """Fields in the precision of the network."""
        if x.is_cuda:
            # what tensor cores read
            x = x.contiguous(memory_format=torch.channels_last)
        fine = self.enter(x)
        coarse = self.down(functional.silu(fine))
        for block in self.blocks:
            coarse = block(coarse)
        coarse = functional.interpolate(coarse, size=fine.shape[-2:], mode="nearest")
        joined = self.join(functional.silu(torch.cat([fine, coarse], dim=1)))
        return self.head(functional.silu(joined))
