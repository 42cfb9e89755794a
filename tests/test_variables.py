"""Several variables: trained and analysed together, each with its mask, units and scale."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda

BOTH = ["thetao", "so"]


@pytest.fixture(scope="module")
def masked(ocean) -> xr.Dataset:
    """Salinity has more land than temperature, and comes in g kg-1-like numbers."""
    so = ocean["so"].where(ocean["lon"] > 60)
    return ocean.assign(so=so.assign_attrs({**ocean["so"].attrs, "units": "1e-3"}))


def test_both_are_analysed_with_their_own_units(ocean, cells, pair_model):
    found = xdeepda.assimilate(ocean, cells, model=pair_model)
    assert pair_model.variables == ("thetao", "so")
    assert found["so"].attrs["units"] == "psu"
    assert found["so_spread"].attrs["units"] == "psu"
    assert found["thetao_spread"].attrs["units"] == "K"
    assert found["so"].attrs["standard_name"] == "sea_water_practical_salinity"
    salt = found["so"].values
    assert np.nanmin(salt) > 28
    assert np.nanmax(salt) < 42
    assert (found["so_obs_count"] == 0).all()
    assert (found["thetao_obs_count"] == cells["thetao_count"]).all()


def test_temperature_profiles_change_salinity(ocean, cells, pair_model):
    found = xdeepda.assimilate(ocean, cells, model=pair_model)
    increment = found.deepda.increment("so")
    near = (cells["thetao_count"] > 0).any("depth")
    assert increment.attrs["units"] == "psu"
    assert float(np.abs(increment).where(near).max()) > 1e-4
    # and so do other temperatures, in another way
    warmer = cells.assign(thetao=(cells["thetao"] + 1).assign_attrs(cells["thetao"].attrs))
    other = xdeepda.assimilate(ocean, warmer, model=pair_model)
    assert not np.array_equal(other["so"], found["so"], equal_nan=True)


def test_observations_of_both_in_one_file_or_two(ocean, truth, network, pair_model):
    obs = xdeepda.observe(truth, network, var=BOTH, seed=2)
    assert (obs["so_count"] > 0).any()
    together = xdeepda.assimilate(ocean, obs, model=pair_model)
    parts = [obs[[n for n in obs.data_vars if n.startswith(v)]] for v in BOTH]
    for sources in (parts, parts[::-1]):
        apart = xdeepda.assimilate(ocean, sources, model=pair_model)
        for name in together.data_vars:
            if name.startswith(tuple(BOTH)):
                np.testing.assert_allclose(apart[name], together[name], atol=1e-5)


def test_the_order_of_variables_is_that_of_training(ocean, network, tiny, cells, pair_model):
    turned = xdeepda.train(ocean, network, var=BOTH[::-1], **tiny)
    assert turned.variables == ("so", "thetao")
    np.testing.assert_array_equal(
        turned.climatology.coefficients, pair_model.climatology.coefficients[:, ::-1]
    )
    np.testing.assert_allclose(
        turned.statistics.scale, np.roll(pair_model.statistics.scale, 3), rtol=1e-6
    )
    found = xdeepda.assimilate(ocean, cells, model=turned)
    error = float(np.abs(found["so"] - ocean["so"].mean("time")).max())
    assert error < 3


def test_each_variable_has_its_own_mask(masked, network, tiny, truth):
    model = xdeepda.train(masked, network, var=BOTH, **tiny)
    assert model.wet[1].sum() < model.wet[0].sum()
    obs = xdeepda.observe(truth, network, var=BOTH, seed=2)
    found = xdeepda.assimilate(masked, obs, model=model)
    for v, name in enumerate(BOTH):
        for part in ("", "_spread", "_background"):
            values = found[name + part].values
            assert np.isfinite(values[:, model.wet[v]]).all()
            assert np.isnan(values[:, ~model.wet[v]]).all()
    assert found["so"].attrs["units"] == "1e-3"
    # salt measured where this model has land of salt is not used
    assert (found["so_obs_count"].values[:, ~model.wet[1]] == 0).all()
    assert obs["so_count"].values[:, ~model.wet[1]].sum() > 0


def test_variables_on_other_labels_of_one_grid(ocean, cells, pair_model):
    mixed = ocean.copy()
    flipped = ocean["so"].transpose("lon", "time", "lat", "depth")
    mixed["so"] = flipped
    found = xdeepda.assimilate(mixed, cells, model=pair_model, members=2)
    expected = xdeepda.assimilate(ocean, cells, model=pair_model, members=2)
    assert found["so"].dims == ("lon", "time", "lat", "depth")
    assert found["thetao"].dims == ("time", "depth", "lat", "lon")
    for name in ("so", "so_spread", "thetao"):
        np.testing.assert_array_equal(found[name].transpose(*expected[name].dims), expected[name])


def test_a_missing_variable_is_named(ocean, cells, pair_model):
    with pytest.raises(xdeepda.errors.InputError, match=r"not in the Dataset[\s\S]*\['so'\]"):
        xdeepda.assimilate(ocean[["thetao"]], cells, model=pair_model)
    with pytest.raises(xdeepda.errors.InputError, match="one variable"):
        xdeepda.assimilate(ocean["thetao"], cells, model=pair_model)


def test_the_pair_in_a_file(pair_model, tmp_path, ocean, cells):
    pair_model.save(tmp_path / "pair")
    a, b = (xdeepda.assimilate(ocean, cells, model=m) for m in (pair_model, tmp_path / "pair"))
    xr.testing.assert_equal(a, b)


def test_each_channel_learns_in_its_own_scale(pair_model):
    scale = pair_model.statistics.scale.reshape(2, 3)
    assert (scale[0] > 3 * scale[1]).all()
    rmse = pair_model.history["validation_rmse"]
    assert rmse.sizes == {"epoch": 1, "variable": 2, "depth": 3}
    assert ((rmse > 0.05) & (rmse < 1.5)).all()
