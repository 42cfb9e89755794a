"""Training: repeatable, interruptible, resumable, on time."""

from __future__ import annotations

import logging
import time
import warnings

import numpy as np
import pytest
import torch
import xarray as xr

import xdeepda
from xdeepda.errors import DivergenceError, InputError
from xdeepda.training import verb
from xdeepda.training.ranks import Ranks


class Watched:
    """A network that calls `act` with the number of each draw."""

    def __init__(self, network, act):
        self.network, self.act, self.count = network, act, 0
        self.kinds = network.kinds

    def __repr__(self):
        return repr(self.network)

    def on(self, *args):
        self.bound = self.network.on(*args)
        return self

    def draw(self, index, rng):
        self.count += 1
        self.act(self.count)
        return self.bound.draw(index, rng)


def stop_at(number):
    def act(count):
        if count == number:
            raise KeyboardInterrupt

    return act


def test_the_same_seed_gives_the_same_bits(ocean, network, tiny, tiny_model):
    torch.manual_seed(123)  # nobody else's random numbers matter
    np.random.seed(123)  # noqa: NPY002
    again = xdeepda.train(ocean, network, var="thetao", **tiny)
    assert again.hash == tiny_model.hash
    other = xdeepda.train(ocean, network, var="thetao", seed=1, **tiny)
    assert other.hash != tiny_model.hash


def test_training_leaves_the_users_random_numbers_alone(ocean, network, tiny):
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    xdeepda.train(ocean, network, var="thetao", **tiny)
    assert torch.equal(torch.rand(2), expected)


def test_training_learns(ocean, network, tiny):
    model = xdeepda.train(ocean, network, var="thetao", **{**tiny, "epochs": 6})
    history = model.history
    assert history.sizes["epoch"] == 6
    assert float(history["validation_score"].min()) < 1
    assert float(history["training_loss"][-1]) < float(history["training_loss"][0])
    assert (np.diff(history["seconds"]) > 0).all()
    assert float(history["learning_rate"][-1]) < 0.2 * float(history["learning_rate"].max())
    assert model.provenance["steps"] == 18
    # the kept weights are those of the best validation
    best = float(history["validation_score"].min())
    assert model.provenance["validation_score"] == pytest.approx(best)


def test_provenance_says_what_was_trained_on(tiny_model, network):
    kept = tiny_model.provenance
    assert kept["training_period"] == ["0001-01-16", "0008-12-16"]
    assert kept["training_cycles"] == [12, 107]
    assert kept["seed"] == 0
    assert kept["network"] == repr(network)
    assert kept["settings"]["epochs"] == 1


def test_a_training_cut_in_two_is_one_training(ocean, network, tiny, tmp_path):
    kwargs = {**tiny, "var": "thetao", "epochs": 3}
    whole = xdeepda.train(ocean, network, **kwargs)
    mark = tmp_path / "run.checkpoint"
    draws = 3 * 8 * 4 + 24  # of one epoch, with its validation
    cut = Watched(network, stop_at(draws + 50))
    with pytest.warns(UserWarning, match="interrupted in epoch 2"):
        first = xdeepda.train(ocean, cut, checkpoint=mark, **kwargs)
    assert first.history.sizes["epoch"] == 1
    torch.manual_seed(99)
    second = xdeepda.train(ocean, network, checkpoint=mark, resume=True, **kwargs)
    assert second.hash == whole.hash
    a, b = (m.history.drop_vars("seconds") for m in (second, whole))
    xr.testing.assert_identical(a, b)
    # resumed again, there is nothing left to do
    count = Watched(network, lambda _: None)
    third = xdeepda.train(ocean, count, checkpoint=mark, resume=True, **kwargs)
    assert third.hash == whole.hash
    assert count.count == 0
    assert [p.name for p in tmp_path.iterdir()] == ["run.checkpoint"]


def test_resume_without_a_checkpoint_starts_at_the_beginning(
    ocean, network, tiny, tiny_model, tmp_path
):
    model = xdeepda.train(
        ocean, network, var="thetao", checkpoint=tmp_path / "new", resume=True, **tiny
    )
    assert model.hash == tiny_model.hash
    assert (tmp_path / "new").exists()


def test_a_checkpoint_of_another_training_is_refused(ocean, network, tiny, tmp_path):
    mark = tmp_path / "mark"
    kwargs = {"checkpoint": mark, "resume": True, **tiny}
    xdeepda.train(ocean, network, var="thetao", **kwargs)
    told = {"seed": "seed", "var": "data", "batch": "batch", "climatology": "data"}
    for other in ({"seed": 3}, {"var": "so"}, {"batch": 2}, {"climatology": 2}):
        name = told[next(iter(other))]
        with pytest.raises(InputError, match=f"another training: {name} differ"):
            xdeepda.train(ocean, network, **{"var": "thetao", **kwargs, **other})


def test_a_checkpoint_that_is_there_is_not_overwritten_silently(
    ocean, network, tiny, tmp_path, caplog
):
    kwargs = {"checkpoint": tmp_path / "mark", "var": "thetao", **tiny}
    xdeepda.train(ocean, network, **kwargs)
    assert "overwritten" not in caplog.text
    xdeepda.train(ocean, network, **kwargs)
    assert "resume=True goes on from it" in caplog.text


