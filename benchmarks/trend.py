"""Trends: the truth is MITgcm run W, warmed by a growing heat flux; models are trained on A.

Thirty years, of which the first half is observed by the sparse network and the second by
the dense one.  The trend of the area mean at each level, in the analysis and in the truth,
with their standard errors; and the same for 30 years of A itself, where there is no trend to
find: what the change of the network makes of nothing.  Years of A are in part those that
the models were trained on; there is no other run of this length and physics.

Anomalies are taken from the climatology of the period (*own*), as one would do with an
observed climatology, or from that of A for all (*published*).

    python -m benchmarks trend --data FOLDER --models FOLDER [--truth w]
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

import xdeepda
from benchmarks import common, osse, systems
from benchmarks.networks import GridNetwork
from benchmarks.twin import MODES
from xdeepda.diagnostics.trends import linear_trend

#: Years of the truths; the first year is spin-up.
YEARS = {"w": (13, 42), "a": (33, 62)}
SYSTEMS = ("climatology", "enoi", "kalman", "combined", "increment", "hybrid")


class Trend(NamedTuple):
    """Slopes (K a decade) and their standard errors, by level."""

    slope: np.ndarray
    error: np.ndarray


def main(arguments: list[str]) -> int:
    parser = common.parser("trend", str(__doc__).splitlines()[0])
    systems.add_options(parser, default=SYSTEMS)
    parser.add_argument("--truth", nargs="+", choices=tuple(YEARS), default=list(YEARS))
    parser.add_argument("--climatology", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--trained-on", choices=("sparse", "dense"), default="sparse",
                        help="network that the models of osse were trained with")  # fmt: skip
    options = parser.parse_args(arguments)
    runs = {
        x: common.open_run(common.data_file(options.data, f"models/mitgcm_{x}.nc"))[["thetao"]]
        for x in {"a", *options.truth}
    }
    ground = osse.ground_of(runs["a"].load(), options.trained_on)
    for name in options.truth:
        truth = common.years(runs[name], *YEARS[name]).load()
        one_truth(name, ground, truth, options)
    return 0


def one_truth(name: str, ground: systems.Ground, truth: xr.Dataset, options: Any) -> None:
    """All systems on one truth, in each mode."""
    cells = growing(truth, 1000 + options.seed)
    for mode in options.climatology:
        series = {"truth": yearly(truth.thetao)}
        for system in options.systems:
            climatology = truth if mode == "own" else "model"
            model, _ = systems.model_of(system, ground, options)
            analysis = xdeepda.assimilate(
                ground.control, cells, model=model, climatology=climatology, seed=options.seed,
                progress=False,
            )  # fmt: skip
            series[system] = yearly(analysis.thetao)
        report(name, mode, series, truth.depth.values, options)


def growing(truth: xr.Dataset, seed: int) -> xr.Dataset:
    """Observations of the sparse network in the first half of a truth, of the dense after it."""
    half = truth.sizes["time"] // 2
    parts = [
        xdeepda.observe(part, GridNetwork(name), var="thetao", cycle="month", seed=seed)
        for name, part in (
            ("sparse", truth.isel(time=slice(None, half))),
            ("dense", truth.isel(time=slice(half, None))),
        )
    ]
    return xr.concat(parts, "time", combine_attrs="drop_conflicts")


def yearly(values: xr.DataArray) -> np.ndarray:
    """Area means of the years after the first, (year, level)."""
    means = values.weighted(common.area_weights(values)).mean(("lat", "lon"))
    return means.groupby("time.year").mean("time").transpose("year", "depth").values[1:]


def trend(series: np.ndarray) -> Trend:
    """Trend of yearly values (year, level), with an error for correlated ones."""
    time = np.arange(len(series)) / 10
    slope, error, _, _ = linear_trend(series.T, time, np.ones((len(series), 1)))
    return Trend(slope, error)


def report(
    name: str, mode: str, series: dict[str, np.ndarray], depth: np.ndarray, options: Any
) -> None:
    """Table of the trends by depth, how many are right, and a figure."""
    found = {system: trend(values) for system, values in series.items()}
    columns = {"truth": found["truth"].slope, "+-": found["truth"].error}
    lines = []
    for system in (s for s in found if s != "truth"):
        columns[system], columns[f"+- {system[:5]}"] = found[system]
        off = found[system].slope - found["truth"].slope
        within = int((np.abs(off) <= found[system].error).sum())
        # both see the same weather: the trend of the difference is known much better
        own = trend(series[system] - series["truth"])
        significant = int((np.abs(own.slope) > 2 * own.error).sum())
        lines.append(
            f"  {system:12} rms error of the trend {np.sqrt((off**2).mean()):.4f} K a decade, "
            f"largest {np.abs(off).max():.4f}; within its standard error at {within} of "
            f"{len(depth)} levels; the difference to the truth has a trend of over twice its "
            f"standard error at {significant}"
        )
    title = (
        f"trend: truth {name.upper()}, years {YEARS[name][0] + 1}-{YEARS[name][1]}, sparse, then "
        f"dense network, {mode} climatology; K a decade"
    )
    text = "\n".join([title, common.table(columns, depth, digits=4), *lines])
    print(f"{text}\n")
    stem = Path(options.out) / f"trend_{name}_{mode}_seed{options.seed}"
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".txt").write_text(text + "\n")
    plain = {s: {"slope": t.slope.tolist(), "error": t.error.tolist()} for s, t in found.items()}
    stem.with_suffix(".json").write_text(json.dumps(plain))
    figure(title, found, depth, stem.with_suffix(".png"))


def figure(title: str, found: dict[str, Trend], depth: np.ndarray, path: Path) -> None:
    """Trends by depth with their standard errors."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 5.6), layout="constrained")
    for n, (system, row) in enumerate(found.items()):
        style = {"color": "k", "lw": 2} if system == "truth" else {"color": f"C{n - 1}"}
        ax.errorbar(row.slope, depth, xerr=row.error, marker="o", ms=3, label=system, **style)
    ax.axvline(0.0, color="0.7", lw=1)
    ax.set(xlabel="trend (K a decade)", ylabel="depth (m)")
    ax.set_title(title, fontsize=8)
    common.depth_axis(ax, depth)
    ax.legend()
    fig.savefig(path, dpi=120)
    plt.close(fig)
