"""Vertical binning invents nothing; close samples may be interpolated; conservation; thinning."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from observation_fields import make_field

from xdeepda.errors import InputError
from xdeepda.observations import as_table, between_samples, superob
from xdeepda.observations.vertical import INTERPOLATED

LEVELS = np.array([5.0, 15, 25, 35, 50, 75, 100, 150, 200, 300, 500])
TIMES = pd.date_range("2001-01-15", periods=2, freq="30D")


def field():
    out = make_field(TIMES, depth=LEVELS)
    return out.fillna(1).assign_attrs(out.attrs)


def cast(depth, value=None, *, lat=0.0, day=3, profile=0, variable="thetao", error=0.5, qc=0):
    depth = np.asarray(depth, dtype=float)
    frame = pd.DataFrame(
        {
            "value": 20 - 0.02 * depth if value is None else value,
            "error": error,
            "time": pd.Timestamp("2001-01-01") + pd.Timedelta(days=day),
            "depth": depth,
            "lat": lat,
            "lon": 100.0,
            "platform": "a",
            "profile": profile,
            "variable": variable,
            "qc": qc,
            "units": "degC" if variable == "thetao" else "psu",
        }
    )
    return frame


def levels_of(cells):
    """Levels that hold anything, in m."""
    return LEVELS[(cells.thetao_count.sum(("time", "lat", "lon")) > 0).values].tolist()


def test_far_apart_samples_leave_the_levels_between_them_empty():
    obs = cast([5.0, 200.0, 480.0])
    assert levels_of(superob(obs, field(), cycle="month")) == [5.0, 200.0, 500.0]
    unchanged = between_samples(obs, field(), gap=100)
    assert unchanged.sizes["obs"] == 3


def test_close_samples_are_interpolated_exactly_where_linear():
    obs = cast([5.0, 45.0, 90.0, 480.0])
    filled = between_samples(obs, field(), gap=60)
    assert filled.depth.values[4:].tolist() == [15.0, 25, 35, 75]
    np.testing.assert_allclose(filled.value, 20 - 0.02 * filled.depth, rtol=1e-14)
    np.testing.assert_allclose(filled.error, 0.5)
    assert (filled.reason.values[4:] == INTERPOLATED).all()
    assert (filled.qc.values[4:] == 2).all()
    assert levels_of(superob(filled, field(), cycle="month")) == [5.0, 15, 25, 35, 50, 75, 100, 500]


def test_not_across_casts_variables_and_bad_samples():
    obs = pd.concat(
        [
            cast([5.0], profile=0),
            cast([45.0], profile=1),
            cast([5.0, 25.0, 45.0], profile=2, qc=[0, 4, 0]),
            cast([5.0], profile=3),
            cast([45.0], value=35.0, profile=3, variable="so"),
            cast([5.0, 45.0], value=[20.0, np.nan], profile=4),
        ],
        ignore_index=True,
    )
    filled = between_samples(obs, field(), gap=40)
    new = filled.isel(obs=slice(len(obs), None))
    assert set(new.profile.values) == {2}  # over the bad sample, as if it were not there
    assert new.depth.values.tolist() == [15.0, 25, 35]
    xr.testing.assert_equal(filled.isel(obs=slice(0, len(obs))), as_table(obs))


@given(
    st.lists(st.floats(0, 600), min_size=1, max_size=12, unique=True),
    st.floats(1, 300),
    st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_what_is_added_lies_between_close_samples(depths, gap, seed):
    value = np.random.default_rng(seed).normal(size=len(depths))
    obs = cast(depths, value=value)
    filled = between_samples(obs, field(), gap=gap)
    old, new = (filled.isel(obs=s) for s in (slice(0, len(depths)), slice(len(depths), None)))
    edges = np.concatenate([[0], (LEVELS[1:] + LEVELS[:-1]) / 2, [600]])
    taken = set(np.searchsorted(edges, old.depth.values, side="right"))
    ordered = np.sort(old.depth.values)
    by_depth = np.argsort(old.depth.values)
    for z, v in zip(new.depth.values, new.value.values, strict=True):
        low, high = ordered[ordered < z].max(), ordered[ordered > z].min()
        assert high - low <= gap
        assert np.searchsorted(edges, z, side="right") not in taken
        expected = np.interp(z, ordered, old.value.values[by_depth])
        np.testing.assert_allclose(v, expected, rtol=1e-9, atol=1e-12)


def test_refusals():
    with pytest.raises(InputError, match="gap is not a positive"):
        between_samples(cast([5.0]), field(), gap=0)
    with pytest.raises(InputError, match="no depth axis"):
        between_samples(cast([5.0]), field().isel(depth=0, drop=True), gap=10)


# ---- conservation


@given(st.integers(0, 10**6), st.integers(1, 60))
@settings(max_examples=12, deadline=None)
def test_counts_add_up_and_weighted_means_are_right(seed, number):
    """Whole sums of weights and values come through; errors are those of the formula."""
    rng = np.random.default_rng(seed)
    frame = pd.concat(
        [
            cast(rng.uniform(0, 600, n), value=rng.normal(10, 3, n), lat=rng.uniform(-10, 10),
                 day=rng.uniform(0, 27), profile=k, error=rng.uniform(0.1, 2, n))
            for k, n in enumerate(rng.integers(1, 6, number))
        ],
        ignore_index=True,
    )  # fmt: skip
    like = field()
    like = like.sel(lat=[like.lat.values[abs(like.lat.values).argmin()]])  # all in one row of cells
    like = like.isel(lon=[int(abs(like.lon.values - 100).argmin())])
    like = like.assign_coords(
        lat=like.lat.assign_attrs(units="degrees_north"),
        lon=("lon", [100.0], {"units": "degrees_east"}),
    )
    frame["lat"] = frame["lat"] * 0.01 + float(like.lat[0])
    cells = superob(frame, like, cycle="month")
    edges = np.concatenate([[0], (LEVELS[1:] + LEVELS[:-1]) / 2, [600]])
    level = np.searchsorted(edges, frame["depth"], side="right") - 1
    assert int(cells.thetao_count.sum()) == len(frame)
    for k in range(LEVELS.size):
        mine = frame[level == k]
        assert int(cells.thetao_count[:, k].sum()) == len(mine)
        if len(mine) == 0:
            continue
        weight = mine["error"] ** -2.0
        mean = (weight * mine["value"]).sum() / weight.sum()
        np.testing.assert_allclose(cells.thetao.values[0, k], mean, rtol=1e-12)
        m = mine["profile"].nunique()
        variance = len(mine) / weight.sum() * (0.25 + 0.75 / m)
        np.testing.assert_allclose(cells.thetao_error.values[0, k] ** 2, variance, rtol=1e-12)


# ---- thinning


def test_thinning_keeps_the_fullest_profiles_and_counts_the_others():
    obs = pd.concat(
        [cast(np.linspace(5, 450, n), profile=n, day=n) for n in (2, 9, 4, 6)], ignore_index=True
    )
    one = superob(obs, field(), cycle="month", thin=1)
    assert int(one.thetao_count.sum()) == 9
    assert "12 thinned out" in one.attrs["observations"]
    two = superob(obs, field(), cycle="month", thin=2)
    assert int(two.thetao_count.sum()) == 15
    many = superob(obs, field(), cycle="month", thin=9)
    assert many.drop_attrs().equals(superob(obs, field(), cycle="month").drop_attrs())


def test_thinning_is_of_columns_and_cycles_and_does_not_depend_on_order():
    rng = np.random.default_rng(0)
    frame = pd.concat(
        [cast(rng.uniform(0, 500, 4), profile=n, day=rng.uniform(0, 55), lat=rng.uniform(-60, 60))
         for n in range(120)],
        ignore_index=True,
    )  # fmt: skip
    whole, thin = (superob(frame, field(), cycle="month", thin=t) for t in (None, 1))
    column = [(c.thetao_count > 0).any("depth").values for c in (whole, thin)]
    np.testing.assert_array_equal(*column)
    assert int(thin.thetao_count.sum("depth").max()) <= 4
    shuffled = superob(frame.sample(frac=1, random_state=1), field(), cycle="month", thin=1)
    np.testing.assert_array_equal(thin.thetao_count, shuffled.thetao_count)
    np.testing.assert_allclose(thin.thetao, shuffled.thetao)


def test_thinning_refusals():
    for thin in (0, -1, 1.5, True):
        with pytest.raises(InputError, match="thin is not a number"):
            superob(cast([5.0]), field(), cycle="month", thin=thin)
