"""Figure of docs/networks.md: what the simulated networks measure in one month.

Run from the root of the repository: ``python docs/figures/networks.py``
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap, LogNorm

import xdeepda
from xdeepda.datasets import idealised_ocean

TARGET = Path(__file__).parents[1] / "_static" / "networks.png"
LEVELS = (10, 300)  # m, the nearest levels are drawn


def main() -> None:
    """Draw one month of each era at the surface and in the thermocline."""
    control = idealised_ocean(years=1, resolution=4.0, levels=8)
    figure, axes = plt.subplots(2, 2, figsize=(10, 5.6), sharex=True, sharey=True,
                                layout="constrained")  # fmt: skip
    for row, era in zip(axes, ("1980s", "argo"), strict=True):
        network = xdeepda.Network.simulated(control, era, seed=0)
        month = xdeepda.observe(control, network, var="thetao", cycle="month", seed=0).isel(time=0)
        for axis, level in zip(row, LEVELS, strict=True):
            count = month.thetao_count.sel(depth=level, method="nearest")
            sea = control.thetao.isel(time=0).sel(depth=count.depth)
            land = np.where(np.isfinite(sea), np.nan, 1.0)
            axis.pcolormesh(count.lon, count.lat, land, cmap=ListedColormap(["0.8"]))
            drawn = axis.pcolormesh(
                count.lon, count.lat, count.where(count > 0), norm=LogNorm(1, 300), cmap="viridis"
            )
            share = float((count > 0).sum() / np.isfinite(sea).sum())
            axis.set_title(f"{era}, {float(count.depth):.0f} m: {share:.0%} of the cells observed")
            axis.set_xticks(range(0, 361, 60))
            axis.set_yticks(range(-60, 61, 30))
    for axis in axes[:, 0]:
        axis.set_ylabel("latitude (degrees north)")
    for axis in axes[1]:
        axis.set_xlabel("longitude (degrees east)")
    figure.colorbar(drawn, ax=axes, label="measurements in the cell and month", shrink=0.8)
    figure.savefig(TARGET, dpi=110)
    print(TARGET)


if __name__ == "__main__":
    main()
