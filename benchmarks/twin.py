"""The truth is another model: trained on MITgcm run A, years 27-34 of run B to be found.

B has another mixing scheme, other diffusivities and other forcing.  Anomalies are taken
from the climatology of B's earlier years (*own*), as one would do with an observed
climatology, and from that of A for the observations, too (*published*).  The networks and
the models are those of the benchmark osse, whose tables tell how much is lost.

    python -m benchmarks twin --data FOLDER --models FOLDER [--network sparse] [--osse FOLDER]
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import xdeepda
from benchmarks import common, osse, scores, systems
from benchmarks.systems import LEARNED, SINGLE

#: Years of run B that its climatology is taken of, and those of the report.
CLIMATE, REPORT = (13, 26), (27, 34)
#: Whose climatology the anomalies are taken from.
MODES = ("own", "published")


def main(arguments: list[str]) -> int:
    parser = common.parser("twin", str(__doc__).splitlines()[0])
    systems.add_options(parser)
    osse.add_network(parser)
    parser.add_argument("--climatology", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--osse", help="folder of the tables of osse, that of --out by default")
    options = parser.parse_args(arguments)
    run, other = runs(options)
    for name in osse.networks_of(options):
        one_network(run, other, name, options)
    return 0


def runs(options: Any) -> tuple[xr.Dataset, xr.Dataset]:
    """The run that is trained on, and the one that is to be found."""
    run, other = (
        common.open_run(common.data_file(options.data, f"models/mitgcm_{x}.nc"))[["thetao"]].load()
        for x in "ab"
    )
    return run, other


def scene_of(
    run: xr.Dataset, other: xr.Dataset, name: str, options: Any, mode: str
) -> scores.Scene:
    """Report years of run B, what is observed of them, and whose climatology is known."""
    ground = osse.ground_of(run, name)
    truth, past = common.years(other, *REPORT), common.years(other, *CLIMATE)
    seed = 1000 + options.seed
    cells = xdeepda.observe(truth, ground.network, var="thetao", cycle="month", seed=seed)
    # the same reference in both modes: what is known of B without any observation
    climate = scores.climate_of(past, "month", truth)
    known = {"climatology": past if mode == "own" else "model"}
    return scores.Scene(ground, truth, cells, climate, osse.SPINUP, known)


def one_network(run: xr.Dataset, other: xr.Dataset, name: str, options: Any) -> None:
    """All systems on one network, in each mode; then what is kept of their gain."""
    results: dict[str, dict[str, Any]] = {}
    for mode in options.climatology:
        scene = scene_of(run, other, name, options, mode)
        results[mode] = {system: scene.run(system, options) for system in options.systems}
        title = f"twin {name}, {mode} climatology, seed {options.seed}"
        stem = Path(options.out) / f"twin_{name}_{mode}_seed{options.seed}"
        scores.report(title, results[mode], scene.truth.depth.values, stem)
    text = kept(results, osse_results(name, options))
    print(f"\n{text}")
    (Path(options.out) / f"twin_{name}_kept_seed{options.seed}.txt").write_text(text + "\n")


def osse_results(name: str, options: Any) -> dict[str, dict[str, Any]]:
    """Results of the benchmark osse; empty where it was not run."""
    path = osse.stem_of(name, options.osse or options.out, options).with_suffix(".json")
    if not path.exists():
        return {}
    rows = json.loads(path.read_text())
    return {system: {k: np.array(v) for k, v in row.items()} for system, row in rows.items()}


def gain(results: dict[str, Any], system: str) -> float:
    """Part of the score of the best single baseline that a system saves."""
    best = scores.best_single(results)
    if best is None or system not in results:
        return float("nan")
    return 1.0 - float(results[system]["ratio"].mean() / results[best]["ratio"].mean())


def kept(results: dict[str, dict[str, Any]], before: dict[str, Any]) -> str:
    """Table of the gain over the best single baseline, and of the share of that of osse."""
    heads = ["osse", *(h for mode in results for h in (mode, "kept"))]
    lines = [
        "gain: 1 - score / that of the best single baseline; kept: gain / that of osse",
        f"{'':15}" + "".join(f"{head:>11}" for head in heads),
    ]
    there = next(iter(results.values()))
    for system in (s for s in (*LEARNED, "combined") if s in there):
        numbers = [gain(before, system)]
        for mode in results:
            now = gain(results[mode], system)
            numbers += [now, now / numbers[0] if numbers[0] > 0 else float("nan")]
        lines.append(f"{system:15}" + "".join(f"{scores.number(x):>11}" for x in numbers))
    if not before:
        lines.append("no tables of osse were found: run it first, or name their folder by --osse")
    elif missing := [s for s in SINGLE if s not in before or s not in there]:
        lines.append(f"the best single baseline is not among all: no {', '.join(missing)}")
    return "\n".join(lines)
