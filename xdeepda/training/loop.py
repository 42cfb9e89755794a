"""The optimisation loop: schedule, losses, validation, checkpoints.

Gradients go back through a few cycles of each lane.  Masks and errors of the
observations are drawn anew at every visit.
"""

from __future__ import annotations

import ast
import math
import os
import pickle
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xdeepda.core.architecture import Architecture
from xdeepda.core.cycle import cycle
from xdeepda.core.discriminator import Discriminator3D
from xdeepda.core.losses import discriminator_loss, gaussian_nll, generator_adversarial_loss
from xdeepda.core.state import Observed, State
from xdeepda.errors import DivergenceError, InputError
from xdeepda.training.lanes import Lanes, Period, Score, rollout_score
from xdeepda.training.ranks import Ranks
from xdeepda.training.settings import TrainingSettings
from xdeepda.training.simulation import Simulator, TruthReader


class Trainer:
    """The loop.

    Parameters
    ----------
    module : Architecture
        Trained in place.
    reader : TruthReader
    simulator : Simulator
    training, validation : Period
    settings : TrainingSettings
    seed : int
    budget : float, optional
        Seconds within which the schedule ends.
    checkpoint : path, optional
        Written after each epoch.
    fingerprint : dict of str
        Of model settings and data; a checkpoint of another one is not resumed.
    ranks : Ranks, optional
        The processes that share this training.
    """

    #: Whether the smoother is trained, on analyses of a trained filter; else the filter.
    smoother = False

    def __init__(
        self,
        module: Architecture,
        reader: TruthReader,
        simulator: Simulator,
        training: Period,
        validation: Period,
        settings: TrainingSettings,
        *,
        seed: int = 0,
        budget: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        fingerprint: dict[str, str] | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks = ranks or Ranks()
        self.module, self.reader, self.simulator = module, reader, simulator
        self.training, self.validation, self.settings = training, validation, settings
        self.seed, self.budget, self.fingerprint = seed, budget, fingerprint or {}
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        per_year = simulator.source.cycle.per_year
        self.spinup = min(per_year, max(1, len(validation) // 4))
        self.lanes = Lanes(reader, training, settings, per_year, module.folds, self.ranks)
        self.rng = np.random.default_rng(seed)
        self.trained = {
            name: value
            for name, value in module.named_parameters()
            if name.startswith("smoother.") == self.smoother
        }
        self.optimiser = torch.optim.AdamW(
            self.trained.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.discriminator: Discriminator3D | None = None
        if settings.adversarial > 0:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed + 1)
                self.discriminator = Discriminator3D(module.variables).to(reader.tensors.device)
            self.judge = torch.optim.Adam(
                self.discriminator.parameters(), lr=settings.learning_rate
            )
        self.quirks: frozenset[str] = getattr(module, "quirks", frozenset())
        self.average = {k: v.detach().clone() for k, v in self.trained.items()}
        self.best: dict[str, Tensor] = {k: v.clone() for k, v in self.average.items()}
        self.best_score: Score | None = None
        self.records: dict[str, list[Any]] = {}
        self.epoch, self.stale, self.elapsed, self.steps = 0, 0, 0.0, 0
        self.reserve = 0.0
        self.level_weights = self._level_weights()

    def _level_weights(self) -> Tensor:
        """Weights of the channels in the loss, of mean 1, shape (C,)."""
        channels = self.reader.tensors.shape[0]
        weights = np.ones(channels)
        if self.settings.level_weights == "thickness":
            thickness = self.simulator.source.grid.thickness
            weights = np.tile(thickness / thickness.mean(), channels // thickness.size)
        return torch.from_numpy(weights.astype(np.float32)).to(self.reader.tensors.device)

    @property
    def steps_per_epoch(self) -> int:
        """Optimisation steps that see as many cycles as the training period has."""
        return max(1, len(self.training) // (self.settings.batch * self.settings.cycles))

    def run(self, report: Callable[[dict[str, float]], None] = lambda _: None) -> None:
        """Train until the epochs, the budget or the patience are used up.

        A KeyboardInterrupt ends the training with a warning; the best weights are kept.
        Of several ranks, which it meets at different places, it ends all.
        """
        started = time.monotonic() - self.elapsed
        if self.budget is not None:
            self.reserve = self.ranks.first(self._validation_seconds)
        try:
            while not self._finished(started):
                losses = self._epoch(started)
                self.elapsed = self._since(started)
                self.epoch += 1
                self._record(losses, started)
                report({k: v[-1] for k, v in self.records.items() if np.ndim(v[-1]) == 0})
                if self.checkpoint is not None:
                    self.save_checkpoint()
        except KeyboardInterrupt:
            if self.ranks.size > 1:
                raise
            warnings.warn(
                f"training was interrupted in epoch {self.epoch + 1}; "
                "the best model so far is kept",
                stacklevel=3,
            )
        if self.best_score is None:
            self._validate()

    def _since(self, started: float) -> float:
        """Seconds since then, by the clock of the first rank."""
        return self.ranks.first(lambda: time.monotonic() - started)

    def _finished(self, started: float) -> bool:
        """Whether to stop before another epoch."""
        used_up = self.budget is not None and self._fraction(started) >= 1
        return used_up or self.epoch >= self.settings.epochs or self.stale >= self.settings.patience

    def _fraction(self, started: float) -> float:
        """How much of the schedule is behind: of the epochs, or of the time if that is more."""
        done = self.steps / (self.settings.epochs * self.steps_per_epoch)
        if self.budget is None:
            return min(done, 1.0)
        # the validation at the end must fit in, but never takes more than half
        limit = max(self.budget - self.reserve, 0.5 * self.budget)
        return min(max(done, self._since(started) / limit), 1.0)

    def _validation_seconds(self) -> float:
        """Time that a validation will take, from that of a few cycles."""
        few = Period(self.validation.start, self.validation.start + min(3, len(self.validation)))
        started = time.monotonic()
        self.module.eval()
        self._rollout_score(few, self.seed, 0)
        return 1.2 * (time.monotonic() - started) * len(self.validation) / len(few)

    def _epoch(self, started: float) -> list[float]:
        """Optimise once through the training years; return the losses."""
        self.module.train()
        losses = []
        if self.settings.batch == 1:
            # as published: each epoch begins with the state of a random other year
            self.lanes.state = None
        for _ in range(self.steps_per_epoch):
            fraction = self._fraction(started)
            if self.budget is not None and fraction >= 1.0:
                break
            warm = min(1.0, (self.steps + 1) / 20) if self.settings.averaging else 1.0
            for group in self.optimiser.param_groups:
                schedule = 0.5 * (1 + math.cos(math.pi * fraction))
                group["lr"] = self.settings.learning_rate * warm * schedule
            losses.append(self._step())
            self.steps += 1
        return losses

    def _segment(self) -> tuple[State, Tensor, list[Observed]]:
        """Where the lanes stand; truths and observations of their next cycles."""
        state = self.lanes.prepare(self.rng)
        own = None if self.ranks.size == 1 else self.lanes.own
        fold = torch.from_numpy(self.lanes.fold[self.lanes.own])
        self.module.use_folds(fold.to(state.mean.device))
        truths = self.lanes.truths()
        groups = self.lanes.fold if self.module.one_gain else None
        observations = [
            self.simulator(truth, self.lanes.position + n, self.rng, groups, own)
            for n, truth in enumerate(truths)
        ]
        return state, truths, observations

    def _step(self) -> float:
        """One optimisation step through the cycles of a segment."""
        state, truths, observations = self._segment()
        loss: Tensor = torch.zeros(())
        pairs = []
        for truth, (background, analysis) in zip(
            truths, cycle(self.module, state, observations), strict=True
        ):
            loss = loss + self._loss(background, analysis, truth)
            pairs.append((background.mean, analysis.mean, truth))
            state = analysis
        if self.discriminator is not None:
            loss = loss + self._adversarial(pairs)
        self.lanes.advance(state)
        return self._descend(loss / len(truths))

    def _descend(self, loss: Tensor) -> float:
        """Step of the optimiser; return the loss.

        Raises
        ------
        DivergenceError
            If the loss is not finite.
        """
        loss = self.ranks.mean(loss)
        if not torch.isfinite(loss):
            raise DivergenceError(
                f"the training loss is not finite in epoch {self.epoch + 1}; "
                "try a smaller learning_rate"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.ranks.average_gradients(self.trained.values())
        torch.nn.utils.clip_grad_norm_(self.trained.values(), 1.0)
        self.optimiser.step()
        self._update_average()
        return float(loss.detach())

    def _loss(self, background: State | None, analysis: State, truth: Tensor) -> Tensor:
        """Misfit of the analysis to the truth, and of its variance to the misfit.

        That of the variance of the background is added where there is one that is trained.
        """
        weights = self.module.weights
        square = (analysis.mean - truth) ** 2
        if "unweighted_loss" in self.quirks:
            return square.mean()
        by_channel = (square * weights).sum(dim=(2, 3)).mean(dim=0)
        if self.settings.loss == "rmse":
            # the root is one of the whole batch
            by_channel = (self.ranks.mean(by_channel) + 1e-8).sqrt()
        loss = (by_channel * self.level_weights).mean()
        if self.settings.variance_loss and self.module.predicts_variance:
            floor = 1e-4 * self.module.clim_variance + (1 - self.module.wet)
            told = [analysis]
            if background is not None and self.module.forecasts_variance:
                told.append(background)
            for state in told:
                # the variance is learned for the errors as they are: it does not steer the cycle
                likelihood = gaussian_nll(
                    state.mean.detach(), state.variance + floor, truth, weights
                )
                loss = loss + self.settings.variance_loss * likelihood
        return loss

    def _adversarial(self, pairs: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
        """Train the discriminator on the increments; return the generator's adversarial loss."""
        assert self.discriminator is not None
        background, analysis, truth = (torch.cat(part) for part in zip(*pairs, strict=True))
        background = background.detach()
        shape = (self.module.variables, -1)
        real = (truth - background).unflatten(1, shape)
        fake = (analysis - background).unflatten(1, shape)
        judged = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
        self.judge.zero_grad(set_to_none=True)
        judged.backward()
        self.ranks.average_gradients(self.discriminator.parameters())
        self.judge.step()
        sign = -1 if "sign_flip" in self.quirks else 1
        verdict = generator_adversarial_loss(self.discriminator(sign * fake))
        return self.settings.adversarial * len(pairs) * verdict

    @torch.no_grad()
    def _update_average(self) -> None:
        """Running average of the weights, quick at first."""
        decay = min(self.settings.averaging, self.steps / (self.steps + 10))
        for name, value in self.trained.items():
            self.average[name].lerp_(value, 1 - decay)

    def _record(self, losses: list[float], started: float) -> None:
        """Validate and note the scores of an epoch."""
        due = self.epoch % self.settings.validate_every == 0 or self._finished(started)
        score = self._validate() if due else None
        missing = np.full(self.reader.tensors.shape[0], np.nan)
        row = {
            "training_loss": float(np.mean(losses)) if losses else math.nan,
            "validation_score": score.total if score else math.nan,
            "validation_background": float(score.background.mean()) if score else math.nan,
            "validation_rmse": score.analysis if score else missing,
            "validation_spread_skill": 1 / np.sqrt(score.analysis_ratio) if score else missing,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "seconds": self.elapsed,
        }
        for name, value in row.items():
            self.records.setdefault(name, []).append(value)

    def _validate(self) -> Score:
        """Score the averaged weights; keep them if they are the best."""
        trained = {k: v.detach().clone() for k, v in self.trained.items()}
        self._load(self.average)
        self.module.use_folds(None)
        self.module.eval()
        # a stream of its own, apart from that of the training by the second number
        seed = int(np.random.SeedSequence((self.seed, 1)).generate_state(1)[0])
        score = self.ranks.first(lambda: self._rollout_score(self.validation, seed, self.spinup))
        self._load(trained)
        if self.best_score is None or score.total < self.best_score.total:
            self.best_score, self.stale = score, 0
            self.best = {k: v.clone() for k, v in self.average.items()}
        else:
            self.stale += 1
        return score

    def _rollout_score(self, period: Period, seed: int, spinup: int) -> Score:
        """Score of the module as it is."""
        return rollout_score(
            self.module, self.reader, self.simulator, period, seed, spinup, self.smoother
        )

    def use_best(self) -> None:
        """Load the best weights into the module."""
        self._load(self.best)
        self.module.use_folds(None)
        self.module.eval()

    @torch.no_grad()
    def _load(self, weights: dict[str, Tensor]) -> None:
        """Set the trained weights; what was fitted stays."""
        for name, value in self.trained.items():
            value.copy_(weights[name])

    def save_checkpoint(self) -> None:
        """Write all that a resumed training needs, whole or not at all.

        It is the same for any number of ranks; the first writes.
        """
        judge = None
        if self.discriminator is not None:
            judge = (self.discriminator.state_dict(), self.judge.state_dict())
        kept = {
            "fingerprint": self.fingerprint,
            "module": self.trained,
            "average": self.average,
            "best": self.best,
            "best_score": None
            if self.best_score is None
            else {k: v.tolist() for k, v in asdict(self.best_score).items()},
            "optimiser": self.optimiser.state_dict(),
            "judge": judge,
            "lanes": self.lanes.state_dict(),
            "rng": repr(self.rng.bit_generator.state),
            "records": {k: [np.asarray(v).tolist() for v in r] for k, r in self.records.items()},
            "counters": [self.epoch, self.stale, self.elapsed, self.steps],
        }
        self.ranks.first(lambda: self._write(kept))

    def _write(self, kept: dict[str, Any]) -> None:
        """Write a checkpoint beside the last one, and take its place."""
        assert self.checkpoint is not None
        part = self.checkpoint.with_name(self.checkpoint.name + ".part")
        torch.save(kept, part)
        part.replace(self.checkpoint)

    def _read(self) -> dict[str, Any]:
        """Read a checkpoint of this training."""
        assert self.checkpoint is not None
        try:
            # weights_only: tensors and plain values, nothing is executed
            kept: dict[str, Any] = torch.load(
                self.checkpoint, weights_only=True, map_location="cpu"
            )
            fingerprint = dict(kept["fingerprint"])
        except (
            RuntimeError, pickle.UnpicklingError, KeyError, EOFError, TypeError, ValueError,
        ) as error:  # fmt: skip
            raise InputError(
                f"{self.checkpoint} is no checkpoint ({type(error).__name__})"
            ) from None
        names = fingerprint.keys() | self.fingerprint.keys()
        other = sorted(n for n in names if fingerprint.get(n) != self.fingerprint.get(n))
        if other:
            raise InputError(
                f"{self.checkpoint} is of another training: {', '.join(other)} differ; delete it, "
                "or give another checkpoint="
            )
        return kept

    def load_checkpoint(self) -> None:
        """Go on where a checkpoint ended, which the first rank reads.

        Raises
        ------
        InputError
            If the file is no checkpoint, or one of another training.
        """
        kept, device = self.ranks.first(self._read), self.reader.tensors.device
        self._load(kept["module"])
        self.average = {k: v.to(device) for k, v in kept["average"].items()}
        self.best = {k: v.to(device) for k, v in kept["best"].items()}
        if kept["best_score"] is not None:
            self.best_score = Score(**{k: np.array(v) for k, v in kept["best_score"].items()})
        self.optimiser.load_state_dict(kept["optimiser"])
        if kept["judge"] is not None and self.discriminator is not None:
            self.discriminator.load_state_dict(kept["judge"][0])
            self.judge.load_state_dict(kept["judge"][1])
        self.lanes.load_state_dict(kept["lanes"])
        self.rng.bit_generator.state = ast.literal_eval(kept["rng"])
        self.records = {
            k: [np.array(v) if np.ndim(v) else v for v in r] for k, r in kept["records"].items()
        }
        self.epoch, self.stale, self.elapsed, self.steps = kept["counters"]
