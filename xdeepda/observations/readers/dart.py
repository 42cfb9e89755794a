"""Observation sequences of DART (obs_seq), as text.

Format: Data Assimilation Research Testbed, "Format of observation sequence files".
A header defines the numbers of the observation types and names copies and quality
controls; each observation is a block that ends with its time (seconds and days
since 1601) and its error *variance*.  Positions are radians, with a code of the
vertical coordinate.  Blocks of further metadata ("external_FO", for instance) are
passed over.  Knows this layout and the types that are measurements of the sea.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.flags import BAD, GOOD, PROBABLY_BAD
from xdeepda.observations.readers.base import Levels, Measured, NothingMeasured, Reader, Source
from xdeepda.observations.readers.textual import damaged, finish, number

NAME = "dart"

_MISSING = -888888.0
_ORIGIN = np.datetime64("1601-01-01", "us")
_PLATFORMS = (
    "ADCP|APB|ARGO|BOTTLE|CTD|DBT|DRIFTER|DRIFTING_BUOY|FLOAT|GLIDER|MBT|MOORING|OTEMP|STD|"
    "SALINOMETER|TCTD|THERMISTOR|THERMOSALINOGRAPH|TSG|UCTD|UNKNOWN_OCEAN|XBT|XCTD"
)
_OCEAN = re.compile(f"(?:{_PLATFORMS})_(?P<what>TEMPERATURE|SALINITY)")
_SURFACE = re.compile(r"\w*(?:_|^)(?:SST|SEA_SURFACE_TEMPERATURE)")
#: Vertical coordinates: which of them are depths.
_AT_SURFACE, _LEVEL, _HEIGHT = -1, 1, 3
_VERTICAL = {
    -2: "vertical coordinate is undefined", _LEVEL: "vertical coordinate is a model level",
    2: "vertical coordinate is a pressure of the atmosphere", 4: "vertical coordinate is a scale",
}  # fmt: skip
#: Quality controls of DART's own that say that an observation was not used.
_DART_QC = re.compile(r"dart", re.IGNORECASE)


@dataclass
class _Head:
    """What the header says."""

    types: dict[int, str] = field(default_factory=dict)
    copies: list[str] = field(default_factory=list)
    controls: list[str] = field(default_factory=list)
    claimed: int = 0

    @property
    def copy(self) -> int:
        """Position of the copy that holds the observation."""
        return next((n for n, x in enumerate(self.copies) if "obs" in x.lower()), 0)


def _header(lines: Iterator[tuple[int, str]], source: Source) -> _Head:
    """Header, up to and with the line "first: ... last: ..."."""
    head, copies, controls = _Head(), 0, 0
    line = 0
    for line, text in lines:
        plain = text.strip()
        if found := re.fullmatch(r"num_copies:\s*(\d+)\s+num_qc:\s*(\d+)", plain):
            copies, controls = int(found[1]), int(found[2])
            if copies > 10_000 or controls > 1_000:
                raise damaged(source, NAME, line, f"{copies} copies, {controls} quality controls")
        elif found := re.fullmatch(r"num_obs:\s*(\d+)\s+max_num_obs:\s*(\d+)", plain):
            head.claimed = int(found[1])
            head.copies = [next(lines)[1].strip() for _ in range(copies)]
            head.controls = [next(lines)[1].strip() for _ in range(controls)]
        elif plain.startswith("first:"):
            return head
        elif found := re.fullmatch(r"(\d+)\s+([A-Z]\w*)", plain):
            head.types[int(found[1])] = found[2]
    raise damaged(source, NAME, line, "the file is truncated within its header")


def _blocks(lines: Iterator[tuple[int, str]], source: Source) -> Iterator[tuple[int, list[str]]]:
    """Observations as their lines, with the number of the first."""
    first, block = 0, list[str]()
    for line, text in lines:
        plain = text.strip()
        if plain.startswith("OBS "):
            if block:
                yield first, block
            first, block = line, [plain]
        elif plain:
            if not block:
                raise damaged(source, NAME, line, f"expected OBS, found {plain[:30]!r}")
            block.append(plain)
            if len(block) > 100_000:
                raise damaged(source, NAME, first, "an observation of more than 100,000 lines")
    if block:
        yield first, block


def _observation(block: list[str], head: _Head) -> tuple[Any, ...] | None:
    """Type, value, qc, position, time, variance of a block; None if it is not of the sea."""
    at = block.index("obdef")
    copies, controls = len(head.copies), len(head.controls)
    if at < copies + controls + 1:
        raise ValueError(f"{at - 1} numbers before 'obdef', expected {copies + controls} and links")
    kind = head.types.get(int(block[block.index("kind", at) + 1]))
    if kind is None:
        raise ValueError("a type that the header does not define")
    ocean, surface = _OCEAN.fullmatch(kind), _SURFACE.fullmatch(kind)
    if not (ocean or surface):
        return None
    if block[at + 1] != "loc3d":
        raise ValueError(f"positions of the kind {block[at + 1][:20]!r}; only loc3d is read")
    value = number(block[1 + head.copy])
    control = [number(x) for x in block[1 + copies : 1 + copies + controls]]
    place = [number(x) for x in block[at + 2].split()]
    seconds, days = (int(x) for x in block[-2].split())
    if len(place) != 4 or len(block) < block.index("kind", at) + 4:
        raise ValueError("no position, time or variance (a truncated block?)")
    external = any(x.startswith("external_FO") for x in block[at:])
    when = _ORIGIN + np.timedelta64(days, "D") + np.timedelta64(seconds, "s")
    what = "surface" if surface else "t" if ocean and ocean["what"] == "TEMPERATURE" else "s"
    return kind, what, value, control, place, when, number(block[-1]), external


def _vertical(row: tuple[Any, ...]) -> tuple[float, str]:
    """Depth in metres, and what is wrong with it."""
    _, _, _, _, place, _, _, external = row
    code = int(place[3])
    if code == _AT_SURFACE:
        return 0.0, ""
    if code != _HEIGHT:
        return math.nan, _VERTICAL.get(code, f"vertical coordinate has the unknown code {code}")
    if external:  # its equivalent comes with it, so nobody ever needed metres
        return place[2], "depth may be a model level (an observation with external_FO)"
    return place[2], ""


def _flags(rows: list[tuple[Any, ...]], head: _Head) -> tuple[np.ndarray, np.ndarray]:
    """Flags by the quality controls that came with the data."""
    qc = np.full(len(rows), GOOD if head.controls else 0, dtype=np.int8)
    reason = np.full(len(rows), "", dtype=object)
    for n, label in enumerate(head.controls):
        if _DART_QC.search(label):
            continue
        codes = np.array([row[3][n] for row in rows])
        for code in np.unique(codes[codes != 0]):
            mine = codes == code
            qc[mine] = PROBABLY_BAD
            reason[mine] = f"{label} {code:g} (0 is good)"
    return qc, reason


def read(source: Source) -> xr.Dataset:
    """Table of a sequence."""
    lines = enumerate(source.lines(), start=1)
    try:
        head = _header(lines, source)
    except StopIteration:
        raise damaged(source, NAME, 1, "the file is truncated within its header") from None
    rows, count, others = [], 0, set[int]()
    for line, block in _blocks(lines, source):
        count += 1
        try:
            row = _observation(block, head)
        except (ValueError, IndexError, OverflowError) as error:
            raise damaged(source, NAME, line, f"the observation cannot be read: {error}") from None
        if row is not None:
            rows.append(row)
        else:
            others.add(count)
    if count != head.claimed:
        raise InputError(
            f"{source.name}: the file is truncated: {count} of {head.claimed} observations "
            f"(reader {NAME!r})"
        )
    if not rows:
        raise NothingMeasured(
            f"{source.name}: {count} observations of {sorted(head.types.values())[:10]}, none of "
            "temperature or salinity of the sea"
        )
    return finish(_levels(rows, head, len(others), source), source, NAME)


def _levels(rows: list[tuple[Any, ...]], head: _Head, others: int, source: Source) -> Levels:
    """Levels of the observations."""
    place = np.array([row[4] for row in rows], dtype=float)
    if (np.abs(place[:, 1]) > math.pi / 2 + 1e-3).any():
        raise InputError(
            f"{source.name}: latitudes up to {np.abs(place[:, 1]).max():g}, they should be "
            f"radians (reader {NAME!r})"
        )
    vertical = [_vertical(row) for row in rows]
    wrong = np.array([why for _, why in vertical], dtype=object)
    depth = np.array([z for z, _ in vertical])
    value = np.array([row[2] for row in rows], dtype=float)
    value[value == _MISSING] = np.nan
    error = np.sqrt(np.maximum([row[6] for row in rows], 0.0))
    what = np.array([row[1] for row in rows])
    qc, reason = _flags(rows, head)
    notes = _notes(others)
    scale = _salinity_scale(value[what == "s"], notes)

    def quantity(name: str, units: str, factor: float = 1.0) -> Measured | None:
        mine = what == name
        if not mine.any():
            return None
        spread = np.where(mine, factor * error, np.nan)
        return Measured(np.where(mine, factor * value, np.nan), units, spread, qc, reason)

    bad = np.where(np.isnan(depth), BAD, PROBABLY_BAD)
    return Levels(
        total_errors=True,
        time=np.array([row[5] for row in rows]).astype("datetime64[ns]"),
        latitude=np.rad2deg(place[:, 1]),
        longitude=np.rad2deg(place[:, 0]),
        depth=depth,
        temperature=quantity("t", "degC"),
        salinity=quantity("s", "psu", scale),
        surface=quantity("surface", "degC"),
        instrument=np.array([_instrument(row[0]) for row in rows], dtype=object),
        qc=np.where(wrong != "", bad, GOOD).astype(np.int8),
        reason=wrong,
        notes=notes,
    )


def _notes(others: int) -> list[str]:
    """What was assumed and left out."""
    notes = ["errors are the square roots of the variances of the file", "positions are radians"]
    if others:
        notes.append(f"{others} observations of other types are not read")
    return notes


def _salinity_scale(values: np.ndarray, notes: list[str]) -> float:
    """Factor to practical salinity: DART's models of the ocean know psu and kg/kg."""
    good = values[np.isfinite(values)]
    if good.size and 0 < good.max() < 0.1:
        notes.append("salinity in kg/kg: multiplied by 1,000")
        return 1000.0
    return 1.0


def _instrument(kind: str) -> str:
    """Instrument of a type."""
    known = {"FLOAT": "profiling float", "ARGO": "profiling float", "MOORING": "moored buoy",
             "BOTTLE": "bottle", "DRIFTER": "drifting buoy", "GLIDER": "glider"}  # fmt: skip
    name = re.sub(r"_(TEMPERATURE|SALINITY)$", "", kind)
    return known.get(name, name.replace("_", " "))


READERS = (
    Reader(
        NAME,
        "DART observation sequence (obs_seq, text)",
        (
            "types other than temperature and salinity of the sea",
            "copies other than the observation; forward operators",
            "DART's own quality control",
        ),
        lambda source: bool(
            source.is_text and re.match(rb"\s*obs_sequence\s*\n\s*obs_(kind|type)_", source.head)
        ),
        read,
    ),
)
