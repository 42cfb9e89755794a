"""Figures of docs/concepts.md, all from one small run on the idealised ocean.

Run from the root of the repository: ``python docs/figures/concepts.py``
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes

import xdeepda
from xdeepda.core.partial_conv import PartialConv

FOLDER = Path(__file__).parents[1] / "_static"
LEVEL = {"depth": 3}  # in the thermocline
MONTH = 70
LOST = slice(40, 54)  # months in which one place is not observed
TRUTH, BACKGROUND, ANALYSIS, SEEN = "0.35", "tab:blue", "tab:red", "k"


def main() -> None:
    """Make an ocean, observe it, analyse it, draw."""
    xdeepda.set_options(progress=False, threads=1)
    ocean = xdeepda.datasets.idealised_ocean(38, resolution=(7.5, 6.0), seed=3)
    control, truth = ocean.isel(time=slice(0, 360)), ocean.isel(time=slice(360, None))
    network = xdeepda.Network.simulated(control, "1980s")
    cells = truth.deepda.observe(network, var="thetao", cycle="month", seed=1)
    place = most_observed(cells)
    lost = (cells.lat == place["lat"]) & (cells.lon == place["lon"])
    cells = cells.where(~(lost & cells.time.isin(cells.time[LOST])))
    model = control.deepda.train(network, var="thetao", cycle="month", epochs=8, validate_every=2)
    analysis = control.deepda.assimilate(cells, model=model)
    fields = Fields(truth["thetao"], cells, analysis)
    one_analysis(fields)
    the_cycle(fields, place)
    partial_convolution(fields)
    uncertainty(fields)


def most_observed(cells: xr.Dataset) -> dict[str, float]:
    """Latitude and longitude of the tropical cell that is observed in most months: a mooring."""
    tropics = cells["thetao"].isel(LEVEL).sel(lat=slice(-8, 8))
    count = tropics.count("time").stack(cell=("lat", "lon"))
    lat, lon = count["cell"].values[int(np.argmax(count.values))]
    return {"lat": float(lat), "lon": float(lon)}


class Fields:
    """What is drawn: truth, observations and analysis as anomalies at one level.

    Anomalies are departures from the mean annual cycle of the truth.
    """

    def __init__(self, truth: xr.DataArray, cells: xr.Dataset, analysis: xr.Dataset) -> None:
        normal = truth.groupby("time.month").mean()
        self.cells, self.analysis_set, self.truth_all = cells, analysis, truth

        def anomaly(field: xr.DataArray) -> xr.DataArray:
            return (field.groupby("time.month") - normal).isel(LEVEL)

        self.truth = anomaly(truth)
        self.seen, self.seen_error = anomaly(cells["thetao"]), cells["thetao_error"].isel(LEVEL)
        self.analysis = anomaly(analysis["thetao"])
        self.background = anomaly(analysis["thetao_background"])
        self.spread = analysis["thetao_spread"].isel(LEVEL)
        self.background_spread = analysis["thetao_background_spread"].isel(LEVEL)
        self.depth = f"{float(truth['depth'].isel(LEVEL)):.0f} m"


def band(ax: Axes, x, middle, spread, colour: str, label: str) -> None:
    """A line, and around it one standard deviation."""
    ax.plot(x, middle, color=colour, label=label)
    ax.fill_between(x, middle - spread, middle + spread, color=colour, alpha=0.18, linewidth=0)


def one_analysis(fields: Fields) -> None:
    """Background, observations and analysis of a month along the equator."""
    here = {"time": MONTH, "lat": int(np.argmin(np.abs(fields.truth.lat.values - 3.0)))}
    basin = slice(125, 280)
    fig, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True, layout="constrained")
    for ax, middle, spread, colour, name in (
        (axes[0], fields.background, fields.background_spread, BACKGROUND, "background"),
        (axes[1], fields.analysis, fields.spread, ANALYSIS, "analysis"),
    ):
        line, width = (f.isel(here).sel(lon=basin) for f in (middle, spread))
        ax.plot(
            line.lon, fields.truth.isel(here).sel(lon=basin), color=TRUTH, ls="--", label="truth"
        )
        band(ax, line.lon, line, width, colour, f"{name} ± its error")
        seen, error = (f.isel(here).sel(lon=basin) for f in (fields.seen, fields.seen_error))
        ax.errorbar(seen.lon, seen, error, fmt="o", color=SEEN, ms=4, label="observations")
        ax.set(title=f"{name} and observations", xlabel="longitude (°E)")
        ax.legend(frameon=False, fontsize="small")
        ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    axes[0].set_ylabel(f"temperature anomaly at {fields.depth} (K)")
    fig.savefig(FOLDER / "concepts_analysis.png", dpi=110)


def the_cycle(fields: Fields, here: dict[str, float]) -> None:
    """Background and analysis of one place in turn, through four years."""
    period = slice(24, 72)
    truth, seen, error, background, b_spread, analysis, a_spread = (
        f.sel(here).isel(time=period).values
        for f in (fields.truth, fields.seen, fields.seen_error, fields.background,
                  fields.background_spread, fields.analysis, fields.spread)
    )  # fmt: skip
    months = np.arange(truth.size)
    # the background of a month, then its analysis: two points at one time
    twice, middle = np.repeat(months, 2), np.stack([background, analysis], 1).ravel()
    spread = np.stack([b_spread, a_spread], 1).ravel()
    fig, ax = plt.subplots(figsize=(11, 3.6), layout="constrained")
    ax.plot(months, truth, "--", color=TRUTH, label="truth")
    band(ax, twice, middle, spread, ANALYSIS, "estimate ± its error")
    ax.errorbar(months, seen, error, fmt="o", color=SEEN, ms=4, label="observations of this cell")
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.set(xlabel="month", ylabel=f"temperature anomaly at {fields.depth} (K)", xlim=(0, 47))
    ax.legend(frameon=False, ncols=3, loc="upper right", fontsize="small")
    fig.savefig(FOLDER / "concepts_cycle.png", dpi=110)


def partial_convolution(fields: Fields) -> None:
    """Observed anomalies, averaged with and without knowing where they are."""
    seen = fields.seen.isel(time=MONTH)
    mask = torch.from_numpy(np.isfinite(seen.values)).float()[None, None]
    values = torch.from_numpy(np.nan_to_num(seen.values)).float()[None, None]
    window = PartialConv(1, 1, (5, 5), bias=False, periodic=True)
    with torch.no_grad():
        window.weight.fill_(1.0 / 25)
        partial, known = window(values, mask)
        plain, _ = window(values, torch.ones_like(mask))
    sea = np.isfinite(fields.truth.isel(time=MONTH).values)
    panels = {
        "observed anomalies": seen.values,
        "convolution, unobserved cells as 0": plain[0, 0].numpy(),
        "partial convolution": np.where(known[0, 0] > 0, partial[0, 0], np.nan),
        "truth": fields.truth.isel(time=MONTH).values,
    }
    fig, axes = plt.subplots(
        2, 2, figsize=(11, 5.6), sharex=True, sharey=True, layout="constrained"
    )
    for ax, (title, panel) in zip(axes.flat, panels.items(), strict=True):
        panel = np.where(sea, panel, np.nan)
        ax.set_facecolor("0.95")
        land = np.where(sea, np.nan, 1.0)
        ax.pcolormesh(seen.lon, seen.lat, land, cmap="Greys", vmin=0, vmax=2)
        image = ax.pcolormesh(seen.lon, seen.lat, panel, cmap="RdBu_r", vmin=-2, vmax=2)
        ax.set(title=title, xticks=range(0, 361, 60), yticks=range(-60, 61, 30))
    for ax in axes[1]:
        ax.set_xlabel("longitude (°E)")
    for ax in axes[:, 0]:
        ax.set_ylabel("latitude (°N)")
    fig.colorbar(image, ax=axes, label=f"temperature anomaly at {fields.depth} (K)", shrink=0.8)
    fig.savefig(FOLDER / "concepts_partial.png", dpi=110)


def uncertainty(fields: Fields) -> None:
    """Stated error on a map, and beside the real one for cells that say the same of themselves."""
    fig, (left, right) = plt.subplots(
        1, 2, figsize=(11, 3.6), width_ratios=[1.6, 1], layout="constrained"
    )
    month = fields.spread.isel(time=MONTH)
    left.set_facecolor("0.75")
    image = left.pcolormesh(month.lon, month.lat, month, cmap="viridis", vmin=0)
    j, i = np.nonzero(np.isfinite(fields.seen.isel(time=MONTH).values))
    left.plot(month.lon[i], month.lat[j], "w.", ms=3)
    left.set(title="stated error, and the observed cells", xlabel="longitude (°E)",
             ylabel="latitude (°N)")  # fmt: skip
    fig.colorbar(image, ax=left, label="K")
    error = (fields.analysis - fields.truth).isel(time=slice(12, None)).values.ravel()
    stated = fields.spread.isel(time=slice(12, None)).values.ravel()
    good = np.isfinite(error) & np.isfinite(stated)
    order = np.argsort(stated[good])
    groups = np.array_split(order, 15)
    said = [np.sqrt(np.mean(stated[good][g] ** 2)) for g in groups]
    real = [np.sqrt(np.mean(error[good][g] ** 2)) for g in groups]
    right.plot([0, 1.1 * max(said)], [0, 1.1 * max(said)], color="0.7", lw=1)
    right.plot(said, real, "o", color=ANALYSIS)
    right.set(title="is it true?", xlabel="stated error (K)", ylabel="RMSE against the truth (K)")
    fig.savefig(FOLDER / "concepts_spread.png", dpi=110)


if __name__ == "__main__":
    main()
