"""osse: the numbers of the verbs by hand, one after the other; what is refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.calendar import Cycle
from xdeepda.errors import InputError, Problems
from xdeepda.experiments.overlap import is_trained_on
from xdeepda.experiments.simulated import spinup_cycles
from xdeepda.source import RunSource


@pytest.fixture(scope="module")
def control(ocean) -> xr.Dataset:
    return ocean.isel(time=slice(0, 96))


@pytest.fixture(scope="module")
def unseen(ocean) -> xr.Dataset:
    return ocean.isel(time=slice(96, 108))


@pytest.fixture(scope="module")
def model(control, network, tiny):
    return xdeepda.train(control, network, var="thetao", **tiny)


@pytest.fixture(scope="module")
def scores(control, unseen, network, model) -> xr.Dataset:
    return unseen.deepda.osse(
        network, control=control, models=model, baselines=["persistence"], spinup=2, seed=4
    )


def by_hand(control, unseen, network, model, spinup) -> xr.Dataset:
    cells = unseen.deepda.observe(network, var="thetao", cycle="month", seed=4)
    analysis = control.deepda.assimilate(cells, model=model, seed=4)
    later = analysis.isel(time=slice(spinup, None))
    return later.deepda.verify(unseen, climatology=control, seed=4)


def test_equal_to_the_verbs_one_after_the_other(scores, control, unseen, network, model):
    persistence = xdeepda.baselines.persistence(control, var="thetao", cycle="month")
    assert scores["system"].values.tolist() == ["increment", "persistence"]
    for name, one in (("increment", model), ("persistence", persistence)):
        expected = by_hand(control, unseen, network, one, 2)
        mine = scores.sel(system=name, drop=True).drop_vars("model_hash", errors="ignore")
        xr.testing.assert_equal(mine, expected)
    assert scores["model_hash"].values.tolist() == [model.hash, persistence.hash]


def test_attributes_and_table(scores, network):
    assert scores.attrs["network"] == repr(network)
    assert scores.attrs["seed"] == 4
    assert scores.attrs["spinup"].startswith("2 cycles")
    assert scores.attrs["period"] == "0009-03-16 to 0009-12-16"
    frame = scores.deepda.to_table("rmse", intervals=False)
    assert frame.loc["persistence", "rmse"].shape == (3,)
    text = repr(scores.deepda)
    for words in ("spinup: 2 cycles", "rmse_climatology", "rmse_persistence", "increment"):
        assert words in text
    assert f"{frame.loc[('increment', 10.0), 'rmse']:.3g}" in text


def test_the_result_can_be_written(scores, tmp_path):
    scores.to_netcdf(tmp_path / "scores.nc")
    with xr.open_dataset(tmp_path / "scores.nc") as back:
        xr.testing.assert_allclose(back["rmse"], scores["rmse"])


def test_names_of_systems_and_several_models(control, unseen, network, model):
    found = xdeepda.osse(
        unseen,
        network,
        control=control,
        models={"mine": model, "both": [model, model]},
        baselines=None,
        spinup="6M",
        by=(),
        statistics="rmse",
    )
    assert found["system"].values.tolist() == ["mine", "both"]
    assert found["rmse"].dims == ("system",)
    # one member without draws: a model and its double are the same analysis
    np.testing.assert_allclose(*found["rmse"].values, rtol=1e-5)
    twice = xdeepda.osse(unseen, network, control=control, models=[model, model], baselines=(),
                         spinup=0, by=(), statistics="rmse")  # fmt: skip
    assert twice["system"].values.tolist() == ["increment", "increment 2"]


def test_baselines_with_settings_and_paths(control, unseen, network, model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    found = xdeepda.osse(
        unseen,
        network,
        control=control,
        models=tmp_path / "m.safetensors",
        baselines={"oi": {"localisation": 3000.0}},
        spinup=0,
        by=(),
    )
    oi = xdeepda.baselines.oi(control, network, var="thetao", cycle="month", localisation=3000.0)
    assert found["model_hash"].values.tolist() == [model.hash, oi.hash]


def test_without_a_control_run(network, model):
    other = xdeepda.datasets.idealised_ocean(10, resolution=15.0, levels=3, seed=2).isel(
        time=slice(96, 108)
    )
    found = other.deepda.osse(network, models=model, baselines=None, spinup=0)
    cells = other.deepda.observe(network, var="thetao", cycle="month")
    analysis = xdeepda.assimilate(other, cells, model=model)
    expected = analysis.deepda.verify(other, var="thetao")
    np.testing.assert_array_equal(found["rmse"][0], expected["rmse"])
    # whatever the truth is, the estimate starts from the climatology
    fraction = model.cycle.year_fraction(model.cycle.index(other.time.values[:1]), "noleap")
    climate = model.climatology.at(fraction)[0, 0]
    start = analysis["thetao_background"].values[0]
    np.testing.assert_allclose(start[model.wet[0]], climate[model.wet[0]], atol=1e-4)


# ---- what is refused


def refused(*args, **kwargs) -> str:
    with pytest.raises(InputError) as error:
        xdeepda.osse(*args, **kwargs)
    return str(error.value)


def test_everything_is_told_at_once_and_before_any_work(
    control, unseen, network, model, monkeypatch
):
    def work(*_, **__):
        raise AssertionError("work has started")

    for name in ("observe", "analyses", "fitted"):
        monkeypatch.setattr(f"xdeepda.experiments.simulated.{name}", work)
    text = refused(
        unseen,
        network,
        control=control,
        models="nowhere.safetensors",
        baselines=["enoI", "persistence"],
        by="depths",
        statistics="rmsd",
    )
    for words in ("nowhere.safetensors", "'enoI' is not known", "persistence", "depths", "rmsd"):
        assert words in text
    assert "4 problems" in text
    assert "12 cycles" in refused(unseen, network, control=control, models=model)  # spinup="1Y"
    assert "spinup=" in refused(unseen, network, control=control, models=model, spinup="a year")
    assert "control=" in refused(unseen, network, baselines="climatology", spinup=0)
    assert "no system" in refused(unseen, network, baselines=None, spinup=0)
    text = refused(unseen, network, models=model, baselines=None, members=3, spinup=0)
    assert "members=3 start from states of the control run" in text
    text = refused(unseen, network, control=control, models=model, cycle="year", spinup=0)
    assert "system 'increment' is of another cycle" in text
    text = refused(unseen, network, control=control, models=model, var="so", spinup=0)
    assert "does not analyse 'so'" in text
    text = refused(unseen.isel(lat=slice(2, None)), network, control=control, models=model,
                   spinup=0)  # fmt: skip
    assert "different grids" in text
    text = refused(unseen, network, control=control, baselines={"oi": {"localization": 1}},
                   var="thetao", spinup=0)  # fmt: skip
    assert "localization" in text


@pytest.mark.parametrize("unit", ["degC", "K"])
def test_a_part_of_the_control_run_is_no_truth(ocean, network, unit):
    truth = ocean[["thetao"]].isel(time=slice(84, 108))
    if unit == "K":
        truth = truth.assign(thetao=(truth.thetao + 273.15).assign_attrs(units="K"))
    control = ocean.isel(time=slice(0, 96))
    text = refused(truth, network, control=control, var="thetao", cycle="month", spinup=0)
    assert "the truth is part of the control run" in text
    assert "12 from 0008-01-16 to 0008-12-16" in text
    # whatever one says
    text = refused(truth, network, control=control, var="thetao", cycle="month", spinup=0,
                   independent=True)  # fmt: skip
    assert "the truth is part of the control run" in text


def test_another_run_of_the_same_years_is_a_truth(control, network, model):
    other = xdeepda.datasets.idealised_ocean(2, resolution=15.0, levels=3, seed=3)
    assert np.isin(other.time.values, control.time.values).all()
    settings = {"models": model, "baselines": None, "spinup": 12, "by": ()}
    found = xdeepda.osse(other, network, control=control, **settings)
    assert np.isfinite(found["rmse"].values).all()
    text = refused(other, network, **settings)
    assert "may have been trained on this truth" in text
    assert "control=" in text
    assert "independent=True" in text
    xdeepda.osse(other, network, independent=True, **settings)


def test_a_control_run_that_is_not_the_models_own_decides_nothing(ocean, network, model):
    """The truth is of the model's own run, and differs from the control run that is given."""
    other = xdeepda.datasets.idealised_ocean(8, resolution=15.0, levels=3, seed=3)
    truth = ocean.isel(time=slice(12, 36))
    settings = {"models": model, "baselines": None, "spinup": 12}
    text = refused(truth, network, control=other, **settings)
    assert "system 'increment' may have been trained on this truth" in text
    assert "24 from 0002-01-16 to 0003-12-16" in text
    assert "part of the control run" in refused(truth, network, control=ocean, **settings)


