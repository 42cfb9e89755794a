"""Several models in one analysis: each as alone, combined as numpy would."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import xdeepda
from xdeepda.calendar import Cycle
from xdeepda.errors import DivergenceError, InputError, ModelMismatchError
from xdeepda.initial import draws_of
from xdeepda.production.models import combine

PARTS = (
    "", "_spread", "_spread_within", "_spread_between", "_background", "_background_spread",
    "_background_spread_within", "_background_spread_between", "_obs_count",
)  # fmt: skip


# ---- the combination


@given(
    st.integers(2, 5).flatmap(
        lambda k: hnp.arrays(np.float32, (2, k, 7), elements=st.floats(-50, 50, width=32))
    )
)
def test_combination_is_total_variance(numbers):
    estimates, spreads = numbers[0].astype(float), np.abs(numbers[1]).astype(float)
    parts = [
        {"": x, "_spread": s, "_background": x - 1, "_background_spread": 2 * s}
        for x, s in zip(estimates, spreads, strict=True)
    ]
    found = combine(parts)
    k = len(parts)
    mean = sum(estimates) / k
    within = sum(s**2 for s in spreads) / k
    between = sum((x - mean) ** 2 for x in estimates) / (k - 1)
    for name, expected in (
        ("", mean), ("_background", mean - 1),
        ("_spread_within", within**0.5), ("_spread_between", between**0.5),
        ("_spread", (within + between) ** 0.5),
        ("_background_spread", (4 * within + between) ** 0.5),
        ("_background_spread_within", 2 * within**0.5),
    ):  # fmt: skip
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-5)
    # the order of the models does not matter
    again = combine(parts[::-1])
    for name, values in found.items():
        np.testing.assert_allclose(again[name], values, rtol=1e-6, atol=1e-6)


def test_between_is_unbiased():
    """With K - 1: the variance between few models is that of many, on average."""
    rng = np.random.default_rng(0)
    draws = rng.normal(0, 2.0, (2, 100_000))
    found = combine([{"": x, "_spread": np.zeros_like(x)} for x in draws])
    assert abs((found["_spread_between"].astype(float) ** 2).mean() - 4.0) < 0.06


def test_total_is_the_variance_of_a_draw():
    """Of a mixture of what the models predict, which here is a Monte Carlo sum."""
    rng = np.random.default_rng(1)
    means, spreads = rng.normal(0, 1, 400), rng.uniform(0.5, 1.5, 400)
    found = combine([{"": m, "_spread": s} for m, s in zip(means, spreads, strict=True)])
    sample = means[:, None] + spreads[:, None] * rng.standard_normal((400, 500))
    assert abs(float(found["_spread"]) - sample.std()) < 0.01


def test_land_of_any_model_is_land():
    x = np.array([1.0, np.nan, 3.0])
    found = combine([{"": x, "_spread": x}, {"": x + 1, "_spread": x}])
    assert np.isnan(found[""]).tolist() == [False, True, False]
    assert np.isnan(found["_spread"]).tolist() == [False, True, False]


def test_one_model_is_itself():
    part = {"": np.ones(3), "_spread": np.ones(3)}
    assert combine([part]) == part


# ---- in an assimilation


@pytest.fixture(scope="module")
def baseline(ocean):
    return xdeepda.baselines.kalman(ocean, var="thetao", cycle="month")


@pytest.fixture(scope="module")
def both(ocean, cells, tiny_model, baseline):
    return xdeepda.assimilate(ocean, cells, model=[tiny_model, baseline])


def test_a_list_of_one_is_the_model(ocean, cells, tiny_model, analysis):
    found = xdeepda.assimilate(ocean, cells, model=[tiny_model])
    xr.testing.assert_identical(*(x.assign_attrs(history="") for x in (found, analysis)))


def test_each_cycles_as_it_would_alone(both, ocean, cells, tiny_model, baseline):
    alone = [xdeepda.assimilate(ocean, cells, model=m) for m in (tiny_model, baseline)]
    bounds = ["time_bnds", "depth_bnds"]
    assert list(both.data_vars) == [*(f"thetao{part}" for part in PARTS), *bounds]
    for name in ("thetao", "thetao_background"):
        x = np.stack([a[name] for a in alone]).astype(float)
        s = np.stack([a[f"{name}_spread"] for a in alone]).astype(float)
        close = {"rtol": 1e-6, "atol": 1e-6}
        np.testing.assert_allclose(both[name], x.mean(axis=0), **close)
        within, between = (s**2).mean(axis=0), x.var(axis=0, ddof=1)
        np.testing.assert_allclose(both[f"{name}_spread_within"], within**0.5, **close)
        np.testing.assert_allclose(both[f"{name}_spread_between"], between**0.5, **close)
        np.testing.assert_allclose(both[f"{name}_spread"], (within + between) ** 0.5, **close)
    assert (both["thetao_spread_between"] > 0.01).any()
    xr.testing.assert_equal(both["thetao_obs_count"], alone[0]["thetao_obs_count"])


def test_what_it_says_of_itself(both, tiny_model, baseline, ocean):
    assert both.attrs["model_hash"] == f"{tiny_model.hash} {baseline.hash}"
    assert "with increment and kalman" in both.attrs["history"]
    for part in PARTS:
        attrs = both[f"thetao{part}"].attrs
        assert attrs["units"] == {"": "degC", "_background": "degC", "_obs_count": "1"}.get(
            part, "K"
        )
    assert "between the models" in both["thetao_spread_between"].attrs["long_name"]
    assert "standard_name" not in both["thetao_spread_within"].attrs
    assert both["thetao_spread"].attrs["standard_name"].endswith("standard_error")


def test_increment_of_several_models(both):
    found = both.deepda.increment("thetao")
    np.testing.assert_allclose(found, both["thetao"] - both["thetao_background"], atol=1e-6)


def test_members_of_all_models(ocean, cells, tiny_model, baseline):
    kwargs = {"members": 3, "keep_members": True}
    found = xdeepda.assimilate(ocean, cells, model=[tiny_model, baseline], seed=3, **kwargs)
    assert found["thetao"].sizes["member"] == 6
    assert found["model"].values.tolist() == [0, 0, 0, 1, 1, 1]
    assert found["model"].dims == ("member",)
    assert found["member"].values.tolist() == [0, 1, 2, 3, 4, 5]
    # each as alone, the second with draws of its own
    first = xdeepda.assimilate(ocean, cells, model=tiny_model, seed=3, **kwargs)
    second = xdeepda.assimilate(ocean, cells, model=baseline, seed=draws_of(3, 1), **kwargs)
    members = np.concatenate([first["thetao"], second["thetao"]])
    np.testing.assert_array_equal(found["thetao"], members)
    # spread as the total says, pooled within the models and between them
    wet = tiny_model.wet[0]
    groups = members.reshape(2, 3, *members.shape[1:])[..., wet]
    pooled = groups.var(axis=1, ddof=1).mean(axis=0)
    predicted = found["thetao_spread_within"].values[:, wet] ** 2
    assert 0.8 < (pooled / predicted).mean() < 1.2


def test_draws_are_different_for_each_model():
    seeds = {draws_of(seed, number) for seed in range(50) for number in range(20)}
    assert len(seeds) == 1000
    assert draws_of(7, 0) == 7
    assert draws_of(7, 3) == draws_of(7, 3)


def test_numbers_of_an_ensemble_repeat(ocean, cells, tiny_model, baseline):
    states = ocean[["thetao"]].isel(time=[5, 17]).drop_vars("time").rename(time="ens")
    states = states.assign_coords(ens=("ens", [7, 8], {"axis": "E"}))
    found = xdeepda.assimilate(
        states, cells, model=[tiny_model, baseline], members=2, keep_members=True
    )
    assert found["ens"].values.tolist() == [7, 8, 7, 8]
    assert found["model"].values.tolist() == [0, 0, 1, 1]


def test_a_ledger_and_checks_see_all_models_together(ocean, points, tiny_model, baseline, both):
    wild = points.assign(thetao=points["thetao"].where(points["lat"] < 40, 40.0))
    found = xdeepda.assimilate(
        ocean, wild, model=[tiny_model, baseline], checks="background", ledger=True
    )
    ledger = xdeepda.departures(found)
    gone = ledger["fate"] > 6
    assert 0 < int(gone.sum()) < points.sizes["obs"] / 2
    assert (wild["thetao"].values[gone.values] == 40).mean() > 0.9
    # the numbers of the ledger are those of the combined fields
    again = xdeepda.departures(found.drop_vars([n for n in found.variables if "ledger" in n]), wild)
    np.testing.assert_allclose(ledger["background"], again["background"], atol=1e-5)
    np.testing.assert_allclose(ledger["background_spread"], again["background_spread"], atol=1e-5)


def test_paths_and_models(ocean, cells, tiny_model, baseline, both, tmp_path):
    baseline.save(tmp_path / "b.safetensors")
    found = xdeepda.assimilate(ocean, cells, model=(tiny_model, str(tmp_path / "b.safetensors")))
    xr.testing.assert_identical(*(x.assign_attrs(history="") for x in (found, both)))


# ---- models that do not belong together


@pytest.fixture(scope="module")
def shallow(ocean, network, tiny):
    """Model of another ocean: its floor lies elsewhere, and it is warmer."""
    deep = (ocean["lat"] < 0) & (ocean["depth"] > 500)
    other = ocean.assign(
        thetao=(ocean["thetao"] + 1).where(~deep).assign_attrs(ocean["thetao"].attrs)
    )
    return xdeepda.train(other, network, var="thetao", **tiny)


def test_the_common_sea_of_models(ocean, cells, tiny_model, shallow, caplog):
    found = xdeepda.assimilate(ocean, cells, model=[tiny_model, shallow])
    sea = tiny_model.wet[0] & shallow.wet[0]
    lost = int(tiny_model.wet.sum() - sea.sum())
    assert lost > 0
    assert f"{lost} cells are sea in some of the 2 models only" in caplog.text
    for name in ("thetao", "thetao_spread", "thetao_background"):
        assert (np.isfinite(found[name].values) == sea).all()
    assert int(found["thetao_obs_count"].where(~sea).sum()) == 0
    assert int(found["thetao_obs_count"].sum()) > 0
    # each takes anomalies from its own climatology, and gives it back
    assert 0.2 < float(found["thetao_background_spread_between"].mean()) < 1.0


def test_models_that_differ_are_told_at_once(ocean, network, tiny, cells, tiny_model, pair_model):
    regional = ocean.isel(lat=slice(2, None))
    other = xdeepda.baselines.climatology(regional, var="thetao", cycle="month")
    yearly = replace(tiny_model, cycle=Cycle("year"))
    kelvin = ocean.assign(
        thetao=(ocean["thetao"] + 273.15).assign_attrs(ocean["thetao"].attrs, units="K")
    )
    warm = xdeepda.baselines.climatology(kelvin, var="thetao", cycle="month")
    models = [tiny_model, other, yearly, warm, pair_model, 3]
    with pytest.raises(ModelMismatchError) as caught:
        xdeepda.assimilate(ocean, cells, model=models)
    for part in (
        "5 problems", "model 1 of the list differs from the first in its grid",
        "model 2 of the list differs from the first in its cycle",
        "model 3 of the list differs from the first in its units of 'thetao'",
        "model 4 of the list differs from the first in its variables",
        "model 5 of the list is none",
    ):  # fmt: skip
        assert part in str(caught.value)
    with pytest.raises(InputError, match="empty list"):
        xdeepda.assimilate(ocean, cells, model=[])


def test_the_model_that_diverges_is_named(ocean, cells, tiny_model, baseline, monkeypatch):
    from xdeepda.core.fitted import ReducedFilter

    def broken(self, *_):
        return [x * np.nan for x in analyse(self, *_)]

    analyse = ReducedFilter.analyse
    monkeypatch.setattr(ReducedFilter, "analyse", broken)
    with pytest.raises(DivergenceError, match=r"^model 1 of the list: the analysis is not finite"):
        xdeepda.assimilate(ocean, cells, model=[tiny_model, baseline])


# ---- training on several runs


def test_a_list_of_runs(ocean, network, tiny, tiny_model, tmp_path):
    other = ocean.isel(time=slice(12, None))
    models = xdeepda.train(
        [ocean, other], network, var="thetao", checkpoint=tmp_path / "c.ckpt", **tiny
    )
    assert [type(m) for m in models] == [xdeepda.Model, xdeepda.Model]
    assert models[0].hash == tiny_model.hash
    assert models[1].hash == xdeepda.train(other, network, var="thetao", **tiny).hash
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c-0.ckpt", "c-1.ckpt"]


def test_runs_that_differ_are_told_before_any_training(ocean, network, tiny, monkeypatch):
    from xdeepda.training.loop import Trainer

    def run(*_):
        raise AssertionError("a training started")

    monkeypatch.setattr(Trainer, "run", run)
    regional = ocean.isel(lat=slice(2, None))
    kelvin = ocean.assign(
        thetao=(ocean["thetao"] + 273.15).assign_attrs(ocean["thetao"].attrs, units="K")
    )
    with pytest.raises(InputError) as caught:
        xdeepda.train(
            [ocean, regional, ocean[["so"]], kelvin, ocean.isel(time=slice(0, 5))],
            network, var="thetao", **tiny,
        )  # fmt: skip
    for part in (
        "run 1 of the list differs from the first in its grid", "run 2 of the list: ",
        "run 3 of the list differs from the first in its units", "run 4 of the list: ",
    ):  # fmt: skip
        assert part in str(caught.value)
    with pytest.raises(InputError, match="there are no control runs"):
        xdeepda.train([], network, **tiny)
