"""Seconds per analysis and per training step on the MITgcm grid, and the import time.

python -m benchmarks speed
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks import common
from xdeepda.architectures import ArchitectureSpec
from xdeepda.core.cycle import cycle
from xdeepda.core.registry import build
from xdeepda.core.state import Geometry, Observed, climatological
from xdeepda.training.settings import settings_for

#: Levels, latitudes, longitudes of the MITgcm runs.
SHAPE = (16, 40, 90)
#: What importing costs, in a fresh process.
_IMPORT = (
    "import time; a = time.perf_counter(); import xarray; b = time.perf_counter(); import xdeepda;"
    "print(b - a, time.perf_counter() - b)"
)


def main(arguments: list[str]) -> int:
    parser = common.parser("speed", str(__doc__).splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args(arguments)
    base, own = import_times(options.repeat)
    print(f"import: xarray {base * 1e3:.0f} ms, xdeepda on top {own * 1e3:.1f} ms")
    print(f"{torch.get_num_threads()} threads, grid {SHAPE}, median of {options.repeat}")
    for name in ("increment", "deepda2024"):
        analysis, step, settings = architecture_times(name, options.repeat)
        print(
            f"{name}: {analysis:.3f} s an analysis, {step:.3f} s a training step "
            f"(batch {settings.batch}, gradient through {settings.cycles} cycles)"
        )
    return 0


def import_times(repeat: int) -> tuple[float, float]:
    """Median seconds of importing xarray, and of importing xdeepda after it."""
    runs = [
        subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True)
        for _ in range(repeat)
    ]
    pairs = [tuple(map(float, run.stdout.split())) for run in runs]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def architecture_times(name: str, repeat: int) -> tuple[float, float, Any]:
    """Seconds of one analysis and of one training step."""
    geometry = synthetic_geometry()
    module = build(name, ArchitectureSpec(name).settings, geometry)
    settings = settings_for(name, {})

    def analyse() -> None:
        with torch.inference_mode():
            for _ in cycle(module, climatological(geometry, 1), [synthetic_observations(1)]):
                pass

    def step() -> None:
        module.zero_grad()
        observed = [synthetic_observations(settings.batch) for _ in range(settings.cycles)]
        states = cycle(module, climatological(geometry, settings.batch), observed)
        loss = sum((analysis.mean**2).mean() for _, analysis in states)
        loss.backward()  # type: ignore[union-attr]

    return median_time(analyse, repeat), median_time(step, repeat), settings


def median_time(call: Callable[[], None], repeat: int) -> float:
    """Median seconds of a call, after one to warm up."""
    call()
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def synthetic_geometry() -> Geometry:
    """A global ocean of the size of the MITgcm runs, all wet."""
    levels, ny, nx = SHAPE
    ones = torch.ones(SHAPE)
    latitude = torch.linspace(-1.36, 1.36, ny)
    return Geometry(
        wet=ones, variance=ones, persistence=0.9 * ones, area=torch.cos(latitude)[:, None] *
        torch.ones(ny, nx), latitude=latitude, correlation=torch.eye(levels),
        length=(1.3, 2.9), variables=1, cyclic=True,
    )  # fmt: skip


def synthetic_observations(batch: int) -> Observed:
    """Five percent of the cells."""
    shape = (batch, *SHAPE)
    mask = (torch.rand(shape) < 0.05).float()
    return Observed(torch.randn(shape) * mask, 0.2 * mask, mask, torch.zeros(batch, 2))
