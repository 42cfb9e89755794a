"""The training of a smoother, on the analyses of a filter that is trained already."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xdeepda.core.architecture import Architecture
from xdeepda.core.cycle import cycle
from xdeepda.training.loop import Trainer
from xdeepda.training.settings import TrainingSettings

#: Share of the budget, and of the epochs, that the smoother gets.
SHARE = 0.3


class SmootherTrainer(Trainer):
    """Trains the smoother of a module; the filter stays as it is.

    A segment is as long as what a smoothed analysis has seen: its first state is seen from
    the whole lag, its last from nothing later.  See :class:`xdeepda.training.loop.Trainer`.
    """

    smoother = True

    def _step(self) -> float:
        """One optimisation step: filter a segment, smooth it, descend."""
        state, truths, observations = self._segment()
        with torch.no_grad():
            backgrounds, analyses = zip(*cycle(self.module, state, observations), strict=True)
        loss = torch.zeros(())
        for truth, smoothed in zip(truths, self.module.smooth(analyses, backgrounds), strict=True):
            loss = loss + self._loss(None, smoothed, truth)
        self.lanes.advance(analyses[-1])
        return self._descend(loss / len(truths))


def smoother_settings(settings: TrainingSettings, module: Architecture) -> TrainingSettings:
    """Settings of the smoother's training, from those of the filter's."""
    return replace(
        settings,
        cycles=module.lag + 1,
        epochs=max(1, round(SHARE * settings.epochs)),
        adversarial=0.0,
    )


def smoother_checkpoint(checkpoint: str | os.PathLike[str] | None) -> Path | None:
    """Name of the second checkpoint."""
    return None if checkpoint is None else Path(f"{os.fspath(checkpoint)}.smoother")


def joined_records(first: dict[str, Any], second: dict[str, Any], lag: int) -> dict[str, Any]:
    """Records of both trainings, one after the other; ``lag`` says which.

    Parameters
    ----------
    first, second : dict of list
        Of the filter and of the smoother.
    lag : int
    """
    count = [len(next(iter(part.values()), [])) for part in (first, second)]
    out = {name: [*first[name], *second[name]] for name in first}
    out["lag"] = [*np.zeros(count[0]), *np.full(count[1], lag)]
    return out
