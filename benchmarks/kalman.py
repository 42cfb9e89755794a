"""The linear ocean, of which the best possible analysis is known: the exact Kalman filter.

Forty years of pentads of ``xdeepda.datasets.linear_ocean`` to train on and seven to
validate; report on eight others, the first of which is spin-up.  6, 4 and 1.5 % of the
cells are observed anew in each cycle, and four moorings, with an error of 0.3 K.  The
exact filter and smoother know the matrices and the climatology of the ocean, the systems
nothing but the control run, whose climatology differs by 0.16 K; ``--climatology true``
tells them the climatology, too.

    python -m benchmarks kalman [--systems hybrid ...] [--settings partial=False ...]
    python -m benchmarks kalman --tune
    python -m benchmarks kalman --settings lag=10 --systems hybrid exact_filter exact_smoother
"""

from __future__ import annotations

import argparse
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
from xdeepda.calendar import Cycle
from xdeepda.datasets import LinearOcean

LIMITS: dict[str, Callable[..., Estimate]] = {
    "exact_filter": xdeepda.baselines.exact_filter,
    "exact_smoother": xdeepda.baselines.exact_smoother,
}
SYSTEMS = (*systems.SYSTEMS, *LIMITS)
#: Anomalies of the control run that the ensemble schemes take; there are 2,920.
ENSEMBLE = 400
#: Settings of the baselines, chosen on the validation years by --tune, which starts from them;
#: those of combined and hybrid are about those of the two that they are made of.
TUNED: dict[str, dict[str, Any]] = {
    "oi": {"ensemble": ENSEMBLE, "localisation": 20000.0, "inflation": 1.4},
    "enoi": {"ensemble": ENSEMBLE, "localisation": 10000.0, "inflation": 1.0, "damping": 2.0},
    "kalman": {"patterns": 300, "truncation": 0.5, "inflation": 1.0},
    # cells are as large as the ocean's correlations: all columns are solved
    "hybrid": {
        "ensemble": ENSEMBLE, "patterns": 400, "truncation": 1.0, "localisation": 10000.0,
        "spacing": 0.1,
    },
    "combined": {
        "ensemble": ENSEMBLE, "patterns": 300, "truncation": 1.0, "localisation": 10000.0,
        "inflation": 1.0, "damping": 1.4,
    },
}  # fmt: skip
#: Values that --tune tries; cells are 1,100 to 1,700 km wide.
GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "oi": {"localisation": (7000.0, 10000.0, 14000.0, 20000.0), "inflation": (0.7, 1.0, 1.4)},
    "enoi": {
        "localisation": (7000.0, 10000.0, 14000.0, 20000.0),
        "inflation": (0.7, 1.0, 1.4),
        "damping": (0.7, 1.0, 1.4, 2.0, 2.8),
    },
    "kalman": {
        "patterns": (150, 200, 300, 400),
        "truncation": (0.5, 1.0, 2.0, 4.0),
        "neighbours": (True, False),
        "inflation": (1.0, 1.01, 1.03),
    },
    "combined": {
        "patterns": (150, 200, 300),
        "damping": (1.0, 1.4, 2.0),
        "inflation": (0.7, 1.0, 1.4),
        "truncation": (0.5, 1.0, 2.0),
        "localisation": (7000.0, 10000.0, 14000.0),
    },
}
#: Pentads of a year; the first year is not scored.
YEAR = 73


def main(arguments: list[str]) -> int:
    parser = common.parser("kalman", str(__doc__).splitlines()[0])
    systems.add_options(parser, SYSTEMS)
    add_ocean(parser)
    systems.add_tune(parser)
    options = parser.parse_args(arguments)
    ocean = xdeepda.datasets.linear_ocean(tuple(options.shape))
    if options.tune:
        systems.tune(ground_of(ocean, options), GRIDS, options)
        return 0
    scene = scene_of(ocean, options)
    results = {
        s: run_limit(s, ocean, scene) if s in LIMITS else scene.run(s, options)
        for s in options.systems
    }
    # what sees later observations is compared with what does so best
    limit = "exact_smoother" if dict(options.settings).get("lag") else "exact_filter"
    limit = limit if limit in results else None
    title = f"kalman: {ocean.size} cells, {options.climatology} climatology, seed {options.seed}"
    stem = Path(options.out) / f"kalman_seed{options.seed}"
    scores.report(title, results, ocean.depth, stem, limit)
    return 0


def add_ocean(parser: argparse.ArgumentParser) -> None:
    """Arguments of the ocean and its runs."""
    parser.add_argument("--shape", nargs=3, type=int, default=(3, 12, 24), help="of the ocean")
    parser.add_argument("--years", nargs=3, type=int, default=(40, 7, 8),
                        help="to train, validate and report")  # fmt: skip
    parser.add_argument("--climatology", choices=("fitted", "true"), default="fitted")


def ground_of(ocean: LinearOcean, options: Any, name: str = "kalman") -> systems.Ground:
    """Control run with its validation years, and the network."""
    training, validation, _ = options.years
    control = ocean.simulate(YEAR * (training + validation), seed=options.seed)
    share = validation / (training + validation)
    # what a shorter run or a smaller ocean can tell apart
    most = {"ensemble": YEAR * training, "patterns": min(YEAR * training // 2, ocean.size)}
    tuned = {
        system: {k: min(v, most.get(k, v)) for k, v in own.items()} for system, own in TUNED.items()
    }
    return systems.Ground(name, control, LinearNetwork(ocean), "pentad", share, tuned)


def scene_of(ocean: LinearOcean, options: Any) -> scores.Scene:
    """Truth and observations that no system has seen; errors are compared with the true climate."""
    seed = 1000 + options.seed
    truth = ocean.simulate(YEAR * options.years[2], seed=seed)
    network = LinearNetwork(ocean)
    cells = xdeepda.observe(truth, network, var="thetao", cycle="pentad", seed=seed)
    climate = ocean.dataset(np.zeros((truth.sizes["time"], ocean.size)), start_of(truth)).thetao
    known = {} if options.climatology == "fitted" else {"climatology": year_of(ocean)}
    return scores.Scene(ground_of(ocean, options), truth, cells, climate, YEAR, known)


def start_of(ds: xr.Dataset) -> int:
    """Absolute number of the first pentad."""
    return int(Cycle("pentad").index(ds.time.values[:1])[0])


def year_of(ocean: LinearOcean) -> xr.Dataset:
    """True climatology."""
    return ocean.dataset(np.zeros((YEAR, ocean.size)))


def run_limit(name: str, ocean: LinearOcean, scene: scores.Scene) -> dict[str, Any]:
    """Scores of the exact filter or smoother, and its seconds a cycle."""
    started = time.monotonic()
    analysis = exact(LIMITS[name], ocean, scene.cells)
    seconds = (time.monotonic() - started) / scene.cells.sizes["time"]
    return scene.score(analysis) | {"cycle_seconds": seconds}


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
