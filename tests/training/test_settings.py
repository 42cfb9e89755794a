"""Settings, budgets and the memory that they ask for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from xdeepda.architectures import ArchitectureSpec
from xdeepda.core import hybrid
from xdeepda.errors import InputError, MemoryForeseenError
from xdeepda.training import request
from xdeepda.training.settings import (
    MOST_COLUMNS,
    parse_budget,
    settings_for,
    training_bytes,
)


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [(None, None), (90, 90.0), ("90", 90.0), ("90s", 90.0), (" 10min", 600.0), ("1.5h", 5400.0)],
)
def test_budgets(budget, seconds):
    assert parse_budget(budget) == seconds


@pytest.mark.parametrize(
    "budget", [0, -1, "0s", "soon", "10 days", math.inf, math.nan, "", "min", [10], True]
)
def test_what_is_no_budget(budget):
    with pytest.raises(InputError, match="'10min'"):
        parse_budget(budget)


def test_settings_of_an_architecture_and_the_users_own():
    assert settings_for("increment", {}).batch > 1
    published = settings_for("deepda2024", {})
    assert (published.batch, published.cycles, published.adversarial) == (1, 1, 0.1)
    assert settings_for("deepda2024", {"batch": 4}).batch == 4


def test_numbers_of_numpy_become_plain():
    given = {"epochs": np.int64(3), "learning_rate": np.float32(0.5), "batch": 2}
    chosen = settings_for("increment", given)
    assert [type(getattr(chosen, name)) for name in given] == [int, float, int]


def test_all_wrong_settings_are_told_at_once():
    wrong = {
        "speed": 3,
        "batch": 0,
        "cycles": 2.5,
        "learning_rate": "fast",
        "patience": True,
        "loss": "mae",
        "weight_decay": math.nan,
        "flip_sign": "no",
    }
    with pytest.raises(InputError) as error:
        settings_for("increment", wrong)
    for name in wrong:
        assert name in str(error.value)
    assert "known: epochs, batch" in str(error.value)


def test_memory_grows_with_everything():
    spec, settings = ArchitectureSpec("increment"), settings_for("increment", {})
    base = training_bytes((16, 40, 90), spec, settings)
    assert training_bytes((16, 80, 90), spec, settings) == 2 * base
    assert training_bytes((32, 40, 90), spec, settings) > base
    assert (
        training_bytes((16, 40, 90), spec, settings_for("increment", {"batch": 2 * settings.batch}))
        == 2 * base
    )
    wide = ArchitectureSpec("increment", {"width": 64})
    assert training_bytes((16, 40, 90), wide, settings) > base


def test_memory_of_what_is_fitted_is_bounded():
    spec, settings = ArchitectureSpec("hybrid"), settings_for("hybrid", {"batch": 1, "cycles": 1})
    every = ArchitectureSpec("hybrid", {"thinning": 0.0})
    fine = (38, 180, 360)
    assert training_bytes(fine, spec, settings) < 12 * 2**30
    assert training_bytes(fine, every, settings) > 20 * 2**30
    coarse = (16, 40, 90)
    assert training_bytes(coarse, spec, settings) == training_bytes(coarse, every, settings)
    assert MOST_COLUMNS == hybrid.MOST_COLUMNS


def test_memory_is_foreseen_with_a_batch_that_fits(monkeypatch):
    spec, settings = ArchitectureSpec("increment"), settings_for("increment", {"batch": 8})
    need = training_bytes((16, 40, 90), spec, settings)
    monkeypatch.setattr(request, "available_memory", lambda: int(1.2 * need))
    request.check_memory((16, 40, 90), spec, settings, 0)
    monkeypatch.setattr(request, "available_memory", lambda: int(0.6 * need))
    with pytest.raises(MemoryForeseenError, match=r"would not fit[\s\S]*batch=4"):
        request.check_memory((16, 40, 90), spec, settings, 0)
    # the run that is held counts, too
    with pytest.raises(MemoryForeseenError, match="coarser grid"):
        request.check_memory((16, 40, 90), spec, settings, 10**6)
    monkeypatch.setattr(request, "available_memory", lambda: None)
    request.check_memory((16, 40, 90), spec, settings, 10**6)
