"""States on the target: brought over one by one, made stable, their heat counted.

Works on a Dataset with the canonical names of the axes; the user's come last.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.conditions.heat import common_sea, heat_of, state_of
from xdeepda.conditions.mixing import Mixed, mixed
from xdeepda.conditions.request import Request
from xdeepda.diagnostics import water
from xdeepda.diagnostics.fields import Field, look
from xdeepda.diagnostics.heat import DENSITY
from xdeepda.diagnostics.weights import depth_edges
from xdeepda.errors import Problems

logger = logging.getLogger("xdeepda")

#: Suffix of the share of sea of the analysis in what a cell is made of.
FRACTION = "_source_fraction"
_AXES = {
    "depth": {"standard_name": "depth", "units": "m", "positive": "down", "axis": "Z"},
    "lat": {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "lon": {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
}


class States:
    """Initial states, on canonical axes.

    Parameters
    ----------
    request : Request

    Attributes
    ----------
    ds : Dataset
        The variables as float32 with values on land, too; counts and heat.
    seas : dict of numpy.ndarray of bool
        Cells of the analysis that have a value in each state, by variable.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        grid = request.target.field.grid
        coords = {d: (d, getattr(grid, d), _AXES[d]) for d in grid.dims}
        self.ds = xr.Dataset(coords=coords)
        if grid.depth is not None:
            edges = depth_edges(request.target.field)
            self.ds["depth_bnds"] = ("depth", "bnds"), np.stack([edges[:-1], edges[1:]], axis=1)
            self.ds["depth"].attrs["bounds"] = "depth_bnds"
        self.seas: dict[str, np.ndarray] = {}

    @property
    def sea(self) -> xr.DataArray:
        """Sea of the target."""
        grid = self.request.target.field.grid
        sizes = [getattr(grid, d).size for d in grid.dims]
        return xr.DataArray(self.request.target.sea.reshape(sizes), dims=grid.dims)

    def fetch(self, name: str) -> None:
        """Bring a variable over, state by state.

        Raises
        ------
        InputError
            If a level holds no value at all.
        """
        field, transfer = self.request.fields[name], self.request.transfers[name]
        lead = [d for d in ("member", "time") if d in field.values.dims]
        shape = tuple(field.values.sizes[d] for d in lead)
        sea = self.sea
        out = np.empty((*shape, *sea.shape), np.float32)
        there = np.ones(field.grid.shape, bool)
        for place in np.ndindex(*shape):
            values = state_of(field, lead, place).values.values.reshape(field.grid.shape)
            known = np.isfinite(values)
            _refuse_empty_levels(field, known)
            there &= known
            out[place] = transfer(np.where(known, values, np.nan)).reshape(sea.shape)
        self.seas[name] = there
        share = self._share(name, there)
        self.ds[name] = (*lead, *sea.dims), out, self._counts(name, share)
        self.ds[name + FRACTION] = sea.copy(data=share.reshape(sea.shape).astype(np.float32))
        self.ds[name + FRACTION].attrs = {
            "long_name": f"share of sea of the analysis in what {name} is made of",
            "units": "1",
        }
        for d in lead:
            if d in field.values.coords:
                self.ds = self.ds.assign_coords({d: field.values[d].variable})

    def _share(self, name: str, there: np.ndarray) -> np.ndarray:
        """Share of sea in what the cells of a variable are made of."""
        transfer = self.request.transfers[name]
        for other, sea in self.seas.items():
            same = self.request.transfers[other] is transfer and np.array_equal(sea, there)
            if other != name and same:
                known = self.ds[other + FRACTION].values
                return np.asarray(known, dtype=np.float64).reshape(transfer.within.shape)
        return transfer.share(there)

    def _counts(self, name: str, share: np.ndarray) -> dict[str, str | int]:
        """Attributes of a variable: what it was, and how many cells had no source."""
        request = self.request
        field, sea, within = request.fields[name], request.target.sea, request.transfers[name]
        alone = sea & (share <= 0) & within.within
        beyond = sea & ~within.within
        if alone.any():
            logger.info(
                "initial_conditions: %s: %d of %d cells of the sea have no sea of the analysis "
                "around them, and were filled smoothly from its coast",
                name, alone.sum(), sea.sum(),
            )  # fmt: skip
        kept = {k: field.array.attrs.get(k, "") for k in ("standard_name", "cell_methods")}
        words = str(field.array.attrs.get("long_name", name)).partition(": analysis")[0]
        return {
            **{k: str(v) for k, v in kept.items() if v},
            "long_name": f"{words}: initial condition",
            # as old tools read it, where a Quantity has written a degree sign
            "units": "degC" if field.unit == "°C" else field.unit,
            "cells_of_sea": int(sea.sum()),
            "cells_without_source": int(alone.sum()),
            "cells_partly_from_flooded_land": int((sea & (share > 0) & (share < 1)).sum()),
            "cells_beyond_source": int(beyond.sum()),
        }

    def field(self, name: str) -> Field:
        """A variable as the diagnostics see it, missing on land."""
        problems = Problems("initial_conditions")
        found = look(self.ds, name, problems)
        problems.raise_if_any()
        assert found is not None  # told above
        return replace(found, values=found.values.where(self.sea))

    # ---- stability

    def stabilise(self) -> None:
        """Mix unstable columns, state by state; count them."""
        names = [str(self.request.temperature), str(self.request.salinity)]
        lead = [d for d in ("member", "time") if d in self.ds[names[0]].dims]
        shape = tuple(self.ds.sizes[d] for d in lead)
        columns = np.zeros(shape, np.int32)
        before, after, moved = np.zeros((3, *shape))
        for place in np.ndindex(*shape):
            warm, salt = (state_of(self.field(n), lead, place) for n in names)
            result, *new = self._mixed(warm, salt)
            columns[place] = result.changed.any(axis=1).sum()
            before[place], after[place] = result.before.max(), result.after.max()
            moved[place] = np.nan_to_num(np.abs(new[0] - warm.values).max())
            for name, values in zip(names, new, strict=True):
                changed = values.notnull().values
                self.ds[name].values[place][changed] = values.values[changed]
        limit, warm_unit = self.request.tolerance, self.request.fields[names[0]].unit
        inversion = "largest inversion of density"
        for name, numbers, words, unit in (
            ("mixed_columns", columns, f"columns mixed, with inversions above {limit:g}", "1"),
            ("largest_inversion_before", before, f"{inversion} before mixing", "kg m-3"),
            ("largest_inversion_after", after, f"{inversion} after mixing", "kg m-3"),
            ("largest_change_by_mixing", moved, f"largest change of {names[0]} by mixing",
             unit_tools.difference_unit(warm_unit)),
        ):  # fmt: skip
            self.ds[name] = lead, numbers, {"long_name": words, "units": unit}

    def _mixed(self, warm: Field, salt: Field) -> tuple[Mixed, xr.DataArray, xr.DataArray]:
        """Columns of a state after mixing; temperature and salinity of the cells it changed."""
        kind, pressure = str(self.request.kind), water.pressure_of(warm)
        absolute = water.absolute_salinity(salt, pressure)
        assert isinstance(absolute, xr.DataArray)  # there is a salinity
        celsius = water.conservative_temperature(warm, kind, absolute, pressure)
        order = [*(d for d in ("lat", "lon") if d in celsius.dims), "depth"]
        wet = self.sea.transpose(*order).values
        afloat = wet.any(axis=-1)

        def columns(values: xr.DataArray) -> np.ndarray:
            whole = values.broadcast_like(celsius).transpose(*order).values
            return np.asarray(whole[afloat]).reshape(-1, wet.shape[-1])

        def cells(values: np.ndarray) -> xr.DataArray:
            whole = np.full(wet.shape, np.nan)
            whole[afloat] = np.where(result.changed, values, np.nan).reshape(wet[afloat].shape)
            return celsius.copy(data=xr.DataArray(whole, dims=order).transpose(*celsius.dims).data)

        result = mixed(
            columns(celsius), columns(absolute), columns(pressure), np.diff(depth_edges(warm)),
            self.request.tolerance,
        )  # fmt: skip
        heat, salinity = cells(result.conservative), cells(result.absolute)
        dims = self.sea.dims
        new = water.temperature_from(warm, kind, heat, salinity, pressure).transpose(*dims)
        return result, new, water.salinity_from(salt, salinity, pressure).transpose(*dims)

    # ---- heat

    def count_heat(self) -> None:
        """Heat of source and target over the sea that both have."""
        request, name = self.request, str(self.request.temperature)
        source, target = request.fields[name], self.field(name)
        common = common_sea(source, self.seas[name], target, request.target.sea)
        salt = request.salinity
        kind = str(request.kind)
        mine = heat_of(source, kind, None if salt is None else request.fields[salt],
                       common.of_source)  # fmt: skip
        theirs = heat_of(target, kind, None if salt is None else self.field(salt),
                         common.of_target)  # fmt: skip
        where = f"over the sea that both grids have, {common.volume:.6g} m3, relative to 0 degC"
        for word, heat in (("source", mine), ("target", theirs)):
            whose = "the analysis" if word == "source" else "the initial state"
            attrs = {"long_name": f"heat content of {whose} {where}", "units": "J"}
            self.ds[f"heat_content_{word}"] = heat.assign_attrs(attrs)
        capacity = water.CP0 * DENSITY * common.volume
        told: dict[str, Any] = {
            "long_name": "heat content of the initial state less that of the analysis",
            "units": "J",
            "heat_capacity": capacity,
            "comment": "divided by heat_capacity (J K-1) it is the mean difference of temperature",
        }
        self.ds["heat_content_difference"] = (theirs - mine).assign_attrs(told)


def _refuse_empty_levels(field: Field, known: np.ndarray) -> None:
    """A level without any value gives nothing to flood from."""
    empty = np.flatnonzero(~known.any(axis=(1, 2)))
    if not empty.size:
        return
    depth = field.grid.depth
    told = ", ".join(f"{depth[k]:g} m" for k in empty) if depth is not None else "all"
    problems = Problems("initial_conditions")
    problems.add(
        f"{field.name!r} of the analysis has no value at all on some levels",
        found=told,
        todo="leave these levels, or these times, out of the analysis",
    )
    problems.raise_if_any()
