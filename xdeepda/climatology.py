"""Climatology as harmonics of the year, anomalies, and the statistics of channels.

A climatology is a mean and K harmonics in every cell, evaluated at the year
fraction of a cycle, so that it fits any calendar.  Statistics describe the
anomalies of a control run from it; both are made in streaming passes.

Knows numpy and the sources of cycle means; no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from xdeepda.calendar import Cycle
from xdeepda.errors import InputError
from xdeepda.source import RunSource

#: Harmonics kept by default: smooth, and enough for the sharp spring of mid-latitudes.
DEFAULT_HARMONICS = {"pentad": 4, "month": 4, "year": 0}


def design(fraction: np.ndarray, harmonics: int) -> np.ndarray:
    """Matrix of the harmonic fit: 1, cos, sin, cos 2, ...; shape (n, 2 * harmonics + 1)."""
    angle = 2 * np.pi * np.asarray(fraction, dtype=float)[:, None] * np.arange(1, harmonics + 1)
    waves = np.stack([np.cos(angle), np.sin(angle)], axis=-1).reshape(len(angle), -1)
    return np.concatenate([np.ones((len(angle), 1)), waves], axis=1)


def harmonics_of(kind: int | str | None, cycle: Cycle) -> int:
    """Number of harmonics for `kind`: None (default), a number, or "means" (as many as fit)."""
    most = cycle.per_year // 2
    if kind is None:
        return DEFAULT_HARMONICS[cycle.name]
    if kind == "means":
        return most
    if isinstance(kind, (int, np.integer)) and 0 <= kind <= most:
        return int(kind)
    raise InputError(f"climatology={kind!r}: a number of harmonics from 0 to {most}, or 'means'")


@dataclass(frozen=True)
class Climatology:
    """Mean and harmonics of the year in each cell.

    Attributes
    ----------
    coefficients : numpy.ndarray of float32, shape (2 K + 1, variable, nz, ny, nx)
        In the units of the variables; 0 on land.
    """

    coefficients: np.ndarray

    @property
    def harmonics(self) -> int:
        """Number K of harmonics."""
        return (self.coefficients.shape[0] - 1) // 2

    def at(self, fraction: np.ndarray) -> np.ndarray:
        """Evaluate at year fractions.

        Parameters
        ----------
        fraction : array, shape (n,)
            Middle of cycles, see :meth:`Cycle.year_fraction`.

        Returns
        -------
        numpy.ndarray of float32, shape (n, variable, nz, ny, nx)
        """
        matrix = design(np.atleast_1d(fraction), self.harmonics).astype(np.float32)
        flat = matrix @ self.coefficients.reshape(self.coefficients.shape[0], -1)
        return flat.reshape(-1, *self.coefficients.shape[1:])


def fit_climatology(
    source: RunSource, wet: np.ndarray, harmonics: int, stop: int | None = None
) -> Climatology:
    """Least-squares fit of mean and harmonics to a run, streamed.

    Parameters
    ----------
    source : RunSource
    wet : numpy.ndarray of bool, shape (variable, nz, ny, nx)
    harmonics : int
    stop : int, optional
        Use the cycles before this position only (the training years).
    """
    stop = len(source) if stop is None else stop
    fraction = source.cycle.year_fraction(source.cycles[:stop], source.calendar)
    matrix = design(fraction, harmonics)
    right = np.zeros((matrix.shape[1], wet.size))
    for first, values in source.blocks(0, stop):
        rows = matrix[first : first + len(values)]
        block = np.where(wet, values, 0).reshape(len(values), -1)
        right += rows.T @ block.astype(np.float64)
    # the pseudo-inverse takes the smoothest solution where harmonics are aliased ("means")
    inverse = np.linalg.pinv(matrix.T @ matrix, rcond=1e-10, hermitian=True)
    coefficients = (inverse @ right).reshape(-1, *wet.shape)
    return Climatology(coefficients.astype(np.float32))


@dataclass(frozen=True)
class Statistics:
    """Statistics of the anomalies of a control run.

    A channel is a (variable, level); C of them, in that order.  All are float32.

    Attributes
    ----------
    scale : numpy.ndarray, shape (C,)
        Area-weighted rms of the anomalies of a channel, in its unit.
    deviation : numpy.ndarray, shape (C, ny, nx)
        Standard deviation in each cell, in the unit of the channel; 0 on land.
    persistence : numpy.ndarray, shape (C, ny, nx)
        Correlation of one cycle with the next, in [0, 0.999].
    correlation : numpy.ndarray, shape (C, C)
        Area-weighted correlation between channels of one column.
    length : numpy.ndarray, shape (2,)
        Correlation length in cells, northward and eastward: of exp(-r²/2L²).
    """

    scale: np.ndarray
    deviation: np.ndarray
    persistence: np.ndarray
    correlation: np.ndarray
    length: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Name -> array, for the model file."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def anomalies(
    source: RunSource, climatology: Climatology, wet: np.ndarray, start: int, stop: int
) -> np.ndarray:
    """Anomalies of positions start to stop; float32 (n, C, ny, nx), 0 on land."""
    values = source.read(start, stop)
    fraction = source.cycle.year_fraction(source.cycles[start:stop], source.calendar)
    values = np.where(wet, values - climatology.at(fraction), np.float32(0))
    return values.reshape(len(values), -1, *wet.shape[2:])


def fit_statistics(
    source: RunSource, climatology: Climatology, wet: np.ndarray, stop: int | None = None
) -> Statistics:
    """Statistics of the anomalies of a run, streamed.

    Parameters
    ----------
    source : RunSource
    climatology : Climatology
    wet : numpy.ndarray of bool, shape (variable, nz, ny, nx)
    stop : int, optional
        Use the cycles before this position only.

    Raises
    ------
    InputError
        If a channel does not vary at all.
    """
    stop = len(source) if stop is None else stop
    sums = _Sums(wet.reshape(-1, *wet.shape[2:]), source.grid.area, source.grid.cyclic)
    for first in range(0, stop, source.block):
        last = min(first + source.block, stop)
        sums.add(anomalies(source, climatology, wet, first, last))
    return sums.statistics(source)


class _Sums:
    """Running sums behind :class:`Statistics`."""

    def __init__(self, wet: np.ndarray, area: np.ndarray, cyclic: bool) -> None:
        """Prepare for channels of mask `wet`, shape (C, ny, nx)."""
        self.wet, self.cyclic = wet, cyclic
        self.weight = area / area.sum()
        self.n = 0
        self.square = np.zeros(wet.shape)
        self.lagged = np.zeros(wet.shape)
        self.before = np.zeros(wet.shape)
        self.covariance = np.zeros((wet.shape[0],) * 2)
        self.neighbour = np.zeros((2, 2))
        self.last: np.ndarray | None = None

    def add(self, block: np.ndarray) -> None:
        """Add anomalies of consecutive cycles, shape (n, C, ny, nx)."""
        block = block.astype(np.float64)
        self.n += len(block)
        self.square += np.einsum("tcyx,tcyx->cyx", block, block)
        chain = block if self.last is None else np.concatenate([self.last, block])
        self.lagged += np.einsum("tcyx,tcyx->cyx", chain[1:], chain[:-1])
        self.before += np.einsum("tcyx,tcyx->cyx", chain[:-1], chain[:-1])
        self.last = block[-1:]
        rooted = (block * np.sqrt(self.weight)).transpose(1, 0, 2, 3).reshape(block.shape[1], -1)
        self.covariance += rooted @ rooted.T
        for axis in (0, 1):
            self._add_neighbours(block, axis)

    def _add_neighbours(self, block: np.ndarray, axis: int) -> None:
        """Sum products and squares of neighbouring wet cells."""
        roll = axis - 2
        if block.shape[roll] < 2:
            return
        near, both = np.roll(block, -1, axis=roll), self.wet & np.roll(self.wet, -1, axis=roll)
        if axis == 0 or not self.cyclic:
            both = both.copy()
            both[(..., -1) if axis == 1 else (..., -1, slice(None))] = False
        weight = self.weight * both
        self.neighbour[axis, 0] += (block * near * weight).sum()
        self.neighbour[axis, 1] += ((block**2 + near**2) / 2 * weight).sum()

    def statistics(self, source: RunSource) -> Statistics:
        """Make the statistics of what was added."""
        variance = self.square / self.n
        mass = (self.weight * self.wet).sum(axis=(1, 2))
        mean = (variance * self.weight).sum(axis=(1, 2)) / np.maximum(mass, 1e-30)
        self._check_varies(mean, source)
        diagonal = np.sqrt(np.diag(self.covariance))
        with np.errstate(divide="ignore", invalid="ignore"):
            lag = np.where(self.before > 0, self.lagged / self.before, 0.0)
            ratio = np.where(self.neighbour[:, 1] > 0, self.neighbour[:, 0], 0) / np.maximum(
                self.neighbour[:, 1], 1e-30
            )
        ratio = np.clip(ratio, 1e-3, 0.999)
        arrays = (
            np.sqrt(mean),
            np.sqrt(variance),
            np.clip(lag, 0.0, 0.999),
            self.covariance / np.outer(diagonal, diagonal),
            1 / np.sqrt(-2 * np.log(ratio)),
        )
        # as the model file keeps them: a loaded model analyses to the same bits
        return Statistics(*(a.astype(np.float32) for a in arrays))

    @staticmethod
    def _check_varies(mean: np.ndarray, source: RunSource) -> None:
        """A channel that never varies has no scale."""
        still = np.flatnonzero(~(mean > 0))
        if still.size:
            nz = source.grid.shape[0]
            names = ", ".join(f"{source.variables[c // nz]} level {c % nz}" for c in still[:10])
            raise InputError(f"these levels do not vary at all, so nothing can be learned: {names}")
