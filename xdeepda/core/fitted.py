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
    Observations,
    dense_step,
    local_step,
    unit_vectors,
)
from xdeepda.core.kalman import kalman_step, low_rank_variance
from xdeepda.core.sea import Kept, Meshed, mesh_of, whole
from xdeepda.core.state import Observed, State

#: Rows of stored halves that are made whole at a time.
_ROWS = 16384


def alike(*tensors: Tensor) -> bool:
    """Whether all rows of the batch are equal, so that one gain serves them."""
    # one row that was expanded is not looked at
    return all(len(t) == 1 or t.stride(0) == 0 or bool((t == t[:1]).all()) for t in tensors)


def rows_of(batch: int, same: bool) -> Iterator[slice]:
    """Rows that are solved together: all of them, or each on its own."""
    yield from [slice(0, batch)] if same else (slice(b, b + 1) for b in range(batch))


class EnsembleCovariance(Meshed):
    """Localised correlation of anomalies of the control run, and the analysis with it.

    Parameters
    ----------
    kept : Kept
        Columns of which the anomalies are stored.
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
    dtype : torch.dtype
        Anomalies are stored in: halves are as good as the estimates that they make.
    """

    roots: Tensor
    latitude: Tensor
    longitude: Tensor

    def __init__(
        self,
        kept: Kept,
        ensemble: int,
        localisation: float,
        local: bool,
        most: int,
        stride: tuple[int, int] = (1, 1),
        modes: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.kept, sea = kept, kept.sea
        self.sea, self.support, self.local, self.most = sea, localisation, local, most
        self.modes = modes
        self.hold_mesh(mesh_of(sea, stride) if max(stride) > 1 else None)
        self.register_buffer("roots", torch.zeros(kept.size, ensemble, dtype=dtype))
        self.register_buffer("latitude", torch.zeros(sea.shape[1]))
        self.register_buffer("longitude", torch.zeros(sea.shape[2]))
        self._lengths: Tensor | None = None
        self.register_load_state_dict_post_hook(_forget_lengths)

    def lengths(self) -> Tensor | None:
        """Lengths (n,) that the anomalies have between the stored columns; None if there are none.

        They are divided by them, that the correlation of a cell with itself is 1.
        """
        if self.kept.mesh is None:
            return None
        if self._lengths is None or self._lengths.device != self.roots.device:
            with torch.inference_mode(False), torch.no_grad():
                self._lengths = self.kept.lengths(self.roots).clamp_min(1e-6)
        return self._lengths

    def renew(self, states: Tensor) -> None:
        """Take others of about as many anomalies, errors for instance; (at least N, s).

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
        self._lengths = None

    def draw(self, number: int, generator: torch.Generator) -> Tensor:
        """Fields (number, C, Y, X) of unit variance: random sums of the anomalies."""
        size = self.roots.shape[1]
        weights = torch.randn(number, size, generator=generator, device=self.roots.device)
        stored = torch.cat([weights @ whole(part).mT for part in self.roots.split(_ROWS)], dim=1)
        fields, lengths = self.kept.spread(stored), self.lengths()
        return self.sea.field(fields if lengths is None else fields / lengths)

    def correlation(self) -> Correlation:
        """Correlation of the fitted anomalies."""
        sphere = unit_vectors(self.latitude[:, None], self.longitude[None, :]).flatten(0, 1)
        position = sphere[self.sea.columns]
        return Correlation(
            self.roots, self.sea.table, self.sea.column, position, self.support,
            self.kept, self.lengths(),
        )  # fmt: skip

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
            correlation = self.correlation()
            if self.local:
                made = local_step(correlation, deviation, given, self.most, self.mesh, self.modes)
            else:
                made = dense_step(correlation, deviation, given, self.modes, self.mesh)
            increment[rows], reduction[rows] = made
        return increment, reduction


def _forget_lengths(module: EnsembleCovariance, _: object) -> None:
    """Lengths of anomalies that are no longer there."""
    module._lengths = None


class ReducedFilter(nn.Module):
    """Kalman filter of the leading patterns of the control run.

    The state is E c: patterns E (n, k), orthonormal under the area weights, coefficients c
    that follow c' = A c + q, q ~ N(0, Q).  Calculations with (k, k) matrices are in double
    precision where the device has it.  Between the stored columns, patterns are
    interpolated in climatological standard deviations.

    Parameters
    ----------
    kept : Kept
        Columns of which the patterns are stored.
    weights, climate : Tensor, shape (C, Y, X)
        Area weights and climatological variance.
    patterns : int
        Number k.
    inflation : float
        Factor on the covariance in each forecast, before the noise is added.
    dtype : torch.dtype
        Patterns are stored in.
    """

    patterns: Tensor  # (s, k)
    operator: Tensor  # (k, k) A
    noise: Tensor  # (k, k) Q
    spectrum: Tensor  # (k,) variance of the coefficients in the control run
    rest: Tensor  # (s,) variance that the patterns leave out
    weights: Tensor
    climate: Tensor
    deviation: Tensor

    def __init__(
        self,
        kept: Kept,
        weights: Tensor,
        climate: Tensor,
        patterns: int,
        inflation: float,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.kept, self.inflation = kept, inflation
        self.sea = sea = kept.sea
        self.register_buffer("patterns", torch.zeros(kept.size, patterns, dtype=dtype))
        self.register_buffer("operator", torch.zeros(patterns, patterns))
        self.register_buffer("noise", torch.zeros(patterns, patterns))
        self.register_buffer("spectrum", torch.zeros(patterns))
        self.register_buffer("rest", torch.zeros(kept.size))
        self.register_buffer("weights", sea.vector(weights), persistent=False)
        self.register_buffer("climate", sea.vector(climate), persistent=False)
        self.register_buffer("deviation", self.climate.clamp_min(1e-12).sqrt(), persistent=False)
        self._left: Tensor | None = None
        self.register_load_state_dict_post_hook(_forget_left)

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
        stored = self.kept.pick(self.sea.vector(state.mean)) * self.kept.collect(self.weights)
        coefficients = _product(stored, self.patterns)
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
        missing = self.sea.vector(seen.value) - rest
        mean, after = coefficients.clone(), covariance.clone()
        same = alike(seen.mask, seen.variance, covariance, extra)
        for rows in rows_of(len(missing), same):
            cell, error = self.sea.observed(seen, rows.start)
            if cell.numel():
                operator = self.rows(cell)
                told = coefficients[rows].to(operator.dtype) @ operator.mT
                mean[rows], after[rows] = kalman_step(
                    mean[rows],
                    covariance[rows.start],
                    operator,
                    missing[rows][:, cell] - told,
                    error + extra[rows.start, cell],
                )
        return mean, after

    def rows(self, cell: Tensor) -> Tensor:
        """Rows (..., k) of the patterns of cells of the sea (...)."""
        if self.kept.mesh is None:
            return whole(self.patterns[cell])
        # in standard deviations of the stored cells, then of these
        corners, weight = self.kept.corners(cell)
        weight = weight * (self.deviation[cell][..., None] / self._stored_deviation()[corners])
        return self.kept.weighted(self.patterns, corners, weight)

    def _stored_deviation(self) -> Tensor:
        """Climatological standard deviation (s,) of the stored cells."""
        return self.kept.pick(self.deviation)

    def _between(self, x: Tensor, power: int = 1) -> Tensor:
        """All cells (..., n) of stored ones (..., s), scaled by a power of the deviation."""
        if self.kept.mesh is None:
            return x
        scaled = self.kept.spread(x / self._stored_deviation() ** power)
        return scaled * self.deviation**power

    def left(self) -> Tensor:
        """Variance (n,) that the patterns leave out."""
        if self.kept.mesh is None:
            return self.rest
        if self._left is None or self._left.device != self.rest.device:
            with torch.inference_mode(False), torch.no_grad():
                self._left = self._between(self.rest, 2)
        return self._left

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
        coefficients = coefficients.to(self.deviation.dtype)
        parts = [coefficients @ whole(part).mT for part in self.patterns.split(_ROWS)]
        return self._between(torch.cat(parts, dim=1))

    def variance(self, covariance: Tensor) -> Tensor:
        """Error variance (B, n) of covariances (B, k, k)."""
        if alike(covariance):
            one = self._between(low_rank_variance(self.patterns, covariance[0]), 2)
            return one.expand(len(covariance), -1)
        parts = [low_rank_variance(self.patterns, part) for part in covariance]
        return self._between(torch.stack(parts), 2)


def _forget_left(module: ReducedFilter, _: object) -> None:
    """What was made of arrays that are no longer there."""
    module._left = None


def _product(x: Tensor, stored: Tensor) -> Tensor:
    """Product of x (B, s) with what is stored (s, K), some rows at a time."""
    parts = zip(x.split(_ROWS, dim=1), stored.split(_ROWS), strict=True)
    return sum((a @ whole(b) for a, b in parts), start=x.new_zeros(len(x), stored.shape[1]))


def packed(coefficients: Tensor, covariance: Tensor) -> Tensor:
    """Coefficients (B, k) and covariance (B, k, k) as one tensor (B, k, 1 + k) to carry."""
    return torch.cat([coefficients[..., None], covariance], dim=-1)
