"""A thousand Argo files: seconds to read them into the table, against xarray opening them.

python -m benchmarks readers --data FOLDER

The files are one real profile with its contents changed, so that no two are alike, in a
temporary folder.  Both read the same files in one process, in turn, the fastest of
`repeat` runs each; ``xr.open_mfdataset`` opens them as its users do (nested along
N_PROF) and loads nothing.
"""

from __future__ import annotations

import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

import xdeepda
from benchmarks import common
from xdeepda.observations.readers import iter_observations

SAMPLE = "observations/argo/D2900313_000.nc"


def main(arguments: list[str]) -> int:
    parser = common.parser("readers", str(__doc__).splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args(arguments)
    sample = common.data_file(options.data, SAMPLE)
    xdeepda.set_options(progress=False)
    with tempfile.TemporaryDirectory() as folder:
        paths = make_files(sample, Path(folder), options.files)
        xdeepda.open_observations(paths[:2])  # imports and caches
        mine = fastest(lambda: xdeepda.open_observations(paths), options.repeat)
        other = fastest(lambda: open_by_xarray(paths).close(), options.repeat)
        print(f"{options.files} Argo files of {sample.stat().st_size / 1024:.0f} KiB")
        print(f"open_observations, read to the table: {mine:.1f} s, {each(mine, paths)} a file")
        print(f"xr.open_mfdataset, opened only:       {other:.1f} s, {each(other, paths)} a file")
        print(f"ratio: {other / mine:.1f}")
        check(paths)
        memory(paths)
    return 0


def make_files(sample: Path, folder: Path, count: int) -> list[str]:
    """Copies of a profile, each with another cycle, time and temperature."""
    raw, paths = sample.read_bytes(), []
    for number in range(count):
        path = folder / f"D2900313_{number:04d}.nc"
        path.write_bytes(raw)
        with netCDF4.Dataset(path, "a") as file:
            file.set_auto_mask(False)
            file["CYCLE_NUMBER"][:] = number
            file["JULD"][:] += 0.5 * number
            file["TEMP_ADJUSTED"][:] += np.float32(1e-3 * number)
        paths.append(str(path))
    return paths


def fastest(work: Callable[[], object], repeat: int) -> float:
    """Seconds of the fastest run."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def open_by_xarray(paths: list[str]) -> xr.Dataset:
    """All files as one Dataset, nothing loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return xr.open_mfdataset(paths, combine="nested", concat_dim="N_PROF")


def each(seconds: float, paths: list[str]) -> str:
    """Milliseconds of a file."""
    return f"{1e3 * seconds / len(paths):.1f} ms"


def check(paths: list[str]) -> None:
    """Both see the same salinities (which no conversion changes)."""
    few = paths[:50]
    mine = np.sort(xdeepda.open_observations(few, var="so")["value"].values)
    with open_by_xarray(few) as ds:
        other = ds["PSAL_ADJUSTED"].values
    np.testing.assert_allclose(mine, np.sort(other[np.isfinite(other)]), rtol=1e-6)


def memory(paths: list[str]) -> None:
    """Memory of the table at once and in parts."""
    tracemalloc.start()
    rows = xdeepda.open_observations(paths).sizes["obs"]
    whole = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    for part in iter_observations(paths, rows=rows // 20):
        del part
    parts = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    print(
        f"peak memory: {whole / 2**20:.1f} MiB for {rows} rows at once, "
        f"{parts / 2**20:.1f} MiB in parts of {rows // 20}"
    )
