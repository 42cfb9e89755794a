"""Fields to tensors and back, and the module of a trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from xdeepda.core.architecture import Architecture
from xdeepda.core.interpolation import Interpolation
from xdeepda.core.registry import build, weight_shapes
from xdeepda.core.state import Geometry, Observed
from xdeepda.errors import ModelFileError
from xdeepda.observations.interpolation import interpolation_weights
from xdeepda.options import device_of

if TYPE_CHECKING:
    from xdeepda.climatology import Climatology, Statistics
    from xdeepda.grid import Grid
    from xdeepda.model import Model


class Tensors:
    """Translator between the labelled side of a model and its tensors.

    Parameters
    ----------
    grid : Grid
    wet : numpy.ndarray of bool, shape (variable, nz, ny, nx)
    statistics : Statistics
    climatology : Climatology
    device : str or torch.device, optional
    """

    def __init__(
        self,
        grid: Grid,
        wet: np.ndarray,
        statistics: Statistics,
        climatology: Climatology,
        device: str | None = None,
    ) -> None:
        self.device = torch.device(device_of(device))
        self.grid, self.climatology, self.wet = grid, climatology, wet
        self.scale = statistics.scale.astype(np.float32)
        # NaN on land: one product gives units and land
        land = np.where(wet.reshape(-1, *wet.shape[-2:]), self.scale[:, None, None], np.nan)
        self._units = torch.from_numpy(land.astype(np.float32)).to(self.device)
        self.geometry = _geometry(grid, wet, statistics).to(self.device)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, Y, X)."""
        channels, ny, nx = self.geometry.wet.shape
        return channels, ny, nx

    def normalise(self, anomaly: np.ndarray) -> Tensor:
        """Anomalies (n, C, Y, X) in units of the variables to a tensor; NaN becomes 0."""
        plain = np.nan_to_num(anomaly / self.scale[:, None, None], nan=0.0)
        return torch.from_numpy(np.ascontiguousarray(plain, dtype=np.float32)).to(self.device)

    def denormalise(self, x: Tensor) -> np.ndarray:
        """Tensor (..., C, Y, X) to anomalies (..., variable, nz, ny, nx), NaN on land."""
        values = (x.detach() * self._units).cpu().numpy()
        return values.reshape(*values.shape[:-3], *self.wet.shape)

    def season(self, fraction: np.ndarray | float) -> Tensor:
        """Cosine and sine of the year, shape (n, 2)."""
        angle = 2 * np.pi * np.atleast_1d(np.asarray(fraction, dtype=float))
        waves = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
        return torch.from_numpy(waves).to(self.device)

    def scatter(
        self, rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]], fraction: np.ndarray
    ) -> Observed:
        """Gridded observations of a batch out of sparse ones.

        Parameters
        ----------
        rows : list of (cell, anomaly, error)
            One entry for each member of the batch: flat cell numbers in
            (variable, nz, ny, nx), anomalies and standard deviations in units of
            the variables.  Cells on land are ignored.
        fraction : array, shape (B,) or (1,)
            Year fraction.
        """
        channels, ny, nx = self.shape
        value, variance, mask = np.zeros((3, len(rows), channels * ny * nx), dtype=np.float32)
        wet = self.wet.reshape(-1)
        for b, (cell, anomaly, error) in enumerate(rows):
            keep = wet[cell]
            cell = cell[keep]
            scale = self.scale[cell // (ny * nx)]
            value[b, cell] = anomaly[keep] / scale
            variance[b, cell] = (error[keep] / scale) ** 2
            mask[b, cell] = 1
        parts = (torch.from_numpy(part).to(self.device) for part in (value, variance, mask))
        values, errors, seen = (part.view(len(rows), channels, ny, nx) for part in parts)
        return Observed(values, errors, seen, self.season(fraction).expand(len(rows), 2))

    def points(self, variable: int, depth: Any, latitude: Any, longitude: Any) -> Interpolation:
        """H of a state: anomalies at points in units of a variable, with gradients.

        Parameters
        ----------
        variable : int
            Position of the variable in the state.
        depth, latitude, longitude : array-like, shape (n,)
            Metres positive down, degrees.

        Returns
        -------
        Interpolation
            Takes states (..., C, Y, X) to points (..., n); 0 where no sea is in reach.
        """
        wet = self.wet[variable]
        index, weight = interpolation_weights(self.grid, wet, depth, latitude, longitude)
        index = index + variable * wet.size
        weight = weight * self.scale[index // wet[0].size]
        return Interpolation(
            torch.from_numpy(index), torch.from_numpy(weight.astype(np.float32))
        ).to(self.device)


def _geometry(grid: Grid, wet: np.ndarray, statistics: Statistics) -> Geometry:
    """What the core knows of grid and climate."""
    ny, nx = wet.shape[-2:]
    relative = statistics.deviation / statistics.scale[:, None, None]
    latitude = np.zeros(ny) if grid.lat is None else np.deg2rad(grid.lat)

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    return Geometry(
        wet=tensor(wet.reshape(-1, ny, nx)),
        variance=tensor(relative**2),
        persistence=tensor(statistics.persistence),
        area=tensor(grid.area / grid.area.mean()),
        latitude=tensor(latitude),
        correlation=tensor(statistics.correlation),
        length=(float(statistics.length[0]), float(statistics.length[1])),
        variables=wet.shape[0],
        cyclic=grid.cyclic,
    )


def tensors_of(model: Model, device: str | None = None) -> Tensors:
    """Tensors of a trained model."""
    return Tensors(model.grid, model.wet, model.statistics, model.climatology, device)


def module_of(model: Model, tensors: Tensors) -> Architecture:
    """Build the module of a model and load its weights.

    Raises
    ------
    ModelFileError
        If the weights are not those of the architecture.
    """
    _check_weights(model, tensors)
    module = build(model.architecture.name, model.architecture.settings, tensors.geometry)
    weights = {k: torch.from_numpy(np.array(v)) for k, v in model.weights.items()}
    module.load_state_dict(weights)
    return module.to(tensors.device).eval()


def _check_weights(model: Model, tensors: Tensors) -> None:
    """Refuse weights of other names or shapes, before memory is taken for the architecture."""
    spec = model.architecture
    expected = weight_shapes(spec.name, spec.settings, tensors.geometry)
    found = {name: array.shape for name, array in model.weights.items()}
    if found == expected:
        return
    wrong = sorted(n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n))
    raise ModelFileError(
        f"the weights are not those of {spec.name} with {spec.settings}: {wrong[0]!r} of shape "
        f"{found.get(wrong[0])}, expected {expected.get(wrong[0])}; {len(wrong)} differ"
    )


def weights_of(module: Architecture) -> dict[str, np.ndarray]:
    """Weights as arrays, for the model file."""
    return {k: v.detach().cpu().numpy().copy() for k, v in module.state_dict().items()}
