"""What is asked of ``initial_conditions``, understood and checked before anything is read.

Knows labels, axes and grids.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.axes import find_axes
from xdeepda.calendar import positions_of
from xdeepda.conditions.transfer import Transfer
from xdeepda.diagnostics import water
from xdeepda.diagnostics.fields import Field, look
from xdeepda.diagnostics.weights import depth_edges
from xdeepda.errors import InputError, MemoryForeseenError, Problems
from xdeepda.observations.departures import analysed_variables
from xdeepda.observations.quantities import SALINITY, TEMPERATURE, kind_of
from xdeepda.options import available_memory
from xdeepda.verification.fields import as_dataset, understood

logger = logging.getLogger("xdeepda")

#: What to do with sea of the target that the analysis does not reach.
BEYOND = ("refuse", "nearest")


@dataclass(frozen=True, eq=False)
class Target:
    """The grid that is asked for.

    Attributes
    ----------
    field : Field
        What of ``like=`` shows the land; its unit is none.
    sea : numpy.ndarray of bool, shape (nz, ny, nx)
    """

    field: Field
    sea: np.ndarray


@dataclass(frozen=True, eq=False)
class Request:
    """All that is asked for.

    Attributes
    ----------
    fields : dict of Field
        Of the analysis, by name; with the chosen times, or the mean of the members.
    target : Target
    transfers : dict of Transfer
    temperature, salinity : str or None
        Names of the two that make density, where there are any.
    kind : str or None
        Which temperature it is.
    stabilise : bool
    tolerance : float
    dataset : Dataset
        The analysis, dequantified, with an axis of time where it has a time.
    """

    fields: dict[str, Field]
    target: Target
    transfers: dict[str, Transfer]
    temperature: str | None
    salinity: str | None
    kind: str | None
    stabilise: bool
    tolerance: float
    dataset: xr.Dataset


@dataclass(frozen=True)
class Wishes:
    """Arguments of the verb as they are given."""

    time: Any
    var: str | Sequence[str] | None
    members: bool | None
    beyond: str
    stabilise: bool | None
    tolerance: float
    temperature: str | None

    def check(self, problems: Problems) -> None:
        """Refuse values that none of them has."""
        if self.beyond not in BEYOND:
            problems.add(f"beyond={self.beyond!r} is not known", expected=f"one of {BEYOND}")
        if not self.tolerance >= 0:
            problems.add("tolerance= is negative", found=repr(self.tolerance), expected="kg m-3")


def understand(analysis: Any, like: Any, wishes: Wishes) -> Request:
    """Check everything; tell everything that is wrong at once.

    Raises
    ------
    InputError, MemoryForeseenError
    """
    problems = Problems("initial_conditions")
    wishes.check(problems)
    ds = as_dataset(analysis)
    if ds is None:
        problems.add("this is no analysis", found=type(analysis).__name__,
                     expected="a Dataset or DataArray")  # fmt: skip
    ds = None if ds is None else _with_time_axis(ds)
    fields = {} if ds is None else _fields(ds, wishes.var, problems)
    target = _target(like, list(fields), problems)
    fields = _on_axes(fields, target, wishes.var, problems)
    fields = _at_times(fields, wishes.time, problems)
    fields = {n: _with_members(f, wishes.members, problems) for n, f in fields.items()}
    warm, salt, kind = _density_of(fields, wishes, problems)
    transfers = {}
    if target is not None:
        transfers = _transfers(fields, target)
        _check_reach(fields, transfers, target, wishes.beyond, problems)
    problems.raise_if_any()
    assert target is not None  # told above
    assert ds is not None
    _foresee(fields, target)
    stabilise = wishes.stabilise is not False and None not in (warm, salt)
    return Request(fields, target, transfers, warm, salt, kind, stabilise, wishes.tolerance, ds)


# ---- the analysis


def _fields(
    ds: xr.Dataset, var: str | Sequence[str] | None, problems: Problems
) -> dict[str, Field]:
    """Variables of an analysis, by name."""
    names = [var] if isinstance(var, str) else list(var) if var is not None else None
    names = analysed_variables(ds, problems) if names is None else names
    try:
        found = {name: look(ds, name, problems) for name in names}
    except NotImplementedError as error:
        problems.add(f"the analysis cannot be brought to another grid: {error}")
        return {}
    return {name: f for name, f in found.items() if f is not None}


def _with_time_axis(ds: xr.Dataset) -> xr.Dataset:
    """Dataset whose single time, if it has one, is an axis of length 1 of its fields."""
    for name, coord in ds.coords.items():
        if coord.ndim or not (coord.dtype.kind == "M" or hasattr(coord.item(), "calendar")):
            continue
        own = coord.attrs.get("bounds")
        others = {str(c.attrs.get("bounds")) for c in ds.variables.values()} - {str(own)}
        plain = ds.drop_vars([name])
        fields = [n for n, da in plain.data_vars.items() if da.ndim and str(n) not in others]
        out = plain.assign({n: plain[n].expand_dims({name: 1}) for n in fields})
        return out.assign_coords({name: ((name,), coord.values[None], coord.attrs)})
    return ds


def _on_axes(
    fields: dict[str, Field],
    target: Target | None,
    var: str | Sequence[str] | None,
    problems: Problems,
) -> dict[str, Field]:
    """Fields that lie on the axes of the target; a problem where others were asked for."""
    if target is None:
        return fields
    axes = target.field.grid.dims
    other = {n: f for n, f in fields.items() if f.grid.dims != axes}
    for name, field in other.items() if var is not None or len(other) == len(fields) else ():
        problems.add(f"{name!r} of the analysis has other axes than like=",
                     found=f"{field.grid.dims}", expected=f"{axes}")  # fmt: skip
    if other and not len(problems):
        logger.info("initial_conditions: on other axes than like=, left out: %s", list(other))
    return {n: f for n, f in fields.items() if n not in other}


def _at_times(fields: dict[str, Field], time: Any, problems: Problems) -> dict[str, Field]:
    """Fields at the chosen times."""
    if not fields:
        return fields
    first = next(iter(fields.values())).values
    if "time" not in first.dims:
        if time is not None:
            problems.add("the analysis has no time axis", found=f"time={time!r}",
                         expected="time=None")  # fmt: skip
        return fields
    axis = first["time"]
    if not axis.size:
        problems.add("the analysis has no times", expected="at least one state")
        return fields
    if time is None:
        if axis.size > 1:
            logger.info("initial_conditions: the last time, %.10s", str(axis.values[-1]))
        positions = np.array([axis.size - 1])
    else:
        labels = [time] if isinstance(time, (str, slice)) else list(np.asarray(time).ravel())
        found = [positions_of(axis, label, problems) for label in labels]
        if not found:
            problems.add("time= is an empty list")
        parts = [f for f in found if f is not None]
        positions = np.unique(np.concatenate(parts)) if parts else np.zeros(0, int)
    order = positions[np.argsort(axis.values[positions], kind="stable")]
    return {
        n: replace(f, values=f.values.isel(time=order)) if "time" in f.values.dims else f
        for n, f in fields.items()
    }


def _with_members(field: Field, members: bool | None, problems: Problems) -> Field:
    """Field with its members, or their mean."""
    has = "member" in field.values.dims
    if members and not has:
        problems.add(
            f"members were asked for, and {field.name!r} has none",
            found=f"dimensions {field.layout.dims}",
            expected="a dimension of members",
            todo="assimilate(..., members=N, keep_members=True)",
        )
    if members is False and has:
        return replace(field, values=field.values.mean("member", dtype=np.float64))
    return field


def _density_of(
    fields: dict[str, Field], wishes: Wishes, problems: Problems
) -> tuple[str | None, str | None, str | None]:
    """Names of temperature and salinity, and the kind of the former."""
    kinds: dict[str, list[str]] = {TEMPERATURE: [], SALINITY: []}
    for name, field in fields.items():
        kind = kind_of(name, str(field.array.attrs.get("standard_name", "")), field.unit)
        if kind in kinds and field.grid.depth is not None:
            kinds[kind].append(name)
    warm, salt = (names[0] if len(names) == 1 else None for names in kinds.values())
    kind = None
    if warm is not None:
        kind = water.temperature_kind(fields[warm], wishes.temperature, problems)
    if wishes.stabilise and fields and None in (warm, salt):
        problems.add(
            "columns cannot be made stable without temperature and salinity, one of each",
            found=f"variables {list(fields)}",
            todo="analyse both (train(..., var=['thetao', 'so'])), or stabilise=None",
        )
    return warm, salt, kind


# ---- the target


def _target(like: Any, names: list[str], problems: Problems) -> Target | None:
    """Understand ``like=``; None with a problem."""
    ds = as_dataset(like)
    if ds is None:
        problems.add("like= is no grid", found=type(like).__name__,
                     expected="a Dataset or DataArray of which NaN is land")  # fmt: skip
        return None
    before = len(problems)
    name = _mask_name(ds, names, problems)
    if name is None:
        return None
    layout = understood(ds[name], "like=", problems)
    if layout is None or len(problems) > before:
        return None
    field = Field(name, "1", layout.canonical(ds[name]), layout, ds)
    sea = _sea(field, problems)
    return None if sea is None else Target(field, sea)


def _mask_name(ds: xr.Dataset, names: list[str], problems: Problems) -> str | None:
    """Variable of ``like=`` that shows its land."""
    bounds = {str(c.attrs.get("bounds")) for c in ds.variables.values()}
    there = [
        str(n)
        for n, da in ds.data_vars.items()
        if da.dtype.kind in "biuf" and str(n) not in bounds and _has_space(da, problems)
    ]
    own = [n for n in names if n in there]
    if own or len(there) == 1:
        return own[0] if own else there[0]
    most = max((ds[n].ndim for n in there), default=0)
    there = [n for n in there if ds[n].ndim == most]
    if len(there) == 1:
        return there[0]
    if not len(problems):
        problems.add(
            "like= does not show its land" if not there else "which variable shows land is unclear",
            found=f"fields {there}",
            expected="one field that is NaN on land",
            todo="like=grid['name']",
        )
    return None


def _has_space(da: xr.DataArray, problems: Problems) -> bool:
    """Whether a variable lies in space; a curvilinear grid is a problem."""
    try:
        axes = find_axes(da)
    except InputError:
        return da.ndim > 1
    except NotImplementedError as error:
        told = f"like= cannot be reached: {error}"
        if told not in [p.what for p in problems]:
            problems.add(told)
        return False
    return any((axes.depth, axes.lat, axes.lon))


def _sea(field: Field, problems: Problems) -> np.ndarray | None:
    """Sea of the target, of its first time and member, shape (nz, ny, nx)."""
    lead = {d: 0 for d in ("member", "time") if d in field.values.dims}
    values = field.values.isel(lead).values.reshape(field.grid.shape)
    if values.dtype == bool:
        sea = values
    else:
        sea = np.isfinite(values)
        if sea.all() and values.size > 1 and np.isin(values, (0, 1)).all():
            problems.add(
                f"like= has no NaN: {field.name!r} holds only zeros and ones",
                expected="NaN on land, or a mask of True and False",
                todo=f"like=grid[{field.name!r}] == 1, if 1 is the sea",
            )
            return None
    if not sea.any():
        problems.add("like= has no sea", found=f"{field.name!r} is NaN everywhere")
        return None
    if sea.all():
        logger.info("initial_conditions: like= has no land")
    return sea


# ---- what can be reached


def _transfers(fields: dict[str, Field], target: Target) -> dict[str, Transfer]:
    """What brings each variable over: one for all that are on the same grid."""
    out: dict[str, Transfer] = {}
    for name, field in fields.items():
        same = [o for o in out if not fields[o].grid.differences(field.grid)]
        if same:
            out[name] = out[same[0]]
            continue
        deep = field.grid.depth is not None and target.field.grid.depth is not None
        edges = (depth_edges(field), depth_edges(target.field)) if deep else (None, None)
        out[name] = Transfer(field.grid, target.field.grid, edges)
    return out


def _check_reach(
    fields: dict[str, Field],
    transfers: dict[str, Transfer],
    target: Target,
    beyond: str,
    problems: Problems,
) -> None:
    """Refuse, or tell, sea of the target beyond the analysis."""
    told: set[str] = set()
    for name, transfer in transfers.items():
        source, sea = fields[name].grid, target.sea
        if not (sea & transfer.within).any():
            words = f"like= has no sea within the domain of {name!r}"
            problems.add(words, found=str(target.field.grid), expected=f"cells within {source}")
            continue
        for what, found, todo in _reaches(transfer, source, target):
            if what in told:
                continue
            told.add(what)
            if beyond == "nearest":
                logger.warning("initial_conditions: %s: %s; filled from the nearest", what, found)
            else:
                problems.add(what, found=found, todo=todo)


def _reaches(transfer: Transfer, source: Any, target: Target) -> list[tuple[str, str, str]]:
    """What the source does not reach: words, what was found, what to do."""
    grid, sea, out = target.field.grid, target.sea, []
    deep = sea & ~transfer.depth[:, None, None]
    if deep.any():
        levels = np.flatnonzero(deep.any(axis=(1, 2)))
        first, last = source.depth_edges[0], source.depth_edges[-1]
        assert grid.depth is not None  # its axes are those of the source
        out.append(
            (
                "like= has levels that the analysis does not reach",
                f"{levels.size} of {sea.shape[0]} levels, {grid.depth[levels[0]]:g} to "
                f"{grid.depth[levels[-1]]:g} m, {deep.sum():,} cells; the analysis reaches from "
                f"{first:g} to {last:g} m",
                "beyond='nearest' continues the nearest level that is reached; or cut like= to "
                "the levels that are, and take the others from a climatology",
            )
        )
    away = (sea & ~(transfer.lat[:, None] & transfer.lon)).any(axis=0)
    if away.any():
        out.append(
            (
                "like= has sea beyond the domain of the analysis",
                f"{away.sum():,} of {sea.any(axis=0).sum():,} columns; the analysis is of {source}",
                "beyond='nearest' fills them smoothly from the border; or cut like=",
            )
        )
    return out


def _foresee(fields: dict[str, Field], target: Target) -> None:
    """Refuse what would not fit into memory."""
    states = sum(int(np.prod([f.values.sizes.get(d, 1) for d in ("member", "time")]))
                 for f in fields.values())  # fmt: skip
    # the result and its copies with labels; a dozen fields in double precision on the way
    needed, free = target.sea.size * (3 * 4 * states + 12 * 8), available_memory()
    if free is not None and needed > 0.9 * free:
        problems = Problems("initial_conditions", MemoryForeseenError)
        problems.add(
            f"{states} fields would not fit into memory",
            found=f"about {needed / 2**30:.3g} GiB needed, {free / 2**30:.3g} GiB free",
            todo="fewer times or members at once, one file for each",
        )
        problems.raise_if_any()
