"""How to train: settings with their bounds, and budgets of time.  Standard library only."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real
from typing import Any

from xdeepda.architectures import ArchitectureSpec
from xdeepda.errors import InputError


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes
    ----------
    epochs : int
        Passes through the training years at most; the learning rate falls to zero over them.
    batch : int
        Lanes: independent sequences that are optimised together.
    cycles : int
        Consecutive cycles that gradients go back through.
    learning_rate : float
    weight_decay : float
    adversarial : float
        Weight of the adversarial loss; 0 for none.
    variance_loss : float
        Weight of the likelihood of the predicted variance.
    loss : {"rmse", "mse"}
        Mean over channels of the root of the mean square (what is scored), or mean square.
    level_weights : {"equal", "thickness"}
        Weight of the levels in the loss: each level alike, or as thick as it is.
    flip_sign : bool
        Show half of the sequences with their sign turned: anomalies have no preferred one.
    averaging : float
        Decay of the running average of the weights that is validated and kept; 0 for none.
    patience : int
        Validations without a new best before training stops.
    validate_every : int
        Epochs between validations.
    restart : float
        Probability that a lane starts anew elsewhere, each step.
    """

    epochs: int = 60
    batch: int = 4
    cycles: int = 4
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-4
    adversarial: float = 0.0
    variance_loss: float = 0.05
    loss: str = "rmse"
    level_weights: str = "equal"
    flip_sign: bool = True
    averaging: float = 0.99
    patience: int = 20
    validate_every: int = 1
    restart: float = 0.02


#: Columns of which ``hybrid`` stores what is fitted, at most: as in ``xdeepda.core.hybrid``.
MOST_COLUMNS = 16384

#: Settings of an architecture that differ from the defaults: those published.
PRESETS: dict[str, dict[str, Any]] = {
    # rows share what is expensive
    "hybrid": {"batch": 6},
    "deepda2024": {
        "epochs": 100,
        "batch": 1,
        "cycles": 1,
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "adversarial": 0.1,
        "variance_loss": 0.0,
        "loss": "mse",
        "flip_sign": False,
        "averaging": 0.0,
        "patience": 10,
        "restart": 0.0,
    },
}

_BOUNDS: dict[str, tuple[float, float]] = {
    "epochs": (1, 1e6),
    "batch": (1, 4096),
    "cycles": (1, 512),
    "learning_rate": (1e-8, 1.0),
    "weight_decay": (0, 1),
    "adversarial": (0, 1e3),
    "variance_loss": (0, 1e3),
    "averaging": (0, 0.99999),
    "patience": (1, 1e6),
    "validate_every": (1, 1e6),
    "restart": (0, 1),
}


def settings_for(architecture: str, given: dict[str, Any]) -> TrainingSettings:
    """Settings for an architecture, with the user's own on top.

    Raises
    ------
    InputError
        For unknown names and values out of range, all at once.
    """
    known = {f.name: f.type for f in fields(TrainingSettings)}
    told = [f"unknown setting {k!r}" for k in given if k not in known]
    merged = {**asdict(TrainingSettings()), **PRESETS.get(architecture, {})}
    merged.update({k: _plain(v) for k, v in given.items() if k in known})
    for name, (low, high) in _BOUNDS.items():
        value = merged[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            told.append(f"{name}={value!r} is no number")
        elif not low <= value <= high or (known[name] == "int" and value != int(value)):
            told.append(f"{name}={value!r} is not in {low:g} to {high:g}")
    if not isinstance(merged["flip_sign"], bool):
        told.append(f"flip_sign={merged['flip_sign']!r}: True or False")
    if merged["loss"] not in ("rmse", "mse"):
        told.append(f"loss={merged['loss']!r}: 'rmse' or 'mse'")
    if merged["level_weights"] not in ("equal", "thickness"):
        told.append(f"level_weights={merged['level_weights']!r}: 'equal' or 'thickness'")
    if told:
        raise InputError("training settings: " + "; ".join(told) + f"; known: {', '.join(known)}")
    return TrainingSettings(**merged)


def _plain(value: Any) -> Any:
    """Numbers of numpy as Python's own: the model file takes no others."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def parse_budget(budget: str | float | None) -> float | None:
    """Seconds of a budget such as 90, "90s", "10min" or "2h".

    Raises
    ------
    InputError
        If it is no positive length of time.
    """
    if budget is None:
        return None
    units = {"s": 1.0, "min": 60.0, "h": 3600.0}
    seconds = math.nan
    if isinstance(budget, (int, float)) and not isinstance(budget, bool):
        seconds = float(budget)
    elif isinstance(budget, str):
        text = budget.strip()
        for unit in ("min", "h", "s"):
            if text.endswith(unit):
                text, factor = text[: -len(unit)], units[unit]
                break
        else:
            factor = 1.0
        try:
            seconds = float(text) * factor
        except ValueError:
            seconds = math.nan
    if not seconds > 0 or math.isinf(seconds):
        raise InputError(f"budget={budget!r}: seconds, or a text such as '90s', '10min', '2h'")
    return seconds


def training_bytes(
    shape: tuple[int, int, int], spec: ArchitectureSpec, settings: TrainingSettings
) -> int:
    """Memory that one training step takes, by the features that gradients need.

    Measured on two grids; within a third of the truth.
    """
    channels, ny, nx = shape
    if spec.name == "deepda2024":
        per_cell = 1100 * channels
    else:
        width, deep = spec.settings.get("width", 0), spec.settings.get("deep_width", 0)
        blocks = len(spec.settings.get("dilations", ()))
        per_cell = 45 * channels + 12 * width + 2 * deep * (2 * blocks + 2)
        step = 4 * per_cell * ny * nx * settings.batch * settings.cycles
        return step + _fitted_bytes(shape, spec)
    return 4 * per_cell * ny * nx * settings.batch * settings.cycles


def _fitted_bytes(shape: tuple[int, int, int], spec: ArchitectureSpec) -> int:
    """Memory of what is fitted to a run, and of the cycles that it is fitted to."""
    channels, ny, nx = shape
    patterns = spec.settings.get("patterns", 0)
    if not patterns:
        return 0
    columns = ny * nx
    if spec.settings.get("thinning"):
        columns = min(columns, MOST_COLUMNS)
    # halves for the whole run, and for it without each fold; cycles are singles, twice
    held = 2 * (patterns + spec.settings["ensemble"]) * (1 + spec.settings["folds"])
    return columns * channels * (held + 8 * max(500, 4 * patterns))
