"""What later observations tell about earlier states: a learned step back.

The Rauch-Tung-Striebel smoother corrects an analysis by the gain P_a Mᵀ P_b⁻¹ times the
difference of the next cycle's smoothed state and background.  Here the gain is that of
damped persistence in each cell, which is exact for an AR(1) process, scaled and corrected
by a network that sees the differences around; a scheme that smooths something of its own,
such as a reduced filter, gives a hint that the network weighs against it.

By construction nothing changes where the next cycle's smoothed state is its background.

References
----------
Rauch, Tung & Striebel (1965), doi:10.2514/3.3166.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from xdeepda.core.layers import TwoScales
from xdeepda.core.smoothing import GaussianSmoother
from xdeepda.core.state import Geometry, State

#: Weight of the hint at the start, as a logit.
_FIRST_HINT = -1.0
#: Least share of a variance that is left.
_LEAST = 0.02
#: Differences of the variances that are rounding.
_ROUNDING = 1e-4


class Smoother(nn.Module):
    """One step back from a cycle to the one before.

    Parameters
    ----------
    geometry : Geometry
    deviation, inverse : Tensor, shape (C, Y, X)
        Climatological standard deviation, and its inverse (0 on land).
    static : Tensor, shape (F, Y, X)
        Features of the place.
    width, deep_width : int
        Features at full and at half resolution.
    distances : tuple of float
        Scales over which differences are averaged, in correlation lengths.
    hint : bool
        Whether another scheme's correction is given.
    """

    inverse: Tensor
    deviation: Tensor
    static: Tensor
    near: Tensor

    def __init__(
        self,
        geometry: Geometry,
        deviation: Tensor,
        inverse: Tensor,
        static: Tensor,
        *,
        width: int = 24,
        deep_width: int = 48,
        distances: tuple[float, ...] = (0.4, 1.0),
        hint: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("deviation", deviation), ("inverse", inverse), ("static", static)):
            self.register_buffer(name, value, persistent=False)
        channels, shape = geometry.channels, tuple(int(s) for s in geometry.wet.shape[1:])
        self.averages = nn.ModuleList(
            GaussianSmoother(shape, (d * geometry.length[0], d * geometry.length[1]),  # type: ignore[arg-type]
                             geometry.cyclic)
            for d in distances
        )  # fmt: skip
        wet = (inverse > 0).float()
        near = torch.stack([average(wet[None])[0] for average in self.averages])
        self.register_buffer("near", near.clamp_min(1e-6), persistent=False)
        self.hint = hint
        inputs = (4 + len(distances) + hint) * channels + static.shape[0]
        outputs = (4 if hint else 3) * channels
        self.network = TwoScales(
            inputs, width, deep_width, outputs, dilations=(1, 2, 4),
            shape=shape, cyclic=geometry.cyclic,  # type: ignore[arg-type]
        )  # fmt: skip

    def forward(
        self, analysis: State, background: State, later: State, memory: Tensor, hint: Tensor | None
    ) -> State:
        """Smoothed state of a cycle.

        Parameters
        ----------
        analysis : State
            Of the cycle.
        background, later : State
            Of the next cycle: before its observations, and smoothed.
        memory : Tensor, shape (C, Y, X)
            Persistence from one cycle to the next.
        hint : Tensor, shape (B, C, Y, X), optional
            Correction that another scheme makes.

        Returns
        -------
        State
        """
        prior, floor = analysis.variance, 1e-6 * self.deviation**2 + 1e-12
        gain = (memory * prior / (background.variance + floor)).clamp(0, 1)
        moved = (later.mean - background.mean) * self.inverse
        taken = 1 - later.variance / (background.variance + floor)
        taken = torch.where((taken > _ROUNDING) & (self.inverse > 0), taken, 0)
        size = self._around(taken)
        features = [moved, gain * moved, taken, prior * self.inverse**2]
        for average, near in zip(self.averages, self.near, strict=True):
            features.append(average(moved) / near)
        if hint is not None:
            features.append(hint * self.inverse)
        features.append(self.static.expand(len(moved), -1, -1, -1))
        fields = self.network(torch.cat(features, dim=1)).chunk(4 if self.hint else 3, dim=1)
        trust, correction, shrink = fields[:3]
        step = (1 + torch.tanh(trust)) * gain * moved
        if hint is not None:
            share = torch.sigmoid(_FIRST_HINT + fields[3])
            step = (1 - share) * step + share * hint * self.inverse
        mean = analysis.mean + (step + correction * size) * self.deviation
        # gain² (P_b - P_s) / P_a of the scalar smoother
        lost = gain * memory * taken
        kept = (1 - lost).clamp_min(_LEAST) * torch.exp(-functional.softplus(shrink - 2) * size)
        return State(mean, prior * kept.clamp_min(_LEAST))

    def _around(self, taken: Tensor) -> Tensor:
        """Root of how much later observations tell nearby, exactly 0 where they tell nothing."""
        told = self.averages[-1](taken.amax(dim=1, keepdim=True))
        return (told / (told + 1)).sqrt()
