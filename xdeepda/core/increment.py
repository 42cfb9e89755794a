"""The architecture ``increment``: innovations in, increments and error variance out.

By construction the increment is exactly 0 and the variance unchanged where no
observation is within reach, so that an unobserved ocean returns to climatology.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from xdeepda.core.innovations import InnovationArchitecture
from xdeepda.core.state import Geometry, Observed, State


class IncrementArchitecture(InnovationArchitecture):
    """Innovations in, increments and error variance out.

    For the parameters see :class:`xdeepda.core.innovations.InnovationArchitecture`.
    """

    def __init__(
        self,
        geometry: Geometry,
        *,
        width: int = 32,
        deep_width: int = 64,
        dilations: tuple[int, ...] = (1, 2, 4, 8),
        distances: tuple[float, ...] = (0.4, 1.0, 2.5),
        partial: bool = True,
        kernel: int = 5,
        lag: int = 0,
    ) -> None:
        channels = geometry.channels
        super().__init__(
            geometry,
            width=width,
            deep_width=deep_width,
            dilations=dilations,
            distances=distances,
            partial=partial,
            kernel=kernel,
            outputs=2 * channels,
            lag=lag,
        )
        # the first guess of the increment: the smooth averages, mixed between channels
        self.spread = nn.Conv2d(len(distances) * channels, channels, 1, bias=False)
        with torch.no_grad():
            nn.init.zeros_(self.spread.weight)
            every = range(channels)
            for n in range(len(distances)):
                self.spread.weight[every, [n * channels + c for c in every], 0, 0] = 0.3

    def analyse(self, background: State, observed: Observed) -> State:
        """Add the increment; shrink the variance."""
        seen, prior = self.innovations(background, observed), background.variance
        fields = self.network(self.features(background, observed, seen))
        correction, shrink = fields.chunk(2, dim=1)
        reached = self.reached(observed.mask)
        guess = self.spread(
            torch.cat([a * d for a, d in zip(seen.averages, seen.densities, strict=True)], 1)
        )
        increment = (guess + correction) * reached * self.deviation
        kept = torch.exp(-functional.softplus(shrink - 2) * reached)
        # an observed cell is at least as well known as by its own observation alone
        alone = (1 - seen.gain) * prior + 1e-3 * self.clim_variance
        variance = torch.minimum(kept * prior, alone)
        return State(self.capped(background.mean + increment) * self.wet, variance * self.wet)
