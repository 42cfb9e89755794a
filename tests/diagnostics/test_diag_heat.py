"""Heat content and steric height: closed forms, layers, totals, bad input."""

from __future__ import annotations

import gsw
import numpy as np
import pytest
import xarray as xr
from diag_fields import CONSERVATIVE, POTENTIAL, SALINITY, column
from hypothesis import given
from hypothesis import strategies as st

import xdeepda
from xdeepda.diagnostics.water import CP0
from xdeepda.errors import InputError
from xdeepda.grid import EARTH_RADIUS

DEPTH = np.array([5.0, 20.0, 60.0, 150.0, 400.0, 900.0])
EDGES = np.array([0.0, 12.5, 40.0, 105.0, 275.0, 650.0, 1150.0])


@given(top=st.floats(0, 900), thickness=st.floats(1, 1000), temperature=st.floats(-2, 30))
def test_a_constant_column_holds_its_thickness(top, thickness, temperature):
    bottom = min(top + thickness, 1150.0)
    ocean = column(np.full(6, temperature), DEPTH, CONSERVATIVE)
    found = xdeepda.heat_content(ocean, depth=(top, bottom))
    expected = 1026 * CP0 * temperature * (bottom - top)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1.0)


@given(cut=st.floats(1, 1149), seed=st.integers(0, 99))
def test_layers_add_up(cut, seed):
    ocean = column(np.random.default_rng(seed).uniform(-2, 30, 6), DEPTH)
    upper = xdeepda.heat_content(ocean, depth=(0, cut))
    lower = xdeepda.heat_content(ocean, depth=(cut, 1150))
    whole = xdeepda.heat_content(ocean, depth=(0, 1150))
    np.testing.assert_allclose(upper + lower, whole, rtol=1e-9)


def test_a_limit_inside_a_cell_takes_its_part():
    ocean = column([10.0, 9, 8, 7, 6, 5], DEPTH, CONSERVATIVE)
    found = xdeepda.heat_content(ocean, depth=(30, 300))
    parts = 9 * 10 + 8 * 65 + 7 * 170 + 6 * 25
    np.testing.assert_allclose(found, 1026 * CP0 * parts)


def test_bounds_of_the_depth_axis_are_used():
    ocean = column([10.0, 0, 0], [5.0, 20.0, 60.0], CONSERVATIVE).to_dataset()
    ocean["depth"].attrs["bounds"] = "depth_bnds"
    ocean["depth_bnds"] = ("depth", "bnds"), [[0.0, 10], [10, 40], [40, 90]]
    by_bounds = xdeepda.heat_content(ocean, depth=(0, 90))
    np.testing.assert_allclose(by_bounds, 1026 * CP0 * 100)
    midway = xdeepda.heat_content(ocean["thetao"], depth=(0, 80))
    np.testing.assert_allclose(midway, 1026 * CP0 * 125)
    # as a coordinate, or in centimetres upwards, they are the same
    beside = ocean.set_coords("depth_bnds")
    np.testing.assert_allclose(xdeepda.heat_content(beside, depth=(0, 90)), by_bounds)
    up = ocean.assign_coords(depth=-100 * ocean["depth"]).isel(depth=slice(None, None, -1))
    up["depth"].attrs = {"units": "cm", "positive": "up", "bounds": "depth_bnds"}
    up["depth_bnds"] = -100 * up["depth_bnds"]
    np.testing.assert_allclose(xdeepda.heat_content(up, depth=(0, 90)), by_bounds)


def test_the_three_temperatures_of_one_water_hold_the_same_heat():
    salt = 35.16504
    pressure = gsw.p_from_z(-DEPTH, 45.0)
    conservative = np.array([25.0, 22, 15, 10, 6, 3])
    waters = {
        "conservative": conservative,
        "potential": gsw.pt_from_CT(salt, conservative),
        "in-situ": gsw.t_from_CT(salt, conservative, pressure),
    }
    found = [
        float(xdeepda.heat_content(column(t, DEPTH), temperature=kind))
        for kind, t in waters.items()
    ]
    np.testing.assert_allclose(found, found[0], rtol=1e-6)
    # taken for another temperature, the same numbers are another heat
    wrong = xdeepda.heat_content(column(waters["in-situ"], DEPTH), temperature="potential")
    assert abs(float(wrong) / found[0] - 1) > 1e-3


