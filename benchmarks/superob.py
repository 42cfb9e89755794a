"""Ten million points to the 1° × 38 levels × pentad grid, beside pandas and scipy.

python -m benchmarks superob            seconds and memory of each, in processes of their own
python -m benchmarks superob --lazy     a year of profiles from a file, chunk by chunk
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks import common
from xdeepda.calendar import Cycle
from xdeepda.grid import Grid
from xdeepda.observations.lazy import bin_lazily
from xdeepda.observations.superob import bin_points
from xdeepda.observations.target import Target

#: Levels of the grid, m: 10 m apart at the surface, 300 m at the bottom.
LEVELS = np.round(5 + np.cumsum(np.concatenate([[0], 10 * 1.0984 ** np.arange(37)])), 1)
CYCLE = Cycle("pentad")
#: Samples of a cast.
SAMPLES = 40
YEAR = np.datetime64("2015-01-01", "ns")
CONTESTANTS = ("xdeepda", "pandas", "scipy")


def main(arguments: list[str]) -> int:
    parser = common.parser("superob", str(__doc__).splitlines()[0])
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--shuffled", action="store_true", help="rows in random order")
    parser.add_argument("--only", choices=CONTESTANTS, help="one alone; prints JSON")
    parser.add_argument("--lazy", action="store_true", help="a year of 500,000 casts from a file")
    parser.add_argument("--casts", type=int, default=500_000, help="of --lazy")
    parser.add_argument("--chunk", type=int, default=2**20, help="rows of a chunk of --lazy")
    options = parser.parse_args(arguments)
    if options.only:
        print(json.dumps(contest(options.only, options)))
        return 0
    if options.lazy:
        return year_of_profiles(options)
    print(f"{options.points:,} points; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    results = {name: in_its_own_process(name, arguments) for name in CONTESTANTS}
    own = results["xdeepda"]
    print(
        f"{'':10}{'seconds':>9}{'CPU s':>9}{'GiB more':>10}{'time':>8}{'CPU':>8}  (ratio to ours)"
    )
    for name, r in results.items():
        print(
            f"{name:10}{r['seconds']:9.2f}{r['cpu']:9.2f}{r['gib']:10.2f}"
            f"{r['seconds'] / own['seconds']:8.1f}{r['cpu'] / own['cpu']:8.1f}"
        )
    print("agreement: " + agreement(results))
    return 0


def in_its_own_process(name: str, arguments: list[str]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks", "superob", *arguments, "--only", name]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"{name} failed:\n{run.stderr[-2000:]}")
    return dict(json.loads(run.stdout.splitlines()[-1]))


def agreement(results: dict[str, dict[str, float]]) -> str:
    """Sums over all cells: the same work was done."""
    own = results["xdeepda"]
    told = []
    for name in CONTESTANTS[1:]:
        other = results[name]
        apart = max(abs(other[k] / own[k] - 1) for k in ("cells", "count", "value", "weight"))
        told.append(f"{name} to {apart:.1e} (cells, counts, sums of values and of weights)")
    return "; ".join(told)


# ---- the work


def grid() -> Grid:
    return Grid(LEVELS, np.arange(-89.5, 90), np.arange(0.5, 360), cyclic=True)


def casts(number: int, samples: int, seed: int, *, shuffled: bool = False) -> xr.Dataset:
    """A table of casts in the order of time, everywhere between 75° S and 75° N."""
    rng = np.random.default_rng(seed)
    time_ = YEAR + (np.sort(rng.random(number)) * 365 * 86400e9).astype("timedelta64[ns]")
    lat = np.rad2deg(np.arcsin(rng.uniform(-0.966, 0.966, number)))
    lon = rng.uniform(-180, 180, number)
    depth = np.linspace(2, 2000, samples) ** 1.05 * 0.7 + rng.uniform(-1, 1, (number, samples))
    value = 22 * np.exp(-depth / 500) + rng.normal(0, 1, (number, samples)) + 2
    error = 0.5 * np.exp(-depth / 800) + 0.05
    profile = np.arange(number)
    platform = np.array([f"P{n:05}" for n in range(4000)], dtype=object)[
        rng.integers(0, 4000, number)
    ]
    order = rng.permutation(number * samples) if shuffled else slice(None)
    along = {
        "time": np.repeat(time_, samples)[order],
        "depth": depth.ravel()[order],
        "latitude": np.repeat(lat, samples)[order],
        "longitude": np.repeat(lon, samples)[order],
        "platform": np.repeat(platform, samples)[order],
        "profile": np.repeat(profile, samples)[order],
    }
    size = number * samples
    attrs = {"units": "degC", "units_thetao": "degC"}
    data = {
        "value": ("obs", value.ravel()[order], attrs),
        "error": ("obs", error.ravel()[order]),
        "variable": ("obs", np.full(size, "thetao")),
        "qc": ("obs", np.zeros(size, dtype=np.int8)),
        "reason": ("obs", np.full(size, "", dtype=object)),
    }
    return xr.Dataset(data, coords={name: ("obs", column) for name, column in along.items()})


def contest(name: str, options: Any) -> dict[str, float]:
    table = casts(options.points // SAMPLES, SAMPLES, options.seed, shuffled=options.shuffled)
    work = {"xdeepda": with_xdeepda, "pandas": with_pandas, "scipy": with_scipy}[name]
    if name != "scipy":  # whose dense result takes seconds however few the points are
        work(casts(1000, SAMPLES, options.seed))  # libraries are loaded
    result, used = measured(lambda: work(table))
    return {**used, **result}


def with_xdeepda(table: xr.Dataset) -> dict[str, float]:
    wet = np.ones((1, *grid().shape), dtype=bool)
    cells, _ = bin_points(table, grid(), CYCLE, ("thetao",), ("degC",), wet, rho=1.0)
    # with rho = 1 the squared error is the mean of those of the points, as of the others
    return summary(cells.value, cells.count, float((cells.count / cells.error**2).sum()))


def place(table: xr.Dataset) -> tuple[np.ndarray, ...]:
    """Cycle and position on each axis: what pandas and scipy must be given."""
    day = (table["time"].values - YEAR).astype("timedelta64[D]").astype(np.int64)
    g = grid()
    assert g.depth_edges is not None
    assert g.lat_edges is not None
    level = np.searchsorted(g.depth_edges, table["depth"].values, side="right") - 1
    row = np.searchsorted(g.lat_edges, table["latitude"].values, side="right") - 1
    column = np.floor(np.mod(table["longitude"].values, 360)).astype(np.int64)
    return day // 5, level, row, column


def with_pandas(table: xr.Dataset) -> dict[str, float]:
    import pandas as pd

    cycle, level, row, column = place(table)
    key = ((cycle * LEVELS.size + level) * 180 + row) * 360 + column
    weight = table["error"].values ** -2
    frame = pd.DataFrame({"key": key, "w": weight, "wv": weight * table["value"].values})
    groups = frame.groupby("key")
    sums = groups.sum()
    count = groups.size()
    value, error = sums["wv"] / sums["w"], np.sqrt(count / sums["w"])
    del error
    return summary(value.to_numpy(), count.to_numpy(), float(sums["w"].sum()))


def with_scipy(table: xr.Dataset) -> dict[str, float]:
    from scipy.stats import binned_statistic_dd

    day = (table["time"].values - YEAR).astype("timedelta64[D]").astype(np.float64)
    g = grid()
    columns = [day / 5, table["depth"].values, table["latitude"].values]
    sample = np.stack([*columns, np.mod(table["longitude"].values, 360)], axis=1)
    weight = table["error"].values ** -2
    values = [weight * table["value"].values, weight, np.ones(weight.size)]
    bins = [np.arange(74.0), g.depth_edges, g.lat_edges, g.lon_edges]
    sums = binned_statistic_dd(sample, values, "sum", bins=bins).statistic
    there = np.flatnonzero(sums[2])
    total, weights, count = (s.reshape(-1)[there] for s in sums)
    return summary(total / weights, count, float(weights.sum()))


def summary(value: np.ndarray, count: np.ndarray, weight: float) -> dict[str, float]:
    return {
        "cells": float(value.size),
        "count": float(count.sum()),
        "value": float(value.sum()),
        "weight": weight,
    }


# ---- a year of profiles from a file


def year_of_profiles(options: Any) -> int:
    """Read, check and bin casts of a file chunk by chunk; memory beside that of the result."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "profiles.nc"
        write_casts(path, options.casts, options.seed)
        rows = options.casts * SAMPLES
        print(
            f"{options.casts:,} casts of {SAMPLES}: {rows:,} rows, "
            f"{path.stat().st_size / 2**30:.2f} GiB in a file, load {os.getloadavg()[0]:.1f}"
        )
        wet = np.ones((1, *grid().shape), dtype=bool)
        target = Target(grid(), {}, ("thetao",), ("degC",), ("",), wet)
        with xr.open_dataset(path, chunks={"obs": options.chunk}) as obs:
            warm = obs.isel(obs=slice(0, 2 * options.chunk)).chunk(obs=options.chunk)
            bin_lazily(warm, target, CYCLE, progress=False)  # modules and caches of libraries
            (cells, _), used = measured(lambda: bin_lazily(obs, target, CYCLE))
    result = sum(c.nbytes for c in (cells.cycle, cells.cell, cells.value, cells.error, cells.count))
    table = rows * (8 * 7 + 24 + 8 + 1)
    print(
        f"lazily, chunks of {options.chunk:,} rows: {used['seconds']:.1f} s "
        f"({used['cpu']:.1f} s of CPU), {used['gib']:.2f} GiB at most, of which "
        f"{result / 2**30:.2f} GiB are the result ({len(cells):,} superobservations); "
        f"the table in memory is {table / 2**30:.2f} GiB"
    )
    return 0


