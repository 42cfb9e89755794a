"""Equatorial sections of two climate models: each to be found by the other, and by both.

Niño 4 sections (5 S to 5 N, no latitudes) of the control runs of HadCM3L and MIROC3.2,
yearly, to 700 m, on the levels of HadCM3L; the last 600 years of each: 480 to train, 60 to
validate, 60 to report.  Anomalies from the climatology of the truth's own training years.
Models fitted to the other run are what one has in earnest; those fitted to the run that
the truth is of are the bound, and both together stand between.

    python -m benchmarks sections --data FOLDER [--systems kalman increment ...]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import xdeepda
from benchmarks import common, scores, several, systems
from benchmarks.networks import SectionNetwork
from xdeepda.calendar import Cycle

FILES = {"hadcm3l": "hadcm3l_nino4_control.nc", "miroc32": "miroc32_nino4_control.nc"}
#: Years to train on, to validate and to report, and those of the report that are not scored.
TRAIN, VALIDATE, REPORT, SPINUP = 480, 60, 60, 10
DEEPEST = 700.0
DEFAULT = ("climatology", "enoi", "kalman", "combined")


def main(arguments: list[str]) -> int:
    parser = common.parser("sections", str(__doc__).splitlines()[0])
    systems.add_options(
        parser, default=("climatology", "persistence", "enoi", "kalman", "combined")
    )
    options = parser.parse_args(arguments)
    runs = open_runs(options.data)
    for name in runs:
        one_truth(name, runs, options)
    return 0


def open_runs(folder: str | None) -> dict[str, xr.Dataset]:
    """Both runs on the levels of the first, with dates, the last years only."""
    runs: dict[str, xr.Dataset] = {}
    for name, file in FILES.items():
        ds = common.open_run(common.data_file(folder, f"models/{file}"))
        field = ds.profile.load().isel(time=slice(-(TRAIN + VALIDATE + REPORT), None))
        first = next(iter(runs.values()), None)
        # a level above the first of a run has its value
        field = (
            field.sel(depth=slice(None, DEEPEST)) if first is None
            else field.interp(depth=first.depth.clip(min=float(field.depth[0])))
        )  # fmt: skip
        # one of them counts its years from 1, without dates
        times = Cycle("year").middle(np.arange(1, field.sizes["time"] + 1), "noleap")
        attrs = {"units": "degC", "standard_name": "sea_water_potential_temperature"}
        thetao = field.assign_coords(time=times).transpose("time", "depth", "lon")
        runs[name] = thetao.assign_attrs(attrs).to_dataset(name="thetao")
        runs[name].depth.attrs.update(units="m", positive="down")
        runs[name].lon.attrs.update(units="degrees_east", standard_name="longitude")
    return runs


def one_truth(name: str, runs: dict[str, xr.Dataset], options: Any) -> None:
    """All systems, fitted to each run and to both, on the last years of one."""
    share, network = VALIDATE / (TRAIN + VALIDATE), SectionNetwork()
    grounds = {
        f"of {other}": systems.Ground(
            f"sections_{other}", run.isel(time=slice(None, -REPORT)), network, "year", share
        )
        for other, run in runs.items()
    }
    truth = runs[name].isel(time=slice(-REPORT, None))
    past = runs[name].isel(time=slice(None, TRAIN))
    seed = 1000 + options.seed
    cells = xdeepda.observe(truth, network, var="thetao", cycle="year", seed=seed)
    climate = scores.climate_of(past, "year", truth)
    scene = scores.Scene(
        grounds[f"of {name}"], truth, cells, climate, SPINUP, {"climatology": past}
    )
    results: dict[str, dict[str, Any]] = {}
    for system in options.systems:
        results |= several.compare(system, grounds, scene, options)
    title = f"sections: truth {name}, seed {options.seed}"
    stem = Path(options.out) / f"sections_{name}_seed{options.seed}"
    depth = np.asarray(truth.depth.values)
    scores.report(title, results, depth, stem, details=False)