def test_density_and_salinity_of_the_column():
    ocean = xr.Dataset(
        {
            "thetao": column(np.linspace(25, 3, 6), DEPTH, CONSERVATIVE),
            "so": column(np.full(6, 34.0), DEPTH, SALINITY, "so"),
        }
    )
    absolute, pressure = 34 * 35.16504 / 35, gsw.p_from_z(-DEPTH, 45.0)
    rho = gsw.rho(absolute, ocean["thetao"].values, pressure)
    expected = (CP0 * rho * ocean["thetao"].values * np.diff(EDGES)).sum()
    found = xdeepda.heat_content(ocean, depth=(0, 1150), density="in-situ")
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.attrs["density"] == "in-situ"
    # the salinity enters the conversion only where it is asked for
    ocean["thetao"].attrs = POTENTIAL
    default, own = (xdeepda.heat_content(ocean, salinity=s) for s in (None, "so"))
    assert 0 < abs(float(own / default) - 1) < 1e-2
    xr.testing.assert_equal(default, xdeepda.heat_content(ocean["thetao"]))


# ---- land, floors and holes


def test_a_floor_ends_the_column_and_a_hole_is_missing():
    nan = np.nan
    rows = [
        [10.0, 10, 10, 10, 10, 10],
        [10, 10, 10, nan, nan, nan],  # floor at 105 m
        [nan] * 6,  # land
        [10, nan, 10, 10, 10, 10],  # a hole
        [nan, 10, 10, 10, 10, 10],  # nothing at the surface
    ]
    field = xr.concat([column(r, DEPTH, CONSERVATIVE) for r in rows], "lon")
    field = field.assign_coords(lon=("lon", np.arange(5.0), {"units": "degrees_east"}))
    found = xdeepda.heat_content(field, depth=(0, 275)) / (1026 * CP0 * 10)
    np.testing.assert_allclose(found, [275, 105, nan, nan, nan])
    # below the floor there is no sea, and the hole lies above
    found = xdeepda.heat_content(field, depth=(105, 275)) / (1026 * CP0 * 10)
    np.testing.assert_allclose(found, [170, nan, nan, 170, 170])


def test_a_value_that_lacks_at_one_time_is_no_floor():
    values = np.full((3, 6), 10.0)
    values[1, 3:] = np.nan
    found = xdeepda.heat_content(column(values, DEPTH))
    assert np.isfinite(found).values.tolist() == [True, False, True]


# ---- totals


def test_a_total_is_the_sum_over_the_sphere(ocean):
    whole = ocean["thetao"].copy(data=np.full(ocean["thetao"].shape, 10.0))
    whole.attrs["standard_name"] = CONSERVATIVE["standard_name"]
    whole = whole.isel(time=slice(0, 2))
    found = xdeepda.heat_content(whole, depth=(0, 100), total=True)
    north = np.sin(np.deg2rad(72.0))  # edge of the last row
    area = 4 * np.pi * EARTH_RADIUS**2 * north
    np.testing.assert_allclose(found, 1026 * CP0 * 10 * 100 * area, rtol=1e-9)
    assert found.dims == ("time",)
    assert found.attrs["units"] == "J"
    # a region and its complement
    parts = [
        xdeepda.heat_content(whole, depth=(0, 100), total=True, region=(*lat, 0, 360))
        for lat in ((-72, 7), (7, 72))
    ]
    np.testing.assert_allclose(parts[0] + parts[1], found)
    box = (-10, 10, 350, 20)  # across Greenwich
    shifted = (-10, 10, -10, 20)
    a, b = (
        xdeepda.heat_content(whole, depth=(0, 100), total=True, region=r) for r in (box, shifted)
    )
    xr.testing.assert_allclose(a, b)
    np.testing.assert_allclose(a / found, np.sin(np.deg2rad(10)) / north * 30 / 360)


def test_a_total_without_a_column_is_missing(ocean):
    broken = ocean["thetao"].copy()
    j, i = np.argwhere(np.isfinite(broken[0, 0].values))[3]
    broken[5, 0, j, i] = np.nan
    found = xdeepda.heat_content(broken, depth=(0, 400), total=True)
    assert np.flatnonzero(found.isnull()).tolist() == [5]


# ---- steric height


@pytest.mark.parametrize("lat", [0.0, 60.0])
def test_steric_height_is_the_dynamic_height_of_gsw(lat):
    depth = np.arange(5.0, 1000, 10)
    absolute = 35 + 0.5 * np.exp(-depth / 200)
    conservative = 2 + 20 * np.exp(-depth / 300)
    ocean = xr.Dataset(
        {
            "thetao": column(conservative, depth, CONSERVATIVE),
            "sa": column(
                absolute, depth,
                {"standard_name": "sea_water_absolute_salinity", "units": "g/kg"}, "sa",
            ),
        }
    ).expand_dims(lat=[lat])  # fmt: skip
    found = xdeepda.steric_height(ocean, depth=(0, 1000))
    edges = np.arange(0.0, 1001, 10)
    profiles = [np.interp(edges, depth, v) for v in (absolute, conservative)]
    pressure = gsw.p_from_z(-edges, lat)
    height = gsw.geo_strf_dyn_height(*profiles, pressure, pressure[-1]) / 9.7963
    np.testing.assert_allclose(found, height[0], rtol=2e-3)
    assert found.attrs["units"] == "m"


