"""Proving grounds, small: their tables are made, and the exact filter is not beaten."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def grounds() -> Any:
    """Modules of the benchmarks by name."""
    from importlib import import_module

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[1]))

        def module(name: str) -> ModuleType:
            return import_module(f"benchmarks.{name}")

        yield module


@pytest.fixture(scope="module")
def kalman(grounds, tmp_path_factory) -> tuple[Path, str, dict[str, Any]]:
    """Folder, text and numbers of a kalman run on a small ocean, with a trained network."""
    out = tmp_path_factory.mktemp("kalman")
    arguments = [
        "--shape", "2", "6", "12", "--years", "6", "2", "3", "--out", str(out),
        "--systems", "climatology", "enoi", "kalman", "increment", "exact_filter",
        "exact_smoother", "--budget", "3s", "--settings", "width=8", "deep_width=8",
        "dilations=(1,)", "batch=8",
    ]  # fmt: skip
    assert grounds("kalman").main(arguments) == 0
    numbers = json.loads((out / "kalman_seed0.json").read_text())
    return out, (out / "kalman_seed0.txt").read_text(), numbers


def test_kalman_writes_table_figure_and_model(kalman):
    out, text, numbers = kalman
    assert (out / "kalman_seed0.png").stat().st_size > 10_000
    assert [p.name.partition("_0_")[0] for p in (out / "models").iterdir()] == ["kalman_increment"]
    for system in ("climatology", "enoi", "kalman", "increment", "exact_filter"):
        assert f"\n{system} " in text
        assert np.shape(numbers[system]["analysis"]) == (2,)
    assert "increment against kalman: " in text


def test_nothing_beats_the_exact_filter_but_the_smoother(kalman, grounds):
    _, _, numbers = kalman
    rows = {s: {k: np.array(v) for k, v in row.items()} for s, row in numbers.items()}
    limit = rows["exact_filter"]
    for system in ("climatology", "enoi", "kalman", "increment"):
        ratio, error = grounds("scores").ratio_to(rows[system], limit)
        assert ratio > 1 - 2 * error
        assert rows[system]["crps"].mean() > 0.98 * limit["crps"].mean()
    ratio, error = grounds("scores").ratio_to(rows["exact_smoother"], limit)
    assert ratio < 1 - 2 * error
    # it knows its own error
    assert limit["spread_skill"] == pytest.approx(1, abs=0.08)
    assert limit["pit"].mean(axis=0) == pytest.approx(1, abs=0.3)
    assert rows["kalman"]["ratio"].mean() < rows["climatology"]["ratio"].mean()


def test_all_systems_of_kalman_see_the_same_observations(kalman):
    _, _, numbers = kalman
    first, *others = (np.array(row["obs_error"]) for row in numbers.values())
    assert first == pytest.approx(0.3, rel=0.1)
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_settings_that_do_not_exist_are_refused(grounds, capsys):
    with pytest.raises(SystemExit):
        grounds("kalman").main(["--settings", "wdith=8"])
    assert "no setting 'wdith'; known: " in capsys.readouterr().err
