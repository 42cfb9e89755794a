"""Depths at which a profile crosses something: isotherms and the mixed layer.

Linear between levels.  Knows xarray, numpy and gsw.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda.diagnostics import water
from xdeepda.diagnostics.fields import Field, finished, look, tell_of_spread
from xdeepda.errors import Problems
from xdeepda.observations.quantities import TEMPERATURE

#: Thresholds of the mixed layer: K, and kg m-3.
THRESHOLDS = {"temperature": 0.2, "density": 0.03}


def crossing(
    values: np.ndarray, depth: np.ndarray, limit: np.ndarray, gap: float = np.inf
) -> np.ndarray:
    """Depth of the first fall from at least a limit to below it, from above.

    Parameters
    ----------
    values : numpy.ndarray, shape (..., nz)
        NaN where there is no value.
    depth : numpy.ndarray, shape (nz,)
        Increasing.
    limit : array, broadcasting with (...)
    gap : float
        Greatest distance of two levels, where levels between them are missing.

    Returns
    -------
    numpy.ndarray, shape (...)
        NaN where there is none.

    Examples
    --------
    >>> crossing(np.array([26.0, 22.0, 14.0]), np.array([10.0, 50.0, 150.0]), np.array(20.0))
    array(75.)
    """
    nz = depth.size
    known = np.isfinite(values)
    # the nearest known level above each level, itself excluded
    number = np.where(known, np.arange(nz), -1)
    above = np.maximum.accumulate(number, axis=-1)[..., :-1]
    before = np.take_along_axis(values, np.maximum(above, 0), axis=-1)
    step = depth[1:] - depth[np.maximum(above, 0)]
    skips = above < np.arange(nz - 1)
    limit = np.asarray(limit)[..., None]
    with np.errstate(invalid="ignore"):
        falls = (before >= limit) & (values[..., 1:] < limit)
    falls &= known[..., 1:] & (above >= 0) & ~(skips & (step > gap))
    k = np.argmax(falls, axis=-1)[..., None]
    upper, lower = (np.take_along_axis(v, k, axis=-1) for v in (before, values[..., 1:]))
    distance = np.take_along_axis(step, k, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = depth[1:][k] - distance * (limit - lower) / (upper - lower)
    return np.where(falls.any(axis=-1), found[..., 0], np.nan)


def isotherm_depth(
    ds: xr.Dataset | xr.DataArray,
    value: float = 20.0,
    var: str | None = None,
    *,
    gap: float | None = None,
) -> xr.DataArray:
    """Depth of an isotherm: the first fall of temperature below it, from above.

    Linear between the level that is at least as warm and the colder one below it.

    Parameters
    ----------
    ds : Dataset or DataArray
        With temperature on depth levels.
    value : float, default 20
        Of the isotherm, in degrees Celsius whatever the unit of the field is.
    var : str, optional
        Name of the temperature, where there are several.
    gap : float, optional
        Greatest distance in metres between two levels to interpolate between where
        levels between them are missing, as at a mooring; any distance by default.

    Returns
    -------
    DataArray, float64
        ``isotherm_depth`` in m, with the dimensions of the temperature but depth.
        Missing on land, and where the isotherm is not reached: all of the column is
        colder, or none.

    Raises
    ------
    InputError
        No depth axis or temperature, or only one level.

    Examples
    --------
    >>> section = xr.DataArray(
    ...     [26.0, 22.0, 14.0], dims="depth", name="thetao", attrs={"units": "degC"},
    ...     coords={"depth": ("depth", [10.0, 50.0, 150.0], {"units": "m", "positive": "down"})},
    ... )
    >>> float(isotherm_depth(section, 20))
    75.0
    """
    problems = Problems("isotherm_depth")
    field = look(ds, var, problems, kind=TEMPERATURE, needs=("depth",))
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        problems.add("the isotherm is no number", found=repr(value), expected="degrees Celsius")
    elif not -5 <= value <= 50:
        problems.add("no sea water has this temperature", found=f"{value:g} degC")
    if gap is not None and not gap > 0:
        problems.add("gap= is no distance", found=repr(gap), expected="metres")
    _check_levels(field, problems)
    problems.raise_if_any()
    assert field is not None  # told above
    found = _along_depth(
        lambda t, z: crossing(t, z, np.array(float(value)), np.inf if gap is None else gap),
        field,
        field.in_unit("degC"),
    )
    potential = field.array.attrs.get("standard_name") == "sea_water_potential_temperature"
    return finished(
        found,
        field,
        name="isotherm_depth",
        unit="m",
        long_name=f"depth of the {value:g} degC isotherm",
        # the only temperature that CF has a name for
        standard_name="depth_of_isosurface_of_sea_water_potential_temperature" if potential else "",
        positive="down",
        **tell_of_spread(field),
    )


def _check_levels(field: Field | None, problems: Problems) -> None:
    """A profile has at least two levels."""
    if field is not None and field.grid.depth is not None and field.grid.depth.size < 2:
        problems.add("one level is no profile", found=f"{field.grid.depth[0]:g} m")


def _along_depth(function: Any, field: Field, *arrays: xr.DataArray) -> xr.DataArray:
    """Apply ``function(arrays..., depth)`` along the last axis, lazily where an array is."""
    whole = [a.chunk(depth=-1) if a.chunks is not None else a for a in arrays]
    return xr.apply_ufunc(
        lambda *columns: function(*columns, field.grid.depth),
        *whole,
        input_core_dims=[["depth"]] * len(arrays),
        dask="parallelized",
        output_dtypes=[np.float64],
    )


def mixed_layer_depth(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    criterion: str = "temperature",
    threshold: float | None = None,
    reference: float = 10.0,
    temperature: str | None = None,
    salinity: str | None = None,
) -> xr.DataArray:
    """Depth of the mixed layer by a threshold from a reference depth.

    Where temperature first differs by more than the threshold from that at the reference
    depth, or potential density first exceeds that there; linear between levels.

    Parameters
    ----------
    ds : Dataset or DataArray
        With temperature on depth levels, and salinity for the criterion of density.
    var, salinity : str, optional
        Names of the two, where there are several.
    criterion : {"temperature", "density"}
    threshold : float, optional
        0.2 K or 0.03 kg m-3 by default.
    reference : float, default 10
        Depth in metres; values there are interpolated between levels.
    temperature : {"potential", "conservative", "in-situ"}, optional
        For the density, where neither the standard name nor the name says it.

    Returns
    -------
    DataArray, float64
        ``mixed_layer_depth`` in m, with the dimensions of the temperature but depth.  A
        column that is mixed to its floor has the depth of its deepest level.  Missing
        where the column does not reach the reference depth.

    Raises
    ------
    InputError
        No depth axis or temperature; the first level below the reference depth; no
        salinity where it is needed.

    References
    ----------
    de Boyer Montégut, C., et al. (2004), J. Geophys. Res. 109, C12003: both thresholds.

    Examples
    --------
    >>> ds.deepda.mixed_layer_depth(criterion="density")  # doctest: +SKIP
    """
    problems = Problems("mixed_layer_depth")
    field = look(ds, var, problems, kind=TEMPERATURE, needs=("depth",))
    if criterion not in THRESHOLDS:
        problems.add(f"criterion={criterion!r} is not known", expected=f"of {list(THRESHOLDS)}")
    limit = THRESHOLDS.get(criterion, 1.0) if threshold is None else threshold
    if not limit > 0:
        problems.add("threshold= must be positive", found=repr(threshold))
    _check_levels(field, problems)
    _check_reference(field, reference, problems)
    kind = salt = None
    if field is not None and criterion == "density":
        kind = water.temperature_kind(field, temperature, problems)
        salt = water.salinity_of(field, salinity, problems)
    problems.raise_if_any()
    assert field is not None  # told above
    profile = field.in_unit("degC") if kind is None else _potential_density(field, kind, salt)
    found = _along_depth(
        lambda v, z: _mixed_depth(v, z, reference, limit, both=kind is None), field, profile
    )
    unit, end = ("K", "temperature") if kind is None else ("kg m-3", "sigma_theta")
    return finished(
        found,
        field,
        name="mixed_layer_depth",
        unit="m",
        long_name=f"mixed layer depth: {criterion} {limit:g} {unit} from {reference:g} m",
        standard_name=f"ocean_mixed_layer_thickness_defined_by_{end}",
        **tell_of_spread(field),
    )


def _check_reference(field: Field | None, reference: float, problems: Problems) -> None:
    """The reference depth lies between levels."""
    depth = None if field is None else field.grid.depth
    if depth is not None and not depth[0] <= reference < depth[-1]:
        problems.add(
            "the reference depth is outside of the levels",
            found=f"reference={reference:g} m, levels from {depth[0]:g} to {depth[-1]:g} m",
            todo=f"reference={depth[0]:g} takes the first level",
        )


def _potential_density(field: Field, kind: str, salt: Field | None) -> xr.DataArray:
    """Potential density referred to the surface, kg m-3."""
    pressure = water.pressure_of(field)
    absolute = water.absolute_salinity(salt, pressure)
    celsius = water.conservative_temperature(field, kind, absolute, pressure)
    return water.density(absolute, celsius, 0.0)


def _mixed_depth(
    values: np.ndarray, depth: np.ndarray, reference: float, limit: float, *, both: bool
) -> np.ndarray:
    """Depth at which a profile leaves its value at the reference depth, shape (...)."""
    at = _at_depth(values, depth, reference)
    apart = values - at[..., None]
    # to either side for temperature: an inversion ends the mixed layer as well
    apart = np.abs(apart) if both else apart
    below = depth > reference
    levels = np.concatenate([[reference], depth[below]])
    start = np.where(np.isfinite(at), 0.0, np.nan)[..., None]
    falls = np.concatenate([start, -apart[..., below]], axis=-1)
    # "at least" includes the limit, and "below" does not: the fall passes it
    found = crossing(falls, levels, np.array(-limit))
    deepest = np.where(np.isfinite(values), depth, -np.inf).max(axis=-1)
    found = np.where(np.isnan(found), np.maximum(deepest, reference), found)
    return np.where(np.isfinite(at), found, np.nan)


def _at_depth(values: np.ndarray, depth: np.ndarray, reference: float) -> np.ndarray:
    """Values of profiles at one depth within the levels, linear; shape (...)."""
    k = int(np.searchsorted(depth, reference, side="right")) - 1
    share = (reference - depth[k]) / (depth[k + 1] - depth[k])
    upper, lower = values[..., k], values[..., k + 1]
    return upper if share == 0 else upper * (1 - share) + lower * share
