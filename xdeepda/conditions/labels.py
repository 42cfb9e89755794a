"""The initial state as a file wants it: the target's labels, CF attributes, float32.

Names, order and direction of the axes in space are those of the target; time comes first
and is unlimited in a file.  Knows labels; calculates nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import calendar_of, time_encoding
from xdeepda.conditions.request import Request
from xdeepda.conditions.states import FRACTION, States
from xdeepda.grid import Layout
from xdeepda.provenance import history_line, package_version

#: What stands on land in a file: the value that CMIP, and most models, use.
FILL = np.float32(1e20)


def labelled(states: States, *, fill_land: bool, call: str) -> xr.Dataset:
    """Dataset with the labels of the target.

    Parameters
    ----------
    states : States
    fill_land : bool
        Keep the flooded values on land.
    call : str
        For the history.
    """
    request, ds = states.request, states.ds
    names = _names(request)
    out = {}
    for name, da in ds.data_vars.items():
        if name == "depth_bnds":
            continue
        if set(states.sea.dims) <= set(da.dims):
            kept = da if fill_land and not str(name).endswith(FRACTION) else da.where(states.sea)
            out[name] = _as_target(kept.assign_attrs(da.attrs), request.target.field.layout)
        else:
            out[name] = da
    whole = xr.Dataset({n: _in_order(da.rename(_own(da, names)), names) for n, da in out.items()})
    whole = _with_axes(_with_time(whole, request, names), request, names)
    whole.attrs = _attributes(states, call)
    return _with_encoding(whole, names)


def _names(request: Request) -> dict[str, str]:
    """Names of time and member: those of the target, else those of the analysis."""
    source = next(iter(request.fields.values())).layout.axes
    target = request.target.field.layout.axes
    return {a: getattr(target, a) or getattr(source, a) or a for a in ("time", "member")}


def _own(da: xr.DataArray, names: dict[str, str]) -> dict[str, str]:
    """Those of the names that a variable has to change."""
    return {a: n for a, n in names.items() if a in da.dims and a != n}


def _as_target(da: xr.DataArray, layout: Layout) -> xr.DataArray:
    """Field with the axes in space of the target; time and member keep their names."""
    lead = [d for d in ("member", "time") if d in da.dims]
    taken = {d: f"{d} of the state" for d in lead}
    out = layout.restore(da.drop_vars([d for d in lead if d in da.coords]).rename(taken))
    return out.rename({v: k for k, v in taken.items()})


def _in_order(da: xr.DataArray, names: dict[str, str]) -> xr.DataArray:
    """Time first, then members, then space as the target has it."""
    return da.transpose(names["time"], names["member"], ..., missing_dims="ignore")


def _with_time(ds: xr.Dataset, request: Request, names: dict[str, str]) -> xr.Dataset:
    """Dataset with times, their bounds where the analysis has them, and members."""
    field = next(iter(request.fields.values()))
    for axis, own in (("time", field.layout.axes.time), ("member", field.layout.axes.member)):
        name = names[axis]
        if name not in ds.dims or axis not in field.values.coords:
            continue
        ds = ds.assign_coords({name: (name, field.values[axis].values)})
        if axis == "member":
            ds[name].attrs = {"standard_name": "realization", "axis": "E"}
            continue
        ds[name].attrs = {"standard_name": "time", "axis": "T"}
        bounds = request.dataset[own].attrs.get("bounds")
        if bounds in request.dataset and request.dataset[bounds].dims[:1] == (own,):
            rows = request.dataset[bounds].sel({own: ds[name].values})
            ds[f"{name}_bnds"] = ((name, "bnds"), rows.values)
            ds[name].attrs["bounds"] = f"{name}_bnds"
    return ds


def _with_axes(ds: xr.Dataset, request: Request, names: dict[str, str]) -> xr.Dataset:
    """Dataset whose axes in space say what they are, with their bounds."""
    target = request.target.field
    for axis, coord in target.layout.coords.items():
        name = str(coord.name)
        ds[name].attrs = _cf(axis, coord) | coord.attrs
        assert isinstance(target.original, xr.Dataset)
        bounds = target.original[name].attrs.get("bounds")
        if bounds in target.original.variables:
            ds[bounds] = target.original[bounds].variable.drop_encoding()
            ds[name].attrs["bounds"] = bounds
    return ds


def _cf(axis: str, coord: xr.DataArray) -> dict[str, str]:
    """Attributes of an axis where it has none of its own."""
    if axis == "lat":
        return {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"}
    if axis == "lon":
        return {"standard_name": "longitude", "units": "degrees_east", "axis": "X"}
    up = bool((coord <= 0).all() and (coord < 0).any())
    positive = str(coord.attrs.get("positive", "up" if up else "down")).lower()
    # CF's depth counts downwards
    standard = "depth" if positive == "down" else "height"
    return {"standard_name": standard, "positive": positive, "axis": "Z"}


def _attributes(states: States, call: str) -> dict[str, Any]:
    """Global attributes: where it is from, and what was done to it."""
    request, ds = states.request, states.ds
    before = request.dataset.attrs
    stability = "not checked: temperature and salinity are needed"
    if request.temperature and request.salinity:
        stability = "not checked: not asked for"
    if "mixed_columns" in ds:
        stability = (
            f"columns mixed until no inversion exceeds {request.tolerance:g} kg m-3; heat and "
            f"salt are kept; {int(ds['mixed_columns'].sum())} columns in all, largest inversion "
            f"{float(ds['largest_inversion_before'].max()):.3g} kg m-3 before and "
            f"{float(ds['largest_inversion_after'].max()):.3g} after, temperature changed by "
            f"{float(ds['largest_change_by_mixing'].max()):.3g} "
            f"{ds['largest_change_by_mixing'].attrs['units']} at most"
        )
    out = {
        "Conventions": "CF-1.11",
        "title": "initial conditions by xdeepda",
        "history": history_line(call, before.get("history")),
        "xdeepda_version": package_version(),
        "interpolation": "land of the analysis flooded from its sea level by level (Laplace); "
        "then linear, or means over the cells of a coarser grid",
        "static_stability": stability,
    }
    if "heat_content_difference" in ds:
        worst = ds["heat_content_difference"] / ds["heat_content_difference"].attrs["heat_capacity"]
        largest = float(worst.values.flat[np.abs(worst.values).argmax()])
        out["heat_content"] = (
            f"mean temperature over the sea that both grids have: initial state less analysis, "
            f"{largest:+.3g} K at most"
        )
    return out | {k: before[k] for k in ("model_hash", "cycle", "seed") if k in before}


def _with_encoding(ds: xr.Dataset, names: dict[str, str]) -> xr.Dataset:
    """Dataset that is written as models read it: float32, one fill value, time unlimited."""
    for name, variable in ds.variables.items():
        variable.encoding = {"_FillValue": None}
        if name in ds.data_vars and variable.dtype == np.float32:
            variable.encoding = {"dtype": "float32", "_FillValue": FILL, "missing_value": FILL}
    time = names["time"]
    if time in ds.dims:
        ds.encoding = {"unlimited_dims": {time}}
    if time in ds.coords:
        values = ds[time].values
        year = int(ds[time].dt.year.min())
        encoding = time_encoding(year, calendar_of(values)) | {"_FillValue": None}
        for n in (time, f"{time}_bnds"):
            if n in ds.variables:
                ds[n].encoding = dict(encoding)
    return ds
