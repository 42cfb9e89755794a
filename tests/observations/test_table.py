"""The table: what is read, and that everything wrong is told at once."""

from __future__ import annotations

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.grid import Grid
from xdeepda.observations import as_table, is_gridded
from xdeepda.units import registry


def test_frame_is_read_whatever_the_case_of_columns(frame):
    table = as_table(frame, var="thetao")
    np.testing.assert_array_equal(table["value"], frame["value"])
    np.testing.assert_array_equal(table["latitude"], frame["LAT"])
    np.testing.assert_array_equal(table["time"].values, frame["time"].values)
    assert set(table["variable"].values) == {"thetao"}
    assert table["value"].attrs["units"] == "degC"
    assert set(table.dims) == {"obs"}


def test_table_of_a_table_is_equal(frame):
    table = as_table(frame, var="thetao")
    xr.testing.assert_identical(as_table(table), table)


def test_input_is_untouched(frame, table_of):
    before = frame.copy(deep=True)
    as_table(frame, var="thetao")["value"].values[:] = 0
    pd.testing.assert_frame_equal(frame, before)
    ds = table_of([5.0], [0.0], [0.0])
    copy = ds.copy(deep=True)
    as_table(ds)["value"].values[:] = 0
    xr.testing.assert_identical(ds, copy)


def test_long_frame_with_units_by_row():
    frame = pd.DataFrame(
        {
            "value": [283.15, 10.0, 35.0],
            "error": [0.5, 0.5, 0.1],
            "variable": ["thetao", "thetao", "so"],
            "units": ["K", "degC", "psu"],
            "time": pd.to_datetime(["2001-01-01"] * 3),
            "depth": [5.0] * 3,
            "lat": [0.0] * 3,
            "lon": [0.0] * 3,
            "platform": ["a", None, "b"],
        }
    )
    table = as_table(frame)
    np.testing.assert_allclose(table["value"], [283.15, 283.15, 35.0])
    np.testing.assert_allclose(table["error"], [0.5, 0.5, 0.1])
    assert table["value"].attrs["units_thetao"] == "K"
    assert table["value"].attrs["units_so"] == "psu"
    assert list(table["platform"].values) == ["a", "", "b"]
    assert as_table(frame, var="so").sizes["obs"] == 1


def test_wide_frame():
    frame = pd.DataFrame(
        {
            "temperature": [10.0, 11.0],
            "salinity": [35.0, np.nan],
            "temperature_error": [0.1, 0.2],
            "time": pd.to_datetime(["2001-01-01", "2001-01-02"]),
            "depth": [5.0, 6.0],
            "lat": [0.0, 1.0],
            "lon": [0.0, 1.0],
        }
    )
    table = as_table(frame, units={"temperature": "degC", "salinity": "psu"})
    np.testing.assert_array_equal(table["value"], [10, 11, 35, np.nan])
    np.testing.assert_array_equal(table["error"], [0.1, 0.2, np.nan, np.nan])
    np.testing.assert_array_equal(table["depth"], [5, 6, 5, 6])
    assert list(table["variable"].values) == ["temperature"] * 2 + ["salinity"] * 2


def test_cf_attributes_before_names():
    """Coordinates of odd names with attributes win; decoys without attributes are left alone."""
    ds = xr.Dataset(
        {
            "T": ("row", [10.0, 11.0], {"standard_name": "sea_water_temperature", "units": "degC"}),
            "instrument_depth_flag": ("row", [1.0, 2.0]),
            "initial": ("row", [7.0, 8.0]),
        },
        coords={
            "when": (
                "row",
                pd.to_datetime(["2001-01-01", "2001-01-02"]),
                {"standard_name": "time"},
            ),
            "z": ("row", [-5.0, -6.0], {"standard_name": "height", "units": "m"}),
            "yy": ("row", [1.0, 2.0], {"units": "degrees_north"}),
            "xx": ("row", [3.0, 4.0], {"standard_name": "longitude"}),
            "buoy": ("row", ["p", "q"], {"cf_role": "trajectory_id"}),
        },
    )
    table = as_table(ds)
    np.testing.assert_array_equal(table["value"], [10, 11])
    np.testing.assert_array_equal(table["depth"], [5, 6])
    np.testing.assert_array_equal(table["latitude"], [1, 2])
    np.testing.assert_array_equal(table["longitude"], [3, 4])
    assert list(table["platform"].values) == ["p", "q"]
    assert table["value"].attrs["standard_name_T"] == "sea_water_temperature"


