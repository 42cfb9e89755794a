"""Finding the columns of point observations in a pandas DataFrame.

Columns go by exact names (value, time, depth, lat, lon, ...), whatever their
case.  Depths are metres by convention; everything else that has units must say
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from xdeepda import units as unit_tools
from xdeepda.errors import InputError, Problems
from xdeepda.observations.columns import (
    QUALITY,
    ROLE_NAMES,
    TEXT,
    Rows,
    Units,
    Var,
    encode,
    logger,
    numbers,
    select,
    surface_depth,
    unit_for,
)
from xdeepda.observations.quantities import kind_of

if TYPE_CHECKING:
    import pandas as pd


def rows_of_frame(frame: pd.DataFrame, var: Var, units: Units, problems: Problems) -> Rows:
    """Columns of a DataFrame; units from the argument, a column, or ``frame.attrs``."""
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    columns = _lower_columns(frame, problems)
    rows = Rows()
    for role in ("time", "depth", "latitude", "longitude"):
        hits = [columns[n] for n in sorted(ROLE_NAMES[role]) if n in columns]
        if len(hits) > 1:
            problems.add(f"several columns could be the {role}", found=f"{hits}")
        if hits:
            setattr(rows, role, _frame_times(frame[hits[0]]) if role == "time" else
                    numbers(frame[hits[0]], hits[0], problems))  # fmt: skip
        elif role != "depth":
            problems.add(
                f"column {role!r} is missing",
                found=f"columns {list(map(str, frame.columns))}",
                expected="value, time, depth, lat, lon (case does not matter)",
            )
    if rows.depth is not None:
        logger.info("depths of the DataFrame are taken as metres")
    units = units if units is not None else frame.attrs.get("units")
    if "value" in columns:
        _frame_long(frame, columns, var, units, rows, problems)
    else:
        _frame_wide(frame, columns, var, units, rows, problems)
    surface_depth(rows, 0 if rows.value is None else rows.value.size, problems)
    return rows


def _lower_columns(frame: pd.DataFrame, problems: Problems) -> dict[str, Any]:
    """Lower-case name -> column."""
    columns: dict[str, Any] = {}
    for column in frame.columns:
        if str(column).lower() in columns:
            problems.add(f"column {str(column)!r} appears twice (case does not matter)")
        columns[str(column).lower()] = column
    return columns


def _frame_times(column: pd.Series) -> np.ndarray:
    """Times of a column; those with a time zone in UTC."""
    if hasattr(column, "dt") and getattr(column.dt, "tz", None) is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.to_numpy()


def _frame_text(frame: pd.DataFrame, columns: Mapping[str, Any], repeat: int, rows: Rows) -> None:
    """Platform, profile, instrument, source and flags of a frame."""
    for name in TEXT:
        if name in columns:
            values = frame[columns[name]]
            plain = values.to_numpy()
            # a column of a csv file in which nothing is written is one of NaN
            if plain.dtype == object or plain.dtype.kind not in "iuf" or values.isna().all():
                plain = np.where(values.isna(), "", values.astype(str)).astype(str)
            rows.text[name] = np.tile(plain, repeat)
    for name in QUALITY:
        if name in columns:
            setattr(rows, name, np.tile(frame[columns[name]].to_numpy(), repeat))


def _frame_long(
    frame: pd.DataFrame,
    columns: Mapping[str, Any],
    var: Var,
    units: Units,
    rows: Rows,
    problems: Problems,
) -> None:
    """Value column of a frame, with or without a column of names and of units."""
    rows.value = numbers(frame[columns["value"]], "value", problems)
    if "error" in columns:
        rows.error = numbers(frame[columns["error"]], "error", problems)
    _frame_text(frame, columns, 1, rows)
    per_row = frame[columns["units"]].to_numpy().astype(str) if "units" in columns else None
    if "variable" in columns:
        rows.code, rows.names = encode(frame[columns["variable"]].to_numpy().astype(str))
    else:
        unit = per_row[0] if per_row is not None and per_row.size else units
        name = (
            var if isinstance(var, str) else kind_of("", "", unit if isinstance(unit, str) else "")
        )
        if name is None:
            problems.add(
                "which variable was measured is not said",
                found="neither a column 'variable' nor an argument var",
                todo="var='thetao', or frame['variable'] = 'thetao'",
            )
        rows.names = [name or "value"]
        rows.code = np.zeros(rows.value.size, dtype=np.int16)
    for position, name in enumerate(rows.names):
        if per_row is not None and units is None:
            _unify_units(rows, position, per_row, problems)
        elif unit := unit_for(name, units, len(rows.names)):
            rows.units[name] = unit
    select(rows, var, problems)


def _unify_units(rows: Rows, position: int, per_row: np.ndarray, problems: Problems) -> None:
    """One unit for a variable whose rows say theirs."""
    assert rows.value is not None
    assert rows.code is not None
    mine = rows.code == position
    codes, found = encode(per_row[mine])
    known = [unit for unit in found if unit.lower() not in ("", "nan", "none", "<na>")]
    if len(known) < len(found):
        problems.add(f"rows of variable {rows.names[position]!r} have no units", found=f"{found}")
        known = known or [""]
    rows.units[rows.names[position]] = known[0]
    for k, unit in enumerate(found):
        if unit in (known[0], "") or unit not in known:
            continue
        where = np.flatnonzero(mine)[codes == k]
        try:
            rows.value[where] = unit_tools.convert(rows.value[where], unit, known[0])
            if rows.error is not None:
                rows.error[where] = unit_tools.convert_difference(rows.error[where], unit, known[0])
        except InputError as error:
            problems.add(f"units of variable {rows.names[position]!r} differ", found=str(error))


def _frame_error(
    frame: pd.DataFrame, columns: Mapping[str, Any], name: str, alone: bool, problems: Problems
) -> np.ndarray:
    """Errors of a column, NaN where there are none."""
    for error in (f"{name}_error", *(["error"] if alone else [])):
        if error in columns:
            return numbers(frame[columns[error]], error, problems)
    return np.full(len(frame), np.nan)


def _frame_wide(
    frame: pd.DataFrame,
    columns: Mapping[str, Any],
    var: Var,
    units: Units,
    rows: Rows,
    problems: Problems,
) -> None:
    """One column per variable of a frame."""
    positions = {n for names in ROLE_NAMES.values() for n in names}
    taken = positions | {*TEXT, *QUALITY, "error", "units"}
    if var is None:
        wanted = [n for n in columns if n not in taken and kind_of(n)]
    else:
        wanted = [v.lower() for v in ([var] if isinstance(var, str) else var)]
    missing = [n for n in wanted if n not in columns]
    if missing or not wanted:
        problems.add(
            "column 'value' is missing",
            found=f"columns {list(map(str, frame.columns))}",
            expected=f"value, or a column for each of {missing or 'the measured variables'}",
        )
        return
    rows.names = [str(columns[n]) for n in wanted]
    size, repeat = len(frame), len(wanted)
    rows.value = np.concatenate([numbers(frame[columns[n]], n, problems) for n in wanted])
    rows.code = np.repeat(np.arange(repeat, dtype=np.int16), size)
    rows.error = np.concatenate(
        [_frame_error(frame, columns, n, repeat == 1, problems) for n in wanted]
    )
    for name in rows.names:
        if unit := unit_for(name, units, repeat):
            rows.units[name] = unit
    _frame_text(frame, columns, repeat, rows)
    for role in ("time", "depth", "latitude", "longitude"):
        if getattr(rows, role) is not None:
            setattr(rows, role, np.tile(getattr(rows, role), repeat))
