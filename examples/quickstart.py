"""Quickstart: analyse an ocean that the model never saw, and compare with the truth.

A control run of an idealised ocean trains a model.  A second run, of the same climate
but with weather of its own, is the truth; the network of the 1980s observes it, with
errors.  The model turns these observations into an analysis, which is compared with
the truth, with climatology and with damped persistence of the observations.

    python examples/quickstart.py [--budget 60s] [--output quickstart-output]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import xdeepda

SPINUP = 12  # months at the start that are not scored
MAP_DEPTH = 130.0  # m, in the thermocline, where the ocean varies most


def main() -> None:
    """Train, observe, analyse, compare."""
    budget, folder = arguments()
    folder.mkdir(parents=True, exist_ok=True)
    # so small a grid gains little from more threads, and loses much where cores are shared
    xdeepda.set_options(threads=1)

    # The control run, an observing network, and a model trained on both
    control = xdeepda.datasets.idealised_ocean(years=30, seed=0)
    network = xdeepda.Network.simulated(control, "1980s")
    print(control.deepda, network, sep="\n")
    model = control.deepda.train(network, var="thetao", cycle="month", budget=budget)
    model.save(folder / "model.safetensors")
    print(model)

    # Another ocean, and what the network measures in it
    truth = xdeepda.datasets.idealised_ocean(years=6, seed=1, start_year=31)["thetao"]
    obs = truth.deepda.observe(network, cycle="month", seed=2)

    # The analysis, and two estimates that any analysis has to beat
    analysis = control.deepda.assimilate(obs, model=model, members=10)
    analysis.to_netcdf(folder / "analysis.nc")
    climatology = classical(xdeepda.baselines.climatology, control, obs)
    persistence = classical(xdeepda.baselines.persistence, control, obs)

    errors = compare(truth, obs["thetao"], analysis, climatology, persistence)
    table = errors.to_dataset("estimate").to_dataframe().round(3)
    print(f"\nRMSE by depth in kelvin, after a year of spin-up\n{table.to_string()}")
    table.to_csv(folder / "rmse.csv")
    figure(truth, obs["thetao"], analysis["thetao"], climatology, errors).savefig(
        folder / "quickstart.png", dpi=110
    )
    print(f"\nanalysis.nc, quickstart.png, rmse.csv and model.safetensors are in {folder}/")


def arguments() -> tuple[str, Path]:
    """Training budget and output folder, from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--budget", default="60s", help="time for the training (60s)")
    parser.add_argument("--output", default="quickstart-output", type=Path, help="folder")
    given = parser.parse_args()
    return given.budget, given.output


def classical(
    baseline: Callable[..., xdeepda.Model], control: xr.Dataset, obs: xr.Dataset
) -> xr.DataArray:
    """Temperature by a baseline: fitted to the same control run, used like the model."""
    fitted = baseline(control, var="thetao", cycle="month")
    return control.deepda.assimilate(obs, model=fitted, progress=False)["thetao"]


def compare(
    truth: xr.DataArray,
    obs: xr.DataArray,
    analysis: xr.Dataset,
    climatology: xr.DataArray,
    persistence: xr.DataArray,
) -> xr.DataArray:
    """RMSE by depth of each estimate, and the error that the analysis itself expects."""
    error = analysis["thetao"] - truth
    rows = {
        "climatology": rms(climatology - truth),
        "persistence": rms(persistence - truth),
        "background": rms(analysis["thetao_background"] - truth),
        "analysis": rms(error),
        "spread": rms(analysis["thetao_spread"]),
        "observations": rms(obs - truth),
        "analysis there": rms(error.where(obs.notnull())),  # at the observed cells
    }
    return xr.concat(list(rows.values()), pd.Index(rows, name="estimate"))


def rms(field: xr.DataArray) -> xr.DataArray:
    """Root of the area-weighted mean square by depth."""
    square = (field**2).isel(time=slice(SPINUP, None))
    area = np.cos(np.deg2rad(field.lat))
    return square.weighted(area).mean(["time", "lat", "lon"]) ** 0.5


def figure(
    truth: xr.DataArray,
    obs: xr.DataArray,
    analysis: xr.DataArray,
    climatology: xr.DataArray,
    errors: xr.DataArray,
) -> Figure:
    """Maps of the last month in the thermocline, and errors by depth."""
    fig = Figure(figsize=(11, 6.4), layout="constrained")
    axes = fig.subplots(2, 2)
    fields = {"truth": truth - climatology, "analysis": analysis - climatology}
    fields["analysis minus truth"] = analysis - truth
    for ax, (title, field) in zip(axes.flat, fields.items(), strict=False):
        here = field.isel(time=-1).sel(depth=MAP_DEPTH, method="nearest")
        image = ax.pcolormesh(here.lon, here.lat, here, cmap="RdBu_r", vmin=-2.5, vmax=2.5)
        ax.set(title=title, facecolor="0.75", xlabel="°E", ylabel="°N")
    fig.colorbar(image, ax=axes[:, 0], label="temperature anomaly (K)", location="left")
    seen = obs.isel(time=-1).sel(depth=MAP_DEPTH, method="nearest")
    lat, lon = np.nonzero(seen.notnull().transpose("lat", "lon").values)
    axes[0, 1].plot(seen.lon[lon], seen.lat[lat], "k.", markersize=2.5)
    axes[0, 1].set_title("analysis, and the cells observed in this month")
    fig.suptitle(f"Temperature at {float(seen.depth):.0f} m, anomaly in the last of six years")
    profiles(axes[1, 1], errors)
    return fig


def profiles(ax: Axes, errors: xr.DataArray) -> None:
    """Errors by depth."""
    styles = {
        "climatology": ("0.6", "-", "climatology"),
        "persistence": ("tab:olive", "-", "damped persistence"),
        "background": ("tab:blue", "-", "background"),
        "analysis": ("tab:red", "-", "analysis"),
        "spread": ("tab:red", "--", "analysis: predicted spread"),
    }
    for name, (colour, line, label) in styles.items():
        rmse = errors.sel(estimate=name)
        ax.plot(rmse, rmse.depth, line, marker=".", color=colour, label=label)
    ax.set(title="RMSE against the truth", xlabel="K", ylabel="depth (m)")
    ax.set(xlim=(0, 1.8 * float(errors.max())), yscale="log", ylim=(1500, 8))
    ax.set_yticks([10, 30, 100, 300, 1000], ["10", "30", "100", "300", "1000"])
    ax.legend(frameon=False, loc="lower right", fontsize="small")


if __name__ == "__main__":
    main()
