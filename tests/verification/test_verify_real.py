"""verify on real products, observations and model runs."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda

FEW = {"draws": 50, "progress": False}


@pytest.fixture(scope="module")
def sst(data_folder):
    """ERSST v5, monthly, 2 degrees, 2010 to 2012."""
    with xr.open_dataset(data_folder / "sst" / "ersstv5_2010_2020.nc") as ds:
        return ds[["sst"]].isel(time=slice(0, 36)).load()


def test_a_product_against_its_own_means(sst):
    coarse = sst.coarsen(lat=2, lon=2, boundary="trim").mean(keep_attrs=True)
    fine_truth = xdeepda.verify(coarse, sst, by="region", **FEW)
    # weights by area within a cell are all that differs
    assert (fine_truth.rmse.sel(region=["Atlantic", "Pacific", "Indian"]) < 0.02).all()
    coarse_truth = xdeepda.verify(sst, coarse, by="region", **FEW)
    assert (coarse_truth.missing > 0).all()
    assert 0.1 < coarse_truth.rmse.sel(region="all") < 0.4


def test_a_product_against_a_mooring(sst, data_folder):
    """The cold tongue at 0N 140W is narrower than a cell of 2 degrees: ERSST is too warm."""
    obs = xdeepda.open_observations(data_folder / "observations/tao/t0n140w_dy.cdf.gz")
    surface = obs.isel(obs=np.flatnonzero(obs.depth.values <= 1.5))
    found = xdeepda.verify(sst, surface, by=(), **FEW)
    table = xdeepda.departures(sst, surface)
    own = table.residual.values.astype(float)
    np.testing.assert_allclose(found.rmse, np.sqrt(np.nanmean(own**2)), rtol=1e-6)
    np.testing.assert_allclose(found.bias, -np.nanmean(own), rtol=1e-5)
    assert found["count"] > 700
    assert 0 < found.bias < 0.6
    assert found.rmse < 1.0
    assert "outside of the period" in found.attrs["not_compared"]


def test_a_model_run_against_another_with_levitus_as_climatology(data_folder):
    coder = xr.coders.CFDatetimeCoder(use_cftime=True)
    runs = [
        xr.open_dataset(data_folder / "models" / f"mitgcm_{x}.nc", decode_times=coder)
        for x in "ab"
    ]  # fmt: skip
    levitus = xr.open_dataset(data_folder / "climatology" / "levitus_4deg_monthly.nc")
    a, b = (run[["thetao"]].isel(time=slice(0, 12)).load() for run in runs)
    found = xdeepda.verify(a, b, climatology=levitus, **FEW)
    # nearer to each other than to the real ocean, and most so in the thermocline
    assert (found.skill_climatology > 0.5).all()
    assert (found.acc > 0.8).all()
    error = (a.thetao - b.thetao).astype(float)
    lat = np.deg2rad(a.lat)
    hand = ((error**2).weighted(np.cos(lat)).mean(("time", "lat", "lon"))) ** 0.5
    np.testing.assert_allclose(found.rmse, hand, rtol=1e-6)
