"""Forecasts from analyses of a twin: what an analysis is worth 1 to 12 months later.

The scene is that of the benchmark twin with B's own climatology: trained on MITgcm run A,
years 27-34 of run B to be found.  From the analysis of each month, after one year of
spin-up, classical forecasts start, the same for all systems and fitted to run A alone:

*persistence*: anomalies fade in each cell as they do in the run;
*lim*: a linear inverse model of the leading EOFs, that of the reduced Kalman filter; what
they do not hold is lost at once;
*lim_rest*: the same, and what the EOFs leave fades in each cell.

*truth* stands for forecasts from a perfect analysis: what is left is the error of the
forecast.  Scores are of the same starts at all leads.

    python -m benchmarks forecast --data FOLDER --models FOLDER [--network sparse]
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

import xdeepda
from benchmarks import common, osse, scores, systems, twin
from benchmarks.systems import BASELINES, LEARNED
from xdeepda.bridge import module_of, tensors_of
from xdeepda.core.state import State, climatological

#: Forecast -> the baseline whose forecast it is.
SCHEMES = {"persistence": "persistence", "lim": "kalman", "lim_rest": "combined"}
#: Forecasts from the truth itself.
TRUTH = "truth"


def main(arguments: list[str]) -> int:
    parser = common.parser("forecast", str(__doc__).splitlines()[0])
    systems.add_options(parser)
    osse.add_network(parser)
    parser.add_argument("--leads", type=int, default=12, help="months")
    options = parser.parse_args(arguments)
    run, other = twin.runs(options)
    for name in osse.networks_of(options):
        one_network(run, other, name, options)
    return 0


def one_network(run: xr.Dataset, other: xr.Dataset, name: str, options: Any) -> None:
    """All systems on one network, with each forecast."""
    scene = twin.scene_of(run, other, name, options, "own")
    schemes = {scheme: forecaster(scheme, scene.ground) for scheme in SCHEMES}
    results: dict[str, dict[str, Any]] = {scheme: {} for scheme in schemes}
    title = f"forecast {name}, seed {options.seed}"
    stem = Path(options.out) / f"forecast_{name}_seed{options.seed}"
    for system in (TRUTH, *options.systems):
        if system == TRUTH:
            start = scene.truth.thetao
        else:
            model, _ = systems.model_of(system, scene.ground, options)
            start = scene.analyse(model, options).thetao
        for scheme, model in schemes.items():
            results[scheme][system] = skill(model, start, scene, options.leads)
        # what is there stays, should a later system fail or take too long
        text = write(title, results, stem)
        print(f"forecasts from {system} are made", flush=True)
    print(f"\n{text}")


def forecaster(scheme: str, ground: systems.Ground) -> xdeepda.Model:
    """Baseline whose forecast a scheme is, fitted to the control run."""
    system = SCHEMES[scheme]
    own = {k: v for k, v in ground.tuned.get(system, {}).items() if k == "patterns"}
    model: xdeepda.Model = getattr(xdeepda.baselines, system)(
        ground.control, var="thetao", cycle=ground.cycle, validation=ground.validation, **own
    )
    return model


def forecasts(model: xdeepda.Model, start: xr.DataArray, leads: int) -> Iterator[xr.DataArray]:
    """Anomalies forecast from each of several, one, two, ... cycles ahead.

    Parameters
    ----------
    model : Model
        Its forecast must not depend on the season.
    start : DataArray, dims (time, depth, lat, lon)
        Anomalies in the unit of the model, on its grid; 0 is taken where one is missing.
    leads : int

    Yields
    ------
    DataArray
        With the times of the starts.
    """
    tensors = tensors_of(model)
    module = module_of(model, tensors)
    anomalies = tensors.normalise(start.fillna(0.0).values)
    state = State(anomalies, climatological(tensors.geometry, len(anomalies)).variance)
    for _ in range(leads):
        with torch.inference_mode():
            state = module.forecast(state, tensors.season(0.0))
        yield start.copy(data=tensors.denormalise(state.mean)[:, 0])


def skill(
    model: xdeepda.Model, start: xr.DataArray, scene: scores.Scene, leads: int
) -> dict[str, np.ndarray]:
    """Errors of the forecasts from an analysis.

    Returns
    -------
    dict of numpy.ndarray
        ``rmse``, ``climatology`` and ``ratio`` of the two, (lead, level), and ``blocks``,
        mean square errors of parts of the period, (lead, part, level).
    """
    order = ("time", "depth", "lat", "lon")
    truth, climate = scene.truth.thetao.transpose(*order), scene.climate.transpose(*order)
    start = start.transpose(*order)
    first, last = scene.spinup, truth.sizes["time"] - leads
    if last - first < 2:
        raise SystemExit(f"{truth.sizes['time']} cycles are too few for --leads {leads}")
    anomaly = (start - climate).isel(time=slice(first, last))
    rows: dict[str, list[np.ndarray]] = {"rmse": [], "climatology": [], "blocks": []}
    for lead, forecast in enumerate(forecasts(model, anomaly, leads), 1):
        later = slice(first + lead, last + lead)
        then, usual = truth.isel(time=later), climate.isel(time=later)
        error = forecast.assign_coords(time=then["time"]) + usual - then
        rows["rmse"].append(common.rmse_by_depth(error))
        rows["climatology"].append(common.rmse_by_depth(usual - then))
        rows["blocks"].append(scores.block_errors(error))
    out = {name: np.array(values) for name, values in rows.items()}
    return out | {"ratio": out["rmse"] / out["climatology"]}


def lead_row(row: Mapping[str, np.ndarray], lead: int) -> dict[str, np.ndarray]:
    """One lead as the scores of analyses have it."""
    return {"analysis": row["rmse"][lead], "blocks": row["blocks"][lead],
            "ratio": row["ratio"][lead]}  # fmt: skip


# ---- tables and figure


def write(title: str, results: Mapping[str, Mapping[str, Any]], stem: Path) -> str:
    """Write the tables, the numbers and the figure; give the tables."""
    parts = [title]
    for scheme, rows in results.items():
        parts += [f"{scheme}: mean over the levels of RMSE / RMSE of climatology",
                  table(rows), *against(rows)]  # fmt: skip
    whole = "\n\n".join(parts)
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".txt").write_text(whole + "\n")
    plain = {
        scheme: {s: {k: v.tolist() for k, v in row.items()} for s, row in rows.items()}
        for scheme, rows in results.items()
    }
    stem.with_suffix(".json").write_text(json.dumps(plain))
    figure(title, results, stem.with_suffix(".png"))
    return whole


def table(rows: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """One line for each system, one column for each lead."""
    leads = len(next(iter(rows.values()))["ratio"])
    return "\n".join(
        [
            _line("months", [str(n + 1) for n in range(leads)]),
            *(_line(s, [scores.number(x) for x in row["ratio"].mean(axis=1)])
              for s, row in rows.items()),
        ]
    )  # fmt: skip


def against(rows: Mapping[str, Mapping[str, np.ndarray]]) -> list[str]:
    """Learned systems beside the baseline that is best at each lead."""
    rivals = [s for s in BASELINES if s in rows]
    out = []
    for system in (s for s in LEARNED if s in rows and rivals):
        leads = range(len(rows[system]["ratio"]))
        best = [min(rivals, key=lambda s: float(rows[s]["ratio"][n].mean())) for n in leads]
        found = [
            scores.ratio_to(lead_row(rows[system], n), lead_row(rows[best[n]], n)) for n in leads
        ]
        sure = [str(n + 1) for n, (ratio, error) in enumerate(found) if ratio < 1 - 2 * error]
        named = ", ".join(dict.fromkeys(best))
        out.append(
            "\n".join(
                [
                    f"{system}: RMSE / that of the best baseline of each lead ({named})",
                    _line("ratio", [scores.number(ratio) for ratio, _ in found]),
                    _line("std err.", [scores.number(error) for _, error in found]),
                    f"better by more than two standard errors at {', '.join(sure) or 'no'} months",
                ]
            )
        )
    return out


def _line(name: str, cells: list[str]) -> str:
    """A line of a table."""
    return f"{name:13}" + "".join(f"{cell:>7}" for cell in cells)


def figure(title: str, results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Score by lead, one panel for each forecast."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(
        1, len(results), figsize=(5.5 * len(results), 4.8), sharey=True, layout="constrained"
    )
    for ax, (scheme, rows) in zip(np.atleast_1d(axes), results.items(), strict=True):
        for n, (system, row) in enumerate(rows.items()):
            months = np.arange(1, len(row["ratio"]) + 1)
            style = {"color": "0.3", "ls": "--"} if system == TRUTH else {"color": f"C{n}"}
            ax.plot(months, row["ratio"].mean(axis=1), marker="o", ms=4, label=system, **style)
        ax.axhline(1.0, color="0.7", lw=1)
        ax.set(xlabel="months after the analysis", title=f"{title}: {scheme}", xlim=(0.5, None))
    np.atleast_1d(axes)[0].set_ylabel("RMSE / RMSE of climatology, mean over the levels")
    fig.legend(*np.atleast_1d(axes)[0].get_legend_handles_labels(), loc="outside lower center",
               ncol=5)  # fmt: skip
    fig.savefig(path, dpi=120)
    plt.close(fig)
