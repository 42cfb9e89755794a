"""Fields with some land that the tests of observations share."""

from __future__ import annotations

import numpy as np
import xarray as xr

DEPTH = np.array([5.0, 30.0, 100.0, 400.0])
LAT = np.arange(-80.0, 81.0, 20.0)
LON = np.arange(0.0, 360.0, 30.0)


def make_field(times, depth=DEPTH, lat=LAT, lon=LON, *, seed=0, units="degC", name="thetao"):
    """A field with some land, CF attributes, canonical order."""
    rng = np.random.default_rng(seed)
    shape = (len(times), len(depth), len(lat), len(lon))
    values = 10 + rng.normal(size=shape)
    land = np.random.default_rng(99).random(shape[1:]) < 0.15
    land[1:] |= land[:1]
    values[:, land] = np.nan
    return xr.DataArray(
        values + (273.15 if units == "K" else 0),
        dims=("time", "depth", "lat", "lon"),
        coords={
            "time": times,
            "depth": ("depth", depth, {"units": "m", "positive": "down"}),
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
        name=name,
        attrs={"units": units, "standard_name": "sea_water_potential_temperature"},
    )
