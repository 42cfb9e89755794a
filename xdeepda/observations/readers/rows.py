"""From the columns of a reader to the table: units, depth, potential temperature, flags.

A reader hands over *levels*: one entry for each place and time, with whatever
was measured there.  They become the rows of the table, one for each number,
with canonical names and units: potential temperature ``thetao`` (degC),
practical salinity ``so`` (psu), sea surface temperature ``tos`` (degC).  A number
that was measured is never left out: what cannot be used gets a flag and a reason.

Knows columns and the sea water library; it knows no file format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.flags import BAD, MISSING, NONE, PROBABLY_BAD, worse
from xdeepda.observations.quantities import MEASUREMENT
from xdeepda.observations.readers.conversions import (
    celsius,
    dated,
    depth_of_pressure,
    kelvins,
    numbered,
)

#: Practical salinity that is taken for conversions where none was measured.
CLIMATOLOGICAL_SALINITY = 35.0

#: Years before this are no measurements of the sea.
FIRST_YEAR = 1700

TEMPERATURE, SALINITY, SURFACE = "thetao", "so", "tos"

_UNITS = {TEMPERATURE: "degC", SALINITY: "psu", SURFACE: "degC"}
_STANDARD_NAMES = {
    TEMPERATURE: "sea_water_potential_temperature",
    SALINITY: "sea_water_practical_salinity",
    SURFACE: "sea_surface_temperature",
}

#: Definitions of temperature, and what each is.
TEMPERATURE_KINDS = ("in-situ", "potential", "conservative")


@dataclass
class Measured:
    """One quantity, measured at the levels.

    Attributes
    ----------
    value : array-like, shape (n,)
        NaN where there is none.
    units : str
        As the file spells them.
    error : array-like, optional
        Standard deviation in the same units, NaN where unknown.
    qc, reason : array-like, optional
        Flags of the table (see :mod:`xdeepda.observations.readers.flags`).
    """

    value: Any
    units: str
    error: Any = None
    qc: Any = None
    reason: Any = None


@dataclass
class Levels:
    """Columns of a reader; everything is of shape (n,) or a scalar.

    Attributes
    ----------
    time : datetime64 or cftime array
    latitude, longitude : array-like
        Degrees.
    depth : array-like, optional
        Metres, positive down.
    pressure : array-like, optional
        Decibars; taken where there is no depth.
    temperature, salinity, surface : Measured, optional
        `surface` is the temperature of the sea surface, at depth 0 if no depth is given.
    temperature_kind : {"in-situ", "potential", "conservative"}
    salinity_kind : {"practical", "absolute"}
    platform, instrument, source : array-like of str, or str
        Without a platform its place is taken by the source.
    profile : array-like of str, optional
        Name of the cast, unique for its platform; by default the time for a
        platform that is named, else a number for each time and place.
    qc, reason : array-like, optional
        Flags of the position, time or depth: they hold for all quantities.
    total_errors : bool, or array-like of bool
        Whether the errors hold representativeness as well, as those of files made for data
        assimilation do.
    notes : list of str
        What was assumed.
    """

    time: Any
    latitude: Any
    longitude: Any
    depth: Any = None
    pressure: Any = None
    temperature: Measured | None = None
    salinity: Measured | None = None
    surface: Measured | None = None
    temperature_kind: str = "in-situ"
    salinity_kind: str = "practical"
    platform: Any = ""
    profile: Any = None
    instrument: Any = ""
    source: Any = ""
    qc: Any = None
    reason: Any = None
    total_errors: Any = False
    notes: list[str] = field(default_factory=list)


def make_table(levels: Levels, *, reader: str, attrs: dict[str, Any] | None = None) -> xr.Dataset:
    """Table of the levels of a reader.

    Parameters
    ----------
    levels : Levels
    reader : str
        Its name, for the attributes.
    attrs : dict, optional
        Further attributes.

    Returns
    -------
    xarray.Dataset
        Along ``obs``: value, error, variable, qc (int8), reason, and the
        coordinates time, depth, latitude, longitude, platform, profile,
        instrument, source.  Levels at which nothing was measured have no row.

    Raises
    ------
    InputError
        If units are not understood, or neither depth nor pressure is given.
    """
    columns = _Columns(levels)
    columns.flag_positions()
    parts = [
        columns.rows(name, measured)
        for name, measured in (
            (TEMPERATURE, columns.temperature()),
            (SALINITY, columns.salinity()),
            (SURFACE, columns.surface()),
        )
        if measured is not None
    ]
    data = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return _dataset(data, reader, columns.notes, attrs or {})


class _Columns:
    """Levels as full arrays, and the conversions between them."""

    def __init__(self, levels: Levels) -> None:
        self.levels = levels
        self.notes = list(levels.notes)
        given = [m.value for m in (levels.temperature, levels.salinity, levels.surface) if m]
        if not given:
            raise InputError("a reader handed over no temperature and no salinity")
        self.size = int(max(np.size(value) for value in given))
        self.time = self._full(levels.time)
        self.latitude = self._full(levels.latitude, float)
        self.longitude = self._full(levels.longitude, float)
        self.depth = self._depth()
        self.qc = self._flags(levels.qc)
        self.reason = self._texts(levels.reason)
        self.platform, self.profile = self._names()

    def _names(self) -> tuple[np.ndarray, np.ndarray]:
        """Platform and profile of each level."""
        platform, profile = self._texts(self.levels.platform), self.levels.profile
        nameless = platform == ""
        if profile is not None:
            names = self._texts(profile)
        elif nameless.all():
            names = numbered(self.time, self.latitude, self.longitude)
        else:
            names = dated(self.time)
        platform[nameless] = self._texts(self.levels.source)[nameless]
        return platform, names

    def _full(self, values: Any, dtype: Any = None) -> np.ndarray:
        """As an array of shape (n,)."""
        array = np.asarray(values) if dtype is None else np.asarray(values, dtype=dtype)
        return np.broadcast_to(array.reshape(-1) if array.ndim else array, (self.size,))

    def _flags(self, values: Any) -> np.ndarray:
        """Flags, 0 where none are given."""
        return self._full(NONE if values is None else values, np.int8).copy()

    def _texts(self, values: Any) -> np.ndarray:
        """Texts as objects, empty where none are given."""
        return self._full("" if values is None else values, object).copy()

    def _depth(self) -> np.ndarray:
        """Metres, positive down; from pressure where there is no depth."""
        levels = self.levels
        depth = np.full(self.size, np.nan)
        if levels.depth is not None:
            depth = self._full(levels.depth, float).copy()
        if levels.pressure is not None:
            pressure = self._full(levels.pressure, float)
            use = np.isnan(depth) & np.isfinite(pressure)
            if use.any():
                depth[use] = depth_of_pressure(pressure[use], self.latitude[use])
                self.notes.append(f"depth of {int(use.sum())} levels from pressure (TEOS-10)")
        elif levels.depth is None:
            if levels.temperature is not None or levels.salinity is not None:
                raise InputError("the file holds neither depth nor pressure")
            depth[:] = 0.0
        return depth

    def flag_positions(self) -> None:
        """Flag places and times that cannot be."""
        lat, lon, depth = self.latitude, self.longitude, self.depth
        times = _check_times(self.time)
        with np.errstate(invalid="ignore"):
            for wrong, why in (
                (np.isnan(lat) | np.isnan(lon), "position is missing"),
                ((np.abs(lat) > 90) | (lon < -360) | (lon > 540), "position is out of range"),
                *times,
                (np.isnan(depth), "depth is missing"),
                (depth < -10, "depth is above the sea surface"),
                (depth > 12000, "depth is out of range"),
            ):
                self._flag(wrong, why)

    def _flag(self, wrong: np.ndarray, why: str) -> None:
        """Flag levels as bad."""
        if wrong.any():
            told = np.where(wrong, why, "").astype(object)
            bad = np.where(wrong, BAD, NONE).astype(np.int8)
            self.qc, self.reason = worse(self.qc, self.reason, bad, told)

    # ---- quantities

    def salinity(self) -> Measured | None:
        """Practical salinity."""
        given = self.levels.salinity
        if given is None:
            return None
        value, error = self._values(given), self._errors(given)
        if self.levels.salinity_kind == "absolute":
            import gsw

            use = np.isfinite(value)
            value[use] = gsw.SP_from_SA(value[use], *self._place(use))
            self.notes.append("absolute to practical salinity (TEOS-10)")
        return Measured(value, "psu", error, given.qc, given.reason)

    def surface(self) -> Measured | None:
        """Sea surface temperature in degrees Celsius."""
        given = self.levels.surface
        if given is None:
            return None
        value = celsius(self._values(given), given.units)
        error = kelvins(self._errors(given), given.units)
        return Measured(value, "degC", error, given.qc, given.reason)

    def temperature(self) -> Measured | None:
        """Potential temperature in degrees Celsius."""
        given = self.levels.temperature
        if given is None:
            return None
        value = celsius(self._values(given), given.units)
        error = kelvins(self._errors(given), given.units)
        value = self._potential(value)
        return Measured(value, "degC", error, given.qc, given.reason)

    def _potential(self, value: np.ndarray) -> np.ndarray:
        """Potential temperature; where the sea water equation knows nothing, what was measured."""
        kind = self.levels.temperature_kind
        if kind not in TEMPERATURE_KINDS:
            raise InputError(f"temperature is {kind!r}; expected one of {TEMPERATURE_KINDS}")
        if kind == "potential":
            return value
        import gsw

        use = np.isfinite(value) & (np.abs(value) < 100) & np.isfinite(self.depth)
        use &= self.depth < 12000
        salinity, assumed = self._salinity_for(use)
        place = self._place(use)
        absolute = gsw.SA_from_SP(salinity, *place)
        if kind == "conservative":
            converted = gsw.pt_from_CT(absolute, value[use])
        else:
            converted = gsw.pt0_from_t(absolute, value[use], place[0])
        result = value.copy()
        result[use] = np.where(np.isfinite(converted), converted, value[use])
        self.notes.append(f"{kind} to potential temperature (TEOS-10)")
        if assumed:
            self.notes.append(
                f"salinity {CLIMATOLOGICAL_SALINITY:g} assumed for it at {assumed} levels"
            )
        return result

    def _salinity_for(self, use: np.ndarray) -> tuple[np.ndarray, int]:
        """Salinity of the same levels where it is believable, and how many have none."""
        result = np.full(int(use.sum()), CLIMATOLOGICAL_SALINITY)
        given = self.salinity() if self.levels.salinity is not None else None
        if given is None:
            return result, result.size
        if self.levels.salinity_kind == "absolute":
            self.notes.pop()  # told once, where the salinity itself is converted
        value, qc = given.value[use], self._flags(given.qc)[use]
        with np.errstate(invalid="ignore"):
            good = (value > 2) & (value < 42) & (qc < PROBABLY_BAD)
        result[good] = value[good]
        return result, int((~good).sum())

    def _place(self, use: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pressure (dbar), longitude and latitude for the sea water equations."""
        import gsw

        lat = np.where(np.abs(self.latitude) <= 90, self.latitude, 0.0)[use]
        lon = np.nan_to_num(np.where(np.abs(self.longitude) <= 720, self.longitude, 0.0))[use]
        depth = np.clip(np.nan_to_num(self.depth[use]), 0.0, 12000.0)
        return np.asarray(gsw.p_from_z(-depth, lat)), lon, lat

    def _values(self, given: Measured) -> np.ndarray:
        """Numbers, NaN where none."""
        return self._full(given.value, float).copy()

    def _errors(self, given: Measured) -> np.ndarray:
        """Standard deviations; those that are not positive are unknown."""
        error = self._full(np.nan if given.error is None else given.error, float).copy()
        with np.errstate(invalid="ignore"):
            error[~((error > 0) & (error < np.inf))] = np.nan
        return error

    # ---- rows

    def rows(self, name: str, measured: Measured) -> dict[str, np.ndarray]:
        """Rows of one quantity: levels at which it has a value."""
        keep = np.flatnonzero(np.isfinite(measured.value))
        qc, reason = worse(
            self._flags(measured.qc)[keep],
            self._texts(measured.reason)[keep],
            self.qc[keep],
            self.reason[keep],
        )
        # a value that is there is not missing, whatever its flag says
        odd = qc == MISSING
        reason[odd & (reason == "")] = "flagged as missing"
        qc[odd] = PROBABLY_BAD
        text = {n: self._texts(getattr(self.levels, n))[keep] for n in ("instrument", "source")}
        error = np.asarray(measured.error)[keep]
        total = self._full(self.levels.total_errors, bool)[keep]
        text["error_kind"] = np.where(np.isnan(error) | total, "", MEASUREMENT).astype(object)
        return {
            "value": measured.value[keep],
            "error": error,
            "variable": np.full(keep.size, name, dtype=object),
            "qc": qc,
            "reason": reason,
            "time": self.time[keep],
            "depth": np.zeros(keep.size) if self._shallow(name) else self.depth[keep],
            "latitude": self.latitude[keep],
            "longitude": self.longitude[keep],
            "platform": self.platform[keep],
            "profile": self.profile[keep],
            **text,
        }

    def _shallow(self, name: str) -> bool:
        """Whether a quantity lies at depth 0."""
        return name == SURFACE and self.levels.depth is None


