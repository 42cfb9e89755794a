"""Who made this, when, from what: version, history lines, hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np


def package_version() -> str:
    """Version of xdeepda."""
    try:
        return version("xdeepda")
    except PackageNotFoundError:
        return "unknown"


def history_line(what: str, before: str | None = None) -> str:
    """CF ``history``: the newest line first."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = f"{stamp} xdeepda {package_version()}: {what}"
    return f"{line}\n{before}" if before else line


def hash_arrays(arrays: Mapping[str, np.ndarray], text: str = "") -> str:
    """Hash of named arrays and a text, 16 hexadecimal digits."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array: Any = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
