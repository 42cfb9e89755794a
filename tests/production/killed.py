"""Runs one assimilation again and again, killed each time, until it is done (not a test).

``python killed.py FOLDER``: the folder holds model, run and observations, the arguments as
JSON, and takes the store.  Prints what became of each attempt.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import torch
import xarray as xr
import zarr

import xdeepda
from xdeepda.production import restart, store

FOLDER = Path(sys.argv[1])
PLAN = json.loads((FOLDER / "plan.json").read_text())
#: What is killed at its so-and-so-many-th event: 5 chunks are a block, the first rename is that
#: of the request.
EVENTS = (
    ("template", 1),
    ("before a rename", 1),
    ("chunk", 8),
    ("half a chunk", 3),
    ("before a rename", 2),
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(kind: str, count: int) -> None:
    """Let this process be killed at the so-and-so-many-th event of a kind."""
    left = [count]

    def now() -> bool:
        left[0] -= 1
        return left[0] == 0

    put, replace, template = zarr.Array.__setitem__, Path.replace, store._write_template

    def putting(array, place, values):
        if not array.path.startswith("thetao"):
            put(array, place, values)
            return
        if kind == "half a chunk" and now():
            # what a kill within the write of a file may leave, if it were not renamed at last
            put(array, place, values)
            mine = Path(array.store.root) / array.path / "c" / str(place[0].start // 4)
            for file in (f for f in mine.rglob("*") if f.is_file()):
                file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
            die()
        put(array, place, values)
        if kind == "chunk" and now():
            die()

    def replacing(path, target):
        ours = path.parent.name == restart.FOLDER
        if kind == "before a rename" and ours and now():
            die()
        return replace(path, target)

    def writing(ds, path):
        if kind == "template" and now():
            ds.isel(time=slice(0, 1)).to_zarr(path, mode="a", compute=False)
            die()
        template(ds, path)

    zarr.Array.__setitem__, Path.replace, store._write_template = putting, replacing, writing


def attempt() -> None:
    """One assimilation with the arguments of the plan."""
    models = [xdeepda.load_model(FOLDER / name) for name in PLAN["models"]]
    xdeepda.assimilate(
        xr.open_dataset(FOLDER / "run.nc"), xr.open_dataset(FOLDER / PLAN["observations"]),
        model=models, store=FOLDER / "store.zarr", progress=False, **PLAN["arguments"],
    )  # fmt: skip


def child(kind: str | None, count: int) -> int:
    """Start an attempt in a process of its own."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if kind is not None:
            die_at(kind, count)
        attempt()
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(pid: int, pause: float | None = None) -> str:
    """Wait for a process; or kill it, that long after it has written a further restart."""
    before = position()
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return "killed" if os.WIFSIGNALED(status) else f"exit-{os.WEXITSTATUS(status)}"
        if pause is not None and position() > before:
            time.sleep(pause)
            os.kill(pid, signal.SIGKILL)
            pause = None
        time.sleep(0.002)


def position() -> int:
    """Cycles after which the store would be gone on with."""
    keeper = restart.Keeper(FOLDER / "store.zarr")
    found = keeper.load() if keeper.folder.is_dir() else None
    return -1 if found is None else found.position


def main() -> None:
    torch.set_num_threads(1)
    store.CHUNK_CYCLES, store.RESTART_SECONDS = 4, 0.0
    rng = random.Random(PLAN["seed"])
    for kind, count in EVENTS:
        print("event", ended(child(kind, count)), position(), flush=True)
    for _ in range(PLAN["kills"]):
        print("moment", ended(child(None, 0), 0.04 * rng.random()), position(), flush=True)
    print("last", ended(child(None, 0)), position(), flush=True)


main()
