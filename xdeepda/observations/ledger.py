"""The ledger: what became of every single datum.

Filled cycle by cycle from the fields of that cycle, so that no more than one cycle
of fields is held.  Equivalents are interpolated to the place of the datum by the
observation operator; in time they are those of the cycle that holds it.  Knows
records and fields as arrays; knows no model and no tensors.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import Cycle
from xdeepda.errors import Problems
from xdeepda.observations.columns import TEXT
from xdeepda.observations.interpolation import PointOperator
from xdeepda.observations.records import ALL_FATES, NO_CYCLE, USED, Records, one_table
from xdeepda.observations.table import DIM
from xdeepda.observations.target import Target

#: In a Dataset that holds other variables, those of the ledger begin with this.
PREFIX = "ledger_"

#: Column -> (words, how its unit follows from the variable's: "value", "difference" or "1").
COLUMNS = {
    "observed": ("value in the units and definition of the analysis", "value"),
    "observed_error": ("standard deviation of the error of observed, as used", "difference"),
    "background": ("background at the place of the datum", "value"),
    "analysis": ("analysis at the place of the datum", "value"),
    "innovation": ("observed minus background (O-B)", "difference"),
    "residual": ("observed minus analysis (O-A)", "difference"),
    "background_spread": ("standard deviation of the background error there", "difference"),
    "analysis_spread": ("standard deviation of the analysis error there", "difference"),
    "background_member_spread": ("standard deviation of the members' backgrounds", "difference"),
    "analysis_member_spread": ("standard deviation of the members' analyses", "difference"),
    "cell_value": ("superobservation of its cell and cycle", "value"),
    "cell_error": ("standard deviation of the error of cell_value", "difference"),
    "cell_count": ("number of measurements in cell_value", "1"),
    "gross_error": ("probability of a gross error after the checks", "1"),
}

#: Part of a cycle's fields -> column.
_EQUIVALENTS = {
    "background": "background",
    "analysis": "analysis",
    "background_spread": "background_spread",
    "analysis_spread": "analysis_spread",
}

_Cells = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Ledger:
    """Collects the departures of all data, cycle by cycle.

    Parameters
    ----------
    records : Records
    target : Target
        Where the records belong; its layouts are those of the user's fields.
    units : sequence of str
        The user's, by variable of the target.
    cycle : Cycle
    """

    def __init__(
        self, records: Records, target: Target, units: Sequence[str], cycle: Cycle
    ) -> None:
        self.records, self.target, self.cycle = records, target, cycle
        self.units = tuple(units)
        self.columns: dict[str, np.ndarray] = {}
        observed, error = self._column("observed", np.float64), self._column("observed_error")
        for v, (mine, theirs) in enumerate(zip(target.units, self.units, strict=True)):
            rows = records.variable == v
            observed[rows] = unit_tools.convert(records.value[rows], mine, theirs)
            error[rows] = unit_tools.convert_difference(records.error[rows], mine, theirs)
        for name in ("background", "analysis"):
            self._column(name, np.float64)
        for name in ("background_spread", "analysis_spread"):
            self._column(name)
        self._column("cell_count", np.int32, 0)

    def _column(self, name: str, dtype: Any = np.float32, empty: Any = np.nan) -> np.ndarray:
        """Column by name, made where it does not exist."""
        if name not in self.columns:
            self.columns[name] = np.full(len(self.records), empty, dtype=dtype)
        return self.columns[name]

    def record(self, number: int, fields: Mapping[str, np.ndarray], cells: _Cells | None) -> None:
        """Take over one cycle.

        Parameters
        ----------
        number : int
            Absolute number of the cycle.
        fields : dict of numpy.ndarray
            In the user's units: ``background``, ``analysis`` and their ``_spread``,
            shape (variable, nz, ny, nx); ``background_members`` and
            ``analysis_members`` with a leading dimension, where there are several;
            ``count``, the observations used in each cell.
        cells : (cell, value, error, count), optional
            Superobservations of the cycle in the units of the target.
        """
        rows = self.records.of(number)
        rows = rows[self.records.variable[rows] >= 0]
        table = self.records.table
        for v, name in enumerate(self.target.variables):
            mine = rows[self.records.variable[rows] == v]
            if not mine.size:
                continue
            where = (table[n].values[mine] for n in ("depth", "latitude", "longitude"))
            grid = self.target.layouts[name].grid
            operator = PointOperator.on(grid, self.target.wet[v], *where)
            for part, column in _EQUIVALENTS.items():
                if part in fields:
                    self.columns[column][mine] = operator.apply(fields[part][v])
            for part in ("background", "analysis"):
                self._record_members(part, fields.get(f"{part}_members"), v, mine, operator)
        if cells is not None:
            self._record_cells(rows, cells)
        elif "count" in fields:
            inside = rows[self.records.cell[rows] >= 0]
            count = fields["count"].reshape(-1)[self.records.cell[inside]]
            self.columns["cell_count"][inside] = count

    def _record_members(
        self,
        part: str,
        members: np.ndarray | None,
        v: int,
        rows: np.ndarray,
        operator: PointOperator,
    ) -> None:
        """Spread of the members in observation space."""
        if members is None or len(members) < 2:
            return
        values = operator.apply(members[:, v])
        self._column(f"{part}_member_spread")[rows] = values.std(axis=0, ddof=1)

    def _record_cells(self, rows: np.ndarray, cells: _Cells) -> None:
        """Superobservation of the cell of each datum, whether it entered it or not."""
        cell, value, error, count = cells
        rows = rows[self.records.cell[rows] >= 0]
        own = self.records.cell[rows]
        if not cell.size or not rows.size:
            return
        at = np.minimum(np.searchsorted(cell, own), cell.size - 1)
        hit = cell[at] == own
        rows, at = rows[hit], at[hit]
        values, errors = self._column("cell_value", np.float64), self._column("cell_error")
        self.columns["cell_count"][rows] = count[at]
        for v, (mine, theirs) in enumerate(zip(self.target.units, self.units, strict=True)):
            some = self.records.variable[rows] == v
            values[rows[some]] = unit_tools.convert(value[at[some]], mine, theirs)
            errors[rows[some]] = unit_tools.convert_difference(error[at[some]], mine, theirs)

    def part(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Columns of some rows, to be kept."""
        return {name: column[rows] for name, column in self.columns.items()}

    def take_part(self, rows: np.ndarray, columns: Mapping[str, np.ndarray]) -> None:
        """Take over what :meth:`part` gave."""
        for name, values in columns.items():
            empty = 0 if values.dtype.kind in "iu" else np.nan
            self._column(name, values.dtype, empty)[rows] = values

    def to_dataset(self) -> xr.Dataset:
        """Table of the records with the columns of the ledger, along ``obs``."""
        observed = self.columns["observed"]
        columns = dict(self.columns)
        columns["innovation"] = (observed - columns["background"]).astype(np.float32)
        columns["residual"] = (observed - columns["analysis"]).astype(np.float32)
        for name in ("observed", "background", "analysis"):
            columns[name] = columns[name].astype(np.float64)
        out = self.records.table.copy()
        for name in (n for n in COLUMNS if n in columns):
            out[name] = (DIM, columns[name], self._attrs(name))
        names = np.array([*self.target.variables, ""], dtype=object)
        records = self.records
        number = np.where(records.cycle == NO_CYCLE, -1, records.cycle)
        text = f"year times {self.cycle.per_year} plus number of the {self.cycle.name}, from 0"
        out["fate"] = (DIM, records.fate.copy(), _fate_attrs())
        out["analysed_variable"] = (DIM, names[records.variable], {"long_name": "variable of the "
                                    "analysis that the datum measures, empty if none"})  # fmt: skip
        out["cycle"] = (DIM, number, {"long_name": f"absolute number of the cycle: {text}; "
                        "-1 where the time is not known"})  # fmt: skip
        out["source_number"] = (DIM, records.source, {"long_name": "number of the source, from 1"})
        out["row"] = (DIM, records.row, {"long_name": "row in its source, from 0"})
        out.attrs = {"Conventions": "CF-1.11", "featureType": "point",
                     "title": "ledger of the observations of an analysis"}  # fmt: skip
        return out

    def _attrs(self, name: str) -> dict[str, str]:
        """Words and units of a column."""
        words, kind = COLUMNS[name]
        attrs = {"long_name": words}
        if kind == "1":
            return {**attrs, "units": "1"}
        by_name = dict(zip(self.target.variables, self.units, strict=True))
        if kind == "difference":
            by_name = {n: unit_tools.difference_unit(u) for n, u in by_name.items()}
        if len(set(by_name.values())) == 1:
            return {**attrs, "units": next(iter(by_name.values()))}
        return {**attrs, **{f"units_{n}": u for n, u in by_name.items()}}


