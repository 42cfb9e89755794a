"""Single values of each family, checked by hand against the raw numbers of the file."""

from __future__ import annotations

import gsw
import numpy as np
import pytest
import xarray as xr

from xdeepda.observations.readers import open_observations


def rows(folder, name, **where) -> xr.Dataset:
    """Rows of a sample for which columns have these values."""
    table = open_observations(folder / "observations" / name)
    keep = np.ones(table.sizes["obs"], dtype=bool)
    for column, value in where.items():
        keep &= table[column].values == value
    return table.isel(obs=np.flatnonzero(keep))


def theta(t, salinity, pressure, lon, lat):
    """Potential temperature by the sea water library."""
    return gsw.pt0_from_t(gsw.SA_from_SP(salinity, pressure, lon, lat), t, pressure)


def test_argo_takes_the_adjusted_value_and_its_error(data_folder):
    row = rows(data_folder, "argo/D2900313_000.nc", variable="thetao").isel(obs=10)
    expected = theta(22.503999710083008, 34.99599838256836, 109.5999984741211, 127.288, 23.235)
    assert row["value"].item() == pytest.approx(expected, abs=1e-5)
    assert row["error"].item() == pytest.approx(0.002, rel=1e-6)
    assert row["depth"].item() == pytest.approx(-gsw.z_from_p(109.6, 23.235), abs=1e-4)
    assert (row["qc"].item(), row["platform"].item(), row["profile"].item()) == (
        1,
        "2900313",
        "000",
    )
    salt = rows(data_folder, "argo/D2900313_000.nc", variable="so").isel(obs=10)
    assert salt["value"].item() == pytest.approx(34.99599838256836)  # raw: 35.002
    assert str(row["time"].values)[:19] == "2003-08-13T08:47:42"


def test_argo_in_real_time_keeps_the_raw_value(data_folder):
    table = rows(data_folder, "argo/7900364_prof.nc")
    assert np.isnan(table["error"]).all()
    assert set(table["qc"].values) == {1, 4}


def test_cora_has_depths_and_no_pressure(data_folder):
    table = rows(data_folder, "cora/CO_DMQCGL01_19511210_PR_SH.nc")
    third = np.flatnonzero(table["depth"].values == 0.0)[2]
    cast = table.isel(obs=slice(third, third + 3))
    np.testing.assert_allclose(cast["depth"].values, [0.0, 5.0, 10.0])
    np.testing.assert_allclose(cast["value"].values, 18.6, atol=0.003)
    assert len(set(cast["profile"].values)) == 1
    assert cast["instrument"].values[0] == "WMO 800"
    assert set(table["qc"].values) == {1}


def test_wod_row_sizes_differ_by_variable(data_folder):
    # cast 11 of the file has no salinity: the salinities of cast 12 begin earlier
    cast = rows(data_folder, "wod/ocldb1570984477.6279_OSD.nc", profile="67024")
    salt = cast.isel(obs=cast["variable"].values == "so")
    np.testing.assert_allclose(salt["value"].values[:3], [33.28, 33.28, 33.33], rtol=1e-6)
    np.testing.assert_allclose(salt["depth"].values[:3], [0.0, 10.0, 25.0])
    warm = cast.isel(obs=cast["variable"].values == "thetao")
    np.testing.assert_allclose(warm["value"].values[:3], [11.4, 10.6, 8.4], atol=0.004)
    assert str(warm["time"].values[0])[:13] == "1934-08-07T02"  # day 60117.1 since 1770


def test_gtspp(data_folder):
    cast = rows(data_folder, "gtspp/1264095.nc")
    np.testing.assert_allclose(cast["depth"].values[[0, 1, 14]], [0.0, 24.0, 512.0])
    expected = theta(7.1, 35.0, gsw.p_from_z(-512.0, -19.45), 5.2333, -19.45)
    assert cast["value"].values[14] == pytest.approx(expected, abs=1e-5)
    assert str(cast["time"].values[0])[:16] == "2000-01-31T02:00"