def test_scalar_positions_hold_for_all_rows_and_centimetres_are_metres():
    times = pd.date_range("2001-01-01", periods=3)
    da = xr.DataArray(
        [1.0, 2.0, 3.0],
        dims="time",
        coords={
            "time": times,
            "latitude": 5.0,
            "longitude": -140.0,
            "depth": ((), 1500.0, {"units": "cm"}),
        },
        name="temp",
        attrs={"units": "degC"},
    )
    table = as_table(da)
    np.testing.assert_array_equal(table["depth"], [15, 15, 15])
    np.testing.assert_array_equal(table["longitude"], [-140] * 3)


def test_pressure_becomes_depth(table_of):
    ds = table_of([0.0], [30.0], [0.0]).drop_vars("depth")
    ds = ds.assign_coords(
        pres=("obs", [1000.0], {"units": "dbar", "standard_name": "sea_water_pressure"})
    )
    # 1,000 dbar at 30 degrees north are 991 m (UNESCO tables of 1983)
    np.testing.assert_allclose(as_table(ds)["depth"], [991.0], atol=0.5)


def test_error_in_its_own_units(table_of):
    ds = table_of([5.0], [0.0], [0.0])
    ds["thetao_error"] = ("obs", [500.0], {"units": "mK"})
    np.testing.assert_allclose(as_table(ds)["error"], [0.5])


@pytest.mark.filterwarnings("error::pint.UnitStrippedWarning")
def test_quantified_equals_plain(table_of):
    pytest.importorskip("pint_xarray")
    registry()  # pint's application registry is the package's from here on
    ds = table_of([5.0, 6.0], [0.0, 1.0], [0.0, 1.0])
    # the error has no unit of its own
    quantified = ds.drop_vars("thetao_error").pint.quantify({"thetao": "degC"})
    xr.testing.assert_equal(as_table(quantified), as_table(ds.drop_vars("thetao_error")))


def test_everything_wrong_is_told_at_once(frame):
    bad = frame.assign(
        time=pd.to_datetime(["2001-03-01", None, "2001-03-04", "2001-03-05"]),
        LAT=[0.0, 10.0, 97.0, -40.0],
        lon=[0.0, 1e5, 0.0, 0.0],
        error=[0.5, 0.0, -1.0, 0.5],
        depth=[-4000.0, 30, 6, 100],
    )
    bad.attrs.clear()
    with pytest.raises(InputError) as raised:
        as_table(bad, var="thetao")
    message = str(raised.value)
    for word in ("6 problems", "no units", "time is missing", "latitude", "longitude", "error is"):
        assert word in message
    assert "97 in row 2" in message
    assert "2 of 4 rows" in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop(columns="LAT"), "'latitude' is missing"),
        (lambda f: f.drop(columns="depth"), "no depth found"),
        (lambda f: f.drop(columns="value"), "'value' is missing"),
        (lambda f: f.assign(value=np.nan), "no value at all"),
        (lambda f: f.assign(value="x"), "holds no numbers"),
        (lambda f: f.assign(time=[1.0, 2.0, 3.0, 4.0]), "holds no times"),
        (lambda f: f.assign(latitude=1.0), "several columns could be the latitude"),
        (lambda f: f.iloc[:0], "no observations"),
    ],
)
def test_frames_that_are_refused(frame, change, words):
    changed = change(frame)
    changed.attrs.update(frame.attrs)
    with pytest.raises(InputError, match=words):
        as_table(changed, var="thetao")


def test_wrong_dimension_and_unknown_units(frame):
    with pytest.raises(InputError, match=r"(?s)wrong dimension.*'m' for a temperature"):
        as_table(frame, var="thetao", units="m")
    with pytest.raises(InputError, match="not understood"):
        as_table(frame, var="thetao", units="warmth")


def test_mixed_calendars(frame):
    times = [
        cftime.DatetimeNoLeap(2001, 1, 1),
        cftime.Datetime360Day(2001, 1, 1),
        cftime.DatetimeNoLeap(2001, 1, 2),
        cftime.DatetimeNoLeap(2001, 1, 3),
    ]
    changed = frame.assign(time=np.array(times, dtype=object))
    changed.attrs.update(frame.attrs)
    with pytest.raises(InputError, match="several calendars"):
        as_table(changed, var="thetao")


