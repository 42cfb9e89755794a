"""Positions, dates, land, bottom, copies and tracks."""

from __future__ import annotations

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from qc_tables import DEPTH, casts, failed, planted, table, where

from xdeepda import quality_control
from xdeepda.errors import InputError
from xdeepda.observations.qc.seas import MEDITERRANEAN, inside

# ---- positions and dates


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("latitude", 95.0), ("latitude", np.nan), ("longitude", 1000.0), ("longitude", np.inf),
        ("depth", -50.0), ("depth", 12_000.0),
    ],
)  # fmt: skip
def test_impossible_positions_are_flagged_and_not_refused(column, value):
    ds = casts()
    checked = quality_control(planted(ds, column, 3, value))
    assert failed(checked, "position") == [3]
    assert checked["qc"].values[3] == 4


@pytest.mark.parametrize("date", ["NaT", "1699-12-31", "2200-01-01"])
def test_impossible_dates(date):
    ds = casts()
    ds = ds.assign_coords(time=ds["time"].astype("datetime64[s]"))
    checked = quality_control(planted(ds, "time", 5, np.datetime64(date, "s")))
    assert failed(checked, "date") == [5]


def test_old_dates_are_dates():
    ds = casts(1)
    early = ds.assign_coords(time=("obs", np.full(34, np.datetime64("1772-07-13", "s"))))
    assert failed(quality_control(early)) == []


def test_dates_of_a_model_may_be_of_any_year():
    ds = casts(1)
    when = np.full(ds.sizes["obs"], cftime.DatetimeNoLeap(12, 3, 1), dtype=object)
    assert failed(quality_control(ds.assign_coords(time=("obs", when)))) == []


def test_a_frame_with_a_wrong_position_is_flagged_too():
    frame = pd.DataFrame(
        {
            "value": [11.0, 12.0], "time": pd.to_datetime(["2001-03-01"] * 2),
            "depth": [5.0, 5.0], "lat": [99.0, 10.0], "lon": [0.0, 0.0],
        }
    )  # fmt: skip
    frame.attrs["units"] = "degC"
    before = frame.copy(deep=True)
    assert failed(quality_control(frame), "position") == [0]
    pd.testing.assert_frame_equal(frame, before)


def test_without_the_rule_a_wrong_position_is_refused():
    ds = planted(casts(), "latitude", 3, 95.0)
    with pytest.raises(InputError, match="latitude is out of range"):
        quality_control(ds, rules={"position": False})


# ---- the sea of a model


@pytest.fixture
def sea() -> xr.DataArray:
    """Land west of 40 east and a shelf beside it, on a grid of 10 degrees that is cyclic."""
    depth, lat, lon = [10.0, 100, 500, 1000], np.arange(-85.0, 90, 10), np.arange(5.0, 360, 10)
    wet = np.ones((4, lat.size, lon.size), dtype=bool)
    wet[:, :, lon < 40] = False
    wet[2:, :, (lon > 40) & (lon < 80)] = False
    return xr.DataArray(
        np.where(wet, 10.0, np.nan), dims=("depth", "lat", "lon"), name="thetao",
        coords={"depth": ("depth", depth, {"units": "m", "positive": "down"}),
                "lat": ("lat", lat, {"units": "degrees_north"}),
                "lon": ("lon", lon, {"units": "degrees_east"})},
        attrs={"units": "degC", "standard_name": "sea_water_potential_temperature"},
    )  # fmt: skip


def places(lon: list[float], depth: float = 10.0) -> xr.Dataset:
    return table(
        {
            "value": np.full(len(lon), 9.0) + np.arange(len(lon)), "longitude": lon,
            "depth": np.full(len(lon), depth), "latitude": 15.0,
            "time": np.datetime64("2005-01-01", "ns"), "platform": [f"P{x}" for x in lon],
        }
    )  # fmt: skip


def test_land_is_land_unless_the_sea_is_next_to_it(sea):
    lon = [15.0, 375.0, 25.0, 35.0, 5.0, -5.0, 45.0]
    checked = quality_control(places(lon), sea)
    assert failed(checked, "land") == [0, 1, 2]
    assert failed(checked) == [0, 1, 2]
    assert failed(quality_control(places(lon))) == []


