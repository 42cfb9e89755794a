"""Bad files: fills that are not declared, truncation, missing and impossible positions,
crafted sizes; and what is not understood at all."""

from __future__ import annotations

import gzip
import logging
import struct

import netCDF4
import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import InputError, MemoryForeseenError
from xdeepda.observations.readers import Source, base, open_observations, read_with, readers


def cast(**change) -> xr.Dataset:
    """One profile of four levels."""
    ds = xr.Dataset(
        {
            "temp": ("z", [20.0, 15.0, 10.0, 5.0],
                     {"units": "degC", "standard_name": "sea_water_temperature"}),
            "z": ("z", [0.0, 100.0, 500.0, 1000.0], {"units": "m", "positive": "down"}),
            "lat": ((), 10.0, {"units": "degrees_north"}),
            "lon": ((), 20.0, {"units": "degrees_east"}),
            "time": ((), 100.0, {"units": "days since 2000-01-01"}),
        },
        attrs={"featureType": "profile"},
    )  # fmt: skip
    return ds.assign({n: (ds[n].dims, v, ds[n].attrs) for n, v in change.items()})


@pytest.mark.parametrize("fill", [-9999.0, 1e35, 99999.0, -999.9, 9.96921e36, np.nan, -1e34])
def test_fills_that_are_not_declared_are_no_values(fill):
    table = open_observations(cast(temp=[20.0, fill, 10.0, fill]))
    assert table["depth"].values.tolist() == [0.0, 500.0]


def test_fills_in_single_precision():
    ds = cast()
    ds["temp"] = ("z", np.array([20.0, -999.9, 1e35, 5.0], dtype=np.float32), ds["temp"].attrs)
    assert open_observations(ds).sizes["obs"] == 2


def test_packed_numbers_are_no_fills():
    ds = cast()
    packed = np.array([9999, -9999, 100, -32767], dtype=np.int16)
    attrs = {**ds["temp"].attrs, "scale_factor": 0.001, "add_offset": 10.0, "_FillValue": -32767}
    ds["temp"] = ("z", packed, attrs)
    table = open_observations(ds, var="thetao")
    assert table.sizes["obs"] == 3
    assert table["value"].values[0] == pytest.approx(19.999)


def test_minus_99_is_a_longitude_and_9999_a_day():
    ds = cast(lon=-99.0, time=9999.0)
    ds["time"].attrs["units"] = "days since 1990-01-01"
    table = open_observations(ds)
    assert (table["longitude"].values == -99.0).all()
    assert str(table["time"].values[0])[:10] == "2017-05-18"
    assert set(table["qc"].values) == {0}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lat": 91.0}, "position is out of range"),
        ({"lon": 999.0}, "position is out of range"),
        ({"lat": np.nan}, "position is missing"),
        ({"time": 1e6}, "time is missing"),  # beyond what a date can be
        ({"time": 80000.0}, "time is in the future"),
        ({"time": -110000.0}, "time is before 1700"),
        ({"time": np.nan}, "time is missing"),
        ({"z": [0.0, 100.0, 500.0, np.nan]}, "depth is missing"),
        ({"z": [-50.0, 100.0, 500.0, 1000.0]}, "depth is above the sea surface"),
        ({"z": [0.0, 100.0, 500.0, 13000.0]}, "depth is out of range"),
    ],
)
def test_impossible_positions_stay_with_a_reason(change, why):
    table = open_observations(cast(**change))
    assert table.sizes["obs"] == 4
    flagged = table["qc"].values == 4
    assert flagged.any()
    assert all(why in r for r in table["reason"].values[flagged])
    assert np.isfinite(table["value"].values).all()


@pytest.mark.parametrize(
    ("lost", "told"),
    [("time", "holds no time"), ("lat", "holds no latitude"), ("z", "neither depth nor pressure")],
)
def test_a_missing_coordinate_is_named(lost, told):
    with pytest.raises(InputError, match=told):
        open_observations(cast().drop_vars(lost))


def test_missing_units_are_named():
    ds = cast()
    del ds["temp"].attrs["units"]
    with pytest.raises(InputError, match="'temp' has no units"):
        open_observations(ds)


def test_nothing_measured_is_named():
    ds = cast().rename(temp="oxygen")
    ds["oxygen"].attrs = {"standard_name": "mass_concentration_of_oxygen_in_sea_water"}
    with pytest.raises(InputError, match="no temperature and no salinity of the sea"):
        open_observations(ds)


def test_two_calendars_do_not_meet():
    model = cast()
    model["time"].attrs["calendar"] = "360_day"
    one = open_observations(model)
    assert one["time"].values[0].calendar == "360_day"
    with pytest.raises(InputError, match="several calendars"):
        open_observations([cast(), model])


# ---- files


@pytest.fixture
def classic(tmp_path):
    path = tmp_path / "cast.nc"
    cast().to_netcdf(path, format="NETCDF3_CLASSIC")
    return path


@pytest.fixture
def modern(tmp_path):
    path = tmp_path / "cast4.nc"
    cast().to_netcdf(path, format="NETCDF4")
    return path


def test_name_and_compression_do_not_matter(classic, modern, tmp_path):
    want = open_observations(classic)["value"].values
    strange = tmp_path / "not_a_cast.txt"
    strange.write_bytes(classic.read_bytes())
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(modern.read_bytes()))
    for path in (modern, strange, packed):
        np.testing.assert_array_equal(open_observations(path)["value"].values, want)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_truncated_files_are_told(classic, modern, tmp_path, keep):
    for path in (classic, modern):
        whole = path.read_bytes()
        short = tmp_path / f"short_{path.name}"
        short.write_bytes(whole[: int(keep * len(whole))])
        with pytest.raises(InputError, match=r"truncated"):
            open_observations(short)
        packed = tmp_path / f"packed_{path.name}.gz"
        squeezed = gzip.compress(whole)
        packed.write_bytes(squeezed[: int(keep * len(squeezed))])
        with pytest.raises(InputError, match=r"truncated|damaged"):
            open_observations(packed)


