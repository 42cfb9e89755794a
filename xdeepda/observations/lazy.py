"""Binning of tables that are not in memory: chunk by chunk, with the same bits.

Times are read first, so that the cycles can be taken in ranges of a bounded number
of rows; each range is combined as soon as its chunks have been read.  In memory are
one chunk, the rows of one range, and the result, unless that is kept in files.  A
table in the order of time is read once; the chunks of others are read again for every
range that they reach into.
Knows tables, grid and cycles; no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import Cycle, calendar_of
from xdeepda.errors import InputError, Problems
from xdeepda.observations.cells import CORRELATED, Cells, combine
from xdeepda.observations.columns import find_roles
from xdeepda.observations.placing import PERIOD, USED, cycle_numbers
from xdeepda.observations.stored import StoredCells
from xdeepda.observations.superob import (
    BinningReport,
    Ready,
    extents,
    prepare,
    refuse,
    reported,
)
from xdeepda.observations.table import as_table, variables_of
from xdeepda.observations.target import Target
from xdeepda.progress import progress_bar
from xdeepda.reading import read

#: Rows of a range of cycles: some 200 MB while they are combined.
ROWS = 2**21
#: Smaller chunks are read together.
_CHUNK = 2**17


def is_lazy(obs: Any) -> bool:
    """Whether observations are points of which columns are dask arrays in several chunks."""
    if not isinstance(obs, xr.Dataset) or len(obs.sizes) != 1:
        return False
    return any(v.chunks is not None and len(v.chunks[0]) > 1 for v in obs.variables.values())


def lazy_calendar(obs: xr.Dataset) -> str:
    """Calendar of the first chunk that has a date; see :func:`xdeepda.calendar.calendar_of`."""
    times = obs[_times_name(obs)]
    for rows in _chunks(obs):
        known = _dates(times, rows)
        if known.size:
            return calendar_of(known[:1])
    return "standard"


def bin_lazily(
    obs: xr.Dataset,
    target: Target,
    cycle: Cycle,
    *,
    period: tuple[int, int] | None = None,
    thin: int | None = None,
    hold_back: bool = True,
    rho: float = CORRELATED,
    rows: int = ROWS,
    folder: Path | None = None,
    progress: bool = True,
) -> tuple[Cells | StoredCells, BinningReport]:
    """Bin a table of dask arrays chunk by chunk.

    Parameters
    ----------
    obs : Dataset
        What :func:`xdeepda.observations.as_table` reads, chunked along its one
        dimension.
    target : Target
    cycle : Cycle
    period, thin, rho
        As :func:`xdeepda.observations.bin_points`.
    hold_back : bool
        Leave out the rows that a column ``withheld`` names.
    rows : int
        Largest number of rows that are combined at a time (a single cycle may
        have more).
    folder : Path, optional
        Keep the result in files in this folder, not in memory.
    progress : bool
        Show a bar where it takes longer than a second.

    Returns
    -------
    cells : Cells or StoredCells
        The bits that :func:`xdeepda.observations.bin_points` gives in memory.
    report : BinningReport
        ``row`` is empty: it would be as long as a column of the table.

    Raises
    ------
    InputError
        As :func:`xdeepda.observations.as_table`, with the rows of the chunk; if not
        a single row is inside.
    """
    chunks = _chunks(obs)
    with progress_bar(2 * len(chunks), "superob", progress, "chunk", delay=1.0) as bar:
        times = obs[_times_name(obs)]
        spans = []
        for rows_of_chunk in chunks:
            spans.append(_cycles_of(times, rows_of_chunk, cycle))
            bar.update()
        work = _Work(obs, times, target, cycle, period, hold_back, chunks, spans, bar)
        kept: list[Cells] | StoredCells = []
        if folder is not None:
            kept = StoredCells(folder, target.variables, target.units, target.grid, cycle.name)
        for first, stop in _ranges(spans, rows, period):
            piece = work.combine(first, stop, thin, rho)
            if piece is not None:
                kept.append(piece)
    report = work.report()
    if not len(kept):
        refuse(report.fate, target, work.names, work.extent)
    return _joined(kept) if isinstance(kept, list) else kept, report


def _chunks(obs: xr.Dataset) -> list[slice]:
    """Rows of each chunk; small ones together."""
    (dim,) = obs.sizes
    sizes = [
        v.chunks[0] for v in obs.variables.values() if v.chunks is not None and v.dims == (dim,)
    ]
    # the coarsest chunks: those of the other columns are parts of them, or nearly so
    edges = np.cumsum([0, *min(sizes, key=len)])
    out, start = [], 0
    for stop in edges[1:].tolist():
        if stop - start >= _CHUNK or stop == edges[-1]:
            out.append(slice(start, stop))
            start = stop
    return out


def _part(obs: xr.Dataset, rows: slice, told: Callable[[slice], str] | None = None) -> xr.Dataset:
    """Rows in memory; `told` adds to what is said of those that cannot be read."""
    (dim,) = obs.sizes
    part = obs.isel({dim: rows})

    def what(_: xr.DataArray) -> str:
        return f"rows {rows.start} to {rows.stop - 1}{'' if told is None else told(rows)}"

    try:
        return read(part.load, "observations", what, *map(xr.DataArray, part.variables.values()))
    except InputError:
        finest = max((v.chunks[0] for v in part.variables.values() if v.chunks), key=len)
        edges = np.cumsum([rows.start, *finest]).tolist()
        for first, last in pairwise(edges if len(finest) > 1 else []):
            _part(obs, slice(first, last), told)  # says it of fewer rows
        raise


def _span(numbers: np.ndarray, cycle: Cycle, times: xr.DataArray) -> str:
    """Cycles from the first to the last, in words."""
    if not numbers.size:
        return ""
    known = _dates(times, slice(0, 1))
    calendar = calendar_of(known) if known.size else "standard"
    ends = cycle.middle(numbers[[0, -1]], calendar)
    return f", of the {cycle.name}s around {ends[0]} to {ends[1]},"


def _times_name(obs: xr.Dataset) -> str:
    """Name of the column of times."""
    roles = find_roles(obs)
    if "time" not in roles:
        as_table(_part(obs, slice(0, 1)))  # says what is missing
    return roles["time"]


def _dates(times: xr.DataArray, rows: slice) -> np.ndarray:
    """Dates of a chunk that are known."""
    part = times[rows] if times.ndim else times
    values = np.atleast_1d(
        read(
            lambda: np.asarray(part),
            "observations",
            lambda _: f"times of the rows {rows.start} to {rows.stop - 1}",
            part,
        )
    )
    if values.dtype.kind == "M":
        return values[~np.isnat(values)]
    return values[np.array([t is not None and t == t for t in values], dtype=bool)]


def _cycles_of(times: xr.DataArray, rows: slice, cycle: Cycle) -> tuple[np.ndarray, np.ndarray]:
    """Cycles of a chunk and the number of rows in each."""
    numbers, counts = np.unique(cycle_numbers(_dates(times, rows), cycle), return_counts=True)
    return numbers, counts


def _ranges(
    spans: Sequence[tuple[np.ndarray, np.ndarray]], rows: int, period: tuple[int, int] | None
) -> Iterator[tuple[int, int]]:
    """Ranges of cycles, each of not more rows than asked for unless it is a single cycle."""
    counts: dict[int, int] = {}
    for numbers, sizes in spans:
        for number, size in zip(numbers.tolist(), sizes.tolist(), strict=True):
            if period is None or period[0] <= number <= period[1]:
                counts[number] = counts.get(number, 0) + size
    if not counts:
        yield 0, 1
        return
    first, held = min(counts), 0
    for number in sorted(counts):
        if held and held + counts[number] > rows:
            yield first, number
            first, held = number, 0
        held += counts[number]
    yield first, max(counts) + 1


class _Work:
    """Reads chunks, remembers the last one, and combines ranges of cycles."""

    def __init__(
        self,
        obs: xr.Dataset,
        times: xr.DataArray,
        target: Target,
        cycle: Cycle,
        period: tuple[int, int] | None,
        hold_back: bool,
        chunks: Sequence[slice],
        spans: Sequence[tuple[np.ndarray, np.ndarray]],
        bar: Any,
    ) -> None:
        self.obs, self.target, self.cycle, self.period = obs, target, cycle, period
        self.times = times
        self.chunks, self.spans, self.bar = chunks, spans, bar
        self.hold_back = hold_back and "withheld" in obs.variables
        self.names: list[str] = []
        self.extent: dict[str, tuple[float, float]] = {}
        self._fates: list[np.ndarray | None] = [None] * len(chunks)
        self._assumed: dict[str, int] = {}
        self._told: dict[str, str] = {}
        self._last: tuple[int, Ready] | None = None

    def combine(self, first: int, stop: int, thin: int | None, rho: float) -> Cells | None:
        """Superobservations of the cycles from `first` to before `stop`; None if there are none."""
        parts = []
        for number, (cycles, _) in enumerate(self.spans):
            reaches = cycles.size and ((cycles >= first) & (cycles < stop)).any()
            # chunks without a single date have fates, too
            if reaches or (self._fates[number] is None and not cycles.size):
                ready = self._read(number)
                inside = (ready.number >= first) & (ready.number < stop)
                parts.append((number, ready.select(inside)))
        parts = [(number, ready) for number, ready in parts if ready.value.size]
        if not parts:
            return None
        ready = _one([ready for _, ready in parts])
        if thin is not None:
            ready = self._thin(ready, [n for n, _ in parts], [r for _, r in parts], thin)
        size = self.target.wet.size
        start, key = ready.keys(size)
        combined = combine(key, ready.value, ready.error, ready.profile, rho=rho)
        return Cells.from_keys(
            combined, start, self.target.variables, self.target.units, self.target.grid, self.cycle
        )

    def _read(self, number: int) -> Ready:
        """Rows of a chunk that are used."""
        if self._last is not None and self._last[0] == number:
            return self._last[1]
        rows = self.chunks[number]

        def told(rows: slice) -> str:
            return _span(_cycles_of(self.times, rows, self.cycle)[0], self.cycle, self.times)

        part = _part(self.obs, rows, told)
        try:
            table = as_table(part, part=True)
            withheld = part["withheld"].values.astype(bool) if self.hold_back else None
            if withheld is not None and withheld.size < table.sizes["obs"]:  # a column per variable
                withheld = np.tile(withheld, table.sizes["obs"] // withheld.size)
            ready = prepare(table, self.target, self.cycle, period=self.period, withheld=withheld)
        except InputError as error:
            raise _of_rows(error, rows) from None
        if self._fates[number] is None:
            self._fates[number] = ready.fate.copy()
            self._note(table, ready)
            self.bar.update()
        self._last = number, replace(ready, fate=np.zeros(0, dtype=np.int8))
        return self._last[1]

    def _note(self, table: xr.Dataset, ready: Ready) -> None:
        """Remember what is told in the end."""
        self.names += [n for n in variables_of(table)[1] if n not in self.names]
        for name, (low, high) in extents(table).items():
            before = self.extent.get(name, (np.nan, np.nan))
            self.extent[name] = float(np.fmin(before[0], low)), float(np.fmax(before[1], high))
        for name, number in ready.assumed.items():
            self._assumed[name] = self._assumed.get(name, 0) + number
        self._told.update(ready.told)

    def _thin(
        self, ready: Ready, numbers: Sequence[int], parts: Sequence[Ready], most: int
    ) -> Ready:
        """Thin the rows of a range, and note it in the fates of their chunks."""
        sizes = [part.value.size for part in parts]
        marked = replace(ready, fate=np.full(sum(sizes), USED, dtype=np.int8))
        thinned = marked.thinned(most, self.target.grid)
        ends = np.cumsum(sizes)[:-1]
        for number, part, fate in zip(numbers, parts, np.split(thinned.fate, ends), strict=True):
            own = self._fates[number]
            assert own is not None
            own[part.keep] = fate
        return thinned

    def report(self) -> BinningReport:
        """Report on all rows."""
        for number, fate in enumerate(self._fates):
            if fate is None:  # of no range: all its dates are outside of the period
                rows = self.chunks[number]
                self._fates[number] = np.full(rows.stop - rows.start, PERIOD, dtype=np.int8)
        fate = np.concatenate([f for f in self._fates if f is not None])
        row = np.zeros(0, dtype=np.int64)
        return reported(fate, row, self._assumed, self._told, self.target.grid)


def _one(parts: Sequence[Ready]) -> Ready:
    """Rows of several chunks, one after the other."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("number", "cell", "value", "error", "profile")
    }
    return Ready(np.zeros(0, dtype=np.int8), slice(None), assumed={}, told={}, **columns)


def _joined(pieces: list[Cells]) -> Cells:
    """Cells of consecutive ranges as one; `pieces` is emptied, for the memory."""
    head = pieces[0]
    described = head.variables, head.units, head.grid, head.cycle_name
    columns = [
        [getattr(p, n) for p in pieces] for n in ("cycle", "cell", "value", "error", "count")
    ]
    pieces.clear()
    del head
    joined = []
    while columns:
        joined.append(np.concatenate(columns.pop(0)))
    cycle, cell, value, error, count = joined
    return Cells(cycle, cell, value, error, count, *described)


def _of_rows(error: InputError, rows: slice) -> InputError:
    """Say in which rows the problems are."""
    problems = Problems("observations")
    problems.absorb(error)
    named = [replace(p, what=f"rows {rows.start} to {rows.stop - 1}: {p.what}") for p in problems]
    told = Problems("observations")
    for p in named:
        told.add(p.what, found=p.found, expected=p.expected, todo=p.todo)
    out = InputError(told.message())
    out.problems = tuple(told)  # type: ignore[attr-defined]
    return out
