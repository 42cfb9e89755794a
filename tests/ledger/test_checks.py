"""Checks against the background: what is rejected, what is kept, and what that changes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from scipy.stats import multivariate_normal

import xdeepda
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Grid
from xdeepda.observations.checks import (
    Checks,
    _Buddies,
    _factors,
    checks_of,
    correlation_length,
)

BY_BACKGROUND = "rejected_by_the_background_check"
BY_BUDDIES = "rejected_by_the_buddy_check"
BY_PROFILE = "rejected_with_its_profile"


def fates(ledger: xr.Dataset) -> np.ndarray:
    meanings = ledger["fate"].attrs["flag_meanings"].split()
    return np.array([meanings[f] for f in ledger["fate"].values])


def normalised(ledger: xr.Dataset) -> np.ndarray:
    """Innovation in expected standard deviations."""
    expected = np.hypot(ledger["background_spread"], ledger["observed_error"])
    return (ledger["innovation"] / expected).values


@pytest.fixture
def run(ocean, oi):
    """Assimilate with a ledger; analysis and ledger."""

    def assimilate(obs, *, model=None, **kwargs):
        analysis = xdeepda.assimilate(ocean, obs, model=model or oi, ledger=True, **kwargs)
        return analysis, xdeepda.departures(analysis)

    return assimilate


def planted(table: xr.Dataset, rows, by: float) -> xr.Dataset:
    out = table.copy(deep=True)
    out["value"][rows] += by
    return out


# ---- the analysis is that of the data that are left


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("scheme", ["oi", "tiny_model"])
def test_checks_that_reject_nothing_change_nothing(ocean, many, members, scheme, request):
    model = request.getfixturevalue(scheme)
    plain = xdeepda.assimilate(ocean, many, model=model, members=members, seed=3)
    checked = xdeepda.assimilate(
        ocean, many, model=model, members=members, seed=3, checks={"threshold": 90.0}
    )
    for name in plain.variables:
        xr.testing.assert_identical(plain[name].variable, checked[name].variable)
    assert json.loads(checked.attrs["checks"])["threshold"] == 90.0
    assert "checks" not in plain.attrs


@pytest.mark.parametrize("members", [1, 3])
def test_the_cells_are_combined_again(ocean, persistence, points, run, members):
    """Rejected rows leave the cells that they share with good ones, to the bit."""
    at = np.repeat(np.arange(60), 3)
    table = points.isel(obs=at).assign_coords(
        platform=("obs", [f"p{n}" for n in range(180)]),
        profile=("obs", [f"c{n // 2}" for n in range(180)]),
    )
    bad = np.arange(0, 180, 9)
    table["thetao"][bad] += 30.0
    kwargs = {"model": persistence, "members": members, "seed": 1}
    analysis, ledger = run(table, checks="background", **kwargs)
    assert np.flatnonzero(fates(ledger) != "used").tolist() == bad.tolist()
    without = table.copy(deep=True)
    without["thetao"][bad] = np.nan
    expected = xdeepda.assimilate(ocean, without, **kwargs)
    for name in expected.data_vars:
        np.testing.assert_array_equal(analysis[name], expected[name], err_msg=str(name))
    assert set(ledger["cell_count"].values[bad]) == {2}
    # the same of several sources
    half = [table.isel(obs=slice(0, 90)), table.isel(obs=slice(90, 180))]
    analysis, _ = run(half, checks="background", **kwargs)
    rest = [without.isel(obs=slice(0, 90)), without.isel(obs=slice(90, 180))]
    expected = xdeepda.assimilate(ocean, rest, **kwargs)
    np.testing.assert_array_equal(analysis["thetao"], expected["thetao"])


def test_a_cell_of_which_nothing_is_left(persistence, points, run):
    table = points.copy(deep=True)
    table["thetao"] += 40.0
    analysis, ledger = run(table, model=persistence, checks="background")
    assert set(fates(ledger)) == {BY_BACKGROUND}
    assert int(analysis["thetao_obs_count"].sum()) == 0
    np.testing.assert_array_equal(analysis["thetao"], analysis["thetao_background"])


def test_fields_are_checked_too(ocean, persistence, cells, run):
    bad = cells.copy(deep=True)
    where = tuple(np.argwhere(np.isfinite(bad["thetao"].values))[17])
    bad["thetao"][where] += 25.0
    analysis, ledger = run(bad, model=persistence, checks={"threshold": 8.0, "buddy": False})
    assert (fates(ledger) != "used").sum() == 1
    assert int(analysis["thetao_obs_count"][where]) == 0
    gone = bad.copy(deep=True)
    gone["thetao"][where] = np.nan
    expected = xdeepda.assimilate(ocean, gone, model=persistence)
    np.testing.assert_array_equal(analysis["thetao"], expected["thetao"])


# ---- what is rejected


@pytest.mark.parametrize("scheme", ["oi", "persistence", "tiny_model"])
def test_the_background_check_is_its_definition(scheme, many, run, request):
    rng = np.random.default_rng(0)
    table = planted(many, slice(None), rng.normal(0, 1.2, 600))
    model = request.getfixturevalue(scheme)
    plain = {"buddy": False, "threshold": 3.0, "profile": 1.0, "inflate": False}
    _, ledger = run(table, model=model, checks=plain)
    far = np.abs(normalised(ledger)) > 3.0
    assert 5 < far.sum() < 300
    assert (fates(ledger) == np.where(far, BY_BACKGROUND, "used")).all()
    chance = 1 / (1 + np.exp(-(normalised(ledger) ** 2 - 9) / 2))
    np.testing.assert_allclose(ledger["gross_error"], chance, atol=1e-3)


def test_planted_errors_are_caught_and_good_data_pass(many, run):
    rng = np.random.default_rng(1)
    bad = rng.choice(600, 30, replace=False)
    _, clean = run(many, checks="all")
    _, ledger = run(planted(many, bad, rng.choice([-8.0, 8.0], 30)), checks="all")
    rejected = fates(ledger) != "used"
    assert rejected[bad].mean() > 0.9
    assert np.delete(rejected, bad).mean() < 0.02
    assert (fates(clean) != "used").mean() < 0.02


@pytest.fixture(scope="module")
def eddy(ocean, oi):
    """Maker of data of twelve platforms within 1,500 km, one level and month, that depart from
    the background by so many expected standard deviations."""
    table = _together(ocean)
    first = xdeepda.departures(xdeepda.assimilate(ocean, table, model=oi, ledger=True))

    def make(by) -> xr.Dataset:
        # nothing came before: the background is the same whatever these data are
        expected = np.hypot(first["background_spread"], first["observed_error"]).values
        value = first["background"].values + by * np.ones(12) * expected
        return table.assign(value=table["value"].copy(data=value))

    return make


def _together(ocean) -> xr.Dataset:
    month = ocean["time"].values[115]
    rng = np.random.default_rng(2)
    lat, lon = -36 + rng.uniform(-4, 4, 12), 200 + rng.uniform(-6, 6, 12)
    attrs = {"units": "degC", "units_thetao": "degC"}
    attrs["standard_name_thetao"] = "sea_water_potential_temperature"
    return xr.Dataset(
        {
            "value": ("obs", np.full(12, 15.0), attrs),
            "error": ("obs", np.full(12, 0.2)),
            "variable": ("obs", np.full(12, "thetao")),
        },
        coords={
            "time": ("obs", np.full(12, month)),
            "depth": ("obs", np.full(12, 10.0), {"units": "m"}),
            "latitude": ("obs", lat),
            "longitude": ("obs", lon),
            "platform": ("obs", [f"p{n}" for n in range(12)]),
        },
    )


def test_an_anomaly_that_neighbours_agree_on_is_kept(eddy, run):
    warm = eddy(6.0)
    settings = {"length": 1500.0}
    _, alone = run(warm, checks={**settings, "buddy": False})
    assert (fates(alone) == BY_BACKGROUND).all()
    _, together = run(warm, checks=settings)
    assert (fates(together) == "used").all()
    assert (together["gross_error"] < 0.1).all()
    # one that departs alone is not
    _, single = run(eddy(np.where(np.arange(12) == 4, 6.0, 0.3)), checks=settings)
    assert np.flatnonzero(fates(single) != "used").tolist() == [4]
    assert fates(single)[4] == BY_BACKGROUND
    # nor are those of one and the same platform
    same = warm.assign_coords(platform=("obs", np.full(12, "ship")))
    _, ship = run(same, checks=settings)
    assert (fates(ship) == BY_BACKGROUND).all()


def test_a_datum_that_disagrees_with_its_neighbours_is_rejected(eddy, run):
    """Inside of the threshold, but far from what all around it say."""
    table = eddy(np.where(np.arange(12) == 7, -3.5, 2.0))
    settings = {"length": 1500.0}
    _, alone = run(table, checks={**settings, "buddy": False})
    assert (fates(alone) == "used").all()
    _, together = run(table, checks=settings)
    assert np.flatnonzero(fates(together) != "used").tolist() == [7]
    assert fates(together)[7] == BY_BUDDIES


def test_equal_fill_values_do_not_save_each_other(eddy, run):
    table = eddy(0.0)
    table["value"][[2, 5, 6]] = 99.9
    _, ledger = run(table, checks={"length": 1500.0})
    assert np.flatnonzero(fates(ledger) != "used").tolist() == [2, 5, 6]


def test_most_of_a_profile_takes_the_rest(eddy, run):
    far = np.isin(np.arange(12), [0, 1, 2, 5, 6])
    table = eddy(np.where(far, 15.0, 0.0))
    table = table.assign_coords(
        profile=("obs", ["a"] * 5 + ["b"] * 7), platform=("obs", ["ship"] * 12)
    )
    _, ledger = run(table, checks="background")
    expected = np.full(12, "used", dtype=object)
    expected[[0, 1, 2, 5, 6]] = BY_BACKGROUND
    expected[[3, 4]] = BY_PROFILE
    assert fates(ledger).tolist() == expected.tolist()
    _, ledger = run(table, checks={"buddy": False, "profile": 1.0})
    assert BY_PROFILE not in fates(ledger)


def test_errors_given_too_small_do_not_reject_everything(make_points, run, caplog):
    table = planted(make_points(1500, seed=12), slice(None), 0)
    table["value"] += np.random.default_rng(1).normal(0, 3, 1500)
    bad = [3, 50, 400]
    table = planted(table, bad, 70.0)
    _, believed = run(table, checks={"inflate": False, "buddy": False})
    _, measured = run(table, checks={"buddy": False})
    good = np.delete(np.arange(1500), bad)
    assert (fates(believed) != "used")[good].mean() > 0.3
    assert (fates(measured) != "used")[good].mean() < 0.01
    assert (fates(measured)[bad] != "used").all()
    assert "times as large as expected" in caplog.text


# ---- invariances


def test_the_order_of_the_data_does_not_matter(many, run):
    rng = np.random.default_rng(5)
    table = planted(many, slice(None), rng.normal(0, 1.5, 600))
    order = rng.permutation(600)
    analysis, ledger = run(table, checks="all")
    shuffled, other = run(table.isel(obs=order), checks="all")
    assert (fates(other) == fates(ledger)[order]).all()
    assert (fates(ledger) != "used").sum() > 20
    np.testing.assert_allclose(shuffled["thetao"], analysis["thetao"], atol=1e-4)


def test_later_data_do_not_matter(many, run):
    rng = np.random.default_rng(6)
    table = planted(many, slice(None), rng.normal(0, 1.5, 600))
    middle = sorted(set(many["time"].values))[3]
    early = table["time"].values < middle
    whole, ledger = run(table, checks="all")
    part, alone = run(table.isel(obs=early), checks="all")
    assert (fates(ledger)[early] == fates(alone)).all()
    np.testing.assert_array_equal(ledger["gross_error"][early], alone["gross_error"])
    np.testing.assert_array_equal(whole["thetao"][:3], part["thetao"])


def test_units_of_the_data_do_not_matter(many, run):
    rng = np.random.default_rng(7)
    table = planted(many, slice(None), rng.normal(0, 1.5, 600))
    other = table.copy(deep=True)
    other["value"] = (table["value"] * 1.8 + 32).assign_attrs(
        {**table["value"].attrs, "units": "degF", "units_thetao": "degF"}
    )
    other["error"] = table["error"] * 1.8
    _, a = run(table, checks="all")
    _, b = run(other, checks="all")
    assert (fates(a) == fates(b)).all()


def test_what_the_checks_find_is_told(ocean, oi, many, caplog):
    xdeepda.assimilate(ocean, planted(many, [3], 20.0), model=oi, checks="all")
    assert "after the checks: 5" in caplog.text
    assert "of 600 data used" in caplog.text
    assert "rejected by the background check" in caplog.text


# ---- the formula, and settings


def test_the_factor_of_a_buddy_is_that_of_the_densities():
    """One pair, against the densities of the normal distribution themselves."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        d = rng.normal(0, 2, 2)
        b, r = rng.uniform(0.2, 2, 2), rng.uniform(0.1, 2, 2)
        distance, length, threshold = rng.uniform(10, 900), 500.0, 4.0
        angle = 2 * np.arcsin(distance / 6371 / 2)  # so that the chord is that distance
        place = np.array([[1, 0, 0], [np.cos(angle), np.sin(angle), 0]])
        odds = np.exp((d**2 / (b + r) - threshold**2) / 2)
        chance = np.minimum(odds / (1 + odds), 0.9)
        buddy = _Buddies(np.array([1], np.uint64), d[1:], np.array([[b[1]], [r[1]]]), place[1:])
        found, heard = _factors(
            d[:1], np.array([[b[0]], [r[0]]]), place[:1], np.array([0], np.uint64), chance[:1],
            buddy, length, threshold,
        )  # fmt: skip
        assert heard.all()
        covariance = np.diag(b + r)
        covariance[0, 1] = covariance[1, 0] = np.sqrt(b[0] * b[1]) * np.exp(
            -0.5 * (distance / length) ** 2
        )
        joint = multivariate_normal.pdf(d, cov=covariance)
        apart = multivariate_normal.pdf(d, cov=np.diag(b + r))
        agree = (1 - chance[0]) * (1 - chance[1])
        expected = (1 - agree * (1 - joint / apart)) ** -0.5
        np.testing.assert_allclose(np.exp(found), expected, rtol=1e-6)


