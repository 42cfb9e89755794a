"""The data assimilation cycle as a function of tensors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from xdeepda.core.architecture import Architecture
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


class Lagged:
    """Analyses that wait for the observations of some later cycles.

    Parameters
    ----------
    architecture : Architecture
        A smoother; with a lag of 0 nothing waits.
    """

    def __init__(self, architecture: Architecture) -> None:
        self.architecture, self.lag = architecture, architecture.lag
        self.held: deque[tuple[State, State]] = deque()

    def add(self, background: State, analysis: State) -> tuple[State, State] | None:
        """Take a cycle; background and smoothed analysis of the one that need wait no longer."""
        self.held.append((background, analysis))
        return self._first() if len(self.held) > self.lag else None

    def rest(self) -> Iterator[tuple[State, State]]:
        """Cycles that still wait, with as many later ones as there are."""
        while self.held:
            yield self._first()

    def _first(self) -> tuple[State, State]:
        """The cycle that has waited longest, seen from the latest."""
        backgrounds, analyses = zip(*self.held, strict=True)
        background, analysis = self.held.popleft()
        if len(analyses) > 1:
            analysis = self.architecture.smooth(analyses, backgrounds)[0]
        return background, analysis


def smoothed(
    architecture: Architecture, steps: Iterable[tuple[State, State]]
) -> Iterator[tuple[State, State]]:
    """Backgrounds and analyses of :func:`cycle`, these smoothed."""
    window = Lagged(architecture)
    for background, analysis in steps:
        ready = window.add(background, analysis)
        if ready is not None:
            yield ready
    yield from window.rest()


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
    that are given out, as noise that remembers from cycle to cycle as the
    anomalies do; it does not enter the cycle.

    Parameters
    ----------
    noise : callable
        Draws fields (members, C, Y, X) of unit variance with a generator.
    memory : Tensor, shape (C, Y, X)
    members : int
    generator : torch.Generator
    """

    def __init__(
        self,
        noise: Callable[[int, torch.Generator], Tensor],
        memory: Tensor,
        members: int,
        generator: torch.Generator,
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
