"""Classical baselines as architectures: OI, EnOI, reduced Kalman filter, and both together.

Nothing is trained: what :mod:`xdeepda.core.fitted` holds is fitted to the control run.
"""

from __future__ import annotations

import torch
from torch import Tensor

from xdeepda.core.architecture import Architecture
from xdeepda.core.fitted import EnsembleCovariance, ReducedFilter, packed
from xdeepda.core.sea import Kept, Sea
from xdeepda.core.state import Geometry, Observed, State


class EnOIArchitecture(Architecture):
    """Ensemble optimal interpolation, cycled with damped persistence.

    The correlations are those of anomalies of the control run, fixed and localised; the
    variances are those of the background (`evolving`) or of the climate, times `inflation`.

    Parameters
    ----------
    geometry : Geometry
    ensemble : int
        Anomalies of the control run.
    localisation : float
        Distance (km) beyond which no observation acts.
    inflation : float
        Factor on the background error variance within the gain.
    damping : float
        Power of the persistence: 1 fades as the control run, less fades less.
    evolving : bool
        Variances of the gain follow the background error, else they are climatological.
    local : bool
        Each water column on its own with the observations in reach; else all at once.
    most : int
        Observations that a column uses.
    """

    trainable = False

    def __init__(
        self,
        geometry: Geometry,
        *,
        ensemble: int = 108,
        localisation: float = 4500.0,
        inflation: float = 1.0,
        damping: float = 1.0,
        evolving: bool = True,
        local: bool = True,
        most: int = 100,
    ) -> None:
        super().__init__(geometry)
        self.sea = Sea(geometry)
        self.covariance = EnsembleCovariance(Kept(self.sea), ensemble, localisation, local, most)
        self.inflation, self.damping, self.evolving = inflation, damping, evolving

    def memory(self) -> Tensor:
        """Persistence to the power of the damping, shape (C, Y, X)."""
        return self.persistence**self.damping

    def analyse(self, background: State, observed: Observed) -> State:
        """Spread the innovations by the correlations of the control run."""
        mean = self.sea.vector(background.mean)
        scale = background.variance if self.evolving else self.clim_variance
        prior = self.inflation * self.sea.vector(scale).expand_as(mean)
        increment, reduction = self.covariance.analyse(mean, prior, observed)
        variance = background.variance * (1 - self.sea.field(reduction))
        return State(background.mean * self.wet + self.sea.field(increment), variance)


class OIArchitecture(EnOIArchitecture):
    """Optimal interpolation of the observations of one cycle, on the climatology.

    Nothing is remembered: the background is the anomaly zero with climatological variance.
    For the parameters see :class:`EnOIArchitecture`.
    """

    fixed_growth = "its background error is climatological"

    def __init__(
        self,
        geometry: Geometry,
        *,
        ensemble: int = 108,
        localisation: float = 4500.0,
        inflation: float = 1.0,
        local: bool = True,
        most: int = 100,
    ) -> None:
        super().__init__(
            geometry,
            ensemble=ensemble,
            localisation=localisation,
            inflation=inflation,
            evolving=False,
            local=local,
            most=most,
        )

    def forecast(self, state: State, season: Tensor) -> State:
        """Return the climatology."""
        variance = self.clim_variance.expand_as(state.mean)
        return State(torch.zeros_like(state.mean), variance.clone())


class KalmanArchitecture(Architecture):
    """Kalman filter in the space of the leading EOFs of the control run.

    A linear inverse model of one cycle makes the forecast of mean and covariance.  What
    the EOFs leave out is climatological variance and, times `truncation`, an error of the
    observations.

    Parameters
    ----------
    geometry : Geometry
    patterns : int
        Number of EOFs.
    neighbours : bool
        Whether the inverse model is an operator of neighbouring cells, or a regression.
    inflation : float
        Factor on the covariance in each forecast, before the noise is added.
    truncation : float
        Factor on the truncated variance, above 1 where what is left out is correlated
        between the observations.

    References
    ----------
    Penland & Sardeshmukh (1995), J. Climate 8, 1999-2024: linear inverse model.
    Cane et al. (1996), doi:10.1029/96JC01684: filter in the space of EOFs.
    """

    trainable = False
    fixed_growth = "its covariance follows the linear inverse model"

    def __init__(
        self,
        geometry: Geometry,
        *,
        patterns: int = 150,
        neighbours: bool = True,
        inflation: float = 1.0,
        truncation: float = 3.0,
    ) -> None:
        super().__init__(geometry)
        self.sea = Sea(geometry)
        self.filter = ReducedFilter(
            Kept(self.sea), self.weights, self.clim_variance, patterns, inflation
        )
        self.truncation = truncation

    def forecast(self, state: State, season: Tensor) -> State:
        """Background by the linear inverse model."""
        return self._state(*self.filter.forecast(*self.filter.unpack(state)))

    def replaced(self, background: State, mean: Tensor) -> State:
        """Background of another mean, as far as the patterns hold it."""
        return self._state(*self.filter.following(background, mean))

    def analyse(self, background: State, observed: Observed) -> State:
        """Analysis of the filter, as fields."""
        coefficients, covariance = self.filter.unpack(background)
        extra = (self.truncation * self.filter.rest).expand(len(coefficients), -1)
        none = torch.zeros_like(extra)
        return self._state(*self.filter.analyse(coefficients, covariance, none, extra, observed))

    def _state(self, coefficients: Tensor, covariance: Tensor) -> State:
        """Fields of coefficients and covariance."""
        variance = self.filter.variance(covariance) + self.filter.rest
        mean = self.sea.field(self.filter.fields(coefficients))
        return State(mean, self.sea.field(variance), packed(coefficients, covariance))


