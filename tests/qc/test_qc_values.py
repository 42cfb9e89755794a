"""Rules that judge values: each catches what is planted, and nothing in clean casts."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from qc_tables import DEPTH, casts, failed, planted, table, water, where

from xdeepda import quality_control
from xdeepda.observations.quantities import potential_temperature


def test_clean_casts_pass_and_get_the_flag_of_good_data():
    checked = quality_control(casts())
    assert failed(checked) == []
    assert set(checked["qc"].values) == {1}
    assert set(checked["reason"].values) == {""}


# ---- ranges


@pytest.mark.parametrize(
    ("variable", "value"),
    [("thetao", 99.9), ("thetao", -3.0), ("so", -0.1), ("so", 45.0), ("thetao", 1e10)],
)
def test_values_that_no_sea_has(variable, value):
    ds = casts()
    row = where(ds, variable=variable)[4]
    assert failed(quality_control(planted(ds, "value", row, value)), "range") == [row]


def test_ranges_hold_in_the_units_of_the_user():
    ds = casts(salinity=False)
    kelvin = ds.assign(value=(ds["value"] + 273.15).assign_attrs(units_thetao="K"))
    row = where(ds)[3]
    assert failed(quality_control(planted(kelvin, "value", row, 20.0)), "range") == [row]
    assert failed(quality_control(kelvin)) == []


@pytest.mark.parametrize(
    ("variable", "depth", "value"),
    [("thetao", 400.0, 28.0), ("thetao", 2000.0, 18.5), ("so", 2000.0, 39.0), ("so", 500.0, 8.0)],
)
def test_values_that_the_open_ocean_has_not_at_this_depth(variable, depth, value):
    rows = {"variable": [variable], "value": [value], "depth": [depth]}
    here = {"time": [np.datetime64("2005-01-01", "ns")], "latitude": [30.0], "longitude": [320.0]}
    assert failed(quality_control(table({**rows, **here})), "depth_range") == [0]
    assert failed(quality_control(table({**rows, **here, "depth": [10.0]}))) == []


@pytest.mark.parametrize("longitude", [18.0, 378.0])
def test_deep_water_of_the_mediterranean_is_warm_and_salty(longitude):
    rows = {
        "value": [13.5, 38.7], "variable": ["thetao", "so"], "depth": [3500.0] * 2,
        "time": [np.datetime64("2005-01-01", "ns")] * 2, "latitude": [35.5] * 2,
        "longitude": [longitude] * 2,
    }  # fmt: skip
    assert failed(quality_control(table(rows))) == []
    open_ocean = table({**rows, "longitude": [320.0] * 2})
    assert failed(quality_control(open_ocean), "depth_range") == [0, 1]
    cold = table({**rows, "value": [8.0, 41.0]})
    assert failed(quality_control(cold), "region") == [0, 1]


def test_the_red_sea_is_judged_in_situ():
    """21.6 degrees at 2,000 m are 21.1 in potential temperature."""
    theta = potential_temperature(np.array([21.6]), np.array([2000.0]), np.array([20.0]))
    rows = {
        "value": theta, "depth": [2000.0], "time": [np.datetime64("2005-01-01", "ns")],
        "latitude": [20.0], "longitude": [38.5],
    }  # fmt: skip
    assert failed(quality_control(table(rows))) == []
    assert failed(quality_control(table({**rows, "value": theta - 1.0})), "region") == [0]


def test_the_balearic_sea_is_part_of_the_mediterranean():
    rows = {
        "value": [12.9, 38.45], "variable": ["thetao", "so"], "depth": [2500.0] * 2,
        "time": [np.datetime64("2005-01-01", "ns")] * 2, "latitude": [40.5] * 2,
        "longitude": [3.5] * 2,
    }  # fmt: skip
    assert failed(quality_control(table(rows))) == []


def test_zero_in_the_tropics_is_no_temperature():
    ds = casts(salinity=False).assign_coords(latitude=("obs", np.full(6 * DEPTH.size, 5.0)))
    row = where(ds)[8]
    assert failed(quality_control(planted(ds, "value", row, 0.0)), "depth_range") == [row]


# ---- spikes and gradients


@pytest.mark.parametrize("size", [-6.0, 6.0])
@pytest.mark.parametrize("level", [1, 6, 12, 15])
def test_a_spike_is_found_wherever_it_is(size, level):
    ds = casts(salinity=False)
    row = where(ds)[level]
    checked = quality_control(planted(ds, "value", row, ds["value"].values[row] + size))
    assert failed(checked) == [row]
    assert "spike" in checked["reason"].values[row]


def test_a_spike_of_two_levels():
    ds = casts(salinity=False)
    rows = where(ds)[[10, 11]]
    spiky = planted(ds, "value", rows, ds["value"].values[rows] + 5.0)
    assert failed(quality_control(spiky), "spike") == rows.tolist()


def test_a_spike_of_salinity():
    ds = casts()
    row = where(ds, variable="so")[8]
    spiky = planted(ds, "value", row, ds["value"].values[row] + 1.5)
    assert row in failed(quality_control(spiky), "spike")
    assert where(ds, variable="so")[7] not in failed(quality_control(spiky))


def test_limits_are_those_in_the_table():
    """The excess over the neighbours counts, to a hundredth of a degree."""
    ds = casts(salinity=False)
    row = where(ds)[16 - 2]
    for excess, expected in ((1.24, []), (1.26, [row])):
        limit = ds["value"].values[row - 1] + excess  # 5 K * 0.5 * 0.5 at 400 m
        assert failed(quality_control(planted(ds, "value", row, limit))) == expected


def test_a_sharp_thermocline_is_no_error():
    depth = np.array([5.0, 20, 40, 45, 50, 55, 60, 80, 100, 150, 200])
    value = np.array([28.0, 28, 27.9, 25, 21.5, 18.5, 17.5, 17, 16.5, 15, 14])
    place = {"time": np.datetime64("2005-01-01", "ns"), "latitude": 0.0, "longitude": 350.0}
    assert failed(quality_control(table({"value": value, "depth": depth, **place}))) == []


def test_steps_that_are_too_steep():
    depth = np.arange(5.0, 400.0, 5.0)
    value = 10.0 - depth / 200.0
    place = {"time": np.datetime64("2005-01-01", "ns"), "latitude": 40.0, "longitude": 330.0}
    rise = value + np.where(depth > 200.0, 2.0, 0.0)  # 2 K in 5 m upside down
    drop = value - np.where(depth > 300.0, 4.5, 0.0)  # 4.5 K in 5 m below the thermocline
    for profile, at in ((rise, 200.0), (drop, 300.0)):
        checked = quality_control(table({"value": profile, "depth": depth, **place}))
        first = int(np.flatnonzero(depth == at)[0])
        assert failed(checked, "gradient") == [first, first + 1]


def test_an_inversion_that_salinity_carries_is_no_error():
    """Warm salty water under cold fresh water, as at the Grand Banks."""
    depth = np.array([5.0, 20, 40, 44, 60, 100, 150])
    warm = np.array([1.0, 1, 1, 4, 5, 5.5, 5.5])
    salt = np.array([32.0, 32, 32, 32.9, 33.5, 34.2, 34.6])
    place = {"time": np.datetime64("2005-01-01", "ns"), "latitude": 43.0, "longitude": 312.0}
    both = table(
        {
            "value": np.append(warm, salt), "depth": np.append(depth, depth), **place,
            "variable": np.repeat(np.array(["thetao", "so"], dtype=object), 7),
        }
    )  # fmt: skip
    assert failed(quality_control(both)) == []
    alone = table({"value": warm, "depth": depth, **place})
    assert failed(quality_control(alone), "gradient") == [2, 3]


def test_a_leap_at_the_bottom():
    ds = casts(salinity=False)
    last = where(ds)[-1]
    leap = planted(ds, "value", last, ds["value"].values[last - 1] + 3.5)
    assert failed(quality_control(leap), "last_step") == [last]


# ---- density


@pytest.mark.parametrize(("variable", "change"), [("so", -1.5), ("thetao", 6.0)])
def test_an_inversion_of_density_names_the_level_at_fault(variable, change):
    ds = casts()
    row = where(ds, variable=variable)[9]
    other = where(ds, variable="so" if variable == "thetao" else "thetao")[9]
    light = planted(ds, "value", row, ds["value"].values[row] + change)
    checked = quality_control(light, rules={"spike": False})
    assert failed(checked, "density") == sorted([row, other])


def test_density_is_not_judged_without_salinity_at_the_depth():
    ds = casts()
    salt = where(ds, variable="so")
    row = where(ds)[9]
    light = planted(ds, "value", row, ds["value"].values[row] + 2.0)
    assert failed(quality_control(light), "density") != []
    assert failed(quality_control(planted(light, "depth", salt, DEPTH + 1.0)), "density") == []


def test_in_situ_and_potential_temperature_have_the_same_density():
    """Neutral water of the deep sea: in situ it warms with depth by 0.4 K."""
    depth = np.array([1000.0, 5000.0])
    theta, salt = np.full(depth.size, 1.5), np.full(depth.size, 34.7)
    import gsw

    in_situ = gsw.pt_from_t(34.86, theta, 0.0, gsw.p_from_z(-depth, 30.0))
    place = {"time": np.datetime64("2005-01-01", "ns"), "latitude": 30.0, "longitude": 320.0}
    both = {
        "depth": np.append(depth, depth), **place,
        "variable": np.repeat(np.array(["thetao", "so"], dtype=object), depth.size),
    }  # fmt: skip
    quiet = {"constant": False}
    good = table({"value": np.append(theta, salt), **both})
    assert failed(quality_control(good, rules=quiet)) == []
    measured = table({"value": np.append(in_situ, salt), **both})
    name = "standard_name_thetao"
    measured["value"].attrs[name] = "sea_water_temperature"
    assert failed(quality_control(measured, rules=quiet)) == []
    measured["value"].attrs[name] = "sea_water_potential_temperature"
    assert failed(quality_control(measured, rules=quiet), "density") != []


# ---- constant and stuck


def test_a_constant_profile_is_rejected_whole():
    ds = casts(salinity=False)
    rows = where(ds)
    value = potential_temperature(np.full(DEPTH.size, 12.3), DEPTH, np.full(DEPTH.size, 30.0))
    value[3] += 0.4  # a tenth may differ
    assert failed(quality_control(planted(ds, "value", rows, value)), "constant") == rows.tolist()


def test_a_mixed_layer_of_winter_is_not_constant():
    """Cooled from above, 300 m of one *potential* temperature: no sensor that hangs."""
    ds = casts(salinity=False)
    value = np.minimum(water(DEPTH)[0], 13.0)
    value[DEPTH <= 300] = 13.0
    assert failed(quality_control(planted(ds, "value", where(ds), value))) == []


def test_a_value_that_repeats_over_hundreds_of_metres():
    depth = np.arange(10.0, 1500.0, 20.0)
    value = 5.0 + 15.0 * np.exp(-depth / 400.0)
    stuck = value.copy()
    stuck[depth > 900] = value[depth > 900][0]
    lat = np.full(depth.size, 40.0)
    place = {"time": np.datetime64("2005-01-01", "ns"), "latitude": lat, "longitude": 320.0}
    for profile, expected in ((value, 0), (stuck, int((depth > 900).sum()) - 1)):
        theta = potential_temperature(profile, depth, lat)
        checked = quality_control(table({"value": theta, "depth": depth, **place}))
        assert len(failed(checked)) == len(failed(checked, "stuck")) == expected


# ---- whole profiles


def test_below_a_broken_wire_nothing_is_believed():
    ds = casts(salinity=False).assign_coords(instrument=("obs", ["XBT T-7"] * 6 * DEPTH.size))
    rows = where(ds)
    broken = planted(ds, "value", rows[9:12], 38.0)
    checked = quality_control(broken)
    assert failed(checked) == rows[9:].tolist()
    assert failed(checked, "wire") == rows[12:].tolist()
    ctd = broken.assign_coords(instrument=("obs", ["CTD"] * 6 * DEPTH.size))
    assert failed(quality_control(ctd)) == rows[9:12].tolist()


def test_a_profile_of_which_most_failed():
    ds = casts(salinity=False)
    rows = where(ds)
    noisy = ds["value"].values[rows] + 9.0 * (np.arange(rows.size) % 2)
    checked = quality_control(planted(ds, "value", rows, noisy))
    assert failed(checked) == rows.tolist()
    assert len(failed(checked, "profile")) > 0


def test_undeclared_fills_do_not_condemn_the_rest():
    ds = casts(salinity=False)
    rows = where(ds)
    checked = quality_control(planted(ds, "value", rows[1:], 99.99))
    assert failed(checked) == rows[1:].tolist()


@pytest.mark.parametrize(("name", "depth"), [("MBT", 320.0), ("XBT", 2100.0), ("WMO 800", 320.0)])
def test_instruments_do_not_go_deeper_than_they_can(name, depth):
    rows = {
        "value": [8.0, 3.0], "depth": [200.0, depth], "instrument": [name] * 2,
        "time": np.datetime64("2005-01-01", "ns"), "latitude": 30.0, "longitude": 320.0,
    }  # fmt: skip
    assert failed(quality_control(table(rows)), "deepest") == [1]
    assert failed(quality_control(table({**rows, "instrument": ["CTD"] * 2}))) == []


def test_other_variables_are_judged_by_place_alone():
    ds = casts(2, salinity=False)
    oxygen = ds.assign(variable=("obs", np.full(ds.sizes["obs"], "oxygen", dtype=object)))
    oxygen["value"].attrs = {"units_oxygen": "umol kg-1"}
    oxygen = planted(oxygen, "value", 3, 250.0)
    assert failed(quality_control(oxygen)) == []


def test_surface_data_without_depths():
    rows = {
        "value": [20.0, 21.0, 55.0], "depth": [np.nan] * 3, "profile": ["", "", ""],
        "time": np.datetime64("2005-01-01", "ns") + np.arange(3) * np.timedelta64(1, "D"),
        "latitude": 30.0, "longitude": 320.0,
    }  # fmt: skip
    assert failed(quality_control(table(rows))) == [2]
    assert isinstance(quality_control(table(rows)), xr.Dataset)
