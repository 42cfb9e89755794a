"""What ``ds.deepda`` shows: what was detected, what is missing for each verb.

Looks at names, attributes and coordinates; reads no values that are not in
memory, and computes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import CYCLES, Cycle, calendar_of
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Layout, layout_of
from xdeepda.source import select_fields


@dataclass
class Description:
    """Rows of (word, text), and what each verb lacks."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)


def describe(obj: xr.Dataset | xr.DataArray) -> str:
    """Return the text of the repr."""
    found = _inspect(obj)
    lines = [f"<xdeepda: {type(obj).__name__}>"]
    width = max((len(word) for word, _ in found.rows), default=0)
    lines += [f"  {word:<{width}}  {text}" for word, text in found.rows]
    lines.append("  verbs:")
    for verb, told in found.missing.items():
        lines.append(f"    .{verb:<11} " + ("ready" if not told else "; ".join(told)))
    return "\n".join(lines)


def describe_html(obj: xr.Dataset | xr.DataArray) -> str:
    """Return the same as a table for notebooks."""
    found = _inspect(obj)
    rows = [f"<tr><th>{escape(w)}</th><td>{escape(t)}</td></tr>" for w, t in found.rows]
    for verb, told in found.missing.items():
        state = "ready" if not told else "; ".join(told)
        rows.append(f"<tr><th>.{escape(verb)}</th><td>{escape(state)}</td></tr>")
    title = f"<b>xdeepda</b>: {type(obj).__name__}"
    return f"<div>{title}<table style='text-align:left'>{''.join(rows)}</table></div>"


def _inspect(obj: xr.Dataset | xr.DataArray) -> Description:
    """Look at an object as observations or as fields."""
    found = Description()
    plain = unit_tools.dequantify(obj)
    fields = _fields(plain)
    if _is_points(plain):
        _inspect_table(plain, found)
        return found
    if not fields:
        found.rows.append(("fields", "none found"))
        found.missing["train"] = ["no variable with spatial axes"]
        found.missing["assimilate"] = ["no variable with spatial axes"]
        return found
    _inspect_fields(plain, fields, found)
    return found


def _is_points(obj: xr.Dataset | xr.DataArray) -> bool:
    """Whether these are measurements along one dimension, with positions beside them."""
    from xdeepda.observations.columns import find_roles, is_table

    if is_table(obj):
        return True
    ds = obj if isinstance(obj, xr.Dataset) else obj.to_dataset(name="value")
    roles = find_roles(ds, Problems("inspect"))
    where = [ds[roles[r]] for r in ("latitude", "longitude") if r in roles]
    return len(where) == 2 and all(w.ndim == 1 and w.name not in ds.dims for w in where)


def _inspect_table(obj: xr.Dataset | xr.DataArray, found: Description) -> None:
    """Describe a table of observations."""
    from xdeepda.observations.columns import find_roles

    ds = obj if isinstance(obj, xr.Dataset) else obj.to_dataset(name=str(obj.name or "value"))
    roles = find_roles(ds)
    found.rows.append(("observations", f"{int(np.prod(list(ds.sizes.values())))} points"))
    found.rows += [(role, f"{name!r}") for role, name in roles.items()]
    lacking = [r for r in ("time", "latitude", "longitude") if r not in roles]
    told = [f"no {r} found" for r in lacking]
    for verb in ("superob", "network"):
        found.missing[verb] = told or ["needs like= (a field of the model)"]


def _fields(obj: xr.Dataset | xr.DataArray) -> dict[str, xr.DataArray]:
    """All fields of an object."""
    from xdeepda.source import _is_field

    if isinstance(obj, xr.DataArray):
        numbers = np.issubdtype(obj.dtype, np.number)
        return select_fields(obj, None, Problems("inspect")) if numbers else {}
    return {str(n): da for n, da in obj.data_vars.items() if _is_field(da, obj)}


