"""Kinds of files of which no sample is at hand, as their descriptions have them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers import open_observations

DEGC = {"units": "degree_Celsius", "standard_name": "sea_water_temperature"}
PSU = {"units": "0.001", "standard_name": "sea_water_practical_salinity"}


def test_oceansites_mooring_with_flags_and_a_nominal_depth():
    ds = xr.Dataset(
        {
            "TEMP": (("TIME", "DEPTH"), [[20.0, 10.0], [20.1, 10.1]], DEGC),
            "TEMP_QC": (("TIME", "DEPTH"), np.array([[1, 1], [4, 7]], "i1")),
            "PSAL": (("TIME", "DEPTH"), [[35.0, 35.1], [35.0, 99999.0]], PSU),
            "POSITION_QC": ("POSITION", np.array([1], "i1")),
            "TIME_QC": ("TIME", np.array([1, 1], "i1")),
        },
        coords={
            "TIME": ("TIME", [25000.0, 25000.5], {"units": "days since 1950-01-01T00:00:00Z"}),
            "DEPTH": ("DEPTH", [10.0, 500.0], {"units": "m"}),
            "LATITUDE": ("LATITUDE", [40.0], {"units": "degree_north"}),
            "LONGITUDE": ("LONGITUDE", [-30.0], {"units": "degree_east"}),
        },
        attrs={"site_code": "EXAMPLE", "source": "Mooring observation"},
    )
    table = open_observations(ds)
    assert table.attrs["reader"] == "cmems"
    assert table.sizes["obs"] == 7
    warm = table.isel(obs=table["variable"].values == "thetao")
    assert warm["qc"].values.tolist() == [1, 1, 4, 2]
    assert warm["depth"].values.tolist() == [10.0, 500.0, 10.0, 500.0]
    assert set(table["platform"].values) == {"EXAMPLE"}


def test_ego_glider_in_capitals():
    n = 4
    ds = xr.Dataset(
        {
            "TEMP": ("TIME", [20.0, 15.0, 14.0, 99999.0], {**DEGC, "_FillValue": 99999.0}),
            "TEMP_QC": ("TIME", np.array([1, 1, 4, 9], "i1")),
            "PSAL": ("TIME", [35.0, 35.1, 35.2, 35.3], PSU),
            "PRES": ("TIME", [5.0, 50.0, 100.0, 90.0],
                     {"units": "decibar", "standard_name": "sea_water_pressure"}),
            "PHASE_NUMBER": ("TIME", np.array([0, 0, 1, 1], "i4")),
            "PHASE": ("TIME", np.array([1, 1, 4, 4], "i1")),
            "LATITUDE": ("TIME", np.full(n, 42.0), {"units": "degree_north"}),
            "LONGITUDE": ("TIME", np.full(n, 5.0), {"units": "degree_east"}),
        },
        coords={"TIME": ("TIME", np.arange(n) * 60.0,
                         {"units": "seconds since 2015-01-01 00:00:00", "axis": "T",
                          "standard_name": "time"})},
        attrs={"platform_code": "68451", "title": "EGO glider"},
    )  # fmt: skip
    table = open_observations(ds)
    assert table.attrs["reader"] == "gliders"
    assert table.sizes["obs"] == 7
    assert set(table["profile"].values) == {"0", "1"}
    assert table["depth"].values[2] == pytest.approx(99.3, abs=0.2)
    assert set(table["platform"].values) == {"68451"}


def test_gtspp_of_today_with_a_probe():
    ds = xr.Dataset(
        {
            "temperature": ("z", [20.0, 15.0, 5.0], {"units": "degree_Celsius"}),
            "temperature_quality_flag": ("z", np.array([1, 3, 1], "i1")),
            "z_variable_quality_flag": ("z", np.array([1, 1, 4], "i1")),
            "z": ("z", [0.0, 100.0, 700.0], {"units": "m", "positive": "down"}),
            "latitude": ((), 10.0, {"units": "degrees_north"}),
            "longitude": ((), 20.0, {"units": "degrees_east"}),
            "time": ((), 36554.0, {"units": "days since 1900-01-01 00:00:00"}),
            "position_quality_flag": ((), np.int8(1)),
            "gtspp_station_id": ((), np.int32(77)),
            "gtspp_temperature_instrument_code": ((), np.array(b"052", "S3")),
            "data_type": ((), np.array(b"XB", "S2")),
        }
    )
    table = open_observations(ds)
    assert table.attrs["reader"] == "gtspp"
    assert table["qc"].values.tolist() == [1, 3, 4]
    assert "depth" in table["reason"].values[2]
    assert set(table["instrument"].values) == {"XBT"}
    assert "gtspp_temperature_instrument_code 052" in table.attrs["notes"]
    assert table["depth"].values.tolist() == [0.0, 100.0, 700.0]
    with pytest.raises(InputError, match="neither depth nor pressure"):
        open_observations(ds.drop_vars("z"))


def grid(name, values, attrs, **more) -> xr.Dataset:
    """Surface temperature on two by two cells."""
    return xr.Dataset(
        {name: (("time", "lat", "lon"), values, attrs), **more},
        coords={
            "time": ("time", [1000.0], {"units": "days since 2000-01-01"}),
            "lat": ("lat", [10.0, 11.0], {"units": "degrees_north"}),
            "lon": ("lon", [20.0, 21.0], {"units": "degrees_east"}),
        },
    )


def test_a_packed_analysis_with_the_error_of_esa():
    packed = np.array([[[1500, -32768], [2000, 2500]]], "i2")
    attrs = {"units": "kelvin", "scale_factor": 0.01, "add_offset": 273.15,
             "_FillValue": np.int16(-32768), "standard_name": "sea_water_temperature",
             "long_name": "analysed sea surface temperature"}  # fmt: skip
    ds = grid(
        "analysed_sst", packed, {**attrs, "standard_name": "sea_surface_foundation_temperature"},
        analysed_sst_uncertainty=(("time", "lat", "lon"), np.full((1, 2, 2), 0.3),
                                  {"units": "kelvin"}),
    )  # fmt: skip
    table = open_observations(ds)
    np.testing.assert_allclose(table["value"], [15.0, 20.0, 25.0])
    np.testing.assert_allclose(table["error"], 0.3)
    assert set(table["instrument"].values) == {"foundation temperature"}


def test_a_level_of_length_one_and_an_anomaly_beside():
    ds = grid("sst", np.array([[[15.0, -999.0], [20.0, 25.0]]]), {"units": "degC"})
    ds["sst"] = ds["sst"].expand_dims(zlev=[0.0], axis=1)
    ds["anom"] = ds["sst"] - 10
    ds["anom"].attrs = {"units": "degC", "long_name": "Daily sea surface temperature anomalies"}
    assert sorted(open_observations(ds)["value"].values.tolist()) == [15.0, 20.0, 25.0]
    with pytest.raises(InputError):
        open_observations(ds.drop_vars("sst"))


def test_a_curvilinear_field_of_nemo_names():
    ds = xr.Dataset(
        {
            "sst": (("time", "y", "x"), np.array([[[15.0, 16.0], [np.nan, 18.0]]]),
                    {"units": "degC", "standard_name": "sea_surface_temperature"}),
            "nav_lat": (("y", "x"), [[10.0, 10.5], [11.0, 11.5]], {"units": "degrees_north"}),
            "nav_lon": (("y", "x"), [[20.0, 21.0], [20.1, 21.1]], {"units": "degrees_east"}),
            "time": ("time", [1000.0], {"units": "days since 2000-01-01"}),
        }
    )  # fmt: skip
    table = open_observations(ds)
    assert table["latitude"].values.tolist() == [10.0, 10.5, 11.5]
    assert table["longitude"].values.tolist() == [20.0, 21.0, 21.1]


def test_argo_without_cycle_numbers_or_adjusted_pressures(data_folder):
    with xr.open_dataset(data_folder / "observations/argo/20060101_prof.nc") as ds:
        ds = ds.load()
    want = open_observations(ds)
    bare = open_observations(ds.drop_vars(["CYCLE_NUMBER", "DIRECTION", "PRES_ADJUSTED"]))
    assert bare.sizes["obs"] == want.sizes["obs"]
    assert len(set(zip(bare["platform"].values, bare["profile"].values, strict=True))) == 29


ARGO_CSV = (
    "platform_number,cycle_number,direction,data_mode,time,latitude,longitude,pres,pres_qc,temp,"
    "temp_qc,temp_adjusted,temp_adjusted_qc,psal,psal_qc,project_name\n"
    ",,,,UTC,degrees_north,degrees_east,decibar,,degree_Celsius,,degree_Celsius,,PSU,,\n"
    "1900207,24,A,D,2004-01-04T05:10:00Z,0.5,-16.2,8.0,1,28.3,1,28.31,1,35.0,1,ARGO\n"
    "1900207,24,A,D,2004-01-04T05:10:00Z,0.5,-16.2,1000.0,1,4.5,4,,4,34.9,1,ARGO\n"
    "1900207,25,A,R,2004-01-14T05:10:00Z,0.6,-16.3,8.0,1,28.1,1,27.0,1,35.1,3,ARGO\n"
)


def test_argo_as_text_of_erddap(tmp_path):
    (tmp_path / "argo.csv").write_text(ARGO_CSV)
    table = open_observations(tmp_path / "argo.csv")
    assert table.attrs["reader"] == "argo_csv"
    warm = table.isel(obs=table["variable"].values == "thetao")
    # adjusted in delayed mode, raw in real time; taken out by delayed mode
    np.testing.assert_allclose(warm["value"].values[[0, 2]], [28.31, 28.1], atol=0.01)
    assert warm["qc"].values.tolist() == [1, 4, 1]
    assert warm["profile"].values.tolist() == ["024", "024", "025"]
    assert set(table["platform"].values) == {"1900207"}
    assert warm["depth"].values[1] == pytest.approx(992.1, abs=0.1)
    assert str(warm["time"].values[0])[:16] == "2004-01-04T05:10"
    salt = table.isel(obs=table["variable"].values == "so")
    assert salt["qc"].values.tolist() == [1, 1, 3]


def test_argo_as_text_of_coriolis(tmp_path):
    (tmp_path / "argo.csv").write_text(
        "PLATFORM,DATE (YYYY-MM-DDTHH:MI:SSZ),LATITUDE (degree_north),LONGITUDE (degree_east),"
        "PRES (decibar),PSAL (psu),PSAL_QC,TEMP (degree_Celsius),TEMP_QC\n"
        "6900388,2005-10-29T13:57:00Z,50.0,-30.0,10,35.1,1,14.2,1\n"
    )
    table = open_observations(tmp_path / "argo.csv")
    assert table.attrs["reader"] == "argo_csv"
    assert table["value"].values == pytest.approx([14.2, 35.1], abs=0.01)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("degree_Celsius,,degree_Celsius", "parsec,,parsec", "parsec"),
        ("2004-01", "yesterday", "holds no dates"),
        ("project_name", "PRES", "several columns"),
        ("-16.2,8.0", "-16.2,eight", "no number|dtype|type"),
    ],
)
def test_argo_as_text_that_is_wrong(tmp_path, old, new, told):
    (tmp_path / "argo.csv").write_text(ARGO_CSV.replace(old, new))
    with pytest.raises(InputError, match=told):
        open_observations(tmp_path / "argo.csv")


def test_depths_that_contradict_their_direction_are_taken_as_depths_and_told():
    ds = xr.Dataset(
        {
            "temp": ("z", [20.0, 10.0], {"units": "Celsius"}),
            "z": ("z", [2.0, 100.0],
                  {"units": "m", "positive": "up", "long_name": "depth below sea level"}),
            "lat": ((), 10.0, {"units": "degrees_north"}),
            "lon": ((), 20.0, {"units": "degrees_east"}),
            "time": ((), 100.0, {"units": "days since 2000-01-01"}),
        },
        attrs={"featureType": "profile"},
    )  # fmt: skip
    table = open_observations(ds)
    assert table["depth"].values.tolist() == [2.0, 100.0]
    assert "taken as down" in table.attrs["notes"]
    heights = ds.assign(z=("z", [-2.0, -100.0], ds["z"].attrs))
    assert open_observations(heights)["depth"].values.tolist() == [2.0, 100.0]


def test_julian_dates_that_xarray_decoded(data_folder):
    name = "observations/seadatanet/netCDF_trajectory_tsg_with_instrument.nc"
    with xr.open_dataset(data_folder / name) as ds:
        decoded = open_observations(ds.load())
    table = open_observations(data_folder / name)
    assert decoded["time"].dtype.kind == "M"
    apart = np.abs(decoded["time"].values - table["time"].values)
    assert apart.max() < np.timedelta64(1, "s")


def test_the_time_of_day_may_be_missing_in_sets_of_the_mitgcm(data_folder):
    with xr.open_dataset(data_folder / "observations/mitprof/argo_sample.nc") as ds:
        table = open_observations(ds.drop_vars("prof_HHMMSS").load())
    assert "noon" in table.attrs["notes"]
    assert (table["time"].values.astype("datetime64[h]").astype(str) == "2006-01-01T12").all()