def test_land_does_not_depend_on_how_the_model_is_written(sea):
    lon = [15.0, 375.0, 25.0, 35.0, 5.0, -5.0, 45.0]
    other = sea.isel(lat=slice(None, None, -1)).transpose("lon", "depth", "lat").roll(lon=7)
    other = other.assign_coords(lon=(((sea.roll(lon=7, roll_coords=True).lon + 180) % 360) - 180))
    other["lon"].attrs["units"] = "degrees_east"
    assert failed(quality_control(places(lon), other), "land") == [0, 1, 2]


def test_a_sea_that_the_model_leaves_out_is_no_land(sea):
    """The Red Sea lies in the middle of the land of this model."""
    ds = places([39.0, 22.0]).assign_coords(latitude=("obs", [19.0, 19.0]))
    ds = planted(ds, "value", 0, 25.0)
    assert failed(quality_control(ds, sea.where(sea.lon > 80)), "land") == [1]


def test_outside_of_a_region_nothing_is_known(sea):
    part = sea.isel(lon=slice(0, 10))
    assert failed(quality_control(places([15.0, 200.0]), part), "land") == [0]


@pytest.mark.parametrize(
    ("lon", "depth", "expected"),
    [
        (55.0, 350.0, []),  # the shelf ends at 300 m, and a model's bottom is smooth
        (55.0, 600.0, [0]),
        (75.0, 600.0, []),  # beside the deep sea
        (200.0, 6000.0, []),  # the grid ends at 1,000 m, the sea does not
    ],
)
def test_below_the_bottom(sea, lon, depth, expected):
    ds = planted(places([lon], depth), "value", 0, 2.0)
    assert failed(quality_control(ds, sea), "bottom") == expected


def test_a_model_without_depths_or_without_a_map(sea):
    surface = sea.isel(depth=0, drop=True)
    assert failed(quality_control(places([15.0, 200.0]), surface), "land") == [0]
    section = sea.isel(lat=5, drop=True)
    assert failed(quality_control(places([15.0, 200.0]), section)) == []


def test_polygons():
    lon, lat = np.array([18.0, 378.0, -8.0, 33.0, 30.0]), np.array([35.0, 35, 36, 32, 43])
    assert inside(MEDITERRANEAN, lon, lat).tolist() == [True, True, False, True, False]


# ---- copies


def twice(ds: xr.Dataset, **changes: object) -> xr.Dataset:
    """The table followed by a copy of it with other columns."""
    size = ds.sizes["obs"]
    texts = {n: ("obs", np.full(size, v, dtype=object)) for n, v in changes.items()}
    return xr.concat([ds, ds.assign_coords(texts)], "obs", combine_attrs="override")


def test_of_equal_rows_one_stays():
    ds = casts(2)
    checked = quality_control(twice(ds))
    assert len(failed(checked, "duplicate")) == len(failed(checked)) == ds.sizes["obs"]
    kept = checked.isel(obs=checked["qc"].values < 3)
    assert [int((kept["variable"] == name).sum()) for name in ("thetao", "so")] == [34, 34]


def test_the_copy_of_another_source_goes_whichever_comes_first():
    ds = casts(2)
    n = ds.sizes["obs"]
    assert failed(quality_control(twice(ds, source="b.nc")), "duplicate") == list(range(n, 2 * n))
    ds = ds.assign_coords(source=("obs", np.full(n, "c.nc", dtype=object)))
    assert failed(quality_control(twice(ds, source="b.nc")), "duplicate") == list(range(n))


def other_archive(ds: xr.Dataset) -> xr.Dataset:
    """The casts as another archive has them: rounded, and every other level."""
    part = ds.isel(obs=slice(0, None, 2)).copy(deep=True)
    part = part.assign(value=part["value"].round(2))
    part["value"].attrs = dict(ds["value"].attrs)
    time = part["time"].values.astype("datetime64[m]").astype("datetime64[ns]")
    return part.assign_coords(
        time=("obs", time + np.timedelta64(4, "m")),
        latitude=("obs", part["latitude"].values + 0.004),
        source=("obs", np.full(part.sizes["obs"], "archive", dtype=object)),
    )