def test_what_a_model_was_trained_on(control, model):
    def told(run) -> bool:
        return is_trained_on(RunSource(run, "thetao", Cycle("month")), model)

    kelvin = control.assign(thetao=(control.thetao + 273.15).assign_attrs(units="K"))
    assert [told(control), told(kelvin)] == [True, True]
    # the training years are those to year 7: whatever follows or goes before does not matter
    assert told(control.isel(time=slice(0, 84)))
    assert not told(control.isel(time=slice(12, 96)))
    assert not told(xdeepda.datasets.idealised_ocean(8, resolution=15.0, levels=3, seed=3))


@pytest.mark.parametrize("how", ["array", "order", "chunks", "kelvin"])
def test_the_truth_may_come_in_any_form(control, unseen, network, how):
    settings = {"control": control, "var": "thetao", "cycle": "month", "spinup": 0,
                "baselines": ["persistence"]}  # fmt: skip
    expected = xdeepda.osse(unseen, network, **settings)
    changed = {
        "array": lambda ds: ds["thetao"],
        "order": lambda ds: ds.transpose("lon", "time", "lat", "depth", ...),
        "chunks": lambda ds: ds.chunk(time=5),
        "kelvin": lambda ds: ds.assign(thetao=(ds.thetao + 273.15).assign_attrs(units="K")),
    }[how](unseen)
    found = xdeepda.osse(changed, network, **settings)
    for name in ("rmse", "bias", "rmse_climatology", "spread_skill"):
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-4, atol=1e-5)


