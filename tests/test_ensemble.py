"""Members: they differ, agree in the mean, start where they should, and repeat by the seed."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda


@pytest.fixture(scope="module")
def ensemble(ocean, cells, tiny_model) -> xr.Dataset:
    return xdeepda.assimilate(ocean, cells, model=tiny_model, members=5, keep_members=True, seed=1)


def mean_of(ocean, cells, model, members, seed):
    return xdeepda.assimilate(ocean, cells, model=model, members=members, seed=seed)["thetao"]


def test_members_differ_and_their_mean_is_the_analysis(ensemble, ocean, cells, tiny_model):
    assert ensemble["thetao"].dims == ("member", "time", "depth", "lat", "lon")
    assert ensemble["member"].values.tolist() == [0, 1, 2, 3, 4]
    wet = tiny_model.wet[0]
    spread = ensemble["thetao"].std("member").values[:, wet]
    assert (spread > 1e-3).all()
    alone = xdeepda.assimilate(ocean, cells, model=tiny_model, members=5, seed=1)
    np.testing.assert_allclose(ensemble["thetao"].mean("member"), alone["thetao"], atol=1e-5)
    for name in ("thetao_spread", "thetao_background", "thetao_obs_count"):
        xr.testing.assert_equal(ensemble[name], alone[name])


def test_members_spread_as_far_as_the_spread_says(ensemble):
    ratio = ensemble["thetao"].var("member", ddof=1) / ensemble["thetao_spread"] ** 2
    assert 0.85 < float(ratio.mean()) < 1.15
    by_level = ratio.mean(("time", "lat", "lon"))
    assert ((by_level > 0.6) & (by_level < 1.5)).all()


def test_noise_of_members_does_not_reach_land(ensemble, tiny_model):
    assert np.isnan(ensemble["thetao"].values[..., ~tiny_model.wet[0]]).all()


def test_the_same_seed_gives_the_same_bits(ensemble, ocean, cells, tiny_model):
    kwargs = {"model": tiny_model, "members": 5, "keep_members": True}
    again = xdeepda.assimilate(ocean, cells, seed=1, **kwargs)
    xr.testing.assert_equal(again, ensemble)
    other = xdeepda.assimilate(ocean, cells, seed=2, **kwargs)
    assert not np.array_equal(other["thetao"], ensemble["thetao"], equal_nan=True)
    assert other.attrs["seed"] == 2


def test_users_random_numbers_are_left_alone(ocean, cells, tiny_model):
    import torch

    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    xdeepda.assimilate(ocean, cells, model=tiny_model, members=2, keep_members=True)
    assert torch.equal(torch.rand(2), expected)


def test_more_members_converge(ocean, cells, tiny_model):
    def disagreement(members: int) -> float:
        a, b = (mean_of(ocean, cells, tiny_model, members, seed) for seed in (1, 2))
        return float(np.sqrt(((a - b) ** 2).mean()))

    few, many = disagreement(2), disagreement(8)
    # as the root of the number; the 8 start from the same 8 years
    assert many < 0.75 * few


def test_one_member_kept_is_the_analysis(ocean, cells, tiny_model, analysis):
    kept = xdeepda.assimilate(ocean, cells, model=tiny_model, keep_members=True)
    assert kept["thetao"].sizes["member"] == 1
    np.testing.assert_array_equal(kept["thetao"].isel(member=0), analysis["thetao"])


def test_members_start_from_training_years_of_the_season(ocean, cells, tiny_model, monkeypatch):
    from xdeepda import assimilation

    started = {}

    def conduct(inputs, initial, *rest, **settings):
        (started["initial"],) = initial
        return original(inputs, initial, *rest, **settings)

    original = assimilation._conduct
    monkeypatch.setattr(assimilation, "_conduct", conduct)
    xdeepda.assimilate(ocean, cells, model=tiny_model, members=8)
    june = ocean["thetao"].values[5:96:12]  # eight Junes before the first July
    fraction = tiny_model.cycle.year_fraction([5], "noleap")
    anomaly = june - tiny_model.climatology.at(fraction)[0, 0]
    anomaly = np.nan_to_num(anomaly)
    found = sorted(map(tuple, started["initial"].reshape(8, -1).round(3).tolist()))
    expected = sorted(map(tuple, anomaly.reshape(8, -1).round(3).tolist()))
    np.testing.assert_allclose(found, expected, atol=0.002)


# ---- where the estimate starts


def test_one_state(ocean, cells, tiny_model, analysis, truth):
    june = ocean.isel(time=113)
    exact = xdeepda.assimilate(june, cells, model=tiny_model)
    assert exact["thetao"].dims == ("time", "depth", "lat", "lon")
    error = [
        float(((x["thetao_background"] - truth["thetao"]).isel(time=0) ** 2).mean())
        for x in (exact, analysis)
    ]
    assert error[0] < error[1]
    # with and without a time axis of length one it is the same
    again = xdeepda.assimilate(ocean.isel(time=[113]), cells, model=tiny_model)
    xr.testing.assert_equal(again["thetao"], exact["thetao"])
    # the place in the year is that of the state
    timeless = xdeepda.assimilate(june.drop_vars("time"), cells, model=tiny_model)
    np.testing.assert_allclose(timeless["thetao"], exact["thetao"], atol=1e-5)


def test_one_state_for_several_members(ocean, cells, tiny_model):
    june = ocean.isel(time=113)
    found = xdeepda.assimilate(june, cells, model=tiny_model, members=3, keep_members=True)
    assert found["thetao"].dims == ("member", "time", "depth", "lat", "lon")
    assert float(found["thetao"].std("member").min()) > 0


@pytest.mark.parametrize("order", [("ens", ...), (..., "ens"), ("depth", "ens", ...)])
def test_an_ensemble(order, ocean, cells, tiny_model):
    states = ocean[["thetao"]].isel(time=[5, 17, 29]).drop_vars("time").rename(time="ens")
    states = states.assign_coords(ens=("ens", [7, 8, 9], {"axis": "E"})).transpose(*order)
    found = xdeepda.assimilate(states, cells, model=tiny_model, keep_members=True)
    assert found.sizes["ens"] == 3
    assert found["ens"].values.tolist() == [7, 8, 9]
    mean = xdeepda.assimilate(states, cells, model=tiny_model)
    assert "ens" not in mean.dims
    np.testing.assert_allclose(found["thetao"].mean("ens"), mean["thetao"], atol=1e-5)
    # its first background is the ensemble's own, faded by a month
    fraction = tiny_model.cycle.year_fraction([5], "noleap")
    june = tiny_model.climatology.at(fraction)[0, 0]
    anomaly = states["thetao"].mean("ens").transpose("depth", "lat", "lon") - june
    july = tiny_model.climatology.at(tiny_model.cycle.year_fraction([6], "noleap"))[0, 0]
    first = mean["thetao_background"].isel(time=0) - july
    keep = tiny_model.wet[0]
    ratio = first.values[keep] @ anomaly.values[keep] / (anomaly.values[keep] ** 2).sum()
    assert 0.5 < ratio < 1


# ---- no observations: back to climatology


@pytest.fixture(scope="module")
def lonely(ocean, cells, tiny_model) -> xr.Dataset:
    """A single observation, and then a hundred years of nothing."""
    first = cells["time"].values[0]
    last = first.replace(year=first.year + 100)
    times = [first, first.replace(month=12), last.replace(year=last.year - 1), last]
    return xdeepda.assimilate(
        ocean.isel(time=113), cells.isel(time=slice(0, 1)), model=tiny_model, times=times
    )


def test_unobserved_the_analysis_returns_to_climatology(lonely, tiny_model):
    wet = tiny_model.wet[0]
    fraction = tiny_model.cycle.year_fraction([6], "noleap")
    climate = tiny_model.climatology.at(fraction)[0, 0]
    apart = np.abs(lonely["thetao"].isel(time=[0, -1]).values - climate)[:, wet].max(axis=1)
    assert apart[0] > 0.5
    assert apart[1] < 0.01


def test_unobserved_the_spread_becomes_climatological(lonely, tiny_model):
    wet = tiny_model.wet[0]
    deviation = tiny_model.statistics.deviation[wet]
    factor = np.minimum(tiny_model.calibration["analysis"], 1)
    level = np.nonzero(wet)[0]
    last = lonely["thetao_spread"].isel(time=-1).values[wet]
    np.testing.assert_allclose(last, deviation * np.sqrt(factor[level]), rtol=0.02)
    assert (lonely["thetao_spread"].isel(time=0).values[wet] <= deviation * 1.001).all()


def test_errors_that_are_far_too_small_stay_harmless(ocean, cells, tiny_model):
    sure = cells.assign(thetao_error=cells["thetao_error"] * 1e-9)
    found = xdeepda.assimilate(ocean, sure, model=tiny_model, members=2)
    assert float(np.abs(found.deepda.increment("thetao")).max()) < 10
    assert (found["thetao_spread"].values[:, tiny_model.wet[0]] > 0).all()


def test_a_hundred_years_with_noisy_observations_stay_bounded(ocean, tiny_model):
    rng = np.random.default_rng(0)
    where = np.argwhere(tiny_model.wet[0])
    grid = tiny_model.grid
    n = 2400
    k, j, i = where[rng.integers(len(where), size=n)].T
    months = np.arange("1900-01", "2000-01", dtype="M8[M]").astype("M8[ns]")
    wild = xr.Dataset(
        {
            "thetao": ("obs", rng.normal(10, 20, n), {"units": "degC"}),
            "thetao_error": ("obs", rng.uniform(0.01, 3, n)),
        },
        coords={
            "time": ("obs", rng.choice(months, n)),
            "depth": ("obs", grid.depth[k], {"units": "m"}),
            "lat": ("obs", grid.lat[j]),
            "lon": ("obs", grid.lon[i]),
        },
    )
    found = xdeepda.assimilate(ocean, wild, model=tiny_model, times=months[-24:])
    anomaly = found["thetao"] - ocean["thetao"].mean("time")
    assert np.isfinite(anomaly.values[:, tiny_model.wet[0]]).all()
    assert float(np.abs(anomaly).max()) < 40
    assert float(found["thetao_spread"].max()) <= 1.001 * tiny_model.statistics.deviation.max()
