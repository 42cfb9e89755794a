"""Options of the session."""

from __future__ import annotations

import pytest
import torch

from xdeepda import set_options
from xdeepda.errors import InputError
from xdeepda.options import available_memory, device_of, option, torch_threads
from xdeepda.progress import progress_bar


def test_options_hold_for_the_block_only():
    before = option("threads")
    with set_options(threads=3):
        assert option("threads") == 3
        with set_options(threads=2):
            assert option("threads") == 2
        assert option("threads") == 3
    assert option("threads") == before


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"colour": "red"}, "unknown options"),
        ({"threads": 0}, "positive integer"),
        ({"threads": True}, "positive integer"),
        ({"progress": "yes"}, "True or False"),
        ({"device": 3}, "device"),
    ],
)
def test_wrong_options_change_nothing(wrong, words):
    before = option("threads"), option("progress"), option("device")
    with pytest.raises(InputError, match=words):
        set_options(**{"threads": 4, **wrong})
    assert (option("threads"), option("progress"), option("device")) == before


def test_threads_of_torch_are_restored():
    before = torch.get_num_threads()
    with set_options(threads=2), torch_threads():
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


def test_device_by_argument_then_option():
    assert device_of("cpu") == "cpu"
    with set_options(device="cpu"):
        assert device_of(None) == "cpu"


@pytest.mark.parametrize("name", ["quantum", "cuda:77"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(InputError, match="cannot be used here"):
        device_of(name)


def test_memory_is_plausible():
    free = available_memory()
    assert free is None or 2**20 < free < 2**50


def test_progress_bar_obeys_argument_and_option():
    with set_options(progress=True), progress_bar(3, "x", True) as bar:
        assert not bar.disable
    with set_options(progress=True), progress_bar(3, "x", False) as bar:
        assert bar.disable
    with set_options(progress=False), progress_bar(3, "x", True) as bar:
        assert bar.disable