def _fate_attrs() -> dict[str, Any]:
    """CF attributes of the fates."""
    return {
        "long_name": "what became of the datum",
        "flag_values": np.arange(len(ALL_FATES), dtype=np.int8),
        "flag_meanings": " ".join(text.replace(" ", "_") for text in ALL_FATES),
    }


# ---- where it is kept


def check_place(ledger: Any, problems: Problems) -> Path | None:
    """Path of the file that ``ledger=`` asks for, checked; None for True and False."""
    if isinstance(ledger, bool):
        return None
    if not isinstance(ledger, (str, os.PathLike)) or not os.fspath(ledger):
        problems.add("ledger= is no place", found=repr(ledger), expected="False, True, or a path")
        return None
    path = Path(os.path.abspath(os.fspath(ledger)))
    if not path.parent.is_dir():
        problems.add("the folder of ledger= does not exist", found=str(path.parent))
    elif path.is_dir():
        problems.add("ledger= is a folder", found=str(path), expected="a netCDF file")
    elif not os.access(path.parent, os.W_OK):
        problems.add("the folder of ledger= cannot be written to", found=str(path.parent))
    return path


def save(ledger: xr.Dataset, path: Path) -> None:
    """Write a ledger to a netCDF file, whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        ledger.to_netcdf(part, engine="netcdf4")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_ledger(path: Path, calendar: str) -> xr.Dataset:
    """Ledger of a file, with times as those of its analysis: datetime64 or cftime; lazy."""
    coder = xr.coders.CFDatetimeCoder(use_cftime=calendar != "standard", time_unit="us")
    return xr.decode_cf(xr.open_dataset(path, decode_times=False), decode_times=coder)


def joined(old: xr.Dataset, new: xr.Dataset, calendar: str) -> xr.Dataset:
    """Ledger of an analysis and of its continuation, one after the other.

    The sources of the second are numbered behind those of the first.
    """
    out = one_table([old, new], calendar)
    sources = int(old["source_number"].max()) if old.sizes[DIM] else 0
    new = new.assign(source_number=(new["source_number"] + sources).astype(np.int16))
    for name in [*new.data_vars, *(n for n in old.data_vars if n not in new)]:
        if name in out:
            continue
        like = (new if name in new else old)[name]
        columns = [
            ledger[name].values if name in ledger
            else np.full(ledger.sizes[DIM], 0 if like.dtype.kind in "iu" else np.nan, like.dtype)
            for ledger in (old, new)
        ]  # fmt: skip
        out[name] = (DIM, np.concatenate(columns), like.attrs)
    out.attrs = dict(new.attrs)
    return out


def attach(analysis: xr.Dataset, ledger: xr.Dataset) -> xr.Dataset:
    """Analysis with the ledger along a dimension of its own."""
    flat = ledger.reset_coords()
    names = {str(n): PREFIX + str(n) for n in flat.variables}
    out = analysis.assign({names[n]: flat[n].variable for n in names})
    out[PREFIX + "time"].encoding = dict(analysis[_time_of(analysis)].encoding)
    return out


def _time_of(analysis: xr.Dataset) -> str:
    """Name of the time axis of an analysis."""
    return next(str(n) for n, c in analysis.coords.items() if c.attrs.get("axis") == "T")


def detach(analysis: xr.Dataset) -> xr.Dataset | None:
    """Ledger that :func:`attach` has put into an analysis; None where there is none."""
    names = [str(n) for n in analysis.variables if str(n).startswith(PREFIX)]
    if PREFIX + "fate" not in names:
        return None
    plain = analysis[names].reset_coords()
    plain = plain.drop_vars([n for n in plain.variables if n not in names])
    out = plain.rename({n: n.removeprefix(PREFIX) for n in names})
    coords = ["time", "depth", "latitude", "longitude", *TEXT]
    out = out.set_coords([n for n in coords if n in out])
    out.attrs = {"Conventions": "CF-1.11", "featureType": "point",
                 "title": "ledger of the observations of an analysis"}  # fmt: skip
    return out


def is_ledger(ds: xr.Dataset) -> bool:
    """Whether a Dataset is a ledger by itself."""
    return {"fate", "innovation", "row"} <= set(map(str, ds.variables))


def summary(records: Records) -> str:
    """One sentence on what became of all data."""
    counts = {name: n for name, n in records.counts().items() if n}
    used = counts.pop(ALL_FATES[USED], 0)
    rest = ", ".join(f"{n} {name}" for name, n in counts.items())
    return f"{used} of {len(records)} data used" + (f" (not: {rest})" if rest else "")
