"""Real casts of the world ocean: 1,985 XBT casts of January and February 2005, 20 % withheld.

Trained on MITgcm run A (monthly, 4 degrees) with the sampling of the casts themselves;
anomalies from the climatology of Levitus.  Platforms, or boxes of 10 degrees, are withheld
as a whole.

    python -m benchmarks casts --data FOLDER [--by platform]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

import xdeepda
from benchmarks import common, withheld

DEFAULT = ("climatology", "persistence", "oi", "enoi", "increment")


def main(arguments: list[str]) -> int:
    parser = withheld.parser("casts", str(__doc__).splitlines()[0], DEFAULT)
    parser.add_argument("--by", choices=("platform", "block"), default="block")
    parser.add_argument("--draws", type=int, default=5, help="parts withheld, each on its own")
    options = parser.parse_args(arguments)
    run = common.open_run(common.data_file(options.data, "models/mitgcm_a.nc"))[["thetao"]].load()
    control = common.years(run, common.TRAIN[0], common.VALIDATE[1])
    climatology = withheld.levitus(options.data, run)
    path = common.data_file(options.data, "observations/wod/XBTS2005")
    obs = xdeepda.open_observations(path).deepda.quality_control(like=control)
    network = obs.deepda.network(like=control)
    folds = [
        obs.deepda.withhold(0.2, by=options.by, seed=options.seed + n) for n in range(options.draws)
    ]
    print("; ".join(w.attrs["withheld"] for _, w in folds))
    results, last = {}, []
    for system in options.systems:
        model = withheld.model_of(system, control, network, "casts", options)
        keep = last.append if system in withheld.LEARNED else None
        results[system] = withheld.run_system(control, folds, model, climatology, keep)
    title = f"casts: XBT, Jan and Feb 2005, 20 % of the casts withheld by {options.by}"
    out = Path(options.out)
    stem = f"casts_{options.by}_seed{options.seed}"
    withheld.report(title, results, "profile", out, stem, withheld.counts(obs))
    if last:
        maps(last[-1], folds[-1], out / f"casts_map_seed{options.seed}.png")
    return 0


def maps(analysis: xr.Dataset, fold: tuple[xr.Dataset, xr.Dataset], path: Path) -> None:
    """Network, increment and spread of the first month."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    month = analysis.isel(time=0)
    level = int(np.argmin(np.abs(analysis.depth.values - 100)))
    z = float(analysis.depth[level])
    fig, axes = plt.subplots(3, 1, figsize=(7, 9.5), sharex=True, layout="constrained")
    for name, obs, colour in zip(("used", "withheld"), fold, ("C0", "C3"), strict=True):
        lon = obs.longitude.values % 360
        axes[0].plot(lon, obs.latitude.values, ".", ms=2, color=colour, label=name)
    axes[0].legend(loc="lower left")
    axes[0].set_title("casts of January and February 2005")
    increment = month.deepda.increment("thetao").isel(depth=level)
    increment.plot(ax=axes[1], cmap="RdBu_r", vmin=-3, vmax=3)
    axes[1].set_title(f"increment of January at {z:g} m")
    month.thetao_spread.isel(depth=level).plot(ax=axes[2], cmap="viridis", vmin=0)
    axes[2].set_title(f"spread of January at {z:g} m")
    for ax in axes:
        ax.set(ylim=(-80, 80), xlim=(0, 360), xlabel="", ylabel="latitude")
    fig.savefig(path, dpi=110)
    plt.close(fig)
