"""What is to be drawn: a variable or a part of its analysis, at a place and a time.

Axes, grid and units are those that the verbs find.  A choice of what is not there is
moved to the nearest, and the words of each choice stand in the title.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.analysis import increment
from xdeepda.axes import find_axes
from xdeepda.diagnostics.fields import Field, look
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Grid
from xdeepda.observations.quantities import kind_of

#: Parts of an analysis: what the values are.
PARTS = {
    "analysis": "value",
    "background": "value",
    "increment": "difference",
    "spread": "spread",
    "background_spread": "spread",
    "spread_within": "spread",
    "spread_between": "spread",
    "obs_count": "count",
}
_DIFFERENCES = re.compile(r"anomal|increment|innovation|minus|difference|trend|bias|\berror of")


@dataclass(eq=False)
class View:
    """Values on the way to a picture.

    Attributes
    ----------
    values : DataArray
        Canonical names of axes; longitudes begin where the user's do.
    grid : Grid
        Of the whole field.
    kind : {"value", "difference", "spread", "count"}
        What the values are, for their colours.
    quantity : {"temperature", "salinity"} or None
    obj : Dataset or DataArray
        What it is a view of, with the axes that were single values.
    variable : str
        The analysed variable.
    source : Field
        What is drawn, as the user has it.
    words : list of str
        What was chosen, for the title.
    """

    values: xr.DataArray
    grid: Grid
    kind: str
    quantity: str | None
    obj: xr.Dataset | xr.DataArray
    variable: str
    source: Field
    words: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Words and unit of the values."""
        words, unit = self.values.attrs["long_name"], self.values.attrs["units"]
        return str(words) if unit in ("", "1") else f"{words} [{unit}]"

    @property
    def title(self) -> str:
        """What was chosen, in one line."""
        return ", ".join(word for word in self.words if word)


def view(
    obj: Any,
    var: str | None,
    problems: Problems,
    *,
    part: str | None = None,
    needs: tuple[str, ...] = (),
) -> View | None:
    """Understand what is to be drawn; None if there was a problem.

    Parameters
    ----------
    obj : Dataset or DataArray
    var : str, optional
        Name of the variable, where there are several.
    problems : Problems
    part : str, optional
        Of an analysis: a key of :data:`PARTS`.
    needs : tuple of str
        Canonical names of the axes that the picture has.
    """
    if not isinstance(obj, (xr.Dataset, xr.DataArray)):
        problems.add("this cannot be drawn", found=type(obj).__name__, expected="fields")
        return None
    if part is not None and part not in PARTS:
        problems.add(f"part={part!r} is not known", expected=f"of {list(PARTS)}")
        return None
    obj = with_axes(obj)
    found = look(obj, var, problems, needs=needs)
    variable = found.name if found is not None else ""
    if found is not None and part not in (None, "analysis"):
        found = _part(obj, variable, str(part), problems)
    if found is None:
        return None
    values = _from_west(found)
    kind = PARTS[part] if part is not None else _kind(found)
    attrs = found.array.attrs
    quantity = kind_of(variable, str(attrs.get("standard_name", "")), found.unit)
    values.attrs = {"long_name": _words(found), "units": _pretty(found.unit)}
    return View(values, found.grid, kind, quantity, obj, variable, found)


def with_axes(obj: Any) -> Any:
    """Make axes again of the single values that ``isel`` leaves of them."""
    for name, coord in obj.coords.items():
        if coord.ndim == 0 and name not in obj.dims and _is_axis(coord):
            obj = obj.expand_dims(str(name))
    return obj


def _is_axis(coord: xr.DataArray) -> bool:
    """Whether a single value lies on an axis that is understood."""
    name = str(coord.name)
    axis = xr.Variable((name,), np.atleast_1d(coord.values), coord.attrs)
    bare = xr.DataArray(np.zeros(1), dims=name, coords={name: axis})
    try:
        return bool(find_axes(bare).names())
    except (InputError, NotImplementedError):
        return False


def _part(obj: Any, variable: str, part: str, problems: Problems) -> Field | None:
    """Part of an analysis; the increment is made where it is not there."""
    names = list(map(str, obj.data_vars)) if isinstance(obj, xr.Dataset) else []
    if f"{variable}_{part}" in names:
        return look(obj, f"{variable}_{part}", problems)
    if part == "increment" and f"{variable}_background" in names:
        made = increment(obj, variable)
        assert isinstance(made, xr.DataArray)
        words = str(obj[variable].attrs.get("long_name", variable)).removesuffix(": analysis")
        made = made.rename(f"{variable}_increment").assign_attrs(long_name=f"{words}: increment")
        return look(made, None, problems)
    there = [p for p in PARTS if f"{variable}_{p}" in names]
    problems.add(
        f"there is no {part} of {variable!r}",
        found=f"parts {there}" if there else "none of an analysis",
        todo="" if there else "assimilate(...) gives analyses with all parts",
    )
    return None


def _from_west(found: Field) -> xr.DataArray:
    """Values whose longitudes begin where the user's do, on a grid around the globe."""
    values, grid = found.values, found.grid
    if grid.lon is None or not grid.cyclic:
        return values
    west = float(np.min(np.asarray(found.array[found.layout.axes.lon].values, dtype=float)))
    moved = np.mod(np.round(grid.lon - west, 6), 360.0) + west
    return values.assign_coords(lon=moved).isel(lon=np.argsort(moved))


def _kind(found: Field) -> str:
    """What the values are, by name and words."""
    text = f"{found.name} {found.array.attrs.get('long_name', '')} ".lower()
    standard = str(found.array.attrs.get("standard_name", ""))
    if "number_of_observations" in standard or found.name.endswith("_count"):
        return "count"
    if "standard_error" in standard or "spread" in text or "standard deviation" in text:
        return "spread"
    if standard.endswith("_anomaly") or _DIFFERENCES.search(text):
        return "difference"
    return "value"


def _words(found: Field) -> str:
    """Long name, or what comes nearest to one."""
    attrs = found.array.attrs
    words = attrs.get("long_name") or str(attrs.get("standard_name", "")).replace("_", " ")
    return str(words or found.name)


def _pretty(unit: str) -> str:
    """Unit with the sign of degrees."""
    return {"degC": "°C", "degree_Celsius": "°C", "deg_C": "°C", "celsius": "°C"}.get(unit, unit)
