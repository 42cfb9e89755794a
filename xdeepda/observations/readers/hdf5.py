"""A check of HDF5 files that the library does not make: that its heaps come to an end.

The collections of the global heap, which hold texts of variable length and the
links between variables and their axes, are read by the HDF5 library object by
object without asking whether it gets on: a damaged size makes it loop for ever.
The layout is that of the format specification (version 3.0, section III.E).  Knows
bytes; it knows no data.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from xdeepda.errors import InputError

_SIGNATURE = b"GCOL\x01\x00\x00\x00"
_OBJECT = struct.Struct("<HHIQ")
_HEADER = 16  # bytes of a collection's own header, and of that of each of its objects


def check_heaps(path: Path | str) -> None:
    """Walk all collections of the global heap of a file.

    Parameters
    ----------
    path : path-like
        An HDF5 file.

    Raises
    ------
    InputError
        If an object has no length, or is longer than its collection.
    """
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        if not _lengths_of_eight(raw):
            return
        at = raw.find(_SIGNATURE)
        while at >= 0:
            _walk(raw, at)
            at = raw.find(_SIGNATURE, at + 8)


def _lengths_of_eight(raw: mmap.mmap) -> bool:
    """Whether lengths have eight bytes, as the superblock says; others are not in use."""
    version = raw[8]
    return raw[14 if version < 2 else 10] == 8


def _walk(raw: mmap.mmap, at: int) -> None:
    """One collection: its objects follow each other up to the end or the free space."""
    if at + _HEADER > len(raw):
        return
    end = at + int.from_bytes(raw[at + 8 : at + 16], "little")
    if end > len(raw) or end < at + _HEADER:
        raise InputError("a heap is longer than the file")
    here = at + _HEADER
    while here + _HEADER <= end:
        index, _, _, size = _OBJECT.unpack_from(raw, here)
        step = size if index == 0 else _HEADER + size + -size % 8
        if step < _HEADER or here + step > end:
            raise InputError("an object of a heap has an impossible size")
        here += step
