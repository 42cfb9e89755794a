"""What each part of the default system gives: one line for each that is taken away.

On the linear ocean (*kalman*) or the simulated observations of a model run (*osse*, with
its *sparse* or *dense* network); each line has the same training time, also the published
network.  RMSE, CRPS, and the power spectrum of the analysis along longitude, beside the
truth's.

    python -m benchmarks ablations [--on kalman sparse] [--lines ...] [--budget 10min]
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import xdeepda
from benchmarks import common, kalman, osse, scores, systems

GROUNDS = ("kalman", "sparse", "dense")


class Line(NamedTuple):
    """A system with settings; of several seeds, the mean of their analyses."""

    system: str
    settings: Mapping[str, Any]
    seeds: int = 1


LINES: dict[str, Line] = {
    "hybrid": Line("hybrid", {}),
    # innovations alone: neither Kalman filter nor EnOI
    "no classical input": Line("increment", {}),
    "no gradient through cycles": Line("hybrid", {"cycles": 1}),
    # each analysis begins with the same variance, as that of an EnOI does
    "no carried variance": Line("hybrid", {"carried": False}),
    # the filter's forecast by a regression of EOFs on each other
    "no operator of neighbours": Line("hybrid", {"neighbours": False}),
    # innovations, their gain and their smooth averages stay, as plain channels
    "no partial convolution": Line("hybrid", {"partial": False}),
    "variance not trained": Line("hybrid", {"variance_loss": 0.0}),
    "signs not drawn": Line("hybrid", {"flip_sign": False}),
    "adversarial 0.1": Line("hybrid", {"adversarial": 0.1}),
    "average of 3 seeds": Line("hybrid", {}, 3),
    "smoother, 10 cycles": Line("hybrid", {"lag": 10}),
    "deepda2024": Line("deepda2024", {}),
    "deepda2024 with quirks": Line("deepda2024", {"quirks": ("all",)}),
}


def main(arguments: list[str]) -> int:
    parser = common.parser("ablations", str(__doc__).splitlines()[0])
    systems.add_training(parser)
    kalman.add_ocean(parser)
    parser.add_argument("--on", nargs="+", choices=GROUNDS, default=["kalman"])
    parser.add_argument("--lines", nargs="+", choices=tuple(LINES), default=list(LINES))
    options = parser.parse_args(arguments)
    for name in options.on:
        results = {}
        if name == "kalman":
            ocean = xdeepda.datasets.linear_ocean(tuple(options.shape))
            scene = kalman.scene_of(ocean, options)
            results |= {limit: kalman.run_limit(limit, ocean, scene) for limit in kalman.LIMITS}
        else:
            scene = model_run(name, options)
        results |= {line: run_line(LINES[line], scene, options) for line in options.lines}
        report(name, results, scene.truth.depth.values, options)
    return 0


def model_run(name: str, options: Any) -> scores.Scene:
    """Truth and observations of a model run."""
    path = common.data_file(options.data, "models/mitgcm_a.nc")
    return osse.scene_of(common.open_run(path)[["thetao"]].load(), name, options)


def run_line(line: Line, scene: scores.Scene, options: Any) -> dict[str, Any]:
    """Scores of a line; settings of the command line are of all lines that know them."""
    known = xdeepda.architectures.SETTINGS[line.system].keys() | systems.of_training()
    settings = {k: v for k, v in options.settings if k in known} | dict(line.settings)
    if line.seeds == 1:
        return scene.run(line.system, options, settings)
    models, seconds = zip(
        *(
            systems.model_of(line.system, scene.ground, systems.with_seed(options, seed), settings)
            for seed in range(options.seed, options.seed + line.seeds)
        ),
        strict=True,
    )
    costs = {
        "training_seconds": sum(seconds),
        "steps": sum(model.provenance.get("steps", 0) for model in models),
    }
    return scene.of_model(list(models), options) | costs


def report(
    name: str, results: Mapping[str, Mapping[str, Any]], depth: np.ndarray, options: Any
) -> None:
    """Print and write the tables and the figures."""
    title = f"ablations on {name}, seed {options.seed}, {options.budget} each"
    stem = Path(options.out) / f"ablations_{name}_seed{options.seed}"
    scores.report(title, results, depth, stem, "exact_filter" if name == "kalman" else None)
    figure(title, results, depth, stem.with_name(f"{stem.name}_power.png"))


def figure(
    title: str, results: Mapping[str, Mapping[str, Any]], depth: np.ndarray, path: Path
) -> None:
    """Power spectra along longitude at the first and a middle level, over the truth's."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(11, 5), sharey=True, layout="constrained")
    for ax, level in zip(axes, (0, len(depth) // 2), strict=True):
        for line, row in results.items():
            power = row["power"][level]
            ax.plot(np.arange(1, power.size + 1), power, label=line)
        ax.axhline(1.0, color="0.5", lw=1)
        ax.set(xscale="log", yscale="log", xlabel="wavenumber along longitude",
               title=f"{depth[level]:g} m")  # fmt: skip
    axes[0].set(ylabel="power of the analysis / of the truth")
    fig.suptitle(title)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncol=5)
    fig.savefig(path, dpi=120)
    plt.close(fig)
