"""The verb ``train``: from a labelled control run to a model."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch

from xdeepda.architectures import ArchitectureSpec
from xdeepda.bridge import Tensors, weights_of
from xdeepda.core.architecture import Architecture
from xdeepda.core.registry import build
from xdeepda.errors import Problems
from xdeepda.model import Model
from xdeepda.options import torch_threads
from xdeepda.progress import progress_bar
from xdeepda.provenance import hash_arrays, package_version
from xdeepda.training.fitting import Anomalies, fit_arrays
from xdeepda.training.lanes import Period, Score, background_errors, parts_of
from xdeepda.training.loop import Trainer
from xdeepda.training.preparation import Prepared, describe
from xdeepda.training.ranks import Ranks, sharing
from xdeepda.training.request import Request, understood
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

    Where torch has a process group (``torch.distributed.init_process_group()`` in a script
    started by ``torchrun``) its processes share the training, each with an equal part of the
    batch, and all return the same model.

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
        Wall-clock limit of the training ("10min", "2h", or seconds), within which the
        learning rate falls to zero.  What is fitted before the optimisation counts, but for
        that half of it is left.  Results then depend on the speed of the machine.  Of
        several runs, each has this budget.
    checkpoint : path, optional
        File that is written after each epoch; of several runs one for each, with ``-0``,
        ``-1``, ... before the ending of its name.
    resume : bool
        Go on from `checkpoint` if it exists; equals one uninterrupted run to the bit
        (without `budget`).
    device : str, optional
        "cpu", "cuda", ...; see :func:`xdeepda.set_options`.  Each of several processes
        takes the GPU of its ``LOCAL_RANK``.
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
    LostProcessError
        If another of the processes that share the training has failed.

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
    with sharing() as ranks, torch_threads():
        started = time.monotonic()
        device = ranks.device(device)
        problems = Problems("train")
        with ranks.together():
            request = understood(
                ds, network, var=var, cycle=cycle, architecture=architecture, window=window,
                validation=validation, epochs=epochs, budget=budget, checkpoint=checkpoint,
                resume=resume, device=device, seed=seed, climatology=climatology,
                settings=settings, ranks=ranks, problems=problems,
            )  # fmt: skip
            if ranks.size > 1:
                # the values are looked at by the first alone
                problems.raise_if_any()
        ranks.agree(request.told | {"seed": seed, "checkpoint": str(checkpoint), "resume": resume})
        prepared = _described(request, climatology, problems, ranks)
        tensors = Tensors(
            request.source.grid,
            prepared.wet,
            prepared.statistics,
            prepared.climatology,
            device,
        )
        spec = request.spec
        module = build(spec.name, spec.settings, tensors.geometry, seed).to(tensors.device)
        if module.fitted is not None:
            fit_module(module, prepared, spec.settings, ranks)
        # only the first rank has read the run
        reader = TruthReader(
            request.source, tensors, hold=ranks.leads or not request.source.is_lazy
        )
        simulator = Simulator(tensors, request.network, request.source, request.scales)
        if module.learns_errors:
            # those of all parts but one make an ensemble
            number = -(-spec.settings["ensemble"] // (module.folds - 1))
            period = Period(0, request.split)
            fit_errors(module, reader, simulator, period, number, seed, ranks)
        fingerprint = _fingerprint(prepared, request, network, seed)
        trainers = _trainers(
            request, module, reader, simulator,
            seconds=_left(request.seconds, started, ranks),
            seed=seed, fingerprint=fingerprint, checkpoint=checkpoint, ranks=ranks,
        )  # fmt: skip
        for trainer in trainers:
            _run(trainer, resume, progress)
    return _finish(prepared, spec, module, trainers, network, seed)


def _described(
    request: Request, climatology: int | str | None, problems: Problems, ranks: Ranks
) -> Prepared:
    """Control run with its mask, climatology and statistics; the first rank reads it."""

    def describing() -> tuple[Any, ...]:
        made = describe(request.source, request.split, climatology, problems)
        return made.wet, made.climatology, made.statistics

    wet, fitted, statistics = ranks.first(describing)
    return Prepared(request.source, wet, fitted, statistics, request.split)


def _left(budget: float | None, started: float, ranks: Ranks) -> float | None:
    """Seconds of a budget that are left for the optimisation: half of it at least."""
    if budget is None:
        return None
    return max(0.5 * budget, budget - ranks.first(lambda: time.monotonic() - started))


def _trainers(
    request: Request,
    module: Architecture,
    reader: TruthReader,
    simulator: Simulator,
    *,
    seconds: float | None,
    checkpoint: str | os.PathLike[str] | None,
    **common: Any,
) -> list[Trainer]:
    """What trains the filter, and what trains the smoother on it if there is one."""
    periods = Period(0, request.split), Period(request.split, len(request.source))
    settings = request.settings
    share = SHARE if module.lag else 0.0
    trainer = Trainer(
        module, reader, simulator, *periods, settings,
        budget=None if seconds is None else (1 - share) * seconds,
        checkpoint=checkpoint, **common,
    )  # fmt: skip
    if not module.lag:
        return [trainer]
    smoother = SmootherTrainer(
        module, reader, simulator, *periods, smoother_settings(settings, module),
        budget=None if seconds is None else share * seconds,
        checkpoint=smoother_checkpoint(checkpoint), **common,
    )  # fmt: skip
    return [trainer, smoother]


def fit_module(
    module: Architecture, prepared: Prepared, settings: dict[str, Any], ranks: Ranks
) -> None:
    """Fit the classical part of an architecture to the run, and to it without each fold.

    The first rank does it, which has read the run.
    """
    given, apart = module.stored(), (1, 1)
    stored = None
    if given is not None:
        stored, apart = (given.cells.cpu().numpy(), given.weights.cpu().numpy()), given.apart

    def fitted(without: tuple[int, int]) -> dict[str, torch.Tensor]:
        run = Anomalies(prepared, without, stored, apart)
        arrays = fit_arrays(run, settings, of_rest=False)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    parts = parts_of(Period(0, prepared.split), module.folds)
    left_out = [(0, 0), *((part.start, part.stop) for part in parts)]
    fits = ranks.results([partial(fitted, part) for part in left_out], turns=False)
    getattr(module, str(module.fitted)).take(next(fits))
    module.cross_fit(list(fits))


def fit_errors(
    module: Architecture,
    reader: TruthReader,
    simulator: Simulator,
    period: Period,
    number: int,
    seed: int,
    ranks: Ranks,
) -> None:
    """Let an untrained architecture make errors in each fold, and take them over.

    The ranks take turns.
    """
    module.eval()
    device = reader.tensors.device

    def errors(fold: int, part: Period) -> dict[str, torch.Tensor]:
        module.use_folds(torch.tensor([fold], device=device))
        made = background_errors(module, reader, simulator, part, number, seed + fold)
        return {"errors": made}

    parts = parts_of(period, module.folds)
    jobs = [partial(errors, fold, part) for fold, part in enumerate(parts)]
    made = [arrays["errors"].to(device) for arrays in ranks.results(jobs, turns=True)]
    module.take_errors(made)
    module.use_folds(None)


def _fingerprint(prepared: Prepared, request: Request, network: Any, seed: int) -> dict[str, str]:
    """What a checkpoint must agree with to be resumed, by name."""
    arrays = {**prepared.statistics.arrays(), "climatology": prepared.climatology.coefficients}
    # patience only says when to stop; the epochs belong to the schedule of the learning rate
    chosen = {k: repr(v) for k, v in asdict(request.settings).items() if k != "patience"}
    return {
        "data": hash_arrays(arrays, f"{prepared.split} {prepared.source.cycles[-1]}"),
        "architecture": repr(request.spec),
        "network": repr(network),
        "seed": repr(int(seed)),
        **chosen,
    }


def _run(trainer: Trainer, resume: bool, progress: bool) -> None:
    """Run with a progress bar over the epochs, from the checkpoint on; load the best weights."""
    checkpoint, ranks = trainer.checkpoint, trainer.ranks
    if checkpoint is not None and ranks.first(checkpoint.exists):
        if resume:
            trainer.load_checkpoint()
        elif ranks.leads:
            logger.warning("train: %s will be overwritten; resume=True goes on from it", checkpoint)
    name = "train the smoother" if trainer.smoother else "train"
    with progress_bar(trainer.settings.epochs, name, progress and ranks.leads, "epoch") as bar:
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
