"""Small fields and tables for the tests of observations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from observation_fields import make_field


@pytest.fixture
def field():
    """Three years of months."""
    return make_field(pd.date_range("2001-01-01", periods=36, freq="MS") + pd.Timedelta(days=14))


@pytest.fixture
def table_of():
    """Make a table of points: positions given, values and errors drawn."""

    def make(depth, lat, lon, time=None, *, seed=0, error=True, units="degC", **columns):
        rng = np.random.default_rng(seed)
        n = len(lat)
        if time is None:
            start = np.datetime64("2001-01-01", "ns")
            time = start + (rng.random(n) * 700 * 86400e9).astype("timedelta64[ns]")
        ds = xr.Dataset(
            {
                "thetao": (
                    "obs",
                    rng.normal(10, 1, n) + (273.15 if units == "K" else 0),
                    {"units": units, "standard_name": "sea_water_potential_temperature"},
                )
            },
            coords={
                "time": ("obs", time),
                "depth": ("obs", np.asarray(depth, dtype=float), {"units": "m"}),
                "latitude": ("obs", np.asarray(lat, dtype=float), {"units": "degrees_north"}),
                "longitude": ("obs", np.asarray(lon, dtype=float), {"units": "degrees_east"}),
                **{name: ("obs", np.asarray(v)) for name, v in columns.items()},
            },
        )
        if error:
            ds["thetao_error"] = ("obs", rng.uniform(0.1, 1, n))
        return ds

    return make


@pytest.fixture
def frame():
    """A DataFrame of four good rows."""
    data = pd.DataFrame(
        {
            "value": [11.0, 12.0, 13.0, 14.0],
            "time": pd.to_datetime(["2001-03-01", "2001-01-02", "2001-03-04", "2001-03-05"]),
            "depth": [5.0, 30.0, 6.0, 100.0],
            "LAT": [0.0, 10.0, 20.0, -40.0],
            "lon": [0.0, -10.0, 200.0, 359.0],
            "error": [0.5, 0.5, 0.25, 0.5],
        }
    )
    data.attrs["units"] = "degC"
    return data
