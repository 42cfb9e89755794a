"""Sums of one cycle's fields by level and group of places.

A million cells a cycle pass here, again and again: columns on land are left out, groups
are summed by one matrix product, histograms by one count.  Knows arrays alone.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

#: With more groups than this, most weights of a dense matrix are 0.
_DENSE = 48


class ColumnSums:
    """Sums over columns by group.

    Parameters
    ----------
    inside : numpy.ndarray of bool, shape (group, column)
    area : numpy.ndarray, shape (column,)
        Weight of each column.

    Examples
    --------
    >>> sums = ColumnSums(np.array([[True, True, False]]), np.array([1.0, 2.0, 5.0]))
    >>> sums.total(np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 9.0]])).tolist()
    [[3.0], [1.0]]
    """

    def __init__(self, inside: np.ndarray, area: np.ndarray) -> None:
        self.inside, self.area = inside, area
        dense = inside.shape[0] <= _DENSE
        self._ones = inside.T.astype(np.float64) if dense else sp.csr_matrix(inside.T, dtype=float)
        self._weights = self._ones * area[:, None] if dense else sp.diags(area) @ self._ones
        self._columns = [np.flatnonzero(row) for row in inside]

    def of(self, columns: np.ndarray) -> ColumnSums:
        """Sums over some of the columns."""
        return ColumnSums(self.inside[:, columns], self.area[columns])

    def total(self, term: np.ndarray) -> np.ndarray:
        """Weighted sums of a term of shape (level, column); shape (level, group)."""
        return np.asarray(term @ self._weights)

    def number(self, term: np.ndarray) -> np.ndarray:
        """Sums without weights."""
        return np.asarray(term @ self._ones)

    def tally(
        self, bin_of: np.ndarray, bins: int, terms: dict[str, np.ndarray | None]
    ) -> dict[str, np.ndarray]:
        """Weighted sums by bin.

        Parameters
        ----------
        bin_of : numpy.ndarray of int, shape (level, column)
            -1 in none.
        bins : int
        terms : dict of numpy.ndarray or None, shape (level, column)
            None for the weights alone; values that are in no bin may be NaN.

        Returns
        -------
        dict of numpy.ndarray, shape (bin, level, group)
        """
        nz = bin_of.shape[0]
        # one more bin holds what is in none
        label = np.where(bin_of < 0, bins, bin_of) + (bins + 1) * np.arange(nz)[:, None]
        out = {name: np.zeros((bins, nz, len(self._columns))) for name in terms}
        for g, columns in enumerate(self._columns):
            own = label[:, columns].ravel()
            weight = np.broadcast_to(self.area[columns], (nz, columns.size))
            for name, term in terms.items():
                values = weight if term is None else weight * term[:, columns]
                counted = np.bincount(own, values.ravel(), minlength=nz * (bins + 1))
                out[name][:, :, g] = counted.reshape(nz, bins + 1)[:, :bins].T
        return out