def test_tao_levels_of_one_day(data_folder):
    day = np.datetime64("1983-04-16T12:00") + np.timedelta64(5000, "D")
    cast = rows(data_folder, "tao/t0n140w_dy.cdf.gz", time=day.astype("datetime64[ns]"))
    depths = [1.0, 5, 10, 25, 45, 60, 80, 100, 120, 140, 300]
    np.testing.assert_allclose(cast["depth"].values, depths)
    assert cast["value"].values[0] == pytest.approx(24.13, abs=1e-3)
    expected = theta(11.84, 35.0, gsw.p_from_z(-300.0, 0.0), 220.0, 0.0)
    assert cast["value"].values[-1] == pytest.approx(expected, abs=1e-5)
    assert set(cast["qc"].values) == {2}
    assert set(cast["platform"].values) == {"0n140w"}


def test_cchdo_agrees_with_the_potential_temperature_of_the_file(data_folder):
    cast = rows(data_folder, "cchdo/test.nc", variable="thetao")
    raw = xr.open_dataset(data_folder / "observations/cchdo/test.nc")
    own = raw["potential_temperature_c"].values
    own = own[np.isfinite(raw["ctd_temperature"].values)]
    np.testing.assert_allclose(cast["value"].values, own, atol=2e-3)


def test_old_cchdo_units_with_lost_letters(data_folder):
    cast = rows(data_folder, "cchdo/320620180309_00001_00001_ctd.nc")
    level = cast.isel(obs=99)
    assert level["value"].item() == pytest.approx(
        theta(-0.966, 34.3994, 198.0, 168.4754, -70.4517), abs=1e-5
    )
    assert level["instrument"].item() == "CTD"


def test_seadatanet_julian_days_agree_with_the_text_file_of_the_same_cast(data_folder):
    cast = rows(
        data_folder, "seadatanet/netCDF_vertical_profiles_ctd.nc.gz",
        profile="FI35200653001_00001_H10", variable="so",
    )  # fmt: skip
    # odv/sample02.txt holds this cast with its date in letters
    text = (data_folder / "observations/odv/sample02.txt").read_text(encoding="latin-1")
    assert "2006-05-24T14:28:00.000" in text
    assert str(cast["time"].values[0])[:19] == "2006-05-24T14:28:00"
    assert cast["value"].values[0] == pytest.approx(36.198)


def test_cmems_takes_adjusted_packed_values(data_folder):
    cast = rows(data_folder, "cmems_insitu/GL_PR_PF_5906438.nc", variable="thetao")
    p = 204.04
    expected = theta(19.243, 36.678, p, *_place(cast))
    near = np.abs(cast["value"].values - expected).min()
    assert near < 1e-4
    assert np.nanmin(cast["error"].values) == pytest.approx(0.001)


def _place(table):
    return table["longitude"].values[0], table["latitude"].values[0]


def test_imos_indexed_ragged_finds_its_instrument(data_folder):
    name = (
        "imos/IMOS_ANMN-NRS_TZ_20181213_NRSROT_FV01_TEMP-aggregated-timeseries_END-20190523_C-"
        "20220607.nc"
    )
    row = open_observations(data_folder / "observations" / name).isel(obs=20000)
    assert row["instrument"].item().endswith("Seabird SBE39 [600m] temp only; 4049")
    assert row["depth"].item() == pytest.approx(25.256868)
    assert row["value"].item() == pytest.approx(20.8739, abs=0.01)
    assert row["platform"].item() == "NRSROT"


def test_gliders_agree_with_the_potential_temperature_of_the_file(data_folder):
    rows_ = rows(data_folder, "glider/dfo-eva035-20190718.nc", variable="thetao", profile="18")
    at = int(np.argmin(np.abs(rows_["depth"].values - 499.6087457610513)))
    assert rows_["value"].values[at] == pytest.approx(5.323863835500088, abs=2e-3)


