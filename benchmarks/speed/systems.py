"""The systems that are compared, with weights and fitted arrays that are random but realistic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

import xdeepda
from benchmarks.speed.sizes import Size
from xdeepda.architectures import ArchitectureSpec
from xdeepda.bridge import Tensors, weights_of
from xdeepda.calendar import Cycle
from xdeepda.core.architecture import Architecture
from xdeepda.core.registry import build
from xdeepda.core.sea import Kept, mesh_of
from xdeepda.core.state import Geometry, Observed


@dataclass(frozen=True)
class System:
    """A system: its architecture, and the precision of its networks."""

    architecture: str
    settings: dict[str, Any] = field(default_factory=dict)
    precision: str = "float32"

    @property
    def spec(self) -> ArchitectureSpec:
        """Specification of the architecture."""
        return ArchitectureSpec(self.architecture, self.settings)


#: Name -> system; the first, as published, is what the others are compared with.
SYSTEMS = {
    "published": System("deepda2024", {"quirks": ("all",)}),
    "deepda2024": System("deepda2024"),
    "increment": System("increment"),
    "hybrid": System("hybrid"),
    "enoi": System("enoi"),
}


def tensors_of_size(size: Size, device: str | None = None) -> Tensors:
    """Tensors of an ocean."""
    return Tensors(size.grid, size.wet, size.statistics, size.climatology, device)


def module_of_system(system: System, geometry: Geometry, longitude: np.ndarray) -> Architecture:
    """Architecture with drawn weights; what would be fitted to a run is smooth noise."""
    module = build(system.architecture, system.spec.settings, geometry).to(geometry.wet.device)
    fill(module, geometry, np.deg2rad(longitude))
    return module


@torch.no_grad()
def fill(module: Architecture, geometry: Geometry, longitude: np.ndarray) -> None:
    """Put patterns, anomalies and a linear inverse model into what is fitted."""
    for part in module.modules():
        own = dict(part.named_buffers(recurse=False))
        if "roots" in own:
            own["roots"].copy_(_unit_rows(smooth_fields(part.kept, geometry, own["roots"])))
            own["latitude"].copy_(geometry.latitude)
            own["longitude"].copy_(torch.from_numpy(longitude))
        if "patterns" in own:
            fields = smooth_fields(part.kept, geometry, own["patterns"])
            own["patterns"].copy_(fields / geometry.channels**0.5)
            steps = torch.arange(1, own["spectrum"].numel() + 1, device=fields.device)
            own["spectrum"].copy_(geometry.channels * steps**-1.0)
            own["operator"].copy_(torch.diag(torch.full_like(own["spectrum"], 0.95)))
            own["noise"].copy_(torch.diag((1 - 0.95**2) * own["spectrum"]))
            own["rest"].copy_(0.3 * part.kept.pick(part.sea.vector(geometry.variance)))
    classical = getattr(module, "classical", None)
    if classical is not None:
        classical.take({k: v for k, v in classical.state_dict().items() if k != "unobserved"})


def smooth_fields(kept: Kept, geometry: Geometry, like: Tensor) -> Tensor:
    """Smooth noise of the stored cells as columns, (s, N): drawn a correlation length apart."""
    stride = tuple(max(1, round(length)) for length in geometry.length)
    mesh = mesh_of(kept.sea, (stride[0], stride[1]))
    rng = torch.Generator(like.device).manual_seed(0)
    out = torch.empty(like.shape, device=like.device)
    for n in range(like.shape[1]):
        nodes = torch.randn(len(mesh.solved), geometry.channels, generator=rng, device=like.device)
        # neighbouring levels are alike
        for level in range(1, geometry.channels):
            nodes[:, level] = 0.9 * nodes[:, level - 1] + 0.44 * nodes[:, level]
        out[:, n] = kept.pick(mesh.spread(nodes).flatten()[kept.place])
    return out


def _unit_rows(x: Tensor) -> Tensor:
    return x / torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp_min(1e-12)


def model_of_system(system: System, size: Size) -> xdeepda.Model:
    """Model as a file would hold it."""
    tensors = tensors_of_size(size, "cpu")
    module = module_of_system(system, tensors.geometry, size.grid.lon)
    ones = np.ones(size.levels)
    return xdeepda.Model(
        architecture=system.spec,
        weights=weights_of(module),
        grid=size.grid,
        cycle=Cycle("pentad"),
        calendar="noleap",
        variables=("thetao",),
        units=("degC",),
        attributes={"thetao": {"standard_name": "sea_water_potential_temperature"}},
        wet=size.wet,
        climatology=size.climatology,
        statistics=size.statistics,
        calibration={"analysis": ones, "background": ones},
    )


def observed_of(size: Size, tensors: Tensors, share: float, batch: int, seed: int) -> Observed:
    """Observations of a cycle, the same for all rows of the batch."""
    rng = np.random.default_rng(seed)
    level, column = size.profiles(share, rng)
    cell = level * size.shape[1] * size.shape[2] + column
    spread = size.statistics.scale[level]
    rows = (cell, spread * rng.normal(size=cell.size).astype(np.float32), 0.3 * spread)
    one = tensors.scatter([rows], np.array([0.3]))
    return Observed(*(part.expand(batch, *part.shape[1:]) for part in one))
