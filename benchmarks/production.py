"""Memory and seconds of an assimilation against its length, with a store and without.

Each run is a process of its own: a cheap baseline (persistence), so that what is measured
is everything else, and observations in a table of dask arrays, made as they are read.

python -m benchmarks production --cycles 500 1000 2000
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

import xdeepda
from benchmarks import common

#: Rows of a chunk of the table.
_CHUNK = 200_000


def main(arguments: list[str]) -> int:
    parser = common.parser("production", str(__doc__).splitlines()[0])
    parser.add_argument("--cycles", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--resolution", type=float, default=5.0, help="degrees")
    parser.add_argument("--levels", type=int, default=8)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--rows", type=int, default=3000, help="observations of a cycle")
    parser.add_argument("--one", help="(of the runs themselves) store or memory")
    options = parser.parse_args(arguments)
    if options.one:
        run(options.cycles[0], options.one == "store", options)
        return 0
    print("kept       cycles  peak MiB  result MiB  seconds  CPU ms/cycle", flush=True)
    for kept in ("store", "memory"):
        for cycles in options.cycles:
            command = [sys.executable, "-m", "benchmarks", "production", "--one", kept]
            for name in ("resolution", "levels", "members", "rows", "seed"):
                command += [f"--{name}", str(getattr(options, name))]
            subprocess.run([*command, "--cycles", str(cycles)], check=True)
    return 0


def run(cycles: int, store: bool, options: object) -> None:
    """Run one assimilation and tell what it took."""
    xdeepda.set_options(progress=False, threads=1)
    resolution, levels = options.resolution, options.levels  # type: ignore[attr-defined]
    ocean = xdeepda.datasets.idealised_ocean(10, resolution=resolution, levels=levels, seed=1)
    model = xdeepda.baselines.persistence(ocean, var="thetao", cycle="month")
    rows, members = options.rows, options.members  # type: ignore[attr-defined]
    obs = table(model, cycles, rows, options.seed)  # type: ignore[attr-defined]
    folder = Path(tempfile.mkdtemp())
    try:
        start, cpu = time.perf_counter(), time.process_time()
        place = folder / "analysis.zarr" if store else None
        found = xdeepda.assimilate(ocean, obs, model=model, members=members, store=place)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        size = sum(v.nbytes for v in found.data_vars.values()) / 2**20
        kept, peak = "store" if store else "memory", 1024 * common.peak_memory()
        print(
            f"{kept:<10} {cycles:6d}  {peak:8.0f}  {size:10.0f}  {seconds:7.1f}  "
            f"{1e3 * cpu / cycles:12.1f}",
            flush=True,
        )
    finally:
        shutil.rmtree(folder)


def table(model: xdeepda.Model, cycles: int, rows: int, seed: int) -> xr.Dataset:
    """Lazy table of so many observations a month, anywhere in the sea of a model."""
    import dask
    import dask.array

    where, grid, total = np.argwhere(model.wet[0]), model.grid, cycles * rows

    def column(name: str, start: int, stop: int) -> np.ndarray:
        rng = np.random.default_rng([seed, start])
        k, j, i = where[rng.integers(len(where), size=stop - start)].T
        month = np.datetime64("1600-01", "M") + np.arange(start, stop) // rows
        columns = {
            "time": month.astype("M8[s]") + np.timedelta64(10, "D"),
            "depth": grid.depth[k],
            "lat": grid.lat[j],
            "lon": grid.lon[i],
            "thetao": rng.normal(5, 3, stop - start),
            "thetao_error": rng.uniform(0.3, 0.6, stop - start),
        }
        return columns[name]

    def lazy(name: str) -> dask.array.Array:
        parts = [
            dask.array.from_delayed(
                dask.delayed(column)(name, start, min(start + _CHUNK, total)),
                (min(start + _CHUNK, total) - start,), "M8[s]" if name == "time" else float,
            )
            for start in range(0, total, _CHUNK)
        ]  # fmt: skip
        return dask.array.concatenate(parts)

    units = {"depth": "m", "lat": "degrees_north", "lon": "degrees_east", "thetao": "degC"}
    names = ("time", "depth", "lat", "lon", "thetao", "thetao_error")
    columns = {
        n: ("obs", lazy(n), {"units": units.get(n, "K")} if n != "time" else {}) for n in names
    }
    return xr.Dataset(columns).set_coords(["time", "depth", "lat", "lon"])
