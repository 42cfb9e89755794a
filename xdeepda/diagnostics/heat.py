"""Integrals over a layer: heat content and steric height.

Layers end where they are asked to end: the cell that holds a limit counts in part.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import xarray as xr

from xdeepda.diagnostics import water
from xdeepda.diagnostics.fields import Field, finished, look, tell_of_spread
from xdeepda.diagnostics.weights import area_weights, box_of, layer_thickness, through_layer
from xdeepda.errors import Problems
from xdeepda.observations.quantities import TEMPERATURE

#: kg m-3; the constant density of a Boussinesq ocean.
DENSITY = 1026.0


def heat_content(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    depth: tuple[float, float] = (0.0, 700.0),
    total: bool = False,
    region: Any = None,
    temperature: str | None = None,
    salinity: str | None = None,
    density: float | str = DENSITY,
    partial: bool = False,
) -> xr.DataArray:
    r"""Heat content of a layer of the ocean, relative to 0 °C.

    .. math:: H = \int \rho \, c_p^0 \, \Theta \, dz

    with conservative temperature Θ and the heat capacity of TEOS-10, so that H is the
    potential enthalpy.  The sea of each column is integrated down to the floor or the
    lower limit; a limit within a cell takes its part of the cell.

    Parameters
    ----------
    ds : Dataset or DataArray
        With temperature on depth levels; CF bounds of the depth axis are used where a
        Dataset holds them, else cells end midway between levels.
    var : str, optional
        Name of the temperature, where there are several.
    depth : (float, float), default (0, 700)
        Upper and lower limit in metres.
    total : bool
        Joules of the region in place of joules per square metre.
    region : (south, north, west, east), optional
        With `total`: a box in degrees; cells at its border count in part.  For any other
        region, make the rest land: ``ds.where(mask)``.
    temperature : {"potential", "conservative", "in-situ"}, optional
        Where neither the standard name nor the name says it.  Potential and in-situ
        temperature are turned into conservative temperature.
    salinity : str, optional
        Name of the salinity to do that with; that of the standard ocean (35.165 g/kg)
        by default, which changes the result by less than a thousandth.
    density : float or "in-situ", default 1026
        Constant density in kg m-3, as in a Boussinesq model, or that of temperature,
        salinity and pressure.
    partial : bool
        Accept levels that do not reach through the layer, or a domain that does not
        hold the region, and take what there is.

    Returns
    -------
    DataArray, float64
        ``heat_content`` in J m-2 with the dimensions of the temperature but depth, or in
        J with those of time and member.  Missing where the layer holds no sea, or a value
        of its sea is missing; a total of which a column is missing is missing.

    Raises
    ------
    InputError
        No depth axis or temperature; levels that are too shallow; a region without
        cells; salinity that is asked for and not there.

    References
    ----------
    McDougall, T. J. (2003), J. Phys. Oceanogr. 33, 945: potential enthalpy.
    IOC, SCOR and IAPSO (2010), TEOS-10 manual, section 3.3.

    Examples
    --------
    >>> ocean = xr.DataArray(
    ...     [10.0, 10.0], dims="depth", name="bigthetao",
    ...     coords={"depth": ("depth", [50.0, 150.0], {"units": "m", "positive": "down"})},
    ...     attrs={"units": "degC", "standard_name": "sea_water_conservative_temperature"},
    ... )
    >>> f"{float(heat_content(ocean, depth=(0, 120))):.4g} J m-2"
    '4.915e+09 J m-2'
    """
    problems = Problems("heat_content")
    field = look(ds, var, problems, kind=TEMPERATURE, needs=("depth",))
    box = box_of(region, problems)
    if region is not None and not total:
        problems.add("region= without total=True", todo="total=True, or select the region")
    if field is None or box is None:
        problems.raise_if_any()
    assert field is not None  # told above
    assert box is not None
    kind = water.temperature_kind(field, temperature, problems)
    salt = _salinity(field, salinity, density, problems)
    layer = layer_thickness(field, depth, problems, partial=partial)
    area = None
    if total:
        for axis in ("lat", "lon"):
            if getattr(field.grid, axis) is None:
                problems.add(f"a total needs an axis of {axis}", found=str(field.grid))
        area = area_weights(field, box, problems, partial=partial)
    problems.raise_if_any()
    assert kind is not None
    assert layer is not None
    heat = through_layer(_heat(field, kind, salt, density, layer), layer[layer > 0])
    if area is not None:
        heat = _sum(heat, area)
    return _labelled(heat, field, depth, total, density)


def _salinity(
    field: Field, name: str | None, density: float | str, problems: Problems
) -> Field | None:
    """Salinity, where it is asked for."""
    if isinstance(density, str):
        if density != "in-situ":
            problems.add(
                f"density={density!r} is not known", expected="a number in kg m-3, or 'in-situ'"
            )
            return None
    elif not 900 < density < 1100:
        problems.add("density= is not that of sea water", found=f"{density} kg m-3")
        return None
    return water.salinity_of(field, name, problems) if name or density == "in-situ" else None


def _heat(
    field: Field, kind: str, salt: Field | None, density: float | str, layer: xr.DataArray
) -> xr.DataArray:
    """Heat per volume, in J m-3, of the levels of a layer."""
    absolute, celsius, pressure = _water_within(field, kind, salt, layer)
    if isinstance(density, str):
        return water.CP0 * celsius * water.density(absolute, celsius, pressure)
    return water.CP0 * density * celsius


def _water_within(
    field: Field, kind: str, salt: Field | None, layer: xr.DataArray
) -> tuple[xr.DataArray | float, xr.DataArray, xr.DataArray]:
    """Absolute salinity, conservative temperature and pressure of the levels of a layer."""
    use = layer.values > 0
    pressure = water.pressure_of(field).isel(depth=use)
    field = replace(field, values=field.values.isel(depth=use))
    if salt is not None:
        salt = replace(salt, values=salt.values.isel(depth=use))
    absolute = water.absolute_salinity(salt, pressure)
    return absolute, water.conservative_temperature(field, kind, absolute, pressure), pressure


def _sum(values: xr.DataArray, area: xr.DataArray) -> xr.DataArray:
    """Sum over columns; missing where a column is that has a value at another time."""
    lead = [d for d in ("member", "time") if d in values.dims]
    inside = values.notnull().any(lead) & (area > 0)
    lacking = (values.isnull() & inside).any(area.dims)
    out = xr.dot(values.fillna(0.0), area, dim=area.dims)
    return out.where(inside.any(area.dims) & ~lacking)


def _labelled(
    heat: xr.DataArray, field: Field, depth: tuple[float, float], total: bool, density: float | str
) -> xr.DataArray:
    """Names, units and attributes of a heat content."""
    top, bottom = map(float, depth)
    name = "integral_wrt_depth_of_sea_water_conservative_temperature_expressed_as_heat_content"
    rho = density if isinstance(density, str) else f"{density:g} kg m-3"
    return finished(
        heat,
        field,
        name="heat_content",
        unit="J" if total else "J m-2",
        methods="{depth}: sum" + (" area: sum" if total else ""),
        long_name=f"heat content of {top:g} to {bottom:g} m, relative to 0 degC",
        standard_name="" if total else name,
        density=rho,
        heat_capacity=f"{water.CP0:.6g} J kg-1 K-1",
        **tell_of_spread(field),
    )


def steric_height(
    ds: xr.Dataset,
    var: str | None = None,
    *,
    depth: tuple[float, float] = (0.0, 2000.0),
    temperature: str | None = None,
    salinity: str | None = None,
    partial: bool = False,
) -> xr.DataArray:
    r"""Steric height of a layer: how much higher its water stands than standard water.

    .. math:: h = \frac{1}{g} \int \delta \, dp

    with the specific volume anomaly δ relative to water of 35.165 g/kg and 0 °C, and
    g = 9.7963 m s-2.  It is the dynamic height of the upper limit relative to the lower,
    divided by g; its changes are those of the sea level by temperature and salinity.

    Parameters
    ----------
    ds : Dataset
        With temperature and salinity on the same depth levels.
    var, salinity : str, optional
        Names of the two, where there are several.
    depth : (float, float), default (0, 2000)
        Upper and lower limit in metres; a limit within a cell takes its part of it.
    temperature, partial
        As in :func:`xdeepda.heat_content`.

    Returns
    -------
    DataArray, float64
        ``steric_height`` in m, with the dimensions of the temperature but depth.  Over a
        floor within the layer it is that of the water above the floor.

    Raises
    ------
    InputError
        As in :func:`xdeepda.heat_content`; no salinity.

    References
    ----------
    IOC, SCOR and IAPSO (2010), TEOS-10 manual, sections 3.7 and 3.27.

    Examples
    --------
    >>> ds.deepda.steric_height(depth=(0, 1000))  # doctest: +SKIP
    """
    problems = Problems("steric_height")
    field = look(ds, var, problems, kind=TEMPERATURE, needs=("depth",))
    problems.raise_if_any()
    assert field is not None
    kind = water.temperature_kind(field, temperature, problems)
    salt = water.salinity_of(field, salinity, problems)
    layer = layer_thickness(field, depth, problems, partial=partial)
    problems.raise_if_any()
    assert kind is not None
    assert layer is not None
    absolute, celsius, pressure = _water_within(field, kind, salt, layer)
    anomaly = water.specific_volume_anomaly(absolute, celsius, pressure)
    weight = water.pressure_slope(field).isel(depth=layer.values > 0)
    height = through_layer(anomaly * weight, layer[layer > 0]) / water.GRAVITY
    top, bottom = map(float, depth)
    return finished(
        height,
        field,
        name="steric_height",
        unit="m",
        methods="{depth}: sum",
        long_name=f"steric height of {top:g} to {bottom:g} m, relative to 35.165 g/kg and 0 degC",
        **tell_of_spread(field),
    )
