"""What a store knows of its own making: the lock, the request, and where to go on.

All is in one folder within the store.  Each file is written beside and renamed, so that
it is there whole or not at all whenever the process is killed.  Of the restart there are
two that take turns.  Knows files and arrays.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from xdeepda.errors import InputError, StoreError

logger = logging.getLogger("xdeepda")

#: Folder within the store; zarr overlooks it.
FOLDER = ".xdeepda"
#: What zarr calls a file that it is writing.
_UNFINISHED = ".partial"
_RESTARTS = ("restart-0.safetensors", "restart-1.safetensors")
#: Where an analysis that is complete can be gone on with.
_LAST = "last.safetensors"


@dataclass(frozen=True)
class Restart:
    """Where a run can go on.

    Attributes
    ----------
    position : int
        Cycles that are done.
    arrays : dict of numpy.ndarray
        All that the next cycle depends on.
    notes : dict
        Other things to remember, plain.
    """

    position: int
    arrays: dict[str, np.ndarray]
    notes: dict[str, Any]


class Keeper:
    """Folder of a store in which it keeps account of its own making.

    Parameters
    ----------
    store : Path
        Folder of the store.
    """

    def __init__(self, store: Path) -> None:
        self.store, self.folder = store, store / FOLDER
        self._lock: IO[str] | None = None
        self._turn = 0

    # ---- the lock

    def lock(self) -> None:
        """Keep others out until :meth:`release`, or until this process ends, however it does.

        Raises
        ------
        InputError
            If another process writes the store; it is named.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = open(self.folder / "lock", "a+", encoding="utf-8")  # noqa: SIM115
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            other = file.read().strip() or "unknown"
            file.close()
            raise InputError(
                f"assimilate: another process is writing {self.store} ({other}); wait for it, or "
                "name another store"
            ) from None
        except (ImportError, OSError) as error:
            logger.warning(
                "assimilate: %s cannot be locked (%s); let no other process write it",
                self.store, error,
            )  # fmt: skip
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        self._lock = file

    def release(self) -> None:
        """Let others in."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # ---- the request

    def request(self) -> dict[str, Any] | None:
        """What the store was asked for, None where it was not begun.

        Raises
        ------
        StoreError
            If that cannot be read.
        """
        path = self.folder / "request.json"
        if not path.exists():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return {"wanted": dict(found["wanted"]), "machine": dict(found["machine"]),
                    "complete": bool(found["complete"])}  # fmt: skip
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise StoreError(
                f"assimilate: {path} cannot be read ({error}); remove {self.store} to start anew"
            ) from None

    def write_request(
        self, wanted: Mapping[str, str], machine: Mapping[str, str], complete: bool
    ) -> None:
        """Remember what the store was asked for."""
        content = {"wanted": dict(wanted), "machine": dict(machine), "complete": complete}
        path = self.folder / "request.json"
        part = path.with_suffix(".part")
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")
        part.replace(path)

    # ---- where to go on

    def save(self, restart: Restart) -> None:
        """Write a restart in the place of the older one."""
        _write_restart(self.folder / _RESTARTS[self._turn], restart)
        self._turn = 1 - self._turn

    def load(self) -> Restart | None:
        """Newest restart that is whole, None if there is none."""
        found = []
        for turn, name in enumerate(_RESTARTS):
            restart = _read_restart(self.folder / name)
            if restart is not None:
                found.append((restart.position, turn, restart))
        if not found:
            return None
        _, turn, restart = max(found, key=lambda one: one[0])
        self._turn = 1 - turn
        return restart

    def save_last(self, restart: Restart) -> None:
        """Write where the analysis can be gone on with when it is complete."""
        _write_restart(self.folder / _LAST, restart)

    def load_last(self) -> Restart | None:
        """Where the complete analysis can be gone on with, None if that is not kept."""
        return _read_restart(self.folder / _LAST)

    def clean(self) -> None:
        """Remove all but the lock, the request and the end of a complete analysis."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in ("lock", "request.json", _LAST):
                path.unlink()

    def sweep(self) -> None:
        """Remove files of which zarr was writing when it was killed; it renames them at last."""
        for path in self.store.rglob(f"*{_UNFINISHED}"):
            path.unlink()

    def empty_store(self, names: Collection[str]) -> None:
        """Remove what a start that was cut short has left in the store.

        Raises
        ------
        InputError
            If there is anything but `names`.
        """
        self.sweep()
        found = [path for path in self.store.iterdir() if path.name != FOLDER]
        if foreign := sorted(path.name for path in found if path.name not in names):
            raise InputError(
                f"assimilate: {self.store} holds what is not of this analysis ({foreign[0]!r}), "
                "which is left alone; name another store"
            )
        self.clean()
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _write_restart(path: Path, restart: Restart) -> None:
    """Write a restart with its checksum."""
    text = {"position": restart.position, "notes": restart.notes, "sum": _sum(restart.arrays)}
    write_arrays(path, restart.arrays, text)


def _read_restart(path: Path) -> Restart | None:
    """Restart of a file, None where it is not there or not whole."""
    read = read_arrays(path)
    if read is None or read[1].get("sum") != _sum(read[0]):
        return None
    return Restart(int(read[1]["position"]), read[0], dict(read[1]["notes"]))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], text: Mapping[str, Any]) -> None:
    """Write arrays and a plain text to a file, whole or not at all."""
    from safetensors.numpy import save_file

    part = path.with_suffix(".part")
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    try:
        save_file(whole, part, metadata={"xdeepda": json.dumps(text)})
        part.replace(path)
    except Exception as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise
        # the library has errors of its own for those of the disk
        raise OSError(f"{path.name} could not be written: {error}") from None


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Arrays and text of a file, None where it is not there or not whole."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            text = json.loads((file.metadata() or {})["xdeepda"])
            return {name: file.get_tensor(name) for name in file.keys()}, text  # noqa: SIM118
    except (SafetensorError, OSError, LookupError, ValueError):
        return None


def _sum(arrays: Mapping[str, np.ndarray]) -> int:
    """Checksum of arrays."""
    total = 0
    for name in sorted(arrays):
        total = zlib.crc32(name.encode(), total)
        total = zlib.crc32(np.ascontiguousarray(arrays[name]).data.cast("B"), total)
    return total
