"""From the name of an architecture to its module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from xdeepda.core.architecture import (
    Architecture,
    ClimatologyArchitecture,
    PersistenceArchitecture,
)
from xdeepda.core.baselines import (
    CombinedArchitecture,
    EnOIArchitecture,
    KalmanArchitecture,
    OIArchitecture,
)
from xdeepda.core.deepda2024 import DeepDA2024Generator, resolve_quirks
from xdeepda.core.hybrid import HybridArchitecture
from xdeepda.core.increment import IncrementArchitecture
from xdeepda.core.state import Geometry, Observed, State


class DeepDA2024Architecture(Architecture):
    """The published system as an :class:`Architecture`.

    The background is the previous analysis as it is.  No error variance is
    predicted: it stays climatological here, and the calibration on validation
    years turns it into one number per channel.
    """

    predicts_variance = False
    fixed_growth = "it predicts no error variance"

    def __init__(self, geometry: Geometry, *, quirks: tuple[str, ...] = ()) -> None:
        super().__init__(geometry)
        self.quirks = resolve_quirks("all" if tuple(quirks) == ("all",) else quirks)
        self.generator = DeepDA2024Generator(
            geometry.variables, cyclic=geometry.cyclic, quirks=self.quirks
        )

    def forecast(self, state: State, season: Tensor) -> State:
        """Return the previous analysis: it is the background."""
        return State(state.mean, self.clim_variance.expand_as(state.mean))

    def analyse(self, background: State, observed: Observed) -> State:
        """Make the analysis by the published generator."""
        analysis = self.generator(
            self.columns(background.mean),
            self.columns(observed.value),
            self.columns(observed.mask),
            self.columns(self.wet[None])[0],
        )
        return State(analysis.flatten(1, 2), background.variance)

    def columns(self, x: Tensor) -> Tensor:
        """(B, C, Y, X) to (B, variable, level, Y, X)."""
        return x.unflatten(1, (self.variables, -1))


_MODULES: dict[str, type[Architecture]] = {
    "increment": IncrementArchitecture,
    "hybrid": HybridArchitecture,
    "deepda2024": DeepDA2024Architecture,
    "climatology": ClimatologyArchitecture,
    "persistence": PersistenceArchitecture,
    "oi": OIArchitecture,
    "enoi": EnOIArchitecture,
    "kalman": KalmanArchitecture,
    "combined": CombinedArchitecture,
}


def is_trainable(name: str) -> bool:
    """Whether an architecture has weights to train."""
    return _MODULES[name].trainable


def why_not_replaced(name: str) -> tuple[str | None, str | None]:
    """Why the background of an architecture, and its error, cannot be another forecast's."""
    module = _MODULES[name]
    return module.fixed_background, module.fixed_growth


def build(name: str, settings: dict[str, Any], geometry: Geometry, seed: int = 0) -> Architecture:
    """Build an architecture with initial weights drawn from `seed`."""
    # a generator of its own: the user's random numbers are not disturbed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _MODULES[name](geometry, **settings)


class _WithoutDraws(TorchFunctionMode):
    """Leaves out the drawing of initial weights: it loads much of torch, for nothing here."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        return func(*args, **(kwargs or {}))


def weight_shapes(
    name: str, settings: dict[str, Any], geometry: Geometry
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights of an architecture, without the memory that they take."""
    with torch.device("meta"), _WithoutDraws():
        module = _MODULES[name](geometry, **settings)
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}
