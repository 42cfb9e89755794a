"""What is fitted to a control run, as modules: its covariances, and a filter of its dynamics.

Fitted arrays are buffers that are saved with a model as its weights; their sizes follow
from the settings.  The numerics are in :mod:`xdeepda.core.classical`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from xdeepda.core.classical import (
    Correlation,
    Mesh,
    Observations,
    dense_step,
    kalman_step,
    local_step,
    low_rank_variance,
    unit_vectors,
)
from xdeepda.core.state import Geometry, Observed, State


class Sea(nn.Module):
    """Cells of the sea as vectors of length n, and the water columns they stand in.

    Parameters
    ----------
    geometry : Geometry
    """

    cells: Tensor  # (n,) flat numbers in (C, Y, X)
    table: Tensor  # (columns, C) position in `cells`, -1 on land
    column: Tensor  # (n,)
    columns: Tensor  # (columns,) flat numbers in (Y, X)

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        wet = geometry.wet > 0
        self.shape, self.cyclic = tuple(wet.shape), geometry.cyclic
        afloat = wet.any(dim=0).flatten()
        flat = wet.flatten(1)[:, afloat]  # (C, columns)
        number = torch.full(flat.shape, -1, dtype=torch.int64, device=flat.device)
        number[flat] = torch.arange(int(flat.sum()), device=flat.device)
        place = torch.arange(flat.shape[1], device=flat.device).expand_as(flat)
        index = {
            "cells": wet.flatten().nonzero()[:, 0],
            "table": number.mT.contiguous(),
            "column": place[flat],
            "columns": afloat.nonzero()[:, 0],
        }
        for name, values in index.items():
            self.register_buffer(name, values, persistent=False)

    @property
    def size(self) -> int:
        """Number n of cells."""
        return self.cells.numel()

    def vector(self, x: Tensor) -> Tensor:
        """Cells of the sea of fields (..., C, Y, X); (..., n)."""
        return x.flatten(-3)[..., self.cells]

    def field(self, x: Tensor) -> Tensor:
        """Fields (..., C, Y, X) of cells of the sea (..., n), 0 on land."""
        channels, rows, columns = self.shape
        out = x.new_zeros(*x.shape[:-1], channels * rows * columns)
        out[..., self.cells] = x
        return out.unflatten(-1, self.shape)

    def observed(self, observed: Observed, row: int) -> tuple[Tensor, Tensor]:
        """Observed cells of a row of the batch and their error variances; (p,), (p,)."""
        cell = (self.vector(observed.mask[row]) > 0).nonzero()[:, 0]
        return cell, self.vector(observed.variance[row])[cell]


def mesh_of(sea: Sea, stride: tuple[int, int]) -> Mesh:
    """Every so many columns along Y and X, and those that none of them surrounds.

    Weights are bilinear, between columns of the sea.
    """
    _, ny, nx = sea.shape
    device = sea.columns.device
    number = torch.full((ny * nx,), -1, dtype=torch.int64, device=device)
    number[sea.columns] = torch.arange(len(sea.columns), device=device)
    y, x = sea.columns // nx, sea.columns % nx
    corners = []
    for north in (False, True):
        for east in (False, True):
            row, part_y = _node(y, ny, stride[0], False, north)
            column, part_x = _node(x, nx, stride[1], sea.cyclic, east)
            corners.append((number[row * nx + column], part_y * part_x))
    node = torch.stack([c for c, _ in corners], dim=1)  # (columns, 4)
    weight = torch.stack([w for _, w in corners], dim=1) * (node >= 0)
    alone = weight.sum(dim=1) < 0.3
    node[alone], weight[alone] = -1, 0.0
    node[alone, 0], weight[alone, 0] = alone.nonzero()[:, 0], 1.0
    solved, index = torch.unique(node[weight > 0], return_inverse=True)
    position = torch.zeros_like(node)
    position[weight > 0] = index
    return Mesh(solved, position, weight / weight.sum(dim=1, keepdim=True))


def _node(
    place: Tensor, size: int, stride: int, cyclic: bool, upper: bool
) -> tuple[Tensor, Tensor]:
    """Node below or above places on an axis, and its linear weight."""
    low = place // stride * stride
    # the seam of a cyclic axis is a node
    high = (low + stride).clamp_max(size if cyclic else size - 1)
    part = (place - low) / (high - low).clamp_min(1)
    return (high % size, part) if upper else (low, 1 - part)


def alike(*tensors: Tensor) -> bool:
    """Whether all rows of the batch are equal, so that one gain serves them."""
    return all(bool((t == t[:1]).all()) for t in tensors)


def rows_of(batch: int, same: bool) -> Iterator[slice]:
    """Rows that are solved together: all of them, or each on its own."""
    yield from [slice(0, batch)] if same else (slice(b, b + 1) for b in range(batch))


class EnsembleCovariance(nn.Module):
    """Localised correlation of anomalies of the control run, and the analysis with it.

    Parameters
    ----------
    sea : Sea
    ensemble : int
        Number N of anomalies.
    localisation : float
        Distance (km) beyond which no observation acts.
    local : bool
        Each water column on its own with the observations in reach; else all at once.
    most : int
        Observations that a column uses.
    stride : (int, int)
        Every so many columns are solved, along Y and X.
    modes : int, optional
        Combine the observations of a water column to so many.
    """

    roots: Tensor
    latitude: Tensor
    longitude: Tensor

    def __init__(
        self,
        sea: Sea,
        ensemble: int,
        localisation: float,
        local: bool,
        most: int,
        stride: tuple[int, int] = (1, 1),
        modes: int | None = None,
    ) -> None:
        super().__init__()
        self.sea, self.support, self.local, self.most = sea, localisation, local, most
        self.modes = modes
        self.mesh = mesh_of(sea, stride) if max(stride) > 1 else None
        self.register_buffer("roots", torch.zeros(sea.size, ensemble))
        self.register_buffer("latitude", torch.zeros(sea.shape[1]))
        self.register_buffer("longitude", torch.zeros(sea.shape[2]))

    def renew(self, states: Tensor) -> None:
        """Take others of about as many anomalies, errors for instance; (at least N, n).

        Raises
        ------
        ValueError
            If there are too few.
        """
        number = self.roots.shape[1]
        if len(states) < number:
            raise ValueError(f"{len(states)} anomalies for an ensemble of {number}")
        picked = torch.linspace(0, len(states) - 1, number, dtype=torch.float64).round().long()
        roots = states[picked].mT
        self.roots.copy_(
            roots / torch.linalg.vector_norm(roots, dim=1, keepdim=True).clamp_min(1e-12)
        )

    def draw(self, number: int, generator: torch.Generator) -> Tensor:
        """Fields (number, C, Y, X) of unit variance: random sums of the anomalies."""
        size = self.roots.shape[1]
        weights = torch.randn(number, size, generator=generator, device=self.roots.device)
        return self.sea.field(weights @ self.roots.mT)

    def correlation(self) -> Correlation:
        """Correlation of the fitted anomalies."""
        sphere = unit_vectors(self.latitude[:, None], self.longitude[None, :]).flatten(0, 1)
        position = sphere[self.sea.columns]
        return Correlation(self.roots, self.sea.table, self.sea.column, position, self.support)

    def analyse(self, mean: Tensor, prior: Tensor, observed: Observed) -> tuple[Tensor, Tensor]:
        """Increment and reduction of the variance, for a batch.

        Parameters
        ----------
        mean, prior : Tensor, shape (B, n)
            Background and its error variance.
        observed : Observed
            Rows that all see the same cells with the same errors share one gain, that of
            their mean prior.

        Returns
        -------
        increment, reduction : Tensor, shape (B, n)
        """
        value = self.sea.vector(observed.value)
        increment, reduction = torch.zeros_like(mean), torch.zeros_like(mean)
        for rows in rows_of(len(mean), alike(observed.mask, observed.variance)):
            cell, error = self.sea.observed(observed, rows.start)
            if not cell.numel():
                continue
            innovation = (value[rows] - mean[rows])[:, cell]
            deviation = prior[rows].mean(dim=0).clamp_min(0).sqrt()
            given = Observations(cell, innovation, error)
            mesh = None if self.mesh is None else self.mesh.to(cell.device)
            correlation = self.correlation()
            if self.local:
                made = local_step(correlation, deviation, given, self.most, mesh, self.modes)
            else:
                made = dense_step(correlation, deviation, given, self.modes, mesh)
            increment[rows], reduction[rows] = made
        return increment, reduction


class ReducedFilter(nn.Module):
    """Kalman filter of the leading patterns of the control run.

    The state is E c: patterns E (n, k), orthonormal under the area weights, coefficients c
    that follow c' = A c + q, q ~ N(0, Q).  Calculations with (k, k) matrices are in double
    precision where the device has it.

    Parameters
    ----------
    sea : Sea
    weights, climate : Tensor, shape (C, Y, X)
        Area weights and climatological variance.
    patterns : int
        Number k.
    inflation : float
        Factor on the covariance in each forecast, before the noise is added.
    """

    patterns: Tensor  # (n, k)
    operator: Tensor  # (k, k) A
    noise: Tensor  # (k, k) Q
    spectrum: Tensor  # (k,) variance of the coefficients in the control run
    rest: Tensor  # (n,) variance that the patterns leave out
    weights: Tensor
    climate: Tensor

    def __init__(
        self, sea: Sea, weights: Tensor, climate: Tensor, patterns: int, inflation: float
    ) -> None:
        super().__init__()
        self.sea, self.inflation = sea, inflation
        self.register_buffer("patterns", torch.zeros(sea.size, patterns))
        self.register_buffer("operator", torch.zeros(patterns, patterns))
        self.register_buffer("noise", torch.zeros(patterns, patterns))
        self.register_buffer("spectrum", torch.zeros(patterns))
        self.register_buffer("rest", torch.zeros(sea.size))
        self.register_buffer("weights", sea.vector(weights), persistent=False)
        self.register_buffer("climate", sea.vector(climate), persistent=False)

    @staticmethod
    def exact(x: Tensor) -> Tensor:
        """Double precision, but on devices that have none."""
        return x if x.device.type == "mps" else x.double()

    def unpack(self, state: State) -> tuple[Tensor, Tensor]:
        """Coefficients (B, k) and covariance (B, k, k) of a state.

        Of a state that carries none, the coefficients are its projection, and the
        covariance is that of the control run, as much of it as the variance is of the
        climatological one.
        """
        if state.carried is not None:
            return state.carried[..., 0], state.carried[..., 1:]
        coefficients = (self.sea.vector(state.mean) * self.weights) @ self.patterns
        share = self.sea.vector(state.variance) @ self.weights
        share = self.exact(share / (self.climate @ self.weights).clamp_min(1e-30))
        spectrum = torch.diag(self.exact(self.spectrum))
        return self.exact(coefficients), share[:, None, None] * spectrum

    def following(self, background: State, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients and covariance of a background that is given another mean (B, C, Y, X).

        The coefficients move by the projection of the difference.
        """
        coefficients, covariance = self.unpack(background)
        moved, _ = self.unpack(State(mean - background.mean, background.variance))
        return coefficients + moved, covariance

    def unobserved(self) -> Tensor:
        """Covariance (k, k) of the filter that never sees an observation.

        The sum of A^i Q A^iT, by doubling: of 2^30 cycles.
        """
        operator, total = self.exact(self.operator), self.exact(self.noise)
        for _ in range(30):
            total = total + operator @ total @ operator.mT
            operator = operator @ operator
        return total

    def forecast(self, coefficients: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients (B, k) and covariance (B, k, k) of the next cycle."""
        operator, noise = self.exact(self.operator), self.exact(self.noise)
        later = self.inflation * (operator @ covariance @ operator.mT) + noise
        return coefficients @ operator.mT, (later + later.mT) / 2

    def analyse(
        self, coefficients: Tensor, covariance: Tensor, rest: Tensor, extra: Tensor, seen: Observed
    ) -> tuple[Tensor, Tensor]:
        """Filter step of a batch.

        Parameters
        ----------
        coefficients, covariance : Tensor, shapes (B, k) and (B, k, k)
        rest : Tensor, shape (B, n)
            What the background holds besides the patterns.
        extra : Tensor, shape (B, n)
            Variance that the patterns do not hold, added to the observation error.
        seen : Observed

        Returns
        -------
        coefficients, covariance : Tensor
        """
        missing = self.sea.vector(seen.value) - rest - self.fields(coefficients)
        mean, after = coefficients.clone(), covariance.clone()
        same = alike(seen.mask, seen.variance, covariance, extra)
        for rows in rows_of(len(missing), same):
            cell, error = self.sea.observed(seen, rows.start)
            if cell.numel():
                mean[rows], after[rows] = kalman_step(
                    mean[rows],
                    covariance[rows.start],
                    self.patterns[cell],
                    missing[rows][:, cell],
                    error + extra[rows.start, cell],
                )
        return mean, after

    def smoothed(self, after: Tensor, before: Tensor) -> Tensor:
        """What later observations change in the means of consecutive analyses, but the last.

        Parameters
        ----------
        after, before : Tensor, shape (B, T, k, 1 + k)
            Coefficients and covariances of analyses and backgrounds, packed.

        Returns
        -------
        Tensor, shape (B, T - 1, n)

        References
        ----------
        Rauch, Tung & Striebel (1965), doi:10.2514/3.3166.
        """
        operator = self.exact(self.operator)
        later, moved = after[:, -1, :, :1], []
        for n in reversed(range(after.shape[1] - 1)):
            mean, covariance = after[:, n, :, :1], after[:, n, :, 1:]
            root = torch.linalg.cholesky(before[:, n + 1, :, 1:])
            missed = torch.cholesky_solve(later - before[:, n + 1, :, :1], root)
            step = covariance @ (operator.mT @ missed)
            moved.append(self.fields(step[..., 0]))
            later = mean + step
        return torch.stack(moved[::-1], dim=1)

    def fields(self, coefficients: Tensor) -> Tensor:
        """Cells of the sea of coefficients (B, k); (B, n)."""
        return coefficients.to(self.patterns.dtype) @ self.patterns.mT

    def variance(self, covariance: Tensor) -> Tensor:
        """Error variance (B, n) of covariances (B, k, k)."""
        if alike(covariance):
            return low_rank_variance(self.patterns, covariance[0]).expand(len(covariance), -1)
        return torch.stack([low_rank_variance(self.patterns, part) for part in covariance])


def packed(coefficients: Tensor, covariance: Tensor) -> Tensor:
    """Coefficients (B, k) and covariance (B, k, k) as one tensor (B, k, 1 + k) to carry."""
    return torch.cat([coefficients[..., None], covariance], dim=-1)
