"""OSSE on a real model run: train on years 13-48, report years 55-62 of MITgcm run A.

Observations are simulated from the report years, which no system has seen, through a
sparse and a dense network; all systems see the same numbers.  Scores are over the
report years after one year of spin-up.

    python -m benchmarks osse --data FOLDER [--network sparse] [--systems increment ...]
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import xarray as xr

import xdeepda
from benchmarks import common, scores, systems
from benchmarks.networks import GridNetwork

#: Settings of the baselines, chosen on years 49-54 as ``xdeepda.baselines.tune`` does.
TUNED: dict[str, dict[str, Any]] = {
    "oi": {"localisation": 5000.0},
    "enoi": {"localisation": 5000.0, "inflation": 0.7},
    "kalman": {"patterns": 200, "truncation": 6.0},
    "combined": {"localisation": 4000.0, "truncation": 6.0},
}
#: Months, of eight years, that are not scored.
SPINUP = 12


def main(arguments: list[str]) -> int:
    parser = common.parser("osse", str(__doc__).splitlines()[0])
    systems.add_options(parser)
    parser.add_argument("--network", choices=("sparse", "dense", "both"), default="both")
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--report", choices=("test", "validation"), default="test")
    options = parser.parse_args(arguments)
    path = common.data_file(options.data, "models/mitgcm_a.nc")
    run = common.open_run(path)[["thetao"]].load()
    networks = ("sparse", "dense") if options.network == "both" else (options.network,)
    for name in networks:
        one_network(run, name, options)
    print(f"peak memory {common.peak_memory():.2f} GiB")
    return 0


def ground_of(run: xr.Dataset, name: str) -> systems.Ground:
    """Training and validation years of run A, and a network."""
    control = common.years(run, common.TRAIN[0], common.VALIDATE[1])
    return systems.Ground(f"osse_{name}", control, GridNetwork(name), tuned=TUNED)


def one_network(run: xr.Dataset, name: str, options: Any) -> None:
    """All systems on one network."""
    ground = ground_of(run, name)
    truth = common.years(run, *(common.REPORT if options.report == "test" else common.VALIDATE))
    seed = 1000 + options.seed
    cells = xdeepda.observe(truth, ground.network, var="thetao", cycle="month", seed=seed)
    results = {}
    for system in options.systems:
        model, seconds = systems.model_of(system, ground, options)
        started = time.monotonic()
        analysis = xdeepda.assimilate(
            ground.control, cells, model=model, members=options.members, seed=options.seed,
            progress=False,
        )  # fmt: skip
        cycle_seconds = (time.monotonic() - started) / truth.sizes["time"]
        climate = scores.climate_of(model, truth)
        results[system] = scores.score(analysis, truth, cells, climate, SPINUP) | {
            "training_seconds": seconds,
            "cycle_seconds": cycle_seconds,
            "steps": model.provenance.get("steps", 0),
        }
    title = f"osse {name}: {options.members} member(s), seed {options.seed}"
    stem = Path(options.out) / f"osse_{name}_{options.report}_seed{options.seed}"
    scores.report(title, results, truth.depth.values, stem)