def test_a_file_is_read_once_and_stays_lazy(
    ocean, network, tiny, tiny_model, tmp_path, monkeypatch
):
    ocean[["thetao"]].to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as run:
        array = type(run["thetao"].variable._data)
        reads, inner = [], array.get_duck_array
        monkeypatch.setattr(
            array, "get_duck_array", lambda self: reads.append(self.shape) or inner(self)
        )
        model = xdeepda.train(run, network, var="thetao", **tiny)
        assert not isinstance(run["thetao"].variable._data, np.ndarray)
    assert model.hash == tiny_model.hash
    # once the first cycle for the land mask, once everything
    assert len(reads) <= 3


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x02\x95"])
def test_a_file_that_is_no_checkpoint_is_refused(ocean, network, tiny, tmp_path, content):
    (tmp_path / "mark").write_bytes(content)
    with pytest.raises(InputError, match="no checkpoint"):
        xdeepda.train(
            ocean, network, var="thetao", checkpoint=tmp_path / "mark", resume=True, **tiny
        )


def test_interrupted_at_once_it_still_gives_a_model(ocean, network, tiny, cells):
    with pytest.warns(UserWarning, match="interrupted in epoch 1"):
        model = xdeepda.train(ocean, Watched(network, stop_at(1)), var="thetao", **tiny)
    assert np.isfinite(xdeepda.assimilate(ocean, cells, model=model)["thetao_spread"]).any()


def test_a_budget_ends_the_schedule(ocean, network, tiny):
    def slow(_):
        time.sleep(0.002)

    started = time.monotonic()
    model = xdeepda.train(
        ocean, Watched(network, slow), var="thetao", budget="3s", **{**tiny, "epochs": 10_000}
    )
    spent = time.monotonic() - started
    assert 1 < spent < 9
    rates = model.history["learning_rate"].values
    assert 1 <= rates.size < 10_000
    assert rates[-1] < 0.2 * tiny["learning_rate"]


def test_no_observation_is_seen_twice(ocean, network, tiny):
    seen = []

    class Remembering(Watched):
        def draw(self, index, rng):
            drawn = super().draw(index, rng)
            seen.append((index, rng.bit_generator.state["state"]["state"]))
            return drawn

    model = xdeepda.train(ocean, Remembering(network, lambda _: None), var="thetao", **tiny)
    assert len(set(seen)) == len(seen) > 100
    last = model.provenance["training_cycles"][1]
    trained, validated = seen[: 3 * 8 * 4], seen[3 * 8 * 4 :]
    assert max(index for index, _ in trained) <= last
    assert min(index for index, _ in validated) > last


def test_validation_years_do_not_enter_the_training(ocean, network, tiny, tiny_model):
    changed = ocean.copy(deep=True)
    changed["thetao"][96:] += 3
    model = xdeepda.train(changed, network, var="thetao", **tiny)
    for name, weight in model.weights.items():
        np.testing.assert_array_equal(weight, tiny_model.weights[name])
    np.testing.assert_array_equal(
        model.climatology.coefficients, tiny_model.climatology.coefficients
    )


def test_the_published_architecture_trains_with_its_discriminator(ocean, network):
    small = ocean.isel(depth=slice(0, 2), lat=slice(2, 8), lon=slice(0, 24, 3))
    kwargs = {"var": "thetao", "cycle": "month", "architecture": "deepda2024", "epochs": 1}
    kwargs |= {"batch": 16, "cycles": 3}
    plain = xdeepda.train(small, network, adversarial=0.0, **kwargs)
    gan = xdeepda.train(small, network, **kwargs)
    assert gan.hash != plain.hash
    assert np.isfinite(gan.history["training_loss"]).all()
    quirky = xdeepda.architectures.deepda2024("all")
    model = xdeepda.train(small, network, **{**kwargs, "architecture": quirky})
    assert model.architecture.settings["quirks"] == ("all",)


def test_divergence_is_an_error_with_advice(ocean, network, tiny):
    class Broken(Watched):
        def draw(self, index, rng):
            cell, error, count = super().draw(index, rng)
            return cell, error * np.nan, count

    with pytest.raises(DivergenceError, match=r"not finite in epoch 1[\s\S]*learning_rate"):
        xdeepda.train(ocean, Broken(network, lambda _: None), var="thetao", **tiny)


def test_progress_and_warnings_are_quiet_by_default(ocean, network, tiny, capsys, caplog):
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        xdeepda.train(ocean, network, var="thetao", **tiny)
    assert capsys.readouterr().err == ""
    assert caplog.text == ""
    with xdeepda.set_options(progress=True):
        xdeepda.train(ocean, network, var="thetao", **tiny)
    assert "score=" in capsys.readouterr().err


@pytest.mark.parametrize(("spent", "left"), [(0.0, 60.0), (20.0, 40.0), (50.0, 30.0)])
def test_what_is_fitted_before_counts_in_the_budget(monkeypatch, spent, left):
    monkeypatch.setattr(verb.time, "monotonic", lambda: 1000.0 + spent)
    assert verb._left(60.0, 1000.0, Ranks()) == left
    assert verb._left(None, 1000.0, Ranks()) is None
