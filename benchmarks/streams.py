"""Speed-up and memory of parallel streams: several on a few workers against one.

Both sides run the same model on the same observations with one thread in each process, and
both have a spin-up before what they give out.  Each side is a process of its own, which starts
its cluster before the clock does.

python -m benchmarks streams --years 40 --streams 4 --workers 2
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

import xdeepda
from benchmarks import common
from benchmarks.production import table


def main(arguments: list[str]) -> int:
    parser = common.parser("streams", str(__doc__).splitlines()[0])
    parser.add_argument("--years", type=int, default=40, help="years to give out")
    parser.add_argument("--spinup", type=int, default=1, help="years before each stream")
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread")
    parser.add_argument("--resolution", type=float, default=4.0, help="degrees")
    parser.add_argument("--levels", type=int, default=16)
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--rows", type=int, default=3000, help="observations of a month")
    parser.add_argument("--one", type=int, help="(of the runs themselves) number of streams")
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(run(options)))
        return 0
    found = [_side(streams, options, arguments) for streams in (1, options.streams)]
    print("streams  workers  cycles  of them spin-up  seconds  cycles/s  peak MiB of a process")
    for one in found:
        print(
            f"{one['streams']:7d}  {one['workers']:7d}  {one['cycles']:6d}  {one['spinup']:15d}  "
            f"{one['seconds']:7.1f}  {one['cycles'] / one['seconds']:8.1f}  {one['peak']:21.0f}"
        )
    alone, parallel = found
    print(
        f"speed-up {alone['seconds'] / parallel['seconds']:.2f} (of {options.workers} at most, and "
        f"{options.workers * alone['cycles'] / parallel['cycles']:.2f} with the spin-up of "
        f"{options.streams} streams); target 1.7\n"
        f"largest difference at a joint, in units of the analysis error: {parallel['joint']:.2g}"
    )
    return 0


def _side(streams: int, options: Namespace, arguments: list[str]) -> dict[str, Any]:
    """Measure one side in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "streams", *arguments, "--one", str(streams)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run(options: Namespace) -> dict[str, Any]:
    """Run one side, and say what it took."""
    xdeepda.set_options(progress=False, threads=1)
    ocean = xdeepda.datasets.idealised_ocean(
        10, resolution=options.resolution, levels=options.levels, seed=1
    )
    network = xdeepda.Network.simulated(ocean, "argo", density=0.1)
    # what an analysis costs does not depend on how well its weights are trained
    model = xdeepda.train(
        ocean, network, var="thetao", cycle="month", epochs=1, batch=2, cycles=2, seed=0,
    )  # fmt: skip
    before, total = 12 * options.spinup, 12 * (options.years + options.spinup)
    obs = table(model, total, options.rows, options.seed)
    times = (np.datetime64("1600-01", "M") + np.arange(before, total)).astype("M8[s]")
    folder = Path(tempfile.mkdtemp(dir=options.out if Path(options.out).is_dir() else None))
    arguments = {
        "model": model, "members": options.members, "times": times, "store": folder / "a.zarr",
    }  # fmt: skip
    if options.one > 1:
        arguments |= {"streams": options.one, "spinup": before}
    try:
        with _cluster(options.workers) if options.one > 1 else nullcontext() as client:
            if client is not None:
                arguments["client"] = client
            start = time.perf_counter()
            found = xdeepda.assimilate(ocean, obs, **arguments)
            seconds = time.perf_counter() - start
            peaks = [common.peak_memory()]
            peaks += [] if client is None else client.run(common.peak_memory).values()
        told = found.deepda.joints()["thetao_ratio"] if options.one > 1 else None
        spinup = before * options.one
        return {
            "streams": options.one, "workers": options.workers if options.one > 1 else 1,
            "cycles": len(times) + spinup, "spinup": spinup, "seconds": seconds,
            "peak": 1024 * max(peaks), "joint": 0.0 if told is None else float(told.max()),
        }  # fmt: skip
    finally:
        shutil.rmtree(folder)


class _cluster:
    """Workers of one thread that have loaded what they need."""

    def __init__(self, workers: int) -> None:
        from distributed import Client, LocalCluster

        self.cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        self.client = Client(self.cluster, set_as_default=False)
        self.client.run(_load)

    def __enter__(self) -> Any:
        return self.client

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.cluster.close()


def _load() -> None:
    """Import what a stream needs."""
    import xdeepda.production.worker  # noqa: F401
