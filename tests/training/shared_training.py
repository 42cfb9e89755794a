"""Trainings that two processes share, for ``test_distributed.py``.

    python shared_training.py FOLDER

with the variables that torchrun sets.  Each process writes what it saw to FOLDER/rank-N.json.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import xarray as xr

import xdeepda
from xdeepda.source import RunSource
from xdeepda.training import loop, verb
from xdeepda.training.lanes import Score
from xdeepda.training.loop import Trainer
from xdeepda.training.simulation import TruthReader

_SMALL = {"width": 8, "deep_width": 8, "dilations": (1,)}
#: Lanes often start anew: each rank must draw for all of them.
FILTER = {
    "var": "thetao",
    "cycle": "month",
    "architecture": xdeepda.architectures.increment(**_SMALL),
    "epochs": 2,
    "batch": 4,
    "cycles": 3,
    "restart": 0.3,
    "learning_rate": 2e-3,
}
ADVERSARIAL = {**FILTER, "adversarial": 0.1, "loss": "mse", "epochs": 1}
SMOOTHER = {**FILTER, "window": (0, 2), "var": ["thetao", "so"]}
#: As many folds as processes: rows that share a gain stay together.
HYBRID = {
    **FILTER,
    "architecture": xdeepda.architectures.hybrid(
        folds=2, patterns=4, ensemble=6, forecast_width=8, **_SMALL
    ),
}


def control_run() -> xr.Dataset:
    """Five years of a coarse ocean."""
    ocean = xdeepda.datasets.idealised_ocean(5, resolution=15.0, levels=3, seed=1)
    return ocean.isel(depth=slice(0, 2), lat=slice(2, 8), lon=slice(None, None, 2))


def observing(ocean: xr.Dataset) -> xdeepda.Network:
    """Some platforms."""
    return xdeepda.Network.simulated(ocean, "argo", density=0.02)


class Watched:
    """A network that calls `act` with the number of each draw."""

    def __init__(self, network: Any, act: Callable[[int], None]) -> None:
        self.network, self.act, self.count = network, act, 0
        self.kinds = network.kinds

    def __repr__(self) -> str:
        return repr(self.network)

    def on(self, *args: Any) -> Watched:
        self.bound = self.network.on(*args)
        return self

    def draw(self, *args: Any) -> Any:
        self.count += 1
        self.act(self.count)
        return self.bound.draw(*args)


@contextmanager
def reads_of(owner: type, name: str) -> Iterator[list[tuple[int, int]]]:
    """Positions that are read, by a method with start and stop."""
    kept: list[tuple[int, int]] = []
    inner = getattr(owner, name)

    def read(self: Any, start: int, stop: int) -> Any:
        kept.append((int(start), int(stop)))
        return inner(self, start, stop)

    with mock.patch.object(owner, name, read):
        yield kept


@contextmanager
def kept_checkpoint(copy: Path) -> Iterator[None]:
    """Keep the checkpoint of the first epoch."""
    inner = Trainer._write

    def write(self: Trainer, kept: dict[str, Any]) -> None:
        inner(self, kept)
        if self.epoch == 1:
            shutil.copy(str(self.checkpoint), copy)

    with mock.patch.object(Trainer, "_write", write):
        yield


def told(model: xdeepda.Model) -> dict[str, Any]:
    """What a test compares."""
    history = model.history
    return {
        "hash": model.hash,
        "steps": model.provenance["steps"],
        "loss": history["training_loss"].values.tolist(),
        "score": history["validation_score"].values.tolist(),
        "seconds": history["seconds"].values.tolist(),
        "rate": history["learning_rate"].values.tolist(),
    }


def failure(call: Callable[[], Any]) -> dict[str, Any]:
    """Name and message of the error that a call ends with."""
    started = time.monotonic()
    try:
        call()
    except Exception as error:
        seconds = time.monotonic() - started
        return {"error": type(error).__name__, "message": str(error), "seconds": seconds}
    return {"error": None}


class Scenarios:
    """What two processes do one after the other."""

    def __init__(self, folder: Path, rank: int) -> None:
        self.folder, self.rank = folder, rank
        with xr.open_dataset(folder / "run.nc") as run:
            self.ocean = run.load()
        self.network = observing(self.ocean)
        self.found: dict[str, Any] = {}

    def run(self) -> None:
        self.equal()
        self.resumed()
        self.decided()
        self.refused()
        self.failing()

    def train(self, network: Any = None, **arguments: Any) -> xdeepda.Model:
        return xdeepda.train(self.ocean, network or self.network, **arguments)

    def equal(self) -> None:
        """Trainings that one process does as well; of a run in a file that dask reads."""
        part = self.folder / "two.pt"
        with (
            xr.open_dataset(self.folder / "run.nc", chunks={"time": 12}) as run,
            reads_of(RunSource, "read") as file,
            reads_of(TruthReader, "read") as truths,
            kept_checkpoint(self.folder / "two-1.pt"),
        ):
            model = xdeepda.train(run, self.network, checkpoint=part, **FILTER)
        self.found["filter"] = {**told(model), "file": file, "truths": truths}
        if self.rank == 0:
            model.save(self.folder / "two.safetensors")
        self.found["adversarial"] = told(self.train(**ADVERSARIAL))
        self.found["smoother"] = told(self.train(**SMOOTHER))
        with (
            mock.patch.object(verb, "fit_arrays", wraps=verb.fit_arrays) as fits,
            mock.patch.object(verb, "background_errors", wraps=verb.background_errors) as runs,
        ):
            self.found["hybrid"] = told(self.train(**HYBRID))
        self.found["hybrid"] |= {"fits": fits.call_count, "first_runs": runs.call_count}

    def resumed(self) -> None:
        """From the checkpoint of two processes after one epoch, and from that of one."""
        for name in ("two", "one"):
            path = self.folder / f"resumed-{name}.pt"
            if self.rank == 0:
                shutil.copy(self.folder / f"{name}-1.pt", path)
            self.found[f"resumed {name}"] = told(self.train(checkpoint=path, resume=True, **FILTER))

    def decided(self) -> None:
        """When to stop: by the first process alone."""

        def score(*_: Any) -> Score:
            assert self.rank == 0, "only the first process validates"
            return Score(*np.full((4, 2), 0.5))

        with mock.patch.object(Trainer, "_rollout_score", score):
            self.found["patience"] = told(self.train(**{**FILTER, "epochs": 50, "patience": 2}))
            # by the clock of the second there would be no time for a single step
            clock = itertools.count(step=0.05 + 1e6 * self.rank)
            with mock.patch.object(loop, "time", mock.Mock(monotonic=lambda: next(clock))):
                self.found["budget"] = told(self.train(**{**FILTER, "epochs": 9999}, budget=1))

    def refused(self) -> None:
        """What is wrong on one process is told by both."""
        rank, found = self.rank, self.found
        found["batch"] = failure(lambda: self.train(**{**FILTER, "batch": 5}))
        found["seed"] = failure(lambda: self.train(seed=rank, **FILTER))
        found["network"] = failure(lambda: self.train("argo" if rank else None, **FILTER))
        (self.folder / "bad.pt").write_bytes(b"no checkpoint")
        found["checkpoint"] = failure(
            lambda: self.train(checkpoint=self.folder / "bad.pt", resume=True, **FILTER)
        )
        missing = self.ocean.copy(deep=True)
        missing["thetao"].values[5, *np.argwhere(missing["thetao"][5].notnull().values)[0]] = np.nan
        found["values"] = failure(
            lambda: xdeepda.train(missing if rank == 0 else self.ocean, self.network, **FILTER)
        )

    def failing(self) -> None:
        """One process fails amid an epoch; then one is killed, the other must end by itself."""

        def fail(count: int) -> None:
            if count == 20 and self.rank == 1:
                raise OSError("unreadable")

        failing = Watched(self.network, fail)
        self.found["failing"] = failure(lambda: self.train(failing, **FILTER))
        self.write()

        def leave(count: int) -> None:
            if count == 20 and self.rank == 1:
                os._exit(9)

        gone = Watched(self.network, leave)
        self.found["killed"] = failure(lambda: self.train(gone, **FILTER))

    def write(self) -> None:
        (self.folder / f"rank-{self.rank}.json").write_text(json.dumps(self.found))


def main() -> None:
    from torch import distributed

    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    logging.basicConfig(filename=folder / f"rank-{rank}.log")
    distributed.init_process_group("gloo")
    xdeepda.set_options(progress=False, threads=1)
    scenarios = Scenarios(folder, rank)
    scenarios.run()
    scenarios.write()


if __name__ == "__main__":
    main()
