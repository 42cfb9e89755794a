"""Real runs: what is found in them, a short training, an analysis back on their labels."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import InputError
from xdeepda.grid import grid_of
from xdeepda.source import RunSource


def opened(path) -> xr.Dataset:
    """Open a file with cftime dates; skip where it is not there."""
    if not path.is_file():
        pytest.skip(f"no file {path}")
    return xr.open_dataset(path, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True))


@pytest.fixture(scope="module")
def mitgcm(data_folder):
    with opened(data_folder / "models" / "mitgcm_a.nc") as ds:
        yield ds


def test_mitgcm_is_understood(mitgcm):
    src = RunSource(mitgcm, ["thetao", "so"])
    assert src.cycle.name == "month"
    assert src.calendar == "360_day"
    assert src.shape == (2, 16, 40, 90)
    assert src.grid.cyclic
    assert src.cycles[[0, -1]].tolist() == [13 * 12, 62 * 12 + 11]
    assert src.wet[0].sum(axis=(1, 2))[[0, -1]].tolist() == [2315, 2090]
    assert src.grid.depth[[0, -1]].tolist() == [5, 1130]
    text = repr(mitgcm.deepda)
    for words in ("not in memory", "360_day (cftime)", "16 from 5 to 1130 m", "cyclic"):
        assert words in text
    assert not mitgcm["thetao"]._in_memory


def test_mitgcm_from_training_to_the_analysis(mitgcm, tiny, tmp_path):
    control = mitgcm.isel(time=slice(0, 60), depth=slice(0, 16, 5))
    network = xdeepda.Network.simulated(control, "argo", density=0.5)
    model = xdeepda.train(control, network, var=["thetao", "so"], validation=0.2, **tiny)
    obs = xdeepda.observe(
        mitgcm.isel(time=slice(60, 63), depth=slice(0, 16, 5)), network, var="thetao"
    )
    found = xdeepda.assimilate(control, obs, model=model)
    assert found["thetao"].dims == ("time", "depth", "lat", "lon")
    assert found["time"].dt.year.values.tolist() == [18, 18, 18]
    assert found["time"].values[0].calendar == "360_day"
    assert (
        np.isfinite(found["thetao"].isel(depth=0)).sum("lat").sum("lon").values.tolist()
        == [2315] * 3
    )
    assert found["thetao"].attrs["units"] == "degC"
    assert found["so"].attrs["units"] == "1"
    found.to_netcdf(tmp_path / "analysis.nc")


def test_sections_without_latitude_and_dates(data_folder):
    with opened(data_folder / "models" / "hadcm3l_nino3_control.nc") as ds:
        section = ds.isel(time=slice(0, 60)).load()
    with pytest.raises(InputError, match="holds no times"):
        xdeepda.train(section, xdeepda.Network.simulated(None), cycle="year")
    dated = section.assign_coords(
        time=xr.date_range(
            "0001-07-01", periods=60, freq="YS-JUL", calendar="noleap", use_cftime=True
        )
    )
    assert grid_of(dated["profile"]).shape == (20, 1, 24)
    network = xdeepda.Network.simulated(dated, "argo")
    with pytest.raises(InputError, match=r"levels without any value[\s\S]*5192"):
        xdeepda.train(dated, network, cycle="year")
    dated, section = (ds.isel(depth=slice(0, 19)) for ds in (dated, section))
    arch = xdeepda.architectures.increment(width=4, deep_width=4, dilations=(1,))
    model = xdeepda.train(dated, network, cycle="year", architecture=arch, epochs=1)
    assert "lat" not in str(model.grid)
    obs = xdeepda.observe(dated.isel(time=slice(50, 54)), network, cycle="year")
    found = xdeepda.assimilate(dated, obs, model=model, members=2)
    assert found["profile"].dims == ("time", "depth", "lon")
    assert found["time"].dt.year.values.tolist() == [51, 52, 53, 54]
    np.testing.assert_array_equal(
        np.isfinite(found["profile"].isel(time=0)), np.isfinite(section["profile"].isel(time=0))
    )


def test_surface_temperature_of_a_reconstruction(data_folder, tiny):
    path = data_folder / "sst" / "ersstv5_2010_2020.nc"
    if not path.is_file():
        pytest.skip(f"no file {path}")
    with xr.open_dataset(path) as ds:
        sst = ds.isel(lat=slice(None, None, 3), lon=slice(None, None, 4)).load()
    network = xdeepda.Network.simulated(sst, "1980s", density=0.1)
    model = xdeepda.train(sst, network, **tiny)
    assert model.grid.dims == ("lat", "lon")
    assert model.grid.cyclic
    assert model.calendar == "standard"
    obs = xdeepda.observe(sst.isel(time=slice(-6, None)), network)
    found = xdeepda.assimilate(sst, obs, model=model)
    assert found["sst"].dims == ("time", "lat", "lon")
    xr.testing.assert_equal(found["lat"], sst["lat"])
    assert found["lat"].values[0] > found["lat"].values[-1]
    assert np.issubdtype(found["time"].dtype, np.datetime64)
    error = found["sst"].values - sst["sst"].isel(time=slice(-6, None)).values
    assert np.sqrt(np.nanmean(error**2)) < 1.0
