"""ose: the same analysis with and without one observing system."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import InputError, Problems
from xdeepda.experiments.denial import divided
from xdeepda.observations import as_table


@pytest.fixture(scope="module")
def obs(points) -> xr.Dataset:
    """Two hundred points: every fourth of a mooring, others of floats; three platforms."""
    n = np.arange(points.sizes["obs"])
    table = as_table(points)
    return table.assign_coords(
        instrument=("obs", np.where(n % 4 == 0, "mooring", "float").astype(object)),
        platform=("obs", np.array([f"p{k}" for k in n % 3], dtype=object)),
    )


@pytest.fixture(scope="module")
def model(ocean) -> xdeepda.Model:
    return xdeepda.baselines.persistence(ocean, var="thetao", cycle="month")


def run(ocean, obs, model, deny, **arguments) -> xr.Dataset:
    return ocean.deepda.ose(obs, model=model, deny=deny, **arguments)


def test_equal_to_the_verbs_one_after_the_other(ocean, obs, model):
    found = run(ocean, obs, model, "mooring")
    is_denied = obs["instrument"].values == "mooring"
    full = xdeepda.assimilate(ocean, obs, model=model)
    less = xdeepda.assimilate(
        ocean, obs.isel(obs=~is_denied), model=model, times=full["time"].values
    )
    denied = obs.isel(obs=is_denied)
    for name, analysis, seen in (("with", full, True), ("without", less, False)):
        expected = analysis.deepda.verify(denied, assimilated=seen)
        mine = found.sel(experiment=name, drop=True)[list(expected)]
        xr.testing.assert_equal(mine, expected)
        other = less if seen else full
        spread = analysis.deepda.verify(other)["spread"]
        np.testing.assert_array_equal(found["field_spread"].sel(experiment=name), spread)
    apart = less.deepda.verify(full)
    np.testing.assert_array_equal(found["difference_rms"], apart["rmse"])
    np.testing.assert_array_equal(found["difference_bias"], apart["bias"])
    # an area mean, by hand
    weight = np.cos(np.deg2rad(full.lat)) * full["thetao"].isel(time=0, depth=0).notnull()
    square = ((less["thetao"] - full["thetao"]).isel(depth=0) ** 2).mean("time")
    expected = np.sqrt((square * weight).sum() / weight.sum())
    np.testing.assert_allclose(found["difference_rms"][0], expected, rtol=0.02)


def test_what_the_denied_observations_give(ocean, obs, model):
    found = run(ocean, obs, model, "mooring", by=())
    assert found["difference_rms"] > 0
    assert found["field_spread"].sel(experiment="without") > found["field_spread"].sel(
        experiment="with"
    )
    assert found["rmse"].sel(experiment="with") < found["rmse"].sel(experiment="without")
    assert found.attrs["denied"] == "instrument ['mooring']: 50 of 200 data"
    assert model.hash in found.attrs["model_hash"]
    text = repr(found.deepda)
    for words in ("denied: instrument", "without", "difference_rms"):
        assert words in text


def test_ways_to_deny(obs):
    def rows(deny, of=obs) -> list[float]:
        problems = Problems("test")
        rest, denied, words = divided(of, deny, problems)
        problems.raise_if_any()
        assert sum(t.sizes["obs"] for t in (*rest, *denied)) == 200
        assert words.endswith(f"{sum(t.sizes['obs'] for t in denied)} of 200 data")
        return sorted(np.concatenate([t["value"].values for t in denied]).tolist())

    is_denied = obs["instrument"] == "mooring"
    first = sorted(obs["value"].values[is_denied.values].tolist())
    for same in ("mooring", ["mooring"], {"instrument": "mooring"}, is_denied, is_denied.values,
                 {"instrument": ["mooring"], "depth": (0, 5000)}):  # fmt: skip
        assert rows(same) == first
    halves = [obs.isel(obs=slice(0, 100)), obs.isel(obs=slice(100, 200))]
    mask = is_denied.values
    for same in ("mooring", [mask[:100], mask[100:]]):
        assert rows(same, halves) == first
    deep = obs["depth"].values > 500
    assert rows({"depth": slice(500, 1000)}) == sorted(obs["value"].values[deep].tolist())
    assert len(rows("p1")) == 67
    both = {"platform": ["p1", "p2"], "instrument": "float"}
    assert len(rows(both)) == int((~mask & np.isin(obs["platform"].values, ["p1", "p2"])).sum())


def test_several_tables_are_verified_together(ocean, obs, model):
    halves = [obs.isel(obs=slice(0, 100)), obs.isel(obs=slice(100, 200))]
    found = run(ocean, halves, model, "mooring", by=())
    assert found["count"].values.tolist() == [50, 50]


def test_fields_beside_points_stay(ocean, obs, cells, model):
    found = run(ocean, [obs, cells], model, {"variable": "thetao"}, by=())
    analysis = xdeepda.assimilate(ocean, [cells], model=model)
    full = xdeepda.assimilate(ocean, [obs, cells], model=model)
    expected = analysis.deepda.verify(full, by=())["rmse"]
    np.testing.assert_array_equal(found["difference_rms"], expected)


def refused(ocean, obs, model, deny, **arguments) -> str:
    with pytest.raises(InputError) as error:
        run(ocean, obs, model, deny, **arguments)
    return str(error.value)


def test_bad_input_is_told_before_any_work(ocean, obs, cells, model, monkeypatch):
    def work(*_, **__):
        raise AssertionError("work has started")

    monkeypatch.setattr("xdeepda.assimilation.assimilate", work)
    monkeypatch.setattr("xdeepda.experiments.denial.verify", work)
    text = refused(ocean, obs, model, "glider", by="deep")
    for words in ("no instrument, source or platform", "instrument float, mooring", "'deep'"):
        assert words in text
    for nothing in ({"instrument": "glider"}, {"source": "x"}, np.zeros(200, dtype=bool),
                    {"instrument": "mooring", "depth": (5000, 6000)}):  # fmt: skip
        assert "matches nothing" in refused(ocean, obs, model, nothing)
    for everything in ({"variable": "thetao"}, np.ones(200, dtype=bool), ["mooring", "float"]):
        assert "matches everything" in refused(ocean, obs, model, everything)
    assert "['ship'] is not known" in refused(ocean, obs, model, {"ship": "a"})
    assert "no range" in refused(ocean, obs, model, {"depth": 5})
    assert "no range" in refused(ocean, obs, model, {"depth": (5, 1)})
    for odd in (np.ones(3, dtype=bool), np.ones(200), 7, None, []):
        assert "deny= is not understood" in refused(ocean, obs, model, odd)
    assert "no points to deny" in refused(ocean, cells, model, "mooring")
