"""verify against observations: the numbers of the departures, and the error of what is seen."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from synthetic import points_of

import xdeepda

FEW = {"draws": 50, "progress": False}


@pytest.fixture(scope="module")
def obs(years):
    return points_of(years, n=3000)


def test_numbers_are_those_of_the_departures(noisy, years, obs):
    found = xdeepda.verify(noisy, obs, **FEW)
    table = xdeepda.departures(noisy, obs)
    for k, depth in enumerate(years.depth.values):
        own = table.residual.values[table.depth.values == depth].astype(float)
        np.testing.assert_allclose(found.rmse[k], np.sqrt((own**2).mean()), rtol=1e-6)
        np.testing.assert_allclose(found.bias[k], -own.mean(), rtol=1e-5, atol=1e-8)
        assert found["count"][k] == own.size
    assert (found.missing == 0).all()
    assert found.attrs["reference"] == "observations that were not assimilated"
    everything = xdeepda.verify(noisy, obs, by=(), **FEW)
    own = table.residual.values.astype(float)
    np.testing.assert_allclose(everything.rmse, np.sqrt((own**2).mean()), rtol=1e-6)


def test_the_error_of_observations_is_part_of_the_expected_one(noisy, years, obs):
    found = xdeepda.verify(noisy, obs, by=(), **FEW)
    np.testing.assert_allclose(found.rmse, np.hypot(0.5, 0.3), rtol=0.05)
    np.testing.assert_allclose(found.observation_error, 0.3, rtol=1e-5)
    np.testing.assert_allclose(found.spread, 0.5, rtol=1e-5)
    np.testing.assert_allclose(found.spread_skill, 1, rtol=0.05)
    np.testing.assert_allclose(found.crps, np.hypot(0.5, 0.3) / np.sqrt(np.pi), rtol=0.06)
    assert found.pit_deviation < 0.12
    np.testing.assert_allclose(
        (found.reliability_predicted * found.reliability_share).sum(), 0.34, rtol=1e-5
    )


def test_skill_against_climatology_and_background(noisy, years, obs):
    found = xdeepda.verify(noisy, obs, by=(), climatology=years, **FEW)
    # the climatology at the places, by hand: cells hold the observations at their centres
    twelve = years.thetao.groupby("time.month").mean()
    at = {d: xr.DataArray(obs[d].values, dims="obs") for d in ("depth", "lat", "lon")}
    month = obs.time.dt.month.drop_vars("time")
    clim = twelve.sel(month=month.drop_vars(list(month.coords)), **at).values
    hand = np.sqrt(((clim - obs.thetao.values) ** 2).mean())
    # harmonics smooth the twelve means of four years a little
    np.testing.assert_allclose(found.rmse_climatology, hand, rtol=0.05)
    monthly = xdeepda.verify(noisy, obs, by=(), climatology=twelve.assign_attrs(
        years.thetao.attrs), **FEW)  # fmt: skip
    np.testing.assert_allclose(monthly.rmse_climatology, hand, rtol=1e-4)
    own = (found.rmse / found.rmse_climatology) ** 2
    np.testing.assert_allclose(found.skill_climatology, 1 - own, rtol=1e-6)
    np.testing.assert_allclose(found.rmse_background, np.hypot(1.0, 0.3), rtol=0.05)
    assert 0.5 < found.skill_background < 0.8
    assert 0 < found.acc < 1


def test_seasons_regions_and_platforms(noisy, years, obs):
    found = xdeepda.verify(noisy, obs, by=("season", "region", "depth"), **FEW)
    assert found.rmse.dims == ("season", "region", "depth")
    counts = found["count"]
    np.testing.assert_array_equal(
        counts.sel(season="all"), counts.isel(season=slice(1, None)).sum("season")
    )
    assert counts.sel(season="all", region="all").sum() == 3000
    series = xdeepda.verify(noisy, obs, by="time", **FEW)
    assert series["count"].sum() == 3000
    blocked = xdeepda.verify(noisy, obs, by=(), block="platform", draws=400, progress=False)
    assert "20 blocks of whole platforms" in blocked.attrs["intervals"]
    plain = xdeepda.verify(noisy, obs, by=(), draws=400, progress=False)
    np.testing.assert_allclose(blocked.rmse, plain.rmse, rtol=1e-12)
    ratio = (blocked.rmse_high - blocked.rmse_low) / (plain.rmse_high - plain.rmse_low)
    assert 0.4 < ratio < 2.5


def test_members_at_the_places(years, obs):
    rng = np.random.default_rng(8)
    values = years.thetao.values + 0.5 * rng.standard_normal((6, *years.thetao.shape))
    members = xr.DataArray(
        values, dims=("member", *years.thetao.dims), coords=years.thetao.coords, name="thetao"
    ).assign_attrs(years.thetao.attrs)
    moved = years.assign(
        thetao=(years.thetao + 0.5 * rng.standard_normal(years.thetao.shape)).assign_attrs(
            years.thetao.attrs
        )
    )
    found = xdeepda.verify(members, points_of(moved, n=3000, seed=3), by=(), **FEW)
    np.testing.assert_allclose(found.member_spread, 0.5, rtol=0.05)
    np.testing.assert_allclose(found.member_spread_skill, 1.0, rtol=0.06)
    assert found.rank_histogram.sizes["rank"] == 7
    assert found.rank_deviation < 0.15
    np.testing.assert_allclose(found.member_crps, np.hypot(0.5, 0.3) / np.sqrt(np.pi), rtol=0.06)
    assert "mean_rmse" not in found


def test_labels_of_the_table_and_the_analysis_do_not_matter(noisy, obs):
    plain = xdeepda.verify(noisy, obs, by=("depth", "region"), **FEW)
    order = np.random.default_rng(0).permutation(obs.sizes["obs"])
    shuffled = obs.isel(obs=order).assign_coords(lon=("obs", obs.lon.values[order] - 360, {
        "units": "degrees_east"}))  # fmt: skip
    flipped = noisy.isel(lat=slice(None, None, -1)).transpose("lon", ...)
    found = xdeepda.verify(flipped, shuffled, by=("depth", "region"), **FEW)
    for name in ("rmse", "bias", "count", "spread_skill", "crps", "rmse_low"):
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-6, atol=1e-9)
    kelvin = obs.assign(thetao=(obs.thetao + 273.15).assign_attrs(obs.thetao.attrs, units="K"))
    frame = kelvin.to_dataframe().reset_index(drop=True)
    frame.attrs["units"] = "K"
    for given in (kelvin, frame):
        other = xdeepda.verify(noisy, given, by=("depth", "region"), **FEW)
        np.testing.assert_allclose(other.rmse, plain.rmse, rtol=1e-4)


def test_what_is_not_compared_is_counted(noisy, years, obs):
    bad = obs.isel(obs=slice(0, 100)).copy(deep=True)
    bad.thetao[:7] = np.nan
    bad = bad.assign_coords(lat=("obs", np.r_[bad.lat.values[:-5], [89.0] * 5], bad.lat.attrs))
    found = xdeepda.verify(noisy, bad, by=(), **FEW)
    assert found["count"] == 88
    assert found.attrs["not_compared"] == "7 without a value, 5 outside of the area"
    assert "not_compared" not in xdeepda.verify(noisy, obs, by=(), **FEW).attrs
    assert "7 without a value" in repr(found.deepda)


# ---- what was assimilated


@pytest.fixture(scope="module")
def assimilated(ocean):
    """Four years analysed by interpolation, with the ledger, and a truth of these."""
    control, truth = ocean.isel(time=slice(0, 84)), ocean.isel(time=slice(84, 120))
    network = xdeepda.Network.simulated(ocean, "argo", density=0.03)
    cells = xdeepda.observe(truth, network, var="thetao", seed=2)
    model = xdeepda.baselines.oi(control, var="thetao", cycle="month")
    return xdeepda.assimilate(control, cells, model=model, ledger=True), cells, truth


def test_departures_know_what_was_assimilated(assimilated, caplog):
    analysis, cells, _ = assimilated
    ledger = xdeepda.departures(analysis)
    with caplog.at_level("WARNING", logger="xdeepda"):
        found = xdeepda.verify(analysis, ledger, **FEW)
    assert "has seen these observations" in caplog.text
    assert found.attrs["reference"] == "observations that were assimilated"
    k = ledger.depth.values == 10.0
    ob, oa = (ledger[n].values[k].astype(float) for n in ("innovation", "residual"))
    r = found.desroziers_observation_variance[0]
    np.testing.assert_allclose(r, np.nanmean(ob * oa), rtol=1e-5)
    b = found.desroziers_background_variance[0]
    np.testing.assert_allclose(r + b, np.nanmean(ob**2), rtol=1e-5)
    # of the right size: the errors that the observations were drawn with
    stated = float(found.observation_error[0]) ** 2
    assert 0.5 * stated < r < 2 * stated
    again = xdeepda.verify(analysis, cells, assimilated=True, **FEW)
    np.testing.assert_allclose(
        again.desroziers_observation_variance, found.desroziers_observation_variance, rtol=1e-4
    )


def test_what_was_not_assimilated_has_no_such_estimates(assimilated):
    analysis, cells, _ = assimilated
    assert "desroziers_observation_variance" not in xdeepda.verify(analysis, cells, **FEW)


def test_a_truth_and_observations_in_one_call(assimilated):
    analysis, _, truth = assimilated
    withheld = points_of(truth, n=400, seed=9)
    found = analysis.deepda.verify({"truth": truth, "withheld": withheld}, **FEW)
    assert found.reference.values.tolist() == ["truth", "withheld"]
    assert np.isnan(found.observation_error.sel(reference="truth")).all()
    assert np.isfinite(found.observation_error.sel(reference="withheld")).all()
    alone = analysis.deepda.verify(withheld, **FEW)
    np.testing.assert_allclose(found.rmse.sel(reference="withheld"), alone.rmse)
    # the observations err more than the truth
    assert (found.rmse.sel(reference="withheld") > found.rmse.sel(reference="truth")).all()
    assert "in observation space" in found.attrs["compared_of_withheld"]
    # what one of them can tell may be asked for
    asked = analysis.deepda.verify(
        {"truth": truth, "withheld": withheld}, statistics=("observation_error", "rmse"), **FEW
    )
    xr.testing.assert_identical(asked.rmse, found.rmse)
    assert np.isnan(asked.observation_error.sel(reference="truth")).all()
