"""Scores of analyses of a known truth: tables by depth, a summary, figures."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import xdeepda
from benchmarks import common, systems
from benchmarks.systems import LEARNED, SINGLE
from xdeepda.calendar import Cycle, calendar_of
from xdeepda.climatology import fit_climatology, harmonics_of
from xdeepda.errors import Problems
from xdeepda.source import RunSource
from xdeepda.verification import calibration, scores

#: Bins of the histograms of the probability integral transform.
BINS = 20
#: Bands of latitude that spread and error are compared in: south, tropics, north.
BANDS = ((-90.0, -20.0), (-20.0, 20.0), (20.0, 90.0))
#: Blocks that the scored period is cut into for the sampling error of a ratio.
BLOCKS = 14


def climate_of(own: xr.Dataset, cycle: str, truth: xr.Dataset) -> xr.DataArray:
    """Climatology of `own` years, as models fit theirs, at the times of a truth, on its sea."""
    problems = Problems("climatology")
    source = RunSource(own, ["thetao"], Cycle(cycle), problems=problems)
    problems.raise_if_any()
    fitted = fit_climatology(source, source.wet, harmonics_of(None, source.cycle))
    times = source.cycle.index(truth.time.values)
    fraction = source.cycle.year_fraction(times, calendar_of(truth.time.values))
    values = fitted.at(fraction)[:, 0].astype(np.float64).reshape(truth.thetao.shape)
    return truth.thetao.copy(data=values).where(truth.thetao.notnull())


@dataclass(frozen=True)
class Scene:
    """What is reported: a truth, its observations, and what all errors are compared with."""

    ground: systems.Ground
    truth: xr.Dataset
    cells: xr.Dataset
    climate: xr.DataArray
    spinup: int
    #: Further arguments of ``assimilate``.
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def run(
        self, system: str, options: Any, settings: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Scores and costs of a system; `settings` are those of the command line by default."""
        model, seconds = systems.model_of(system, self.ground, options, settings)
        return self.of_model(model, options) | {
            "training_seconds": seconds, "steps": model.provenance.get("steps", 0),
        }  # fmt: skip

    def analyse(self, model: Any, options: Any) -> xr.Dataset:
        """Analysis of a model, or of several together."""
        return xdeepda.assimilate(
            self.ground.control, self.cells, model=model, seed=options.seed, progress=False,
            **self.arguments,
        )  # fmt: skip

    def of_model(self, model: Any, options: Any) -> dict[str, Any]:
        """Scores of a model, or of several together, and its seconds a cycle."""
        started = time.monotonic()
        analysis = self.analyse(model, options)
        seconds = (time.monotonic() - started) / self.cells.sizes["time"]
        return self.score(analysis) | {"cycle_seconds": seconds}

    def score(self, analysis: xr.Dataset) -> dict[str, Any]:
        """Scores of an analysis."""
        members = analysis.thetao if "member" in analysis.thetao.dims else None
        if members is not None:
            analysis = analysis.assign(thetao=members.mean("member"))
        out = score(analysis, self.truth, self.cells, self.climate, self.spinup)
        if members is not None and "lat" in members.coords:
            later = slice(self.spinup, None)
            out["mean_spread_skill"] = of_means(
                members.isel(time=later), self.truth.thetao.isel(time=later)
            )
        return out


def score(
    analysis: xr.Dataset,
    truth: xr.Dataset,
    cells: xr.Dataset,
    climate: xr.DataArray,
    spinup: int,
) -> dict[str, Any]:
    """RMSE by depth of analysis, background, climatology; at observed cells; and the spread."""
    later = slice(spinup, None)
    a, t, c, climate = (
        x.isel(time=later) for x in xr.align(analysis, truth, cells, climate, join="exact")
    )
    seen = c.thetao.notnull()
    error = a.thetao - t.thetao
    out = {
        "analysis": common.rmse_by_depth(error),
        "background": common.rmse_by_depth(a.thetao_background - t.thetao),
        "climatology": common.rmse_by_depth(climate - t.thetao),
        "analysis_at_obs": common.rmse_by_depth(error.where(seen)),
        "obs_error": common.rmse_by_depth((c.thetao - t.thetao).where(seen)),
        "blocks": block_errors(error),
        "power": power(a.thetao - climate) / power(t.thetao - climate),
    }
    out["ratio"] = out["analysis"] / out["climatology"]
    return out | uncertainty(a.thetao, a.thetao_spread, t.thetao)


