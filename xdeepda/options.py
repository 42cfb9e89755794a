"""Settings of a session, and what the machine offers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any

from xdeepda.errors import InputError, Problems

_OPTIONS: dict[str, Any] = {
    "device": None,
    "precision": "float32",
    "threads": None,
    "progress": True,
}

#: Precisions of the networks.
PRECISIONS = ("float32", "bfloat16")


class set_options:
    """Set options for the session, or for a ``with`` block.

    Parameters
    ----------
    device : str, optional
        Where tensors live: "cpu", "cuda", "cuda:1", "mps"; None takes a GPU if there is one.
    precision : {"float32", "bfloat16"}
        Of the convolutions of the networks in an assimilation.  Halves are several times
        faster where the processor or GPU has them, and change the analysis by less than a
        hundredth of its error; where it has none, float32 is taken, with a warning.
    threads : int, optional
        Threads of a calculation on the processor; None leaves torch's own choice.
    progress : bool
        Whether progress bars are shown.

    Raises
    ------
    InputError
        For an unknown option or a wrong value; nothing is changed then.

    Examples
    --------
    >>> with set_options(progress=False):
    ...     pass
    """

    def __init__(self, **options: Any) -> None:
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise InputError(f"unknown options {unknown}; known: {', '.join(_OPTIONS)}")
        threads = options.get("threads")
        whole = isinstance(threads, int) and not isinstance(threads, bool)
        if threads is not None and not (whole and threads >= 1):
            raise InputError(f"threads={threads!r}: a positive integer, or None")
        if not isinstance(options.get("progress", True), bool):
            raise InputError(f"progress={options['progress']!r}: True or False")
        if not isinstance(options.get("device"), (str, type(None))):
            raise InputError(f"device={options['device']!r}: a name such as 'cpu', or None")
        if options.get("precision", "float32") not in PRECISIONS:
            raise InputError(
                f"precision={options['precision']!r}: one of {', '.join(map(repr, PRECISIONS))}"
            )
        self._before = dict(_OPTIONS)
        _OPTIONS.update(options)

    def __enter__(self) -> None:
        """Keep the options for the block."""

    def __exit__(self, *_: object) -> None:
        """Restore the options from before."""
        _OPTIONS.update(self._before)


def option(name: str) -> Any:
    """Value of an option."""
    return _OPTIONS[name]


def device_of(device: str | None) -> str:
    """Device to use: as asked for, as set, else a GPU if there is one.

    Raises
    ------
    InputError
        If the device is not there.
    """
    import torch

    wanted = device or _OPTIONS["device"]
    if wanted is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {wanted!r} cannot be used here: {error}") from None
    return str(wanted)


def check_machine(device: Any, seed: Any, problems: Problems) -> None:
    """Note a device that is not there, and a seed that is none."""
    try:
        device_of(device)
    except InputError as error:
        problems.absorb(error)
    if not isinstance(seed, Integral) or isinstance(seed, bool) or int(seed) < 0:
        problems.add("seed is a number from 0 on", found=repr(seed))


@contextmanager
def torch_threads(threads: int | None = None) -> Iterator[None]:
    """Use so many threads, or the number that the options ask for, and restore it."""
    import torch

    before, wanted = torch.get_num_threads(), threads or _OPTIONS["threads"]
    if wanted:
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def thread_count() -> int:
    """Threads that a calculation on the processor uses."""
    import torch

    return int(_OPTIONS["threads"] or torch.get_num_threads())


def available_memory() -> int | None:
    """Bytes of memory that are free to use, None where the system does not tell.

    The least of what the machine has and what the limits of the process (control groups
    of containers and batch systems) leave.
    """
    told = [free for free in (_machine_memory(), _group_memory()) if free is not None]
    return min(told) if told else None


#: Files of control groups, version 2 and 1: limit, use, and what is forgotten when need be.
_GROUP_FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def _group_memory(root: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> int | None:
    """Bytes that the control groups of this process leave, None without a limit."""
    left: list[int] = []
    try:
        lines = Path(own).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        kind = "memory" if "memory" in controllers.split(",") else controllers
        if kind not in _GROUP_FILES:
            continue
        parts = [part for part in path.split("/") if part]
        folders = (Path(root, kind, *parts[:n]) for n in range(len(parts) + 1))
        left += [x for x in (_left(folder, *_GROUP_FILES[kind]) for folder in folders) if x]
    return min(left) if left else None


def _left(folder: Path, limit: str, use: str, cache: str) -> int | None:
    """Bytes that one control group leaves, at least 1; None without a limit."""
    try:
        most, used = (int((folder / name).read_text(encoding="ascii")) for name in (limit, use))
        stat = dict(x.split() for x in (folder / "memory.stat").read_text("ascii").splitlines())
        return max(most - used + int(stat.get(cache, 0)), 1)
    except (OSError, ValueError):
        # "max" is no limit; the root of the machine has no such files
        return None


def _machine_memory() -> int | None:
    """Bytes that are free on the machine, None where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return int(os.sysconf("SC_AVPHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return None
