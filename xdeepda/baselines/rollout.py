"""Baselines on the validation years: their score, and the calibration of their spread."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from xdeepda.bridge import Tensors, module_of
from xdeepda.model import Model
from xdeepda.observations.operator import error_scales
from xdeepda.training.lanes import Period, Score, rollout_score
from xdeepda.training.preparation import Prepared
from xdeepda.training.simulation import Simulator, TruthReader
from xdeepda.training.verb import calibration_of


class Rollout:
    """Cycles baselines through the validation years.

    Parameters
    ----------
    prepared : Prepared
    network : Network
    seed : int
        Of the observations, the same for all models.
    device : str, optional
    """

    def __init__(
        self, prepared: Prepared, network: Any, seed: int = 0, device: str | None = None
    ) -> None:
        source = prepared.source
        tensors = Tensors(
            source.grid, prepared.wet, prepared.statistics, prepared.climatology, device
        )
        bound = network.on(
            source.grid, source.cycle, source.calendar, source.variables, prepared.wet
        )
        self.tensors, self.seed = tensors, seed
        self.reader = TruthReader(source, tensors)
        self.simulator = Simulator(tensors, bound, source, error_scales(source, network))
        self.period = Period(prepared.split, len(source))
        self.spinup = min(source.cycle.per_year, max(1, len(self.period) // 4))

    def score(self, model: Model) -> Score:
        """Score of a model by channel."""
        module = module_of(model, self.tensors)
        return rollout_score(
            module, self.reader, self.simulator, self.period, self.seed, self.spinup
        )

    def calibrated(self, model: Model) -> Model:
        """Model whose spread is its error in the validation years."""
        return with_score(model, self.score(model))


def with_score(model: Model, score: Score) -> Model:
    """Model with the calibration and the validation score of a rollout."""
    provenance = {**model.provenance, "validation_score": score.total}
    return replace(model, calibration=calibration_of(score), provenance=provenance)
