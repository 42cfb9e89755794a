"""The verb ``train``: from a labelled control run to a model."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch

from xdeepda.architectures import ArchitectureSpec
from xdeepda.bridge import Tensors, weights_of
from xdeepda.core.architecture import Architecture
from xdeepda.core.registry import build
from xdeepda.errors import Problems
from xdeepda.model import Model
from xdeepda.options import check_machine, torch_threads
from xdeepda.progress import progress_bar
from xdeepda.provenance import hash_arrays, package_version
from xdeepda.training.fitting import Anomalies, fit_arrays
from xdeepda.training.lanes import Period, Score, background_errors, parts_of
from xdeepda.training.loop import Trainer
from xdeepda.training.preparation import Prepared, describe, open_run
from xdeepda.training.request import (
    check_arguments,
    check_climatology,
    check_length,
    check_memory,
    fitting_run,
    observing_of,
    windowed,
)
from xdeepda.training.settings import (
    TrainingSettings,
)
from xdeepda.training.several import train_each
from xdeepda.training.simulation import Simulator, TruthReader
from xdeepda.training.smoothing import (
    SHARE,
    SmootherTrainer,
    joined_records,
    smoother_checkpoint,
    smoother_settings,
)

if TYPE_CHECKING:
    import xarray as xr

    Labelled = xr.Dataset | xr.DataArray

logger = logging.getLogger("xdeepda")


@overload
def train(ds: Labelled, network: Any, **arguments: Any) -> Model: ...
@overload
def train(ds: Sequence[Labelled], network: Any, **arguments: Any) -> list[Model]: ...


def train(
    ds: Any,
    network: Any,
    *,
    var: str | list[str] | None = None,
    cycle: str = "pentad",
    architecture: str | ArchitectureSpec = "default",
    window: tuple[int, int] = (0, 0),
    validation: float = 0.15,
    epochs: int | None = None,
    budget: str | float | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    device: str | None = None,
    seed: int = 0,
    progress: bool = True,
    climatology: int | str | None = None,
    **settings: Any,
) -> Model | list[Model]:
    """Train a model on a control simulation.

    No real observation enters: they are simulated from the run, through the
    masks and errors of `network`, drawn anew at every visit of a cycle.

    Parameters
    ----------
    ds : Dataset or DataArray, or a list of these
        The control run: (time, depth, latitude, longitude) or fewer axes, any names
        and order.  A dask-backed run is streamed.  Of several runs, on one grid, each
        is trained on by itself, with the same seed.
    network : Network
        Where, when and how accurately is measured.
    var : str or list of str, optional
        Variables of the state; several are analysed together.
    cycle : {"pentad", "month", "year"}
        Interval of one analysis; finer samples are averaged to it.
    architecture : str or ArchitectureSpec
        "default", "increment", "hybrid", "deepda2024", or one of
        :mod:`xdeepda.architectures` with settings.
    window : (0, int)
        Cycles whose observations enter an analysis, relative to it.  (0, 0) is a filter,
        which knows the past through its background.  (0, n) is a smoother for
        reanalyses: the filter, and a network that takes what later observations tell
        back by up to n cycles; it gets a share of the epochs and of the budget.
    validation : float
        Fraction of the years, the last ones, that is never trained on.
    epochs : int, optional
        Passes through the training years at most.
    budget : str or float, optional
        Wall-clock limit of the optimisation ("10min", "2h", or seconds), within which
        the learning rate falls to zero.  Results then depend on the speed of the machine.
        Of several runs, each has this budget.
    checkpoint : path, optional
        File that is written after each epoch; of several runs one for each, with ``-0``,
        ``-1``, ... before the ending of its name.
    resume : bool
        Go on from `checkpoint` if it exists; equals one uninterrupted run to the bit
        (without `budget`).
    device : str, optional
        "cpu", "cuda", ...; see :func:`xdeepda.set_options`.
    seed : int
        Of weights, order, masks and errors.
    progress : bool
        Show a progress bar.
    climatology : int or "means", optional
        Harmonics of the climatology; default 4 (0 for yearly cycles).
    **settings
        Of the optimisation, see :class:`xdeepda.training.settings.TrainingSettings`:
        batch, cycles, learning_rate, adversarial, patience, ...

    Returns
    -------
    Model, or a list of these
        The best by validation, with ``model.history``; one for each run of a list.

    Raises
    ------
    InputError
        With everything that is wrong with the input, before training starts.
    MemoryForeseenError
        If training would not fit into memory.

    References
    ----------
    Ham, Joo, Kim & Lee (2024), Nature Machine Intelligence,
    doi:10.1038/s42256-024-00867-x.

    Examples
    --------
    >>> control = xdeepda.datasets.idealised_ocean(years=30)  # doctest: +SKIP
    >>> network = xdeepda.Network.simulated(control, "argo")  # doctest: +SKIP
    >>> model = xdeepda.train(control, network, var="thetao", cycle="month")  # doctest: +SKIP
    """
    if isinstance(ds, (list, tuple)):
        return train_each(
            train, ds, network, var=var, cycle=cycle, architecture=architecture,
            window=window, validation=validation, epochs=epochs, budget=budget,
            checkpoint=checkpoint, resume=resume, device=device, seed=seed, progress=progress,
            climatology=climatology, **settings,
        )  # fmt: skip
    problems = Problems("train")
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
    spec = fitting_run(spec, split)
    observing = observing_of(network, source, problems)
    if not len(problems):
        # before the run is read: that may take long
        shape = (len(source.variables) * source.grid.shape[0], *source.grid.shape[1:])
        check_memory(shape, spec, chosen, 0 if source.is_chunked else len(source))
    with torch_threads():
        prepared = describe(source, split, climatology, problems)
        tensors = Tensors(
            source.grid, prepared.wet, prepared.statistics, prepared.climatology, device
        )
        module = build(spec.name, spec.settings, tensors.geometry, seed).to(tensors.device)
        if module.fitted is not None:
            fit_module(module, prepared, spec.settings)
        reader = TruthReader(source, tensors)
        simulator = Simulator(tensors, observing[0], source, observing[1])
        if module.learns_errors:
            fit_errors(module, reader, simulator, Period(0, split), spec.settings["ensemble"], seed)
        periods = Period(0, split), Period(split, len(source))
        fingerprint = _fingerprint(prepared, spec, chosen, network, seed)
        share = SHARE if module.lag else 0.0
        trainers = [
            Trainer(
                module, reader, simulator, *periods, chosen, seed=seed, fingerprint=fingerprint,
                budget=None if seconds is None else (1 - share) * seconds, checkpoint=checkpoint,
            )
        ]  # fmt: skip
        if module.lag:
            smoother = SmootherTrainer(
                module, reader, simulator, *periods, smoother_settings(chosen, module),
                seed=seed, fingerprint=fingerprint,
                budget=None if seconds is None else share * seconds,
                checkpoint=smoother_checkpoint(checkpoint),
            )  # fmt: skip
            trainers.append(smoother)
        for trainer in trainers:
            _run(trainer, resume, progress)
    return _finish(prepared, spec, module, trainers, network, seed)


def fit_module(module: Architecture, prepared: Prepared, settings: dict[str, Any]) -> None:
    """Fit the classical part of an architecture to the run, and to it without each fold."""

    def fitted(without: tuple[int, int] = (0, 0)) -> dict[str, torch.Tensor]:
        arrays = fit_arrays(Anomalies(prepared, without), settings, of_rest=False)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    getattr(module, str(module.fitted)).take(fitted())
    parts = parts_of(Period(0, prepared.split), module.folds)
    module.cross_fit([fitted((part.start, part.stop)) for part in parts])


def fit_errors(
    module: Architecture,
    reader: TruthReader,
    simulator: Simulator,
    period: Period,
    number: int,
    seed: int,
) -> None:
    """Let an untrained architecture make errors in each fold, and take them over."""
    module.eval()
    errors = []
    for fold, part in enumerate(parts_of(period, module.folds)):
        module.use_folds(torch.tensor([fold], device=reader.tensors.device))
        errors.append(background_errors(module, reader, simulator, part, number, seed + fold))
    module.take_errors(errors)
    module.use_folds(None)


def _fingerprint(
    prepared: Prepared, spec: ArchitectureSpec, settings: TrainingSettings, network: Any, seed: int
) -> dict[str, str]:
    """What a checkpoint must agree with to be resumed, by name."""
    arrays = {**prepared.statistics.arrays(), "climatology": prepared.climatology.coefficients}
    # patience only says when to stop; the epochs belong to the schedule of the learning rate
    chosen = {k: repr(v) for k, v in asdict(settings).items() if k != "patience"}
    return {
        "data": hash_arrays(arrays, f"{prepared.split} {prepared.source.cycles[-1]}"),
        "architecture": repr(spec),
        "network": repr(network),
        "seed": repr(int(seed)),
        **chosen,
    }


def _run(trainer: Trainer, resume: bool, progress: bool) -> None:
    """Run with a progress bar over the epochs, from the checkpoint on; load the best weights."""
    checkpoint = trainer.checkpoint
    if checkpoint is not None and checkpoint.exists():
        if resume:
            trainer.load_checkpoint()
        else:
            logger.warning("train: %s will be overwritten; resume=True goes on from it", checkpoint)
    name = "train the smoother" if trainer.smoother else "train"
    with progress_bar(trainer.settings.epochs, name, progress, "epoch") as bar:
        bar.update(trainer.epoch)

        def report(row: dict[str, float]) -> None:
            bar.update(1)
            bar.set_postfix(
                loss=f"{row['training_loss']:.3f}", score=f"{row['validation_score']:.3f}"
            )

        trainer.run(report)
    trainer.use_best()


def _finish(
    prepared: Prepared,
    spec: ArchitectureSpec,
    module: Architecture,
    trainers: list[Trainer],
    network: Any,
    seed: int,
) -> Model:
    """Model with weights, calibration, provenance and history."""
    scores = [trainer.best_score for trainer in trainers]
    filtered, score = scores[0], scores[-1]
    assert filtered is not None
    assert score is not None
    provenance = {
        "seed": int(seed),
        "network": repr(network),
        "settings": asdict(trainers[0].settings),
        "epochs": trainers[0].epoch,
        "steps": trainers[0].steps,
        "xdeepda_version": package_version(),
        "validation_score": score.total,
    }
    records = trainers[0].records
    calibration = calibration_of(filtered)
    if module.lag:
        provenance["filter_validation_score"] = filtered.total
        records = joined_records(records, trainers[1].records, module.lag)
        calibration["smoothed"] = calibration_of(score)["analysis"]
    arrays = {k: np.array(v, dtype=np.float64) for k, v in records.items()}
    return prepared.model(spec, weights_of(module), calibration, provenance, arrays)


def calibration_of(score: Score) -> dict[str, np.ndarray]:
    """Factors that make the predicted variance of each channel the error of validation."""
    return {"analysis": score.analysis_ratio, "background": score.background_ratio}
