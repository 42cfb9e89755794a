"""Simulated observations of a truth: statistics, sub-periods, labels."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from observation_fields import make_field

from xdeepda.errors import InputError
from xdeepda.observations import Network, observe, superob

ARGO = Network.simulated(None, "argo")


def test_errors_have_the_stated_standard_deviation(field):
    out = observe(field, ARGO, seed=1)
    wrong = ((out.thetao - field.assign_coords(time=out.time)) / out.thetao_error).values
    wrong = wrong[np.isfinite(wrong)]
    assert wrong.size > 3000
    assert abs(wrong.std() - 1) < 4 / np.sqrt(2 * wrong.size)
    assert abs(wrong.mean()) < 4 / np.sqrt(wrong.size)


def test_nothing_where_nothing_is_measured(field):
    out = observe(field, ARGO)
    np.testing.assert_array_equal(np.isnan(out.thetao), out.thetao_count == 0)
    np.testing.assert_array_equal(np.isnan(out.thetao), np.isnan(out.thetao_error))
    assert not (np.isfinite(out.thetao).values & np.isnan(field).values).any()
    assert 0.05 < float(np.isfinite(out.thetao).mean()) < 0.95


def test_a_part_of_the_period_has_the_same_bits(field):
    whole, part = observe(field, ARGO, seed=3), observe(field[14:20], ARGO, seed=3, cycle="month")
    xr.testing.assert_equal(whole.isel(time=slice(14, 20)), part)
    other = observe(field, ARGO, seed=4)
    assert not whole.thetao.equals(other.thetao)
    xr.testing.assert_identical(whole, observe(field, ARGO, seed=3))


def test_labels_do_not_matter(field):
    expected = observe(field, ARGO)
    twisted = field.transpose("lon", "depth", "time", "lat").isel(
        lat=slice(None, None, -1), depth=slice(None, None, -1)
    )
    west = ("lon", (field.lon.values + 180) % 360 - 180, {"units": "degrees_east"})
    twisted = twisted.assign_coords(lon=west).isel(lon=np.argsort(west[1]))
    for other in (twisted, field.chunk(time=5), field.to_dataset()):
        out = observe(other, ARGO)
        if other is twisted:
            assert out.thetao.dims == twisted.dims
            xr.testing.assert_equal(out.lat, twisted.lat)
            out = out.assign_coords(lon=out.lon % 360).sortby(["lon", "lat", "depth"])
        for name in ("thetao", "thetao_error", "thetao_count"):
            same = out[name].transpose(*expected[name].dims).values
            np.testing.assert_array_equal(same, expected[name].values)


def test_units_of_the_truth_come_out(field):
    celsius = observe(field, ARGO)
    kelvin = observe((field + 273.15).assign_attrs({**field.attrs, "units": "K"}), ARGO)
    assert kelvin.thetao.attrs["units"] == "K"
    np.testing.assert_allclose(kelvin.thetao, celsius.thetao + 273.15, atol=1e-3)
    np.testing.assert_array_equal(kelvin.thetao_error, celsius.thetao_error)
    fahrenheit = (field * 1.8 + 32).assign_attrs({**field.attrs, "units": "degF"})
    out = observe(fahrenheit, ARGO)
    np.testing.assert_allclose(out.thetao, celsius.thetao * 1.8 + 32, atol=1e-3)


def test_cycle_means_are_observed():
    """Of daily data the mean of the month is observed, not a day."""
    days = make_field(pd.date_range("2001-01-01", periods=59))
    out = observe(days, ARGO, cycle="month")
    assert out.sizes["time"] == 2
    mean = days.resample(time="MS").mean()
    wrong = ((out.thetao - mean.values) / out.thetao_error).values
    assert abs(np.nanstd(wrong) - 1) < 0.1


def test_the_guess_of_the_cycle_is_said(field, caplog):
    caplog.set_level(logging.INFO)
    observe(field, ARGO)
    assert "'month' guessed" in caplog.text


def test_observations_may_stand_for_a_network(field):
    first = observe(field, ARGO)
    again = observe(field, first)
    seen = np.isfinite(first.thetao).any("time").values
    assert not (np.isfinite(again.thetao.values) & ~seen).any()
    assert float(again.thetao_count.sum()) > 0


def test_simulated_observations_are_observations(field):
    out = observe(field, ARGO)
    again = superob(out, field, cycle="month")
    np.testing.assert_array_equal(again.thetao, out.thetao)
    np.testing.assert_array_equal(again.thetao_count, out.thetao_count)


def test_two_variables_and_their_errors(field):
    both = xr.Dataset({"thetao": field, "so": (field.dims, field.values + 25, {"units": "1e-3"})})
    out = observe(both, Network.simulated(both, "1980s"), var=["thetao", "so"])
    assert 0 < float(out.so_count.sum()) < float(out.thetao_count.sum())
    wrong = ((out.so - both.so.values) / out.so_error).values
    assert 0.8 < np.nanstd(wrong) < 1.2


def test_the_input_is_untouched(field):
    before = field.copy(deep=True)
    observe(field, ARGO)
    xr.testing.assert_identical(field, before)


def test_problems_are_told_at_once(field):
    bare = field.copy()
    bare.attrs = {}
    with pytest.raises(InputError, match=r"(?s)3 problems.*'week'.*seed.*no units"):
        observe(bare, ARGO, cycle="week", seed=-1)
    with pytest.raises(InputError, match="no platform"):
        observe(field.rename("o2").assign_attrs(units="mol m-3", standard_name=""), ARGO)
