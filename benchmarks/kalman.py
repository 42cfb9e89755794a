"""The linear ocean, of which the best possible analysis is known: the exact Kalman filter.

Forty years of pentads of ``xdeepda.datasets.linear_ocean`` to train on and seven to
validate; report on eight others, the first of which is spin-up.  6, 4 and 1.5 % of the
cells are observed anew in each cycle, and four moorings, with an error of 0.3 K.  The
exact filter and smoother know the matrices and the climatology of the ocean, the systems
nothing but the control run.

    python -m benchmarks kalman [--systems hybrid ...] [--settings partial=False ...]
    python -m benchmarks kalman --tune
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import xdeepda
from benchmarks import common, scores, systems
from benchmarks.networks import LinearNetwork
from xdeepda.baselines.exact import Estimate
from xdeepda.datasets import LinearOcean

LIMITS: dict[str, Callable[..., Estimate]] = {
    "exact_filter": xdeepda.baselines.exact_filter,
    "exact_smoother": xdeepda.baselines.exact_smoother,
}
SYSTEMS = (*systems.SYSTEMS, *LIMITS)
#: Settings of the baselines, chosen on the validation years by --tune.
TUNED: dict[str, dict[str, Any]] = {}
#: Cells are 1,100 to 1,700 km wide.
_DISTANCES = (5000.0, 7000.0, 10000.0, 14000.0, 20000.0)
#: Values that --tune tries.
GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "oi": {"localisation": _DISTANCES, "inflation": (0.5, 0.7, 1.0, 1.4)},
    "enoi": {
        "localisation": _DISTANCES,
        "inflation": (0.4, 0.5, 0.7, 1.0, 1.4),
        "damping": (0.5, 0.7, 1.0, 1.4),
    },
    "kalman": {
        "patterns": (100, 150, 200, 300, 450, 691),
        "truncation": (0.5, 1.0, 2.0, 4.0),
        "inflation": (1.0, 1.01, 1.03),
    },
    "combined": {
        "patterns": (50, 100, 200, 300),
        "truncation": (0.5, 1.0, 2.0, 4.0),
        "localisation": _DISTANCES,
        "inflation": (0.5, 0.7, 1.0, 1.4),
        "damping": (0.5, 1.0, 1.5),
    },
}
#: Anomalies of the control run that the ensemble schemes take; there are 2,920.
ENSEMBLE = 400
#: Pentads of a year; the first year is not scored.
YEAR = 73


def main(arguments: list[str]) -> int:
    parser = common.parser("kalman", str(__doc__).splitlines()[0])
    systems.add_options(parser, SYSTEMS)
    parser.add_argument("--shape", nargs=3, type=int, default=(3, 12, 24), help="of the ocean")
    parser.add_argument("--years", nargs=3, type=int, default=(40, 7, 8),
                        help="to train, validate and report")  # fmt: skip
    parser.add_argument("--tune", action="store_true", help="choose the settings of baselines")
    options = parser.parse_args(arguments)
    ocean = xdeepda.datasets.linear_ocean(tuple(options.shape))
    ground = ground_of(ocean, options)
    if options.tune:
        tune(ground, options)
        return 0
    truth, cells = report_years(ocean, options)
    results = {}
    climate = ocean.dataset(np.zeros((truth.sizes["time"], ocean.size)), start_of(truth)).thetao
    for system in options.systems:
        analysis, row = run_system(system, ocean, ground, cells, options)
        results[system] = scores.score(analysis, truth, cells, climate, YEAR) | row
    limit = "exact_filter" if "exact_filter" in results else None
    title = f"kalman: linear ocean, {ocean.size} cells, seed {options.seed}"
    stem = Path(options.out) / f"kalman_seed{options.seed}"
    scores.report(title, results, ocean.depth, stem, limit)
    return 0


def ground_of(ocean: LinearOcean, options: Any) -> systems.Ground:
    """Control run with its validation years, and the network."""
    training, validation, _ = options.years
    control = ocean.simulate(YEAR * (training + validation), seed=options.seed)
    share = validation / (training + validation)
    return systems.Ground("kalman", control, LinearNetwork(ocean), "pentad", share, TUNED)


def report_years(ocean: LinearOcean, options: Any) -> tuple[xr.Dataset, xr.Dataset]:
    """Truth and observations that no system has seen."""
    truth = ocean.simulate(YEAR * options.years[2], seed=1000 + options.seed)
    cells = xdeepda.observe(
        truth, LinearNetwork(ocean), var="thetao", cycle="pentad", seed=1000 + options.seed
    )
    return truth, cells


def start_of(ds: xr.Dataset) -> int:
    """Absolute number of the first pentad."""
    return int(xdeepda.calendar.Cycle("pentad").index(ds.time.values[:1])[0])


def run_system(
    system: str, ocean: LinearOcean, ground: systems.Ground, cells: xr.Dataset, options: Any
) -> tuple[xr.Dataset, dict[str, Any]]:
    """Analysis of a system, and what it cost."""
    seconds, steps = 0.0, 0
    if system not in LIMITS:
        model, seconds = systems.model_of(system, ground, options)
        steps = model.provenance.get("steps", 0)
    started = time.monotonic()
    if system in LIMITS:
        analysis = exact(LIMITS[system], ocean, cells)
    else:
        analysis = xdeepda.assimilate(
            ground.control, cells, model=model, seed=options.seed, progress=False
        )
    taken = (time.monotonic() - started) / cells.sizes["time"]
    return analysis, {"training_seconds": seconds, "cycle_seconds": taken, "steps": steps}


def exact(limit: Callable[..., Estimate], ocean: LinearOcean, cells: xr.Dataset) -> xr.Dataset:
    """Analysis of the exact filter or smoother, labelled like any other."""
    values = ocean.vector(cells)
    estimate = limit(ocean, values, np.isfinite(values))
    first = start_of(cells)
    climate = ocean.dataset(np.zeros_like(values), first).thetao
    out = ocean.dataset(estimate.mean, first)
    out["thetao_background"] = ocean.dataset(estimate.background, first).thetao
    out["thetao_spread"] = ocean.dataset(np.sqrt(estimate.variance), first).thetao - climate
    return out


def tune(ground: systems.Ground, options: Any) -> None:
    """Choose the settings of baselines on the validation years, and print them."""
    for system in (s for s in options.systems if s in GRIDS):
        given = {} if system == "kalman" else {"ensemble": ENSEMBLE}
        model = xdeepda.baselines.tune(
            ground.control, ground.network, system, var="thetao", cycle=ground.cycle,
            validation=ground.validation, grid=GRIDS[system], rounds=2, seed=options.seed,
            progress=False, **given,
        )  # fmt: skip
        for settings, score in model.provenance["tuning"]:
            tried = {k: settings[k] for k in GRIDS[system]}
            print(f"  {system}: {score:.4f} {tried}")
        best = {k: model.architecture.settings[k] for k in (*given, *GRIDS[system])}
        print(f"{system}: {best}", flush=True)
