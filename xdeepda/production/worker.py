"""One stream, in whatever process it runs: this one, or a worker of a cluster.

All that it needs is in files within the store, written by the process that conducts the
streams, so that a worker that is lost is replaced by any other.  A stream that is no longer
wanted, as its conductor was interrupted or another one has taken over, ends by itself.
Knows the plan, cycles and files; calculates nothing.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xdeepda.analysis import Fields, Labels
from xdeepda.errors import DeepDAError, DivergenceError, InputError, StoreError
from xdeepda.initial import draws_of
from xdeepda.options import set_options, torch_threads
from xdeepda.production.account import Account
from xdeepda.production.cycling import Cycling
from xdeepda.production.observed import read_ahead
from xdeepda.production.restart import FOLDER, read_arrays, write_arrays
from xdeepda.production.splitting import Stream
from xdeepda.production.store import Store
from xdeepda.request import Inputs
from xdeepda.source import RunSource

#: Number of a stream, and how many of its cycles are done.
Tell = Callable[[int, int], None]

#: Seconds to wait for the process that still holds a stream, before it is given up.
PATIENCE = 60.0
#: File that names the run whose streams are wanted.
_RUN = "run"
_DONE = "done"


class StreamStoppedError(DeepDAError):
    """A stream ended since it is no longer wanted."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What all streams of a run have in common, for any process.

    Attributes
    ----------
    token : str
        Name of the run.
    store : Path
    labels : Labels
    inputs : Inputs
        Of the whole period; its source is without values.
    start : RunSource
        The state that the first stream starts from, or again one without values.
    streams : list of Stream
    chunk : int
        Cycles of a chunk.
    pause : float
        Seconds between restarts, at least.
    keep_members : bool
    device : str, optional
    seed : int
    threads : int, optional
        Of torch, in each process.
    precision : str
        Of the networks.
    """

    token: str
    store: Path
    labels: Labels
    inputs: Inputs
    start: RunSource
    streams: list[Stream]
    chunk: int
    pause: float
    keep_members: bool
    device: str | None
    seed: int
    threads: int | None
    precision: str

    def folder(self, number: int) -> Path:
        """Folder of a stream."""
        return folder_of(self.store, number)

    def inputs_of(self, stream: Stream) -> Inputs:
        """Inputs of one stream, its observations read ahead."""
        own = replace(
            self.inputs,
            source=self.start if stream.number == 0 else self.inputs.source,
            cycles=np.arange(stream.first, stream.last + 1),
            changed={},
        )
        return read_ahead(own)


def folder_of(store: Path, number: int) -> Path:
    """Folder of a stream within a store."""
    return store / FOLDER / f"stream-{number:03d}"


class StreamStore(Store):
    """The regions of one stream in the store of all.

    Parameters
    ----------
    plan : Plan
    stream : Stream
    inputs : Inputs
    """

    def __init__(self, plan: Plan, stream: Stream, inputs: Inputs) -> None:
        super().__init__(plan.store, plan.labels, inputs, Account(inputs, None, None))
        self.plan, self.stream = plan, stream
        self.keeper.folder = plan.folder(stream.number)
        self.begin, self.end = stream.start, stream.stop
        self.written, self.chunk, self.pause = stream.start, plan.chunk, plan.pause

    def take_up(self) -> None:
        """Wait until nobody else is at this stream, and find out where to go on."""
        until = time.monotonic() + PATIENCE
        while True:
            check_wanted(self.plan)
            try:
                self.keeper.lock()
                break
            except InputError:
                # a process that was taken for lost, or is about to notice that it is not wanted
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
        self.complete = (self.keeper.folder / _DONE).exists()
        if self.complete:
            self.start, self.written = len(self.cycles), self.end
        else:
            self._resume()

    def note(self, number: int, fields: Fields) -> None:
        """Keep the fields at both sides of a joint."""
        last = int(self.wanted[self.end - 1])
        for name, cycle in (("before", last), ("after", self.stream.joint)):
            if number == cycle:
                path = self.keeper.folder / f"{name}.safetensors"
                write_arrays(path, {"mean": fields[""], "spread": fields["_spread"]}, {})

    def mark_done(self) -> None:
        """Remember that nothing is left to do."""
        self._settle()
        (self.keeper.folder / _DONE).touch()

    def _held(self) -> str:
        """How much is kept."""
        return f"of stream {self.stream.number}, {super()._held()}"


class StreamCycling(Cycling):
    """The cycles of a stream: its random numbers belong to the cycle, not to the stream.

    Streams that overlap draw alike in the same cycle, so that the members of one go over into
    those of the next as far as their analyses do.
    """

    def __init__(self, inputs: Inputs, initial: list[np.ndarray], **settings: Any) -> None:
        super().__init__(inputs, initial, None, **settings)
        self.seed = int(settings["seed"])

    def _step(self, number: int) -> None:
        """Forecast, check and analyse one cycle with all models."""
        for n, conductor in enumerate(self.conductors):
            seed = draws_of(self.seed, n)
            conductor.generator.manual_seed(_draw(seed, number, 0))
            if conductor.noise is not None:
                conductor.noise.generator.manual_seed(_draw(seed, number, 1))
        super()._step(number)


def _draw(seed: int, number: int, which: int) -> int:
    """Seed of the random numbers of a cycle; `which` tells what they are for."""
    sequence = np.random.SeedSequence([seed, number % 2**32, which])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


# ---- the run that is wanted


def announce(store: Path, token: str) -> None:
    """Make a run the one whose streams are wanted; those of others end by themselves."""
    path = store / FOLDER / _RUN
    part = path.with_suffix(".part")
    part.write_text(token, encoding="ascii")
    part.replace(path)


def check_wanted(plan: Plan) -> None:
    """End a stream that is no longer wanted.

    Raises
    ------
    StreamStoppedError
    """
    try:
        wanted = (plan.store / FOLDER / _RUN).read_text(encoding="ascii")
    except FileNotFoundError:
        wanted = ""
    if wanted != plan.token:
        raise StreamStoppedError("assimilate: this stream is no longer wanted")


# ---- the plan


def plan_path(store: Path, token: str) -> Path:
    """File of the plan of a run."""
    return store / FOLDER / f"plan-{token}.pickle"


def write_plan(plan: Plan) -> Path:
    """Write the plan for other processes, in place of those of former runs."""
    path = plan_path(plan.store, plan.token)
    for old in path.parent.glob("plan-*.pickle"):
        old.unlink()
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        pickle.dump(plan, file, protocol=pickle.HIGHEST_PROTOCOL)
    part.replace(path)
    return path


_plans: dict[str, Plan] = {}
_reading = threading.Lock()


def read_plan(path: str) -> Plan:
    """Plan of a run, read once in each process: the models are in it.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    with _reading:
        if path not in _plans:
            _plans.clear()
            try:
                with open(path, "rb") as file:
                    _plans[path] = pickle.load(file)
            except OSError as error:
                raise StoreError(
                    f"assimilate: a worker cannot read the plan of the streams ({error}); the "
                    "store must be on a disk that all workers share"
                ) from None
        return _plans[path]