def test_validation_years_have_been_seen(ocean, network, tiny_model):
    # trained on ten years, of which the last two were validated on
    last = ocean.isel(time=slice(108, 120))
    first, end = tiny_model.provenance["validation_cycles"]
    assert tiny_model.provenance["training_cycles"][1] == first - 1
    assert end == 10 * 12 + 11
    text = refused(last, network, models=tiny_model, baselines=None, spinup=0)
    assert "12 from 0010-01-16 to 0010-12-16" in text


def test_spin_up_in_words():
    def cycles(given, cycle="pentad"):
        problems = Problems("test")
        found = spinup_cycles(given, Cycle(cycle), problems)
        assert (found is None) == (len(problems) == 1)
        return found

    assert [cycles(s) for s in ("1Y", "2 Y", "0.5Y", "1M", 7, 0)] == [73, 146, 37, 7, 7, 0]
    assert cycles("6M", "month") == 6
    assert [cycles(s) for s in ("1D", "Y", -1, True, None, 2.5)] == [None] * 6


def test_systems_are_named_in_the_log(control, unseen, network, caplog):
    with caplog.at_level(logging.INFO, "xdeepda"):
        xdeepda.osse(unseen, network, control=control, var="thetao", cycle="month", spinup=0,
                     by=())  # fmt: skip
    assert "system 2 of 2: persistence" in caplog.text
