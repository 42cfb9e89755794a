"""Smoothers in an assimilation: later observations enter as far as the window, and no farther."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda


@pytest.fixture(scope="module")
def smoothed(ocean, months, smoother) -> xr.Dataset:
    return xdeepda.assimilate(ocean, months, model=smoother)


@pytest.fixture(scope="module")
def filtered(ocean, months, tiny_model) -> xr.Dataset:
    return xdeepda.assimilate(ocean, months, model=tiny_model)


def test_the_filter_within_is_the_filter(smoothed, filtered):
    """A smoother is trained behind its filter: backgrounds are equal, and the last cycle is."""
    for name in ("thetao_background", "thetao_obs_count"):
        np.testing.assert_array_equal(smoothed[name], filtered[name])
    np.testing.assert_array_equal(smoothed["thetao"][-1], filtered["thetao"][-1])
    assert (smoothed["thetao"] != filtered["thetao"]).any()
    assert smoothed["thetao_spread"].mean() < filtered["thetao_spread"].mean()


def test_later_observations_reach_as_far_back_as_the_window(ocean, months, smoother, smoothed):
    month = 20
    other = months.copy(deep=True)
    other["thetao"][month] += 1.0
    found = xdeepda.assimilate(ocean, other, model=smoother)
    same = (found["thetao"] == smoothed["thetao"]) | smoothed["thetao"].isnull()
    changed = ~same.all(("depth", "lat", "lon")).values
    assert not changed[: month - 2].any()
    assert changed[month - 2 : month + 5].all()
    # nothing of later observations is in the background
    same = (found["thetao_background"] == smoothed["thetao_background"]) | (
        smoothed["thetao_background"].isnull()
    )
    assert same.all(("depth", "lat", "lon"))[: month + 1].all()


def test_a_filter_knows_nothing_of_later_observations(ocean, months, tiny_model, filtered):
    other = months.copy(deep=True)
    other["thetao"][20] += 1.0
    found = xdeepda.assimilate(ocean, other, model=tiny_model)
    np.testing.assert_array_equal(found["thetao"][:20], filtered["thetao"][:20])


def test_times_that_end_early_still_see_later_observations(ocean, months, smoother, smoothed):
    part = xdeepda.assimilate(ocean, months, model=smoother, times=months["time"].values[10:20])
    assert part.sizes["time"] == 10
    np.testing.assert_array_equal(part["thetao"], smoothed["thetao"][10:20])


def test_members_of_a_smoother(ocean, months, smoother):
    found = xdeepda.assimilate(ocean, months, model=smoother, members=4, keep_members=True)
    wet = smoother.wet[0]
    ratio = found["thetao"].var("member", ddof=1) / found["thetao_spread"] ** 2
    assert 0.8 < float(ratio.mean()) < 1.2
    mean = xdeepda.assimilate(ocean, months, model=smoother, members=4)
    np.testing.assert_allclose(found["thetao"].mean("member"), mean["thetao"], atol=1e-5)
    assert np.isnan(found["thetao"].values[..., ~wet]).all()


def test_fewer_cycles_than_the_window(ocean, months, smoother):
    found = xdeepda.assimilate(ocean, months.isel(time=[0]), model=smoother)
    assert np.isfinite(found["thetao"].values[0][smoother.wet[0]]).all()