def write_casts(path: Path, number: int, seed: int) -> None:
    """File of casts in the order of time, one column for temperature, written in parts."""
    import netCDF4

    parts = max(1, number // 25_000)
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("obs", number * SAMPLES)
        units = {"thetao": "degC", "thetao_error": "K", "depth": "m", "latitude": "degrees_north",
                 "longitude": "degrees_east", "profile": "1"}  # fmt: skip
        for name, unit in units.items():
            kind = "i4" if name == "profile" else "f4"
            file.createVariable(name, kind, ("obs",), chunksizes=(2**17,)).units = unit
        time_ = file.createVariable("time", "f8", ("obs",), chunksizes=(2**17,))
        time_.units, time_.standard_name = "days since 2015-01-01", "time"
        for part in range(parts):
            # consecutive parts of the year, so that the whole is in the order of time
            table = casts(number // parts, SAMPLES, seed + part)
            rows = slice(part * table.sizes["obs"], (part + 1) * table.sizes["obs"])
            day = (table["time"].values - YEAR) / np.timedelta64(1, "D")
            file["time"][rows] = (part + day / 365) * 365 / parts
            file["thetao"][rows], file["thetao_error"][rows] = table["value"], table["error"]
            file["profile"][rows] = table["profile"].values + part * (number // parts)
            for name in ("depth", "latitude", "longitude"):
                file[name][rows] = table[name].values


def measured(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Result, and seconds, CPU seconds and GiB beyond what was held before."""
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    started, cpu = time.perf_counter(), time.process_time()
    result = work()
    used = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    return result, {**used, "gib": memory("VmHWM") - before}


def memory(line: str) -> float:
    """Memory of this process, GiB: VmRSS now, VmHWM at most."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.split(f"{line}:")[1].split()[0]) / 2**20