def test_warmer_and_fresher_water_stands_higher():
    base = {"thetao": column(np.full(6, 10.0), DEPTH), "so": column(np.full(6, 35.0), DEPTH,
                                                                   SALINITY, "so")}  # fmt: skip
    ocean = xr.Dataset(base)
    low = xdeepda.steric_height(ocean, depth=(0, 1000))
    warm = xdeepda.steric_height(ocean.assign(thetao=ocean["thetao"] + 1), depth=(0, 1000))
    fresh = xdeepda.steric_height(ocean.assign(so=ocean["so"] - 1), depth=(0, 1000))
    # thermal expansion 1.7e-4 / K, haline contraction 7.6e-4
    assert 0.12 < float(warm - low) < 0.22
    assert 0.70 < float(fresh - low) < 0.80


# ---- bad input


def told(call) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


def test_levels_that_are_too_shallow_say_how_deep_they_reach():
    shallow = column(np.full(4, 10.0), DEPTH[:4])
    text = told(lambda: xdeepda.heat_content(shallow))
    assert "from 0 to 195 m" in text
    assert "partial=True" in text
    found = xdeepda.heat_content(shallow, partial=True)
    np.testing.assert_allclose(found, xdeepda.heat_content(shallow, depth=(0, 195)))
    deep = column(np.full(3, 10.0), [300.0, 400, 500])
    assert "from 250 to 550 m" in told(lambda: xdeepda.heat_content(deep, depth=(0, 500)))
    assert "no level lies" in told(lambda: xdeepda.heat_content(deep, depth=(600, 700)))


def test_everything_is_told_at_once(ocean):
    text = told(
        lambda: xdeepda.heat_content(
            ocean["thetao"], depth=(0, 5000), density="in-situ", region=(10, -10, 0, 360),
            total=True, temperature="warm",
        )
    )  # fmt: skip
    for words in ("no box",):
        assert words in text
    text = told(
        lambda: xdeepda.heat_content(
            ocean["thetao"], depth=(0, 5000), density="in-situ", temperature="warm", total=True,
            region=(80, 85, 0, 360),
        )
    )  # fmt: skip
    for words in ("they reach from", "salinity is missing", "'warm'", "outside of the domain"):
        assert words in text, words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"depth": (700, 0)}, "no layer"),
        ({"depth": 700}, "no layer"),
        ({"density": "light"}, "density='light'"),
        ({"density": 1.026}, "not that of sea water"),
        ({"region": (-5, 5, 0, 90)}, "without total=True"),
        ({"region": "nino3", "total": True}, "no box"),
        ({"salinity": "nothing"}, "not in the Dataset"),
        ({"var": "nothing"}, "not in the Dataset"),
    ],
)
def test_bad_arguments(ocean, arguments, words):
    assert words in told(lambda: xdeepda.heat_content(ocean, **arguments))


def test_bad_objects(ocean):
    flat = ocean["thetao"].isel(depth=0, drop=True)
    assert "no axis of depth" in told(lambda: xdeepda.heat_content(flat))
    nameless = ocean["thetao"].rename("water").assign_attrs(standard_name="")
    text = told(lambda: xdeepda.heat_content(nameless, partial=True))
    assert "temperature='potential'" in text
    assert "no temperature" in told(lambda: xdeepda.heat_content(ocean[["so"]]))
    assert "is no temperature" in told(lambda: xdeepda.heat_content(ocean["so"]))
    assert "no salinity" in told(lambda: xdeepda.steric_height(ocean[["thetao"]], depth=(0, 100)))
    column_alone = ocean["thetao"].isel(lat=4, drop=True)
    assert "axis of lat" in told(lambda: xdeepda.heat_content(column_alone, total=True))


def test_a_region_that_the_domain_holds_in_part(ocean):
    part = ocean.isel(lon=slice(0, 10))
    region = (-10, 10, 100, 200)
    text = told(lambda: xdeepda.heat_content(part, total=True, region=region))
    assert "50% of the region" in text
    found = xdeepda.heat_content(part, total=True, region=region, partial=True)
    same = xdeepda.heat_content(part, total=True, region=(-10, 10, 100, 150))
    xr.testing.assert_allclose(found, same)
