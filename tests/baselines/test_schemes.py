"""Baselines fitted to a small ocean, saved, used and tuned like models."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.baselines import schemes
from xdeepda.errors import InputError, MemoryForeseenError
from xdeepda.training import fitting

NAMES = ("oi", "enoi", "kalman", "combined")
SMALL = {
    "oi": {"ensemble": 40},
    "enoi": {"ensemble": 40},
    "kalman": {"patterns": 20, "truncation": 1.0},
    "combined": {"patterns": 15, "ensemble": 40},
}


@pytest.fixture(scope="module")
def plenty(ocean):
    """A network that sees a good part of the sea."""
    return xdeepda.Network.simulated(ocean, "argo", density=0.2)


@pytest.fixture(scope="module")
def fitted(ocean, plenty):
    """Fit a baseline when it is first asked for."""

    @cache
    def fit(name: str) -> xdeepda.Model:
        method = getattr(xdeepda.baselines, name)
        return method(ocean, plenty, var="thetao", cycle="month", **SMALL[name])

    return fit


@pytest.fixture(scope="module")
def report(ocean, plenty):
    """A later year that nothing was fitted to, and what is observed of it."""
    truth = ocean.isel(time=slice(102, 120))
    return truth, xdeepda.observe(truth, plenty, var="thetao", cycle="month", seed=3)


def rms(da) -> float:
    return float(np.sqrt((da**2).weighted(np.cos(np.deg2rad(da.lat))).mean()))


@pytest.mark.parametrize("name", NAMES)
def test_better_than_climatology_with_an_honest_spread(ocean, fitted, report, name):
    truth, obs = report
    climate = xdeepda.baselines.climatology(ocean, var="thetao", cycle="month")
    errors = {}
    for kind, model in (("climate", climate), ("baseline", fitted(name))):
        analysis = xdeepda.assimilate(ocean, obs, model=model).isel(time=slice(6, None))
        errors[kind] = rms(analysis.thetao - truth.thetao.isel(time=slice(6, None)))
    # twenty patterns of eight years leave the filter little
    limit = 0.95 if name == "kalman" else 0.85
    assert errors["baseline"] < limit * errors["climate"]
    spread = rms(analysis.thetao_spread)
    assert 0.6 < spread / errors["baseline"] < 1.6


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_to_the_same_bits(ocean, fitted, report, name, tmp_path):
    model, (_, obs) = fitted(name), report
    path = tmp_path / "model.safetensors"
    model.save(path)
    again = xdeepda.load_model(path)
    assert again.hash == model.hash
    assert again.architecture == model.architecture
    some = obs.isel(time=slice(0, 3))
    a, b = (xdeepda.assimilate(ocean, some, model=m) for m in (model, path))
    np.testing.assert_array_equal(a.thetao.values, b.thetao.values)
    np.testing.assert_array_equal(a.thetao_spread.values, b.thetao_spread.values)


@pytest.mark.parametrize("name", NAMES)
def test_members_share_the_gain(ocean, fitted, report, name):
    _, obs = report
    few = obs.isel(time=slice(0, 3))
    analysis = xdeepda.assimilate(ocean, few, model=fitted(name), members=3, keep_members=True)
    assert analysis.sizes["member"] == 3
    assert (analysis.thetao.std("member").max() > 0).item()


def test_without_a_network_the_spread_is_as_it_is(ocean):
    model = xdeepda.baselines.kalman(ocean, var="thetao", cycle="month")
    assert (model.calibration["analysis"] == 1).all()
    assert model.architecture.settings["patterns"] == 96 // 3  # 8 of 10 years, as in training
    assert "validation_score" not in model.provenance


def test_temperature_and_salinity_together(ocean, network):
    model = xdeepda.baselines.enoi(ocean, var=["thetao", "so"], cycle="month", ensemble=30)
    obs = xdeepda.observe(ocean.isel(time=slice(108, 111)), network, var="thetao", seed=1)
    analysis = xdeepda.assimilate(ocean, obs, model=model)
    # what is known of temperature tells of salinity
    assert (analysis.so_spread < analysis.so_background_spread - 1e-6).any()


def test_a_section_without_a_latitude(ocean):
    section = ocean.isel(lat=5, drop=True)
    truth = section.isel(time=slice(108, 114))
    obs = truth[["thetao"]].where(truth.lon % 60 < 15)
    obs["thetao_error"] = xr.full_like(obs.thetao, 0.1)
    for name in ("enoi", "combined"):
        fit = getattr(xdeepda.baselines, name)
        model = fit(section, var="thetao", cycle="month", **SMALL[name])
        analysis = xdeepda.assimilate(section, obs, model=model)
        error = analysis.thetao - truth.thetao
        assert float((error**2).mean()) < 0.9 * float((anomaly(truth, section) ** 2).mean())


def anomaly(truth, run):
    """Truth without the mean of each month of a run."""
    months = truth.thetao.groupby("time.month")
    return months - run.thetao.isel(time=slice(0, 96)).groupby("time.month").mean()


def test_tuning_takes_the_best_of_what_it_tried(ocean, plenty):
    model = xdeepda.baselines.tune(
        ocean, plenty, "kalman", var="thetao", cycle="month", patterns=10, truncation=1.0,
        grid={"truncation": [1.0, 1e4], "patterns": np.array([10, 25])},
    )  # fmt: skip
    tried = model.provenance["tuning"]
    assert len(tried) == 3
    best, score = min(tried, key=lambda row: row[1])
    assert best == model.architecture.settings
    assert model.provenance["validation_score"] == score
    assert best["truncation"] == 1.0
    assert len(model.weights["filter.spectrum"]) == best["patterns"]
    assert (model.calibration["analysis"] != 1).any()


def test_default_grids_are_settings(ocean):
    for name, grid in xdeepda.baselines.tuning.GRIDS.items():
        for key, values in grid.items():
            for value in values:
                xdeepda.architectures.ArchitectureSpec(name, {key: value})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"reach": 3}, "no setting 'reach'"),
        ({"localisation": 0.0}, "out of range"),
        ({"localisation": 25000.0}, "out of range"),
        ({"ensemble": 97}, "more ensemble than there are training cycles"),
        ({"ensemble": 1}, "at least 2"),
        ({"local": 1}, "not of the kind"),
        ({"damping": float("nan")}, "out of range"),
    ],
)
def test_wrong_settings_are_told(ocean, settings, words):
    with pytest.raises(InputError, match=words):
        xdeepda.baselines.enoi(ocean, var="thetao", cycle="month", **settings)


def test_all_that_is_wrong_is_told_at_once(ocean):
    with pytest.raises(InputError) as info:
        xdeepda.baselines.kalman(
            ocean.isel(time=slice(0, 50)), "argo", var="thetao", cycle="month", patterns=40
        )
    text = str(info.value)
    assert "network is no Network" in text
    assert "more patterns than" in text
    with pytest.raises(InputError, match="'temp'"):
        xdeepda.baselines.oi(ocean, var="temp", cycle="month")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"baseline": "persistence"}, "not known"),
        ({"grid": {"localisation": []}}, "lists of values"),
        ({"grid": {"localisation": 3.0}}, "lists of values"),
        ({"grid": {"reach": [1.0]}}, "no setting 'reach'"),
        ({"rounds": 0}, "positive integer"),
        ({"ensemble": 4000}, "more ensemble"),
    ],
)
def test_wrong_tuning_is_told(ocean, network, arguments, words):
    with pytest.raises(InputError, match=words):
        xdeepda.baselines.tune(ocean, network, var="thetao", cycle="month", **arguments)


def test_too_much_memory_names_the_local_variant(ocean, monkeypatch):
    monkeypatch.setattr(schemes, "available_memory", lambda: 10**6)
    with pytest.raises(MemoryForeseenError, match="local=True"):
        xdeepda.baselines.enoi(ocean, var="thetao", cycle="month", local=False)
    with pytest.raises(MemoryForeseenError, match="ensemble=10"):
        xdeepda.baselines.enoi(ocean, var="thetao", cycle="month", ensemble=40)
    monkeypatch.setattr(schemes, "available_memory", lambda: 10**4)
    with pytest.raises(MemoryForeseenError, match="patterns=8"):
        xdeepda.baselines.kalman(ocean, var="thetao", cycle="month")


def test_solving_all_at_once_needs_more_memory():
    make = xdeepda.architectures.ArchitectureSpec
    needs = [
        schemes.needed_bytes(make("enoi", {"local": local}), 2_900, 1_600_000, 43_000, 100_000)
        for local in (True, False)
    ]
    assert needs[1] > 100 * 2**30 > 5 * needs[0]


def test_positions_are_different_and_of_all_seasons():
    for count, number in ((432, 108), (120, 120), (100, 99), (24, 2)):
        positions = fitting.spread(count, number)
        assert len(np.unique(positions)) == number
        assert positions[0] >= 0
        assert positions[-1] < count
    seasons = np.bincount(fitting.spread(432, 108) % 12, minlength=12)
    assert seasons.min() >= 3


def test_eofs_are_orthonormal_and_hold_the_largest_variance():
    rng = np.random.default_rng(0)
    states = rng.standard_normal((50, 5)) @ rng.standard_normal((5, 30))
    weight = rng.uniform(0.5, 2.0, 30)
    run = SimpleNamespace(count=50, weight=weight, pick=lambda _: states.copy())
    snapshots = fitting.Snapshots(run, 5)
    e = snapshots.eofs().astype(float)
    np.testing.assert_allclose(e.T @ (weight[:, None] * e), np.eye(5), atol=1e-4)
    c = states @ (weight[:, None] * e)
    np.testing.assert_allclose(c @ e.T, states, atol=1e-3)
    expected = np.linalg.svd(states * np.sqrt(weight))[1][:5] ** 2
    np.testing.assert_allclose((c**2).sum(axis=0), expected, rtol=1e-3)
    # of some of the cycles
    few = np.arange(50) < 3
    c = states[few] @ (weight[:, None] * snapshots.eofs(few)[:, :3])
    np.testing.assert_allclose((c**2).sum(), (states[few] ** 2 @ weight).sum(), rtol=1e-3)


def test_the_inverse_model_finds_the_dynamics():
    rng = np.random.default_rng(1)
    truth = np.array([[0.9, 0.2, 0.0], [-0.2, 0.9, 0.0], [0.0, 0.0, 0.5]])
    x = np.zeros((6000, 3))
    for t in range(5999):
        x[t + 1] = truth @ x[t] + 0.5 * rng.standard_normal(3)
    operator, missed = fitting.coupled_model(x)
    noise = fitting.noise_of(missed, x.std(axis=0))
    np.testing.assert_allclose(operator, truth, atol=0.05)
    np.testing.assert_allclose(noise, 0.25 * np.eye(3), atol=0.05)
    # the noise keeps the variance of the run, and anomalies fade
    covariance = x.T @ x / len(x)
    np.testing.assert_allclose(operator @ covariance @ operator.T + noise, covariance, atol=0.1)
    assert np.abs(np.linalg.eigvals(operator)).max() < 1
