"""The contract of an architecture: one cycle in two steps, forecast and analysis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from xdeepda.core.smoothing import SmoothNoise
from xdeepda.core.state import Geometry, Observed, State


class Stored(NamedTuple):
    """Cells of which something fitted is stored."""

    cells: Tensor  # (s,) numbers among the cells of the sea
    weights: Tensor  # (s,) area that they stand for
    apart: tuple[int, int]  # rows and columns from one to the next


#: Smallest climatological variance (squared scales); quiet cells keep a finite gain.
VARIANCE_FLOOR = 1e-4


class Architecture(nn.Module):
    """What makes an analysis out of a background and observations.

    Subclasses define :meth:`analyse`; the forecast is damped persistence unless
    they say otherwise.  Geometry is held as buffers that are not part of the
    state dict: it belongs to the grid, not to the weights.

    Parameters
    ----------
    geometry : Geometry
    """

    wet: Tensor
    persistence: Tensor
    weights: Tensor
    clim_variance: Tensor

    #: Whether there is anything to train.
    trainable = True
    #: Whether the carried variance is an estimate of the error (else calibrated as a constant).
    predicts_variance = True
    #: Parts of the control run that are trained on with what was fitted to the others.
    folds = 1
    #: Whether rows of a fold are trained on observations of the same cells: one gain serves them.
    one_gain = False
    #: Whether its covariances are those of the errors that it makes, found by a first run.
    learns_errors = False
    #: Whether the variance of the background is trained besides that of the analysis.
    forecasts_variance = False
    #: Name of the module that is fitted to the control run before the training, if there is one.
    fitted: str | None = None
    #: Later cycles whose observations enter an analysis: 0 for a filter.
    lag = 0
    #: Why no other forecast can make its background; None if any can.
    fixed_background: str | None = None
    #: Why the error of another forecast is of no use to it; None if it is.
    fixed_growth: str | None = None
    #: Largest analysis anomaly in climatological standard deviations, where there is a guard.
    cap: float | None = None

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.variables, self.cyclic = geometry.variables, geometry.cyclic
        for name in ("wet", "persistence", "weights"):
            self.register_buffer(name, getattr(geometry, name).float(), persistent=False)
        floor = geometry.variance.float().clamp_min(VARIANCE_FLOOR) * geometry.wet
        self.register_buffer("clim_variance", floor, persistent=False)

    def forecast(self, state: State, season: Tensor) -> State:
        """Background: anomalies fade as they do in the control run, variance grows.

        Exact for an AR(1) process in each cell; without observations the mean
        tends to 0 and the variance to its climatological value.

        Parameters
        ----------
        state : State
            Analysis of the cycle before.
        season : Tensor, shape (1 or B, 2)
            Cosine and sine of the year, of the cycle that is forecast.
        """
        memory = self.memory()
        variance = memory**2 * state.variance + (1 - memory**2) * self.clim_variance
        return State(memory * state.mean, variance)

    def replaced(self, background: State, mean: Tensor) -> State:
        """Background with the mean (B, C, Y, X) of another forecast in place of its own.

        Its variance stays; what is carried besides moves as the mean does.
        """
        return background._replace(mean=mean * self.wet)

    def use_folds(self, fold: Tensor | None) -> None:
        """Say which part of the control run each row of the batch is of; None for other years."""

    def cross_fit(self, arrays: Sequence[dict[str, Tensor]]) -> None:
        """Take over, for each fold, what was fitted to the others."""
        raise NotImplementedError(f"{type(self).__name__} has nothing that is fitted")

    def noise(self, geometry: Geometry) -> Callable[[int, torch.Generator], Tensor]:
        """What draws fields (M, C, Y, X) of unit variance that errors are made of.

        Smooth ones with the correlations of the anomalies, unless a subclass knows better.
        """
        return SmoothNoise(geometry).to(self.wet.device)

    def stored(self) -> Stored | None:
        """Cells of which something fitted is stored; None for all of them."""
        return None

    def as_stored(self, fields: Tensor) -> Tensor:
        """What is stored of fields (..., C, Y, X)."""
        return fields

    def take_errors(self, errors: Sequence[Tensor]) -> None:
        """Take over background errors (N, ...) of each fold, made by those of the others.

        As they are stored, see :meth:`as_stored`.
        """
        raise NotImplementedError(f"{type(self).__name__} learns no errors")

    def memory(self) -> Tensor:
        """Factor of persistence from one cycle to the next, shape (C, Y, X)."""
        return self.persistence

    def analyse(self, background: State, observed: Observed) -> State:
        """Analysis from background and observations."""
        raise NotImplementedError

    def smooth(self, analyses: Sequence[State], backgrounds: Sequence[State]) -> list[State]:
        """Consecutive analyses as they are seen from the last of them.

        Parameters
        ----------
        analyses, backgrounds : sequence of State
            Of the same cycles.

        Returns
        -------
        list of State
            As many; the last is the last analysis.
        """
        raise NotImplementedError(f"{type(self).__name__} is no smoother")


class ClimatologyArchitecture(Architecture):
    """Baseline: anomaly zero, climatological variance, whatever is observed."""

    trainable = False
    fixed_background = "its analysis is the climatology, whatever the background"

    def analyse(self, background: State, observed: Observed) -> State:
        """Return no anomaly."""
        variance = self.clim_variance.expand_as(background.mean)
        return State(torch.zeros_like(background.mean), variance.clone())


class PersistenceArchitecture(Architecture):
    """Baseline: damped persistence of what was measured in the cell itself.

    The scalar Kalman filter in each cell: nothing is spread to neighbours.
    """

    trainable = False

    def analyse(self, background: State, observed: Observed) -> State:
        """Update each observed cell alone."""
        prior = background.variance
        gain = observed.mask * prior / (prior + observed.variance + 1e-12)
        mean = background.mean + gain * (observed.value - background.mean)
        return State(mean * self.wet, (1 - gain) * prior)
