"""What the benchmarks share: the data folder, scores, tables."""

from __future__ import annotations

import argparse
import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

#: Years of the MITgcm run A: train, validate, report.
TRAIN, VALIDATE, REPORT = (13, 48), (49, 54), (55, 62)


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """Arguments that all benchmarks take."""
    out = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=description)
    out.add_argument(
        "--data",
        default=os.environ.get("XDEEPDA_DATA"),
        help="folder with the model runs and observations (or the environment XDEEPDA_DATA)",
    )
    out.add_argument("--out", default="benchmark-results", help="folder for tables and figures")
    out.add_argument("--budget", default="10min", help="training time of each network")
    out.add_argument("--seed", type=int, default=0)
    return out


def data_file(folder: str | None, name: str) -> Path:
    """Path of a data file; says clearly what is missing."""
    if folder is None:
        raise SystemExit(
            "the benchmark needs real data: give the folder by --data FOLDER or by the environment "
            f"variable XDEEPDA_DATA; it must hold {name}"
        )
    path = Path(folder) / name
    if not path.exists():
        raise SystemExit(f"the data folder {folder} holds no {name}")
    return path


def open_run(path: Path) -> xr.Dataset:
    """A model run with cftime axes."""
    return xr.open_dataset(path, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True))


def years(ds: xr.Dataset, first: int, last: int) -> xr.Dataset:
    """Years first to last, both included."""
    return ds.sel(time=(ds.time.dt.year >= first) & (ds.time.dt.year <= last))


def region(ds: xr.Dataset, lat: tuple[float, float], lon: tuple[float, float]) -> xr.Dataset:
    """Part of a global run, also across its seam; longitudes begin at ``lon[0]``."""
    west, east = lon
    moved = ((ds.lon - west) % 360 + west).assign_attrs(ds.lon.attrs)
    return ds.assign_coords(lon=moved).sortby("lon").sel(lat=slice(*lat), lon=slice(west, east))


def area_weights(values: xr.DataArray) -> xr.DataArray:
    """Cosine of the latitude; all alike on a section without latitudes."""
    if "lat" not in values.coords:
        return xr.ones_like(values.lon, dtype=float)
    return np.cos(np.deg2rad(values.lat))


def mean_by_depth(values: xr.DataArray, keep: str | None = None) -> np.ndarray:
    """Area-weighted mean by level, over all else but `keep`."""
    over = [d for d in values.dims if d not in ("depth", keep)]
    return values.weighted(area_weights(values)).mean(over).values


def rmse_by_depth(error: xr.DataArray) -> np.ndarray:
    """Area-weighted RMSE of an error field by level."""
    return np.sqrt(mean_by_depth(error**2))


def table(columns: dict[str, np.ndarray], depth: np.ndarray, digits: int = 3) -> str:
    """Text table by depth with the mean in the last row."""
    width = max(9, *(len(name) + 2 for name in columns))
    lines = ["depth (m)" + "".join(f"{name:>{width}}" for name in columns)]
    for k, z in enumerate(depth):
        row = "".join(f"{values[k]:>{width}.{digits}f}" for values in columns.values())
        lines.append(f"{z:9.1f}{row}")
    means = "".join(f"{np.nanmean(v):>{width}.{digits}f}" for v in columns.values())
    return "\n".join([*lines, f"{'mean':>9}{means}"])


def depth_axis(ax: Any, depth: np.ndarray) -> None:
    """Depth downwards, the upper ocean stretched by a square root."""
    # the axis asks for values above the surface as well, where a root has none
    ax.set_yscale("function", functions=(lambda z: np.sqrt(np.maximum(z, 0.0)), np.square))
    ax.set_ylim(1.05 * float(depth[-1]), 0.0)


def peak_memory() -> float:
    """Largest memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
