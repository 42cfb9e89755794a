"""OSSE on a real model run: train on years 13-48, report years 55-62 of MITgcm run A.

Observations are simulated from the report years, which no system has seen, through a
sparse and a dense network; all systems see the same numbers.  Scores are over the
report years after one year of spin-up.

    python -m benchmarks osse --data FOLDER [--network sparse] [--systems increment ...]
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import xdeepda
from benchmarks import common
from benchmarks.networks import GridNetwork

BASELINES = ("climatology", "persistence", "oi", "enoi", "kalman", "combined")
LEARNED = ("increment", "hybrid", "deepda2024")
SYSTEMS = (*LEARNED, *BASELINES)
#: Settings of the baselines, chosen on years 49-54 as ``xdeepda.baselines.tune`` does.
TUNED: dict[str, dict[str, Any]] = {
    "oi": {"localisation": 5000.0},
    "enoi": {"localisation": 5000.0, "inflation": 0.7},
    "kalman": {"patterns": 200, "truncation": 6.0},
    "combined": {"localisation": 4000.0, "truncation": 6.0},
}
#: Years, of seven that are scored; the first report year is spin-up.
SPINUP = 12


def main(arguments: list[str]) -> int:
    parser = common.parser("osse", str(__doc__).splitlines()[0])
    parser.add_argument("--network", choices=("sparse", "dense", "both"), default="both")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--deepda2024-budget", default="30min", help="its own training time")
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--report", choices=("test", "validation"), default="test")
    parser.add_argument("--models", help="folder of trained models to use again")
    options = parser.parse_args(arguments)
    path = common.data_file(options.data, "models/mitgcm_a.nc")
    run = common.open_run(path)[["thetao"]].load()
    networks = ("sparse", "dense") if options.network == "both" else (options.network,)
    for name in networks:
        one_network(run, name, options)
    print(f"peak memory {common.peak_memory():.2f} GiB")
    return 0


def one_network(run: xr.Dataset, name: str, options: Any) -> None:
    """All systems on one network."""
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    control = common.years(run, common.TRAIN[0], common.VALIDATE[1])
    period = common.REPORT if options.report == "test" else common.VALIDATE
    truth = common.years(run, *period)
    network = GridNetwork(name)
    cells = xdeepda.observe(truth, network, var="thetao", cycle="month", seed=1000 + options.seed)
    results = {}
    for system in options.systems:
        model, seconds = model_of(system, control, network, options)
        started = time.monotonic()
        analysis = xdeepda.assimilate(
            control, cells, model=model, members=options.members, seed=options.seed
        )
        cycle_seconds = (time.monotonic() - started) / truth.sizes["time"]
        results[system] = score(analysis, truth, cells, model) | {
            "training_seconds": seconds,
            "cycle_seconds": cycle_seconds,
            "steps": model.provenance.get("steps", 0),
        }
    report(name, results, truth.depth.values, out, options)


def model_of(
    system: str, control: xr.Dataset, network: GridNetwork, options: Any
) -> tuple[xdeepda.Model, float]:
    """Train or fit a system, or read it if it was trained before."""
    validation = 6 / 42
    started = time.monotonic()
    if system in BASELINES:
        # those with settings are calibrated on the validation years
        more = {"network": network, **TUNED[system]} if system in TUNED else {}
        fit = getattr(xdeepda.baselines, system)
        model = fit(control, var="thetao", cycle="month", validation=validation, **more)
        return model, time.monotonic() - started
    folder = Path(options.models or Path(options.out) / "models")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"osse_{network.name}_{system}_{options.seed}.safetensors"
    if options.models and path.exists():
        model = xdeepda.load_model(path)
        return model, float(model.provenance.get("training_seconds", np.nan))
    budget = options.deepda2024_budget if system == "deepda2024" else options.budget
    model = xdeepda.train(
        control, network, var="thetao", cycle="month", architecture=system,
        validation=validation, budget=budget, seed=options.seed,
    )  # fmt: skip
    seconds = time.monotonic() - started
    model.provenance["training_seconds"] = seconds
    model.save(path)
    return model, seconds


def score(
    analysis: xr.Dataset, truth: xr.Dataset, cells: xr.Dataset, model: xdeepda.Model
) -> dict[str, np.ndarray]:
    """RMSE by depth of analysis, background, climatology; at observed cells; spread."""
    later = slice(SPINUP, None)
    a, t, c = analysis.isel(time=later), truth.isel(time=later), cells.isel(time=later)
    seen = c.thetao.notnull()
    fraction = model.cycle.year_fraction(model.cycle.index(t.time.values), model.calendar)
    climate = t.thetao.copy(data=model.climatology.at(fraction)[:, 0].astype(np.float64))
    error = a.thetao - t.thetao
    out = {
        "analysis": common.rmse_by_depth(error),
        "background": common.rmse_by_depth(a.thetao_background - t.thetao),
        "climatology": common.rmse_by_depth((climate - t.thetao).where(t.thetao.notnull())),
        "analysis_at_obs": common.rmse_by_depth(error.where(seen)),
        "obs_error": common.rmse_by_depth((c.thetao - t.thetao).where(seen)),
    }
    spread = common.rmse_by_depth(a.thetao_spread)
    out["ratio"] = out["analysis"] / out["climatology"]
    out["spread_skill"] = spread / out["analysis"]
    return out


def report(
    name: str, results: dict[str, dict[str, Any]], depth: np.ndarray, out: Path, options: Any
) -> None:
    """Print the tables, write them and the figure."""
    text = []
    for system, row in results.items():
        picked = {
            "clim.": row["climatology"], "backgr.": row["background"], "analysis": row["analysis"],
            "ratio": row["ratio"], "at obs": row["analysis_at_obs"], "obs err.": row["obs_error"],
            "spr/skill": row["spread_skill"],
        }  # fmt: skip
        head = (
            f"osse {name}: {system}, score {row['ratio'].mean():.3f}; trained "
            f"{row['training_seconds']:.0f} s ({row['steps']} steps), {row['cycle_seconds']:.3f} s "
            f"a cycle, {options.members} member(s), seed {options.seed}"
        )
        text.append(f"{head}\n{common.table(picked, depth)}")
    text.append(verdict(results, depth))
    print("\n\n".join(text))
    stem = out / f"osse_{name}_{options.report}_seed{options.seed}"
    stem.with_suffix(".txt").write_text("\n\n".join(text) + "\n")
    plain = {s: {k: np.asarray(v).tolist() for k, v in r.items()} for s, r in results.items()}
    stem.with_suffix(".json").write_text(json.dumps(plain))
    figure(name, results, depth, stem.with_suffix(".png"))


def verdict(results: dict[str, dict[str, Any]], depth: np.ndarray) -> str:
    """Where the analysis beats background, climatology, persistence and observations."""
    lines = []
    rivals = {n: results[n]["analysis"] for n in BASELINES[1:] if n in results}
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


def figure(name: str, results: dict[str, dict[str, Any]], depth: np.ndarray, path: Path) -> None:
    """RMSE over the RMSE of climatology by depth, and spread over RMSE."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 5.6), sharey=True, layout="constrained")
    for n, (system, row) in enumerate(results.items()):
        left.plot(row["ratio"], depth, f"C{n}-o", label=f"{system} {row['ratio'].mean():.3f}")
        if system != "climatology":
            left.plot(row["background"] / row["climatology"], depth, f"C{n}:", lw=1)
            right.plot(row["spread_skill"], depth, f"C{n}-o", label=system)
    first = next(iter(results.values()))
    left.plot(first["obs_error"] / first["climatology"], depth, "k--", lw=1, label="observations")
    left.set(xlabel="RMSE / RMSE of climatology (dotted: background)", ylabel="depth (m)",
             title=f"OSSE, {name} network", xlim=(0, 1.6))  # fmt: skip
    right.axvspan(0.9, 1.1, color="0.9")
    right.set(xlabel="spread / RMSE", title="uncertainty", xlim=(0, 2.5))
    common.depth_axis(left, depth)
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncol=5)
    fig.savefig(path, dpi=120)
    plt.close(fig)
