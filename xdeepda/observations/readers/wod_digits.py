"""Casts of the World Ocean Database's native ASCII: rows of coded digits, 80 to a line.

Format: Garcia et al. (2018), World Ocean Database 2018 User's Manual.  The first
letter is the version: A (2001), B (2005, 2009), C (2013, 2018) and Q (IQuOD, with
uncertainties).  A *counted* field begins with a digit, the number of characters of
what follows; a *value* begins with three digits: significant figures ("-": no value,
and nothing follows), characters, decimals.  Depths of standard levels are not
written; they follow from the version.

No size that a cast claims is believed: parsing ends where its characters end.
Knows the digits; it knows no table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from xdeepda.observations.readers.base import Source
from xdeepda.observations.readers.textual import damaged, stamp
from xdeepda.observations.readers.wod_codes import STANDARD_LEVELS

#: Name of the reader, for messages.
READER = "wod_ascii"

#: Characters of a line.
WIDTH = 80

_DIGIT = {c: n for n, c in enumerate("0123456789")}


@dataclass
class Variable:
    """One variable of a cast."""

    code: int
    flag: int
    value: list[float] = field(default_factory=list)
    wod: list[int] = field(default_factory=list)
    originator: list[int] = field(default_factory=list)
    error: list[float] = field(default_factory=list)


@dataclass
class Cast:
    """One cast."""

    number: int
    cruise: str
    time: np.datetime64
    hour_known: bool
    day_known: bool
    latitude: float
    longitude: float
    standard: bool
    levels: int
    version: str
    variables: list[Variable]
    second: dict[int, float] = field(default_factory=dict)
    depth: list[float] = field(default_factory=list)
    depth_flag: list[int] = field(default_factory=list)
    depth_originator: list[int] = field(default_factory=list)


def _whole(text: str) -> int:
    """Whole number; Python's underscores are no digits."""
    if "_" in text:
        raise ValueError(f"{text!r} is no number")
    return int(text)


