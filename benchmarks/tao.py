"""Real moorings of the equatorial Pacific: one site withheld at a time.

Trained on the tropical Pacific of MITgcm run A (monthly, 4 degrees); the daily moorings
at 0 N 165 E, 170 W and 140 W as monthly anomalies, with the surface temperature of 70
moorings 1980-98 as a second source.  RMSE at the withheld site, 1988-2018, beside
climatology and damped persistence, and the fit at the sites that are used.

    python -m benchmarks tao --data FOLDER
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import xdeepda
from benchmarks import common, withheld
from benchmarks.moorings import SITES, gridded, profile_anomalies, site_cells, surface_anomalies
from xdeepda.calendar import Cycle
from xdeepda.grid import Grid, grid_of

PERIOD = ("1988-01", "2018-12")
#: Latitudes and longitudes of what is trained and analysed.
PACIFIC = (-30.0, 30.0), (120.0, 290.0)
DEFAULT = ("increment", "persistence", "climatology")


class MooringNetwork:
    """The moorings, each there in a random part of the months, for training."""

    def __init__(self, grid: Grid, cells: xr.Dataset, share: float = 0.6) -> None:
        seen = cells.thetao.notnull().values
        self.share = share
        self.profile = [site_cells(grid, longitude) for longitude in SITES.values()]
        self.levels = np.flatnonzero(seen[:, 1:].any(axis=(0, 2, 3))) + 1
        self.surface = np.flatnonzero(seen[:, 0].any(axis=0).ravel())
        self.error = np.nanmax(cells.thetao_error.values, axis=(0, 2, 3))

    def __repr__(self) -> str:
        return f"<MooringNetwork of {len(self.surface)} cells, present {self.share:.0%}>"

    def on(
        self, grid: Grid, cycle: Cycle, calendar: str, variables: Any, wet: np.ndarray
    ) -> MooringNetwork:
        """The network is on its grid already."""
        self.columns, self.wet = grid.shape[1] * grid.shape[2], wet[0].ravel()
        return self

    def draw(
        self, index: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cells of one month."""
        parts = [self.surface[rng.random(self.surface.size) < self.share * rng.random()]]
        for columns in self.profile:
            if rng.random() < self.share:
                parts += [columns, (self.levels[:, None] * self.columns + columns).ravel()]
        cell = np.unique(np.concatenate(parts))
        cell = cell[self.wet[cell]]
        return cell, self.error[cell // self.columns], np.ones(cell.size, dtype=np.int32)


def main(arguments: list[str]) -> int:
    options = withheld.parser("tao", str(__doc__).splitlines()[0], DEFAULT).parse_args(arguments)
    path = common.data_file(options.data, "models/mitgcm_a.nc")
    folder = common.data_file(options.data, "observations")
    run = common.years(common.open_run(path)[["thetao"]].load(), *(13, 54))
    run = common.region(run, *PACIFIC)
    grid = grid_of(run.thetao)
    assert grid.depth is not None
    profiles = {site: profile_anomalies(folder, site, grid.depth) for site in SITES}
    surface = surface_anomalies(folder, grid)
    times = pd.date_range(*PERIOD, freq="MS")
    climate = run.thetao.groupby("time.month").mean("time").values
    everything = gridded(grid, profiles, surface, climate, times)
    network = MooringNetwork(grid, everything)
    results = {}
    for system in options.systems:
        model = withheld.model_of(system, run, network, "tao", options)
        for site in SITES:
            kept = {name: p for name, p in profiles.items() if name != site}
            obs = gridded(grid, kept, surface, climate, times)
            started = time.monotonic()
            analysis = xdeepda.assimilate(run, obs, model=model, times=times + pd.Timedelta("14D"))
            seconds = (time.monotonic() - started) / len(times)
            results[system, site] = score(analysis, grid, profiles, site, climate) | {
                "seconds": seconds
            }
    report(results, grid.depth, Path(options.out), options)
    return 0


def at_site(analysis: xr.DataArray, grid: Grid, site: str, climate: np.ndarray) -> np.ndarray:
    """Anomalies of a field at a mooring, the mean of the cells around it; (time, depth)."""
    values = analysis.values - climate[analysis.time.dt.month.values - 1]
    columns = site_cells(grid, SITES[site])
    return np.nanmean(values.reshape(*values.shape[:2], -1)[:, :, columns], axis=2)


def score(
    analysis: xr.Dataset,
    grid: Grid,
    profiles: dict[str, xr.DataArray],
    site: str,
    climate: np.ndarray,
) -> dict[str, Any]:
    """RMSE by depth at the withheld site and at the used ones."""
    months = pd.DatetimeIndex(analysis.time.values).to_period("M").to_timestamp()
    out: dict[str, Any] = {}
    truth = profiles[site].reindex(time=months).values
    best = at_site(analysis.thetao, grid, site, climate)
    background = at_site(analysis.thetao_background, grid, site, climate)
    columns = site_cells(grid, SITES[site])
    spread = analysis.thetao_spread.values.reshape(*best.shape, -1)[:, :, columns].mean(axis=2)
    known = np.isfinite(truth)
    out["count"] = known.sum(axis=0)
    out["square"] = np.nansum((best - truth) ** 2, axis=0)
    out["square_background"] = np.nansum((background - truth) ** 2, axis=0)
    out["square_climatology"] = np.nansum(truth**2, axis=0)
    out["square_spread"] = np.where(known, spread**2, 0).sum(axis=0)
    used = [name for name in SITES if name != site]
    out["square_used"], out["square_used_climatology"] = np.zeros((2, len(grid.depth)))
    for name in used:
        theirs = profiles[name].reindex(time=months).values
        fit = at_site(analysis.thetao, grid, name, climate)
        out["square_used"] += np.nansum((fit - theirs) ** 2, axis=0)
        out["square_used_climatology"] += np.nansum(theirs**2, axis=0)
    return out


def report(results: dict[Any, dict[str, Any]], depth: np.ndarray, out: Path, options: Any) -> None:
    """Print and write the tables and the figure."""
    out.mkdir(parents=True, exist_ok=True)
    text = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for site in SITES:
            mine = {system: row for (system, place), row in results.items() if place == site}
            first = next(iter(mine.values()))
            columns = {"clim. (K)": np.sqrt(first["square_climatology"] / first["count"])}
            for system, row in mine.items():
                if system == "climatology":
                    continue
                name = system[:7]
                columns[f"{name} an."] = np.sqrt(row["square"] / row["square_climatology"])
                columns[f"{name} bg."] = np.sqrt(
                    row["square_background"] / row["square_climatology"]
                )
                columns[f"{name} used"] = np.sqrt(
                    row["square_used"] / row["square_used_climatology"]
                )
            text.append(f"tao: 0 N {site} withheld; RMSE / RMSE of climatology (own, 1988-2018)")
            text.append(common.table(columns, depth))
            text.append(pooled(mine))
    print("\n".join(text))
    (out / f"tao_seed{options.seed}.txt").write_text("\n".join(text) + "\n")
    figure(results, depth, out / f"tao_seed{options.seed}.png")


def pooled(mine: dict[str, dict[str, Any]]) -> str:
    """Ratios pooled over depth."""
    lines = []
    for system, row in mine.items():
        ratio = np.sqrt(row["square"].sum() / row["square_climatology"].sum())
        skill = np.sqrt(row["square_spread"].sum() / row["square"].sum())
        lines.append(
            f"  {system}: pooled {ratio:.3f} x climatology, predicted spread / RMSE {skill:.2f} "
            f"(error of the mooring not included), {row['seconds']:.3f} s a cycle"
        )
    return "\n".join(lines) + "\n"


def figure(results: dict[Any, dict[str, Any]], depth: np.ndarray, path: Path) -> None:
    """RMSE at the withheld sites by depth."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(1, 3, figsize=(12, 5), sharey=True, layout="constrained")
    for ax, site in zip(axes, SITES, strict=True):
        for (system, place), row in results.items():
            if place == site:
                known = row["count"] > 0
                rmse = np.sqrt(row["square"][known] / row["count"][known])
                ax.plot(rmse, depth[known], "-o", ms=3, label=system)
        ax.set(title=f"0°N {site.upper()} withheld", xlabel="RMSE (K)", xlim=(0, None))
    axes[0].set(ylabel="depth (m)")
    axes[0].invert_yaxis()
    axes[0].legend()
    fig.savefig(path, dpi=120)
    plt.close(fig)
