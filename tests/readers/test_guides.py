"""Formats without a sample: written after their published guides; and Datasets in memory."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers import NothingMeasured, open_observations

FILL = np.float32(99999.0)


def letters(*rows: str) -> np.ndarray:
    """Matrix of single letters."""
    return np.array([list(r) for r in rows], dtype="S1")


def en4() -> xr.Dataset:
    """Two profiles of three levels; the second one is rejected as a whole."""
    level, profile = ("N_PROF", "N_LEVELS"), ("N_PROF",)
    return xr.Dataset(
        {
            "POTM_CORRECTED": (level, np.array([[20, 10, 5], [21, 11, FILL]], dtype="f4")),
            "POTM_CORRECTED_QC": (level, letters("141", "110")),
            "PROFILE_POTM_QC": (profile, letters("14")[0]),
            "PSAL_CORRECTED": (level, np.full((2, 3), 35, dtype="f4")),
            "PSAL_CORRECTED_QC": (level, letters("111", "111")),
            "DEPH_CORRECTED": (level, np.array([[5, 100, 500]] * 2, dtype="f4")),
            "TEMP": (level, np.array([[20.1, 10.1, 5.1]] * 2, dtype="f4")),
            "LATITUDE": (profile, [10.0, -10.0]),
            "LONGITUDE": (profile, [200.0, 210.0]),
            "POSITION_QC": (profile, letters("11")[0]),
            "JULD": (profile, [18262.5, 18263.0], {"units": "days since 1950-01-01 00:00:00 utc"}),
            "PLATFORM_NUMBER": (("N_PROF", "S8"), letters("1900001 ", "1900002 ")),
            "CYCLE_NUMBER": (profile, [1, 2]),
        }
    )


def test_en4_takes_the_potential_temperature_and_both_kinds_of_flags(caplog):
    with caplog.at_level(logging.WARNING, logger="xdeepda"):
        table = open_observations(en4(), var="thetao")
    assert "no real file" in caplog.text
    assert table.attrs["reader"] == "en4"
    assert table["value"].values.tolist() == [20.0, 10.0, 5.0, 21.0, 11.0]
    assert table["qc"].values.tolist() == [1, 4, 1, 4, 4]
    assert table["reason"].values[3] == "profile: Argo flag 4 (bad)"
    assert table["depth"].values.tolist() == [5.0, 100.0, 500.0, 5.0, 100.0]
    assert str(table["time"].values[0])[:16] == "2000-01-01T12:00"
    assert table["platform"].values[-1] == "1900002"


def test_hadiod_adds_its_corrections():
    row = ("obs",)
    ds = xr.Dataset(
        {
            "rowSize": ("cast", [1, 2]),
            "plat_id": (("cast", "c"), letters("ABC", "XYZ")),
            "lat": ("cast", [1.0, 2.0]),
            "lon": ("cast", [3.0, 4.0]),
            "time": ("cast", [0.0, 1.0], {"units": "hours since 1984-12-24"}),
            "temp": (row, np.array([20, 10, 5], dtype="f4"), {"units": "degC"}),
            "temp_type_corr": (row, np.array([0.1, FILL, -0.1], dtype="f4")),
            "temp_plat_corr": (row, np.array([FILL, FILL, 0.3], dtype="f4")),
            "depth": (row, np.array([0, 100, 500], dtype="f4")),
            "depth_corr": (row, np.array([FILL, 3, FILL], dtype="f4")),
        }
    )
    table = open_observations(ds)
    assert table.attrs["reader"] == "hadiod"
    np.testing.assert_allclose(table["value"].values, [20.1, 10.0, 5.2], atol=0.05)
    assert table["depth"].values.tolist() == [0.0, 103.0, 500.0]
    assert table["platform"].values.tolist() == ["ABC", "XYZ", "XYZ"]
    assert "corrections of the file added" in table.attrs["notes"]


def feedback(**more) -> xr.Dataset:
    """NEMO feedback file of one profile; its fill is declared as _Fillvalue, which nobody knows."""
    level = ("N_OBS", "N_LEVELS")
    odd = {"_Fillvalue": 99999.0}
    data = {
        "JULD_REFERENCE": (("S14",), letters("19500101000000")[0]),
        "JULD": ("N_OBS", [18262.25], {"units": "days since JULD_REFERENCE", **odd}),
        "STATION_IDENTIFIER": (("N_OBS", "S8"), letters("Q1900001")),
        "STATION_TYPE": (("N_OBS", "S4"), letters(" 831")),
        "LATITUDE": ("N_OBS", [10.0]),
        "LONGITUDE": ("N_OBS", [20.0]),
        "DEPTH": (level, [[5.0, 50.0, 99999.0]], odd),
        "POTM_OBS": (level, np.array([[20, 19, FILL]], dtype="f4"), {"units": "Deg C", **odd}),
        "POTM_LEVEL_QC": (level, [[1, 4, 0]]),
        "OBSERVATION_QC": ("N_OBS", [1]),
    }
    return xr.Dataset({**data, **more})


def test_nemo_feedback():
    table = open_observations(feedback())
    assert table.attrs["reader"] == "nemo"
    assert table["value"].values.tolist() == [20.0, 19.0]
    assert table["qc"].values.tolist() == [1, 4]
    assert str(table["time"].values[0])[:13] == "2000-01-01T06"
    assert set(table["platform"].values) == {"Q1900001"}


def test_altimetry_in_feedback_files_is_named():
    ds = feedback().drop_vars(["POTM_OBS", "POTM_LEVEL_QC"])
    ds["SLA_OBS"] = (("N_OBS", "N_LEVELS"), np.zeros((1, 3)))
    with pytest.raises(NothingMeasured, match="SLA_OBS"):
        open_observations(ds)


def test_drifters_of_the_global_program_in_kelvin():
    ds = xr.Dataset(
        {
            "rowsize": ("traj", [2, 1]),
            "ID": ("traj", [101, 102]),
            "latitude": ("obs", [1.0, 2.0, 3.0]),
            "longitude": ("obs", [4.0, 5.0, 6.0]),
            "time": ("obs", [0.0, 3600.0, 0.0], {"units": "seconds since 2005-01-01"}),
            "sst": ("obs", [293.15, 294.15, 295.15], {"units": "Kelvin"}),
            "err_sst": ("obs", [0.1, 0.2, 0.0], {"units": "Kelvin"}),
        }
    )
    table = open_observations(ds)
    assert table.attrs["reader"] == "drifters_gdp"
    np.testing.assert_allclose(table["value"].values, [20.0, 21.0, 22.0])
    assert table["platform"].values.tolist() == ["101", "101", "102"]
    np.testing.assert_allclose(table["error"].values, [0.1, 0.2, np.nan])


def test_analysis_of_surface_temperature_like_ostia():
    shape = ("time", "lat", "lon")
    ds = xr.Dataset(
        {
            "analysed_sst": (shape, np.array([[[1500, -32768], [2000, 0]]], dtype="i2"),
                             {"units": "kelvin", "scale_factor": 0.01, "add_offset": 273.15,
                              "_FillValue": -32768,
                              "standard_name": "sea_surface_foundation_temperature"}),
            "analysis_error": (shape, np.array([[[30, -32768], [40, 50]]], dtype="i2"),
                               {"units": "kelvin", "scale_factor": 0.01, "_FillValue": -32768}),
        },
        coords={
            "time": ("time", [0], {"units": "seconds since 1981-01-01"}),
            "lat": ("lat", [0.0, 1.0], {"units": "degrees_north"}),
            "lon": ("lon", [-99.0, 1.0], {"units": "degrees_east"}),
        },
    )  # fmt: skip
    table = open_observations(ds)
    np.testing.assert_allclose(table["value"].values, [15.0, 20.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(table["error"].values, [0.3, 0.4, 0.5])
    assert table["longitude"].values.tolist() == [-99.0, -99.0, 1.0]
    assert "foundation" in table["instrument"].values[0]
    ds["analysed_sst"].attrs["long_name"] = "SST anomaly"
    with pytest.raises(InputError, match="anomaly"):
        open_observations(ds)


# ---- Datasets that were decoded already


def test_a_decoded_argo_dataset_gives_the_same_table(data_folder):
    path = data_folder / "observations/argo/20060101_prof.nc"
    want = open_observations(path)
    with xr.open_dataset(path) as ds:  # flags become joined letters, mixed with NaN
        got = open_observations(ds)
    for name in ("value", "error", "depth", "latitude", "qc", "reason", "platform", "profile"):
        np.testing.assert_array_equal(got[name].values, want[name].values)
    # decoding rounds days to nanoseconds on its own way
    apart = np.abs(got["time"].values - want["time"].values)
    assert apart.max() < np.timedelta64(1, "ms")


def test_a_dataset_of_points_as_argopy_gives_it():
    point = ("N_POINTS",)
    ds = xr.Dataset(
        {
            "TEMP": (point, [20.0, 10.0]),
            "TEMP_QC": (point, [1, 4]),
            "TEMP_ERROR": (point, [0.002, np.nan]),
            "PSAL": (point, [35.0, 35.0]),
            "PRES": (point, [5.0, 100.0]),
            "PLATFORM_NUMBER": (point, [6902746, 6902746]),
            "CYCLE_NUMBER": (point, [12, 12]),
            "DIRECTION": (point, ["A", "A"]),
            "DATA_MODE": (point, ["D", "D"]),
        },
        coords={
            "LATITUDE": (point, [1.0, 1.0]),
            "LONGITUDE": (point, [2.0, 2.0]),
            "TIME": (point, np.array(["2018-05-24"] * 2, dtype="datetime64[ns]")),
        },
    )
    table = open_observations(ds, var="thetao")
    assert table["qc"].values.tolist() == [1, 4]
    assert table["platform"].values.tolist() == ["6902746"] * 2
    assert table["profile"].values.tolist() == ["012"] * 2
    np.testing.assert_allclose(table["error"].values, [0.002, np.nan])
    assert table["depth"].values[1] == pytest.approx(99.4, abs=0.1)


def argo(mode: str, adjusted: float, adjusted_qc: str) -> xr.Dataset:
    """One level of one profile."""
    level = ("N_PROF", "N_LEVELS")
    one = {"units": "degree_Celsius", "_FillValue": FILL}
    return xr.Dataset(
        {
            "PLATFORM_NUMBER": (("N_PROF", "S8"), letters("1900001 ")),
            "CYCLE_NUMBER": ("N_PROF", [1]),
            "DATA_MODE": ("N_PROF", letters(mode)[0]),
            "JULD": ("N_PROF", [20000.0], {"units": "days since 1950-01-01"}),
            "LATITUDE": ("N_PROF", [0.0]),
            "LONGITUDE": ("N_PROF", [0.0]),
            "PRES": (level, np.array([[0.0]], dtype="f4"), {"units": "decibar"}),
            "TEMP": (level, np.array([[20.0]], dtype="f4"), one),
            "TEMP_QC": (level, letters("1")),
            "TEMP_ADJUSTED": (level, np.array([[adjusted]], dtype="f4"), one),
            "TEMP_ADJUSTED_QC": (level, letters(adjusted_qc)),
            "TEMP_ADJUSTED_ERROR": (level, np.array([[0.002]], dtype="f4"), one),
        }
    )


@pytest.mark.parametrize(
    ("mode", "adjusted", "flag", "value", "qc"),
    [
        ("R", 21.0, "1", 20.0, 1),  # real time: the raw value
        ("A", 21.0, "2", 21.0, 2),
        ("D", 21.0, "1", 21.0, 1),
        ("D", FILL, "4", 20.0, 4),  # taken out in delayed mode: stays, and is bad
        ("A", FILL, " ", 20.0, 1),  # nothing was adjusted
    ],
)
def test_modes_of_argo(mode, adjusted, flag, value, qc):
    table = open_observations(argo(mode, adjusted, flag))
    assert table["value"].item() == pytest.approx(value, abs=1e-6)
    assert table["qc"].item() == qc
    assert np.isfinite(table["error"].item()) == (value == 21.0)
