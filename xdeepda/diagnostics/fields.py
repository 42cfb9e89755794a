"""Which field a diagnostic looks at, and the labels of what comes out.

Knows units, axes and grid of the package; nothing of any diagnostic.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.errors import Problems
from xdeepda.grid import Grid, Layout, layout_of
from xdeepda.observations.ledger import PREFIX
from xdeepda.observations.quantities import SALINITY, TEMPERATURE, kind_of
from xdeepda.source import select_fields

logger = logging.getLogger("xdeepda")

#: Variables that accompany an analysed one, by the end of their names.
COMPANIONS = (
    "_spread", "_background", "_background_spread", "_obs_count", "_increment",
    "_spread_within", "_spread_between", "_background_spread_within", "_background_spread_between",
    "_error", "_count",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Field:
    """One variable of an object, understood.

    Attributes
    ----------
    name, unit : str
    values : DataArray
        In canonical names and order (member, time, depth, lat, lon), those that exist;
        lazy where the input is, and without pint.
    layout : Layout
    original : Dataset or DataArray
        The user's object.
    """

    name: str
    unit: str
    values: xr.DataArray
    layout: Layout
    original: xr.Dataset | xr.DataArray

    @property
    def grid(self) -> Grid:
        """Canonical grid."""
        return self.layout.grid

    @property
    def array(self) -> xr.DataArray:
        """The user's variable."""
        if isinstance(self.original, xr.DataArray):
            return self.original
        return self.original[self.name]

    def in_unit(self, unit: str) -> xr.DataArray:
        """Values in another unit, as float64."""
        return unit_tools.convert(self.values.astype(np.float64), self.unit, unit)


def look(
    obj: xr.Dataset | xr.DataArray,
    var: str | None,
    problems: Problems,
    *,
    kind: str | None = None,
    needs: tuple[str, ...] = (),
) -> Field | None:
    """Understand one variable of an object; None if there was a problem.

    Parameters
    ----------
    obj : Dataset or DataArray
    var : str, optional
        Needed where the Dataset holds several fields that come into question; those
        that accompany an analysed one (its spread, its background) do not count.
    problems : Problems
    kind : {"temperature", "salinity"}, optional
        What the diagnostic is of.
    needs : tuple of str
        Canonical names of the axes that it cannot do without.
    """
    before = len(problems)
    if var is None and isinstance(obj, xr.Dataset):
        var = _only_candidate(obj, kind, problems)
    fields = select_fields(obj, var, problems) if len(problems) == before else {}
    if not fields:
        return None
    (name, da), *_ = fields.items()
    unit = _unit(name, da, kind, problems)
    layout = layout_of(da, problems)
    for axis in needs:
        if getattr(layout.axes, axis) is None:
            problems.add(f"{name!r} has no axis of {axis}", found=f"dimensions {layout.dims}")
    if len(problems) > before or unit is None:
        return None
    return Field(name, unit, layout.canonical(da), layout, obj)


def _only_candidate(ds: xr.Dataset, kind: str | None, problems: Problems) -> str | None:
    """Name of the only field of a kind; None, perhaps with a problem, where there is not one."""
    names = _candidates(ds)
    if kind is None:
        return names[0] if len(names) == 1 else None
    found = [n for n in names if _kind(n, ds[n]) == kind]
    if len(found) == 1:
        return found[0]
    problems.add(
        f"there is no {kind} in the Dataset" if not found else f"which {kind} is not clear",
        found=f"fields {names}" if not found else f"{found}",
        todo="name the variable, or set its standard_name" if not found else "name the variable",
    )
    return None


def _candidates(ds: xr.Dataset) -> list[str]:
    """Variables that hold numbers along an axis; no bounds, nothing that belongs to another."""
    bounds = {str(c.attrs.get("bounds")) for c in ds.variables.values()}
    names = [
        str(name)
        for name, da in ds.data_vars.items()
        if da.ndim and np.issubdtype(da.dtype, np.number) and str(name) not in bounds
    ]
    fields = [name for name in names if not name.startswith(PREFIX)]  # without a ledger
    return [name for name in fields if not _is_companion(name, names)]