def test_mitprof_weights_are_inverse_variances(data_folder):
    table = rows(data_folder, "mitprof/argo_sample.nc", variable="thetao")
    assert (table["reason"].values[table["qc"].values == 3] == "weight is zero").all()
    assert np.isnan(table["error"].values[table["qc"].values == 3]).all()
    # potential already: nothing is converted
    assert 24.648730577342583 in table["value"].values
    assert "2006-01-01T01:20:17" in np.datetime_as_string(table["time"].values, "s")


def test_obsfit_leaves_out_the_undeclared_fill(data_folder):
    table = rows(data_folder, "mitprof/obsfit_t.nc")
    assert 1575 - table.sizes["obs"] == 92  # times -9999
    assert table["value"].values[7] == pytest.approx(-1.5584623117322205)
    assert table["error"].values[7] == pytest.approx(0.5130800038422516)


def test_roms_errors_are_variances_and_levels_no_depths(data_folder):
    table = rows(data_folder, "roms/wc13_obs.nc", variable="thetao")
    assert table["value"].values[0] == pytest.approx(17.86864980061849)
    assert table["error"].values[0] == pytest.approx(0.4)
    assert str(table["time"].values[0])[:13] == "2004-01-03T12"
    level = np.isnan(table["depth"].values)
    assert level.sum() == 168
    assert (table["qc"].values[level] == 4).all()


def test_godas_takes_the_day_from_its_attribute(data_folder):
    table = rows(data_folder, "godas/19910101tmp.nc", profile="5")
    assert str(table["time"].values[0])[:16] == "1991-01-01T00:28"
    np.testing.assert_allclose(table["value"].values[:3], [26.366, 26.346, 26.326], atol=0.01)
    assert table["platform"].values[0] == "W79119"
    assert table["instrument"].values[0] == "BATHY message"


def test_swath_has_times_of_pixels_errors_and_quality(data_folder):
    table = rows(data_folder, "sst/SS_AMSR2-L2B_v08_r38622-v02.0-fv01.0.nc", qc=1)
    first = table.isel(obs=0)  # the first pixel of quality 5: packed 77, offset 378 s, error -19
    assert first["value"].item() == pytest.approx(0.77, abs=1e-4)
    assert first["error"].item() == pytest.approx(0.56, abs=1e-6)
    seconds = 1219254491 + 378
    expected = np.datetime64("1981-01-01") + np.timedelta64(seconds, "s")
    assert first["time"].values == expected
    assert first["latitude"].item() == pytest.approx(-58.71)
    assert first["depth"].item() == 0.0


def test_hadisst_cells(data_folder):
    table = rows(data_folder, "sst/erdHadISST_Africa.nc.gz", latitude=-9.5)
    np.testing.assert_allclose(
        table["value"].values[:3], [26.885092, 26.66159, 26.512756], rtol=1e-6
    )
    np.testing.assert_allclose(table["longitude"].values[:3], [-29.5, -28.5, -27.5])


def test_drifter(data_folder):
    table = rows(data_folder, "drifter/craid_2004-12-20_subset.nc")
    np.testing.assert_allclose(table["value"].values, 8.76, rtol=1e-6)
    assert set(table["depth"].values) == {0.0}


def test_pre_cf16_station_profiles(data_folder):
    table = rows(data_folder, "cf_dsg/StationProfile.nc", variable="so")
    first, second = table["profile"].values[[0, 60]]
    assert first != second  # the first profile has 51 levels
    np.testing.assert_allclose(table["depth"].values[60:63], [10.0, 11.0, 12.0])
    np.testing.assert_allclose(table["value"].values[60:63], [29.9274, 29.9743, 30.114], rtol=1e-6)


def test_owc_box_agrees_with_its_own_potential_temperature(data_folder):
    from scipy.io import loadmat

    path = data_folder / "observations/owc/ctd_3505.mat"
    raw = loadmat(path, variable_names=["ptmp", "temp", "sal", "pres"])
    table = open_observations(path, var="thetao")
    there = np.isfinite(raw["temp"])
    own = raw["ptmp"][there]
    both = np.isfinite(own) & np.isfinite(raw["sal"][there]) & np.isfinite(raw["pres"][there])
    difference = table["value"].values[both] - own[both]
    assert np.abs(difference).max() < 2e-3
