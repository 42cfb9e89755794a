"""Measurements of speed, at a tiny size: what is counted and compared is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import xdeepda


@pytest.fixture(scope="module")
def speed() -> Any:
    """Modules of the benchmark by name."""
    from importlib import import_module

    with pytest.MonkeyPatch.context() as patch, xdeepda.set_options(progress=False):
        patch.syspath_prepend(str(Path(__file__).resolve().parents[1]))
        yield lambda name: import_module(f"benchmarks.speed.{name}")


@pytest.fixture
def wish(speed) -> Any:
    """An analysis of the tiny ocean."""
    return speed("asking").Wish(
        size="tiny", system="hybrid", task="analysis", share=0.2, repeat=1, cycles=2
    )


def test_operations_and_bytes_are_counted(speed):
    a, b = torch.ones(3, 4), torch.ones(4, 5)
    flop, traffic = speed("counting").counted(lambda: (a @ b).mT.flatten(0, 0) + 1)
    assert flop == 2 * 3 * 4 * 5
    # the product reads 12 and 20 and writes 15 numbers, the sum reads 15 and writes 15; views none
    assert traffic == 4 * (12 + 20 + 15 + 15 + 15)


@pytest.mark.parametrize("system", ["published", "deepda2024", "increment", "hybrid", "enoi"])
def test_every_system_is_analysed_and_trained(speed, wish, system):
    for task in ("analysis", "step"):
        row = speed("tasks").measure(replace(wish, system=system, task=task))
        if system == "enoi" and task == "step":
            assert row == {"error": "nothing to train"}
            continue
        assert row["flop"] > 1e6
        assert row["bytes"] > 1e6
        assert row["seconds"] > 0


def test_trained_mask_kernels_double_the_convolutions_of_observations(speed, wish):
    few, many = (
        speed("tasks").measure(replace(wish, system=name))["flop"]
        for name in ("deepda2024", "published")
    )
    assert 1.3 < many / few < 1.6


def test_a_run_from_table_to_store(speed, wish):
    row = speed("tasks").measure(replace(wish, task="cycle", system="increment"))
    assert 0 < row["core"] < 1
    assert row["stored"] > 1000
    size = speed("sizes").SIZES["tiny"]
    assert row["rows"] == size.observations(2, 0.2, 0).sizes["obs"]


def test_observations_lie_in_the_sea(speed):
    size = speed("sizes").SIZES["tiny"]
    level, column = size.profiles(0.5, np.random.default_rng(0))
    assert size.wet[0].reshape(size.levels, -1)[level, column].all()
    assert len(np.unique(column)) == round(0.5 * size.wet[0, 0].sum())


def test_a_measurement_is_a_process_of_its_own(speed, wish):
    row = speed("asking").measured(replace(wish, system="increment", threads=1))
    assert row["system"] == "increment"
    # torch alone takes more than this
    assert 100 * 2**20 < row["peak"] < 2**32
    failed = speed("asking").measured(replace(wish, size="none", threads=1))
    assert "KeyError" in failed["error"]
    assert "none" in failed["error"]


def test_tables_compare_with_what_was_published(speed, wish):
    report = speed("report")
    base = {**vars(wish), "seconds": 2.0, "cpu": 4.0, "flop": 10**9, "bytes": 10**9, "peak": 2**30}
    rows = [
        {**base, "system": "published"},
        {**base, "cpu": 0.5, "peak": 2**28},
        {**vars(wish), "system": "enoi", "peak": 2**30, "error": "killed"},
    ]
    machine = {"flops": {"float32": 1e10}, "bandwidth": 2e9}
    text = report.as_table(rows, machine).splitlines()
    assert text[-3].split()[-2:] == ["1.0x", "1.00x"]
    assert text[-2].split()[-2:] == ["8.0x", "0.25x"]
    assert "5%" in text[-2]
    assert "25%" in text[-2]
    assert text[-1].endswith("killed")
    assert "killed" in report.scaling_table("members", rows)
