"""Training of a smoother: better than its filter, reproducible, resumed to the same bits."""

from __future__ import annotations

import numpy as np
import pytest

import xdeepda
from xdeepda.errors import InputError


@pytest.fixture(scope="module")
def model(ocean, network, tiny):
    return xdeepda.train(ocean, network, window=(0, 3), var="thetao", **{**tiny, "epochs": 4})


def test_the_smoother_is_better_than_its_filter(model):
    assert model.window == (0, 3)
    assert model.architecture.settings["lag"] == 3
    assert model.provenance["validation_score"] < model.provenance["filter_validation_score"]
    history = model.history
    assert set(history.lag.values) == {0, 3}
    assert float(history.validation_score[-1]) < float(history.validation_score[0])


def test_the_filter_does_not_know_of_the_smoother(ocean, network, tiny, model):
    settings = {**tiny, "epochs": 4, "var": "thetao"}
    alone = xdeepda.train(ocean, network, **settings)
    for name, values in alone.weights.items():
        np.testing.assert_array_equal(values, model.weights[name], err_msg=name)
    assert alone.window == (0, 0)


def test_cut_in_two_it_is_one_training(ocean, network, tiny, model, tmp_path):
    path = tmp_path / "checkpoint"
    settings = {**tiny, "epochs": 4, "var": "thetao", "window": (0, 3), "checkpoint": path}
    first = xdeepda.train(ocean, network, **settings)
    assert first.hash == model.hash
    (tmp_path / "checkpoint.smoother").unlink()
    again = xdeepda.train(ocean, network, resume=True, **settings)
    assert again.hash == model.hash


def test_the_file_keeps_the_window(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    read = xdeepda.load_model(tmp_path / "m.safetensors")
    assert read.window == (0, 3)
    assert read.hash == model.hash


@pytest.mark.parametrize(
    "window", [(1, 2), (-1, 2), (0, -1), (0, 1000), 3, (0, 1, 2), "03", (0, 1.5), (0, True)]
)
def test_what_is_no_window(ocean, network, tiny, window):
    with pytest.raises(InputError, match="window is"):
        xdeepda.train(ocean, network, var="thetao", window=window, **tiny)


def test_no_smoother_and_too_short_a_run(ocean, network, tiny):
    plain = {k: v for k, v in tiny.items() if k in ("var", "cycle", "progress")}
    with pytest.raises(InputError, match="'deepda2024' has no smoother"):
        xdeepda.train(ocean, network, architecture="deepda2024", window=(0, 2), **plain)
    with pytest.raises(InputError, match=r"window=\(0, 64\) is more than there is"):
        xdeepda.train(ocean, network, var="thetao", window=(0, 64), **tiny)
