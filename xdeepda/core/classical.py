"""Steps of classical analysis on vectors: optimal interpolation.

Correlations come from an ensemble of anomalies, localised by a compactly supported
function of great-circle distance.  A covariance is D^1/2 (Z Zᵀ ∘ rho) D^1/2: roots Z with
rows of unit length, rho the localisation, D the variances of the day.  Cells of the sea
are numbered 0 ... n - 1; p observations sit in cells; M members share them.

Knows numbers only: no grid, no names, no time.

References
----------
Gaspari & Cohn (1999), doi:10.1002/qj.49712555417, equation 4.10: the localisation.
Gneiting (2013), doi:10.3150/12-BEJSP06: on the sphere it stays positive definite as a
function of great-circle distance, for a support of at most half the circumference.
Evensen (2003), doi:10.1007/s10236-003-0036-9: ensemble optimal interpolation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

#: km
EARTH_RADIUS = 6371.0
#: Numbers in the table of correlations between all observations; with more, each column
#: makes its own.
TABLE = 10**8
#: Combinations of the observations of a column of which signal is less than so much noise
#: (variances) are left out.
_LEAST_SIGNAL = 0.02
#: Numbers that the local matrices of some columns may hold at a time.
_CHUNK = 8 * 10**6


def gaspari_cohn(distance: Tensor, support: float) -> Tensor:
    """Correlation that falls from 1 to exactly 0 at `support`, smooth like a Gaussian.

    Parameters
    ----------
    distance : Tensor
        Not negative.
    support : float
        In the unit of `distance`; the standard deviation of the similar Gaussian is
        0.27 of it.

    Returns
    -------
    Tensor, as `distance`
    """
    r = distance * (2.0 / support)
    near = (((-0.25 * r + 0.5) * r + 0.625) * r - 5.0 / 3.0) * r * r + 1.0
    s = r.clamp_min(1.0)
    far = ((((s / 12.0 - 0.5) * s + 0.625) * s + 5.0 / 3.0) * s - 5.0) * s + 4.0 - 2.0 / (3.0 * s)
    return torch.where(r <= 1.0, near, torch.where(r < 2.0, far, 0.0)).clamp_min(0.0)


def unit_vectors(latitude: Tensor, longitude: Tensor) -> Tensor:
    """Positions on the unit sphere from radians; (..., 3)."""
    around = torch.cos(latitude)
    parts = (around * torch.cos(longitude), around * torch.sin(longitude), torch.sin(latitude))
    return torch.stack(torch.broadcast_tensors(*parts), dim=-1)


def great_circle(a: Tensor, b: Tensor) -> Tensor:
    """Distances (km) between unit vectors a (..., I, 3) and b (..., J, 3); (..., I, J)."""
    # not by the scalar product: its arc cosine loses half the digits of small distances
    chord = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    return 2.0 * EARTH_RADIUS * torch.asin((0.5 * chord).clamp_max(1.0))


class Stored(Protocol):
    """Columns of which roots are stored."""

    table: Tensor
    columns: Tensor

    @property
    def place(self) -> Tensor:
        """Numbers (n,) of the cells in all columns (columns, C)."""

    def rows(self, array: Tensor, cell: Tensor) -> Tensor:
        """Rows (..., K) of cells (...) of what is stored (s, K)."""

    def spread_columns(self, x: Tensor) -> Tensor:
        """All cells (..., n) from the stored columns (..., m, C)."""


class Correlation(NamedTuple):
    """Localised correlation of an ensemble.

    Attributes
    ----------
    roots : Tensor, shape (n, N)
        Rows of length 1 (0 where nothing is known): ``roots @ roots.T`` is the sample
        correlation.
    table : Tensor of int64, shape (columns, C)
        Cells of each water column, -1 for land.
    column : Tensor of int64, shape (n,)
        Water column of each cell.
    position : Tensor, shape (columns, 3)
        Unit vectors.
    support : float
        Distance (km) where the localisation reaches zero.
    stored : Stored, optional
        Where roots are stored of some columns only, what is between them.
    lengths : Tensor, shape (n,), optional
        Lengths of rows between stored columns, which are made 1.
    """

    roots: Tensor
    table: Tensor
    column: Tensor
    position: Tensor
    support: float
    stored: Stored | None = None
    lengths: Tensor | None = None

    def at(self, cell: Tensor) -> Tensor:
        """Rows of length 1 (..., N) of cells (...)."""
        if self.stored is None:
            return self.roots[cell]
        rows = self.stored.rows(self.roots, cell)
        return rows if self.lengths is None else rows / self.lengths[cell][..., None]

    def localisation(self, a: Tensor, b: Tensor) -> Tensor:
        """Localisation between columns a (..., I) and b (..., J); (..., I, J)."""
        return gaspari_cohn(great_circle(self.position[a], self.position[b]), self.support)


class Observations(NamedTuple):
    """Observations of single cells, each cell at most once.

    Attributes
    ----------
    cell : Tensor of int64, shape (p,)
    innovation : Tensor, shape (M, p)
        Observation minus background.
    variance : Tensor, shape (p,)
        Of the error.
    """

    cell: Tensor
    innovation: Tensor
    variance: Tensor


class Rows(NamedTuple):
    """Observations in units of the background error, as linear functions of the members.

    A row is one observation, or a combination of those of a water column.

    Attributes
    ----------
    column : Tensor of int64, shape (p,)
    roots : Tensor, shape (p, N)
        What it sees of the members.
    innovation : Tensor, shape (M, p)
    noise : Tensor, shape (p,)
        Error variance.
    """

    column: Tensor
    roots: Tensor
    innovation: Tensor
    noise: Tensor

    @classmethod
    def of(cls, correlation: Correlation, deviation: Tensor, observations: Observations) -> Rows:
        """One row for each observation."""
        cell = observations.cell
        tiny = torch.finfo(deviation.dtype).tiny ** 0.5
        unit = deviation[cell].clamp_min(tiny)
        # observations more exact than rounding would make the matrix singular
        least = torch.finfo(deviation.dtype).eps ** 0.5
        noise = (observations.variance / unit**2).clamp_min(least)
        return cls(
            correlation.column[cell], correlation.at(cell), observations.innovation / unit, noise
        )

    def compressed(self, most: int) -> Rows:
        """At most so many rows for each column: those that tell most.

        Within a column nothing is localised, hence the leading eigenvectors of the
        normalised signal keep the most information (Rabier et al. 2002,
        doi:10.1256/00359000260498815); those that tell nearly nothing go.
        """
        columns, place = torch.unique(self.column, return_inverse=True)
        order, within = _within(place, len(columns))
        deepest = int(within.max()) + 1
        where = (place[order], within)
        scale = self.noise.rsqrt()
        signal = self.roots.new_zeros(len(columns), deepest, self.roots.shape[1])
        signal[where] = (self.roots * scale[:, None])[order]
        given = self.roots.new_zeros(len(columns), deepest, len(self.innovation))
        given[where] = (self.innovation * scale).mT[order]
        values, vectors = torch.linalg.eigh(signal @ signal.mT)
        vectors = vectors[:, :, -min(most, deepest) :]
        told = values[:, -min(most, deepest) :] > _LEAST_SIGNAL
        roots, innovation = vectors.mT @ signal, vectors.mT @ given
        column = columns[:, None].expand_as(told)[told]
        return Rows(
            column, roots[told], innovation[told].mT, torch.ones_like(column, dtype=roots.dtype)
        )


class Mesh(NamedTuple):
    """Columns that are solved, and how all columns follow from them.

    Attributes
    ----------
    solved : Tensor of int64, shape (m,)
        Columns.
    corners : Tensor of int64, shape (columns, 4)
        Positions in `solved`.
    weight : Tensor, shape (columns, 4)
        Of sum 1.
    """

    solved: Tensor
    corners: Tensor
    weight: Tensor

    def to(self, device: torch.device) -> Mesh:
        """Mesh on a device."""
        return Mesh(*(part.to(device) for part in self))

    def spread(self, x: Tensor, columns: Tensor | None = None) -> Tensor:
        """From solved columns (..., m, K) to all of them, or to some; (..., columns, K)."""
        corners, weight = self.corners, self.weight
        if columns is not None:
            corners, weight = corners[columns], weight[columns]
        out = x[..., corners[:, 0], :] * weight[:, 0, None]
        for n in range(1, corners.shape[1]):
            out = torch.addcmul(out, x[..., corners[:, n], :], weight[:, n, None])
        return out


def dense_step(
    correlation: Correlation,
    deviation: Tensor,
    observations: Observations,
    modes: int | None = None,
    mesh: Mesh | None = None,
) -> tuple[Tensor, Tensor]:
    """Best linear analysis with all observations at once.

    Parameters
    ----------
    correlation : Correlation
    deviation : Tensor, shape (n,)
        Standard deviation of the background error.
    observations : Observations
    modes : int, optional
        Combine the observations of a water column to so many; see :meth:`Rows.compressed`.
    mesh : Mesh, optional
        Calculate for some of the columns; the others are interpolated, as in
        :func:`local_step`.

    Returns
    -------
    increment : Tensor, shape (M, n)
    reduction : Tensor, shape (n,)
        Share of the variance that the observations take away, 0 to 1: the analysis
        variance is ``(1 - reduction) * deviation**2``.

    Notes
    -----
    Memory p², time p³ / 3 + n p²; see :func:`local_step` for many observations.
    """
    rows = _rows(correlation, deviation, observations, modes)
    solved = _solved(correlation, mesh)
    matrix = _between_rows(correlation, rows)
    root = torch.linalg.cholesky(matrix + torch.diag(rows.noise))
    weight = torch.cholesky_solve(rows.innovation.mT, root)  # (p, M)
    loads = (weight.mT[:, :, None] * rows.roots).permute(1, 0, 2).flatten(1)  # (p, M N)
    shape = (len(rows.innovation), rows.roots.shape[1])
    table = afloat(correlation.table)
    shares, taken = [], []
    step = max(1, _CHUNK // (max(len(rows.column), 1) * table.shape[1]))
    for part in solved.split(step):
        near = correlation.localisation(rows.column, part)  # (p, m)
        shares.append((near.mT @ loads).unflatten(1, shape).transpose(0, 1))
        cells = table[part].clamp_min(0)  # (m, C)
        cross = rows.roots @ correlation.at(cells).flatten(0, 1).mT
        cross = (cross.unflatten(1, cells.shape) * near[:, :, None]).flatten(1)
        half = torch.linalg.solve_triangular(root, cross, upper=False)
        taken.append(half.square().sum(dim=0).unflatten(0, cells.shape) * (table[part] >= 0))
    return _applied(correlation, deviation, torch.cat(shares, dim=1), torch.cat(taken), mesh)


def local_step(
    correlation: Correlation,
    deviation: Tensor,
    observations: Observations,
    most: int,
    mesh: Mesh | None = None,
    modes: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Best linear analysis of each water column with the observations in reach.

    Parameters
    ----------
    correlation : Correlation
    deviation : Tensor, shape (n,)
        Standard deviation of the background error.
    observations : Observations
    most : int
        Observations that a column may use: the nearest.
    mesh : Mesh, optional
        Solve some of the columns; the others take interpolated weights of the members
        (Yang et al. 2009, doi:10.1002/qj.353).  By default all are solved.
    modes : int, optional
        As of :func:`dense_step`.

    Returns
    -------
    increment : Tensor, shape (M, n)
    reduction : Tensor, shape (n,)
        As of :func:`dense_step`, to which it is equal where all are in reach of all and
        every column is solved.
    """
    table, solved = correlation.table, _solved(correlation, mesh)
    rows = _rows(correlation, deviation, observations, modes)
    share = deviation.new_zeros(len(rows.innovation), len(solved), correlation.roots.shape[1])
    taken = deviation.new_zeros(len(solved), table.shape[1])
    for some, found in _solutions(correlation, rows, most, solved):
        share[:, some], taken[some] = found
    return _applied(correlation, deviation, share, taken, mesh)


