"""OSSE on a real model run: train on years 13-48, report years 55-62 of MITgcm run A.

Observations are simulated from the report years, which no system has seen, through a
sparse and a dense network; all systems see the same numbers.  Scores are over the
report years after one year of spin-up.  s/s S, trop, N: spread / RMSE south of 20 S, between,
and north of 20 N; mean S, trop, N: the same of the area means, from the members.

    python -m benchmarks osse --data FOLDER [--network sparse] [--systems increment ...]
    python -m benchmarks osse --data FOLDER --tune [--systems enoi ...]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import xarray as xr

import xdeepda
from benchmarks import common, scores, systems
from benchmarks.networks import GridNetwork

#: Settings of the baselines, chosen on years 49-54 as --tune does.
TUNED: dict[str, dict[str, Any]] = {
    "oi": {"localisation": 5000.0},
    "enoi": {"localisation": 5000.0, "inflation": 0.7},
    "kalman": {"patterns": 200, "truncation": 6.0},
    "combined": {"localisation": 4000.0, "truncation": 6.0},
}
_DISTANCES = (3000.0, 4000.0, 5000.0, 6500.0)
#: Values that --tune tries.
GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "oi": {"localisation": _DISTANCES, "inflation": (0.7, 1.0, 1.5)},
    "enoi": {
        "localisation": _DISTANCES,
        "inflation": (0.5, 0.7, 1.0, 1.5),
        "damping": (0.7, 1.0, 1.4),
    },
    "kalman": {
        "patterns": (100, 150, 200),
        "truncation": (3.0, 6.0, 12.0),
        "inflation": (1.0, 1.03),
        "neighbours": (True, False),
    },
    "combined": {
        "patterns": (100, 150, 200),
        "truncation": (3.0, 6.0, 12.0),
        "localisation": _DISTANCES,
        "inflation": (0.5, 0.7, 1.0),
        "damping": (0.7, 1.0, 1.4),
    },
}
#: Months, of eight years, that are not scored.
SPINUP = 12


def main(arguments: list[str]) -> int:
    parser = common.parser("osse", str(__doc__).splitlines()[0])
    systems.add_options(parser)
    add_network(parser)
    parser.add_argument("--members", type=int, default=1, help="with several, spread of means")
    parser.add_argument("--report", choices=("test", "validation"), default="test")
    systems.add_tune(parser)
    options = parser.parse_args(arguments)
    path = common.data_file(options.data, "models/mitgcm_a.nc")
    run = common.open_run(path)[["thetao"]].load()
    for name in networks_of(options):
        if options.tune:
            systems.tune(ground_of(run, name), GRIDS, options)
        else:
            one_network(run, name, options)
    print(f"peak memory {common.peak_memory():.2f} GiB")
    return 0


def ground_of(run: xr.Dataset, name: str) -> systems.Ground:
    """Training and validation years of run A, and a network."""
    control = common.years(run, common.TRAIN[0], common.VALIDATE[1])
    return systems.Ground(f"osse_{name}", control, GridNetwork(name), tuned=TUNED)


def stem_of(name: str, folder: str, options: Any) -> Path:
    """Where the tables of a network are, without the ending."""
    report = getattr(options, "report", "test")
    return Path(folder) / f"osse_{name}_{report}_seed{options.seed}"


def add_network(parser: argparse.ArgumentParser) -> None:
    """Which of the two networks, or both."""
    parser.add_argument("--network", choices=("sparse", "dense", "both"), default="both")


def networks_of(options: Any) -> tuple[str, ...]:
    """Names of the networks."""
    return ("sparse", "dense") if options.network == "both" else (options.network,)


def scene_of(run: xr.Dataset, name: str, options: Any) -> scores.Scene:
    """Report years of run A and what is observed of them."""
    ground = ground_of(run, name)
    validation = getattr(options, "report", "test") == "validation"
    truth = common.years(run, *(common.VALIDATE if validation else common.REPORT))
    seed = 1000 + options.seed
    cells = xdeepda.observe(truth, ground.network, var="thetao", cycle="month", seed=seed)
    climate = scores.climate_of(common.years(run, *common.TRAIN), "month", truth)
    number = getattr(options, "members", 1)
    members = {"members": number, "keep_members": number > 1}
    return scores.Scene(ground, truth, cells, climate, SPINUP, members)


def one_network(run: xr.Dataset, name: str, options: Any) -> None:
    """All systems on one network."""
    scene = scene_of(run, name, options)
    results = {system: scene.run(system, options) for system in options.systems}
    title = f"osse {name}: {options.members} member(s), seed {options.seed}"
    scores.report(title, results, scene.truth.depth.values, stem_of(name, options.out, options))
