"""Real observations, part of them withheld: what the proving grounds of real data share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt

import xdeepda
from benchmarks import common, systems
from benchmarks.systems import LEARNED

#: Edges of the depth bins of the reports (m).
BINS = np.array([0.0, 20, 50, 100, 150, 200, 300, 400, 600, 800, 1200])
#: Resamplings of the bootstrap.
DRAWS = 2000


def levitus(folder: str | None, run: xr.Dataset) -> xr.Dataset:
    """Monthly climatology of Levitus at the levels of a run, filled on its sea."""
    with xr.open_dataset(common.data_file(folder, "climatology/levitus_4deg_monthly.nc")) as ds:
        field = ds.thetao.load()
    # the same longitudes, as the run counts them
    first = float(run.lon[0])
    field = field.assign_coords(lon=(field.lon - first) % 360 + first).sortby("lon")
    edges = {"bounds_error": False, "fill_value": "extrapolate"}
    # the first level is at 25 m: above it, the same
    deep = field.interp(depth=run.depth.clip(min=float(field.depth[0])), kwargs=edges)
    everywhere = deep.values
    for n, k in np.ndindex(everywhere.shape[:2]):
        everywhere[n, k] = filled(everywhere[n, k])
    values = deep.copy(data=everywhere).sel(lat=run.lat, lon=run.lon, method="nearest").values
    wet = run.thetao.isel(time=0).notnull().values
    out = xr.DataArray(
        np.where(wet, values, np.nan),
        dims=("time", "depth", "lat", "lon"),
        coords={
            "time": xr.date_range("2005-01-01", periods=12, freq="MS", use_cftime=False)
            + np.timedelta64(14, "D"),
            "depth": run.depth,
            "lat": run.lat,
            "lon": run.lon,
        },
        attrs=run.thetao.attrs,
    )
    return out.to_dataset(name="thetao")


def filled(layer: np.ndarray) -> np.ndarray:
    """Layer (lat, lon) whose NaN take the nearest value, across the seam."""
    wide = np.concatenate([layer, layer, layer], axis=1)
    nearest = distance_transform_edt(np.isnan(wide), return_distances=False, return_indices=True)
    return wide[tuple(nearest)][:, layer.shape[1] : 2 * layer.shape[1]]


@dataclass
class Departures:
    """Withheld and used departures of a system, over all parts that were withheld in turn.

    Attributes
    ----------
    seconds, cycles : of the assimilations
    tables : dict of list of Dataset
        "withheld" and "used".
    """

    seconds: float = 0.0
    cycles: int = 0
    tables: dict[str, list[xr.Dataset]] = field(
        default_factory=lambda: {"withheld": [], "used": []}
    )

    def column(self, part: str, name: str) -> np.ndarray:
        """Values of a column where there is something to compare."""
        return np.concatenate([t[name].values[comparable(t)] for t in self.tables[part]])


def comparable(table: xr.Dataset) -> np.ndarray:
    """Rows with an equivalent, that quality control does not doubt."""
    good = ~np.isin(table.qc.values, (3, 4, 9))
    return np.isfinite(table.residual.values) & np.isfinite(table.innovation.values) & good


def run_system(
    control: xr.Dataset,
    folds: Sequence[tuple[Any, Any]],
    model: Any,
    climatology: xr.Dataset,
    keep: Any = None,
) -> Departures:
    """Assimilate each kept part, and compare with what was withheld and with what was used."""
    out = Departures()
    for kept, withheld in folds:
        started = time.monotonic()
        analysis = xdeepda.assimilate(
            control, kept, model=model, climatology=climatology, progress=False
        )
        out.seconds += time.monotonic() - started
        out.cycles += analysis.sizes["time"]
        for part, obs in (("withheld", withheld), ("used", kept)):
            out.tables[part].append(xdeepda.departures(analysis, obs))
        if keep is not None:
            keep(analysis)
    return out


def model_of(
    system: str, control: xr.Dataset, network: Any, name: str, options: Any
) -> xdeepda.Model:
    """Train or fit a system, or read it if it was trained before."""
    return systems.model_of(system, systems.Ground(name, control, network), options)[0]


def rmse_by_bin(table: Departures, part: str, name: str) -> np.ndarray:
    """RMSE of a column by depth bin."""
    depth, values = table.column(part, "depth"), table.column(part, name)
    where = np.digitize(depth, BINS) - 1
    count = np.bincount(where, minlength=len(BINS))[: len(BINS) - 1]
    square = np.bincount(where, values**2, minlength=len(BINS))[: len(BINS) - 1]
    return np.sqrt(square / np.where(count > 0, count, np.nan))


def ratio_with_interval(
    system: Departures, rival: Departures, block: np.ndarray, seed: int = 0
) -> tuple[float, float, float]:
    """RMSE ratio of a system to a rival on the withheld data, 5 % and 95 % by block bootstrap.

    Both were compared with the same rows; a block (a platform, or a place and time) is drawn
    as a whole.
    """
    mine = system.column("withheld", "residual") ** 2
    theirs = rival.column("withheld", "residual") ** 2
    _, group = np.unique(block, return_inverse=True)
    sums = np.stack([np.bincount(group, mine), np.bincount(group, theirs)])
    rng = np.random.default_rng(seed)
    drawn = rng.integers(sums.shape[1], size=(DRAWS, sums.shape[1]))
    ratios = np.sqrt(sums[0][drawn].sum(axis=1) / sums[1][drawn].sum(axis=1))
    low, high = np.quantile(ratios, [0.05, 0.95])
    return float(np.sqrt(mine.sum() / theirs.sum())), float(low), float(high)


def counts(obs: xr.Dataset) -> list[str]:
    """What quality control found, in a line."""
    by_rule = obs.deepda.quality_report().by_rule
    rejected = int(np.isin(obs.qc.values, (3, 4)).sum())
    told = ", ".join(f"{verdict} {n}" for verdict, n in by_rule.items() if n)
    return [f"quality control: {rejected} of {obs.sizes['obs']} data rejected ({told})"]


def report(
    title: str,
    results: dict[str, Departures],
    blocks: str,
    out: Path,
    stem: str,
    head: Sequence[str] = (),
) -> None:
    """Print and write the tables below the lines of `head`, and draw the figure by depth."""
    first = next(iter(results.values()))
    where = np.digitize(first.column("withheld", "depth"), BINS) - 1
    count = np.bincount(where, minlength=len(BINS))[: len(BINS) - 1]
    names = [f"{a:g}-{b:g}" for a, b in pairwise(BINS)]
    text = [title, "", *head]
    columns = {}
    for part in ("withheld", "used"):
        for column, words in (("residual", "analysis"), ("innovation", "background")):
            columns[part, column] = {s: rmse_by_bin(r, part, column) for s, r in results.items()}
            text += ["", f"{part} data: RMSE of observation minus {words} (K)"]
            own = count if part == "withheld" else None
            text += lines(names, own, columns[part, column])
    text += ["", "pooled over depth, with 5 % and 95 % by bootstrap of whole " + blocks]
    block = first.column("withheld", blocks)
    rival = results["climatology"]
    for system, row in results.items():
        ratio, low, high = ratio_with_interval(row, rival, block)
        expected = np.hypot(
            row.column("withheld", "analysis_spread"), row.column("withheld", "observed_error")
        )
        told = np.sqrt((expected**2).mean() / (row.column("withheld", "residual") ** 2).mean())
        bias = row.column("withheld", "residual").mean()
        text.append(
            f"  {system:12} {ratio:.3f} [{low:.3f}, {high:.3f}] x climatology, bias {bias:+.3f} K, "
            f"expected / real O-A {told:.2f}, {row.seconds / max(row.cycles, 1):.3f} s a cycle"
        )
    text += versus(results, block)
    print("\n".join(text))
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{stem}.txt").write_text("\n".join(text) + "\n")
    figure(title, columns["withheld", "residual"], out / f"{stem}.png")


def versus(results: dict[str, Departures], block: np.ndarray) -> list[str]:
    """Learned systems against the best classical one."""
    classical = [s for s in results if s not in LEARNED]
    pooled = {
        s: np.sqrt((results[s].column("withheld", "residual") ** 2).mean()) for s in classical
    }
    best = min(pooled, key=lambda s: float(pooled[s]))
    told = []
    for system in (s for s in results if s in LEARNED):
        ratio, low, high = ratio_with_interval(results[system], results[best], block)
        told.append(
            f"  {system:12} {ratio:.3f} [{low:.3f}, {high:.3f}] x {best}, the best baseline"
        )
    return told


def lines(
    names: Sequence[str], count: np.ndarray | None, columns: dict[str, np.ndarray]
) -> list[str]:
    """Text table by depth bin."""
    head = f"{'depth (m)':>10}" + ("" if count is None else f"{'count':>8}")
    out = [head + "".join(f"{name:>13}" for name in columns)]
    for n, name in enumerate(names):
        row = f"{name:>10}" + ("" if count is None else f"{count[n]:8d}")
        out.append(row + "".join(f"{values[n]:13.3f}" for values in columns.values()))
    return out


def figure(title: str, columns: dict[str, np.ndarray], path: Path) -> None:
    """RMSE at the withheld data by depth."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
    middle = (BINS[:-1] + BINS[1:]) / 2
    for system, values in columns.items():
        known = np.isfinite(values)
        ax.plot(values[known], middle[known], "-o", ms=3, label=system)
    ax.set(xlabel="RMSE at withheld data (K)", ylabel="depth (m)", xlim=(0, None))
    ax.set_title(title, fontsize=9)
    common.depth_axis(ax, middle[np.isfinite(next(iter(columns.values())))])
    ax.legend()
    fig.savefig(path, dpi=120)
    plt.close(fig)


def parser(name: str, description: str, default: Sequence[str]) -> Any:
    """Arguments of the proving grounds of real data."""
    out = common.parser(name, description)
    systems.add_options(out, default=default)
    return out