# ---- one stream


def run_stream(plan: Plan, number: int, tell: Tell) -> None:
    """Run one stream from where it is to its end.

    Parameters
    ----------
    plan : Plan
    number : int
        Of the stream.
    tell : callable
        Is told the number and how many cycles are done.

    Raises
    ------
    DivergenceError, StoreError
        As :func:`xdeepda.assimilate`, with the number of the stream.
    StreamStoppedError
        If it is no longer wanted.
    """
    stream = plan.streams[number]
    inputs = plan.inputs_of(stream)
    try:
        with StreamStore(plan, stream, inputs) as stored:
            stored.take_up()
            tell(number, stored.start)
            if not stored.complete:
                with set_options(precision=plan.precision), torch_threads(plan.threads):
                    _cycle(plan, inputs, stored, tell)
                stored.mark_done()
    finally:
        inputs.cells.close()  # type: ignore[union-attr]


def _cycle(plan: Plan, inputs: Inputs, stored: StreamStore, tell: Tell) -> None:
    """Take the models through the cycles of a stream that are left."""
    number = stored.stream.number
    cycling = StreamCycling(
        inputs, _initial(plan, number), keep_members=plan.keep_members, show_members=False,
        device=plan.device, seed=plan.seed,
    )  # fmt: skip
    if stored.restart is not None:
        cycling.restore(stored.restart.arrays)
    results = cycling.run(stored.start)
    try:
        for position, (cycle, fields, cells) in enumerate(results, stored.start + 1):
            check_wanted(plan)
            stored.note(cycle, fields)
            stored.take(cycle, fields, cells)
            stored.after(position, cycling)
            tell(number, position)
    except DivergenceError as error:
        raise DivergenceError(f"stream {number}: {error}; {stored.keep()}") from None


def write_initial(folder: Path, initial: list[np.ndarray]) -> None:
    """Write where a stream starts."""
    folder.mkdir(exist_ok=True)
    arrays = {f"{n:03d}": states for n, states in enumerate(initial)}
    write_arrays(folder / "initial.safetensors", arrays, {})


def _initial(plan: Plan, number: int) -> list[np.ndarray]:
    """Where a stream starts, by model."""
    path = plan.folder(number) / "initial.safetensors"
    read = read_arrays(path)
    if read is None:
        raise StoreError(f"assimilate: {path} cannot be read; call again with the same arguments")
    return [read[0][name] for name in sorted(read[0])]


def is_done(store: Path, number: int) -> bool:
    """Whether a stream is complete."""
    return (folder_of(store, number) / _DONE).exists()