def _inspect_fields(
    obj: xr.Dataset | xr.DataArray, fields: dict[str, xr.DataArray], found: Description
) -> None:
    """Describe fields: units, axes, calendar, memory."""
    problems = Problems("inspect")
    first = next(iter(fields.values()))
    try:
        layout = layout_of(first, problems)
    except NotImplementedError as error:
        found.rows.append(("grid", str(error)))
        found.missing["train"] = found.missing["assimilate"] = ["needs a regular grid"]
        return
    for name, da in fields.items():
        unit = unit_tools.unit_of(da)
        lazy = "" if isinstance(da.variable._data, np.ndarray) else ", not in memory"
        found.rows.append((name, f"{unit or 'NO UNITS'}, {da.dtype}{lazy}"))
        if unit is None:
            problems.add(f"{name!r} has no units")
    _describe_grid(layout, found)
    found.rows.append(("wet cells", _wet_cells(first, layout)))
    train_needs = [item.what for item in problems]
    times = _describe_times(obj, layout, found, train_needs)
    if layout.axes.member is not None:
        train_needs.append("one member: .isel(...)")
    if times is not None and not train_needs:
        found.rows.append(("memory", _training_memory(fields, layout)))
    train_needs = train_needs or []
    basic = [item.what for item in problems]
    found.missing["train"] = train_needs or ["needs a network"]
    found.missing["assimilate"] = basic or ["needs observations and model="]
    found.missing["observe"] = train_needs or ["needs a network"]
    found.missing["superob"] = basic or ["needs like= (as gridded observations)"]


def _describe_grid(layout: Layout, found: Description) -> None:
    """Rows of the axes."""
    grid = layout.grid
    units = {"depth": "m", "lat": "degrees north", "lon": "degrees east"}
    for name in ("depth", "lat", "lon"):
        axis = getattr(grid, name)
        mine = getattr(layout.axes, name)
        if axis is None:
            found.rows.append((name, "absent" if mine is None else f"{mine!r} is not usable"))
            continue
        text = f"{mine!r}, {axis.size} from {axis[0]:.5g} to {axis[-1]:.5g} {units[name]}"
        found.rows.append((name, text + (", cyclic" if name == "lon" and grid.cyclic else "")))
    found.rows += [("guess", text) for text in layout.axes.guesses]


def _wet_cells(da: xr.DataArray, layout: Layout) -> str:
    """Count the sea in the first record, if it is in memory."""
    if not isinstance(da.variable._data, np.ndarray):
        return "not counted (values are not in memory)"
    lead = {d: 0 for d in (layout.axes.time, layout.axes.member) if d is not None}
    count = int(np.isfinite(da.isel(lead).values).sum())
    return f"{count} of {int(np.prod(layout.grid.shape))} in the first record"


def _describe_times(
    obj: xr.Dataset | xr.DataArray, layout: Layout, found: Description, needs: list[str]
) -> np.ndarray | None:
    """Rows of time, calendar and the cycles that fit."""
    name = layout.axes.time
    if name is None:
        needs.append("no time axis")
        return None
    times = obj[name].values
    try:
        calendar = calendar_of(times)
    except InputError as error:
        needs.append(str(error).splitlines()[-1].strip() or "no usable times")
        return None
    found.rows.append(("time", f"{name!r}, {times.size} from {times[0]} to {times[-1]}"))
    kind = "datetime64" if calendar == "standard" else "cftime"
    found.rows.append(("calendar", f"{calendar} ({kind})"))
    fitting = [c for c in CYCLES if _covers(times, Cycle(c))]
    found.rows.append(("cycles", ", ".join(fitting) or "none without gaps"))
    if not fitting:
        needs.append("no cycle is covered without gaps")
    return times


def _covers(times: np.ndarray, cycle: Cycle) -> bool:
    """Whether every cycle of the period holds a time."""
    index = np.unique(cycle.index(times))
    return bool(index.size == index[-1] - index[0] + 1 and index.size > 1)


def _training_memory(fields: dict[str, xr.DataArray], layout: Layout) -> str:
    """Memory that a training step will take with the default architecture."""
    from xdeepda.architectures import architecture_spec
    from xdeepda.training.settings import TrainingSettings, training_bytes

    nz, ny, nx = layout.grid.shape
    spec = architecture_spec("default")
    one, all_ = (
        training_bytes((n * nz, ny, nx), spec, TrainingSettings()) / 2**30 for n in (1, len(fields))
    )
    text = f"about {one:.2g} GiB to train one variable"
    return text + (f", {all_:.2g} GiB for all {len(fields)}" if len(fields) > 1 else "")
