"""Sequences of the batch, and the long rollout that validates.

A lane walks through the training years: its analysis is the background of the
next cycle, also from one optimisation step to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xdeepda.core.architecture import Architecture
from xdeepda.core.cycle import cycle, smoothed
from xdeepda.core.state import State, climatological
from xdeepda.training.ranks import Ranks
from xdeepda.training.settings import TrainingSettings
from xdeepda.training.simulation import Simulator, TruthReader

#: Errors are taken at most so many cycles apart, and so many of the first are left out.
_APART, _SPINUP = 3, 6


@dataclass
class Period:
    """Positions in the run, start to stop."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def parts_of(period: Period, folds: int) -> list[Period]:
    """Equal parts of a period."""
    edges = np.linspace(period.start, period.stop, folds + 1).round().astype(int)
    return [Period(int(a), int(b)) for a, b in pairwise(edges)]


class Lanes:
    """Positions and states of the sequences of a batch.

    Parameters
    ----------
    reader : TruthReader
    period : Period
        Of all lanes.
    settings : TrainingSettings
    per_year : int
        Cycles of a year.
    folds : int
        Parts of the period; a lane stays in one of them until it is restarted.
    ranks : Ranks, optional
        Each has the states of some lanes, those of a fold together, and reads their truths;
        where all lanes stand is known to all.
    """

    def __init__(
        self,
        reader: TruthReader,
        period: Period,
        settings: TrainingSettings,
        per_year: int,
        folds: int = 1,
        ranks: Ranks | None = None,
    ) -> None:
        self.reader, self.period, self.per_year = reader, period, per_year
        self.ranks = ranks or Ranks()
        self.count, self.length = settings.batch, settings.cycles
        self.restart, self.flip = settings.restart, settings.flip_sign
        self.position = np.full(self.count, period.stop, dtype=np.int64)
        self.sign = np.ones(self.count, dtype=np.int64)
        self.parts = parts_of(period, folds)
        self.fold = np.arange(self.count, dtype=np.int64) % folds
        self.order = np.argsort(self.fold, kind="stable")
        if self.ranks.size == 1:
            self.order = np.arange(self.count)
        #: Lanes of this rank, in the order of the rows of its tensors.
        self.own = self.ranks.share(self.order)
        self.state: State | None = None

    def prepare(self, rng: np.random.Generator) -> State:
        """Restart lanes that are at their end, or by chance; return the states to start from."""
        stop = np.array([self.parts[fold].stop for fold in self.fold])
        ended = self.position + self.length > stop
        chance = rng.random(self.count) < self.restart
        geometry = self.reader.tensors.geometry
        if self.state is None:
            self.state = climatological(geometry, len(self.own))
            ended[:] = True
        fresh = self.state.each(torch.clone)
        for lane in np.flatnonzero(ended | chance):
            self._restart(int(lane), rng, fresh)
        return fresh

    def _restart(self, lane: int, rng: np.random.Generator, state: State) -> None:
        """Start a lane at a random cycle, from the state of a random other year."""
        if self.count == 1 and len(self.parts) > 1:
            self.fold[lane] = rng.integers(len(self.parts))
        part = self.parts[self.fold[lane]]
        last = part.stop - self.length
        # a single lane walks through the whole period, several are spread over it
        first = part.start if self.count == 1 else int(rng.integers(part.start, last + 1))
        phase = (first - self.period.start) % self.per_year
        years = np.arange(self.period.start + phase, self.period.stop, self.per_year)
        others = years[years != first]
        other = int(rng.choice(others if others.size else years))
        self.position[lane] = first
        self.sign[lane] = rng.choice((-1, 1)) if self.flip else 1
        # all ranks draw for all lanes: their random numbers stay the same
        for row in np.flatnonzero(self.own == lane):
            state.mean[row] = self.reader.read(other, other + 1)[0] * int(self.sign[lane])
            # a state of another year is off by the variance of both
            state.variance[row] = 2 * self.reader.tensors.geometry.variance
            if state.carried is not None:
                # what a scheme carries begins anew from mean and variance
                state.carried[row] = torch.nan

    def truths(self) -> Tensor:
        """True states of the own segments, shape (cycles, B, C, Y, X)."""
        parts = [
            self.reader.read(int(p), int(p) + self.length) * int(s)
            for p, s in zip(self.position[self.own], self.sign[self.own], strict=True)
        ]
        return torch.stack(parts, dim=1)

    def advance(self, state: State) -> None:
        """Keep the states for the next step, without their gradients."""
        self.state = state.each(torch.detach)
        self.position = self.position + self.length

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: of all lanes, whoever has them; a call of all ranks."""
        state = self.state
        if state is not None and self.ranks.size > 1:
            lane = torch.from_numpy(np.argsort(self.order))
            state = state.each(lambda own: self.ranks.rows(own)[lane])
        return {
            "position": self.position.tolist(),
            "sign": self.sign.tolist(),
            "fold": self.fold.tolist(),
            "state": None if state is None else tuple(state),
        }

    def load_state_dict(self, kept: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.position = np.array(kept["position"], dtype=np.int64)
        self.sign = np.array(kept["sign"], dtype=np.int64)
        self.fold = np.array(kept["fold"], dtype=np.int64)
        self.state = None
        if kept["state"] is not None:
            own, device = torch.from_numpy(self.own), self.reader.tensors.device
            self.state = State(*kept["state"]).each(lambda every: every[own].to(device))


@dataclass
class Score:
    """Scores of a rollout by channel: RMSE over the RMSE of climatology, and variances."""

    analysis: np.ndarray
    background: np.ndarray
    analysis_ratio: np.ndarray  # mean squared error / mean predicted variance
    background_ratio: np.ndarray

    @property
    def total(self) -> float:
        """Mean over the channels of the analysis score."""
        return float(self.analysis.mean())


def rollout(
    module: Architecture,
    reader: TruthReader,
    simulator: Simulator,
    period: Period,
    seed: int,
    smooth: bool = False,
) -> Iterator[tuple[Tensor, State, State]]:
    """Truth, background and analysis of consecutive cycles, from a climatological start."""
    rng = np.random.default_rng(seed)
    positions = range(period.start, period.stop)
    observations = (simulator(reader.read(p, p + 1), np.array([p]), rng) for p in positions)
    steps = cycle(module, climatological(reader.tensors.geometry, 1), observations)
    if smooth:
        steps = smoothed(module, steps)
    for position, (background, analysis) in zip(positions, steps, strict=True):
        yield reader.read(position, position + 1), background, analysis


@torch.no_grad()
def background_errors(
    module: Architecture,
    reader: TruthReader,
    simulator: Simulator,
    period: Period,
    number: int,
    seed: int,
) -> Tensor:
    """Errors of the background in a cycled run, from a climatological start, as stored; (N, ...).

    Parameters
    ----------
    module : Architecture
    reader : TruthReader
    simulator : Simulator
    period : Period
        So many of its first cycles are run as give `number` errors, a few cycles apart.
    number : int
        Of errors wanted; if the period is shorter, each of its cycles gives one.
    seed : int
        Of the observations.
    """
    apart = min(_APART, max(1, len(period) // number))
    kept = []
    for position, (truth, background, _) in enumerate(
        rollout(module, reader, simulator, period, seed)
    ):
        if position % apart == apart - 1:
            kept.append(module.as_stored((background.mean - truth)[0]))
        if len(kept) == number + _SPINUP:
            break
    # the first errors are those of a start from nothing
    return torch.stack(kept)[min(_SPINUP, max(0, len(kept) - number)) :]


@torch.inference_mode()
def rollout_score(
    module: Architecture,
    reader: TruthReader,
    simulator: Simulator,
    period: Period,
    seed: int,
    spinup: int,
    smooth: bool = False,
) -> Score:
    """Score one long cycled run over a period, from a climatological start.

    Parameters
    ----------
    module : Architecture
    reader : TruthReader
    simulator : Simulator
    period : Period
    seed : int
        Of the observations; the same at every validation.
    spinup : int
        Cycles at the start that are not scored.
    smooth : bool
        Score what a smoother makes of the analyses.
    """
    sums = torch.zeros(5, reader.tensors.shape[0], dtype=torch.float64)
    steps = rollout(module, reader, simulator, period, seed, smooth)
    for number, (truth, background, analysis) in enumerate(steps):
        if number < spinup:
            continue
        terms = (
            (analysis.mean - truth) ** 2,
            (background.mean - truth) ** 2,
            truth**2,
            analysis.variance,
            background.variance,
        )
        sums += torch.stack([(t * module.weights).sum(dim=(0, 2, 3)) for t in terms]).cpu().double()
    error, prior, climate, variance, prior_variance = sums.clamp_min(1e-30).numpy()
    return Score(
        np.sqrt(error / climate),
        np.sqrt(prior / climate),
        error / variance,
        prior / prior_variance,
    )