def uncertainty(mean: xr.DataArray, spread: xr.DataArray, truth: xr.DataArray) -> dict[str, Any]:
    """What a normal distribution of this mean and spread says of the truth, by depth.

    CRPS, spread / RMSE (also by bands of latitude), and histograms of the probability
    integral transform, relative to a flat one.
    """
    mean, spread, truth = xr.broadcast(mean, spread, truth)
    error = mean - truth
    crps = truth.copy(data=scores.crps_gaussian(mean, spread, truth))
    transform = calibration.pit(mean, spread, truth)
    weights = common.area_weights(truth).broadcast_like(truth).transpose(*truth.dims).values
    level = truth.get_axis_num("depth")
    layers = zip(np.moveaxis(transform, level, 0), np.moveaxis(weights, level, 0), strict=True)
    counts = [calibration.pit_histogram(p, bins=BINS, weights=w) for p, w in layers]
    out = {
        "crps": common.mean_by_depth(crps),
        "spread_skill": common.rmse_by_depth(spread) / common.rmse_by_depth(error),
        "pit": np.array([BINS * n / n.sum() for n in counts]),
    }
    if "lat" in truth.coords:
        out["spread_skill_bands"] = np.array(
            [
                common.rmse_by_depth(spread.sel(lat=slice(*band)))
                / common.rmse_by_depth(error.sel(lat=slice(*band)))
                for band in BANDS
            ]
        )
    return out


def of_means(members: xr.DataArray, truth: xr.DataArray) -> np.ndarray:
    """Spread between members / RMSE, of the area means of the bands; (band, level).

    Near 1 only where the errors of neighbouring cells are as alike in the members as they are.
    """
    weights, rows = common.area_weights(truth), []
    for band in BANDS:
        over = {"lat": slice(*band)}
        ours, theirs = (
            x.sel(over).weighted(weights.sel(over)).mean(("lat", "lon")) for x in (members, truth)
        )
        spread, error = ours.std("member", ddof=1), ours.mean("member") - theirs
        number = members.sizes["member"]
        over_time = error.get_axis_num("time")
        rows.append(scores.spread_skill(spread, error, members=number, axis=over_time))
    return np.array(rows)


def block_errors(error: xr.DataArray) -> np.ndarray:
    """Mean square errors of parts of the period, (part, level)."""
    parts = np.array_split(np.arange(error.sizes["time"]), min(BLOCKS, error.sizes["time"]))
    return np.stack([common.mean_by_depth(error.isel(time=part) ** 2) for part in parts])


def power(anomaly: xr.DataArray) -> np.ndarray:
    """Power spectrum along longitude, area-weighted, (level, wavenumber 1 and up); land is 0.

    Land leaks into all wavenumbers: meaningful beside that of another field of the same sea.
    """
    values = anomaly.fillna(0).transpose("depth", ..., "lon")
    square = np.abs(np.fft.rfft(values.values, axis=-1)[..., 1:]) ** 2
    waves = values.isel(lon=slice(0, square.shape[-1]))
    return common.mean_by_depth(waves.copy(data=square), keep="lon")


def ratio_to(row: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[float, float]:
    """Mean over the levels of RMSE / another's, and its standard error by a jackknife of parts."""
    mine, theirs = row["blocks"], other["blocks"]
    n = len(mine)
    left_out = np.sqrt((mine.sum(axis=0) - mine) / (theirs.sum(axis=0) - theirs)).mean(axis=1)
    ratio = float((row["analysis"] / other["analysis"]).mean())
    return ratio, float(np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()))


