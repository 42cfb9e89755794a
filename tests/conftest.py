"""What the tests share: a small ocean, what observes it, and models trained on it in a second."""

from __future__ import annotations

import os

# one thread: the tests run side by side, and the same thread count means the same bits
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import hypothesis
import numpy as np
import pytest
import xarray as xr

import xdeepda

hypothesis.settings.register_profile(
    "xdeepda",
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "xdeepda"))
xdeepda.set_options(progress=False)

#: A training of three steps: enough that every weight has moved.
TINY = {
    "cycle": "month",
    "architecture": xdeepda.architectures.increment(width=8, deep_width=8, dilations=(1,)),
    "epochs": 1,
    "batch": 8,
    "cycles": 4,
    "learning_rate": 2e-3,
}


def freeze(ds: xr.Dataset) -> xr.Dataset:
    """Make the values read-only: a verb that writes into its input fails."""
    for variable in ds.variables.values():
        variable.values.flags.writeable = False
    return ds


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of real runs and observations: XDEEPDA_DATA, or ../shared/data of the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("XDEEPDA_DATA", beside))
    if not folder.is_dir():
        pytest.skip(
            f"no test data: there is no folder {folder} (environment variable XDEEPDA_DATA)"
        )
    return folder


@pytest.fixture(scope="session")
def tiny() -> dict:
    """Arguments of ``train`` that make it short."""
    return dict(TINY)


@pytest.fixture(scope="session")
def ocean() -> xr.Dataset:
    """Ten years of months of temperature and salinity, 3 levels, 10 x 24 cells, read-only."""
    return freeze(xdeepda.datasets.idealised_ocean(10, resolution=15.0, levels=3, seed=1))


@pytest.fixture(scope="session")
def network(ocean: xr.Dataset) -> xdeepda.Network:
    """So few platforms that each month leaves most of the sea unobserved."""
    return xdeepda.Network.simulated(ocean, "argo", density=0.01)


@pytest.fixture(scope="session")
def tiny_model(ocean: xr.Dataset, network: xdeepda.Network) -> xdeepda.Model:
    """Temperature, trained for three steps."""
    return xdeepda.train(ocean, network, var="thetao", **TINY)


@pytest.fixture(scope="session")
def pair_model(ocean: xr.Dataset, network: xdeepda.Network) -> xdeepda.Model:
    """Temperature and salinity together, trained for three steps."""
    return xdeepda.train(ocean, network, var=["thetao", "so"], **TINY)


@pytest.fixture(scope="session")
def truth(ocean: xr.Dataset) -> xr.Dataset:
    """The last half year: no training year."""
    return ocean.isel(time=slice(114, 120))


@pytest.fixture(scope="session")
def cells(truth: xr.Dataset, network: xdeepda.Network) -> xr.Dataset:
    """Gridded observations of the temperature of the last half year, read-only."""
    return freeze(xdeepda.observe(truth, network, var="thetao", seed=5))


@pytest.fixture(scope="session")
def analysis(ocean: xr.Dataset, cells: xr.Dataset, tiny_model: xdeepda.Model) -> xr.Dataset:
    """Analysis of these observations."""
    return freeze(xdeepda.assimilate(ocean, cells, model=tiny_model))


@pytest.fixture(scope="session")
def points(truth: xr.Dataset) -> xr.Dataset:
    """Table of 200 temperatures at cell centres of the sea, in the last half year; no land."""
    rng = np.random.default_rng(7)
    field = truth["thetao"]
    where = np.argwhere(np.isfinite(field.values))
    t, k, j, i = where[rng.choice(len(where), 200, replace=False)].T
    error = rng.uniform(0.1, 0.4, t.size)
    value = field.values[t, k, j, i] + error * rng.standard_normal(t.size)
    degrees = {"lat": "degrees_north", "lon": "degrees_east"}
    return freeze(
        xr.Dataset(
            {
                "thetao": ("obs", value, {k: field.attrs[k] for k in ("units", "standard_name")}),
                "thetao_error": ("obs", error),
            },
            coords={
                "time": ("obs", truth["time"].values[t]),
                "depth": ("obs", truth["depth"].values[k], {"units": "m", "positive": "down"}),
                "lat": ("obs", truth["lat"].values[j], {"units": degrees["lat"]}),
                "lon": ("obs", truth["lon"].values[i], {"units": degrees["lon"]}),
            },
        )
    )
