"""The analysis as a Dataset: variables, attributes, the user's own labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.errors import InputError
from xdeepda.model import Model
from xdeepda.provenance import history_line, package_version
from xdeepda.source import RunSource

#: Suffix -> (words, CF modifier of the standard name).
_PARTS = {
    "": ("analysis", ""),
    "_spread": ("standard deviation of the analysis error", " standard_error"),
    "_background": ("background", ""),
    "_background_spread": ("standard deviation of the background error", " standard_error"),
    "_obs_count": ("observations used in the cell", " number_of_observations"),
}


class AnalysisWriter:
    """Collects analysed cycles and gives them the user's labels.

    Parameters
    ----------
    source : RunSource
        Of the object whose labels the analysis takes.
    model : Model
    wanted : numpy.ndarray of int64
        Absolute numbers of the cycles to give out.
    calendar : str
        Of the time axis.
    members : int, optional
        Keep this many members in place of the mean.
    """

    def __init__(
        self,
        source: RunSource,
        model: Model,
        wanted: np.ndarray,
        calendar: str,
        *,
        members: int | None = None,
    ) -> None:
        self.source, self.model, self.calendar = source, model, calendar
        self.wanted, self.members = wanted, members
        self.positions = {int(number): n for n, number in enumerate(wanted)}
        shape = (len(wanted), *model.wet.shape)
        self.data: dict[str, np.ndarray] = {
            part: np.empty(shape, np.float32) for part in _PARTS if part != "_obs_count"
        }
        self.data["_obs_count"] = np.zeros(shape, np.int32)
        if members is not None:
            self.data[""] = np.empty((members, *shape), np.float32)

    def write(
        self,
        number: int,
        result: Any,
        climatology: np.ndarray,
        observed: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    ) -> None:
        """Take over one cycle.

        Parameters
        ----------
        number : int
            Absolute number of the cycle.
        result : CycleResult
            Anomalies in the units of the model.
        climatology : numpy.ndarray, shape (variable, nz, ny, nx)
            To add to them.
        observed : (cell, value, error, count)
            Superobservations of the cycle.
        """
        n = self.positions[number]
        best = result.analysis if self.members is None else result.members
        self.data[""][..., n, :, :, :, :] = best + climatology
        self.data["_background"][n] = result.background + climatology
        self.data["_spread"][n] = result.spread
        self.data["_background_spread"][n] = result.background_spread
        cell, _, _, count = observed
        wet = self.model.wet.reshape(-1)[cell]
        self.data["_obs_count"][n].reshape(-1)[cell[wet]] = count[wet]

    def finish(self, call: str, seed: int) -> xr.Dataset:
        """Return the labelled Dataset."""
        cycle = self.model.cycle
        name = self.source.layout.axes.time or "time"
        out: dict[str, xr.DataArray] = {}
        for v, variable in enumerate(self.source.variables):
            for part in _PARTS:
                out[variable + part] = self._labelled(v, variable, part, name)
        ds = xr.Dataset(out)
        start, end = cycle.bounds(self.wanted, self.calendar)
        ds[f"{name}_bnds"] = ((name, "bnds"), np.stack([start, end], axis=1))
        ds[name].attrs = {
            "standard_name": "time",
            "long_name": f"middle of the {cycle.name}",
            "axis": "T",
            "bounds": f"{name}_bnds",
        }
        ds[name].encoding = self._time_encoding()
        ds[f"{name}_bnds"].encoding = self._time_encoding()
        ds = self._with_other_coordinates(self._with_bounds(ds))
        before = self.source.original.attrs.get("history")
        ds.attrs = {
            "Conventions": "CF-1.11",
            "title": "ocean analysis by xdeepda",
            "history": history_line(call, before),
            "xdeepda_version": package_version(),
            "model_hash": self.model.hash,
            "cycle": cycle.name,
            "seed": seed,
        }
        return unit_tools.requantify_axes(ds, self.source.original)

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
        # datetime64 is proleptic, cftime's "gregorian" is what CF calls standard
        names = {"standard": "proleptic_gregorian", "gregorian": "standard"}
        calendar = names.get(self.calendar, self.calendar)
        year = int(self.wanted[0] // self.model.cycle.per_year)
        unit = f"days since {year:04d}-01-01 00:00:00"
        return {"units": unit, "calendar": calendar, "dtype": "float64"}

    def _labelled(self, v: int, variable: str, part: str, time: str) -> xr.DataArray:
        """One variable of the result on the user's labels."""
        grid, layout = self.model.grid, self.source.layouts[variable]
        values = self.data[part]
        values = values[:, :, v] if values.ndim == 6 else values[:, v]
        lead = ("member", "time") if values.ndim == 5 else ("time",)
        sizes = [getattr(grid, n).size for n in grid.dims]
        values = values.reshape(*values.shape[: len(lead)], *sizes)
        da = xr.DataArray(values, dims=(*lead, *grid.dims))
        times = self.model.cycle.middle(self.wanted, self.calendar)
        da = da.assign_coords(time=times)
        if "member" in da.dims:
            da = da.assign_coords(member=np.arange(da.sizes["member"]))
        da = layout.restore(da)
        member = layout.axes.member
        if member in da.dims and member in self.source.original.coords:
            da = da.assign_coords({member: self.source.original[member].variable})
        if time not in layout.dims:
            da = da.transpose(
                *[d for d in da.dims if d not in layout.dims], *layout.dims, missing_dims="ignore"
            )
        return self._finished(da, v, variable, part)

    def _finished(self, da: xr.DataArray, v: int, variable: str, part: str) -> xr.DataArray:
        """Units and attributes; quantified where the input was."""
        mine, theirs = self.model.units[v], self.source.units[v]
        words, modifier = _PARTS[part]
        kept = self.model.attributes.get(variable, {})
        attrs = {"long_name": f"{kept.get('long_name', variable)}: {words}"}
        if "standard_name" in kept:
            attrs["standard_name"] = kept["standard_name"] + modifier
        if part == "_obs_count":
            da.attrs = {**attrs, "units": "1"}
            return da
        if part.endswith("_spread"):
            da = da.copy(data=unit_tools.convert_difference(da.data, mine, theirs))
            unit = unit_tools.difference_unit(theirs)
        else:
            da = da.copy(data=unit_tools.convert(da.data, mine, theirs))
            unit = theirs
        axes = self.source.layout.axes
        attrs |= {"units": unit, "cell_methods": f"{axes.time or 'time'}: mean"}
        da = da.astype(np.float32)
        da.attrs = attrs
        original = self.source.original
        template: xr.DataArray = (
            original if isinstance(original, xr.DataArray) else original[variable]
        )
        return unit_tools.requantify(da, template)


