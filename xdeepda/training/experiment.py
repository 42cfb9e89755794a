"""Simulated experiments with and without some more observations: what errors they leave.

The truth is a part of a run; a network observes it, and fixed sites may do so besides, in
every cycle.  The same seed makes the same observations by the network, whatever sites
there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xdeepda.bridge import Tensors
from xdeepda.core.architecture import Architecture
from xdeepda.core.state import Observed
from xdeepda.source import RunSource
from xdeepda.training.lanes import Period, rollout
from xdeepda.training.simulation import Simulator, TruthReader


@dataclass(frozen=True)
class Sites:
    """Cells that are observed in every cycle.

    Attributes
    ----------
    cell : numpy.ndarray of int64, shape (p,)
        Flat numbers in (variable, nz, ny, nx), each once.
    error : numpy.ndarray, shape (p,)
        Standard deviations in the units of the model.
    """

    cell: np.ndarray
    error: np.ndarray


def together(first: Observed, second: Observed) -> Observed:
    """Observations of two independent sources, weighted by their inverse error variances."""
    weights = [x.mask / x.variance.clamp_min(1e-30) for x in (first, second)]
    mask = torch.maximum(first.mask, second.mask)
    variance = mask / (weights[0] + weights[1]).clamp_min(1e-30)
    value = (weights[0] * first.value + weights[1] * second.value) * variance
    # what only one of them sees stays as it is, to the bit
    both = first.mask * second.mask > 0
    value = torch.where(both, value, first.value + second.value)
    variance = torch.where(both, variance, first.variance + second.variance)
    return Observed(value, variance, mask, first.season)


@dataclass
class Experiment:
    """A model, a run that is taken for the truth, and what observes it.

    Attributes
    ----------
    tensors : Tensors
    module : Architecture
    source : RunSource
    period : Period
        Of the truth.
    simulator : Simulator, optional
        Of the network; without one nothing but the sites is observed.
    """

    tensors: Tensors
    module: Architecture
    source: RunSource
    period: Period
    simulator: Simulator | None

    @torch.inference_mode()
    def errors(
        self, seed: int, cells: np.ndarray, weights: np.ndarray, sites: Sites | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Errors (truth minus analysis) of a cycled run from a climatological start.

        Parameters
        ----------
        seed : int
        cells : numpy.ndarray of int64, shape (p,)
            Flat numbers in (variable, nz, ny, nx).
        weights : numpy.ndarray, shape (C, Y, X)
            Of a mean.
        sites : Sites, optional

        Returns
        -------
        numpy.ndarray, shapes (cycles, p) and (cycles,)
            Of the cells, and of the weighted mean, in the units of the model.
        """
        scale = torch.from_numpy(self.tensors.scale).to(self.tensors.device)[:, None, None]
        weight = torch.from_numpy(weights.astype(np.float32)).to(self.tensors.device) * scale
        at = torch.from_numpy(cells).to(self.tensors.device)
        reader = TruthReader(self.source, self.tensors)
        picked, means = [], []
        steps = rollout(self.module, reader, self._observe(seed, sites), self.period, seed)
        for truth, _, analysis in steps:
            error = (truth - analysis.mean)[0]
            picked.append((error * scale).flatten()[at].cpu().numpy())
            means.append(float((error * weight).sum(dtype=torch.float64)))
        return np.array(picked, dtype=np.float64), np.array(means)

    def _observe(self, seed: int, sites: Sites | None) -> Any:
        """What observes a truth (1, C, Y, X) at a position of the run."""

        def observe(truth: Tensor, positions: np.ndarray, rng: np.random.Generator) -> Observed:
            index = self.source.cycles[positions]
            fraction = self.source.cycle.year_fraction(index, self.source.calendar)
            none = (np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
            seen = (
                self.tensors.scatter([none], fraction)
                if self.simulator is None
                else self.simulator(truth, positions, rng)
            )
            if sites is None:
                return seen
            # of their own: those of the network stay the same
            own = np.random.default_rng(np.random.SeedSequence([seed, 1, int(index[0]) + 2**40]))
            noise = own.standard_normal(len(sites.cell)) * sites.error
            more = self.tensors.scatter([(sites.cell, noise, sites.error)], fraction)
            return together(seen, more._replace(value=more.value + truth * more.mask))

        return observe
