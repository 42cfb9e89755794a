"""World Ocean Database, native ASCII: the table of its casts.

Observed levels have flags of depth, value and whole profile, and those of the
originator, which are used where their set is GTSPP's; the worst of them counts.
Depths are never changed: of XBTs the archive says only whether a correction of the
fall rate is needed, and that is recorded.  Knows codes and casts.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.flags import NONE, PROBABLY_BAD, worse
from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    NothingMeasured,
    Reader,
    Source,
)
from xdeepda.observations.readers.textual import Stack, finish, judged
from xdeepda.observations.readers.wod_codes import (
    DEPTH,
    OBSERVED,
    ORIGINATOR,
    PROBES,
    PROFILE,
    STANDARD,
)
from xdeepda.observations.readers.wod_digits import READER, WIDTH, Cast, Digits, casts

NAME = READER

_TEMPERATURE, _SALINITY = 1, 2
_PROBE, _DEPTH_CORRECTION, _FLAG_SET, _PLATFORM = 29, 54, 96, 3
#: Set of originator's flags that is the one of GTSPP (second header 96).
_GTSPP = 3


def _add(stack: Stack, cast: Cast) -> None:
    """Append the levels of a cast."""
    if not cast.depth:
        return
    each: dict[str, list[float] | list[int]] = {
        "depth": cast.depth,
        "depth_flag": cast.depth_flag,
        "depth_originator": cast.depth_originator,
    }
    once: dict[str, object] = {
        "time": cast.time,
        "latitude": cast.latitude,
        "longitude": cast.longitude,
        "profile": str(cast.number),
        "platform": _platform(cast),
        "instrument": PROBES.get(int(cast.second.get(_PROBE, 0)), ""),
        "day": float(cast.day_known),
        "gtspp": float(cast.second.get(_FLAG_SET, 0) == _GTSPP),
        "standard": float(cast.standard),
    }
    for variable in cast.variables:
        name = {_TEMPERATURE: "t", _SALINITY: "s"}.get(variable.code)
        if name is None or name in each:  # a second set of the same variable is left out
            continue
        each[name], each[f"{name}_error"] = variable.value, variable.error
        each[f"{name}_wod"], each[f"{name}_originator"] = variable.wod, variable.originator
        once[f"{name}_profile"] = float(variable.flag)
    stack.add(once, each)


def _platform(cast: Cast) -> str:
    """Platform by the code of the archive, else the cruise."""
    code = cast.second.get(_PLATFORM, math.nan)
    return f"WOD platform {int(code)}" if code == code else f"cruise {cast.cruise}"


def _quantity(stack: Stack, name: str, units: str) -> Measured:
    """Temperature or salinity with the worst of its flags."""
    value, wod = stack.each(name), stack.codes(f"{name}_wod")
    standard = stack.once("standard", float) > 0
    there = np.isfinite(value)
    profile = np.where(there, np.nan_to_num(stack.once(f"{name}_profile", float), nan=-1), -1)
    gtspp = (stack.once("gtspp", float) > 0) & there
    originator = np.where(gtspp, stack.codes(f"{name}_originator"), -1)
    qc, reason = judged(
        (np.where(standard, -1, wod), OBSERVED),
        (np.where(standard, wod, -1), STANDARD),
        (profile.astype(np.int16), PROFILE),
        (originator, ORIGINATOR),
    )
    return Measured(value, units, error=stack.each(f"{name}_error"), qc=qc, reason=reason)


def _place(stack: Stack) -> tuple[np.ndarray, np.ndarray]:
    """Flags of depth and date."""
    gtspp = stack.once("gtspp", float) > 0
    qc, reason = judged(
        (stack.codes("depth_flag"), DEPTH),
        (np.where(gtspp, stack.codes("depth_originator"), -1), ORIGINATOR),
    )
    told = np.where(stack.once("day", float) > 0, "", "the day is missing: the 15th was taken")
    dayless = np.where(told != "", PROBABLY_BAD, NONE).astype(np.int8)
    return worse(qc, reason, dayless, told.astype(object))


def _notes(count: int, corrections: Counter[int], hourless: int, other: Counter[str]) -> list[str]:
    """What was assumed or left as it is."""
    notes = []
    if corrections:
        told = ", ".join(f"{n} casts with {code}" for code, n in sorted(corrections.items()))
        notes.append(
            f"XBT fall rate: depths are as in the archive; its code of the correction that is "
            f"needed (second header 54) is {told}"
        )
    if hourless:
        notes.append(f"the hour is missing in {hourless} of {count} casts: taken as noon")
    if other:
        told = ", ".join(f"{code} in {n} casts" for code, n in sorted(other.items()))
        notes.append(f"originator's flags of other sets than GTSPP's are not used: set {told}")
    return notes


def read(source: Source) -> xr.Dataset:
    """Table of a file."""
    stack = Stack()
    corrections: Counter[int] = Counter()
    other: Counter[str] = Counter()
    count = hourless = 0
    for cast in casts(source):
        count += 1
        hourless += not cast.hour_known
        if _DEPTH_CORRECTION in cast.second:
            corrections[int(cast.second[_DEPTH_CORRECTION])] += 1
        if cast.second.get(_FLAG_SET, _GTSPP) != _GTSPP:
            other[f"{cast.second[_FLAG_SET]:g}"] += 1
        _add(stack, cast)
    if not count:
        raise InputError(f"{source.name}: there is no cast in the file (reader {NAME!r})")
    if not (stack.has("t") or stack.has("s")):
        raise NothingMeasured(
            f"{source.name}: {count} casts, none with temperature or salinity (reader {NAME!r})"
        )
    qc, reason = _place(stack)
    levels = Levels(
        time=stack.once("time", "datetime64[ns]"),
        latitude=stack.once("latitude", float),
        longitude=stack.once("longitude", float),
        depth=stack.each("depth"),
        temperature=_quantity(stack, "t", "degC") if stack.has("t") else None,
        salinity=_quantity(stack, "s", "psu") if stack.has("s") else None,
        platform=stack.once("platform"),
        profile=stack.once("profile"),
        instrument=stack.once("instrument"),
        qc=qc,
        reason=reason,
        notes=_notes(count, corrections, hourless, other),
    )
    return finish(levels, source, NAME)


def recognises(source: Source) -> bool:
    """Whether the first line is the beginning of a cast that can be believed."""
    if not source.is_text or source.head[:1] not in (b"A", b"B", b"C", b"Q"):
        return False
    lines = source.head_lines()[:8]
    if any(len(line) > WIDTH for line in lines):
        return False
    try:
        digits = Digits("".join(line.ljust(WIDTH) for line in lines))
        digits.plain(1)
        size, _, country = digits.counted(), digits.counted(), digits.plain(2)
        digits.counted()
        year, month, day = digits.integer(4), digits.integer(2), digits.integer(2)
        digits.value()
    except (IndexError, KeyError, ValueError):
        return False
    plain = country.strip().isalnum() or not country.strip()
    return size > 40 and plain and 1600 < year < 2200 and 0 <= month <= 12 and 0 <= day <= 31


READERS = (
    Reader(
        NAME,
        "World Ocean Database native ASCII (versions A, B, C and IQuOD's Q; observed and "
        "standard levels)",
        (
            "variables other than temperature and salinity",
            "biology, character data, second headers but platform, probe and depth correction",
            "uncertainties of depth and position (IQuOD)",
            "originator's flags other than those of GTSPP",
        ),
        recognises,
        read,
    ),
)
