"""What the tests of the ledger share: points of every fate, and quick schemes."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.grid import grid_of
from xdeepda.observations import PointOperator


@pytest.fixture(scope="session")
def oi(ocean: xr.Dataset) -> xdeepda.Model:
    """Optimal interpolation of temperature: spreads increments, predicts an error."""
    return xdeepda.baselines.oi(ocean, var="thetao", cycle="month")


@pytest.fixture(scope="session")
def persistence(ocean: xr.Dataset) -> xdeepda.Model:
    """The scalar filter in each cell: nothing is spread, all can be checked by hand."""
    return xdeepda.baselines.persistence(ocean, var="thetao", cycle="month")


@pytest.fixture(scope="session")
def many(truth: xr.Dataset) -> xr.Dataset:
    """Table of 600 temperatures anywhere in sea cells, of 60 platforms, in the last half year."""
    return scattered(truth, 600, seed=11)


def scattered(truth: xr.Dataset, size: int, *, seed: int, name: str = "thetao") -> xr.Dataset:
    """Table of points beside cell centres of the sea, with the error that it says."""
    rng = np.random.default_rng(seed)
    field = truth[name]
    where = np.argwhere(np.isfinite(field.values))
    t, k, j, i = where[rng.choice(len(where), size)].T
    error = rng.uniform(0.1, 0.4, size)
    columns = {
        "depth": truth["depth"].values[k],
        "latitude": truth["lat"].values[j] + rng.uniform(-4, 4, size),
        "longitude": truth["lon"].values[i] + rng.uniform(-4, 4, size),
    }
    operator = PointOperator.on(grid_of(field), np.isfinite(field.values[0]), *columns.values())
    value = operator.apply(field.values)[t, np.arange(size)] + error * rng.standard_normal(size)
    unit, standard = field.attrs["units"], field.attrs["standard_name"]
    attrs = {"units": unit, f"units_{name}": unit, f"standard_name_{name}": standard}
    return xr.Dataset(
        {
            "value": ("obs", value, attrs),
            "error": ("obs", error),
            "variable": ("obs", np.full(size, name)),
        },
        coords={
            "time": ("obs", truth["time"].values[t]),
            "depth": ("obs", columns["depth"], {"units": "m", "positive": "down"}),
            "latitude": ("obs", columns["latitude"]),
            "longitude": ("obs", columns["longitude"]),
            "platform": ("obs", np.array([f"p{n}" for n in rng.integers(0, 60, size)])),
        },
    )


@pytest.fixture(scope="session")
def make_points(truth: xr.Dataset):
    """Maker of tables like `many`."""

    def make(size: int, *, seed: int, name: str = "thetao") -> xr.Dataset:
        return scattered(truth, size, seed=seed, name=name)

    return make
