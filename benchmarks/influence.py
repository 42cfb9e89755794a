"""What one observation at the equator does to the analyses of several systems.

A mooring at 140 W measures at 100 m, in the last month of a year that is observed through
the network of the ground ``osse``, as one among its observations and alone.  Prints the
gain at the point, its e-folding scales, and degrees of freedom for signal; draws the gain.

    python -m benchmarks influence --data FOLDER [--network sparse] [--models FOLDER]
    python -m benchmarks influence --idealised [--systems enoi kalman]
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import xdeepda
from benchmarks import common, osse, systems

POINT = {"lat": 0.0, "lon": 220.0, "depth": 100.0, "error": 0.3}
CYCLES = 12


def main(arguments: list[str]) -> int:
    parser = common.parser("influence", str(__doc__).splitlines()[0])
    systems.add_options(parser)
    parser.add_argument("--network", choices=("sparse", "dense"), default="sparse")
    parser.add_argument("--idealised", action="store_true", help="the idealised ocean, no data")
    options = parser.parse_args(arguments)
    ground, run, cells = idealised() if options.idealised else simulated(options)
    drawn = {}
    print(f"{'system':12}{'':8}{'gain':>7}{'zonal':>8}{'merid.':>8}{'vert.':>7}{'DFS':>8}")
    for system in options.systems:
        model, _ = systems.model_of(system, ground, options)
        analysis = xdeepda.assimilate(run, cells, model=model, progress=False)
        when = analysis["time"].values[-1]
        signal = model.degrees_of_freedom(analysis, cells, by=None, time=when)
        told = f"{float(signal['dfs_total'][0]):8.0f}"
        for name, others in (("among", cells), ("alone", None)):
            made = model.influence(analysis, POINT, time=when, obs=others)
            print(f"{system:12}{name:8}{numbers_of(made)}{told}")
            told = " " * 8
            drawn[f"{system}, {name}"] = made
    print(f"of {int(signal['superob_count'][0])} superobservations; km, km and m")
    name = "idealised" if options.idealised else options.network
    draw(drawn, Path(options.out) / f"influence_{name}.png")
    return 0


def simulated(options: Any) -> tuple[systems.Ground, xr.Dataset, xr.Dataset]:
    """Ground, run and a year of observations of the benchmark ``osse``."""
    run = common.open_run(common.data_file(options.data, "models/mitgcm_a.nc"))[["thetao"]].load()
    scene = osse.scene_of(run, options.network, options)
    return scene.ground, run, scene.cells.isel(time=slice(0, CYCLES))


def idealised() -> tuple[systems.Ground, xr.Dataset, xr.Dataset]:
    """The same of the idealised ocean, observed as in the 1980s."""
    make = functools.partial(xdeepda.datasets.idealised_ocean, resolution=6.0, levels=8)
    control = make(years=25, seed=1)[["thetao"]]
    network = xdeepda.Network.simulated(control, "1980s", density=0.5, seed=0)
    truth = make(years=1, seed=2)
    cells = xdeepda.observe(truth, network, var="thetao", cycle="month", seed=0)
    return systems.Ground("idealised", control, network), control, cells


def numbers_of(made: Any) -> str:
    """Gain at the point and scales, in columns."""
    gain, zonal, meridional, vertical = (
        float(made[f"thetao_{n}"])
        for n in ("gain_at_point", "zonal_scale", "meridional_scale", "vertical_scale")
    )
    return f"{gain:7.2f}{zonal:8.0f}{meridional:8.0f}{vertical:7.0f}"


def draw(drawn: dict[str, Any], path: Path) -> None:
    """Map of the level and section along the equator, a row for each."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap

    figure, axes = plt.subplots(len(drawn), 2, figsize=(10, 2.6 * len(drawn)),
                                layout="constrained", squeeze=False)  # fmt: skip
    for row, (name, made) in zip(axes, drawn.items(), strict=True):
        gain = made["thetao_gain"]
        level = gain.sel(depth=POINT["depth"], method="nearest")
        section = gain.sel(lat=POINT["lat"], method="nearest")
        titles = f"{name}: {float(level.depth):.0f} m", "along the equator"
        for axis, field, y, title in zip(
            row, (level, section), ("lat", "depth"), titles, strict=True
        ):
            land = np.where(np.isfinite(field), np.nan, 1.0)
            axis.pcolormesh(gain["lon"], gain[y], land, cmap=ListedColormap(["0.8"]))
            picture = axis.pcolormesh(
                gain["lon"], gain[y], field, cmap="RdBu_r", vmin=-0.5, vmax=0.5
            )
            axis.plot(POINT["lon"], POINT[y], "k+", markersize=9)
            axis.set_title(title)
        row[0].set_ylabel("latitude (degrees north)")
        row[1].set_ylabel("depth (m)")
        row[1].set_ylim(600, 0)
    for axis in axes[-1]:
        axis.set_xlabel("longitude (degrees east)")
    figure.colorbar(picture, ax=axes, label="K of the analysis per K of the observation",
                    shrink=0.6)  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    print(path)