def test_settings():
    problems = Problems("test")
    assert checks_of(None, problems) is checks_of(False, problems) is None
    assert checks_of("all", problems) == Checks()
    assert checks_of("buddy", problems) == Checks(background=False)
    assert checks_of(("background",), problems) == Checks(buddy=False)
    assert checks_of({"threshold": 3, "length": None}, problems) == Checks(threshold=3)
    assert not len(problems)


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ("everything", "checks= is not understood"),
        (3, "checks= is not understood"),
        ([], "checks= is not understood"),
        ({"sigma": 3}, "no setting 'sigma'"),
        ({"threshold": 0}, "threshold of checks= is out of range"),
        ({"threshold": "4"}, "threshold of checks= is out of range"),
        ({"length": float("nan")}, "length of checks= is out of range"),
        ({"profile": 2}, "profile of checks= is out of range"),
        ({"buddy": 1.0}, "buddy of checks= is not True or False"),
    ],
)
def test_wrong_settings_are_told(ocean, oi, many, checks, words):
    with pytest.raises(InputError, match=words):
        xdeepda.assimilate(ocean, many, model=oi, checks=checks)


def test_the_length_follows_the_control_run():
    lat = np.arange(-60.0, 61.0, 2.0)
    grid = Grid(None, lat, np.arange(0.0, 360.0, 2.0), True)
    north = 2 * np.deg2rad(2.0) * 6371
    east = 3 * np.deg2rad(2.0) * np.cos(np.deg2rad(np.median(np.abs(lat)))) * 6371
    assert correlation_length(grid, np.array([2.0, 3.0])) == pytest.approx((north + east) / 2)
    assert correlation_length(Grid(None, None, None), np.ones(2)) == 1000.0
    assert correlation_length(grid, np.array([0.0, 0.0])) == 50.0