def best_single(results: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Name of the baseline of the best score that is no combination."""
    there = [s for s in SINGLE if s in results]
    return min(there, key=lambda s: float(results[s]["ratio"].mean())) if there else None


def single_by_level(results: Mapping[str, Mapping[str, Any]]) -> np.ndarray | None:
    """Smallest RMSE of single baselines at each level."""
    there = [results[s]["analysis"] for s in SINGLE if s in results]
    return np.min(there, axis=0) if there else None


def report(
    title: str,
    results: Mapping[str, Mapping[str, Any]],
    depth: np.ndarray,
    stem: Path,
    limit: str | None = None,
    *,
    details: bool = True,
) -> str:
    """Print the tables, write them and the figure; `limit` names the system none can beat."""
    text = [f"{title}\n\n{summary(results, limit)}"]
    if details:
        text += [by_level(system, results, depth, limit) for system in results]
        text.append(verdict(results, depth))
    whole = "\n\n".join(part for part in text if part)
    print(whole)
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".txt").write_text(whole + "\n")
    plain = {s: {k: np.asarray(v).tolist() for k, v in r.items()} for s, r in results.items()}
    stem.with_suffix(".json").write_text(json.dumps(plain))
    figure(title, results, depth, stem.with_suffix(".png"))
    return whole


def summary(results: Mapping[str, Mapping[str, Any]], limit: str | None = None) -> str:
    """One line for each system: means over the levels, and what it costs."""
    columns = {
        head: [cell(row) for row in results.values()] for head, cell in _cells(results, limit)
    }
    # what cannot be told of any system, such as a ratio to baselines that are not there
    columns = {h: cells for h, cells in columns.items() if any(c.strip() != "-" for c in cells)}
    width = max(15, *(len(system) + 1 for system in results))
    lines = [f"{'':{width}}" + "".join(f"{head:>10}" for head in columns)]
    for system, *cells in zip(results, *columns.values(), strict=True):
        lines.append(f"{system:{width}}" + "".join(f"{cell:>10}" for cell in cells))
    told = [text for head, text in legend(best_single(results), limit) if head in columns]
    return "\n".join([*lines, *textwrap.wrap("; ".join(told), 110)])


def _cells(
    results: Mapping[str, Mapping[str, Any]], limit: str | None
) -> list[tuple[str, Callable[[Mapping[str, Any]], str]]]:
    """Heads of the columns of the summary, and what makes their cells of a row."""
    best, single = best_single(results), single_by_level(results)

    def to(name: str | None) -> Callable[[Mapping[str, Any]], str]:
        """Score / that of a system."""
        if name is None or name not in results:
            return lambda row: "-"
        return lambda row: number(row["ratio"].mean() / results[name]["ratio"].mean())

    def small_scales(row: Mapping[str, Any]) -> str:
        return number(row["power"][:, row["power"].shape[1] // 3 :].mean())

    out: list[tuple[str, Callable[[Mapping[str, Any]], str]]] = [
        ("score", lambda row: number(row["ratio"].mean())),
        ("x best", to(best)),
        ("worst", lambda row: "-" if single is None else number((row["analysis"] / single).max())),
        ("x comb.", to("combined")),
    ]
    if limit is not None:
        out.append((_short(limit), lambda row: number(ratio_to(row, results[limit])[0])))
        out.append(("std err.", lambda row: number(ratio_to(row, results[limit])[1])))
    return [
        *out,
        ("CRPS", lambda row: number(row["crps"].mean())),
        ("spr/skill", lambda row: number(row["spread_skill"].mean())),
        ("PIT dev.", lambda row: number(calibration.flatness(row["pit"].mean(axis=0)).deviation)),
        ("power", small_scales),
        ("s/cycle", lambda row: number(row["cycle_seconds"])),
        ("trained s", lambda row: f"{row.get('training_seconds', 0.0):.0f}"),
        ("steps", lambda row: f"{row.get('steps', 0)}"),
    ]


def _short(limit: str) -> str:
    """Head of the column of the ratio to a limit."""
    return f"x {limit.removeprefix('exact_')}"


def legend(best: str | None, limit: str | None) -> list[tuple[str, str]]:
    """What the columns of the summary are, by head."""
    told = [
        ("score", "score: mean over the levels of RMSE / RMSE of climatology"),
        ("x best", f"x best: score / that of {best}"),
        ("worst", "worst: largest ratio at a level to the single baseline that is best there"),
        ("x comb.", "x comb.: score / that of combined"),
        ("CRPS", "CRPS (K), spr/skill: means over the levels"),
        ("PIT dev.", "PIT dev.: mean deviation of the PIT histogram from flat"),
        ("power", "power: mean ratio to the truth's at the smaller two thirds of the scales along "
                  "longitude"),
    ]  # fmt: skip
    if limit:
        words = f"mean over the levels of RMSE / that of the {limit.replace('_', ' ')}"
        told.insert(4, (_short(limit), f"{_short(limit)}: {words}"))
    return told


def number(x: float) -> str:
    """A number of a table, a dash where there is none."""
    return "-" if np.isnan(x) else f"{x:.3f}"


def by_level(
    system: str,
    results: Mapping[str, Mapping[str, Any]],
    depth: np.ndarray,
    limit: str | None = None,
) -> str:
    """Table of a system by depth."""
    row, single = results[system], single_by_level(results)
    columns = {
        "clim.": row["climatology"], "backgr.": row["background"], "analysis": row["analysis"],
        "ratio": row["ratio"],
    }  # fmt: skip
    if single is not None:
        columns["x single"] = row["analysis"] / single
    if "combined" in results:
        columns["x comb."] = row["analysis"] / results["combined"]["analysis"]
    if limit:
        columns[_short(limit)] = row["analysis"] / results[limit]["analysis"]
    columns |= {
        "at obs": row["analysis_at_obs"], "obs err.": row["obs_error"], "CRPS": row["crps"],
        "spr/skill": row["spread_skill"],
    }  # fmt: skip
    for band, values in zip(("S", "trop", "N"), row.get("spread_skill_bands", ()), strict=False):
        columns[f"s/s {band}"] = values
    for band, values in zip(("S", "trop", "N"), row.get("mean_spread_skill", ()), strict=False):
        columns[f"mean {band}"] = values
    return f"{system}, score {row['ratio'].mean():.3f}\n{common.table(columns, depth)}"


def verdict(results: Mapping[str, Mapping[str, Any]], depth: np.ndarray) -> str:
    """Where the analysis beats background, climatology, persistence and observations."""
    lines = []
    rivals = {n: results[n]["analysis"] for n in (*SINGLE[1:], "combined") if n in results}
    for system in LEARNED:
        if system not in results:
            continue
        row = results[system]
        against = {"background": row["background"], "climatology": row["climatology"], **rivals}
        for rival, theirs in against.items():
            worse = depth[row["analysis"] >= theirs]
            lines.append(f"{system} against {rival}: " + _where(worse))
        seen = np.isfinite(row["obs_error"])
        worse = depth[seen & (row["analysis_at_obs"] >= row["obs_error"])]
        lines.append(f"{system} against the observation error, at observed cells: " + _where(worse))
    return "\n".join(lines)


def _where(worse: np.ndarray) -> str:
    """Say at which levels a system is not better."""
    if not worse.size:
        return "better at every level"
    return "not better at " + ", ".join(f"{z:g}" for z in worse) + " m"


def figure(
    title: str, results: Mapping[str, Mapping[str, Any]], depth: np.ndarray, path: Path
) -> None:
    """RMSE over the RMSE of climatology by depth, spread over RMSE, PIT histogram."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 5.6), layout="constrained")
    # variants of a system share its colour
    families = {system: system.partition(" ")[0] for system in results}
    alone = len(set(families.values())) == len(families)
    for system, row in results.items():
        kin = [s for s in families if families[s] == families[system]]
        style: dict[str, Any] = {
            "color": f"C{list(dict.fromkeys(families.values())).index(families[system])}",
            "ls": ("-", "--", "-.", ":")[kin.index(system) % 4],
        }
        label = f"{system} {row['ratio'].mean():.3f}"
        left.plot(row["ratio"], depth, marker="o", ms=4, label=label, **style)
        if families[system] != "climatology":
            middle.plot(row["spread_skill"], depth, marker="o", ms=4, **style)
            if alone:
                before = row["background"] / row["climatology"]
                left.plot(before, depth, lw=1, color=style["color"], ls=":")
        edges = np.linspace(0, 1, row["pit"].shape[1] + 1)
        right.stairs(row["pit"].mean(axis=0), edges, **style)
    first = next(iter(results.values()))
    left.plot(first["obs_error"] / first["climatology"], depth, "k--", lw=1, label="observations")
    dotted = " (dotted: background)" if alone else ""
    left.set(xlabel=f"RMSE / RMSE of climatology{dotted}", ylabel="depth (m)", title=title,
             xlim=(0, 1.6))  # fmt: skip
    middle.axvspan(0.9, 1.1, color="0.9")
    middle.set(xlabel="spread / RMSE", title="uncertainty", xlim=(0, 2.5))
    right.axhline(1.0, color="0.5", lw=1)
    right.set(xlabel="place of the truth in the predicted distribution", ylim=(0, 3), xlim=(0, 1),
              ylabel="frequency / expected", title="PIT histogram, all levels")  # fmt: skip
    for ax in (left, middle):
        common.depth_axis(ax, depth)
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncol=5)
    fig.savefig(path, dpi=120)
    plt.close(fig)