def test_ambiguity_is_refused(table_of):
    ds = table_of([5.0], [0.0], [0.0])
    with pytest.raises(InputError, match="several variables could be the latitude"):
        as_table(ds.assign_coords(lat2=("obs", [1.0], {"units": "degrees_north"})))
    ds["adjusted"] = ds["thetao"]
    with pytest.raises(InputError, match=r"(?s)several variables are sea_water.*var="):
        as_table(ds)
    assert as_table(ds, var="adjusted").sizes["obs"] == 1


def test_several_dimensions_are_refused_with_the_way_out():
    ds = xr.Dataset(
        {"temp": (("profile", "level"), np.ones((2, 3)), {"units": "degC"})},
        coords={
            "latitude": ("profile", [1.0, 2.0]),
            "longitude": ("profile", [3.0, 4.0]),
            "time": ("profile", pd.to_datetime(["2001-01-01", "2001-01-02"])),
            "depth": ("level", [1.0, 2.0, 3.0], {"units": "m"}),
        },
    )
    assert not is_gridded(ds)
    with pytest.raises(InputError, match="stack"):
        as_table(ds)
    stacked = ds.stack(obs=["profile", "level"]).reset_index("obs")
    np.testing.assert_array_equal(as_table(stacked)["latitude"], [1, 1, 1, 2, 2, 2])


def test_positions_of_rows_without_a_value_do_not_matter(frame):
    changed = frame.assign(value=[np.nan, 1, 2, 3], LAT=[999.0, 0, 0, 0])
    changed.attrs.update(frame.attrs)
    assert as_table(changed, var="thetao").sizes["obs"] == 4


def test_is_gridded(field, frame, table_of):
    assert is_gridded(field)
    assert is_gridded(field.to_dataset())
    assert not is_gridded(frame)
    assert not is_gridded(table_of([5.0], [0.0], [0.0]))
    assert not is_gridded(as_table(table_of([5.0], [0.0], [0.0])))
    series = field.isel(depth=0, lat=0, lon=0, drop=True)
    assert is_gridded(series, Grid(None, None, None))
    assert not is_gridded(series, Grid(None, np.arange(3.0), None))


def test_what_is_no_observation():
    with pytest.raises(InputError, match="no observations that can be read"):
        as_table([1, 2, 3])


def test_what_is_flagged_as_bad_may_lie_anywhere(frame):
    frame = frame.assign(qc=1, reason="")
    frame.loc[0, ["LAT", "qc", "reason"]] = [99.0, 4, "impossible position"]
    table = as_table(frame, var="thetao")
    assert table["latitude"].values[0] == 99
    assert table["qc"].values.tolist() == [4] + [1] * (len(frame) - 1)
    assert table["qc"].dtype == np.int8
    assert table["reason"].values[0] == "impossible position"
    frame["qc"] = 2
    with pytest.raises(InputError, match="latitude is out of range in 1"):
        as_table(frame, var="thetao")


@pytest.mark.parametrize("flag", ["A", 7, np.nan, -1])
def test_unknown_flags_are_refused(frame, flag):
    qc = np.ones(len(frame), dtype=object)
    qc[2] = flag
    with pytest.raises(InputError, match="unknown flags in 1 rows"):
        as_table(frame.assign(qc=qc), var="thetao")


def test_flags_may_be_letters(frame):
    table = as_table(frame.assign(qc="1"), var="thetao")
    assert (table["qc"] == 1).all()


def test_lossless_to_and_from_pandas_and_netcdf(frame, tmp_path):
    frame = frame.assign(
        qc=[1, 3] + [0] * (len(frame) - 2), reason=["", "x"] + [""] * (len(frame) - 2)
    )
    table = as_table(frame, var="thetao")
    back = table.to_dataframe()
    back.attrs["units"] = {"thetao": table["value"].attrs["units"]}
    again = as_table(back)
    xr.testing.assert_equal(again, table)
    table.to_netcdf(tmp_path / "table.nc")
    with xr.open_dataset(tmp_path / "table.nc") as stored:
        xr.testing.assert_equal(as_table(stored.load()), table)
