"""How long a file of the classic netCDF format has to be, by its own header.

The netCDF library reads zeros where a truncated classic file ends, so that the
length has to be checked beforehand.  The layout is that of the format
specification (netCDF Users Guide, appendix B).  Knows bytes; it knows no data.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from xdeepda.errors import InputError

#: Bytes of the external types by their number.
_TYPE_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}

#: More entries than this are no header of observations.
_MOST = 10**6


class _Header:
    """Sequential reading of a header; `wide` has 64-bit counts."""

    def __init__(self, file: BinaryIO, version: int) -> None:
        self.file = file
        self.wide = version == 5
        self.offset = 4 if version == 1 else 8

    def take(self, size: int) -> bytes:
        """That many bytes."""
        if not 0 <= size < 2**28:
            raise InputError("the header of the netCDF file is damaged")
        data = self.file.read(size)
        if len(data) < size:
            raise InputError("the file is truncated within its header")
        return data

    def tag(self) -> int:
        """A number of four bytes."""
        return int(struct.unpack(">i", self.take(4))[0])

    def count(self) -> int:
        """A number of entries."""
        return int(struct.unpack(">q", self.take(8))[0]) if self.wide else self.tag()

    def begin(self) -> int:
        """A position in the file."""
        return int(struct.unpack(">q" if self.offset == 8 else ">i", self.take(self.offset))[0])

    def entries(self) -> int:
        """Length of a list, 0 where it is absent."""
        self.tag()
        number = self.count()
        if not 0 <= number < _MOST:
            raise InputError("the header of the netCDF file is damaged")
        return number

    def padded(self, size: int) -> bytes:
        """That many bytes and the padding to four."""
        return self.take(size + -size % 4)

    def skip_attributes(self) -> None:
        """Pass over a list of attributes."""
        for _ in range(self.entries()):
            self.padded(self.count())
            kind = self.tag()
            if kind not in _TYPE_SIZE:
                raise InputError("the header of the netCDF file is damaged")
            self.padded(self.count() * _TYPE_SIZE[kind])


def expected_size(file: BinaryIO) -> int:
    """Bytes that a classic file has to have at least.

    Parameters
    ----------
    file : binary file object, at its beginning

    Returns
    -------
    int
        End of the last value of the last variable, without padding.

    Raises
    ------
    InputError
        If the header is damaged or ends early.
    """
    version = file.read(4)[3]
    header = _Header(file, version)
    records = header.count()
    lengths = []
    for _ in range(header.entries()):
        header.padded(header.count())
        lengths.append(header.count())
    header.skip_attributes()
    fixed: list[int] = [0]
    recorded: list[tuple[int, int]] = []
    for _ in range(header.entries()):
        header.padded(header.count())
        dims = [header.count() for _ in range(header.count())]
        header.skip_attributes()
        kind = header.tag()
        header.count()  # its size as the writer believed, useless beyond 4 GiB
        begin = header.begin()
        if kind not in _TYPE_SIZE or any(not 0 <= d < len(lengths) for d in dims):
            raise InputError("the header of the netCDF file is damaged")
        unlimited = bool(dims) and lengths[dims[0]] == 0
        size = _TYPE_SIZE[kind]
        for dim in dims[1:] if unlimited else dims:
            size *= lengths[dim]
        if unlimited:
            recorded.append((begin, size))
        else:
            fixed.append(begin + size)
    return max([*fixed, _end_of_records(recorded, records)])


def _end_of_records(variables: list[tuple[int, int]], records: int) -> int:
    """End of the last record; a single variable of records is not padded."""
    if not variables or records <= 0:
        return 0
    sizes = [size for _, size in variables]
    step = sizes[0] if len(sizes) == 1 else sum(s + -s % 4 for s in sizes)
    return max(begin + (records - 1) * step + size for begin, size in variables)
