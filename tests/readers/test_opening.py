"""Many files, archives, frames and Datasets; a reader by name; tables in parts."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import zipfile

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xdeepda
import xdeepda.units
from xdeepda.errors import InputError
from xdeepda.observations.readers import (
    NothingMeasured,
    iter_observations,
    open_observations,
    read_with,
    readers,
)


def cast(first: float = 20.0, *, day: float = 100.0, name: str = "temp") -> xr.Dataset:
    """One profile of three levels."""
    standard = {"temp": "sea_water_temperature", "salt": "sea_water_practical_salinity"}[name]
    units = {"temp": "degC", "salt": "1"}[name]
    return xr.Dataset(
        {
            name: ("z", [first, 15.0, 10.0], {"units": units, "standard_name": standard}),
            "z": ("z", [0.0, 100.0, 500.0], {"units": "m", "positive": "down"}),
            "lat": ((), 10.0, {"units": "degrees_north"}),
            "lon": ((), 20.0, {"units": "degrees_east"}),
            "time": ((), day, {"units": "days since 2000-01-01"}),
        },
        attrs={"featureType": "profile"},
    )


@pytest.fixture
def folder(tmp_path):
    """Five casts, of which the last measures salinity."""
    for n in range(5):
        ds = cast(20.0 + n, day=n, name="salt" if n == 4 else "temp")
        ds.to_netcdf(tmp_path / f"cast{n}.nc", format="NETCDF3_CLASSIC")
    return tmp_path


# ---- archives and compression


@pytest.mark.parametrize("squeeze", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("fmt", ["NETCDF3_CLASSIC", "NETCDF4"])
def test_compression_is_seen_by_the_first_bytes(tmp_path, squeeze, fmt):
    cast().to_netcdf(tmp_path / "a.nc", format=fmt)
    (tmp_path / "packed").write_bytes(squeeze((tmp_path / "a.nc").read_bytes()))
    table = open_observations(tmp_path / "packed")
    np.testing.assert_array_equal(table["value"], open_observations(tmp_path / "a.nc")["value"])
    short = tmp_path / "short"
    short.write_bytes((tmp_path / "packed").read_bytes()[:-40])
    with pytest.raises(InputError, match=r"truncated|damaged"):
        open_observations(short)


def test_every_file_of_a_zip_archive_is_read(folder):
    with zipfile.ZipFile(folder / "casts.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(4):
            archive.write(folder / f"cast{n}.nc", f"year/cast{n}.nc")
        archive.writestr("year/packed.gz", gzip.compress((folder / "cast4.nc").read_bytes()))
        archive.writestr("year/.hidden", b"no data")
        archive.writestr("empty/", b"")
    table = open_observations(folder / "casts.zip")
    assert table.sizes["obs"] == 15
    assert set(table["source"].values) == {"packed.gz", *(f"cast{n}.nc" for n in range(4))}
    np.testing.assert_allclose(
        np.sort(table["value"]), np.sort(open_observations(str(folder / "*.nc"))["value"])
    )


def test_a_bad_member_is_named_and_skipped_if_asked(folder):
    path = folder / "mixed.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "cast0.nc", "cast0.nc")
        archive.writestr("../../outside.nc", b"CDF\x01 truncated")
    with pytest.raises(InputError, match=r"outside\.nc"):
        open_observations(path)
    assert open_observations(path, errors="skip").sizes["obs"] == 3
    assert not (folder.parent.parent / "outside.nc").exists()


def test_damaged_archives_are_told_and_skipped(folder):
    (folder / "bad.zip").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match="zip archive is damaged"):
        open_observations(folder / "bad.zip")
    both = open_observations([folder / "bad.zip", folder / "cast0.nc"], errors="skip")
    assert "bad.zip" in both.attrs["skipped"]
    with zipfile.ZipFile(folder / "empty.zip", "w"):
        pass
    with pytest.raises(InputError):
        open_observations(folder / "empty.zip")


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"7z\xbc\xaf\x27\x1c", "7-zip"), (b"GRIB\x00\x00", "GRIB"), (b"%PDF-1.4", "PDF"),
        (b"<!DOCTYPE html><html>", "web page"), (b"PAR1\x15", "Parquet"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (bytes(257) + b"ustar", "tar archive"),
    ],
)  # fmt: skip
def test_what_is_no_data_is_called_by_its_name(tmp_path, head, told):
    (tmp_path / "a.dat").write_bytes(head + b" " * 100)
    with pytest.raises(InputError, match=told):
        open_observations(tmp_path / "a.dat")


# ---- frames and Datasets


def test_a_frame_is_converted_as_a_file_is():
    frame = pd.DataFrame(
        {"time": pd.to_datetime(["2005-01-02"] * 2), "depth": [10.0, 4000.0], "lat": 5.0,
         "lon": 330.0, "value": [20.0, 2.0], "variable": "temperature", "qc": [1, 4],
         "reason": ["", "spike"], "platform": "A"}
    )  # fmt: skip
    frame.attrs["units"] = "degC"
    before = frame.copy()
    table = open_observations(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert list(table["variable"].values) == ["thetao"] * 2
    assert table["value"].values[1] == pytest.approx(1.66, abs=0.01)
    assert table["qc"].values.tolist() == [1, 4]
    assert table["reason"].values[1] == "spike"
    before.attrs = {}
    with pytest.raises(InputError, match="has no units"):
        open_observations(before)


def test_a_data_array_a_quantified_and_a_chunked_dataset():
    plain = open_observations(cast())
    ds = cast().set_coords(["lat", "lon", "time"])
    array = ds["temp"].assign_coords(z=ds["z"])
    np.testing.assert_array_equal(open_observations(array)["value"], plain["value"])
    kelvin = xdeepda.units.registry().Quantity(cast()["temp"].values + 273.15, "kelvin")
    attrs = {"standard_name": "sea_water_temperature"}
    quantified = cast().assign(temp=("z", kelvin, attrs))
    np.testing.assert_allclose(open_observations(quantified)["value"], plain["value"])
    chunked = cast().chunk({"z": 2})
    np.testing.assert_array_equal(open_observations(chunked)["value"], plain["value"])


# ---- a reader by name


def test_a_reader_is_called_by_name(folder):
    table = open_observations(folder / "cast0.nc", reader="points")
    assert table.attrs["reader"] == "points"
    assert table.attrs["ignored"] == "; ".join(readers()["points"].ignores)
    xr.testing.assert_identical(read_with("cf", folder / "cast0.nc"),
                                open_observations(folder / "cast0.nc", reader="cf"))  # fmt: skip
    with pytest.raises(InputError, match="no reader 'nonsense'"):
        open_observations(folder / "cast0.nc", reader="nonsense")
    with pytest.raises(InputError, match=r"read as mitprof .* it holds no 'prof_YYYYMMDD'"):
        open_observations(cast().rename(temp="prof_T", z="depth"), reader="mitprof")


def test_a_wrong_reader_by_name_says_which_is_right(folder):
    with pytest.raises(InputError, match=r"'wod' was asked for, but.* it is one of reader '"):
        open_observations(folder / "cast0.nc", reader="wod")
    (folder / "words.txt").write_text("cast, cast\n")
    with pytest.raises(InputError, match=r"'dart' was asked for, but.* no other reader knows"):
        open_observations(folder / "words.txt", reader="dart")


def test_names_of_variables_are_plain_words(folder):
    with pytest.raises(InputError, match=r"only \['thetao'\]"):
        open_observations(folder / "cast0.nc", var="chlorophyll")


@pytest.mark.parametrize("name", sorted(readers()))
def test_every_reader_refuses_what_is_not_its_own(folder, name):
    text = folder / "words.txt"
    text.write_text("a diary of the sea, " * 50)
    for path in (folder / "cast0.nc", text):
        try:
            table = open_observations(path, reader=name)
        except InputError:
            continue
        assert name in ("cf", "points", "gliders", "imos", "seadatanet", "cchdo")
        assert table.sizes["obs"] == 3


# ---- many files


def test_files_without_the_variable_are_left_out_and_told(folder, caplog):
    with caplog.at_level(logging.WARNING, logger="xdeepda"):
        table = open_observations(str(folder / "*.nc"), var="temperature")
    assert table.sizes["obs"] == 12
    assert "cast4.nc: holds none of ['temperature']" in table.attrs["skipped"]
    assert "cast4.nc" in caplog.text
    with pytest.raises(NothingMeasured, match="holds none of"):
        open_observations([folder / "cast0.nc", folder / "cast1.nc"], var="so")


def test_a_file_that_is_given_twice_is_read_once(folder):
    path = folder / "cast0.nc"
    assert open_observations([path, str(path), str(folder / "cast0*.nc")]).sizes["obs"] == 3


def test_notes_of_many_files_are_added_up(folder):
    table = open_observations(str(folder / "cast[0-3].nc"))
    assert "salinity 35 assumed for it at 12 levels" in table.attrs["notes"]
    assert table.attrs["notes"].count("assumed for it") == 1


def test_parts_hold_the_same_rows_in_the_same_order(folder):
    whole = open_observations(str(folder / "*.nc"))
    for rows in (1, 4, 7, 10**6):
        parts = list(iter_observations(str(folder / "*.nc"), rows=rows))
        assert all(part.sizes["obs"] >= min(rows, 3) for part in parts[:-1])
        joined = np.concatenate([part["value"].values for part in parts])
        np.testing.assert_array_equal(joined, whole["value"].values)
    assert len(list(iter_observations(str(folder / "*.nc"), rows=1))) == 5
    with pytest.raises(InputError, match="positive"):
        next(iter_observations(str(folder / "*.nc"), rows=0))


def test_parts_stop_at_a_bad_file_or_skip_it(folder):
    (folder / "cast1.nc").write_bytes(b"CDF\x01")
    with pytest.raises(InputError, match=r"cast1\.nc"):
        list(iter_observations(str(folder / "*.nc"), rows=1))
    parts = list(iter_observations(str(folder / "*.nc"), rows=6, errors="skip"))
    assert sum(part.sizes["obs"] for part in parts) == 12
    assert sum("cast1.nc" in part.attrs.get("skipped", "") for part in parts) == 1


def test_calendars_are_told_with_their_files(folder):
    late = cast(day=3.0)
    late["time"].attrs["calendar"] = "noleap"
    late.to_netcdf(folder / "model.nc", format="NETCDF3_CLASSIC")
    with pytest.raises(InputError, match=r"'noleap' \(model\.nc\)"):
        open_observations(str(folder / "*.nc"))


def test_paths_that_lead_nowhere(folder, monkeypatch):
    for path, told in (
        (str(folder / "*.none"), "no file matches"),
        (folder / "none.nc", "there is no file"),
        ("https://example.org/a.nc", "download"),
        (folder, "is a folder"),
    ):
        with pytest.raises(InputError, match=told):
            open_observations(path)
    (folder / "sub").mkdir()
    with pytest.raises(InputError, match="folders only"):
        open_observations(str(folder / "su*"))
    monkeypatch.setenv("HOME", str(folder))
    assert open_observations("~/cast0.nc").sizes["obs"] == 3


def test_a_gridded_field_is_told_what_to_do_with(folder):
    field = xr.Dataset({"thetao": (("lat", "lon"), np.ones((2, 3)))})
    with pytest.raises(InputError, match="field on a grid"):
        open_observations(field)


def test_the_table_goes_on_to_the_other_verbs(folder):
    like = xr.DataArray(
        np.ones((3, 2, 2)), dims=("depth", "lat", "lon"), name="thetao", attrs={"units": "degC"},
        coords={"depth": ("depth", [5.0, 100.0, 450.0], {"units": "m"}),
                "lat": [9.0, 11.0], "lon": [19.0, 21.0]},
    )  # fmt: skip
    table = open_observations(str(folder / "cast[0-3].nc"))
    cells = xdeepda.superob(table, like, cycle="month")
    assert int(cells["thetao_count"].sum()) == 12