def user_fields(
    result: Any, climatology: np.ndarray, source: RunSource, model: Model
) -> dict[str, np.ndarray]:
    """Fields of one cycle in the user's units, the numbers that the analysis holds.

    Parameters
    ----------
    result : CycleResult
    climatology : numpy.ndarray, shape (variable, nz, ny, nx)
    source : RunSource
    model : Model

    Returns
    -------
    dict of numpy.ndarray
        ``background``, ``analysis`` and their ``_spread``, shape (variable, nz, ny,
        nx); ``background_members`` and ``analysis_members`` with a leading dimension,
        where there are several.
    """

    def absolute(anomaly: np.ndarray) -> np.ndarray:
        out = (anomaly + climatology).astype(np.float32)
        for v, (mine, theirs) in enumerate(zip(model.units, source.units, strict=True)):
            out[..., v, :, :, :] = unit_tools.convert(out[..., v, :, :, :], mine, theirs)
        return out

    def difference(spread: np.ndarray) -> np.ndarray:
        out = spread.astype(np.float32)
        for v, (mine, theirs) in enumerate(zip(model.units, source.units, strict=True)):
            out[v] = unit_tools.convert_difference(out[v], mine, theirs)
        return out

    fields = {
        "background": absolute(result.background),
        "background_spread": difference(result.background_spread),
        "analysis_spread": difference(result.spread),
    }
    if result.cycled is not None:
        fields["background_members"], fields["analysis_members"] = map(absolute, result.cycled)
    if result.members is None:
        return {**fields, "analysis": absolute(result.analysis)}
    given_out = absolute(result.members)
    mean = given_out.mean(axis=0, dtype=np.float64)
    return {**fields, "analysis": mean, "analysis_members": given_out}


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