def _is_companion(name: str, names: list[str]) -> bool:
    """Whether a variable belongs to another one."""
    return any(name.endswith(end) and name.removesuffix(end) in names for end in COMPANIONS)


def _kind(name: str, da: xr.DataArray) -> str | None:
    """Kind of the quantity of a variable."""
    return kind_of(name, str(da.attrs.get("standard_name", "")), unit_tools.unit_of(da))


def _unit(name: str, da: xr.DataArray, kind: str | None, problems: Problems) -> str | None:
    """Unit of a variable, or a problem."""
    unit = unit_tools.unit_of(da)
    wanted = {TEMPERATURE: "degC", SALINITY: "psu"}.get(kind or "")
    if unit is None:
        problems.add(
            f"variable {name!r} has no units",
            expected=f"such as {wanted or 'degC'}",
            todo=f"ds[{name!r}].attrs['units'] = {wanted or 'degC'!r}",
        )
        return None
    try:
        unit_tools.parse(unit)
    except ValueError as error:
        problems.add(f"units of variable {name!r} are not understood", found=str(error))
        return None
    if wanted == "degC" and not unit_tools.same_dimension(unit, "K"):
        problems.add(f"variable {name!r} is no temperature", found=f"units {unit!r}")
        return None
    return unit


def tell_of_spread(field: Field) -> dict[str, str]:
    """Say that an error bar needs members, where there is only a spread.

    The spread of cells says nothing of how their errors hang together, so that no error
    of a mean, an integral or a trend follows from it.

    Returns
    -------
    dict
        Attribute ``comment`` of the result, empty where there is nothing to say.
    """
    spread = f"{field.name}_spread"
    has = isinstance(field.original, xr.Dataset) and spread in field.original
    if not has or field.layout.axes.member is not None:
        return {}
    told = (
        f"without an error bar: {spread!r} is of single cells, and the error of what is made of "
        "many needs members (assimilate(..., members=N, keep_members=True))"
    )
    logger.warning("%s", told)
    return {"comment": told}


def finished(
    result: xr.DataArray,
    field: Field,
    *,
    name: str,
    unit: str,
    methods: str = "",
    **attrs: str,
) -> xr.DataArray:
    """Give a result the user's labels, attributes and, where the input has them, Quantities.

    Parameters
    ----------
    result : DataArray
        In canonical names.
    field : Field
        What it was made of.
    name, unit : str
    methods : str
        What to add to the CF attribute ``cell_methods``; ``{depth}`` and the like stand
        for the user's names of axes.
    **attrs
        Further attributes; those without a text are left out.
    """
    out = field.layout.restore(result).rename(name)
    axes = field.layout.axes
    names = {axis: getattr(axes, axis) or axis for axis in ("time", "depth", "lat", "lon")}
    words = [str(field.array.attrs.get("cell_methods", "")), methods.format(**names)]
    kept = {key: text for key, text in attrs.items() if text}
    kept |= {"units": unit, "cell_methods": " ".join(w for w in words if w)}
    out.attrs = {key: text for key, text in kept.items() if text}
    out = clean_time(out, names["time"])
    if unit_tools.is_quantified(field.array):
        # as any registry of pint reads it: the exponents of CF are pint's differences
        out.attrs["units"] = str(unit_tools.parse(unit))
    return unit_tools.requantify(out, field.array)


def clean_time(da: xr.DataArray, name: str) -> xr.DataArray:
    """Without the reference to bounds that a single variable does not hold."""
    if name not in da.coords or "bounds" not in da[name].attrs:
        return da
    time: Any = da[name].copy(deep=False)
    time.attrs = {key: text for key, text in time.attrs.items() if key != "bounds"}
    time.encoding = {key: text for key, text in time.encoding.items() if key != "bounds"}
    return da.assign_coords({name: time})
