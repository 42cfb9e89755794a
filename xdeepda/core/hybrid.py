"""The architecture ``hybrid``: a network that stands on two classical analyses.

A reduced Kalman filter cycles beside the network; an ensemble interpolation (EnOI)
spreads the network's own innovations, by the correlations of the errors that a first run
has made.  The network weighs one against the other in each cell, corrects what both lack,
and says how far its error goes.  Between the cycles the anomalies follow the linear
inverse model of the filter as far as that is learned to help, and a second network
corrects this forecast.

While it is trained, each part of the control run is analysed by classical schemes that
were fitted to the others: else the network would learn to trust them too much.

By construction nothing but damping is left where neither observations nor memory tell
anything: an unobserved ocean returns to climatology.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xdeepda.core.architecture import Stored
from xdeepda.core.classical import afloat
from xdeepda.core.fitted import EnsembleCovariance, ReducedFilter, packed
from xdeepda.core.innovations import InnovationArchitecture
from xdeepda.core.kalman import low_rank_variance
from xdeepda.core.layers import TwoScales
from xdeepda.core.sea import Kept, Meshed, Sea, mesh_of
from xdeepda.core.state import Geometry, Observed, State

#: Weights of the classical schemes at the start: the local one leads.
_FIRST_BLEND = -1.5
#: Single numbers learn so many times faster than the weights of the networks.
_FAST = 10.0
#: Variances, and their growth, are corrected by at most this factor, in logarithms.
_MOST = 1.5
#: Columns of which patterns and anomalies are stored, at most, unless all are asked for.
MOST_COLUMNS = 16384
#: Share of the climatological variance that counts as nothing known.
_NOTHING = 0.01


class Classical(Meshed):
    """Fitted parts of the hybrid: the filter and the ensemble covariance.

    Parameters
    ----------
    sea : Sea
    weights, climate : Tensor, shape (C, Y, X)
    patterns, ensemble : int
    localisation : float
    most, modes : int
    stride : (int, int)
        Every so many columns are solved.
    apart : (int, int)
        Of every so many columns, patterns and anomalies are stored, as halves.
    carried : bool
        Whether the variance of a background is what the cycles before have left; else all have
        the same, that of the errors of the first run.
    """

    unobserved: Tensor
    stationary: Tensor
    climate: Tensor
    nodes: Tensor
    mesh_solved: Tensor

    def __init__(
        self,
        sea: Sea,
        weights: Tensor,
        climate: Tensor,
        *,
        patterns: int,
        ensemble: int,
        localisation: float,
        most: int,
        stride: tuple[int, int],
        modes: int,
        apart: tuple[int, int],
        carried: bool,
    ) -> None:
        super().__init__()
        self.sea, half = sea, torch.float16
        self.kept = kept = Kept(sea, apart)
        self.filter = ReducedFilter(kept, weights, climate, patterns, 1.0, half)
        self.covariance = EnsembleCovariance(
            kept, ensemble, localisation, True, most, stride, modes, half
        )
        self.hold_mesh(mesh_of(sea, stride))
        self.register_buffer("unobserved", torch.ones(sea.size))
        self.register_buffer("climate", sea.vector(climate), persistent=False)
        if not carried:
            self.register_buffer("stationary", self.climate.clone())
        # cells at the mesh, (m, C)
        nodes = afloat(sea.table)[self.mesh_solved].clamp_min(0)
        self.register_buffer("nodes", nodes, persistent=False)

    def take(self, arrays: dict[str, Tensor]) -> None:
        """Take over fitted arrays, and find how large the filter's error grows unobserved."""
        later = {"unobserved": torch.ones_like(self.unobserved)}
        if "stationary" in self._buffers:
            later["stationary"] = self.climate
        self.load_state_dict({**later, **arrays})
        self.unobserved.copy_(self._variance(self.filter.unobserved()[None])[0])

    def take_errors(self, errors: Tensor) -> None:
        """Take correlations, and the variance where none is carried, from errors (N, s)."""
        self.covariance.renew(errors)
        if "stationary" in self._buffers:
            square = self.kept.spread(errors.square().mean(dim=0))
            self.stationary.copy_(torch.minimum(square, self.climate))

    def usual_covariance(self) -> Tensor:
        """Covariance (k, k) of the filter's backgrounds where none is carried.

        That of the control run, as much of it as the variance is of the climatological one.
        """
        filter_ = self.filter
        share = (self.stationary @ filter_.weights) / (self.climate @ filter_.weights)
        return filter_.exact(share) * torch.diag(filter_.exact(filter_.spectrum))

    def error_variance(self, covariance: Tensor) -> Tensor:
        """Error variance (B, n) of the filter with covariances (B, k, k).

        Relative to that of the filter that sees nothing, which is the climatological one.
        """
        return self.climate * self._variance(covariance) / self.unobserved

    def _variance(self, covariance: Tensor) -> Tensor:
        """Variance (B, n) of patterns and rest, at the mesh and interpolated."""
        mesh, patterns = self.mesh, self.filter.rows(self.nodes.flatten())
        assert mesh is not None
        values = torch.stack([low_rank_variance(patterns, part) for part in covariance])
        columns = mesh.spread(values.unflatten(1, self.nodes.shape))
        return columns.flatten(1)[:, self.sea.place] + self.filter.left()