def test_the_same_cast_of_another_archive():
    ds = casts(3)
    both = xr.concat([other_archive(ds), ds], "obs", combine_attrs="override")
    n = other_archive(ds).sizes["obs"]
    checked = quality_control(both)
    assert failed(checked, "near_duplicate") == list(range(n))
    assert failed(checked) == list(range(n))


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("value", 0.2), ("latitude", 0.1), ("longitude", 0.1), ("time", np.timedelta64(2, "h")),
    ],
)  # fmt: skip
def test_another_cast_is_no_copy(column, change):
    ds = casts(3, salinity=False)
    other = other_archive(ds)
    moved = planted(other, column, slice(None), other[column].values + change)
    both = xr.concat([moved, ds], "obs", combine_attrs="override")
    assert failed(quality_control(both)) == []


def test_profiles_of_one_platform_are_no_copies_of_each_other():
    """A float that profiles twice in a quarter of an hour."""
    ds = casts(1, salinity=False)
    again = ds.assign_coords(
        time=("obs", ds["time"].values + np.timedelta64(15, "m")),
        profile=("obs", np.full(ds.sizes["obs"], "again", dtype=object)),
    )
    assert failed(quality_control(xr.concat([ds, again], "obs"))) == []


# ---- tracks


def track(lon, hours=None, instrument="XBT", platform="SHIP7", minute=7) -> xr.Dataset:
    lon = np.asarray(lon, dtype=float)
    hours = np.arange(lon.size) * 6 if hours is None else np.asarray(hours)
    start = np.datetime64("2005-01-01", "ns") + np.timedelta64(minute, "m")
    return table(
        {
            "value": 15.0 + 0.1 * np.arange(lon.size), "depth": 5.0, "latitude": 0.0,
            "longitude": lon, "time": start + hours * np.timedelta64(1, "h"),
            "platform": platform, "instrument": instrument,
            "profile": np.arange(lon.size).astype(str).astype(object),
        }
    )  # fmt: skip


STEADY = 330.0 + 2.0 * np.arange(12)  # 10 m/s


def test_a_ship_passes():
    assert failed(quality_control(track(STEADY))) == []
    assert failed(quality_control(track(STEADY - 360.0 * (STEADY > 340)))) == []


@pytest.mark.parametrize("at", [0, 1, 5, 10, 11])
def test_a_ship_that_leaps(at):
    lon = STEADY.copy()
    lon[at] += 20.0
    checked = quality_control(track(lon))
    assert failed(checked, "speed") == failed(checked) == [at]


def test_two_leaps_on_one_track():
    lon = STEADY.copy()
    lon[[3, 8]] -= 25.0
    assert failed(quality_control(track(lon)), "speed") == [3, 8]


def test_what_is_slow_for_a_ship_is_fast_for_a_float():
    lon = 330.0 + 0.01 * np.arange(12)
    lon[5] += 2.0
    assert failed(quality_control(track(lon))) == []
    for name in ("profiling float", "WMO 846", "drifting buoy"):
        assert failed(quality_control(track(lon, instrument=name)), "speed") == [5]


@pytest.mark.parametrize("name", ["SHIP", "cruise 99-0", "cruise US-0", "", "a.nc"])
def test_names_of_nobody_have_no_track(name):
    lon = STEADY.copy()
    lon[5] += 40.0
    assert failed(quality_control(track(lon, platform=name))) == []


def test_a_name_that_two_ships_share_has_no_track():
    lon = STEADY.copy()
    lon[::2] += 60.0
    assert failed(quality_control(track(lon))) == []


def test_a_day_without_an_hour_is_a_day():
    """The archives write noon where they know the day alone."""
    lon = STEADY.copy()
    lon[5] += 3.0  # half a day too far on
    hours = np.arange(12) * 6
    late = track(lon, hours, minute=0)
    assert failed(quality_control(late)) == [] or hours[5] % 12 != 0
    hours[6] = 36  # exactly noon
    at_noon = track(np.where(np.arange(12) == 6, STEADY + 4.0, STEADY), hours, minute=0)
    assert failed(quality_control(at_noon)) == []


def test_all_levels_of_a_report_go_together():
    ds = casts(6)
    rows = np.concatenate([where(ds), where(ds, variable="so")])
    far = planted(ds, "longitude", rows, 200.0)
    assert failed(quality_control(far), "speed") == sorted(rows.tolist())
    assert rows.size == 2 * DEPTH.size
