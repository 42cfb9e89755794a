"""What can be measured, and a process of its own that measures it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Wish:
    """A measurement.

    Attributes
    ----------
    size, system : str
    task : {"machine", "analysis", "step", "cycle"}
    precision, device : str
    threads : int, optional
    members : int
        Rows that are analysed together.
    share : float
        Of the water columns with a profile.
    cycles : int
        Of an end-to-end run.
    repeat : int
        The median of so many, after one to warm up.
    seed : int
    compiled : bool
        Networks by ``torch.compile``.
    """

    size: str
    system: str
    task: str
    precision: str = "float32"
    device: str = "cpu"
    threads: int | None = None
    members: int = 1
    share: float = 0.05
    cycles: int = 4
    repeat: int = 3
    seed: int = 0
    compiled: bool = False


def measured(wish: Wish) -> dict[str, Any]:
    """Measure in a process of its own.

    Returns
    -------
    dict
        The wish, what :func:`benchmarks.speed.tasks.measure` gives, and ``peak``: largest
        resident memory of the process in bytes.  Where it fails, ``error``.
    """
    command = [sys.executable, "-m", "benchmarks", "speed", "--one", json.dumps(asdict(wish))]
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    # what a child says on the way is little: it cannot fill a pipe while the other is read
    out, told = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    row: dict[str, Any] = {**asdict(wish), "peak": usage.ru_maxrss * 1024}
    if process.returncode:
        last = told.strip().splitlines()
        return {**row, "error": last[-1] if last else f"exit status {process.returncode}"}
    return {**row, **json.loads(out.strip().splitlines()[-1])}


def _grown(name: str, values: tuple[Any, ...], **fixed: Any) -> Callable[[Wish], list[Wish]]:
    """Wishes in which a number grows."""
    return lambda wish: [replace(wish, **fixed, **{name: value}) for value in values]


#: What grows -> the measurements.  Levels grow with the sizes; a year has 73 cycles.
SCALINGS: dict[str, Callable[[Wish], list[Wish]]] = {
    "members": _grown("members", (1, 2, 4, 8), task="analysis"),
    "levels": lambda wish: [
        replace(wish, task="analysis", size=f"{wish.size}/{levels}") for levels in (4, 8, 16, 32)
    ],
    "observations": _grown("share", (0.005, 0.02, 0.08, 0.32), task="analysis"),
    "years": _grown("cycles", (10, 20, 40), task="cycle", repeat=1),
}
