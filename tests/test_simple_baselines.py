"""Climatology and persistence through the verbs, against closed forms in physical units."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.core.architecture import VARIANCE_FLOOR
from xdeepda.errors import InputError


@pytest.fixture(scope="module")
def climatology(ocean):
    return xdeepda.baselines.climatology(ocean, var="thetao", cycle="month")


@pytest.fixture(scope="module")
def persistence(ocean):
    return xdeepda.baselines.persistence(ocean, var="thetao", cycle="month")


def floor_of(model) -> np.ndarray:
    """Climatological variance in the unit of the model, with its floor; (nz, ny, nx)."""
    scale = model.statistics.scale[:, None, None]
    return np.maximum(model.statistics.deviation**2, VARIANCE_FLOOR * scale**2)


def test_climatology_is_the_climatology_whatever_is_observed(ocean, cells, climatology):
    found = xdeepda.assimilate(ocean, cells, model=climatology)
    wet = climatology.wet[0]
    fraction = climatology.cycle.year_fraction(10 * 12 + np.arange(6, 12), "noleap")
    expected = climatology.climatology.at(fraction)[:, 0]
    np.testing.assert_allclose(found["thetao"].values[:, wet], expected[:, wet], atol=1e-5)
    np.testing.assert_allclose(
        found["thetao_spread"].values[:, wet],
        np.sqrt(floor_of(climatology))[wet][None].repeat(6, 0),
        rtol=1e-4,
    )
    assert (found.deepda.increment("thetao").values[:, wet] == 0).all()
    # which is what the mean year of the training period is, smoothed
    means = ocean["thetao"].isel(time=slice(0, 96)).groupby("time.month").mean()
    assert np.nanmax(np.abs(means.values[6:] - found["thetao"].values)) < 0.5


def test_persistence_is_a_filter_in_each_cell(ocean, cells, persistence):
    found = xdeepda.assimilate(ocean, cells, model=persistence)
    memory = persistence.statistics.persistence.astype(float)
    climate = floor_of(persistence).astype(float)
    fraction = persistence.cycle.year_fraction(10 * 12 + np.arange(6, 12), "noleap")
    mean = persistence.climatology.at(fraction)[:, 0].astype(float)
    state, variance = np.zeros_like(climate), climate.copy()
    wet = persistence.wet[0]
    for t in range(6):
        state, variance = memory * state, memory**2 * variance + (1 - memory**2) * climate
        np.testing.assert_allclose(
            found["thetao_background"].values[t][wet], (mean[t] + state)[wet], atol=1e-4
        )
        seen = np.isfinite(cells["thetao"].values[t])
        error = np.where(seen, cells["thetao_error"].values[t], 1.0)
        gain = np.where(seen, variance / (variance + error**2), 0)
        innovation = np.where(seen, cells["thetao"].values[t] - mean[t], 0) - state
        state, variance = state + gain * innovation, (1 - gain) * variance
        np.testing.assert_allclose(
            found["thetao"].values[t][wet], (mean[t] + state)[wet], atol=1e-4
        )
        np.testing.assert_allclose(
            found["thetao_spread"].values[t][wet], np.sqrt(variance)[wet], rtol=1e-3
        )


def test_baselines_are_saved_and_used_like_models(ocean, cells, persistence, tmp_path):
    persistence.save(tmp_path / "p")
    a, b = (xdeepda.assimilate(ocean, cells, model=m) for m in (persistence, tmp_path / "p"))
    xr.testing.assert_equal(a, b)
    assert repr(xdeepda.load_model(tmp_path / "p")) == repr(persistence)
    assert persistence.history.sizes["epoch"] == 0


def test_members_of_persistence_follow_their_observations(ocean, cells, persistence):
    found = xdeepda.assimilate(ocean, cells, model=persistence, members=4, keep_members=True)
    assert float(found["thetao"].std("member").min()) > 0


def test_bad_runs_are_refused_as_in_training(ocean):
    with pytest.raises(InputError, match=r"baselines.climatology: [\s\S]*too short"):
        xdeepda.baselines.climatology(ocean.isel(time=slice(0, 24)), var="thetao", cycle="month")
    spoiled = ocean[["thetao"]].copy(deep=True)
    spoiled["thetao"][5, 0, 5, 14] = np.nan
    with pytest.raises(InputError, match="NaN inside the sea"):
        xdeepda.baselines.persistence(spoiled, cycle="month")
    with pytest.raises(InputError, match="validation is a fraction"):
        xdeepda.baselines.persistence(ocean, var="thetao", cycle="month", validation=-1)
