"""What learned analyses share: features of the innovations, and the network that reads them.

Depth is channels, the network is two-dimensional, and every quantity it sees is
divided by the climatological standard deviation of its cell.  Observations
enter as innovations weighted by the gain that a single observation would have,
B / (B + R), through two observation operators side by side: a partial
convolution with learned kernels (Liu et al. 2018), and smooth normalised
averages of the innovations over a few distances (Knutsson & Westin 1993; the
successive corrections of Barnes 1964), which spread a single profile far.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from xdeepda.core.architecture import Architecture
from xdeepda.core.partial_conv import PartialConv
from xdeepda.core.smoothing import GaussianSmoother
from xdeepda.core.state import Geometry, Observed, State

#: Largest analysis anomaly, in climatological standard deviations of the cell: a guard
#: against runaway cycling that no real ocean reaches.
CAP = 10.0


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


class TwoScales(nn.Module):
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
        """Fields that the network makes of features."""
        fine = self.enter(x)
        coarse = self.down(functional.silu(fine))
        for block in self.blocks:
            coarse = block(coarse)
        coarse = functional.interpolate(coarse, size=fine.shape[-2:], mode="nearest")
        joined = self.join(functional.silu(torch.cat([fine, coarse], dim=1)))
        return self.head(functional.silu(joined))


class Innovations(NamedTuple):
    """What the observations of a cycle say, in climatological standard deviations."""

    innovation: Tensor  # (B, C, Y, X), 0 where nothing was measured
    gain: Tensor  # (B, C, Y, X) of each observation alone
    averages: list[Tensor]  # (B, C, Y, X) over each distance
    densities: list[Tensor]  # (B, C, Y, X) how much stands behind them, 0 to 1


class InnovationArchitecture(Architecture):
    """Features of the innovations, and a network of two resolutions that reads them.

    Parameters
    ----------
    geometry : Geometry
    width : int
        Features at full resolution.
    deep_width : int
        Features at half resolution.
    dilations : tuple of int
        Of the residual blocks at half resolution.
    distances : tuple of float
        Scales of the smooth averages, in correlation lengths of the anomalies.
    partial : bool
        Whether the learned partial convolution is there.
    kernel : int
        Its size.
    extra : int
        Features that a subclass adds.
    outputs : int
        Fields that the network gives.
    """

    cap = CAP

    def __init__(
        self,
        geometry: Geometry,
        *,
        width: int,
        deep_width: int,
        dilations: tuple[int, ...],
        distances: tuple[float, ...],
        partial: bool,
        kernel: int,
        extra: int = 0,
        outputs: int,
    ) -> None:
        super().__init__(geometry)
        self.deviation: Tensor
        self.inverse: Tensor
        self.static: Tensor
        channels, cyclic = geometry.channels, geometry.cyclic
        deviation = self.clim_variance.sqrt()
        self.register_buffer("deviation", deviation, persistent=False)
        self.register_buffer(
            "inverse", torch.where(self.wet > 0, 1 / deviation.clamp_min(1e-6), 0), persistent=False
        )
        self.register_buffer("static", _static_features(geometry), persistent=False)
        shape = (int(self.wet.shape[1]), int(self.wet.shape[2]))
        self.smoothers = nn.ModuleList(
            GaussianSmoother(shape, (d * geometry.length[0], d * geometry.length[1]), cyclic)
            for d in distances
        )
        self.partial = (
            PartialConv(channels, width, (kernel, kernel), periodic=cyclic, weights=True)
            if partial
            else None
        )
        inputs = (2 * len(distances) + 3) * channels + self.static.shape[0] + 2 + extra
        self.network = TwoScales(
            inputs + (width if partial else 0),
            width,
            deep_width,
            outputs,
            dilations=dilations,
            shape=shape,
            cyclic=cyclic,
        )
        self.memory_shift = nn.Parameter(torch.zeros(channels, 1, 1))

    def memory(self) -> Tensor:
        """Persistence of the control run, shifted by a learned amount per channel."""
        logit = torch.logit(self.persistence.clamp(0.02, 0.995))
        return torch.sigmoid(logit + self.memory_shift) * self.wet

    def innovations(self, background: State, observed: Observed) -> Innovations:
        """What the observations say about the background."""
        prior = background.variance
        gain = observed.mask * prior / (prior + observed.variance + 1e-12)
        innovation = (observed.value - background.mean) * observed.mask * self.inverse
        averages, densities = [], []
        for smoother in self.smoothers:
            mass = smoother(gain)
            averages.append(smoother(gain * innovation) / (mass + 1e-6))
            densities.append(mass / (mass + 1))
        return Innovations(innovation, gain, averages, densities)

    def features(
        self, background: State, observed: Observed, seen: Innovations, *more: Tensor
    ) -> Tensor:
        """What the network is shown, `more` at the end; (B, features, Y, X)."""
        innovation = seen.innovation
        features = [innovation * seen.gain, *seen.averages, *seen.densities]
        features += [background.mean * self.inverse, background.variance * self.inverse**2 - 1]
        features.append(self.static.expand(len(innovation), -1, -1, -1))
        features.append(observed.season[:, :, None, None].expand(-1, -1, *innovation.shape[2:]))
        if self.partial is not None:
            features.append(self.partial(innovation, seen.gain)[0])
        return torch.cat([*features, *more], dim=1)

    def reached(self, mask: Tensor) -> Tensor:
        """1 near observations, fading to exactly 0 where none is within reach; (B, 1, Y, X)."""
        seen = mask.amax(dim=1, keepdim=True)
        mass = self.smoothers[-1](seen)
        return mass / (mass + 0.1)

    def capped(self, mean: Tensor) -> Tensor:
        """Anomalies held within the guard against runaway cycling."""
        limit = CAP * self.deviation
        return torch.maximum(torch.minimum(mean, limit), -limit)


def _static_features(geometry: Geometry) -> Tensor:
    """Sea or land at every fourth level, relative depth, latitude; (F, Y, X)."""
    wet = geometry.wet.float()
    levels = wet[:: max(1, wet.shape[0] // 4)]
    depth = wet.mean(dim=0, keepdim=True)
    latitude = geometry.latitude[:, None].expand(*wet.shape[1:])
    return torch.cat([levels, depth, torch.sin(latitude)[None], torch.cos(latitude)[None]]).float()
