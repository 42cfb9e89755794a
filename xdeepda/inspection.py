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
from xdeepda.axes import find_axes
from xdeepda.calendar import CYCLES, Cycle, calendar_of
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Layout, layout_of
from xdeepda.options import available_memory
from xdeepda.source import HOLD_BYTES, select_fields
from xdeepda.verification.table import as_text, is_scores

#: Fraction of the years that ``train`` keeps for validation by default.
_VALIDATION = 0.15


@dataclass
class Description:
    """Rows of (word, text), and what each verb lacks."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)


def describe(obj: xr.Dataset | xr.DataArray) -> str:
    """Return the text of the repr."""
    if is_scores(obj):
        return as_text(obj)
    found = _inspect(obj)
    lines = [f"<xdeepda: {type(obj).__name__}>"]
    width = max((len(word) for word, _ in found.rows), default=0)
    lines += [f"  {word:<{width}}  {text}" for word, text in found.rows]
    lines.append("  verbs:")
    for verb, told in found.missing.items():
        lines.append(f"    .{verb:<15} " + ("ready" if not told else "; ".join(told)))
    return "\n".join(lines)


def describe_html(obj: xr.Dataset | xr.DataArray) -> str:
    """Return the same as a table for notebooks."""
    if is_scores(obj):
        return f"<pre>{escape(as_text(obj))}</pre>"
    found = _inspect(obj)
    rows = [f"<tr><th>{escape(w)}</th><td>{escape(t)}</td></tr>" for w, t in found.rows]
    for verb, told in found.missing.items():
        state = "ready" if not told else "; ".join(told)
        rows.append(f"<tr><th>.{escape(verb)}</th><td>{escape(state)}</td></tr>")
    title = f"<b>xdeepda</b>: {type(obj).__name__}"
    return f"<div>{title}<table style='text-align:left'>{''.join(rows)}</table></div>"


def _inspect(obj: xr.Dataset | xr.DataArray) -> Description:
    """Look at an object as observations or as fields."""
    from xdeepda.observations.columns import is_points

    found = Description()
    plain = unit_tools.dequantify(obj)
    fields = _fields(plain)
    if is_points(plain):
        _inspect_table(plain, found)
        return found
    if not fields:
        refused = _refusal(plain)
        found.rows.append(("grid", refused) if refused else ("fields", "none found"))
        told = "needs a regular grid" if refused else "no variable with spatial axes"
        found.missing["train"] = found.missing["assimilate"] = [told]
        return found
    _inspect_fields(plain, fields, found)
    return found


def _refusal(obj: xr.Dataset | xr.DataArray) -> str | None:
    """Why fields of this object cannot be used: a curvilinear grid and the like."""
    for da in obj.data_vars.values() if isinstance(obj, xr.Dataset) else ():
        try:
            find_axes(da, Problems("inspect"))
        except NotImplementedError as error:
            return str(error)
    return None


def _inspect_table(obj: xr.Dataset | xr.DataArray, found: Description) -> None:
    """Describe a table of observations."""
    from xdeepda.observations.columns import find_roles

    ds = obj if isinstance(obj, xr.Dataset) else obj.to_dataset(name=str(obj.name or "value"))
    roles = find_roles(ds)
    found.rows.append(("observations", f"{int(np.prod(list(ds.sizes.values())))} points"))
    found.rows += [(role, f"{name!r}") for role, name in roles.items()]
    lacking = [r for r in ("time", "latitude", "longitude") if r not in roles]
    told = [f"no {r} found" for r in lacking]
    for verb in ("quality_control", "quality_report"):
        found.missing[verb] = told
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
        elif not _is_known(unit):
            problems.add(f"units {unit!r} of {name!r} are not understood")
    _describe_grid(layout, found)
    found.rows.append(("wet cells", _wet_cells(first, layout)))
    basic = [item.what for item in problems]
    observe_needs = list(basic)
    fitting = _describe_times(obj, layout, found, observe_needs)
    if layout.axes.member is not None:
        observe_needs.append("one member: .isel(...)")
    train_needs = list(observe_needs)
    if fitting and not train_needs:
        found.rows.append(("memory", _training_memory(fields, layout, obj)))
        train_needs = _too_short(fitting)
    # the cycle has a default, which does not suit every run
    cycle = "" if "pentad" in fitting or not fitting else f" and cycle={next(iter(fitting))!r}"
    found.missing["train"] = train_needs or [f"needs a network{cycle}"]
    found.missing["assimilate"] = basic or ["needs observations and model="]
    found.missing["observe"] = observe_needs or ["needs a network"]
    found.missing["superob"] = basic or ["needs like= (as gridded observations)"]
    found.missing["network"] = basic or ["needs like= (as gridded observations)"]
    if any(f"{name}_background" in fields for name in fields):
        found.missing["increment"] = []
        found.missing["initial_conditions"] = ["needs like= (a grid with its land)"]


def _is_known(unit: str) -> bool:
    """Whether a unit can be parsed."""
    try:
        unit_tools.parse(unit)
    except InputError:
        return False
    return True


def _too_short(fitting: dict[str, int]) -> list[str]:
    """Why no cycle has enough years to train on, if none has."""
    from xdeepda.training.preparation import fewest_cycles, split_years

    lacking = []
    for name, count in fitting.items():
        per_year = CYCLES[name]
        remain = split_years(count, per_year, _VALIDATION)
        if remain >= fewest_cycles(per_year):
            return []
        lacking.append(f"{max(remain, 0)} of {fewest_cycles(per_year)} {name}s")
    return [f"too few years: without those of validation {' or '.join(lacking)}"]


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
    if int(np.prod(layout.grid.shape)) != da.isel(lead).size:
        return "not counted (not all axes are usable)"
    count = int(np.isfinite(da.isel(lead).values).sum())
    return f"{count} of {int(np.prod(layout.grid.shape))} in the first record"


def _describe_times(
    obj: xr.Dataset | xr.DataArray, layout: Layout, found: Description, needs: list[str]
) -> dict[str, int]:
    """Rows of time, calendar and cycles; returns the number of cycles by those that fit."""
    name = layout.axes.time
    if name is None:
        needs.append("no time axis")
        return {}
    times = obj[name].values
    try:
        calendar = calendar_of(times)
    except InputError as error:
        needs += [f"{item.what} ({item.todo})" for item in getattr(error, "problems", ())]
        return {}
    found.rows.append(("time", f"{name!r}, {times.size} from {times[0]} to {times[-1]}"))
    kind = "datetime64" if calendar == "standard" else "cftime"
    found.rows.append(("calendar", f"{calendar} ({kind})"))
    counts = {name: _covered(times, Cycle(name)) for name in CYCLES}
    fitting = {name: count for name, count in counts.items() if count > 1}
    found.rows.append(("cycles", ", ".join(fitting) or "none without gaps"))
    if not fitting:
        needs.append("no cycle is covered without gaps")
    return fitting


def _covered(times: np.ndarray, cycle: Cycle) -> int:
    """Number of cycles, 0 unless every one of the period holds a time."""
    index = np.unique(cycle.index(times))
    return int(index.size) if index.size == index[-1] - index[0] + 1 else 0


def _training_memory(
    fields: dict[str, xr.DataArray], layout: Layout, obj: xr.Dataset | xr.DataArray
) -> str:
    """Memory that training will take with the default architecture, of what is free."""
    from xdeepda.architectures import architecture_spec
    from xdeepda.training.settings import TrainingSettings, training_bytes

    nz, ny, nx = layout.grid.shape
    spec = architecture_spec("default")
    # a run that dask does not hold is read into memory as a whole, up to a limit
    held = 0 if any(da.chunks for da in fields.values()) else obj.sizes[layout.axes.time]
    one, all_ = (
        (
            training_bytes((n * nz, ny, nx), spec, TrainingSettings())
            + min(4 * held * n * nz * ny * nx, HOLD_BYTES)
        )
        / 2**30
        for n in (1, len(fields))
    )
    text = f"about {one:.2g} GiB to train one variable"
    text += f", {all_:.2g} GiB for all {len(fields)}" if len(fields) > 1 else ""
    free = available_memory()
    return text + (f"; {free / 2**30:.2g} GiB are free" if free else "")
