"""The data assimilation cycle as a function of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from xdeepda.core.architecture import Architecture
from xdeepda.core.smoothing import SmoothNoise
from xdeepda.core.state import Observed, State


def cycle(
    architecture: Architecture,
    state: State,
    observations: Iterable[Observed],
    screen: Callable[[State, Observed], Observed] | None = None,
) -> Iterator[tuple[State, State]]:
    """Run forecast and analysis through consecutive cycles.

    Parameters
    ----------
    architecture : Architecture
    state : State
        Analysis before the first cycle.
    observations : iterable of Observed
        One for each cycle.
    screen : callable, optional
        Sees background and observations of a cycle, and returns the observations to
        use: that is where a check against the background belongs.

    Yields
    ------
    background, analysis : State
    """
    for observed in observations:
        background = architecture.forecast(state, observed.season)
        if screen is not None:
            observed = screen(background, observed)
        state = architecture.analyse(background, observed)
        yield background, state


def perturb(observed: Observed, generator: torch.Generator) -> Observed:
    """Draw other values of observations within their errors, for each member."""
    noise = torch.randn(observed.value.shape, generator=generator, device=observed.value.device)
    value = observed.value + noise * observed.variance.sqrt() * observed.mask
    return observed._replace(value=value)


class MemberNoise:
    """What the members lack to spread as far as the error is estimated to be.

    A member follows its own initial state and its own perturbed observations.
    That spread is too small, since an error that no observation saw is common to
    all members.  The rest up to the predicted variance is added to the members
    that are given out, as smooth noise that remembers from cycle to cycle as the
    anomalies do; it does not enter the cycle.

    Parameters
    ----------
    noise : SmoothNoise
    memory : Tensor, shape (C, Y, X)
    members : int
    generator : torch.Generator
    """

    def __init__(
        self, noise: SmoothNoise, memory: Tensor, members: int, generator: torch.Generator
    ) -> None:
        self.noise, self.memory = noise, memory
        self.generator = generator
        self.field = noise(members, generator)

    def advance(self) -> None:
        """Go on to the next cycle."""
        fresh = self.noise(len(self.field), self.generator)
        self.field = self.memory * self.field + (1 - self.memory**2).sqrt() * fresh

    def add(self, members: Tensor, variance: Tensor) -> Tensor:
        """Members (M, C, Y, X) of (unbiased) variance `variance` (C, Y, X) around the same mean."""
        inner = members.var(dim=0, unbiased=True)
        lacking = (variance - inner).clamp_min(0).sqrt()
        # centred, so that the mean of the members stays the analysis
        centred = self.field - self.field.mean(dim=0)
        return members + lacking * centred
