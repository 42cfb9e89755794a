"""A trained model, taken through the cycles of an assimilation."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from xdeepda.bridge.tensors import module_of, tensors_of
from xdeepda.core.cycle import Lagged, MemberNoise, perturb
from xdeepda.core.precision import has_bfloat16, set_precision
from xdeepda.core.state import Observed, State, climatological
from xdeepda.errors import DeviceMemoryError, DivergenceError
from xdeepda.options import option

if TYPE_CHECKING:
    from xdeepda.model import Model

logger = logging.getLogger("xdeepda")

#: Share of the climatological variance from which on a spread is at its largest, but for rounding.
_CAPPED = 1 - 1e-5


@dataclass(frozen=True)
class CycleResult:
    """One analysed cycle in units of the variables; arrays (variable, nz, ny, nx), NaN on land."""

    analysis: np.ndarray
    spread: np.ndarray
    background: np.ndarray
    background_spread: np.ndarray
    members: np.ndarray | None  # (member, variable, nz, ny, nx)
    #: Backgrounds and analyses of the members in the cycle itself, where they were asked for.
    cycled: tuple[np.ndarray, np.ndarray] | None = None


class Conductor:
    """Takes a trained model through the cycles of an assimilation, step by step.

    Parameters
    ----------
    model : Model
    initial : numpy.ndarray, shape (members, C, Y, X)
        Initial anomalies in units of the variables.
    spread : numpy.ndarray, shape (C, Y, X), optional
        Standard deviation of the error of `initial`; climatological by default.
    keep_members : bool
    show_members : bool
        Give out what the members are in the cycle itself, too.
    device : str, optional
    seed : int
    """

    def __init__(
        self,
        model: Model,
        initial: np.ndarray,
        *,
        spread: np.ndarray | None = None,
        keep_members: bool = False,
        show_members: bool = False,
        device: str | None = None,
        seed: int = 0,
    ) -> None:
        self.model, self.keep_members = model, keep_members
        self.show_members = show_members
        self.tensors = tensors_of(model, device)
        self.module = module_of(model, self.tensors)
        set_precision(self.module, precision_on(self.tensors.device))
        self.members = len(initial)
        self.generator = torch.Generator(self.tensors.device).manual_seed(seed)
        self.state = State(self.tensors.normalise(initial), self._initial_variance(spread))
        self.background = self.state
        self.lagged = Lagged(self.module)
        self.capped = torch.zeros((), dtype=torch.int64, device=self.tensors.device)
        self.noise: MemberNoise | None = None
        if keep_members and self.members > 1:
            geometry = self.tensors.geometry
            self.noise = MemberNoise(
                self.module.noise(geometry),
                geometry.persistence,
                self.members,
                torch.Generator(self.tensors.device).manual_seed(seed + 1),
            )

    @torch.inference_mode()
    def forecast(
        self, fraction: float, other: np.ndarray | None = None, error: np.ndarray | None = None
    ) -> None:
        """Go on to the background of the next cycle, at `fraction` of the year.

        `other`: anomalies (members, variable, nz, ny, nx) that another forecast makes of
        :meth:`anomalies`; `error`: its standard deviation after one step, (variable, nz, ny,
        nx); by it the variance grows, to the climatological one at last.
        """
        self.background = self.module.forecast(self.state, self.tensors.season(fraction))
        if other is None:
            return
        mean = self.tensors.normalise(other.reshape(-1, *self.tensors.shape))
        self.background = self.module.replaced(self.background, mean)
        if error is not None:
            climate = self.module.clim_variance
            grown = self.tensors.normalise(error.reshape(1, *self.tensors.shape)) ** 2
            lost = (grown / climate.clamp_min(1e-12)).clamp_max(1)
            variance = self.state.variance + lost * (climate - self.state.variance)
            self.background = self.background._replace(variance=variance)

    def anomalies(self) -> np.ndarray:
        """Analysed anomalies of the members, (members, variable, nz, ny, nx), NaN on land."""
        return self.tensors.denormalise(self.state.mean)

    @torch.inference_mode()
    def background_fields(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and spread of the background, (variable, nz, ny, nx): what a check looks at."""
        spread = self._variance(self.background, self.model.calibration["background"]).sqrt()
        mean = self.background.mean.mean(dim=0)
        return self.tensors.denormalise(mean), self.tensors.denormalise(spread)

    @torch.inference_mode()
    def analyse(
        self, number: int, fraction: float, rows: tuple[np.ndarray, np.ndarray, np.ndarray]
    ) -> CycleResult | None:
        """Analyse the cycle whose background was forecast.

        Parameters
        ----------
        number : int
            Absolute number of the cycle.
        fraction : float
            Its place in the year.
        rows : (cell, anomaly, error)
            Superobservations; anomalies in units of the variables.

        Returns
        -------
        CycleResult, optional
            Of the cycle; of a smoother, of the one that need wait no longer, in their
            order, and None while there is none.

        Raises
        ------
        DivergenceError
            If a number that is not finite appears; cycle, member and cell are named.
        """
        observed = self.tensors.scatter([rows], np.atleast_1d(fraction))
        try:
            analysis = self.module.analyse(self.background, self._for_members(observed))
        except torch.OutOfMemoryError:
            raise self._too_many(observed) from None
        self._check(analysis, number)
        self.capped += self._capped(analysis)
        self.state = analysis
        ready = self.lagged.add(self.background, analysis)
        lag = self.lagged.lag
        return None if ready is None else self._result(*ready, lag > 0, number - lag)

    @torch.inference_mode()
    def rest(self, number: int) -> CycleResult | None:
        """Next cycle that still waits after the last one, `number`; None if there is none."""
        later = len(self.lagged.held) - 1
        ready = next(self.lagged.rest(), None)
        return None if ready is None else self._result(*ready, later > 0, number - later)

    def finish(self) -> None:
        """Warn if the guard against runaway cycling had to hold values."""
        if self.capped:
            warnings.warn(
                f"{int(self.capped)} values of the analysis were held at {self.module.cap:g} "
                "standard deviations from climatology; look for gross errors among the "
                "observations, for errors that are given too small, and for anomalies from "
                "another climatology",
                stacklevel=2,
            )

    def snapshot(self) -> dict[str, np.ndarray]:
        """All that the next cycle depends on, copied: to go on from it gives the same bits."""
        tensors = {"capped": self.capped, "draws": self.generator.get_state()}
        states = {"state": self.state}
        for n, pair in enumerate(self.lagged.held):
            states |= {f"held {n:03d} background": pair[0], f"held {n:03d} analysis": pair[1]}
        for name, state in states.items():
            parts = state._asdict().items()
            tensors |= {f"{name}/{part}": x for part, x in parts if x is not None}
        if self.noise is not None:
            tensors |= {"noise": self.noise.field, "noise_draws": self.noise.generator.get_state()}
        return {name: tensor.cpu().numpy().copy() for name, tensor in tensors.items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what :meth:`snapshot` gave."""
        tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        draws = tensors.pop("draws")
        # those of another kind of device do not matter to a single member, which draws none
        if self.members > 1 or draws.shape == self.generator.get_state().shape:
            self.generator.set_state(draws)
        if self.noise is not None:
            self.noise.generator.set_state(tensors.pop("noise_draws"))
        moved = {name: tensor.to(self.tensors.device) for name, tensor in tensors.items()}
        self.capped = moved.pop("capped")
        if self.noise is not None:
            self.noise.field = moved.pop("noise")
        states: dict[str, dict[str, Tensor]] = {}
        for name in sorted(moved):
            state, part = name.split("/")
            states.setdefault(state, {})[part] = moved[name]
        self.state = State(**states.pop("state"))
        held = iter(State(**states[name]) for name in sorted(states))
        # of each cycle the analysis comes before the background, by the alphabet
        self.lagged.held.extend((next(held), analysis) for analysis in held)

    def _too_many(self, observed: Observed) -> DeviceMemoryError:
        """Say how many members fit into the memory of the device, by trying one and two."""
        told = f"assimilate: {self.members} members do not fit into the memory of the GPU"
        todo = "members=1, or device='cpu'"
        if self.members > 1:
            try:
                one, two = (self._peak(observed, members) for members in (1, 2))
                own = sum(x.nbytes for x in self.state if x is not None) // self.members
                room = _room(self.tensors.device) + own * self.members
                # what is needed grows with the members, a part of it is always the same
                fits = int((0.9 * room - (2 * one - two)) // max(two - one + own, 1))
                fits = min(fits, self.members - 1)
                todo = f"members={fits}, or device='cpu'" if fits > 0 else todo
            except torch.OutOfMemoryError:
                todo = "device='cpu', or a coarser grid"
        return DeviceMemoryError(f"{told}; what to do: {todo}")

    def _peak(self, observed: Observed, members: int) -> int:
        """Bytes that a cycle of so many members takes at most, besides what is held."""
        device = self.tensors.device
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        state = self.state.each(lambda x: x[:members])
        few = Observed(*(x.expand(members, *x.shape[1:]) for x in observed))
        self.module.analyse(self.module.forecast(state, observed.season), few)
        return int(torch.cuda.max_memory_allocated(device) - before)

    def _capped(self, analysis: State) -> Tensor | int:
        """Count values at the guard against runaway cycling."""
        if self.module.cap is None:
            return 0
        limit = 0.999 * self.module.cap * self.module.clim_variance.sqrt()
        return ((analysis.mean.abs() >= limit) & (limit > 0)).sum()

    def _initial_variance(self, spread: np.ndarray | None) -> Tensor:
        """Variance to start from, uncalibrated as the cycle carries it; (members, C, Y, X)."""
        if spread is None:
            return climatological(self.tensors.geometry, self.members).variance
        factor = self.model.calibration["analysis"].astype(np.float32)
        scale = torch.from_numpy(factor).to(self.tensors.device)[:, None, None]
        given, climate = self.tensors.normalise(spread[None]) ** 2, self.module.clim_variance
        # what is given out is at most climatological: how much more it was is not known there
        unknown = given > _CAPPED * climate
        variance = torch.where(unknown, torch.maximum(given / scale, climate), given / scale)
        return variance.expand(self.members, *self.tensors.shape).contiguous()

    def _for_members(self, observed: Observed) -> Observed:
        """Observations perturbed for each of several members."""
        if self.members == 1:
            return observed
        wide = Observed(*(part.expand(self.members, *part.shape[1:]) for part in observed))
        return perturb(wide, self.generator)

    def _result(
        self, background: State, analysis: State, smoothed: bool, number: int
    ) -> CycleResult:
        """Mean, calibrated spread and members of one cycle."""
        calibration = self.model.calibration
        if smoothed:
            self._check(analysis, number)
        variance = self._variance(analysis, calibration["smoothed" if smoothed else "analysis"])
        prior = self._variance(background, calibration["background"])
        members = None
        if self.noise is not None:
            self.noise.advance()
            members = self.tensors.denormalise(self.noise.add(analysis.mean, variance))
        elif self.keep_members:
            members = self.tensors.denormalise(analysis.mean)
        back = self.tensors.denormalise
        cycled = None
        if self.show_members and self.members > 1:
            cycled = (back(background.mean), back(analysis.mean))
        return CycleResult(
            back(analysis.mean.mean(dim=0)),
            back(variance.sqrt()),
            back(background.mean.mean(dim=0)),
            back(prior.sqrt()),
            members,
            cycled,
        )

    def _variance(self, state: State, factor: np.ndarray) -> Tensor:
        """Error variance of the mean of the members, (C, Y, X).

        The predicted variance of a single member, calibrated, contains what the
        perturbed observations make; where the members differ by more, they count.
        """
        scale = torch.from_numpy(factor.astype(np.float32)).to(self.tensors.device)
        predicted = state.variance.mean(dim=0) * scale[:, None, None]
        # nothing is less known than without any observation
        predicted = torch.minimum(predicted, self.module.clim_variance)
        if self.members == 1:
            return predicted
        return torch.maximum(predicted, state.mean.var(dim=0, unbiased=True))

    def _check(self, analysis: State, number: int) -> None:
        """Stop where a number is not finite."""
        bad = ~torch.isfinite(analysis.mean + analysis.variance)
        if not bad.any():
            return
        member, channel, y, x = (int(n) for n in bad.nonzero()[0])
        nz = self.model.grid.shape[0]
        flat = (channel % nz * self.shape[1] + y) * self.shape[2] + x
        depth, lat, lon = (float(c) for c in self.model.grid.coordinates(flat))
        raise DivergenceError(
            f"the analysis is not finite in cycle {number % self.model.cycle.per_year} of year "
            f"{number // self.model.cycle.per_year}, member {member}, variable "
            f"{self.model.variables[channel // nz]!r}, depth {depth:g} m, latitude {lat:g}, "
            f"longitude {lon:g}"
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, Y, X)."""
        return self.tensors.shape


def precision_on(device: torch.device) -> str:
    """Precision of the networks on a device: as set, where the device has it."""
    wanted = str(option("precision"))
    if wanted == "bfloat16" and not has_bfloat16(device):
        logger.warning("precision: %s calculates in float32, it has no bfloat16", device)
        return "float32"
    return wanted


def _room(device: torch.device) -> int:
    """Bytes of a GPU that this process could still take."""
    torch.cuda.empty_cache()
    return int(torch.cuda.mem_get_info(device)[0])