def _check_times(time: np.ndarray) -> list[tuple[np.ndarray, str]]:
    """Times that are missing, too early, or in the future."""
    if time.dtype == object:
        return [(np.array([t is None or t != t for t in time], dtype=bool), "time is missing")]
    first = np.datetime64(f"{FIRST_YEAR}-01-01", "ns")
    latest = np.datetime64("now", "ns") + np.timedelta64(1, "D")
    return [
        (np.isnat(time), "time is missing"),
        (time < first, f"time is before {FIRST_YEAR}"),
        (time > latest, "time is in the future"),
    ]


_POSITION_ATTRS = {
    "time": {"standard_name": "time"},
    "depth": {"standard_name": "depth", "units": "m", "positive": "down"},
    "latitude": {"standard_name": "latitude", "units": "degrees_north"},
    "longitude": {"standard_name": "longitude", "units": "degrees_east"},
}


def _dataset(
    data: dict[str, np.ndarray], reader: str, notes: Sequence[str], attrs: dict[str, Any]
) -> xr.Dataset:
    """Dataset of finished columns."""
    present = [n for n in _UNITS if (data["variable"] == n).any()]
    value_attrs: dict[str, str] = {}
    for name in present:
        value_attrs[f"units_{name}"] = _UNITS[name]
        value_attrs[f"standard_name_{name}"] = _STANDARD_NAMES[name]
    if len(present) == 1:
        value_attrs["units"] = _UNITS[present[0]]
    more = {
        "value": value_attrs,
        "error": {"long_name": "standard deviation of the error of value"},
        "variable": {"long_name": "name of the measured variable"},
        "qc": {
            "long_name": "quality flag",
            "flag_values": np.array([0, 1, 2, 3, 4, 9], dtype=np.int8),
            "flag_meanings": "none good probably_good probably_bad bad missing",
        },
        "reason": {"long_name": "why a datum is flagged"},
    }
    coords = (*_POSITION_ATTRS, "platform", "profile", "instrument", "source", "error_kind")
    table = xr.Dataset(
        {n: ("obs", c, more[n]) for n, c in data.items() if n not in coords},
        coords={n: ("obs", data[n], _POSITION_ATTRS.get(n, {})) for n in coords},
    )
    unique = list(dict.fromkeys(notes))
    table.attrs = {
        "Conventions": "CF-1.11",
        "featureType": "point",
        "reader": reader,
        "notes": "; ".join(unique),
        **attrs,
    }
    return table
