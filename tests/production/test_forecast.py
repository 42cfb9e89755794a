"""A forecast of the user's in place of the model's own."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import ForecastError, InputError
from xdeepda.production.restart import Keeper


def close(found: xr.Dataset, held: xr.Dataset, atol: float = 2e-5) -> None:
    """Equal to the rounding of full fields to float32."""
    assert list(found.data_vars) == list(held.data_vars)
    for name in held.data_vars:
        if held[name].dtype.kind == "f":
            np.testing.assert_allclose(found[name], held[name], atol=atol, err_msg=str(name))


@pytest.fixture(scope="module")
def few(months) -> xr.Dataset:
    """Observations of five months."""
    return months.isel(time=slice(0, 5))


@pytest.fixture(scope="module")
def persistence(ocean) -> xdeepda.Model:
    return xdeepda.baselines.persistence(ocean, var="thetao", cycle="month")


@pytest.fixture(scope="module")
def baselines(ocean, persistence, tiny_model) -> dict[str, xdeepda.Model]:
    """One of each kind that has a background of its own."""
    small = {"var": "thetao", "cycle": "month"}
    return {
        "persistence": persistence,
        "increment": tiny_model,
        "enoi": xdeepda.baselines.enoi(ocean, ensemble=20, **small),
        "oi": xdeepda.baselines.oi(ocean, ensemble=20, **small),
        "kalman": xdeepda.baselines.kalman(ocean, patterns=10, **small),
        "combined": xdeepda.baselines.combined(ocean, patterns=10, ensemble=20, **small),
    }


def replay(run: xr.Dataset):
    """Forecast that gives the backgrounds of an analysis."""
    background = run["thetao_background"].load()

    def step(ds: xr.Dataset) -> xr.Dataset:
        made = background.sel(time=ds["valid_time"].item()).drop_vars("time")
        return ds.assign(thetao=made.assign_attrs(units=background.attrs["units"]))

    return step


# ---- the model's own, from outside


@pytest.mark.parametrize(
    "name", ["persistence", "increment", "enoi", "oi", "kalman", "combined"]
)
def test_the_own_forecast_from_outside_changes_nothing(name, ocean, few, baselines):
    model = baselines[name]
    held = xdeepda.assimilate(ocean, few, model=model)
    found = xdeepda.assimilate(ocean, few, model=model, forecast=replay(held))
    close(found, held, atol=2e-4 if name in ("kalman", "combined") else 2e-5)
    assert found.attrs["forecast"].startswith("replay.<locals>.step (full fields")
    assert "forecast" not in held.attrs
