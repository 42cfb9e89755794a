"""An analysis that is written as it goes: a zarr store, all labels first, then region by region.

Every write is of whole chunks, at positions that are counted; one thread writes while the
next cycles are calculated, so that no more than two blocks of cycles are held, however
long the run is.  Knows labels, cycles and files; calculates nothing.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import xarray as xr

from xdeepda.analysis import Block, CycleCells, Fields, Labels
from xdeepda.errors import InputError, Problems, StoreError
from xdeepda.production.account import Account
from xdeepda.production.identity import hash_of
from xdeepda.production.restart import FOLDER, Keeper, Restart
from xdeepda.request import Inputs

if TYPE_CHECKING:
    from xdeepda.production.cycling import Cycling

logger = logging.getLogger("xdeepda")

#: A chunk of a field holds at most this many bytes, unless one cycle is more ...
CHUNK_BYTES = 8 * 2**20
#: ... and at most so many cycles: a kill costs no more than these.
CHUNK_CYCLES = 32
#: The fields of one cycle are cut where they are more bytes than this.
_LARGEST = 64 * 2**20
#: Seconds of work that a kill may cost, where a chunk does not take longer.
RESTART_SECONDS = 20.0


def check_store(store: Any, problems: Problems) -> Path | None:
    """Path of the store that ``store=`` asks for, checked; None where it asks for none."""
    if store is None:
        return None
    if not isinstance(store, (str, os.PathLike)) or not os.fspath(store):
        problems.add("store= is no place", found=repr(store), expected="the path of a folder")
        return None
    if "://" in str(os.fspath(store)):
        problems.add("store= is no folder of this machine", found=str(store),
                     todo="write to a local folder, and copy it when it is complete")  # fmt: skip
        return None
    path = Path(os.path.abspath(os.fspath(store)))
    if not path.parent.is_dir():
        problems.add("the folder of store= does not exist", found=str(path.parent))
    elif path.exists() and not path.is_dir():
        problems.add("store= is a file", found=str(path), expected="a folder to be made")
    elif path.is_dir() and not (path / FOLDER).is_dir() and any(path.iterdir()):
        problems.add(
            "the folder of store= holds something else, which is left alone",
            found=str(path),
            todo="name another store, or remove it",
        )
    elif not os.access(path if path.is_dir() else path.parent, os.W_OK):
        problems.add("store= cannot be written to", found=str(path))
    return path


class InMemory:
    """The same for an analysis that is held in memory.

    Parameters
    ----------
    labels : Labels
    wanted : numpy.ndarray of int64
    """

    #: Position in the cycles to begin with.
    start = 0

    def __init__(self, labels: Labels, wanted: np.ndarray) -> None:
        self.labels, self.block = labels, labels.block(wanted)

    def take(self, number: int, fields: Fields, cells: CycleCells) -> None:
        """Take over one cycle, if it is wanted."""
        if number in self.block.positions:
            self.block.write(number, fields, cells)

    def after(self, position: int, cycling: Cycling) -> None:
        """Note that so many cycles are done."""

    def ended(self, cycling: Cycling) -> None:
        """Note that all cycles are done."""

    def finish(self) -> xr.Dataset:
        """Return the analysis."""
        return self.labels.quantified(self.labels.dataset(self.block))


class Store:
    """A zarr store that is written cycle by cycle, and gone on with after a kill.

    Parameters
    ----------
    path : Path
        From :func:`check_store`.
    labels : Labels
    inputs : Inputs
        For the numbers of the cycles.
    account : Account
        Of the data; it is kept with the restart.

    Attributes
    ----------
    start : int
        Position in the cycles to go on from, after :meth:`open`.
    complete : bool
        Whether nothing is left to do, after :meth:`open`.
    """

    def __init__(self, path: Path, labels: Labels, inputs: Inputs, account: Account) -> None:
        self.path, self.labels, self.account = path, labels, account
        self.cycles, self.wanted = inputs.cycles, inputs.wanted
        wanted = self.wanted
        self.keeper = Keeper(path)
        self.start, self.complete, self.written = 0, False, 0
        #: Positions among the wanted cycles that are given out by this process.
        self.begin, self.end = 0, len(self.wanted)
        self.pause = RESTART_SECONDS
        self.restart: Restart | None = None
        one = labels.dataset(labels.block(wanted[:1]))
        self.fields = [str(n) for n in one.data_vars if n not in _bounds_of(one)]
        self.names = list(map(str, one.data_vars))
        self.chunk = _cycles_of_chunk(one, self.fields, labels.time, len(wanted))
        self._one, self._request, self._machine = one, dict[str, str](), dict[str, str]()
        self._block: Block | None = None
        self._left = self._first = 0
        self._saved = time.monotonic()
        self._pool: ThreadPoolExecutor | None = None
        self._pending: list[Future[None]] = []
        self._arrays: dict[str, Any] = {}
        self._last: Restart | None = None
        #: What the end of the analysis remembers besides, for those who go on with it.
        self.noted: dict[str, Any] = {}

    # ---- the beginning

    def open(self, request: Mapping[str, str], machine: Mapping[str, str]) -> None:
        """Lock the store, and begin it, or find out where to go on.

        Parameters
        ----------
        request : dict of str
            What the analysis depends on, by name: a store of another request is refused.
        machine : dict of str
            What its last bits depend on: a difference is told.

        Raises
        ------
        InputError
            If another process writes the store, or it belongs to another call.
        StoreError
            If it cannot be read or written.
        """
        try:
            self.keeper.lock()
        except OSError as error:
            raise self._failure(error) from None
        found = self.keeper.request()
        self._request, self._machine = dict(request), dict(machine)
        if found is None:
            self._begin()
        else:
            _refuse_another(self.path, found["wanted"], request)
            self._go_on(found)

    def _begin(self) -> None:
        """Write all labels and attributes; the request is the sign that they are there."""
        size = sum(self._one[name].nbytes for name in self.fields) * len(self.wanted)
        free = shutil.disk_usage(self.path).free
        if size > free:
            logger.warning(
                "assimilate: %s may take up to %.3g GiB (less as it is compressed), and %.3g GiB "
                "of the disk are free", self.path, size / 2**30, free / 2**30,
            )  # fmt: skip
        try:
            self.keeper.empty_store(["zarr.json", *map(str, self._one.variables)])
            _write_template(self._template(), self.path)
            self.keeper.write_request(self._request, self._machine, complete=False)
        except OSError as error:
            raise self._failure(error) from None

    def _go_on(self, found: Mapping[str, Any]) -> None:
        """Find out where to go on."""
        self.complete = found["complete"]
        if self.complete:
            logger.info("assimilate: %s is complete already", self.path)
            return
        self.keeper.sweep()
        self._resume()
        changed = [
            f"{name} was {found['machine'].get(name)!r}, is {value!r}"
            for name, value in self._machine.items()
            if found["machine"].get(name) != value
        ]
        if changed:
            logger.warning(
                "assimilate: %s is gone on with differently: %s; the last bits may differ from "
                "those of one uninterrupted run", self.path, "; ".join(changed),
            )  # fmt: skip

    def _resume(self) -> None:
        """Take over the newest restart, if there is one."""
        self.restart = self.keeper.load()
        if self.restart is not None:
            self.start = self.restart.position
            next_one = int(np.searchsorted(self.wanted, self.cycles[0] + self.start))
            self.written = max(self.begin, next_one)
            self.account.restore(self.keeper.folder, self.restart.notes)

    def _template(self) -> xr.Dataset:
        """Labels and attributes of the whole store, with fields that are not calculated."""
        import dask.array

        time_name, fields = self.labels.time, {}
        for name in self.fields:
            da = self._one[name]
            sizes = {str(d): n for d, n in da.sizes.items()} | {time_name: len(self.wanted)}
            chunks = _chunks(da, time_name, self.chunk)
            empty = dask.array.zeros(
                tuple(sizes.values()), chunks=tuple(chunks[d] for d in sizes), dtype=da.dtype
            )
            fields[name] = xr.DataArray(
                empty, dims=tuple(sizes), attrs=da.attrs,
                coords={n: c for n, c in da.coords.items() if time_name not in c.dims},
            )  # fmt: skip
        ds = self.labels.with_times(xr.Dataset(fields), self.wanted)
        others = {n: v for n, v in self._one.variables.items() if n not in ds.variables}
        coords = {n: v for n, v in others.items() if n in self._one.coords}
        ds = ds.assign_coords(coords)
        ds = ds.assign({n: v for n, v in others.items() if n not in coords})
        ds = _in_memory(ds, self.fields)
        for each in ds.variables:
            ds[each].attrs = dict(self._one[each].attrs)
        ds.attrs = dict(self._one.attrs)
        return ds

    # ---- cycle by cycle

    def take(self, number: int, fields: Fields, cells: CycleCells) -> None:
        """Take over one cycle, if it is wanted; write when a chunk is full."""
        if not self.wanted[self.begin] <= number <= self.wanted[self.end - 1]:
            return
        if self._block is None:
            first = int(np.searchsorted(self.wanted, number))
            # up to the end of a chunk, wherever it begins
            numbers = self.wanted[first : (first // self.chunk + 1) * self.chunk]
            self._block, self._first = self.labels.block(numbers), first
            self._left = len(numbers)
        if number not in self._block.positions:
            return
        self._block.write(number, fields, cells)
        self._left -= 1
        if not self._left:
            self._hand_over(self._block, len(self._block.numbers))

    def _hand_over(self, block: Block, count: int) -> None:
        """Let the first cycles of the block be written."""
        first, self._block = self._first, None
        self._submit(lambda: self._write(block, first, count))

    def after(self, position: int, cycling: Cycling) -> None:
        """Note that so many cycles are done; remember where to go on if it is time to."""
        started = self._block is not None and self._left < len(self._block.numbers)
        if started or time.monotonic() - self._saved < self.pause:
            return
        arrays, ahead = cycling.snapshot(), cycling.ahead
        part = self.account.part(position, ahead)

        def save() -> None:
            notes = self.account.write(self.keeper.folder, part) | {"ahead": ahead}
            self.keeper.save(Restart(position, arrays, notes))

        self._submit(save)
        self._saved = time.monotonic()

    def _submit(self, act: Callable[[], None]) -> None:
        """Let the one thread act, after it has done what it was given before."""
        self._settle()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="xdeepda-store")
        self._pending.append(self._pool.submit(act))

    def _settle(self) -> None:
        """Wait until all is written.

        Raises
        ------
        StoreError
            If it cannot be.
        """
        pending, self._pending = self._pending, []
        for future in pending:
            try:
                future.result()
            except OSError as error:
                raise self._failure(error) from None

    def _write(self, block: Block, first: int, count: int) -> None:
        """Write the first cycles of a block to their place."""
        import zarr

        if not self._arrays:
            group = zarr.open_group(self.path, mode="r+", use_consolidated=False)
            self._arrays = {name: group[name] for name in self.fields}
        ds = self.labels.dataset(block)
        for name, array in self._arrays.items():
            da = ds[name]
            place = {self.labels.time: slice(first, first + count)}
            mine = tuple(place.get(str(d), slice(None)) for d in da.dims)
            array[mine] = da.isel({self.labels.time: slice(0, count)}).values
        self.written = first + count

    # ---- the end

    def ended(self, cycling: Cycling) -> None:
        """Remember where :func:`xdeepda.update` can go on, after the last cycle."""
        inputs = self.account.inputs
        if any(model.window[1] for model in inputs.models):
            return  # what a smoother gives out last is not what later observations would make
        arrays = {"wanted": self.wanted} | cycling.snapshot()
        pairs = zip(inputs.climatologies, inputs.models, strict=True)
        for number, (climatology, model) in enumerate(pairs):
            if climatology is not model.climatology:
                arrays[f"climatology/{number}"] = climatology.coefficients
        notes = {"request": hash_of(self._request), "rows": self.account.rows, "ahead": 0}
        self._last = Restart(len(self.cycles), arrays, notes | self.noted)

    def finish(self) -> xr.Dataset:
        """Return the analysis, lazy."""
        self._settle()
        return self._opened()

    def mark_complete(self) -> None:
        """Remember that nothing is left to do, and remove what was kept to go on."""
        if self.complete:
            return
        try:
            if self._last is not None:
                self.keeper.save_last(self._last)
            self.keeper.write_request(self._request, self._machine, complete=True)
            self.keeper.clean()
        except OSError as error:
            raise self._failure(error) from None

    def keep(self) -> str:
        """Write what is done of a chunk before a failure is told; says what is kept."""
        if self._block is not None and self._left < len(self._block.numbers):
            self._hand_over(self._block, len(self._block.numbers) - self._left)
        self._settle()
        if self.written == self.begin:
            return f"no cycle is in {self.path}"
        cycle, at = self.labels.model.cycle, self.wanted[self.written - 1 : self.written]
        return f"{self._held()}, until {cycle.middle(at, self.labels.calendar)[0]}"

    def _held(self) -> str:
        """How much is kept."""
        kept, total = self.written - self.begin, self.end - self.begin
        return f"{kept} of {total} cycles are in {self.path}"

    def _opened(self) -> xr.Dataset:
        """Dataset of the store, as the user would have it from memory."""
        # times are known, and of a kind that decoding would have to guess
        ds = xr.open_zarr(self.path, consolidated=True, decode_times=False)
        time_names = [self.labels.time, f"{self.labels.time}_bnds"]
        ds = self.labels.with_times(ds.drop_vars(time_names), self.wanted)
        for name, coord in ds.coords.items():
            if self._one[name].dtype.kind == "U":  # of no fixed width in the store
                ds = ds.assign_coords({name: coord.astype(self._one[name].dtype)})
        out = self.labels.quantified(ds[self.names])
        # where update and departures find what is kept beside the fields
        out.encoding["source"] = str(self.path)
        return out

    def _failure(self, error: OSError) -> StoreError:
        """Say what the disk refused, and what is kept."""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
        what, todo = (
            ("the disk is full", "Make room")
            if full
            else (f"writing failed ({error})", "See to it")
        )
        restart = self.keeper.load()
        failure = StoreError(
            f"assimilate: {what}; {self._held()}. {todo} and call again with the same arguments: "
            f"it goes on after {0 if restart is None else restart.position} cycles"
        )
        failure.errno = errno.ENOSPC if full else error.errno
        return failure

    def __enter__(self) -> Self:
        """Return the store; it is closed behind the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the writing thread and let others in."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        self.keeper.release()


