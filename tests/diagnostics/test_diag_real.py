"""Diagnostics of real runs and observations beside what is known of them."""

from __future__ import annotations

import gzip
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr

import xdeepda


def mooring(folder, kind: str, place: str, tmp_path) -> xr.Dataset:
    packed = folder / "observations" / "tao" / f"{kind}{place}_dy.cdf.gz"
    path = tmp_path / f"{kind}.nc"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    return xr.open_dataset(path).load()


@pytest.mark.parametrize("place", ["0n165e", "0n140w"])
def test_the_20_degree_isotherm_is_that_of_the_moorings_own_files(data_folder, tmp_path, place):
    profiles = mooring(data_folder, "t", place, tmp_path)["T_20"]
    profiles = profiles.where(profiles < 100).assign_attrs(profiles.attrs)
    theirs = mooring(data_folder, "iso", place, tmp_path)["ISO_6"].squeeze(drop=True)
    theirs = theirs.where(theirs < 1e4)
    ours = xdeepda.isotherm_depth(profiles).squeeze(drop=True)
    ours, theirs = xr.align(ours, theirs)
    assert int(theirs.notnull().sum()) > 9000
    assert ours.where(theirs.notnull()).notnull().sum() == theirs.notnull().sum()
    apart = ours - theirs
    assert abs(float(apart.mean())) < 0.01
    assert int((abs(apart) > 0.01).sum()) < 20
    # they do not interpolate over wide gaps
    narrow = xdeepda.isotherm_depth(profiles, gap=60.0).squeeze(drop=True)
    narrow, _ = xr.align(narrow, theirs)
    assert int(narrow.notnull().sum()) < int(ours.notnull().sum())
    assert (narrow.notnull() & theirs.notnull()).sum() > 0.99 * theirs.notnull().sum()


def test_the_dynamic_height_of_a_mooring(data_folder, tmp_path):
    place = "0n140w"
    profiles = mooring(data_folder, "t", place, tmp_path)["T_20"]
    profiles = profiles.where(profiles < 100).interpolate_na("depth")
    profiles.attrs = {"units": "degC", "standard_name": "sea_water_temperature"}
    salt = xr.full_like(profiles, 34.9)
    salt.attrs = {"units": "psu", "standard_name": "sea_water_practical_salinity"}
    ds = xr.Dataset({"temp": profiles, "salt": salt})
    ours = xdeepda.steric_height(ds, depth=(0, 500), partial=True).squeeze(drop=True)
    theirs = mooring(data_folder, "dyn", place, tmp_path)["DYN_13"].squeeze(drop=True)
    theirs = theirs.where(theirs < 1e4) * 0.1 / 9.7963  # dyn cm
    ours, theirs = xr.align(ours, theirs)
    both = (ours.notnull() & theirs.notnull()).values
    assert both.sum() > 7000
    assert np.corrcoef(ours.values[both], theirs.values[both])[0, 1] > 0.99
    # their salinity is that of mean profiles, ours the same everywhere
    assert abs(float((ours - theirs).mean())) < 0.08


def test_el_nino_and_la_nina_in_ersst(data_folder):
    sst = xr.open_dataset(data_folder / "sst" / "ersstv5_2010_2020.nc")
    oni = xdeepda.index(sst, "oni")
    series = oni.to_series().dropna()
    assert str(series.idxmax())[:7] in ("2015-11", "2015-12")
    assert str(series.idxmin())[:4] == "2010"
    # table of NOAA, August 2015 to January 2016, of another base period
    published = [1.9, 2.2, 2.4, 2.6, 2.6, 2.5]
    np.testing.assert_allclose(oni.sel(time=slice("2015-08", "2016-01")), published, atol=0.15)
    # the strongest dipole of the years
    assert str(xdeepda.index(sst, "dmi").to_series().idxmax())[:7] in ("2019-10", "2019-11")


def test_the_winters_of_el_nino(data_folder):
    path = data_folder / "observations" / "sst" / "sst_ndjfm_anom.nc"
    sst = xr.open_dataset(path)["sst"].assign_attrs(units="K")
    winters = xdeepda.index(sst, "nino34", cycle="year").to_series()
    assert {t.year for t in winters.nlargest(2).index} == {1983, 1998}
    # the shift of 1976/77
    pdo = xdeepda.index(sst, "pdo", cycle="year", partial=True)
    before, after = pdo.sel(time=slice("1963", "1976")), pdo.sel(time=slice("1977", "1988"))
    assert float(after.mean() - before.mean()) > 0.7


def test_heat_of_a_warming_run(data_folder):
    run = xr.open_dataset(data_folder / "models" / "mitgcm_w.nc")[["thetao", "depth_bnds"]].load()
    rate = run.sel(depth=[5, 130, 1130]).deepda.drift("thetao")["thetao_drift"]
    for depth, published in ((5, 5.5), (130, 7.9), (1130, 0.7)):  # K a millennium
        assert float(rate.sel(depth=depth)) * 10 == pytest.approx(published, abs=0.06)
    edges = [*run["depth_bnds"].values[:, 0], 1280.0]
    first = run.isel(time=slice(0, 12))
    layers = [first.deepda.heat_content(depth=pair, total=True) for pair in pairwise(edges)]
    whole = run.deepda.heat_content(depth=(0, 1280), total=True)
    np.testing.assert_allclose(sum(layers), whole[:12], rtol=1e-12)
    found = whole.deepda.trend(per="year", cycle="year")
    assert found["heat_content_trend_lower"] > 0
    assert 4e21 < float(found["heat_content_trend"]) < 8e21


def test_the_oscillation_of_a_run(data_folder):
    run = xr.open_dataset(data_folder / "models" / "mitgcm_a.nc")
    surface = run["thetao"].isel(depth=slice(0, 12)).sel(lat=slice(-10, 10)).load()
    nino = xdeepda.index(surface, "nino34")
    assert 0.8 < float(nino.std()) < 1.05
    # warm water lies deep below: the thermocline of the central Pacific goes with it
    depth = xdeepda.anomalies(xdeepda.isotherm_depth(surface).sel(lat=slice(-3, 3)))
    centre = depth.sel(lon=slice(200, 240)).mean(("lat", "lon"))
    assert np.corrcoef(nino, centre)[0, 1] > 0.5
