"""The classic netCDF format (versions 1, 2 and 5), read from bytes.

Archives of observations are thousands of small classic files, of which the
netCDF library needs several milliseconds to open each, and reads zeros where one
was truncated.  Here the header is read as the format specification has it (netCDF
Users Guide, appendix B), every extent is compared with the bytes that there are,
and variables are views of these bytes: nothing is copied, and nothing that a
header claims is ever allocated.  Knows bytes; it knows no data.
"""

from __future__ import annotations

import struct
from math import prod
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError

#: External types by their number, big-endian.
_TYPES = {
    1: np.dtype("i1"), 2: np.dtype("S1"), 3: np.dtype(">i2"), 4: np.dtype(">i4"),
    5: np.dtype(">f4"), 6: np.dtype(">f8"), 7: np.dtype("u1"), 8: np.dtype(">u2"),
    9: np.dtype(">u4"), 10: np.dtype(">i8"), 11: np.dtype(">u8"),
}  # fmt: skip
_CHAR = 2

#: Tags of the lists of a header.
_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12

#: More entries of one list than this are no header of observations.
_MOST = 10**5
_MOST_DIMS = 1024

_DAMAGED = "the header of the netCDF file is damaged"


class _Header:
    """Sequential reading of a header; version 5 has 64-bit counts, 2 and 5 such positions."""

    def __init__(self, data: Any) -> None:
        self.data, self.at = data, 4
        version = data[3]
        self._count = struct.Struct(">q" if version == 5 else ">i")
        self._begin = struct.Struct(">i" if version == 1 else ">q")
        self._tag = struct.Struct(">i")

    def _take(self, form: struct.Struct) -> int:
        """A number of a form."""
        try:
            value = form.unpack_from(self.data, self.at)[0]
        except struct.error:
            raise InputError("the file is truncated within its header") from None
        self.at += form.size
        return int(value)

    def tag(self) -> int:
        """A number of four bytes."""
        return self._take(self._tag)

    def begin(self) -> int:
        """A position in the file."""
        return self._take(self._begin)

    def count(self) -> int:
        """A number of entries, lengths or bytes."""
        value = self._take(self._count)
        if value < 0:
            raise InputError(_DAMAGED)
        return value

    def records(self) -> int:
        """Number of records, -1 where the writer left it open."""
        return self._take(self._count)

    def entries(self, tag: int) -> int:
        """Length of a list, 0 where it is absent."""
        found, number = self.tag(), self.count()
        if found not in (0, tag) or (found == 0 and number) or number > _MOST:
            raise InputError(_DAMAGED)
        return number

    def padded(self, size: int) -> bytes:
        """That many bytes; their padding to four is passed over."""
        end = self.at + size
        if end > len(self.data):
            raise InputError("the file is truncated within its header")
        found = bytes(self.data[self.at : end])
        self.at = end + -size % 4
        return found

    def name(self) -> str:
        """A name."""
        return _decode(self.padded(self.count()))

    def attributes(self) -> dict[str, Any]:
        """A list of attributes: texts, single numbers, arrays."""
        found: dict[str, Any] = {}
        for _ in range(self.entries(_ATTRIBUTE)):
            name, kind = self.name(), self.tag()
            if kind not in _TYPES:
                raise InputError(_DAMAGED)
            own = _TYPES[kind]
            raw = self.padded(self.count() * own.itemsize)
            if kind == _CHAR:
                found[name] = _decode(raw).replace("\x00", "")
            else:
                values = np.frombuffer(raw, own).astype(own.newbyteorder("="))
                found[name] = values[0] if values.size == 1 else values
        return found


def _decode(raw: bytes) -> str:
    """UTF-8, else Latin-1."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


class _Entry:
    """A variable of the header; `recorded` if it has one part in each record."""

    __slots__ = ("attrs", "begin", "dims", "name", "recorded", "shape", "type")

    def __init__(self, header: _Header, names: list[str], lengths: list[int]) -> None:
        self.name = header.name()
        rank = header.count()
        if rank > _MOST_DIMS:
            raise InputError(_DAMAGED)
        ids = [header.count() for _ in range(rank)]
        if any(i >= len(lengths) for i in ids):
            raise InputError(_DAMAGED)
        self.dims = [names[i] for i in ids]
        self.shape = [lengths[i] for i in ids]
        self.recorded = bool(ids) and lengths[ids[0]] == 0
        if 0 in self.shape[1:]:
            raise InputError(_DAMAGED)
        self.attrs = header.attributes()
        kind = header.tag()
        if kind not in _TYPES:
            raise InputError(_DAMAGED)
        self.type = _TYPES[kind]
        header.records()  # its size as the writer believed, useless beyond 4 GiB
        self.begin = header.begin()

    @property
    def bytes(self) -> int:
        """Bytes of the variable, or of its part in one record."""
        return self.type.itemsize * prod(self.shape[1:] if self.recorded else self.shape)


def open_classic(data: Any) -> xr.Dataset:
    """Variables of a classic file, undecoded, as views of its bytes.

    Parameters
    ----------
    data : bytes, or numpy.memmap of uint8
        The whole file.

    Returns
    -------
    xarray.Dataset
        Without indexes.  A scalar of the name of a dimension, and what has one
        dimension twice, has no place in it and is left out.

    Raises
    ------
    InputError
        If the header is damaged, or the bytes end before what it speaks of.
    """
    header = _Header(data)
    records = header.records()
    names, lengths = [], []
    for _ in range(header.entries(_DIMENSION)):
        names.append(header.name())
        lengths.append(header.count())
    attrs = header.attributes()
    entries = [_Entry(header, names, lengths) for _ in range(header.entries(_VARIABLE))]
    recorded = [e for e in entries if e.recorded]
    # a single variable of records is not padded
    step = (
        recorded[0].bytes if len(recorded) == 1 else sum(e.bytes + -e.bytes % 4 for e in recorded)
    )
    if records < 0:  # left open by the writer
        first = min((e.begin for e in recorded), default=0)
        records = max(len(data) - first, 0) // step if step else 0
    known = set(names)
    variables = {
        e.name: xr.Variable(e.dims, _view(data, e, records, step), e.attrs)
        for e in entries
        if (e.shape or e.name not in known) and len(set(e.dims)) == len(e.dims)
    }
    axes = {n: variables.pop(n) for n in names if n in variables}
    # without indexes: they would read and convert every axis
    return xr.Dataset(variables, coords=xr.Coordinates(axes, indexes={}), attrs=attrs)


def _view(data: Any, entry: _Entry, records: int, step: int) -> np.ndarray:
    """Values of a variable where they lie.

    Raises
    ------
    InputError
        If they end beyond the bytes that there are.
    """
    if not entry.recorded:
        records, step = 1, 0
    end = entry.begin + max(records - 1, 0) * step + entry.bytes
    if records and entry.bytes and (entry.begin < 0 or end > len(data)):
        raise InputError(
            f"the file is truncated: {len(data)} bytes, its header speaks of {end} "
            f"for {entry.name!r}"
        )
    if not records or not entry.bytes:
        return np.empty([records, *entry.shape[1:]] if entry.recorded else entry.shape, entry.type)
    inner = entry.shape[1:] if entry.recorded else entry.shape
    strides = [entry.type.itemsize * prod(inner[n + 1 :]) for n in range(len(inner))]
    shape = [records, *inner] if entry.recorded else inner
    strides = [step, *strides] if entry.recorded else strides
    return np.ndarray(shape, entry.type, buffer=data, offset=entry.begin, strides=strides)
