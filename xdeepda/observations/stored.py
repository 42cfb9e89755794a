"""Superobservations that are more than memory: on disk, read cycle by cycle.

The files have no name in any folder: they are gone when nobody reads them, however the
process ends.  Knows superobservations; no tables.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from xdeepda.errors import StoreError
from xdeepda.grid import Grid
from xdeepda.observations.cells import Cells, merge

_Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
_DTYPES = {"cell": np.int64, "value": np.float64, "error": np.float64, "count": np.int32}


class StoredCells:
    """Superobservations as :class:`Cells`, appended range by range, and read by cycle.

    Parameters
    ----------
    folder : Path
        On the disk that takes them: 28 bytes each.
    variables, units : tuple of str
    grid : Grid
    cycle_name : str
    """

    def __init__(
        self,
        folder: Path,
        variables: Sequence[str],
        units: Sequence[str],
        grid: Grid,
        cycle_name: str,
    ) -> None:
        self.folder, self.grid, self.cycle_name = folder, grid, cycle_name
        self.variables, self.units = tuple(variables), tuple(units)
        self._files: dict[str, IO[bytes]] = {
            name: tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (they live as long as this)
            for name in _DTYPES
        }
        #: First row of each cycle, and their number.
        self._rows: dict[int, tuple[int, int]] = {}
        self._size = 0

    def __len__(self) -> int:
        """Number of superobservations."""
        return self._size

    @property
    def first(self) -> int:
        """First cycle that holds any."""
        return min(self._rows)

    @property
    def last(self) -> int:
        """Last cycle that holds any."""
        return max(self._rows)

    def after(self, number: int) -> int:
        """Number of superobservations after a cycle."""
        return sum(size for cycle, (_, size) in self._rows.items() if cycle > number)

    def append(self, piece: Cells) -> None:
        """Take over the superobservations of further cycles.

        Raises
        ------
        StoreError
            If the disk refuses.
        """
        try:
            for name, dtype in _DTYPES.items():
                column = np.ascontiguousarray(getattr(piece, name), dtype=dtype)
                self._files[name].seek(0, os.SEEK_END)
                self._files[name].write(column.data)
                self._files[name].flush()
        except OSError as error:
            failure = StoreError(
                f"observations: superobservations cannot be kept in {self.folder} ({error}); "
                f"{len(self)} were, of 28 bytes each"
            )
            failure.errno = error.errno
            raise failure from None
        numbers, starts, sizes = np.unique(piece.cycle, return_index=True, return_counts=True)
        for number, start, size in zip(numbers, starts, sizes, strict=True):
            self._rows[int(number)] = (self._size + int(start), int(size))
        self._size += len(piece)

    def at(self, index: int) -> _Columns:
        """Superobservations of one cycle; see :meth:`Cells.at`."""
        start, size = self._rows.get(index, (0, 0))
        columns = []
        for name, dtype in _DTYPES.items():
            width = np.dtype(dtype).itemsize
            self._files[name].seek(start * width)
            columns.append(np.frombuffer(self._files[name].read(size * width), dtype=dtype))
        cell, value, error, count = columns
        return cell, value, error, count

    def only(self, index: int) -> Cells:
        """Superobservations of one cycle in memory."""
        cell, value, error, count = self.at(index)
        number = np.full(cell.size, index, dtype=np.int64)
        described = self.variables, self.units, self.grid, self.cycle_name
        return Cells(number, cell, value, error, count, *described)


class MergedCells:
    """Superobservations of several sources, of which some are stored, merged cycle by cycle.

    Parameters
    ----------
    sources : sequence of Cells or StoredCells
    """

    def __init__(self, sources: Sequence[Cells | StoredCells]) -> None:
        self.sources = sources
        head = merge([source.only(source.first - 1) for source in sources])
        self.variables, self.units = head.variables, head.units
        self.grid, self.cycle_name = head.grid, head.cycle_name

    def __len__(self) -> int:
        """Number of superobservations before they are merged."""
        return sum(map(len, self.sources))

    @property
    def first(self) -> int:
        """First cycle that holds any."""
        return min(source.first for source in self.sources)

    @property
    def last(self) -> int:
        """Last cycle that holds any."""
        return max(source.last for source in self.sources)

    def after(self, number: int) -> int:
        """Number of superobservations after a cycle, before they are merged."""
        return sum(source.after(number) for source in self.sources)

    def at(self, index: int) -> _Columns:
        """Superobservations of one cycle; see :meth:`Cells.at`."""
        return merge([source.only(index) for source in self.sources]).at(index)


def merged(sources: Sequence[Cells | StoredCells]) -> Cells | StoredCells | MergedCells:
    """Superobservations of several sources as one."""
    if len(sources) == 1:
        return sources[0]
    held = [source for source in sources if isinstance(source, Cells)]
    return merge(held) if len(held) == len(sources) else MergedCells(sources)
