"""What flows through the cycle: states, observations, and the geometry they live on.

Shapes: B batch or members, C channels (variable, level), Y latitude, X longitude.
All numbers are anomalies divided by the scale of their channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor


class State(NamedTuple):
    """An estimate: mean and error variance, and what a scheme carries besides."""

    mean: Tensor  # (B, C, Y, X)
    variance: Tensor  # (B, C, Y, X)
    carried: Tensor | None = None  # (B, ...) such as a reduced covariance

    def each(self, act: Callable[[Tensor], Tensor]) -> State:
        """State of its tensors acted on."""
        carried = None if self.carried is None else act(self.carried)
        return State(act(self.mean), act(self.variance), carried)


class Observed(NamedTuple):
    """Gridded observations of one cycle; value and variance are 0 where mask is 0."""

    value: Tensor  # (B, C, Y, X)
    variance: Tensor  # (B, C, Y, X) error variance
    mask: Tensor  # (B, C, Y, X) 0 or 1
    season: Tensor  # (B, 2) cosine and sine of the year


@dataclass(frozen=True)
class Geometry:
    """The grid as the core sees it, and the climate on it.

    Attributes
    ----------
    wet : Tensor of 0 and 1, shape (C, Y, X)
    variance : Tensor, shape (C, Y, X)
        Climatological variance in units of the squared scale; positive in the sea.
    persistence : Tensor, shape (C, Y, X)
        Correlation of one cycle with the next.
    area : Tensor, shape (Y, X)
        Cell areas, any unit.
    latitude : Tensor, shape (Y,)
        Radians; zeros where there is no such axis.
    correlation : Tensor, shape (C, C)
        Correlation between the channels of a column.
    length : tuple of two floats
        Correlation length of anomalies in cells, along Y and X.
    variables : int
        Number of variables; C is variables times levels.
    cyclic : bool
        Whether X is periodic.
    """

    wet: Tensor
    variance: Tensor
    persistence: Tensor
    area: Tensor
    latitude: Tensor
    correlation: Tensor
    length: tuple[float, float]
    variables: int
    cyclic: bool

    @property
    def channels(self) -> int:
        """Number C of channels."""
        return int(self.wet.shape[0])

    @property
    def weights(self) -> Tensor:
        """Area weights of the wet cells, of sum 1 in every channel; (C, Y, X)."""
        weight = self.wet * self.area
        return weight / weight.sum(dim=(1, 2), keepdim=True).clamp_min(1e-30)

    def to(self, device: torch.device | str) -> Geometry:
        """Copy on a device."""
        moved: dict[str, Any] = {
            n: v.to(device) for n, v in vars(self).items() if isinstance(v, Tensor)
        }
        return replace(self, **moved)


def climatological(geometry: Geometry, batch: int) -> State:
    """Return the state of no knowledge: anomaly zero, climatological variance."""
    variance = geometry.variance.expand(batch, -1, -1, -1)
    return State(torch.zeros_like(variance), variance.clone())
