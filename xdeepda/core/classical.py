"""Steps of classical analysis on vectors: optimal interpolation, Kalman filter, RTS smoother.

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

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

#: km
EARTH_RADIUS = 6371.0
#: Numbers in the table of correlations between all observations; with more, each column
#: makes its own.
TABLE = 10**8
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
    """

    roots: Tensor
    table: Tensor
    column: Tensor
    position: Tensor
    support: float

    def localisation(self, a: Tensor, b: Tensor) -> Tensor:
        """Localisation between columns a (..., I) and b (..., J); (..., I, J)."""
        return gaspari_cohn(great_circle(self.position[a], self.position[b]), self.support)

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """Localised correlation between cells a (..., I) and b (..., J); (..., I, J)."""
        sample = self.roots[a] @ self.roots[b].mT
        if a.dim() > 1 or b.dim() > 1:
            return sample * self.localisation(self.column[a], self.column[b])
        # many cells stand in few columns
        rows, row = torch.unique(self.column[a], return_inverse=True)
        lines, line = torch.unique(self.column[b], return_inverse=True)
        return sample * self.localisation(rows, lines)[row][:, line]


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


def dense_step(
    correlation: Correlation, deviation: Tensor, observations: Observations
) -> tuple[Tensor, Tensor]:
    """Best linear analysis with all observations at once.

    Parameters
    ----------
    correlation : Correlation
    deviation : Tensor, shape (n,)
        Standard deviation of the background error.
    observations : Observations

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
    cell, (innovation, noise) = observations.cell, _normalised(deviation, observations)
    root = torch.linalg.cholesky(correlation.between(cell, cell) + torch.diag(noise))
    right = torch.linalg.solve_triangular(root, innovation.mT, upper=False)  # (p, M)
    increment, reduction = [], []
    step = max(1, _CHUNK // max(cell.numel(), 1))
    for cells in torch.arange(deviation.numel(), device=cell.device).split(step):
        cross = correlation.between(cell, cells)  # (p, cells)
        half = torch.linalg.solve_triangular(root, cross, upper=False)
        increment.append(right.mT @ half)
        reduction.append(half.square().sum(dim=0))
    return torch.cat(increment, dim=1) * deviation, torch.cat(reduction).clamp(0.0, 1.0)


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

    def spread(self, x: Tensor) -> Tensor:
        """From solved columns (..., m, K) to all of them (..., columns, K)."""
        out = x.new_zeros(())
        for corner in range(self.corners.shape[1]):
            out = out + x[..., self.corners[:, corner], :] * self.weight[:, corner, None]
        return out


def local_step(
    correlation: Correlation,
    deviation: Tensor,
    observations: Observations,
    most: int,
    mesh: Mesh | None = None,
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

    Returns
    -------
    increment : Tensor, shape (M, n)
    reduction : Tensor, shape (n,)
        As of :func:`dense_step`, to which it is equal where all are in reach of all and
        every column is solved.
    """
    table = correlation.table
    solved = torch.arange(len(table), device=table.device) if mesh is None else mesh.solved
    share = deviation.new_zeros(
        len(observations.innovation), len(solved), correlation.roots.shape[1]
    )
    taken = deviation.new_zeros(len(solved), table.shape[1])
    for rows, found in _solutions(correlation, deviation, observations, most, solved):
        share[:, rows], taken[rows] = found
    if mesh is not None:
        share, taken = mesh.spread(share), mesh.spread(taken)
    sea = table >= 0
    increment = deviation.new_zeros(len(share), len(deviation))
    reduction = torch.zeros_like(deviation)
    step = max(1, _CHUNK // (table.shape[1] * share.shape[2]))
    for columns in torch.arange(len(table), device=table.device).split(step):
        cells, there = table[columns], sea[columns]
        roots = correlation.roots[cells.clamp_min(0)]  # (columns, C, N)
        made = (roots @ share[:, columns].permute(1, 2, 0)).permute(2, 0, 1)
        increment[:, cells[there]] = made[:, there]
        reduction[cells[there]] = taken[columns][there]
    return increment * deviation, reduction.clamp(0.0, 1.0)


def _solutions(
    correlation: Correlation, deviation: Tensor, observations: Observations, most: int,
    solved: Tensor,
) -> Iterator[tuple[Tensor, tuple[Tensor, Tensor]]]:  # fmt: skip
    """Some columns at a time: positions in `solved`, weights of the members, reductions.

    Yields positions (m,), weights (M, m, N) and reductions (m, C).
    """
    innovation, noise = _normalised(deviation, observations)
    cell, table = observations.cell, afloat(correlation.table)
    # all pairs once, or those of each column on their own: what is less work
    own = solved.numel() * min(most, cell.numel()) ** 2
    pairs = correlation.between(cell, cell) if cell.numel() ** 2 <= min(own, TABLE) else None
    for rows, near, weight in _neighbours(correlation, cell, most, solved):
        valid = weight > 0
        if pairs is None:
            matrix = correlation.between(cell[near], cell[near])
        else:
            matrix = pairs.take(near[:, :, None] * cell.numel() + near[:, None, :])
        matrix = matrix * (valid[:, :, None] & valid[:, None, :])
        matrix.diagonal(dim1=1, dim2=2).add_(torch.where(valid, noise[near], 1.0))
        roots = correlation.roots[cell[near]] * weight[:, :, None]  # (m, K, N)
        cells = table[solved[rows]]  # (m, C)
        cross = roots @ correlation.roots[cells.clamp_min(0)].mT
        right = (innovation[:, near] * valid).permute(1, 2, 0)  # (m, K, M)
        root = torch.linalg.cholesky(matrix)
        half = torch.linalg.solve_triangular(root, cross, upper=False)
        weights = torch.cholesky_solve(right, root).mT @ roots  # (m, M, N)
        yield rows, (weights.transpose(0, 1), half.square().sum(dim=1) * (cells >= 0))


def afloat(table: Tensor) -> Tensor:
    """Cells of columns (columns, C); the cell above stands for one on land."""
    out = table.clone()
    for level in range(1, out.shape[1]):
        out[:, level] = torch.where(out[:, level] < 0, out[:, level - 1], out[:, level])
    return out


def _normalised(deviation: Tensor, observations: Observations) -> tuple[Tensor, Tensor]:
    """Innovations (M, p) and error variances (p,) in units of the background error."""
    tiny = torch.finfo(deviation.dtype).tiny ** 0.5
    unit = deviation[observations.cell].clamp_min(tiny)
    # observations more exact than rounding would make the matrix singular
    least = torch.finfo(deviation.dtype).eps ** 0.5
    return observations.innovation / unit, (observations.variance / unit**2).clamp_min(least)


def _neighbours(
    correlation: Correlation, cell: Tensor, most: int, solved: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Some columns at a time: their numbers, nearest observations, and the localisation.

    Yields positions in `solved` (m,), near (m, K) and weight (m, K), 0 for the padding.
    Columns out of reach of all observations are left out.
    """
    places, place = torch.unique(correlation.column[cell], return_inverse=True)
    everything = torch.arange(len(solved), device=cell.device)
    for block in everything.split(max(1, _CHUNK // max(cell.numel(), 1))):
        weight = correlation.localisation(solved[block], places)[:, place]  # (block, p)
        count = (weight > 0).sum(dim=1).clamp_max(most)
        # columns with equally many observations together: little padding
        order = torch.argsort(count, stable=True)
        order = order[count[order] > 0]
        start = 0
        while start < order.numel():
            fewest = int(count[order[start]])
            m = max(1, _CHUNK // (8 * fewest * fewest + 1))
            rows = order[start : start + min(m, 256)]
            best = weight[rows].topk(int(count[rows[-1]]), dim=1)
            yield block[rows], best.indices, best.values
            start += rows.numel()


def kalman_step(
    mean: Tensor, covariance: Tensor, operator: Tensor, innovation: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Analysis of the Kalman filter, for fewer state variables than observations.

    Parameters
    ----------
    mean : Tensor, shape (M, k)
    covariance : Tensor, shape (k, k)
        Positive definite.
    operator : Tensor, shape (p, k)
        H.
    innovation : Tensor, shape (M, p)
        Observation minus H of the mean.
    variance : Tensor, shape (p,)
        Of independent errors, positive.

    Returns
    -------
    mean : Tensor, shape (M, k)
    covariance : Tensor, shape (k, k)

    Notes
    -----
    With P = L Lᵀ: (P⁻¹ + Hᵀ R⁻¹ H)⁻¹ = L (1 + Lᵀ Hᵀ R⁻¹ H L)⁻¹ Lᵀ, which stays symmetric
    and positive.  Time p k² + k³.
    """
    root = torch.linalg.cholesky(covariance)
    weighted = operator / variance[:, None]
    inner = root.mT @ (operator.mT @ weighted).to(root.dtype) @ root
    eye = torch.eye(root.shape[0], dtype=root.dtype, device=root.device)
    factor = torch.linalg.cholesky(eye + (inner + inner.mT) / 2)
    half = torch.linalg.solve_triangular(factor, root.mT, upper=False)
    updated = half.mT @ half
    return mean + (innovation @ weighted).to(root.dtype) @ updated, updated


class Step(NamedTuple):
    """Mean (M, k) and covariance (k, k) of one time."""

    mean: Tensor
    covariance: Tensor


def smoother_step(analysis: Step, forecast: Step, operator: Tensor, later: Step) -> Step:
    """One step back of the Rauch-Tung-Striebel smoother.

    Parameters
    ----------
    analysis : Step
        Of the filter at time t.
    forecast : Step
        Of the filter at t + 1, before its observations.
    operator : Tensor, shape (k, k)
        The model from t to t + 1.
    later : Step
        Smoothed estimate of t + 1.

    Returns
    -------
    Step
        Smoothed estimate of t.

    References
    ----------
    Rauch, Tung & Striebel (1965), doi:10.2514/3.3166.
    """
    root = torch.linalg.cholesky(forecast.covariance)
    gain = torch.cholesky_solve(operator @ analysis.covariance, root).mT
    mean = analysis.mean + (later.mean - forecast.mean) @ gain.mT
    change = gain @ (later.covariance - forecast.covariance) @ gain.mT
    covariance = analysis.covariance + change
    return Step(mean, (covariance + covariance.mT) / 2)


def low_rank_variance(patterns: Tensor, covariance: Tensor) -> Tensor:
    """Diagonal of E P Eᵀ for patterns E (n, k) and covariance P (k, k); (n,)."""
    values, vectors = torch.linalg.eigh(covariance)
    root = (vectors * values.clamp_min(0).sqrt()).to(patterns.dtype)
    rows = max(1, _CHUNK // max(root.shape[0], 1))
    return torch.cat([(part @ root).square().sum(dim=1) for part in patterns.split(rows)])


def reach(support: float) -> float:
    """Share of the globe within `support` (km) of a place."""
    return (1.0 - math.cos(min(support / EARTH_RADIUS, math.pi))) / 2.0
