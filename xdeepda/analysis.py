"""The analysis as a Dataset: variables, attributes, the user's own labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import time_encoding
from xdeepda.errors import InputError
from xdeepda.model import Model
from xdeepda.provenance import history_line, package_version
from xdeepda.source import RunSource

#: Suffix -> (words, CF modifier of the standard name).
PARTS = {
    "": ("analysis", ""),
    "_spread": ("standard deviation of the analysis error", " standard_error"),
    "_background": ("background", ""),
    "_background_spread": ("standard deviation of the background error", " standard_error"),
    "_obs_count": ("observations used in the cell", " number_of_observations"),
}
#: The same of several models: the spread in two parts.
PARTS_OF_MODELS = {
    "": ("analysis, mean over the models", ""),
    "_spread": ("standard deviation of the analysis error, within and between models",
                " standard_error"),
    "_spread_within": ("mean standard deviation of the analysis error that the models predict",
                       None),
    "_spread_between": ("standard deviation of the analysis between the models", None),
    "_background": ("background, mean over the models", ""),
    "_background_spread": ("standard deviation of the background error, within and between models",
                           " standard_error"),
    "_background_spread_within": ("mean standard deviation of the background error that the "
                                  "models predict", None),
    "_background_spread_between": ("standard deviation of the background between the models",
                                   None),
    "_obs_count": ("observations used in the cell", " number_of_observations"),
}  # fmt: skip

#: Fields of one cycle by suffix, (variable, nz, ny, nx) in the units of the model; besides,
#: with a leading dimension, the members given out ("members") and those of the cycle itself
#: ("background_members", "analysis_members").
Fields = dict[str, np.ndarray]
#: Cells, values, errors and counts of the superobservations of one cycle.
CycleCells = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def absolute_fields(result: Any, climatology: np.ndarray) -> Fields:
    """Fields of one cycle out of anomalies.

    Parameters
    ----------
    result : CycleResult
        Anomalies in the units of the model.
    climatology : numpy.ndarray, shape (variable, nz, ny, nx)
        To add to them.

    Returns
    -------
    dict of numpy.ndarray of float32
    """

    def absolute(anomaly: np.ndarray) -> np.ndarray:
        return (anomaly + climatology).astype(np.float32, copy=False)

    fields = {
        "": absolute(result.analysis),
        "_spread": result.spread.astype(np.float32, copy=False),
        "_background": absolute(result.background),
        "_background_spread": result.background_spread.astype(np.float32, copy=False),
    }
    if result.members is not None:
        fields["members"] = absolute(result.members)
    if result.cycled is not None:
        fields["background_members"], fields["analysis_members"] = map(absolute, result.cycled)
    return fields


class Block:
    """Analysed cycles that are held in memory, on the canonical grid.

    Parameters
    ----------
    numbers : numpy.ndarray of int64
        Absolute numbers of the cycles.
    wet : numpy.ndarray of bool, shape (variable, nz, ny, nx)
    parts : sequence of str
        Suffixes.
    members : int, optional
        Keep this many members in place of the mean.
    """

    def __init__(
        self, numbers: np.ndarray, wet: np.ndarray, parts: Iterable[str], members: int | None
    ) -> None:
        self.numbers, self.wet = numbers, wet
        self.positions = {int(number): n for n, number in enumerate(numbers)}
        self.members = members
        shape = (len(numbers), *wet.shape)
        self.data = {part: np.empty(shape, np.float32) for part in parts if part != "_obs_count"}
        self.data["_obs_count"] = np.zeros(shape, np.int32)
        if members is not None:
            self.data[""] = np.empty((members, *shape), np.float32)

    def write(self, number: int, fields: Fields, cells: CycleCells) -> None:
        """Take over one cycle.

        Parameters
        ----------
        number : int
            Absolute number of the cycle.
        fields : dict of numpy.ndarray
        cells : (cell, value, error, count)
            Superobservations of the cycle.
        """
        n = self.positions[number]
        for part, values in self.data.items():
            if part == "" and self.members is not None:
                values[:, n] = fields["members"]
            elif part != "_obs_count":
                values[n] = fields[part]
        cell, _, _, count = cells
        wet = self.wet.reshape(-1)[cell]
        self.data["_obs_count"][n].reshape(-1)[cell[wet]] = count[wet]


class Labels:
    """What the analysis is labelled with: the user's names, order, units and calendar.

    Parameters
    ----------
    source : RunSource
        Of the object whose labels the analysis takes.
    model : Model
        Grid, sea, units and attributes.
    calendar : str
        Of the time axis.
    first : int
        Absolute number of the first cycle that is given out: times are counted from its year.
    members : int, optional
        Number of members, where they are given out.
    attributes : dict, optional
        Global ones, besides those that every analysis has.
    models : int
        Number of models.
    """

    def __init__(
        self,
        source: RunSource,
        model: Model,
        calendar: str,
        first: int,
        *,
        members: int | None = None,
        attributes: Mapping[str, Any] | None = None,
        models: int = 1,
    ) -> None:
        self.source, self.model, self.calendar = source, model, calendar
        self.first, self.members, self.models = first, members, models
        self.parts = PARTS if models == 1 else PARTS_OF_MODELS
        self.attributes = dict(attributes or {})

    @property
    def time(self) -> str:
        """Name of the time axis."""
        return self.source.layout.axes.time or "time"

    def block(self, numbers: np.ndarray) -> Block:
        """Empty block for some cycles."""
        return Block(numbers, self.model.wet, self.parts, self.members)

    def dataset(self, block: Block) -> xr.Dataset:
        """Labelled Dataset of a block, without pint's quantities."""
        out: dict[str, xr.DataArray] = {}
        for v, variable in enumerate(self.source.variables):
            for part in self.parts:
                out[variable + part] = self._labelled(block, v, variable, part)
        ds = self.with_times(xr.Dataset(out), block.numbers)
        ds = self._with_other_coordinates(self._with_bounds(ds))
        ds.attrs = dict(self.attributes)
        return ds

    def with_times(self, ds: xr.Dataset, numbers: np.ndarray) -> xr.Dataset:
        """Dataset with the times of cycles and their bounds."""
        cycle, name = self.model.cycle, self.time
        ds = ds.assign_coords({name: (name, cycle.middle(numbers, self.calendar))})
        start, end = cycle.bounds(numbers, self.calendar)
        ds[f"{name}_bnds"] = ((name, "bnds"), np.stack([start, end], axis=1))
        ds[name].attrs = {
            "standard_name": "time",
            "long_name": f"middle of the {cycle.name}",
            "axis": "T",
            "bounds": f"{name}_bnds",
        }
        ds[name].encoding = self._time_encoding()
        ds[f"{name}_bnds"].encoding = self._time_encoding()
        return ds

    def quantified(self, ds: xr.Dataset) -> xr.Dataset:
        """Dataset with the quantities of pint that the user's object has."""
        original = self.source.original
        for variable in self.source.variables:
            like = original if isinstance(original, xr.DataArray) else original[variable]
            if unit_tools.is_quantified(like):
                names = [variable + part for part in self.parts if part != "_obs_count"]
                ds = ds.assign({n: unit_tools.requantify(ds[n], like) for n in names})
        return unit_tools.requantify_axes(ds, original)

    def _with_bounds(self, ds: xr.Dataset) -> xr.Dataset:
        """Take over the bounds of the axes in space."""
        original = self.source.original
        for coord in self.source.layout.coords.values():
            name = original[coord.name].attrs.get("bounds")
            if isinstance(original, xr.Dataset) and name in original.variables:
                ds[name] = original[name].variable.drop_encoding()
                ds[coord.name].attrs["bounds"] = name
        return ds

    def _with_other_coordinates(self, ds: xr.Dataset) -> xr.Dataset:
        """Take over what lies along the axes in space, and single values, times apart."""
        space = {str(c.name) for c in self.source.layout.coords.values()}
        for name, coord in self.source.original.coords.items():
            is_time = coord.dtype.kind in "MO"
            if name not in ds.variables and not is_time and {*map(str, coord.dims)} <= space:
                ds = ds.assign_coords({name: coord.variable.drop_encoding()})
        return ds

    def _time_encoding(self) -> dict[str, Any]:
        """Days since the first year; bounds must agree with their time axis to the letter."""
        return time_encoding(int(self.first // self.model.cycle.per_year), self.calendar)

    def _labelled(self, block: Block, v: int, variable: str, part: str) -> xr.DataArray:
        """One variable of the result on the user's labels."""
        grid, layout = self.model.grid, self.source.layouts[variable]
        values = block.data[part]
        values = values[:, :, v] if values.ndim == 6 else values[:, v]
        lead = ("member", "time") if values.ndim == 5 else ("time",)
        sizes = [getattr(grid, n).size for n in grid.dims]
        values = values.reshape(*values.shape[: len(lead)], *sizes)
        da = xr.DataArray(values, dims=(*lead, *grid.dims))
        times = self.model.cycle.middle(block.numbers, self.calendar)
        da = da.assign_coords(time=times)
        if "member" in da.dims:
            da = da.assign_coords(member=np.arange(da.sizes["member"]))
        da = self._with_members(layout.restore(da), layout.axes.member or "member")
        if self.time not in layout.dims:
            da = da.transpose(
                *[d for d in da.dims if d not in layout.dims], *layout.dims, missing_dims="ignore"
            )
        return self._finished(da, v, variable, part)

    def _with_members(self, da: xr.DataArray, member: str) -> xr.DataArray:
        """Take over the user's numbers of the members, and number the models along them."""
        if member not in da.dims:
            return da
        if member in self.source.original.coords:
            theirs = self.source.original[member].variable
            if self.models > 1:
                repeated = np.tile(theirs.values, self.models)
                theirs = xr.Variable((member,), repeated, theirs.attrs)
            da = da.assign_coords({member: theirs})
        if self.models > 1:
            number = np.repeat(np.arange(self.models), da.sizes[member] // self.models)
            attrs = {"long_name": "number of the model in model_hash, from 0"}
            da = da.assign_coords(model=(member, number, attrs))
        return da

    def _finished(self, da: xr.DataArray, v: int, variable: str, part: str) -> xr.DataArray:
        """Units and attributes."""
        mine, theirs = self.model.units[v], self.source.units[v]
        words, modifier = self.parts[part]
        kept = self.model.attributes.get(variable, {})
        attrs = {"long_name": f"{kept.get('long_name', variable)}: {words}"}
        if "standard_name" in kept and modifier is not None:
            attrs["standard_name"] = kept["standard_name"] + modifier
        if part == "_obs_count":
            da.attrs = {**attrs, "units": "1"}
            return da
        if "_spread" in part:
            da = da.copy(data=unit_tools.convert_difference(da.data, mine, theirs))
            unit = unit_tools.difference_unit(theirs)
        else:
            da = da.copy(data=unit_tools.convert(da.data, mine, theirs))
            unit = theirs
        axes = self.source.layout.axes
        attrs |= {"units": unit, "cell_methods": f"{axes.time or 'time'}: mean"}
        da = da.astype(np.float32, copy=False)
        da.attrs = attrs
        return da


def user_fields(fields: Fields, source: RunSource, model: Model) -> Fields:
    """Fields of one cycle in the user's units, the numbers that the analysis holds.

    Parameters
    ----------
    fields : dict of numpy.ndarray
        From :func:`absolute_fields`.
    source : RunSource
    model : Model

    Returns
    -------
    dict of numpy.ndarray
        ``background``, ``analysis`` and their ``_spread``, shape (variable, nz, ny,
        nx); ``background_members`` and ``analysis_members`` with a leading dimension,
        where there are several.
    """

    def converted(name: str) -> np.ndarray:
        convert = unit_tools.convert_difference if "_spread" in name else unit_tools.convert
        out = fields[name].copy()
        for v, (mine, theirs) in enumerate(zip(model.units, source.units, strict=True)):
            out[..., v, :, :, :] = convert(out[..., v, :, :, :], mine, theirs)
        return out

    out = {
        "background": converted("_background"),
        "background_spread": converted("_background_spread"),
        "analysis_spread": converted("_spread"),
    }
    for name in ("background_members", "analysis_members"):
        if name in fields:
            out[name] = converted(name)
    if "members" not in fields:
        return {**out, "analysis": converted("")}
    given_out = converted("members")
    mean = given_out.mean(axis=0, dtype=np.float64)
    return {**out, "analysis": mean, "analysis_members": given_out}


def attributes_of(
    source: RunSource, model: Model, call: str, seed: int, hashes: Sequence[str]
) -> dict[str, Any]:
    """Global attributes that every analysis has; `hashes` are of all models."""
    before = source.original.attrs.get("history")
    return {
        "Conventions": "CF-1.11",
        "title": "ocean analysis by xdeepda",
        "history": history_line(call, before),
        "xdeepda_version": package_version(),
        "model_hash": " ".join(hashes),
        "cycle": model.cycle.name,
        "seed": seed,
    }


def increment(analysis: xr.Dataset, var: str | None = None) -> xr.Dataset | xr.DataArray:
    """Analysis minus background.

    Parameters
    ----------
    analysis : Dataset
        From :func:`xdeepda.assimilate`.
    var : str, optional
        One variable; by default all.

    Returns
    -------
    DataArray, or Dataset of ``<var>_increment``
        In the unit of temperature differences and the like.

    Raises
    ------
    InputError
        If there is no analysis with its background.

    Examples
    --------
    >>> analysis.deepda.increment("thetao")  # doctest: +SKIP
    """
    fields = analysis.data_vars if isinstance(analysis, xr.Dataset) else ()
    names = [
        str(n).removesuffix("_background")
        for n in fields
        if str(n).endswith("_background") and str(n).removesuffix("_background") in fields
    ]
    wanted = names if var is None else [var]
    if not names or any(name not in names for name in wanted):
        raise InputError(
            f"increment of {var or 'all variables'}: this is no analysis of it; analysed: {names}"
        )
    out = {}
    for name in wanted:
        plain = {n: unit_tools.dequantify(analysis[n]) for n in (name, f"{name}_background")}
        difference = plain[name] - plain[f"{name}_background"]
        unit = unit_tools.unit_of(analysis[name])
        difference.attrs = {
            "long_name": f"{name}: increment, analysis minus background",
            **({"units": unit_tools.difference_unit(unit)} if unit else {}),
        }
        out[f"{name}_increment"] = unit_tools.requantify(difference, analysis[name])
    return xr.Dataset(out) if var is None else out[f"{var}_increment"].rename(f"{var}_increment")
