"""What a training is asked for, checked before long work starts."""

from __future__ import annotations

import logging
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xdeepda.architectures import LONGEST_LAG, ArchitectureSpec, architecture_spec, fitting
from xdeepda.climatology import harmonics_of
from xdeepda.core.registry import is_trainable
from xdeepda.errors import InputError, MemoryForeseenError, Problems
from xdeepda.observations.operator import error_scales
from xdeepda.options import available_memory, check_machine
from xdeepda.source import HOLD_BYTES, RunSource
from xdeepda.training.preparation import open_run
from xdeepda.training.ranks import Ranks
from xdeepda.training.settings import (
    TrainingSettings,
    parse_budget,
    settings_for,
    training_bytes,
)

logger = logging.getLogger("xdeepda")


@dataclass(frozen=True)
class Request:
    """What a training is asked for, checked.

    Attributes
    ----------
    source : RunSource
    split : int
        Position of the first validation cycle.
    spec : ArchitectureSpec
    settings : TrainingSettings
    seconds : float, optional
        The budget.
    network : bound network
    scales : numpy.ndarray, shape (variable,)
        Factors that take the errors of the network to the units of the run.
    told : dict
        What all processes of a training must be told alike.
    """

    source: RunSource
    split: int
    spec: ArchitectureSpec
    settings: TrainingSettings
    seconds: float | None
    network: Any
    scales: np.ndarray
    told: dict[str, Any]


def understood(
    ds: Any,
    network: Any,
    *,
    var: Any,
    cycle: str,
    architecture: Any,
    window: Any,
    validation: float,
    epochs: Any,
    budget: Any,
    checkpoint: Any,
    resume: bool,
    device: str | None,
    seed: int,
    climatology: Any,
    settings: dict[str, Any],
    ranks: Ranks,
    problems: Problems,
) -> Request:
    """Check all arguments of the verb; `problems` may hold some that are to be told later."""
    source, split = open_run(ds, var, cycle, validation, problems)
    spec, chosen, seconds = check_arguments(
        architecture, network, epochs, budget, checkpoint, resume, settings, problems
    )
    spec = windowed(spec, window, problems)
    check_machine(device, seed, problems)
    if source is None or spec is None or chosen is None:
        problems.raise_if_any()
    assert source is not None
    assert spec is not None
    assert chosen is not None
    check_climatology(climatology, source, problems)
    check_length(chosen, spec, split, source, problems)
    check_batch(chosen.batch, ranks.size, problems)
    spec = fitting_run(spec, split)
    bound, scales = observing_of(network, source, problems)
    if not len(problems):
        # before the run is read: that may take long
        shape = (len(source.variables) * source.grid.shape[0], *source.grid.shape[1:])
        held = 0 if source.is_chunked else len(source)
        of_machine = replace(chosen, batch=chosen.batch // ranks.size * ranks.here)
        check_memory(shape, spec, of_machine, held * ranks.here)
    told = {
        "run": (source.variables, source.units, source.grid, source.calendar, split),
        "cycles": (source.cycle.name, len(source), int(source.cycles[0])),
        "architecture": spec, "network": network, "budget": seconds, "climatology": climatology,
        **asdict(chosen),
    }  # fmt: skip
    return Request(source, split, spec, chosen, seconds, bound, scales, told)


def check_batch(batch: int, ranks: int, problems: Problems) -> None:
    """Each of several processes has as many sequences as the others."""
    if batch % ranks:
        problems.add(
            f"{ranks} processes cannot share the sequences of a batch equally",
            found=f"batch={batch}",
            todo=f"batch={-(-batch // ranks) * ranks}, or another multiple of {ranks}",
        )


def check_arguments(
    architecture: Any,
    network: Any,
    epochs: Any,
    budget: Any,
    checkpoint: Any,
    resume: bool,
    settings: dict[str, Any],
    problems: Problems,
) -> tuple[ArchitectureSpec | None, TrainingSettings | None, float | None]:
    """Check what is not data; all problems are collected."""
    spec = chosen = seconds = None
    given = dict(settings) if epochs is None else {**settings, "epochs": epochs}
    try:
        spec = architecture_spec(architecture)
    except InputError as error:
        problems.absorb(error)
    try:
        chosen = settings_for(spec.name if spec else "", given)
    except InputError as error:
        problems.absorb(error)
    if spec is not None and not is_trainable(spec.name):
        problems.add(
            f"the architecture {spec.name!r} has nothing to train",
            todo=f"fit it: xdeepda.baselines.{spec.name}(ds, ...)",
        )
    try:
        seconds = parse_budget(budget)
    except InputError as error:
        problems.absorb(error)
    if not hasattr(network, "on"):
        problems.add(
            "network is no Network",
            found=type(network).__name__,
            expected="xdeepda.Network.simulated(control, 'argo'), or obs.deepda.network(like=...)",
        )
    if resume and checkpoint is None:
        problems.add("resume=True needs checkpoint=", todo="name the file to go on from")
    if checkpoint is not None:
        _check_checkpoint(Path(checkpoint), problems)
    return spec, chosen, seconds


def windowed(
    spec: ArchitectureSpec | None, window: Any, problems: Problems
) -> ArchitectureSpec | None:
    """Specification with the lag of a smoother."""
    good = (
        isinstance(window, (tuple, list))
        and len(window) == 2
        and all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in window)
        and window[0] == 0
        and 0 <= window[1] <= LONGEST_LAG
    )
    if not good:
        problems.add(
            "window is (0, n): how many later cycles enter an analysis",
            found=repr(window),
            expected=f"n from 0 (a filter) to {LONGEST_LAG}; earlier ones enter by the background",
        )
        return spec
    if spec is None or window[1] == 0:
        return spec
    if "lag" not in spec.settings:
        problems.add(
            f"the architecture {spec.name!r} has no smoother",
            found=f"window={tuple(window)}",
            todo="window=(0, 0), or another architecture",
        )
        return spec
    return ArchitectureSpec(spec.name, {**spec.settings, "lag": int(window[1])})


