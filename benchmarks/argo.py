"""Real Argo floats of the equatorial Atlantic 2003-2025, withheld in turn.

Trained on the tropical Atlantic of MITgcm run A (monthly, 4 degrees) with the sampling of
the floats themselves; anomalies from the climatology of Levitus.  The 25 floats are
withheld in parts, each once.

    python -m benchmarks argo --data FOLDER [--parts 5]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import xdeepda
from benchmarks import common, withheld

#: Latitudes and longitudes of what is trained and analysed.
ATLANTIC = (-30.0, 30.0), (-70.0, 20.0)
DEFAULT = ("climatology", "persistence", "oi", "enoi", "increment")


def main(arguments: list[str]) -> int:
    parser = withheld.parser("argo", str(__doc__).splitlines()[0], DEFAULT)
    parser.add_argument("--parts", type=int, default=5, help="parts that the floats are cut into")
    options = parser.parse_args(arguments)
    run = common.open_run(common.data_file(options.data, "models/mitgcm_a.nc"))[["thetao"]].load()
    run = common.region(run, *ATLANTIC)
    control = common.years(run, common.TRAIN[0], common.VALIDATE[1])
    climatology = withheld.levitus(options.data, run)
    path = common.data_file(
        options.data, "observations/argo/argo_equatorial_atlantic_2003_2025_prof.nc"
    )
    obs = xdeepda.open_observations(path, var="thetao").deepda.quality_control(like=control)
    network = obs.deepda.network(like=control)
    floats = np.unique(obs.platform.values.astype(str))
    part = np.random.default_rng(options.seed).permutation(len(floats)) % options.parts
    own = part[np.searchsorted(floats, obs.platform.values.astype(str))]
    folds = [(obs.isel(obs=own != n), obs.isel(obs=own == n)) for n in range(options.parts)]
    results = {}
    for system in options.systems:
        model = withheld.model_of(system, control, network, "argo", options)
        results[system] = withheld.run_system(control, folds, model, climatology)
    title = f"argo: {len(floats)} floats of the equatorial Atlantic, each withheld once"
    out, stem = Path(options.out), f"argo_seed{options.seed}"
    withheld.report(title, results, "platform", out, stem, withheld.counts(obs))
    return 0
