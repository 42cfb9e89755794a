"""Isotherms and mixed layers of profiles with known answers."""

from __future__ import annotations

import gsw
import numpy as np
import pytest
import xarray as xr
from diag_fields import CONSERVATIVE, SALINITY, column
from hypothesis import given
from hypothesis import strategies as st

import xdeepda
from xdeepda.errors import InputError

DEPTH = np.array([5.0, 20.0, 60.0, 150.0, 400.0, 900.0])


@given(warm=st.floats(21, 30), slope=st.floats(0.02, 0.1))
def test_a_linear_profile_gives_its_isotherm(warm, slope):
    depth = np.append(0.0, np.sort(np.random.default_rng(1).uniform(1, 600, 30)))
    found = float(xdeepda.isotherm_depth(column(warm - slope * depth, depth)))
    assert found == pytest.approx((warm - 20) / slope, abs=1e-6)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ([26, 24, 22, 14, 8, 4], 60 + 90 * 2 / 8),
        ([26, 24, 20, 14, 8, 4], 60.0),  # a level of the isotherm itself
        ([26, 24, 20, 20, 8, 4], 150.0),
        ([19, 18, 17, 14, 8, 4], np.nan),  # all colder
        ([30, 29, 28, 27, 26, 25], np.nan),  # all warmer
        ([26, 18, 22, 14, 8, 4], 5 + 15 * 6 / 8),  # the first of two
        ([19, 22, 24, 14, 8, 4], 60 + 90 * 4 / 10),  # colder on top: the fall counts
        ([np.nan] * 6, np.nan),
        ([26, 24, 22, np.nan, np.nan, np.nan], np.nan),  # the floor comes first
        ([26, 24, np.nan, 14, 8, 4], 20 + 130 * 4 / 10),  # across a missing level
        ([np.nan, 24, 22, 14, 8, 4], 60 + 90 * 2 / 8),
    ],
)
def test_crossings(profile, expected):
    np.testing.assert_allclose(xdeepda.isotherm_depth(column(profile, DEPTH), 20), expected)


def test_a_gap_may_be_too_wide():
    mooring = column([26, 24, np.nan, 14, 8, 4], DEPTH)
    assert np.isnan(xdeepda.isotherm_depth(mooring, gap=100.0))
    assert np.isfinite(xdeepda.isotherm_depth(mooring, gap=130.0))
    # without a missing level, the distance of the levels does not matter
    assert np.isfinite(xdeepda.isotherm_depth(column([26, 24, 22, 14, 8, 4], DEPTH), gap=1.0))


def test_the_isotherm_is_in_degrees_celsius_whatever_the_unit():
    celsius = column([26.0, 24, 22, 14, 8, 4], DEPTH)
    kelvin = (celsius + 273.15).assign_attrs(units="K", standard_name=celsius.standard_name)
    np.testing.assert_allclose(
        xdeepda.isotherm_depth(kelvin, 20), xdeepda.isotherm_depth(celsius, 20)
    )


@given(seed=st.integers(0, 999), value=st.floats(5, 25))
def test_the_isotherm_lies_between_warmer_and_colder_water(seed, value):
    rng = np.random.default_rng(seed)
    profile = column(np.sort(rng.uniform(0, 30, 6))[::-1].copy(), DEPTH)
    found = float(xdeepda.isotherm_depth(profile, value))
    if np.isfinite(found):
        assert np.interp(found, DEPTH, profile.values) == pytest.approx(value)
    else:
        assert profile.values.max() < value or profile.values.min() >= value


# ---- mixed layer


def test_the_layer_ends_where_the_threshold_is_reached():
    depth = np.arange(5.0, 200, 10)
    mixed = np.where(depth <= 55, 20.0, 20 - 0.05 * (depth - 55))
    assert float(xdeepda.mixed_layer_depth(column(mixed, depth))) == pytest.approx(59.0)
    found = float(xdeepda.mixed_layer_depth(column(mixed, depth), threshold=0.5))
    assert found == pytest.approx(65.0)
    # an inversion ends it, too
    inverted = 40 - mixed
    assert float(xdeepda.mixed_layer_depth(column(inverted, depth))) == pytest.approx(59.0)


def test_the_reference_depth_lies_between_levels():
    depth = np.array([0.0, 20.0, 40.0, 60.0])
    profile = column([20.4, 19.6, 19.2, 19.0], depth)  # 20.0 at 10 m
    found = float(xdeepda.mixed_layer_depth(profile))
    assert found == pytest.approx(15.0)


def test_columns_mixed_to_the_floor_and_without_water():
    rows = [[10.0, 10, 10, np.nan, np.nan, np.nan], [np.nan] * 6, [10] + [np.nan] * 5, [10] * 6]
    field = xr.concat([column(r, DEPTH) for r in rows], "lon")
    field = field.assign_coords(lon=("lon", np.arange(4.0), {"units": "degrees_east"}))
    np.testing.assert_allclose(xdeepda.mixed_layer_depth(field), [60, np.nan, np.nan, 900])


def test_the_density_criterion_sees_salt():
    depth = np.arange(5.0, 200, 10)
    salt = np.where(depth < 50, 34.0, 35.0)
    ocean = xr.Dataset(
        {
            "thetao": column(np.full(depth.size, 20.0), depth, CONSERVATIVE),
            "so": column(salt, depth, SALINITY, "so"),
        }
    )
    by_heat, by_density = (
        float(xdeepda.mixed_layer_depth(ocean, criterion=c)) for c in ("temperature", "density")
    )
    assert by_heat == depth[-1]
    sigma = gsw.sigma0(salt * 35.16504 / 35, 20.0)
    k = np.flatnonzero(sigma - sigma[0] > 0.03)[0]
    assert by_density == pytest.approx(depth[k] - 10 * (1 - 0.03 / (sigma[k] - sigma[0])))


# ---- bad input


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        ("isotherm_depth", {"value": "warm"}, "no number"),
        ("isotherm_depth", {"value": 293.15}, "no sea water"),
        ("isotherm_depth", {"gap": -1}, "no distance"),
        ("mixed_layer_depth", {"criterion": "salt"}, "criterion='salt'"),
        ("mixed_layer_depth", {"threshold": 0}, "must be positive"),
        ("mixed_layer_depth", {"reference": 2.0}, "reference=5"),
        ("mixed_layer_depth", {"criterion": "density"}, "salinity is missing"),
    ],
)
def test_bad_arguments(verb, arguments, words):
    with pytest.raises(InputError, match=words):
        getattr(xdeepda, verb)(column(np.full(6, 10.0), DEPTH), **arguments)


def test_one_level_is_no_profile():
    for verb in (xdeepda.isotherm_depth, xdeepda.mixed_layer_depth):
        with pytest.raises(InputError, match="one level"):
            verb(column([10.0], [10.0]))
