"""Degrees of freedom for signal: exact sums, groups, and the estimate by random signs."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.calendar import Cycle
from xdeepda.errors import InputError, Problems
from xdeepda.impact.effect import Backgrounds
from xdeepda.impact.signal import shares_of
from xdeepda.observations.records import records_of
from xdeepda.observations.sources import binned_sources


@pytest.fixture(scope="module")
def persistence(ocean):
    return xdeepda.baselines.persistence(ocean, var="thetao", cycle="month")


@pytest.fixture(scope="module")
def still(ocean, cells, persistence):
    """Analysis that spreads nothing."""
    return xdeepda.assimilate(ocean, cells, model=persistence)


@pytest.fixture(scope="module")
def named(points):
    """The points, measured by two systems."""
    system = np.where(np.arange(points.sizes["obs"]) % 3 == 0, "xbt", "argo")
    return points.assign_coords(instrument=("obs", system))


def test_where_nothing_is_spread_each_cell_counts_alone(persistence, still, cells):
    made = persistence.degrees_of_freedom(still, cells, by=None, probes=4)
    prior, error = still["thetao_background_spread"] ** 2, cells["thetao_error"] ** 2
    expected = (prior / (prior + error)).sum(("depth", "lat", "lon"))
    np.testing.assert_allclose(made["dfs_total"], expected, rtol=1e-3)
    np.testing.assert_allclose(made["dfs"].sum("group"), made["dfs_total"])
    # no other observation disturbs: random signs are exact
    np.testing.assert_allclose(made["dfs_total_error"], 0, atol=1e-4)
    assert made["superob_count"].values.tolist() == [
        int(n) for n in np.isfinite(cells["thetao"]).sum(("depth", "lat", "lon"))
    ]


def test_random_signs_come_to_the_exact_numbers(tiny_model, analysis, cells):
    time = analysis["time"].values[2]
    rough, exact = (
        tiny_model.degrees_of_freedom(analysis, cells, by="depth", time=time, probes=probes)
        for probes in (20, 10**4)
    )
    rough, exact = rough.isel(time=0), exact.isel(time=0)
    assert (exact["dfs_error"] == 0).all()
    assert (rough["dfs_error"] > 0).all()
    assert rough["group"].values.tolist() == exact["group"].values.tolist()
    assert (abs(rough["dfs"] - exact["dfs"]) < 4.5 * rough["dfs_error"]).all()
    assert float(exact["dfs"].sum()) == pytest.approx(float(exact["dfs_total"]), rel=1e-5)
    assert 0 < float(exact["dfs_total"]) < float(exact["superob_count"])


@pytest.mark.parametrize("by", ["instrument", "variable", "source", "depth", None])
def test_groups_share_all_data_and_all_signal(by, persistence, still, named, cells):
    both = [named, cells]
    made = xdeepda.degrees_of_freedom(persistence, still, both, by=by, probes=3)
    total = made["dfs"].sum("group")
    np.testing.assert_allclose(total, made["dfs_total"], rtol=1e-5)
    counted = int(made["obs_count"].sum())
    assert counted == named.sizes["obs"] + int(cells["thetao_count"].sum())
    if by == "instrument":
        assert made["group"].values.tolist() == ["argo", "unknown", "xbt"]
    if by == "source":
        assert made["group"].values.tolist() == [1, 2]
    assert (made["dfs"] >= 0).all()


def test_shares_of_a_cell_are_what_a_change_of_one_datum_does(persistence, still, named, cells):
    """Against the superobservations themselves, with one value changed."""
    target = Backgrounds(still, persistence, Problems("test")).target
    doubled = xr.concat([named, named.isel(obs=slice(0, 60))], "obs")
    cycle = Cycle("month")
    records = records_of(binned_sources([doubled, cells], target, cycle), target, cycle)
    number = int(records.cycle[0])
    rows = records.of(number)
    share = shares_of(records, rows)
    _, place = np.unique(records.cell[rows], return_inverse=True)
    np.testing.assert_allclose(np.bincount(place, weights=share), 1.0)
    assert (share < 0.99).sum() > 3
    before = records.combined(number)[1]
    for n in np.flatnonzero(share < 0.99)[:5]:
        records.value[rows[n]] += 1.0
        after = records.combined(number)[1]
        records.value[rows[n]] -= 1.0
        assert (after - before).max() == pytest.approx(share[n], abs=1e-9)


def test_everything_that_is_wrong_is_told_at_once(persistence, still, cells):
    with pytest.raises(InputError, match="no column of the observations") as told:
        persistence.degrees_of_freedom(still, cells, by="instrument", probes=1, seed=-1)
    assert "probes is a number" in str(told.value)
    assert "seed is a number" in str(told.value)
    late = cells.assign_coords(time=[t.replace(year=60) for t in cells["time"].values])
    late = late.drop_vars("time_bnds")
    with pytest.raises(InputError, match="no observation falls into the analysis"):
        persistence.degrees_of_freedom(still, late, by=None)