def _rows(
    correlation: Correlation, deviation: Tensor, observations: Observations, modes: int | None
) -> Rows:
    """Observations in units of the background error, combined where that is wanted."""
    rows = Rows.of(correlation, deviation, observations)
    return rows if modes is None else rows.compressed(modes)


def _solved(correlation: Correlation, mesh: Mesh | None) -> Tensor:
    """Columns that are solved."""
    if mesh is not None:
        return mesh.solved
    return torch.arange(len(correlation.table), device=correlation.table.device)


def _applied(
    correlation: Correlation, deviation: Tensor, share: Tensor, taken: Tensor, mesh: Mesh | None
) -> tuple[Tensor, Tensor]:
    """Increment (M, n) and reduction (n,) of weights of the members (M, m, N) and (m, C)."""
    table, stored = correlation.table, correlation.stored
    cells, columns = table.clamp_min(0), None
    if stored is not None:
        cells, columns = stored.table, stored.columns
    if mesh is not None:
        share, taken = mesh.spread(share, columns), mesh.spread(taken)
    elif columns is not None:
        share = share[:, columns]
    made = []
    for some in torch.arange(len(cells), device=table.device).split(
        max(1, _CHUNK // (table.shape[1] * share.shape[2]))
    ):
        roots = correlation.roots[cells[some]].to(share.dtype)  # (columns, C, N)
        made.append((roots @ share[:, some].permute(1, 2, 0)).permute(2, 0, 1))
    increment = torch.cat(made, dim=1)  # (M, columns, C)
    if stored is None:
        increment, reduction = (_in_order(table, x, len(deviation)) for x in (increment, taken))
    else:
        increment, reduction = stored.spread_columns(increment), taken.flatten()[stored.place]
    if correlation.lengths is not None:
        increment = increment / correlation.lengths
    return increment * deviation, reduction.clamp(0.0, 1.0)


def _in_order(table: Tensor, x: Tensor, size: int) -> Tensor:
    """Cells (..., n) of columns (..., columns, C)."""
    sea = table >= 0
    out = x.new_zeros(*x.shape[:-2], size)
    out[..., table[sea]] = x[..., sea]
    return out


def _between_rows(correlation: Correlation, rows: Rows) -> Tensor:
    """Localised correlation (p, p) between all rows."""
    # many rows stand in few columns
    places, place = torch.unique(rows.column, return_inverse=True)
    near = correlation.localisation(places, places)[place][:, place]
    return rows.roots @ rows.roots.mT * near


def _solutions(
    correlation: Correlation, rows: Rows, most: int, solved: Tensor
) -> Iterator[tuple[Tensor, tuple[Tensor, Tensor]]]:
    """Some columns at a time: positions in `solved`, weights of the members, reductions.

    Yields positions (m,), weights (M, m, N) and reductions (m, C).
    """
    table, number = afloat(correlation.table), len(rows.column)
    # all pairs once, or those of each column on their own: what is less work
    own = solved.numel() * min(most, number) ** 2
    pairs = None
    if number**2 <= min(own, TABLE):
        pairs = _between_rows(correlation, rows)
    for some, near, weight in _neighbours(correlation, rows.column, most, solved):
        valid, seen = weight > 0, rows.roots[near]
        if pairs is None:
            column = rows.column[near]
            matrix = seen @ seen.mT * correlation.localisation(column, column)
        else:
            matrix = pairs.take(near[:, :, None] * number + near[:, None, :])
        matrix = matrix * (valid[:, :, None] & valid[:, None, :])
        matrix.diagonal(dim1=1, dim2=2).add_(torch.where(valid, rows.noise[near], 1.0))
        roots = seen * weight[:, :, None]  # (m, K, N)
        cells = table[solved[some]]  # (m, C)
        cross = roots @ correlation.at(cells.clamp_min(0)).mT
        right = (rows.innovation[:, near] * valid).permute(1, 2, 0)  # (m, K, M)
        root = torch.linalg.cholesky(matrix)
        half = torch.linalg.solve_triangular(root, cross, upper=False)
        weights = torch.cholesky_solve(right, root).mT @ roots  # (m, M, N)
        yield some, (weights.transpose(0, 1), half.square().sum(dim=1) * (cells >= 0))


def afloat(table: Tensor) -> Tensor:
    """Cells of columns (columns, C); the cell above stands for one on land."""
    out = table.clone()
    for level in range(1, out.shape[1]):
        out[:, level] = torch.where(out[:, level] < 0, out[:, level - 1], out[:, level])
    return out


def _neighbours(
    correlation: Correlation, column: Tensor, most: int, solved: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Some columns at a time: their numbers, nearest rows (in columns (p,)), localisation.

    Yields positions in `solved` (m,), near (m, K) and weight (m, K), 0 for the padding.
    Columns out of reach of all observations are left out.
    """
    if not column.numel():
        return
    places, listed = _listed(column)
    reach, deep = min(most, len(places)), listed.shape[1]
    everything = torch.arange(len(solved), device=column.device)
    for block in everything.split(max(1, _CHUNK // max(len(places), reach * deep))):
        # the nearest columns first: their rows are all alike near
        best = correlation.localisation(solved[block], places).topk(reach, dim=1)
        row = listed[best.indices].flatten(1)  # (block, reach rows)
        weight = best.values.repeat_interleave(deep, dim=1) * (row >= 0)
        count = (weight > 0).sum(dim=1).clamp_max(most)
        # columns with equally many observations together: little padding
        order = torch.argsort(count, stable=True)
        order = order[count[order] > 0]
        start = 0
        while start < order.numel():
            fewest = int(count[order[start]])
            m = max(1, _CHUNK // (8 * fewest * fewest + 1))
            some = order[start : start + min(m, 256)]
            near = weight[some].topk(int(count[some[-1]]), dim=1)
            yield block[some], row[some].gather(1, near.indices).clamp_min(0), near.values
            start += some.numel()


def _listed(column: Tensor) -> tuple[Tensor, Tensor]:
    """Columns (P,) that rows in columns (p,) stand in, and their rows (P, deepest), else -1."""
    places, place = torch.unique(column, return_inverse=True)
    order, within = _within(place, len(places))
    listed = place.new_full((len(places), int(within.max()) + 1), -1)
    listed[place[order], within] = order
    return places, listed


def _within(place: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Rows in the order of their places (p,), and their positions within these."""
    order = torch.argsort(place, stable=True)
    count = torch.bincount(place, minlength=number)
    within = torch.arange(len(order), device=order.device)
    return order, within - (count.cumsum(0) - count)[place[order]]
