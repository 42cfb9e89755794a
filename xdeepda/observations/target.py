"""What observations are brought to: the grid, variables, units and sea of a model.

Knows which variable of the observations is which variable of the model, and
says so wherever names differ.  Knows no observation and no cycle.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Grid, Layout, layout_of
from xdeepda.observations.quantities import kind_of

logger = logging.getLogger("xdeepda")


@dataclass(frozen=True)
class Target:
    """Where observations go.

    Attributes
    ----------
    grid : Grid
    layouts : dict of Layout
        By variable.
    variables, units, standard_names : tuple of str
    wet : numpy.ndarray of bool, shape (variable, nz, ny, nx)
    """

    grid: Grid
    layouts: Mapping[str, Layout]
    variables: tuple[str, ...]
    units: tuple[str, ...]
    standard_names: tuple[str, ...]
    wet: np.ndarray

    def subset(self, positions: Sequence[int]) -> Target:
        """Keep only some of the variables."""
        names = tuple(self.variables[v] for v in positions)
        return Target(
            self.grid,
            {name: self.layouts[name] for name in names},
            names,
            tuple(self.units[v] for v in positions),
            tuple(self.standard_names[v] for v in positions),
            self.wet[list(positions)],
        )

    def kinds(self) -> dict[str, str | None]:
        """Kind of quantity by variable."""
        return {
            name: kind_of(name, standard, unit)
            for name, standard, unit in zip(
                self.variables, self.standard_names, self.units, strict=True
            )
        }


def target_of(
    like: xr.Dataset | xr.DataArray,
    var: str | Sequence[str] | None = None,
    problems: Problems | None = None,
) -> Target | None:
    """Grid, variables, units and wet cells of a model field.

    Parameters
    ----------
    like : Dataset or DataArray
        Of a run, an ensemble or a state; at most three of its records are read,
        for the land mask.
    var : str or list of str, optional
        By default all fields of the Dataset that have units.
    problems : Problems, optional
        Collects what is wrong, and None is returned; raised here if not given.

    Returns
    -------
    Target or None
    """
    own = problems if problems is not None else Problems("like")
    before = len(own)
    fields = _fields(like, var, own)
    layouts = {name: layout_of(da, own) for name, da in fields.items()}
    names = tuple(fields)
    for name in names[1:]:
        if told := layouts[names[0]].grid.differences(layouts[name].grid):
            own.add(f"{names[0]!r} and {name!r} are on different grids", found="; ".join(told))
    units = tuple(_unit(name, da, own) for name, da in fields.items())
    if problems is None:
        own.raise_if_any()
    if len(own) > before:
        return None
    wet = np.stack([_wet(da, layouts[name]) for name, da in fields.items()])
    standard = tuple(str(da.attrs.get("standard_name", "")) for da in fields.values())
    return Target(layouts[names[0]].grid, layouts, names, units, standard, wet)


def _fields(
    like: xr.Dataset | xr.DataArray, var: str | Sequence[str] | None, problems: Problems
) -> dict[str, xr.DataArray]:
    """Fields by name, dequantified; empty with a problem."""
    wanted = [var] if isinstance(var, str) else list(var) if var is not None else None
    plain = unit_tools.dequantify(like)
    if isinstance(plain, xr.DataArray):
        name = str(plain.name) if plain.name is not None else "field"
        return {wanted[0] if wanted and len(wanted) == 1 else name: plain}
    if not isinstance(plain, xr.Dataset):
        problems.add("like is no Dataset or DataArray", found=type(like).__name__)
        return {}
    if wanted is None:
        wanted = _candidates(plain)
    missing = [name for name in wanted if name not in plain.data_vars]
    if missing or not wanted:
        problems.add(
            "variables are not in like",
            found=f"{missing or 'no field on a grid'}",
            expected=f"of {_candidates(plain)}",
        )
        return {}
    return {name: plain[name] for name in wanted}


def _candidates(ds: xr.Dataset) -> list[str]:
    """Fields with as many dimensions as the largest, bounds and masks aside."""
    bounds = {str(v.attrs.get("bounds")) for v in ds.variables.values()}
    sizes = {
        str(name): da.ndim
        for name, da in ds.data_vars.items()
        if str(name) not in bounds
        and not str(name).endswith(("_bnds", "_bounds"))
        and np.issubdtype(da.dtype, np.floating)
        and da.ndim
    }
    return [name for name, ndim in sizes.items() if ndim == max(sizes.values())]


def _unit(name: str, da: xr.DataArray, problems: Problems) -> str:
    """Unit of a field, or a problem."""
    unit = unit_tools.unit_of(da)
    if unit is None:
        problems.add(f"variable {name!r} of like has no units", expected="degC, K, psu, ...")
        return ""
    try:
        unit_tools.parse(unit)
    except InputError as error:
        problems.add(f"units of variable {name!r} are not understood", found=str(error))
    return unit


def _wet(da: xr.DataArray, layout: Layout) -> np.ndarray:
    """Cells with a value in the first, middle or last record; bool, shape (nz, ny, nx)."""
    field = layout.canonical(da)
    if "member" in field.dims:
        field = field.isel(member=0)
    if "time" in field.dims:
        last = field.sizes["time"] - 1
        field = field.isel(time=sorted({0, last // 2, last}))
    found = field.notnull()
    found = found.any("time") if "time" in found.dims else found
    return np.asarray(found.values).reshape(layout.grid.shape)


def match(names: Sequence[str], standard_names: Sequence[str], target: Target) -> list[int]:
    """Variable of the model that each variable of the observations measures.

    By the same name, else the same standard name, else the same kind of quantity
    if the model has one such variable only; said in the log where names differ.
    Units decide nothing: air has a temperature, too.

    Returns
    -------
    list of int
        Position in ``target.variables``, -1 where the model has no such variable.
    """
    kinds = list(target.kinds().values())
    result = []
    for name, standard in zip(names, standard_names, strict=True):
        kind = kind_of(name, standard)
        hits = [v for v, own in enumerate(target.variables) if own == name]
        hits = hits or [
            v for v, own in enumerate(target.standard_names) if standard and own == standard
        ]
        hits = hits or [v for v, own in enumerate(kinds) if kind is not None and own == kind]
        result.append(hits[0] if len(hits) == 1 else -1)
        if len(hits) == 1 and target.variables[hits[0]] != name:
            logger.info("observed %r is the model's %r", name, target.variables[hits[0]])
    return result
