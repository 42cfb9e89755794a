"""What every reader of observations shares: the source it reads and what a reader is.

A *source* is a file (or a Dataset in memory) of which nothing is believed yet:
its first bytes, its text in bounded pieces, its netCDF variables undecoded.  A
*reader* knows one family of formats: it recognises a source by its structure,
never by its name, and makes the table of it.  Nothing from a file is evaluated,
and no size that a file claims is believed before it is compared with the size
of the file and the memory of the machine.

Knows files and bytes; it knows no format and no unit.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError, MemoryForeseenError
from xdeepda.observations.readers.classic import open_classic
from xdeepda.observations.readers.decode import (
    flag_codes,
    has_time_units,
    numbers,
    texts,
    times,
)
from xdeepda.observations.readers.flags import SCHEMES, Scheme, map_flags
from xdeepda.observations.readers.hdf5 import check_heaps
from xdeepda.observations.readers.packing import DAMAGE, opened
from xdeepda.observations.readers.rows import Levels, Measured, make_table

__all__ = [
    "HEAD",
    "MAX_EXPANDED",
    "SCHEMES",
    "Levels",
    "Measured",
    "NothingMeasured",
    "Reader",
    "Scheme",
    "Source",
    "flag_codes",
    "has_time_units",
    "make_table",
    "map_flags",
    "numbers",
    "texts",
    "times",
]

logger = logging.getLogger("xdeepda")

#: Bytes that recognition by content may look at.
HEAD = 4096

#: Largest size in bytes that a compressed file, or a text, is expanded to in memory.
MAX_EXPANDED = 2**30

#: Bytes that are read at once.
_BLOCK = 2**20

#: Classic files up to this size are read at once, larger ones are left on disk.
_SMALL = 2**26

#: Longest line of a text in characters; longer ones are no table of numbers.
MAX_LINE = 2**20

_NETCDF3 = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
_HDF5 = b"\x89HDF\r\n\x1a\n"


class NothingMeasured(InputError):
    """A file is understood, and holds no temperature and no salinity."""


class Source:
    """A file or Dataset of which a reader makes the table.

    A context manager: leaving it closes what was opened.

    Parameters
    ----------
    path : path-like, optional
        Of a file, also one compressed with gzip, bzip2 or xz.
    member : str, optional
        File within the zip archive `path`.
    dataset : xarray.Dataset, optional
        In place of a file; decoded or not.

    Attributes
    ----------
    name : str
        Name of the file, for messages and the column ``source``.
    head : bytes
        The first 4 KiB, decompressed.
    packed : bool
        Whether the file was compressed.

    Raises
    ------
    InputError
        If there is no such file, it is empty, or its compression is damaged.

    Examples
    --------
    >>> with Source("cast.nc") as source:  # doctest: +SKIP
    ...     source.is_netcdf
    True
    """

    def __init__(
        self, path: Any = None, *, member: str | None = None, dataset: xr.Dataset | None = None
    ) -> None:
        self.path = None if path is None else Path(path)
        self.member = member
        self._dataset = dataset
        self._opened: list[Any] = []
        self._memory: bytes | None = None
        if self.path is None:
            if dataset is None:
                raise InputError("a source is a path or a Dataset; neither was given")
            given = dataset.encoding.get("source") or dataset.attrs.get("id") or "Dataset"
            self.name, self.head, self.packed = Path(str(given)).name, b"", False
            return
        self.name = self.path.name if member is None else Path(member).name
        self.head, self.packed = self._read_head()

    def _read_head(self) -> tuple[bytes, bool]:
        """First bytes, decompressed, and whether they were compressed."""
        assert self.path is not None
        if not self.path.is_file():
            raise InputError(f"there is no file {str(self.path)!r}")
        try:
            with opened(self.path, self.member) as (file, packed):
                start = file.read(HEAD)
        except DAMAGE as error:
            raise InputError(
                f"{self.name}: it cannot be read, or its compression is damaged: {error}"
            ) from None
        if not start:
            raise InputError(f"{self.name}: the file is empty")
        return start, packed

    def __enter__(self) -> Source:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what was opened."""
        self.close()

    def close(self) -> None:
        """Close all files; a Dataset that the user gave stays open."""
        for file in self._opened:
            file.close()
        self._opened = []
        self._memory = None
        if self.path is not None:
            self._dataset = None

    @property
    def is_netcdf(self) -> bool:
        """Whether this is a netCDF file (3 or 4), or a Dataset."""
        if self.path is None:
            return True
        return self.head.startswith((*_NETCDF3, _HDF5))

    @property
    def is_netcdf3(self) -> bool:
        """Whether this is a file of the classic format."""
        return self.head.startswith(_NETCDF3)

    @property
    def is_text(self) -> bool:
        """Whether the first bytes are those of a text (UTF-8, Latin-1, no control characters)."""
        control = bytes(c for c in range(32) if c not in b"\t\n\r\f\x1a")
        return self.path is not None and not any(c in control for c in self.head)

    # ---- bytes and text

    def expanded(self) -> bytes:
        """All bytes, decompressed.

        Raises
        ------
        MemoryForeseenError
            If they are more than :data:`MAX_EXPANDED`.
        InputError
            If the compression is damaged or ends early.
        """
        if self._memory is None:
            self._memory = self._expand()
        return self._memory

    def _expand(self) -> bytes:
        """Read (and decompress) up to the limit."""
        assert self.path is not None
        blocks, size = [], 0
        try:
            with opened(self.path, self.member) as (file, _):
                # in blocks: one large number would be allocated whatever the size of the file
                while block := file.read(_BLOCK):
                    size += len(block)
                    if size > MAX_EXPANDED:
                        raise MemoryForeseenError(self._too_large())
                    blocks.append(block)
        except DAMAGE as error:
            raise InputError(f"{self.name}: the file is truncated or damaged: {error}") from None
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def text(self) -> str:
        """Whole content as text: UTF-8, else Latin-1.

        Raises
        ------
        InputError, MemoryForeseenError
            See :meth:`expanded`.
        """
        data = self.expanded()
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def lines(self) -> Iterator[str]:
        """Lines without their ends, one at a time; Latin-1 bytes are read as such.

        Raises
        ------
        InputError
            If a line is longer than a megabyte or the compression is damaged.
        """
        assert self.path is not None
        try:
            with opened(self.path, self.member) as (file, _):
                number = 0
                while raw := file.readline(MAX_LINE + 1):
                    number += 1
                    if len(raw) > MAX_LINE:
                        raise InputError(f"{self.name}: line {number} is over {MAX_LINE} bytes")
                    if number == 1:
                        raw = raw.removeprefix(b"\xef\xbb\xbf")
                    yield _decode(raw.rstrip(b"\r\n"))
        except DAMAGE as error:
            raise InputError(f"{self.name}: the file is truncated or damaged: {error}") from None

    def head_lines(self) -> list[str]:
        """Complete lines within the first 4 KiB (the last one whole only if the text ends)."""
        return _decode(self.head).splitlines()

    # ---- netCDF

    def dataset(self) -> xr.Dataset:
        """Variables of a netCDF file, lazily and undecoded (no masks, scales, times, strings).

        Raises
        ------
        InputError
            If the file cannot be opened or is shorter than its header says.
        MemoryForeseenError
            If a compressed file expands beyond the limit.
        """
        if self._dataset is None:
            self._dataset = _without_single_letters(self._open())
        return self._dataset

    def _open(self) -> xr.Dataset:
        """Classic files from their bytes, others with the netCDF library."""
        if self.is_netcdf3:
            return self._open_classic()
        import netCDF4

        path = self._expanded_file() if self.packed else str(self.path)
        try:
            check_heaps(path)
            raw = netCDF4.Dataset(path, mode="r")
            # xarray has no place for a scalar of the name of a dimension
            scalars = [n for n, v in raw.variables.items() if n in raw.dimensions and not v.ndim]
            store = xr.backends.NetCDF4DataStore(raw)
            ds = xr.open_dataset(store, decode_cf=False, cache=False, drop_variables=scalars)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise InputError(
                f"{self.name}: the netCDF file is truncated or damaged: {error}"
            ) from None
        self._opened.insert(0, ds)
        return ds

    def _open_classic(self) -> xr.Dataset:
        """Views of the bytes of a classic file; large files stay on disk."""
        assert self.path is not None
        if self.packed or self.path.stat().st_size <= _SMALL:
            data: Any = self.expanded()
        else:
            data = np.memmap(self.path, dtype=np.uint8, mode="r")
        try:
            return open_classic(data)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from None
        except ValueError as error:  # names that appear twice, sizes beyond all numbers
            raise InputError(f"{self.name}: the header is damaged: {error}") from None

    def _expanded_file(self) -> str:
        """Temporary file with the expanded bytes; gone when the source is closed."""
        file = tempfile.NamedTemporaryFile(suffix=".nc")  # noqa: SIM115 (closed by close)
        self._opened.append(file)
        size = 0
        assert self.path is not None
        try:
            with opened(self.path, self.member) as (packed, _):
                while block := packed.read(_BLOCK):
                    size += len(block)
                    if size > MAX_EXPANDED:
                        raise MemoryForeseenError(self._too_large())
                    file.write(block)
        except DAMAGE as error:
            raise InputError(f"{self.name}: the file is truncated or damaged: {error}") from None
        file.flush()
        return file.name

    def _too_large(self) -> str:
        """What is said of a file that expands beyond the limit."""
        return (
            f"{self.name}: more than {MAX_EXPANDED / 2**30:g} GiB when expanded; "
            "decompress or split the file first"
        )

    def require_memory(self, values: int) -> None:
        """Refuse to read more numbers than fit into half of this machine's memory.

        Parameters
        ----------
        values : int
            Numbers to be held at the same time as float64, with ten columns for each.

        Raises
        ------
        MemoryForeseenError
        """
        have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        need = 80 * int(values)
        if need > have // 2:
            raise MemoryForeseenError(
                f"{self.name}: a table of {values} values needs {need / 2**30:.3g} GiB, this "
                f"machine has {have / 2**30:.3g} GiB: read a part of it, or a damaged file"
            )


