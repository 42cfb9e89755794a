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

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from xdeepda.core.architecture import Architecture
from xdeepda.core.layers import TwoScales
from xdeepda.core.partial_conv import PartialConv
from xdeepda.core.smoother import Smoother
from xdeepda.core.smoothing import GaussianSmoother
from xdeepda.core.state import Geometry, Observed, State

#: Largest analysis anomaly, in climatological standard deviations of the cell: a guard
#: against runaway cycling that no real ocean reaches.
CAP = 10.0


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
    lag : int
        Later cycles whose observations enter an analysis.
    hint : bool
        Whether a subclass smooths something of its own, see :meth:`hints`.
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
        lag: int = 0,
        hint: bool = False,
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
        self.lag, self.smoother = lag, None
        if lag > 0:
            self.smoother = Smoother(geometry, self.deviation, self.inverse, self.static, hint=hint)

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

    def smooth(self, analyses: Sequence[State], backgrounds: Sequence[State]) -> list[State]:
        """Consecutive analyses as they are seen from the last of them."""
        if self.smoother is None:
            return super().smooth(analyses, backgrounds)
        out, memory = [analyses[-1]], self.memory()
        hints = self.hints(analyses, backgrounds)
        for n in reversed(range(len(analyses) - 1)):
            made = self.smoother(analyses[n], backgrounds[n + 1], out[-1], memory, hints[n])
            out.append(State(self.capped(made.mean) * self.wet, made.variance))
        return out[::-1]

    def hints(
        self, analyses: Sequence[State], backgrounds: Sequence[State]
    ) -> Sequence[Tensor | None]:
        """Corrections (B, C, Y, X) of all analyses but the last that another scheme makes."""
        return [None] * (len(analyses) - 1)

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
