"""Several models in one analysis, on the linear ocean: three wrong ones for one truth.

The truth is the linear ocean; the models are trained on control runs of oceans whose
currents are faster or slower, or whose anomalies fade sooner.  Each alone, and all
together in one assimilation, beside the exact filter, which knows the truth's matrices.

    python -m benchmarks several [--systems kalman hybrid ...]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import xdeepda
from benchmarks import common, kalman, scores, systems
from xdeepda.datasets import LinearOcean
from xdeepda.datasets.dynamics import stationary_covariance

#: Factors on the currents, and on damping and diffusion, of the models.
WRONG = {"fast": (1.7, 1.0), "slow": (0.3, 1.0), "fading": (1.0, 2.5)}


def main(arguments: list[str]) -> int:
    parser = common.parser("several", str(__doc__).splitlines()[0])
    systems.add_options(parser, default=("enoi", "kalman"))
    kalman.add_ocean(parser)
    options = parser.parse_args(arguments)
    ocean = xdeepda.datasets.linear_ocean(tuple(options.shape))
    scene = kalman.scene_of(ocean, options)
    # what each model thinks of the mean state is not at stake here
    scene = replace(scene, arguments={"climatology": kalman.year_of(ocean)})
    grounds = {
        name: kalman.ground_of(altered(ocean, *factors), options, f"several_{name}")
        for name, factors in WRONG.items()
    }
    results = {"exact_filter": kalman.run_limit("exact_filter", ocean, scene)}
    for system in options.systems:
        results |= compare(system, grounds, scene, options)
    title = f"several: linear ocean, three wrong models, seed {options.seed}"
    stem = Path(options.out) / f"several_seed{options.seed}"
    scores.report(title, results, ocean.depth, stem, "exact_filter", details=False)
    return 0


def altered(ocean: LinearOcean, current: float, loss: float) -> LinearOcean:
    """Ocean with other currents, and other damping and diffusion; the noise is the same."""
    from scipy.linalg import expm, logm

    # currents are the antisymmetric part of the rates of change, what is lost the symmetric one
    rate = np.real(logm(ocean.M))
    step = expm(current * (rate - rate.T) / 2 + loss * (rate + rate.T) / 2)
    return replace(ocean, M=step, P_inf=stationary_covariance(step, ocean.Q))


def compare(
    system: str, grounds: Mapping[str, systems.Ground], scene: scores.Scene, options: Any
) -> dict[str, dict[str, Any]]:
    """Scores of a system fitted to each control run, and of all these models together."""
    results, models = {}, []
    for name, ground in grounds.items():
        model, seconds = systems.model_of(system, ground, options)
        models.append(model)
        costs = {"training_seconds": seconds, "steps": model.provenance.get("steps", 0)}
        results[f"{system} {name}"] = scene.of_model(model, options) | costs
    results[f"{system} all"] = scene.of_model(models, options)
    return results
