"""Bytes of files, also of compressed ones and of members of a zip archive.

Gzip, bzip2 and xz are recognised by their first bytes, one inside a zip archive,
too.  Nothing is ever written under a name that an archive holds.  Knows
compression; it knows no format of data.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from xdeepda.errors import InputError

ZIP = b"PK\x03\x04"
_OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}

#: First bytes of what is told by name and not read, and what to do about it.
_KNOWN = (
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7-zip archive: unpack it first"),
    (b"Rar!", 0, "a RAR archive: unpack it first"),
    (b"\x1f\x9d", 0, "compressed by the old compress (.Z): uncompress it first"),
    (b"\x28\xb5\x2f\xfd", 0, "compressed by zstd: decompress it first"),
    (b"ustar", 257, "a tar archive: unpack it first"),
    (b"GRIB", 0, "GRIB: convert it to netCDF first"),
    (b"BUFR", 0, "BUFR: convert it to netCDF first"),
    (b"%PDF", 0, "a PDF document"),
    (b"PAR1", 0, "Parquet: open it with pandas.read_parquet and pass the frame to as_table"),
    (b"\x0e\x03\x13\x01", 0, "HDF 4: convert it to netCDF first"),
    (b"\xd0\xcf\x11\xe0", 0, "an old Office document: save it as csv first"),
    (b"<!DOCTYPE", 0, "a web page, not the file that it links to"),
    (b"<html", 0, "a web page, not the file that it links to"),
    (b"version https://git-lfs", 0, "a pointer of Git LFS, not the file: git lfs pull"),
)  # fmt: skip

#: What reading compressed bytes raises where they are damaged.
DAMAGE = (
    OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError,
    RuntimeError,
)  # fmt: skip


def members(path: Path) -> list[str]:
    """Files of a zip archive, folders and hidden ones left out; empty if it is none.

    Raises
    ------
    InputError
        If the archive is damaged or holds no files.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != ZIP:
                return []
    except OSError as error:
        raise InputError(f"{path.name}: the file cannot be read: {error}") from None
    try:
        with zipfile.ZipFile(path) as archive:
            names = [i.filename for i in archive.infolist() if not i.is_dir()]
    except DAMAGE as error:
        raise InputError(f"{path.name}: the zip archive is damaged: {error}") from None
    names = [n for n in names if not n.rpartition("/")[2].startswith((".", "__MACOSX"))]
    if not names:
        raise InputError(f"{path.name}: the zip archive holds no files")
    return sorted(names)


@contextmanager
def opened(path: Path, member: str | None = None) -> Iterator[tuple[BinaryIO, bool]]:
    """Decompressed bytes of a file or of a member of an archive, and whether it was packed.

    Parameters
    ----------
    path : Path
    member : str, optional
        Of a zip archive.

    Raises
    ------
    OSError and others of :data:`DAMAGE`
    """
    with ExitStack() as stack:
        file: Any = stack.enter_context(path.open("rb"))
        if member is not None:
            archive = stack.enter_context(zipfile.ZipFile(file))
            file = io.BufferedReader(cast(Any, stack.enter_context(archive.open(member))))
        start = file.peek(6)[:6]
        opener = next((o for magic, o in _OPENERS.items() if start.startswith(magic)), None)
        if opener is not None:
            file = stack.enter_context(opener(file, "rb"))
        yield file, member is not None or opener is not None


def known(head: bytes) -> str:
    """What bytes are that no reader reads, in words; empty where that is unknown."""
    return next((told for magic, at, told in _KNOWN if head[at:].startswith(magic)), "")
