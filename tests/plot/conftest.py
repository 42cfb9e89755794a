"""Pictures without a screen, closed after each test."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import xarray as xr

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """No figure stays open."""
    from matplotlib import pyplot as plt

    yield
    plt.close("all")


@pytest.fixture(scope="session")
def whole(truth: xr.Dataset) -> xr.Dataset:
    """Analysis of half a year whose parts are known: background 1 K too warm, spread 0.5 K."""
    field = truth["thetao"]
    count = xr.zeros_like(field).astype(np.int32)
    count[:, :, 4, 12] = 2
    out = truth[["thetao", "time_bnds"]].copy()
    words = "Sea water potential temperature"
    out["thetao"].attrs["long_name"] = f"{words}: analysis"
    out["thetao_background"] = (field + 1).assign_attrs(field.attrs)
    out["thetao_spread"] = xr.full_like(field, 0.5).where(field.notnull())
    out["thetao_spread"].attrs = {"units": "K", "long_name": f"{words}: standard deviation"}
    out["thetao_obs_count"] = count.assign_attrs(units="1", long_name="observations")
    out.attrs["cycle"] = "month"
    return out
