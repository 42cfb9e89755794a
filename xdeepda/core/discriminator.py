"""The discriminator published in 2024, which tells true increments from generated ones.

Ham, Joo, Kim & Lee, Nature Machine Intelligence 2024, doi 10.1038/s42256-024-00867-x. It sees the
difference of an analysis (or of the truth) and the previous state.

This module knows tensors of shape (batch, variable, level, latitude, longitude) only. It may not
know names, units, files or how the networks are trained.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xdeepda.core.pairs import ConvPair, to_axes

# Widths of the relu and tanh halves, kernel and stride in the order of the publication:
# longitude, latitude, level.
_STAGES = (
    ((16, 8), (8, 4, 4), (2, 2, 2)),
    ((32, 16), (6, 6, 3), (2, 2, 2)),
    ((64, 32), (4, 4, 3), (2, 2, 1)),
    ((128, 64), (3, 3, 3), (2, 2, 1)),
    ((1, 1), (3, 3, 3), (2, 2, 2)),
)


class Discriminator3D(nn.Module):
    """Logits per patch from the difference of two states.

    857,066 parameters for one variable. Each stage halves its axes, rounding up, so that small
    grids end in a single patch.

    Parameters
    ----------
    variables : int
        Number of variables; 1 in the publication.
    periodic : bool
        The longitude closes on itself (not so in the published code).
    generator : torch.Generator, optional
        Source of the initial weights; torch's global one if not given.

    Examples
    --------
    >>> Discriminator3D()(torch.randn(1, 1, 16, 40, 90)).shape
    torch.Size([1, 2, 2, 2, 3])
    """

    def __init__(
        self,
        variables: int = 1,
        *,
        periodic: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.variables = variables
        stages = []
        channels = variables
        for (relu, tanh), kernel, stride in _STAGES:
            stages.append(
                ConvPair(
                    channels,
                    relu,
                    tanh,
                    to_axes(kernel),
                    to_axes(stride),
                    periodic=periodic,
                    generator=generator,
                )
            )
            channels = relu + tanh
        self.stages = nn.Sequential(*stages)

    def forward(self, difference: Tensor) -> Tensor:
        """Judge increments.

        Parameters
        ----------
        difference : Tensor, shape (batch, variables, level, latitude, longitude)
            State minus previous state, 0 on land.

        Returns
        -------
        Tensor, shape (batch, 2, level / 8, latitude / 32, longitude / 32), rounded up
            Logits, high for "real": one channel of relu (never negative) and one of tanh
            (within -1 and 1), as published.

        Raises
        ------
        ValueError
            If the shape does not fit.
        """
        if difference.ndim != 5 or difference.shape[1] != self.variables:
            raise ValueError(
                f"discriminator: the difference has shape {tuple(difference.shape)}; expected "
                f"(batch, {self.variables}, level, latitude, longitude)"
            )
        logits: Tensor = self.stages(difference)
        return logits