class Digits:
    """Reads the fields of one cast from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.iquod = text[:1] == "Q"

    def plain(self, length: int) -> str:
        """Characters of a field of fixed length."""
        end = self.at + length
        if end > len(self.text):
            raise IndexError("the cast ends within a field")
        part, self.at = self.text[self.at : end], end
        return part

    def integer(self, length: int) -> int:
        """Whole number of fixed length."""
        return _whole(self.plain(length))

    def counted(self) -> int:
        """Whole number of a length that is written before it, 0 where that is 0."""
        length = self.integer(1)
        return self.integer(length) if length else 0

    def value(self) -> float:
        """Value, NaN where there is none."""
        text, at = self.text, self.at
        if text[at] == "-":
            self.at = at + 1
            return math.nan
        length, decimals, start = _DIGIT[text[at + 1]], _DIGIT[text[at + 2]], at + 3
        end = start + length
        if end > len(text):
            raise IndexError("the cast ends within a value")
        self.at = end
        return _whole(text[start:end]) / 10**decimals

    def header_value(self) -> float:
        """Value of a header; IQuOD adds a digit that says whether it was inferred."""
        value = self.value()
        if self.iquod:
            self.at += 1
        return value

    def skip_section(self) -> None:
        """Pass over a section by its size."""
        self.plain(self.counted())


def _primary(digits: Digits) -> Cast:
    """Primary header."""
    version = digits.plain(1)
    digits.counted()  # characters of the cast
    number = digits.counted()
    country, cruise = digits.plain(2), digits.counted()
    year, month, day = digits.integer(4), digits.integer(2), digits.integer(2)
    hour = digits.value()
    position = []
    for _ in range(2):
        position.append(digits.value())
        if digits.iquod:
            digits.value()
    levels, standard = digits.counted(), digits.plain(1) == "1"
    variables = []
    for _ in range(digits.integer(2)):
        code, flag = digits.counted(), digits.integer(1)
        variables.append(Variable(code, flag))
        for _ in range(digits.counted()):
            digits.counted()
            digits.header_value()
    hour_known = 0 <= hour <= 24
    return Cast(
        number=number,
        cruise=f"{country.strip()}-{cruise}",
        time=stamp(year, month, day or 15, hour if hour_known else math.nan),
        hour_known=hour_known,
        day_known=day != 0,
        latitude=position[0],
        longitude=position[1],
        standard=standard,
        levels=levels,
        version=version,
        variables=variables,
    )


def _cast(text: str) -> Cast:
    """Cast of its characters."""
    digits = Digits(text)
    cast = _primary(digits)
    digits.skip_section()  # names of cruise, station and investigators
    if digits.counted():
        for _ in range(digits.counted()):
            code = digits.counted()
            cast.second[code] = digits.header_value()
    digits.skip_section()  # biology
    if cast.standard:
        _standard_levels(digits, cast)
    else:
        _observed_levels(digits, cast)
    return cast


def _observed_levels(digits: Digits, cast: Cast) -> None:
    """Levels that begin with their depth."""
    for _ in range(cast.levels):
        depth = digits.value()
        if depth != depth:  # without a depth nothing else is written
            continue
        cast.depth.append(depth)
        cast.depth_flag.append(digits.integer(1))
        cast.depth_originator.append(digits.integer(1))
        if digits.iquod:
            digits.value()
        for variable in cast.variables:
            _append(digits, variable)


def _standard_levels(digits: Digits, cast: Cast) -> None:
    """Levels in the order of a table of depths."""
    depths = STANDARD_LEVELS[40 if cast.version in "AB" else 137]
    if cast.levels > depths.size:
        raise ValueError(f"{cast.levels} standard levels; this version has {depths.size}")
    cast.depth = depths[: cast.levels].tolist()
    cast.depth_flag = cast.depth_originator = [-1] * cast.levels
    for _ in range(cast.levels):
        for variable in cast.variables:
            _append(digits, variable)


def _append(digits: Digits, variable: Variable) -> None:
    """One value with its flags and, in IQuOD, its uncertainty."""
    value = digits.value()
    wod = originator = -1
    error = math.nan
    if value == value:
        flags = digits.plain(2)
        wod, originator = _DIGIT[flags[0]], _DIGIT.get(flags[1], -1)
        if digits.iquod:
            error = digits.value()
    variable.value.append(value)
    variable.wod.append(wod)
    variable.originator.append(originator)
    variable.error.append(error)


def _records(source: Source) -> Iterator[tuple[int, str]]:
    """Casts as their characters, with the number of their first line."""
    lines = enumerate(source.lines(), start=1)
    for first, line in lines:
        if not line.strip(" \x1a"):
            continue
        if line[0] not in "ABCQ" or not line[1:2].isdecimal() or line[1] == "0":
            raise damaged(source, READER, first, f"no cast begins here: {line[:20]!r}")
        size = line[2 : 2 + int(line[1])]
        if not size.isdecimal() or not size.isascii():
            raise damaged(source, READER, first, f"the size of a cast is no number: {size!r}")
        parts, number = [_padded(source, first, line)], first
        while WIDTH * len(parts) < int(size):
            number, more = next(lines, (number, None))
            if more is None:
                have = sum(map(len, parts))
                raise damaged(
                    source, READER, number,
                    f"the file is truncated: the cast that begins in line {first} has {have} "
                    f"of {int(size)} characters",
                )  # fmt: skip
            parts.append(_padded(source, number, more))
        yield first, "".join(parts)[: int(size)]


def _padded(source: Source, line: int, text: str) -> str:
    """Line in its full width; editors cut blanks off."""
    if len(text) > WIDTH:
        raise damaged(source, READER, line, f"{len(text)} characters, longer than {WIDTH}")
    return text.ljust(WIDTH)


def casts(source: Source) -> Iterator[Cast]:
    """All casts of a file."""
    for line, text in _records(source):
        try:
            yield _cast(text)
        except (IndexError, KeyError, ValueError) as error:
            raise damaged(
                source, READER, line, f"the cast that begins here cannot be decoded: {error}"
            ) from None
