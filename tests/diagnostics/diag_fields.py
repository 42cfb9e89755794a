"""Fields with known answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import Cycle

POTENTIAL = {"standard_name": "sea_water_potential_temperature", "units": "degC"}
CONSERVATIVE = {"standard_name": "sea_water_conservative_temperature", "units": "degC"}
SALINITY = {"standard_name": "sea_water_practical_salinity", "units": "psu"}


def column(
    values: Any, depth: Any, attrs: dict | None = None, name: str = "thetao"
) -> xr.DataArray:
    """One profile; further dimensions of the values lead and are times or members."""
    values = np.asarray(values, dtype=float)
    dims = ("member", "time")[2 - values.ndim + 1 :] if values.ndim > 1 else ()
    coords: dict[str, Any] = {"depth": ("depth", depth, {"units": "m", "positive": "down"})}
    if "time" in dims:
        coords["time"] = months(values.shape[-2])
    return xr.DataArray(
        values, dims=(*dims, "depth"), coords=coords, name=name, attrs=attrs or POTENTIAL
    )


def months(count: int, calendar: str = "standard", start: int = 2001) -> xr.DataArray:
    """Middle of months."""
    number = start * 12 + np.arange(count)
    return xr.DataArray(Cycle("month").middle(number, calendar), dims="time")


def surface(values: Any, lat: Any, lon: Any, time: Any = None, name: str = "tos") -> xr.DataArray:
    """Sea surface temperature (time, lat, lon) from anything that broadcasts."""
    time = months(24) if time is None else time
    shape = (time.size, np.size(lat), np.size(lon))
    return xr.DataArray(
        np.array(np.broadcast_to(values, shape), dtype=float),
        dims=("time", "lat", "lon"),
        coords={
            "time": np.asarray(time),
            "lat": ("lat", np.asarray(lat, dtype=float), {"units": "degrees_north"}),
            "lon": ("lon", np.asarray(lon, dtype=float), {"units": "degrees_east"}),
        },
        name=name,
        attrs={"standard_name": "sea_surface_temperature", "units": "degC"},
    )
