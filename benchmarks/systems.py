"""The systems that are compared, and how they are fitted, trained or read again."""

from __future__ import annotations

import argparse
import ast
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import xdeepda
from xdeepda.architectures import SETTINGS, ArchitectureSpec
from xdeepda.training.settings import TrainingSettings

#: Baselines that stand alone, and what is made of several of them.
SINGLE = ("climatology", "persistence", "oi", "enoi", "kalman")
BASELINES = (*SINGLE, "combined")
LEARNED = ("increment", "hybrid", "deepda2024")
SYSTEMS = (*LEARNED, *BASELINES)


@dataclass(frozen=True)
class Ground:
    """What the systems of a proving ground are fitted to and trained with."""

    name: str  # names the files of trained models
    control: xr.Dataset
    network: Any
    cycle: str = "month"
    validation: float = 6 / 42
    #: Settings of baselines and architectures that differ from the defaults, by system.
    tuned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def add_options(
    parser: argparse.ArgumentParser,
    systems: Sequence[str] = SYSTEMS,
    default: Sequence[str] | None = None,
) -> None:
    """Arguments of the benchmarks that compare systems; all of them by default."""
    parser.add_argument("--systems", nargs="+", choices=systems, default=list(default or systems))
    add_training(parser)


def add_training(parser: argparse.ArgumentParser) -> None:
    """Arguments of the training of learned systems."""
    parser.add_argument("--deepda2024-budget", default="30min", help="its own training time")
    parser.add_argument("--models", help="folder of trained models to use again")
    parser.add_argument(
        "--settings", nargs="+", default=[], type=setting, metavar="KEY=VALUE",
        help="of the architecture or the training of learned systems, such as partial=False",
    )  # fmt: skip


def setting(text: str) -> tuple[str, Any]:
    """Name and value of KEY=VALUE."""
    key, _, value = text.partition("=")
    known = of_training().union(*(SETTINGS[s] for s in LEARNED))
    if key not in known:
        raise argparse.ArgumentTypeError(f"no setting {key!r}; known: {', '.join(sorted(known))}")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def of_training() -> set[str]:
    """Names of the settings of the training."""
    return {f.name for f in fields(TrainingSettings)}


def model_of(
    system: str, ground: Ground, options: Any, settings: Mapping[str, Any] | None = None
) -> tuple[xdeepda.Model, float]:
    """Fit or train a system, or read it if it was trained before; and the seconds it took.

    `settings` are those of the command line where they are not given.
    """
    started = time.monotonic()
    arguments: dict[str, Any] = {
        "var": "thetao", "cycle": ground.cycle, "validation": ground.validation,
    }  # fmt: skip
    tuned = dict(ground.tuned.get(system, {}))
    if system in BASELINES:
        if SETTINGS[system]:
            # those that spread observations are calibrated on the validation years
            arguments |= {"network": ground.network, **tuned}
        model = getattr(xdeepda.baselines, system)(ground.control, **arguments)
        return model, time.monotonic() - started
    given = dict(options.settings) if settings is None else dict(settings)
    path = model_path(system, ground, options, given)
    if options.models and path.exists():
        model = xdeepda.load_model(path)
        return model, float(model.provenance.get("training_seconds", np.nan))
    chosen, trained_by = tuned | given, of_training()
    model = xdeepda.train(
        ground.control, ground.network, seed=options.seed, progress=False,
        budget=options.deepda2024_budget if system == "deepda2024" else options.budget,
        # a setting that neither has is refused
        architecture=ArchitectureSpec(
            system, {k: v for k, v in chosen.items() if k not in trained_by}
        ),
        **arguments, **{k: v for k, v in chosen.items() if k in trained_by},
    )  # fmt: skip
    seconds = time.monotonic() - started
    model.provenance["training_seconds"] = seconds
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return model, seconds


def add_tune(parser: argparse.ArgumentParser) -> None:
    """Instead of a report, the settings of baselines can be chosen."""
    parser.add_argument(
        "--tune", action="store_true", help="choose the settings of baselines on validation years"
    )


def tune(ground: Ground, grids: Mapping[str, Mapping[str, Sequence[Any]]], options: Any) -> None:
    """Choose settings of baselines on the validation years; print what was tried and the best.

    Starts from those of the ground; what is in no grid stays.
    """
    for system in (s for s in options.systems if s in grids):
        own = dict(ground.tuned.get(system, {}))
        model = xdeepda.baselines.tune(
            ground.control, ground.network, system, var="thetao", cycle=ground.cycle,
            validation=ground.validation, grid=grids[system], seed=options.seed, progress=False,
            **own,
        )  # fmt: skip
        for settings, score in model.provenance["tuning"]:
            print(f"  {system}: {score:.4f} { {k: settings[k] for k in grids[system]} }")
        best = {k: model.architecture.settings[k] for k in own | dict(grids[system])}
        print(f"{system}: {best}", flush=True)


def with_seed(options: Any, seed: int) -> Any:
    """Options with another seed."""
    return argparse.Namespace(**{**vars(options), "seed": seed})


def model_path(system: str, ground: Ground, options: Any, settings: Mapping[str, Any]) -> Path:
    """File of a trained model: its name says ground, system, seed and settings."""
    folder = Path(options.models or Path(options.out) / "models")
    own = "".join(f"_{k}={settings[k]}" for k in sorted(settings)).replace(" ", "")
    return folder / f"{ground.name}_{system}_{options.seed}{own}.safetensors"