def _check_checkpoint(path: Path, problems: Problems) -> None:
    """A checkpoint must be writable before the first epoch, not after it."""
    if not path.parent.is_dir():
        problems.add("the folder of checkpoint= does not exist", found=str(path.parent))
    elif path.is_dir():
        problems.add("checkpoint= is a folder", found=str(path), expected="the name of a file")
    elif not os.access(path.parent, os.W_OK):
        problems.add("nothing can be written to the folder of checkpoint=", found=str(path.parent))


def observing_of(network: Any, source: RunSource, problems: Problems) -> tuple[Any, np.ndarray]:
    """Network on the grid of the run, and the factors that take its errors to the run's units.

    Reads the first cycle, and only if nothing is wrong so far: where the sea of others
    differs, the run is refused anyway.
    """
    bound, scales = None, np.ones(len(source.variables))
    try:
        scales = error_scales(source, network)
        if not len(problems):
            sea = source.wet
            bound = network.on(source.grid, source.cycle, source.calendar, source.variables, sea)
    except InputError as error:
        problems.absorb(error)
    return bound, scales


def fitting_run(spec: ArchitectureSpec, split: int) -> ArchitectureSpec:
    """Sizes of the classical part that the training cycles without a fold can tell apart."""
    folds = spec.settings.get("folds", 1)
    if folds < 2 <= spec.settings.get("patterns", 0):
        raise InputError("train: folds=1 leaves nothing to fit to; at least 2")
    fits = fitting(spec, split - split // folds if folds > 1 else split)
    if fits is not spec:
        logger.info(
            "train: %d patterns and %d anomalies for the classical part; the run is short",
            fits.settings["patterns"], fits.settings["ensemble"],
        )  # fmt: skip
    return fits


def check_length(
    settings: TrainingSettings,
    spec: ArchitectureSpec,
    split: int,
    source: RunSource,
    problems: Problems,
) -> None:
    """Gradients cannot go back through more cycles than there are to train on."""
    needed = {f"cycles={settings.cycles}": settings.cycles}
    lag = spec.settings.get("lag", 0)
    if lag:
        # two sequences in each part of the run
        needed[f"window=(0, {lag})"] = 2 * (lag + 1) * spec.settings.get("folds", 1)
    for name, cycles in needed.items():
        if 0 < split < cycles:
            problems.add(
                f"{name} is more than there is to train on",
                found=f"{split} {source.cycle.name}s",
                expected=f"at least {cycles}",
            )


def check_climatology(climatology: Any, source: Any, problems: Problems) -> None:
    """Refuse an impossible number of harmonics early."""
    try:
        harmonics_of(climatology, source.cycle)
    except InputError as error:
        problems.absorb(error)


def check_memory(
    shape: tuple[int, int, int],
    spec: ArchitectureSpec,
    settings: TrainingSettings,
    held: int,
) -> None:
    """Refuse a training that would not fit.

    Parameters
    ----------
    shape : tuple of int
        (C, Y, X).
    spec : ArchitectureSpec
    settings : TrainingSettings
    held : int
        Cycles of the run that are held in memory besides.

    Raises
    ------
    MemoryForeseenError
        With the batch that would fit.
    """
    step = training_bytes(shape, spec, settings)
    run = min(4 * held * int(np.prod(shape)), HOLD_BYTES)
    free = available_memory()
    if free is None or step + run < 0.9 * free:
        return
    fits = int(settings.batch * (0.9 * free - run) / step)
    problems = Problems("train", MemoryForeseenError)
    problems.add(
        "training would not fit into memory",
        found=f"about {step / 2**30:.3g} GiB a step and {run / 2**30:.3g} GiB for the run, "
        f"{free / 2**30:.3g} GiB free",
        todo=f"batch={fits}"
        if fits > 0
        else "cycles=1, batch=1, a smaller width, or a coarser grid",
    )
    problems.raise_if_any()