def _without_single_letters(ds: xr.Dataset) -> xr.Dataset:
    """Without the dimension of length 1 that xarray adds to letters when it writes them again."""
    if ds.sizes.get("string1") != 1:
        return ds
    wrong = [n for n, v in ds.variables.items() if v.ndim > 1 and v.dims[-1] == "string1"]
    return ds.assign({n: ds.variables[n].isel(string1=0) for n in wrong})


def _decode(raw: bytes) -> str:
    """UTF-8, else Latin-1."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


@dataclass(frozen=True)
class Reader:
    """One family of formats.

    Attributes
    ----------
    name : str
        By which it can be called.
    describes : str
        What it reads, in one line.
    ignores : tuple of str
        What a file may hold and the table does not.
    recognises : callable
        ``recognises(source) -> bool``, by structure; cheap, raises nothing.
    read : callable
        ``read(source) -> xarray.Dataset``, the table.
    rank : int
        Readers of a lower rank are asked first: 0 for particular formats, 1 for
        general conventions, 2 for what is read only if nothing else fits.
    verified : bool
        Whether it was tried on real files; else it follows a published guide.

    Examples
    --------
    >>> never = Reader("none", "nothing", (), lambda source: False, lambda source: xr.Dataset())
    >>> never.verified
    True
    """

    name: str
    describes: str
    ignores: tuple[str, ...]
    recognises: Callable[[Source], bool]
    read: Callable[[Source], xr.Dataset]
    rank: int = 0
    verified: bool = True