def test_a_crafted_dimension_does_not_exhaust_memory(tmp_path):
    path = tmp_path / "large.nc"
    with netCDF4.Dataset(path, "w") as file:  # a few kilobytes that claim a terabyte
        file.featureType = "profile"
        file.createDimension("profile", 10**6)
        file.createDimension("z", 10**6)
        field = file.createVariable(
            "temp", "f4", ("profile", "z"), zlib=True, chunksizes=(100, 100)
        )
        field.units, field.standard_name = "degC", "sea_water_temperature"
        file.createVariable("z", "f4", ("z",), zlib=True, chunksizes=(100,)).units = "m"
        for name, units in (("lat", "degrees_north"), ("lon", "degrees_east")):
            file.createVariable(name, "f4", ()).units = units
        file.createVariable("time", "f8", ()).units = "days since 2000-01-01"
    assert path.stat().st_size < 10**5
    with pytest.raises(MemoryForeseenError, match="GiB"):
        read_with("cf", path)


def test_a_crafted_header_of_the_classic_format_is_truncated(classic):
    raw = bytearray(classic.read_bytes())
    at = raw.index(b"z\x00\x00\x00") + 4  # length of dimension z
    assert struct.unpack(">i", raw[at : at + 4]) == (4,)
    raw[at : at + 4] = struct.pack(">i", 2**30)
    classic.write_bytes(raw)
    with pytest.raises(InputError, match=r"truncated|damaged"):
        open_observations(classic)


def test_what_expands_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(base, "MAX_EXPANDED", 10**6)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"CDF\x01" + bytes(2 * 10**6)))
    with pytest.raises(MemoryForeseenError, match="when expanded"):
        open_observations(path)
    with Source(path) as source, pytest.raises(MemoryForeseenError, match="when expanded"):
        source.text()


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02 not a format", b"a diary of the sea\n"])
def test_an_unknown_file_says_what_was_looked_for(tmp_path, content):
    path = tmp_path / "unknown.dat"
    path.write_bytes(content)
    with pytest.raises(InputError) as told:
        open_observations(path)
    if content:
        assert "no reader knows this structure" in str(told.value)
        assert all(name in str(told.value) for name in readers())
    else:
        assert "empty" in str(told.value)


def test_one_bad_file_is_skipped_only_if_asked(classic, tmp_path, caplog):
    bad = tmp_path / "bad.nc"
    bad.write_bytes(classic.read_bytes()[:200])
    with pytest.raises(InputError, match=r"bad\.nc"):
        open_observations([classic, bad])
    with caplog.at_level(logging.WARNING, logger="xdeepda"):
        table = open_observations([classic, bad], errors="skip")
    assert table.sizes["obs"] == 4
    assert table.attrs["files"] == 1
    assert "bad.nc" in table.attrs["skipped"]
    assert "bad.nc" in caplog.text
    with pytest.raises(InputError, match=r"bad\.nc"):
        open_observations(bad, errors="skip")


def test_wrong_arguments(tmp_path, classic):
    for paths, told in (
        ([], "empty list"), (str(tmp_path / "*.none"), "no file"), (tmp_path, "is a folder"),
        (3.5, "is no path"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=told):
            open_observations(paths)
    with pytest.raises(InputError, match="'raise' or 'skip'"):
        open_observations(classic, errors="ignore")
    with pytest.raises(InputError, match="no reader 'nonsense'"):
        read_with("nonsense", classic)
    with pytest.raises(InputError, match="holds none of"):
        open_observations(classic, var="so")


def test_the_input_is_untouched_and_files_are_closed(classic):
    ds = cast()
    before = ds.copy(deep=True)
    open_observations(ds)
    xr.testing.assert_identical(ds, before)
    open_observations(classic)
    classic.unlink()


def test_a_field_of_a_model_is_no_table():
    field = xr.DataArray(
        np.ones((2, 3, 4)), dims=("depth", "lat", "lon"), name="thetao",
        attrs={"units": "degC", "standard_name": "sea_water_potential_temperature"},
        coords={"depth": ("depth", [5.0, 10.0], {"units": "m"}),
                "lat": ("lat", [0.0, 1, 2], {"units": "degrees_north"}),
                "lon": ("lon", [0.0, 1, 2, 3], {"units": "degrees_east"}),
                "time": ((), 0.0, {"units": "days since 2000-01-01"})},
    )  # fmt: skip
    with pytest.raises(InputError, match="no reader knows this structure"):
        open_observations(field.to_dataset())


def test_the_table_survives_netcdf(tmp_path):
    table = xdeepda.open_observations([cast(), cast(lat=91.0)])
    table.to_netcdf(tmp_path / "table.nc")
    again = open_observations(tmp_path / "table.nc")
    for name in table.variables:
        np.testing.assert_array_equal(table[name].values, again[name].values)
    assert again["value"].attrs["units_thetao"] == "degC"
    assert again.attrs["notes"] == table.attrs["notes"]


def test_every_reader_is_honest():
    for name, reader in readers().items():
        assert reader.name == name
        assert reader.describes
        assert "\n" not in reader.describes
        assert reader.ignores or name == "table"
    assert {n for n, r in readers().items() if not r.verified} >= {"en4", "hadiod", "nemo"}
