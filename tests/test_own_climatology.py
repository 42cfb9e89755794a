"""Anomalies from an observed climatology in place of the model's."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.calendar import Cycle


@pytest.fixture(scope="module")
def of_model(ocean, tiny_model) -> xr.DataArray:
    """The model's climatology as twelve fields of a standard year."""
    month = Cycle("month")
    index = 2001 * 12 + np.arange(12)
    values = tiny_model.climatology.at(month.year_fraction(index, "standard"))[:, 0]
    da = (
        ocean["thetao"]
        .isel(time=slice(0, 12))
        .copy(data=np.where(tiny_model.wet[0], values, np.nan))
    )
    return da.assign_coords(time=month.middle(index, "standard"))


def test_the_models_own_changes_nothing(ocean, cells, tiny_model, of_model, analysis):
    found = xdeepda.assimilate(ocean, cells, model=tiny_model, climatology=of_model)
    np.testing.assert_allclose(found["thetao"], analysis["thetao"], atol=0.02)
    same = xdeepda.assimilate(ocean, cells, model=tiny_model, climatology="model")
    xr.testing.assert_equal(same, analysis)


def test_a_warmer_ocean_is_analysed_as_the_same_anomalies(ocean, cells, tiny_model, of_model):
    base = xdeepda.assimilate(ocean, cells, model=tiny_model, climatology=of_model)
    warmer = cells.assign(thetao=(cells["thetao"] + 2).assign_attrs(cells["thetao"].attrs))
    warm = (of_model + 2).assign_attrs(of_model.attrs)
    kelvin = (warm.astype("f8") + 273.15).assign_attrs(units="K").isel(lat=slice(None, None, -1))
    for climatology in (warm, warm.to_dataset(), kelvin):
        found = xdeepda.assimilate(ocean, warmer, model=tiny_model, climatology=climatology)
        np.testing.assert_allclose(found["thetao"], base["thetao"] + 2, atol=1e-3)
        np.testing.assert_allclose(
            found["thetao_background"], base["thetao_background"] + 2, atol=1e-3
        )
        np.testing.assert_allclose(found["thetao_spread"], base["thetao_spread"], atol=1e-5)
    # with the model's climatology, the warmth is taken for an anomaly that fades
    biased = xdeepda.assimilate(ocean, warmer, model=tiny_model)
    assert float(np.abs(biased["thetao"] - base["thetao"] - 2).mean()) > 0.3


def test_several_years_and_members(ocean, cells, tiny_model):
    found = xdeepda.assimilate(ocean, cells, model=tiny_model, members=2, climatology=ocean)
    expected = xdeepda.assimilate(ocean, cells, model=tiny_model, members=2)
    # ten years in place of the eight of the training
    np.testing.assert_allclose(found["thetao"], expected["thetao"], atol=0.6)
