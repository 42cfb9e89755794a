"""Parallel production streams: plans them, has them run, and compares them at their joints.

The streams run on a cluster, or one after the other in this process; either way each is one
call of :func:`xdeepda.production.worker.run_stream`, and gives the same bits.  Knows cycles,
files and arrays; calculates nothing.
"""

from __future__ import annotations

import copy
import logging
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.analysis import Labels
from xdeepda.initial import initial_states
from xdeepda.options import option, thread_count
from xdeepda.production.cluster import run_on_cluster, workers_here
from xdeepda.production.joints import attach_joints, compare
from xdeepda.production.observed import KeptCells
from xdeepda.production.restart import FOLDER
from xdeepda.production.splitting import Division, Stream, chunk_of, split
from xdeepda.production.store import Store
from xdeepda.production.worker import (
    Plan,
    announce,
    is_done,
    run_stream,
    write_initial,
    write_plan,
)
from xdeepda.progress import progress_bar
from xdeepda.provenance import hash_arrays
from xdeepda.request import Inputs
from xdeepda.source import RunSource

logger = logging.getLogger("xdeepda")


class Streams:
    """The streams of one assimilation.

    Parameters
    ----------
    division : Division
    stored : Store
        Of the whole period; its chunks are cut to fit.
    initial : list of numpy.ndarray, shape (members, C, Y, X)
        Where the first stream starts, by model.
    keep_members, device, seed
        See :func:`xdeepda.assimilate`.

    Raises
    ------
    InputError
        If there are more streams than cycles.
    """

    def __init__(
        self,
        division: Division,
        stored: Store,
        inputs: Inputs,
        initial: list[np.ndarray],
        *,
        keep_members: bool,
        device: str | None,
        seed: int,
    ) -> None:
        self.division, self.stored, self.inputs, self.initial = division, stored, inputs, initial
        self.settings = {"keep_members": keep_members, "device": device, "seed": int(seed)}
        stored.chunk = chunk_of(stored.chunk, len(inputs.wanted), division.streams)
        lag = max(model.window[1] for model in inputs.models)
        self.streams = split(inputs.wanted, inputs.cycles, division, lag, stored.chunk)
        self.token = uuid.uuid4().hex
        #: Cycles of each stream that are done.
        self.done: dict[int, int] = {}

    @property
    def at_once(self) -> int:
        """Streams that run on this machine at the same time."""
        return min(workers_here(self.division.client), len(self.streams))

    # ---- what the analysis depends on

    @property
    def threads(self) -> int | None:
        """Threads of each process; one in a worker, of which there are many."""
        asked: int | None = option("threads")
        return asked or (None if self.division.client is None else 1)

    def request(self) -> dict[str, str]:
        """What the analysis depends on besides the rest; see ``identity``."""
        starts = {
            f"{stream.number} {n}": states
            for stream in self.streams
            for n, states in enumerate(self._initial(stream))
        }
        cuts = ", ".join(str(stream.start) for stream in self.streams)
        return {
            "streams": f"{len(self.streams)} from cycles {cuts}, spin-up of "
            f"{self.division.spinup} cycles",
            "starts of streams": hash_arrays(starts),
        }

    def machine(self) -> dict[str, str]:
        """What the last bits depend on besides the rest."""
        return {"threads": str(self.threads or thread_count())}

    def _initial(self, stream: Stream) -> list[np.ndarray]:
        """Where a stream starts, by model; only the first from a state that was given.

        A state is known for its own time; years away it says no more than climatology.
        """
        if stream.number == 0:
            return self.initial
        if len(self.inputs.source) <= 1:
            return [np.zeros_like(states) for states in self.initial]
        inputs, members = self.inputs, len(self.initial[0])
        return initial_states(
            inputs.source, inputs.models, stream.first, inputs.calendar, members,
            self.settings["seed"],  # type: ignore[arg-type]
        )  # fmt: skip

    # ---- running them

    def conduct(self, progress: bool) -> None:
        """Run all streams that are left, and compare them at their joints.

        Raises
        ------
        DivergenceError, StoreError, LostProcessError
            As the first stream that ends with an error; the others end, too.
        """
        self._tell_of_work()
        announce(self.stored.path, self.token)
        plan = self._plan()
        left = [s.number for s in self.streams if not is_done(self.stored.path, s.number)]
        for number in left:
            write_initial(plan.folder(number), self._initial(self.streams[number]))
        try:
            with self._bar(progress, left) as bar:
                self._run(plan, left, bar)
        finally:
            # whatever still runs elsewhere ends by itself
            announce(self.stored.path, "none")
        self.stored.keeper.sweep()
        found = compare(plan)
        attach_joints(self.stored.path, found)

    def _run(self, plan: Plan, left: list[int], bar: Any) -> None:
        """Run streams here or elsewhere."""

        def look() -> None:
            for number, position in list(self.done.items()):
                if number not in seen:
                    # what was done before is no part of the estimate of the time
                    seen.add(number)
                    bar.initial += position
            bar.n = sum(self.done.values()) + finished
            bar.refresh()

        def tell(number: int, position: int) -> None:
            self.done[number] = position

        def tell_here(number: int, position: int) -> None:
            tell(number, position)
            look()

        finished = sum(len(s) for s in self.streams if s.number not in left)
        bar.initial, seen = finished, set[int]()
        if self.division.client is None:
            for number in left:
                run_stream(plan, number, tell_here)
            return
        run_on_cluster(self.division.client, write_plan(plan), self.token, left, tell, look)

    @contextmanager
    def _bar(self, progress: bool, left: list[int]) -> Iterator[Any]:
        """Progress of all streams together."""
        total = sum(map(len, self.streams))
        if len(left) < len(self.streams):
            logger.info("assimilate: %d streams were complete before",
                        len(self.streams) - len(left))  # fmt: skip
        with progress_bar(total, "assimilate", progress, "cycle") as bar:
            yield bar

    def _tell_of_work(self) -> None:
        """Say what the spin-up costs."""
        total = sum(map(len, self.streams))
        alone = len(self.inputs.cycles)
        logger.info(
            "assimilate: %d streams of %d to %d cycles, together %.0f %% more than one stream",
            len(self.streams), min(map(len, self.streams)), max(map(len, self.streams)),
            100 * (total / alone - 1),
        )  # fmt: skip

    def _plan(self) -> Plan:
        """Plan for any process."""
        stored, inputs = self.stored, self.inputs
        cells = KeptCells.write(stored.path / FOLDER / "observed.bin", inputs)
        light = without_values(inputs.source)
        kept = replace(
            inputs,
            source=light,
            cells=cells,  # type: ignore[arg-type]
            positions=np.arange(len(inputs.lead.variables)),
            records=None,
            changed={},
        )
        given = stored.labels
        labels = Labels(
            light, given.model, given.calendar, given.first, members=given.members,
            attributes=given.attributes, models=given.models,
        )  # fmt: skip
        spreads = [f"{name}_spread" for name in inputs.lead.variables]
        start = without_values(inputs.source, spreads)
        return Plan(
            self.token, stored.path, labels, kept, start, self.streams, stored.chunk,
            stored.pause, threads=self.threads, precision=str(option("precision")),
            **self.settings,  # type: ignore[arg-type]
        )  # fmt: skip


def without_values(source: RunSource, keep: Sequence[str] = ()) -> RunSource:
    """Source with its labels and attributes alone, in memory: to be sent elsewhere.

    Bounds and the variables of `keep` stay.
    """
    out = copy.copy(source)
    plain = unit_tools.dequantify(source.original)
    if isinstance(plain, xr.DataArray):
        plain = plain.coords.to_dataset().assign_attrs(plain.attrs)
    bounds = {str(v.attrs["bounds"]) for v in plain.variables.values() if "bounds" in v.attrs}
    others = [name for name in plain.data_vars if name not in bounds and name not in keep]
    out.original, out.fields = plain.drop_vars(others).compute(), []
    return out
