"""What it costs to keep patterns and anomalies of few columns only: score and size.

The architecture `hybrid` is trained for a few steps on the idealised ocean, with columns
kept so many correlation lengths apart, and scored on its validation years.

python -m benchmarks thinning --thinning 0 0.5 1
"""

from __future__ import annotations

import numpy as np

import xdeepda
from benchmarks import common
from xdeepda.architectures import hybrid


def main(arguments: list[str]) -> int:
    """Train with each thinning; print scores and sizes."""
    parser = common.parser("thinning", str(__doc__).splitlines()[0])
    parser.add_argument("--thinning", type=float, nargs="+", default=[0.0, 0.5, 1.0])
    parser.add_argument("--years", type=int, default=20)
    parser.add_argument("--resolution", type=float, default=3.0, help="degrees")
    parser.add_argument("--levels", type=int, default=4)
    parser.add_argument("--patterns", type=int, default=60)
    parser.add_argument("--width", type=int, default=24)
    options = parser.parse_args(arguments)
    xdeepda.set_options(progress=False)
    ocean = xdeepda.datasets.idealised_ocean(
        options.years, resolution=options.resolution, levels=options.levels, seed=options.seed
    )
    network = xdeepda.Network.simulated(ocean, "argo", seed=options.seed)
    print("thinning   score   background   weights MiB", flush=True)
    for thinning in options.thinning:
        spec = hybrid(
            thinning=thinning, patterns=options.patterns, ensemble=options.patterns,
            width=options.width, deep_width=options.width, folds=2,
        )  # fmt: skip
        model = xdeepda.train(
            ocean, network, var="thetao", cycle="month", architecture=spec, epochs=1,
            seed=options.seed,
        )  # fmt: skip
        size = sum(w.nbytes for w in model.weights.values()) / 2**20
        score, prior = (
            float(np.nanmin(model.records[f"validation_{name}"]))
            for name in ("score", "background")
        )
        print(f"{thinning:8g}  {score:6.4f}  {prior:11.4f}  {size:12.1f}", flush=True)
    return 0