#: What to do about a store of another call, and about one that update has gone on with.
_WHAT_TO_DO = (
    "name another store, or remove this one",
    "update() has gone on with this analysis: open it with xr.open_zarr, go on with update()",
)


def _refuse_another(path: Path, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Refuse a store of another call, and say in what it differs."""
    differs = [
        f"{name}: {found.get(name)} in the store, {wanted.get(name)} asked for"
        for name in {**wanted, **found}
        if found.get(name) != wanted.get(name)
    ]
    if differs:
        problems = Problems("assimilate", InputError)
        problems.add(
            "the store belongs to another call",
            found="; ".join(differs),
            expected=f"the arguments with which {path} was begun",
            todo=_WHAT_TO_DO["continues" in found],
        )
        problems.raise_if_any()


def _bounds_of(ds: xr.Dataset) -> set[str]:
    """Names of the bounds of axes."""
    return {str(v.attrs["bounds"]) for v in ds.variables.values() if "bounds" in v.attrs}


def _cycles_of_chunk(one: xr.Dataset, fields: list[str], time_name: str, wanted: int) -> int:
    """Cycles that a chunk holds."""
    size = max(one[n].nbytes // one[n].sizes.get("member", 1) for n in fields)
    return int(np.clip(CHUNK_BYTES // max(size, 1), 1, min(CHUNK_CYCLES, wanted)))


def _chunks(da: xr.DataArray, time_name: str, cycles: int) -> dict[str, int]:
    """Sizes of the chunks of a field, by dimension."""
    chunks = {str(d): int(n) for d, n in da.sizes.items()}
    chunks[time_name] = cycles
    for dim in chunks:
        while (
            dim != time_name and chunks[dim] > 1 and 4 * np.prod(list(chunks.values())) > _LARGEST
        ):
            chunks[dim] = -(-chunks[dim] // 2)
    return chunks


def _in_memory(ds: xr.Dataset, fields: list[str]) -> xr.Dataset:
    """All but the fields in memory: what dask holds would not be written with the template."""
    lazy = {
        name: variable.compute()
        for name, variable in ds.variables.items()
        if name not in fields and variable.chunks is not None
    }
    coords = {name: v for name, v in lazy.items() if name in ds.coords}
    others = {name: v for name, v in lazy.items() if name not in ds.coords}
    return ds.assign_coords(coords).assign(others)


def _write_template(ds: xr.Dataset, path: Path) -> None:
    """Write labels and attributes."""
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in ds.variables.items():
        if variable.chunks is not None:
            encoding[str(name)] = {"chunks": tuple(c[0] for c in variable.chunks)}
            if variable.dtype.kind == "f":
                encoding[str(name)]["_FillValue"] = np.float32(np.nan)
        elif variable.dtype.kind == "U":
            ds = ds.assign_coords({name: ds[name].astype(object)})
    with warnings.catch_warnings():
        # zarr 3 warns of consolidated metadata, and of a folder that is not its own
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        warnings.filterwarnings("ignore", message="Object at .xdeepda")
        ds.to_zarr(path, mode="a", compute=False, encoding=encoding, consolidated=True)
