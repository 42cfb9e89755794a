"""Superobservations as an assimilation takes them: one cycle after the other.

``KeptCells`` are in a file that any process on the same disk can read; ``Ahead`` reads the
next cycle while the present one is analysed.  Knows superobservations and files.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from xdeepda.analysis import CycleCells
from xdeepda.errors import StoreError
from xdeepda.grid import Grid
from xdeepda.observations.cells import Cells
from xdeepda.request import Inputs

#: Of one superobservation in the file, in the order of :data:`CycleCells`.
_DTYPES: tuple[np.dtype[Any], ...] = (
    np.dtype(np.int64),
    np.dtype(np.float64),
    np.dtype(np.float64),
    np.dtype(np.int32),
)
_BYTES = sum(dtype.itemsize for dtype in _DTYPES)


class Readable(Protocol):
    """Whatever gives the superobservations of one cycle."""

    def at(self, index: int) -> CycleCells:
        """Cells, values, errors and counts of a cycle."""


@dataclass(frozen=True, eq=False)
class KeptCells:
    """Superobservations of consecutive cycles in one file, 28 bytes each.

    Attributes
    ----------
    path : Path
    begin : numpy.ndarray of int64, shape (cycles + 1,)
        Superobservations before each cycle.
    first : int
        Absolute number of the first cycle.
    variables, units : tuple of str
    grid : Grid
    cycle_name : str
    """

    path: Path
    begin: np.ndarray
    first: int
    variables: tuple[str, ...]
    units: tuple[str, ...]
    grid: Grid
    cycle_name: str

    @classmethod
    def write(cls, path: Path, inputs: Inputs) -> KeptCells:
        """Write all that an assimilation takes, whole or not at all."""
        sizes, part = [0], path.with_suffix(".part")
        with open(part, "wb") as file:
            for number in map(int, inputs.cycles):
                columns = inputs.at(number)
                for column, dtype in zip(columns, _DTYPES, strict=True):
                    file.write(np.ascontiguousarray(column, dtype=dtype).data)
                sizes.append(len(columns[0]))
        part.replace(path)
        lead = inputs.lead
        return cls(
            path, np.cumsum(sizes), int(inputs.cycles[0]), lead.variables, lead.units, lead.grid,
            lead.cycle.name,
        )  # fmt: skip

    def at(self, index: int) -> CycleCells:
        """Superobservations of one cycle.

        Raises
        ------
        StoreError
            If they cannot be read.
        """
        n = index - self.first
        inside = 0 <= n < len(self.begin) - 1
        start, stop = map(int, self.begin[n : n + 2]) if inside else (0, 0)
        try:
            with open(self.path, "rb") as file:
                file.seek(start * _BYTES)
                content = file.read((stop - start) * _BYTES)
        except OSError as error:
            raise StoreError(f"assimilate: superobservations cannot be read: {error}") from None
        if len(content) != (stop - start) * _BYTES:
            raise StoreError(
                f"assimilate: the superobservations in {self.path} end too early; call again with "
                "the same arguments"
            )
        columns, at = [], 0
        for dtype in _DTYPES:
            columns.append(np.frombuffer(content, dtype, stop - start, at))
            at += (stop - start) * dtype.itemsize
        cell, value, error_, count = columns
        return cell, value, error_, count


class Ahead:
    """Reads the superobservations of the next cycle in a thread.

    Parameters
    ----------
    cells : object with a method ``at``
        Read by one thread at a time.
    numbers : sequence of int
        Cycles that will be asked for, in their order.
    keep : int
        Cycles that are asked for again, at most so many later.
    """

    def __init__(self, cells: Readable, numbers: Sequence[int], keep: int = 1) -> None:
        self.cells, self.keep = cells, keep
        self._next = dict(zip(map(int, numbers[:-1]), map(int, numbers[1:]), strict=True))
        self._read: OrderedDict[int, Future[CycleCells]] = OrderedDict()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="xdeepda-ahead")

    def at(self, index: int) -> CycleCells:
        """Superobservations of one cycle; the next one is begun to be read."""
        for number in (index, self._next.get(index)):
            if number is not None and number not in self._read:
                self._read[number] = self._pool.submit(self.cells.at, number)
        found = self._read[index].result()
        while len(self._read) > self.keep + 2:
            self._read.popitem(last=False)
        return found

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def read_ahead(inputs: Inputs) -> Inputs:
    """Inputs of which superobservations that are on the disk are read a cycle ahead."""
    if isinstance(inputs.cells, Cells):
        return inputs
    lag = max(model.window[1] for model in inputs.models)
    ahead = Ahead(inputs.cells, inputs.cycles.tolist(), keep=lag + 1)
    return replace(inputs, cells=ahead)  # type: ignore[arg-type]
