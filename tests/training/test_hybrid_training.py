"""The hybrid in training: cross-fitted, repeatable, resumable, kept whole in the file."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import InputError, Problems
from xdeepda.training.fitting import Anomalies
from xdeepda.training.lanes import Period, parts_of
from xdeepda.training.preparation import describe, open_run

SMALL = xdeepda.architectures.hybrid(width=8, deep_width=8, dilations=(1,), localisation=6000.0)


@pytest.fixture(scope="module")
def settings(tiny):
    return {**tiny, "architecture": SMALL, "var": "thetao"}


@pytest.fixture(scope="module")
def model(ocean, network, settings):
    return xdeepda.train(ocean, network, **settings)


def test_the_same_seed_gives_the_same_bits(ocean, network, settings, model):
    assert xdeepda.train(ocean, network, **settings).hash == model.hash


def test_a_short_run_has_fewer_patterns_and_says_so(ocean, network, settings, caplog):
    with caplog.at_level(logging.INFO, logger="xdeepda"):
        model = xdeepda.train(ocean, network, **settings)
    assert model.architecture.settings["patterns"] == 42
    assert model.architecture.settings["ensemble"] == 64
    assert "42 patterns and 64 anomalies" in caplog.text


def test_a_training_cut_in_two_is_one_training(ocean, network, settings, tmp_path):
    mark = tmp_path / "mark"
    whole = xdeepda.train(ocean, network, **{**settings, "epochs": 2})

    class Cut:
        """Interrupts in the second epoch."""

        kinds = network.kinds

        def __repr__(self):
            return repr(network)

        def on(self, *args):
            self.bound, self.count = network.on(*args), 0
            return self

        def draw(self, *args):
            self.count += 1
            if self.count == 150:
                raise KeyboardInterrupt
            return self.bound.draw(*args)

    with pytest.warns(UserWarning, match="interrupted in epoch 2"):
        xdeepda.train(ocean, Cut(), **{**settings, "epochs": 2}, checkpoint=mark)
    again = xdeepda.train(ocean, network, **{**settings, "epochs": 2}, checkpoint=mark, resume=True)
    assert again.hash == whole.hash


def test_the_file_holds_all_that_an_analysis_needs(ocean, cells, model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    kept = xdeepda.load_model(tmp_path / "m.safetensors")
    here, there = (xdeepda.assimilate(ocean, cells, model=m) for m in (model, kept))
    xr.testing.assert_identical(here.drop_attrs(), there.drop_attrs())


def test_better_than_the_background_and_the_observations(ocean, cells, truth, model):
    analysis = xdeepda.assimilate(ocean, cells, model=model)

    def rmse(difference):
        return float(np.sqrt((difference**2).mean()))

    error = rmse(analysis["thetao"].values - truth["thetao"])
    assert error < rmse(analysis["thetao_background"].values - truth["thetao"])
    anomaly = truth["thetao"].values - ocean["thetao"].isel(time=slice(0, 96)).groupby(
        "time.month"
    ).mean("time").sel(month=truth["time"].dt.month)
    assert error < rmse(anomaly)


def test_parts_of_a_period_cover_it_once():
    parts = parts_of(Period(3, 20), 3)
    covered = [n for part in parts for n in range(part.start, part.stop)]
    assert covered == list(range(3, 20))


def test_what_is_left_out_of_a_fit_is_not_read(ocean):
    problems = Problems("test")
    source, split = open_run(ocean, "thetao", "month", 0.2, problems)
    prepared = describe(source, split, None, problems)
    whole = Anomalies(prepared)
    for first, stop in ((0, 32), (32, 64), (64, split), (0, 0)):
        part = Anomalies(prepared, (first, stop))
        kept = np.r_[0:first, stop:split]
        assert part.count == len(kept)
        expected = whole.read(0, split)[kept]
        np.testing.assert_array_equal(np.concatenate([b for _, b in part.blocks()]), expected)
        np.testing.assert_array_equal(part.read(20, 50), expected[20:50])


def test_one_fold_is_refused(ocean, network, settings):
    spec = xdeepda.architectures.hybrid(folds=1)
    with pytest.raises(InputError, match="folds=1 leaves nothing"):
        xdeepda.train(ocean, network, **{**settings, "architecture": spec})
