"""A linear operator of one cycle in which cells follow their neighbours.

Currents and mixing carry an anomaly to the cells around it.  A regression of each cell on
those few finds them from some hundreds of cycles, where one of many patterns on all the
others has as many unknowns as data.  Knows numpy, and blocks of cycles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

#: Share of a cell's own variance that holds each coefficient down.
RIDGE = 3e-3
#: Variance that a neighbour counts as having at least, of the cell's own.
_LEAST = 1e-2
#: Cells around a cell: levels, rows and columns away.  The cell itself is the first.
AROUND = (
    (0, 0, 0), (0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0),
    (0, 1, 1), (0, 1, -1), (0, -1, 1), (0, -1, -1), (1, 0, 0), (-1, 0, 0),
)  # fmt: skip
#: Numbers that are gathered at a time.
_CHUNK = 2 * 10**7


def neighbours(
    cells: np.ndarray, shape: tuple[int, int, int, int], apart: tuple[int, int], cyclic: bool
) -> np.ndarray:
    """Positions of the cells around each of some cells of a grid.

    Parameters
    ----------
    cells : numpy.ndarray of int, shape (n,)
        Sorted flat numbers in (variable, nz, ny, nx).
    shape : (int, int, int, int)
    apart : (int, int)
        Rows and columns from a cell to the next; cells are of the lattice of these steps, and
        some between.
    cyclic : bool
        Whether the last column is beside the first.

    Returns
    -------
    numpy.ndarray of int, shape (n, 11)
        Positions in `cells` in the order of ``AROUND``; n where there is none.
    """
    variable, z, y, x = np.unravel_index(cells, shape)
    _, nz, ny, nx = shape
    out = np.full((len(cells), len(AROUND)), len(cells))
    for number, (down, north, east) in enumerate(AROUND):
        level, row, column = z + down, y + north * apart[0], x + east * apart[1]
        if cyclic and east:
            # the last step before the seam may be a short one
            last = (nx - 1) // apart[1] * apart[1]
            column = np.where(column >= nx, 0, np.where((column < 0) & (x == 0), last, column))
        inside = (level >= 0) & (level < nz) & (row >= 0) & (row < ny)
        inside &= (column >= 0) & (column < nx)
        wanted = np.ravel_multi_index(
            (variable[inside], level[inside], row[inside], column[inside]), shape
        )
        place = np.searchsorted(cells, wanted).clip(max=len(cells) - 1)
        out[inside, number] = np.where(cells[place] == wanted, place, len(cells))
    return out


@dataclass(frozen=True)
class Sums:
    """Sums of products of neighbours over pairs of consecutive cycles.

    Attributes
    ----------
    around : numpy.ndarray of int, shape (n, p)
        As :func:`neighbours` gives them.
    square : numpy.ndarray, shape (parts, n, p, p)
        Of the neighbours with each other, in the earlier cycle of a pair.
    cross : numpy.ndarray, shape (parts, n, p)
        Of them with the cell in the later cycle.
    """

    around: np.ndarray
    square: np.ndarray
    cross: np.ndarray

    def but(self, part: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Sums of all parts but one, or of all."""
        keep = np.arange(len(self.square)) != (-1 if part is None else part)
        return self.square[keep].sum(axis=0), self.cross[keep].sum(axis=0)


def sums_of(around: np.ndarray, blocks: Iterable[tuple[int, np.ndarray]], part: np.ndarray) -> Sums:
    """Sums over pairs of consecutive cycles, read in blocks.

    Parameters
    ----------
    around : numpy.ndarray of int, shape (n, p)
    blocks : iterable of (int, numpy.ndarray)
        Position of the first cycle, and anomalies (cycles, n).
    part : numpy.ndarray of int, shape (cycles - 1,)
        Part that each pair belongs to.
    """
    size, number = around.shape
    parts = int(part.max()) + 1
    square = np.zeros((parts, size, number, number), dtype=np.float32)
    cross = np.zeros((parts, size, number), dtype=np.float32)
    last: np.ndarray | None = None
    for first, block in blocks:
        chain = block if last is None else np.concatenate([last, block])
        pairs = part[first - (last is not None) :][: len(chain) - 1]
        for own in np.unique(pairs):
            # pairs of a part follow each other
            (rows,) = np.nonzero(pairs == own)
            seen = chain[rows[0] : rows[-1] + 2]
            _add(around, seen, square[own], cross[own])
        last = block[-1:]
    return Sums(around, square, cross)


def _add(around: np.ndarray, chain: np.ndarray, square: np.ndarray, cross: np.ndarray) -> None:
    """Add the products of consecutive cycles (cycles, n) to sums (n, p, p) and (n, p)."""
    # by cells, and a cell of zeros for neighbours that there are none
    before = np.zeros((chain.shape[1] + 1, len(chain) - 1), dtype=np.float32)
    before[:-1] = chain[:-1].T
    after = np.ascontiguousarray(chain[1:].T, dtype=np.float32)
    for some in _some(len(around), around.shape[1] * before.shape[1]):
        gathered = before[around[some]]  # (some, p, cycles)
        square[some] += gathered @ gathered.transpose(0, 2, 1)
        cross[some] += (gathered @ after[some, :, None])[..., 0]


def _some(size: int, each: int) -> Iterator[slice]:
    """Slices of `size` rows that hold about as many numbers as are gathered at a time."""
    step = max(1, _CHUNK // max(each, 1))
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def coefficients_of(square: np.ndarray, cross: np.ndarray, ridge: float = RIDGE) -> np.ndarray:
    """Coefficients (n, p) of the cells around each cell.

    Ridge regression that holds not the memory of a cell but its couplings small.

    Parameters
    ----------
    square, cross : numpy.ndarray, shapes (n, p, p) and (n, p)
    ridge : float
    """
    out = np.empty(cross.shape, dtype=np.float32)
    number = cross.shape[1]
    for some in _some(len(cross), 4 * number**2):
        a, b = square[some].astype(np.float64), cross[some].astype(np.float64)
        own = np.maximum(a[:, 0, 0], 1e-12)
        alone = b[:, 0] / own
        size = np.maximum(np.diagonal(a, axis1=1, axis2=2), _LEAST * own[:, None])
        a_held = a + ridge * size[:, :, None] * np.eye(number)
        couplings = np.linalg.solve(a_held, (b - a[:, :, 0] * alone[:, None])[..., None])[..., 0]
        couplings[:, 0] += alone
        out[some] = couplings
    return out


def applied(coefficients: np.ndarray, around: np.ndarray, x: np.ndarray) -> np.ndarray:
    """One cycle on of states as columns (n, k)."""
    padded = np.concatenate([x, np.zeros((1, x.shape[1]), dtype=x.dtype)])
    out = np.zeros_like(x)
    for number in range(around.shape[1]):
        out += coefficients[:, number, None] * padded[around[:, number]]
    return out