class CombinedArchitecture(Architecture):
    """Reduced Kalman filter for the large and deep, EnOI for what it leaves.

    The state is E c + r.  The filter takes r as an error of the observations, of the
    variance that r has at the time.  Then EnOI spreads the innovations that remain by the
    correlations that r has in the control run; the error that the filter is left with
    counts as an error of the observations.

    Parameters
    ----------
    geometry : Geometry
    patterns : int
        Number of EOFs of the filter.
    neighbours : bool
        As of :class:`KalmanArchitecture`.
    truncation : float
        Factor on the variance of r as an error of the observations of the filter.
    ensemble, localisation, inflation, damping, evolving, local, most
        Of the EnOI, see :class:`EnOIArchitecture`.
    """

    trainable = False
    fixed_growth = "its covariance follows the linear inverse model"
    rest_memory: Tensor

    def __init__(
        self,
        geometry: Geometry,
        *,
        patterns: int = 100,
        neighbours: bool = True,
        truncation: float = 4.0,
        ensemble: int = 108,
        localisation: float = 4000.0,
        inflation: float = 1.0,
        damping: float = 1.0,
        evolving: bool = True,
        local: bool = True,
        most: int = 100,
    ) -> None:
        super().__init__(geometry)
        self.sea = Sea(geometry)
        self.covariance = EnsembleCovariance(Kept(self.sea), ensemble, localisation, local, most)
        self.filter = ReducedFilter(Kept(self.sea), self.weights, self.clim_variance, patterns, 1.0)
        self.register_buffer("rest_memory", torch.zeros(self.sea.size))
        self.truncation, self.inflation = truncation, inflation
        self.damping, self.evolving = damping, evolving

    def parts(self, state: State) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Coefficients and covariance of the filter; r and its variance, (B, n) each."""
        coefficients, covariance = self.filter.unpack(state)
        rest = self.sea.vector(state.mean) - self.filter.fields(coefficients)
        variance = self.sea.vector(state.variance) - self.filter.variance(covariance)
        # the difference of two that are nearly equal
        floor = 1e-4 * self.filter.rest
        return coefficients, covariance, rest, torch.maximum(variance, floor)

    def forecast(self, state: State, season: Tensor) -> State:
        """Patterns by the linear inverse model; what is left fades."""
        coefficients, covariance, rest, variance = self.parts(state)
        later = self.filter.forecast(coefficients, covariance)
        memory = self.rest_memory**self.damping
        grown = memory**2 * variance + (1 - memory**2) * self.filter.rest
        return self._state(*later, memory * rest, self.filter.variance(later[1]) + grown)

    def replaced(self, background: State, mean: Tensor) -> State:
        """Background of another mean: the patterns take what they hold of the difference."""
        carried = packed(*self.filter.following(background, mean))
        return State(mean * self.wet, background.variance, carried)

    def analyse(self, background: State, observed: Observed) -> State:
        """Filter first, then EnOI of what it leaves."""
        coefficients, covariance, rest, variance = self.parts(background)
        coefficients, covariance = self.filter.analyse(
            coefficients, covariance, rest, self.truncation * variance, observed
        )
        mean = self.filter.fields(coefficients) + rest
        scale = variance if self.evolving else self.filter.rest.expand_as(variance)
        known = self.filter.variance(covariance)
        blurred = observed.variance + self.sea.field(known) * observed.mask
        increment, reduction = self.covariance.analyse(
            mean, self.inflation * scale, observed._replace(variance=blurred)
        )
        total = known + variance * (1 - reduction)
        return self._state(coefficients, covariance, rest + increment, total)

    def _state(
        self, coefficients: Tensor, covariance: Tensor, rest: Tensor, variance: Tensor
    ) -> State:
        """Fields of the parts and of the variance of both, (B, n)."""
        mean = self.sea.field(self.filter.fields(coefficients) + rest)
        return State(mean, self.sea.field(variance), packed(coefficients, covariance))
