"""What happened to one observation, in words.

Reads a ledger and nothing else, so that it can be asked long after the analysis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.departures import departures

#: Data that are explained where a selection holds more.
_MOST = 3


class Explanation(str):
    """Text that a notebook shows as it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the text itself."""
        return str(self)


def explain(ledger: xr.Dataset, datum: Any) -> Explanation:
    """Tell what happened to one observation, and why its increment is as large as it is.

    Parameters
    ----------
    ledger : Dataset
        From :func:`xdeepda.departures`, or an analysis that has one.
    datum : int, mapping, or array of bool
        Position along ``obs``; or values of columns, such as ``{"platform": "6901",
        "row": 17}``; or a mask along ``obs``.  The first three that fit are told.

    Returns
    -------
    str
        A paragraph for each.

    Raises
    ------
    InputError
        If there is no ledger, or no such datum.

    Notes
    -----
    A datum alone, of error variance R where the background has error variance B, would
    move the analysis at its place by B / (B + R) of its innovation.  What it was moved
    by besides comes from the data that shared its cell, from other cells, and from how
    the model spreads their increments.

    Examples
    --------
    >>> print(xdeepda.explain(ledger, 17))  # doctest: +SKIP
    """
    table = departures(ledger)
    rows = _rows(table, datum)
    parts = [_paragraph(table.isel(obs=int(row)).compute(), int(row)) for row in rows[:_MOST]]
    if len(rows) > _MOST:
        parts.append(f"{len(rows) - _MOST} more data fit the selection.")
    return Explanation("\n\n".join(parts))


def _rows(table: xr.Dataset, datum: Any) -> np.ndarray:
    """Positions of the data that are meant."""
    size = table.sizes["obs"]
    if isinstance(datum, (int, np.integer)) and not isinstance(datum, bool):
        if not -size <= datum < size:
            raise InputError(f"explain: there is no datum {datum} among {size}")
        return np.array([int(datum) % size])
    if isinstance(datum, Mapping):
        missing = [name for name in datum if name not in table.variables]
        if missing:
            raise InputError(
                f"explain: the ledger has no columns {missing}; it has {sorted(map(str, table))}"
            )
        fits = np.ones(size, dtype=bool)
        for name, value in datum.items():
            fits &= _equal(table[name].values, value)
    else:
        fits = np.asarray(datum)
        if fits.shape != (size,) or fits.dtype != bool:
            raise InputError(
                f"explain: datum={type(datum).__name__} is no position, mapping or mask of {size}"
            )
    if not fits.any():
        raise InputError(f"explain: no datum fits {datum!r}")
    return np.flatnonzero(fits)


def _equal(column: np.ndarray, value: Any) -> np.ndarray:
    """Where a column has a value."""
    if column.dtype.kind == "f":
        return np.isclose(column, float(value), rtol=1e-6, atol=1e-9)
    if column.dtype.kind == "M":
        return np.asarray(column == np.datetime64(value))
    if isinstance(value, str):
        return np.array([str(x) for x in column]) == value
    return np.asarray(column == value, dtype=bool)


def _paragraph(row: xr.Dataset, number: int) -> str:
    """All that there is to say of one datum."""
    numbers = {
        str(n): float(v) for n, v in row.variables.items() if v.ndim == 0 and v.dtype.kind in "fiu"
    }
    unit = _unit(row, "observed")
    lines = [_who(row, number, unit, numbers), _fate(row, numbers, unit)]
    if np.isfinite(numbers.get("innovation", np.nan)):
        lines += _departure(numbers, _unit(row, "innovation"))
        lines += _increment(row, numbers, _unit(row, "innovation"))
    elif np.isfinite(numbers["observed"]):
        lines.append("There is no analysis at its place and time to compare it with.")
    return "\n".join(lines)


def _who(row: xr.Dataset, number: int, unit: str, numbers: dict[str, float]) -> str:
    """The datum, and where it comes from."""
    value = numbers["observed"] if np.isfinite(numbers["observed"]) else numbers["value"]
    names = [f"{n} {row[n].item()}" for n in ("platform", "profile") if _text(row, n)]
    where = [f"row {int(numbers['row'])} of source {int(numbers['source_number'])}", *names]
    depth, lat, lon = (numbers[n] for n in ("depth", "latitude", "longitude"))
    place = [str(row["time"].values)[:16].replace("T", " ")]
    place += [f"{depth:.4g} m"] if np.isfinite(depth) else []
    place += [f"{abs(lat):.2f} {'N' if lat >= 0 else 'S'}"]
    place += [f"{abs(lon):.2f} {'E' if lon >= 0 else 'W'}"]
    return (
        f"Datum {number} ({', '.join(where)}): {row['variable'].item()} {value:.4g} {unit}".rstrip()
        + f"; {', '.join(place)}."
    )


def _text(row: xr.Dataset, name: str) -> bool:
    """Whether a column of text says anything."""
    return name in row and str(row[name].item()) not in ("", "nan")


def _unit(row: xr.Dataset, column: str) -> str:
    """Unit of a column for the variable of the datum."""
    attrs = row[column].attrs
    own = attrs.get("units") or attrs.get(f"units_{row['analysed_variable'].item()}")
    if own is None and column == "observed":
        own = row["value"].attrs.get(f"units_{row['variable'].item()}")
    return "" if own in (None, "1") else str(own)


def _fate(row: xr.Dataset, numbers: dict[str, float], unit: str) -> str:
    """What became of it."""
    meanings = str(row["fate"].attrs.get("flag_meanings", "")).split()
    fate = meanings[int(row["fate"])].replace("_", " ")
    count = int(numbers["cell_count"])
    if fate == "used":
        if count == 1:
            return "Used: it is the only measurement of its cell in this cycle."
        others = "one other measurement" if count == 2 else f"{count - 1} other measurements"
        text = f"Used: it shares its cell with {others} of this cycle"
        if np.isfinite(numbers.get("cell_value", np.nan)):
            text += f"; together they are {numbers['cell_value']:.4g} {unit}".rstrip()
            text += f" with an error of {numbers['cell_error']:.2g}"
        return text + "."
    words = {
        "compared only": "Compared only: whether it was used, this table does not know.",
        "withheld": "Not used: it was withheld, to compare with.",
    }.get(fate, f"Not used: {fate}.")
    if _text(row, "reason"):
        words = words[:-1] + f" ({row['reason'].item()})."
    if np.isfinite(numbers.get("gross_error", np.nan)):
        words += f" Probability of a gross error: {numbers['gross_error']:.2f}."
    if count:
        held = "one measurement that was" if count == 1 else f"{count} measurements that were"
        words += f" Its cell holds {held} used."
    return words


def _departure(numbers: dict[str, float], unit: str) -> list[str]:
    """O-B and O-A against what is expected."""
    before, after = numbers["innovation"], numbers["residual"]
    line = f"O-B {before:+.3g} {unit}".rstrip()
    spread, error = numbers["background_spread"], numbers["observed_error"]
    expected = float(np.hypot(spread, error))
    if np.isfinite(expected) and expected > 0:
        line += (
            f", {abs(before) / expected:.2g} times what is expected "
            f"({expected:.2g}: background {spread:.2g}, observation {error:.2g})"
        )
    return [line + f"; O-A {after:+.3g} {unit}".rstrip() + "."] if np.isfinite(after) else [line]


def _increment(row: xr.Dataset, numbers: dict[str, float], unit: str) -> list[str]:
    """Why the analysis moved as much as it did."""
    moved = numbers["analysis"] - numbers["background"]
    b, r = numbers["background_spread"] ** 2, numbers["observed_error"] ** 2
    if not np.isfinite(moved) or not b + r > 0:
        return []
    gain = b / (b + r)
    alone = gain * numbers["innovation"]
    lines = [
        f"Alone it would have a gain of {gain:.2f} and move the analysis at its place by "
        f"{alone:+.3g} {unit}".rstrip()
        + f"; it moved by {moved:+.3g} {unit}".rstrip()
        + "."
    ]
    used = row["fate"].item() == 0
    if used and abs(moved - alone) <= 0.1 * abs(alone) + 1e-6:
        return lines
    return [*lines, _why(numbers, unit, moved, used, gain)]


def _why(numbers: dict[str, float], unit: str, moved: float, used: bool, gain: float) -> str:
    """Where the difference to a lone datum comes from."""
    if not used:
        return "What moved the analysis here came from other data alone."
    reasons = []
    if gain < 0.3:
        reasons.append("its error is large against the background spread, so it says little")
    explained = gain * numbers["innovation"]
    if numbers["cell_count"] > 1 and np.isfinite(numbers.get("cell_value", np.nan)):
        b = numbers["background_spread"] ** 2
        shared = b / (b + numbers["cell_error"] ** 2)
        mean = numbers["cell_value"] - numbers["background"]
        explained = shared * mean
        reasons.append(
            f"the mean of its cell departs by {mean:+.3g}, which with a gain of {shared:.2f} "
            f"gives {explained:+.3g}"
        )
    rest = moved - explained
    if abs(rest) > 0.1 * abs(moved) + 1e-6:
        reasons.append(
            f"{rest:+.3g} {unit}".rstrip()
            + " come from other cells and from how the model weighs and spreads what it is given"
        )
    text = "; ".join(reasons)
    return text[:1].upper() + text[1:] + "." if text else ""