class HybridArchitecture(InnovationArchitecture):
    """Reduced Kalman filter and EnOI, weighed and corrected by a network.

    Parameters
    ----------
    geometry : Geometry
    folds : int
        Parts of the control run that are each analysed with what was fitted to the others.
    patterns : int
        EOFs of the filter.
    neighbours : bool
        Whether its operator is one of neighbouring cells, or a regression of coefficients.
    truncation : float
        Factor on the variance that the EOFs leave out, as an error of the observations.
    ensemble : int
        Errors of a first run that make the correlations of the EnOI.
    localisation : float
        Distance (km) beyond which no observation acts in the EnOI.
    most : int
        Observations that a column of the EnOI uses.
    spacing : float
        The EnOI solves columns so many correlation lengths of the anomalies apart, at most.
    thinning : float
        Patterns and anomalies are stored for columns so many correlation lengths apart, at
        most, and interpolated between; farther where there would be more than `MOST_COLUMNS`.
        0 for all columns.
    modes : int
        Combinations of the observations of a column that the EnOI keeps.
    forecast_width : int
        Features of the network of the forecast.
    carried : bool
        Whether error variance and covariance are carried from cycle to cycle; else each
        analysis begins with the same ones.
    width, deep_width, dilations, distances, partial, kernel, lag
        See :class:`xdeepda.core.innovations.InnovationArchitecture`.
    """

    dynamics: nn.Parameter
    blend: nn.Parameter
    doubt: nn.Parameter
    growth: nn.Parameter

    one_gain = True
    learns_errors = True
    forecasts_variance = True
    #: Module that holds what is fitted to the control run.
    fitted = "classical"

    def __init__(
        self,
        geometry: Geometry,
        *,
        folds: int = 3,
        patterns: int = 192,
        neighbours: bool = True,
        truncation: float = 8.0,
        ensemble: int = 200,
        localisation: float = 6000.0,
        most: int = 80,
        spacing: float = 1.5,
        thinning: float = 0.5,
        modes: int = 6,
        forecast_width: int = 24,
        carried: bool = True,
        width: int = 40,
        deep_width: int = 80,
        dilations: tuple[int, ...] = (1, 2, 4, 8),
        distances: tuple[float, ...] = (0.4, 1.0),
        partial: bool = True,
        kernel: int = 5,
        lag: int = 0,
    ) -> None:
        channels = geometry.channels
        super().__init__(
            geometry,
            width=width,
            deep_width=deep_width,
            dilations=dilations,
            distances=distances,
            partial=partial,
            kernel=kernel,
            extra=4 * channels,
            outputs=4 * channels,
            lag=lag,
            hint=True,
        )
        self.folds, self.truncation = folds, truncation
        self.carries = carried
        self.sea = Sea(geometry)
        rows, columns = (max(1, round(spacing * length)) for length in geometry.length)
        self._sizes: dict[str, Any] = {
            "patterns": patterns,
            "ensemble": ensemble,
            "localisation": localisation,
            "most": most,
            "stride": (rows, columns),
            "modes": modes,
            "carried": carried,
            "apart": _apart(geometry, thinning),
        }
        self.classical = self._unfitted()
        for name in ("dynamics", "blend", "doubt", "growth"):
            self.register_parameter(name, nn.Parameter(torch.zeros(channels, 1, 1)))
        self.tendency = TwoScales(
            3 * channels + self.static.shape[0] + 2,
            forecast_width,
            2 * forecast_width,
            2 * channels,
            dilations=(1, 2, 4),
            shape=(int(self.wet.shape[1]), int(self.wet.shape[2])),
            cyclic=geometry.cyclic,
        )
        # of training only: neither weights nor part of the model
        self._others: tuple[Classical, ...] = ()
        self._rows: tuple[Tensor, ...] = ()

    def _unfitted(self) -> Classical:
        """Classical schemes whose arrays are still to be filled in."""
        return Classical(self.sea, self.weights, self.clim_variance, **self._sizes)

    # ---- classical schemes of the folds

    def cross_fit(self, arrays: Sequence[dict[str, Tensor]]) -> None:
        """Take over, for each fold, the classical schemes that were fitted to the others."""
        self._others = tuple(self._unfitted().to(self.wet.device) for _ in arrays)
        for module, values in zip(self._others, arrays, strict=True):
            module.take(values)

    def noise(self, geometry: Geometry) -> Callable[[int, torch.Generator], Tensor]:
        """Draws that are alike the errors of the first run, over the whole ocean."""
        return self.classical.covariance.draw

    def stored(self) -> Stored:
        """Cells of the columns that are kept, and the area weights that they stand for."""
        kept = self.classical.kept
        weights = kept.collect(self.sea.vector(self.weights))
        return Stored(kept.cells, weights, self._sizes["apart"])

    def as_stored(self, fields: Tensor) -> Tensor:
        """Cells (..., s) of the columns that are kept, of fields (..., C, Y, X)."""
        return self.classical.kept.pick(self.sea.vector(fields))

    def take_errors(self, errors: Sequence[Tensor]) -> None:
        """Take the correlations of the EnOI from errors (N, s) of each fold."""
        self.classical.take_errors(torch.cat(tuple(errors)))
        for fold, module in enumerate(self._others):
            others = [part for n, part in enumerate(errors) if n != fold]
            module.take_errors(torch.cat(others))

    def use_folds(self, fold: Tensor | None) -> None:
        """Say which fold each row of the batch is of (B,); None analyses other years."""
        if fold is None or not self._others:
            self._rows = ()
            return
        self._rows = tuple((fold == n).nonzero()[:, 0] for n in range(len(self._others)))

    def _by_fold(
        self, call: Callable[..., tuple[Tensor, ...]], *inputs: Tensor
    ) -> tuple[Tensor, ...]:
        """Call with the classical schemes of each row's fold; results in the order of rows."""
        if not self._rows:
            return call(self.classical, *inputs)
        parts = [
            call(module, *(x[rows] for x in inputs))
            for module, rows in zip(self._others, self._rows, strict=True)
            if len(rows)
        ]
        order = torch.argsort(torch.cat(self._rows))
        return tuple(torch.cat(part)[order] for part in zip(*parts, strict=True))

    # ---- the cycle

    def forecast(self, state: State, season: Tensor) -> State:
        """Damped persistence, the inverse model as far as learned, and what the network adds.

        The filter's own forecast fades, so that this one does.
        """
        memory = self.memory()

        def step(classical: Classical, carried: Tensor) -> tuple[Tensor, ...]:
            filter_, coefficients = classical.filter, carried[..., 0]
            ahead, covariance = filter_.forecast(coefficients, carried[..., 1:])
            if not self.carries:
                covariance = classical.usual_covariance().expand_as(covariance)
            later = packed(ahead, covariance)
            both = filter_.fields(torch.cat([coefficients, later[..., 0]]))
            return later, *both.chunk(2)

        with torch.no_grad():
            later, now, then = self._by_fold(step, self._carried(state))
            now, then = self.sea.field(now), self.sea.field(then)
        fading, moved = memory * state.mean, then - memory * now
        before = state.variance if self.carries else self._usual_variance(state)
        known = self._informed(before)
        features = [state.mean * self.inverse, moved * self.inverse, known]
        features.append(self.static.expand(len(known), -1, -1, -1))
        features.append(season[:, :, None, None].expand(len(known), -1, *known.shape[2:]))
        tendency, scale = self.tendency(torch.cat(features, dim=1)).chunk(2, dim=1)
        mean = fading + torch.sigmoid(_FAST * self.dynamics) * moved
        mean = mean + tendency * known * self.deviation
        # what is lost is corrected, never made nothing: the unobserved is forgotten at last
        factor = torch.exp(_MOST * torch.tanh(_FAST * self.growth + scale))
        if not self.carries:
            return State(mean * self.wet, torch.minimum(before * factor, self.clim_variance), later)
        lost = (1 - memory**2) * factor
        variance = before + lost.clamp_max(1.0) * (self.clim_variance - before)
        return State(mean * self.wet, variance, later)

    def _usual_variance(self, state: State) -> Tensor:
        """Variance (B, C, Y, X) that all backgrounds have where none is carried."""

        def step(classical: Classical, mean: Tensor) -> tuple[Tensor, ...]:
            return (classical.stationary.expand(len(mean), -1),)

        (usual,) = self._by_fold(step, state.mean)
        return self.sea.field(usual)

    def replaced(self, background: State, mean: Tensor) -> State:
        """Background of another mean; the filter beside is corrected by the same difference."""
        carried = packed(*self.classical.filter.following(background, mean))
        return State(mean * self.wet, background.variance, carried)

    def _informed(self, variance: Tensor) -> Tensor:
        """Root of the share of the variance that is known, exactly 0 where next to nothing is."""
        # no gradient of the training goes here: its slope has no end where little is known
        held = variance.detach() if torch.is_grad_enabled() else variance
        more = 1 - held * self.inverse**2 - _NOTHING
        return torch.where(more > 0, more.clamp_min(torch.finfo(more.dtype).tiny).sqrt(), 0)

    def analyse(self, background: State, observed: Observed) -> State:
        """Weigh the classical analyses, add the correction, and scale their variance."""
        prior, seen = background.variance, self.innovations(background, observed)
        filtered, filter_variance, local, reduction, carried = self._classical(background, observed)
        ahead = filtered - background.mean
        unknown = filter_variance * self.inverse**2 - 1
        more = (ahead * self.inverse, unknown, local * self.inverse, reduction)
        fields = self.network(self.features(background, observed, seen, *more))
        correction, blend, scale, trust = fields.chunk(4, dim=1)
        share = torch.sigmoid(_FIRST_BLEND + _FAST * self.blend + blend)
        reached = self.reached(observed.mask)
        local_variance = (1 - reduction) * prior
        least = torch.minimum(local_variance, filter_variance)
        scale = torch.tanh(_FAST * self.doubt + scale)
        variance = least * torch.exp(_MOST * scale * reached)
        variance = torch.minimum(variance, self.clim_variance)
        # what nobody knows anything about is left to the climatology
        informed = self._informed(variance)
        first = (1 + torch.tanh(trust)) * (1 - share) * local + share * ahead
        mean = background.mean + first + correction * informed * self.deviation
        return State(self.capped(mean) * self.wet, variance * self.wet, carried)

    @torch.no_grad()
    def hints(self, analyses: Sequence[State], backgrounds: Sequence[State]) -> list[Tensor]:
        """Corrections of the filter's analyses by its own smoother."""
        after = torch.stack([self._carried(state) for state in analyses], dim=1)
        before = torch.stack([self._carried(state) for state in backgrounds], dim=1)

        def step(classical: Classical, after: Tensor, before: Tensor) -> tuple[Tensor, ...]:
            return (classical.filter.smoothed(after, before),)

        (moved,) = self._by_fold(step, after, before)
        return list(self.sea.field(moved).unbind(dim=1))

    @torch.no_grad()
    def _classical(self, background: State, observed: Observed) -> tuple[Tensor, ...]:
        """Classical analyses as fields, and what the filter carries.

        Returns
        -------
        filtered, filter_variance, increment, reduction : Tensor, shape (B, C, Y, X)
            Of the filter, and of the EnOI.
        carried : Tensor
        """

        def step(
            classical: Classical, mean: Tensor, prior: Tensor, carried: Tensor, *parts: Tensor
        ) -> tuple[Tensor, ...]:
            seen, filter_ = Observed(*parts), classical.filter
            extra = (self.truncation * filter_.left()).expand(len(mean), -1)
            coefficients, covariance = filter_.analyse(
                carried[..., 0], carried[..., 1:], torch.zeros_like(mean), extra, seen
            )
            fields = filter_.fields(coefficients)
            variance = classical.error_variance(covariance)
            increment, reduction = classical.covariance.analyse(mean, prior, seen)
            return fields, variance, increment, reduction, packed(coefficients, covariance)

        vectors = self.sea.vector(background.mean), self.sea.vector(background.variance)
        carried = self._carried(background)
        *fields, carried = self._by_fold(step, *vectors, carried, *observed)
        return *(self.sea.field(x) for x in fields), carried

    def _carried(self, state: State) -> Tensor:
        """What the filter carries; rows of NaN begin with the state as it is."""
        if state.carried is not None and not state.carried.isnan().any():
            return state.carried

        def start(classical: Classical, mean: Tensor, variance: Tensor) -> tuple[Tensor, ...]:
            return (packed(*classical.filter.unpack(State(mean, variance))),)

        with torch.no_grad():
            (fresh,) = self._by_fold(start, state.mean, state.variance)
        if state.carried is None:
            return fresh
        return torch.where(state.carried.isnan(), fresh, state.carried)


def _apart(geometry: Geometry, thinning: float) -> tuple[int, int]:
    """Cells between stored columns, along Y and X."""
    length, apart = geometry.length, [max(1, int(thinning * x)) for x in geometry.length]
    columns = int((geometry.wet > 0).any(dim=0).sum())
    while thinning > 0 and columns > MOST_COLUMNS * apart[0] * apart[1]:
        # the axis along which they are nearer to each other
        near = 0 if apart[0] * length[1] <= apart[1] * length[0] else 1
        apart[near] += 1
    return apart[0], apart[1]
