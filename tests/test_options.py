"""Options of the session."""

from __future__ import annotations

import functools

import pytest
import torch

from xdeepda import options, set_options
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
        ({"precision": "float16"}, "precision='float16'"),
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


def group(folder, limit, used, cache, names=("memory.max", "memory.current", "inactive_file")):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cache}\n")


def test_memory_of_a_container_or_a_job_is_limited(tmp_path):
    own = tmp_path / "cgroup"
    own.write_text("8:pids:/\n0::/job/step\n")
    left = functools.partial(options._group_memory, str(tmp_path), str(own))
    assert left() is None
    group(tmp_path / "job" / "step", "max", 10, 0)
    assert left() is None
    group(tmp_path / "job", 1000, 900, 300)
    assert left() == 400
    group(tmp_path / "job" / "step", 500, 600, 0)
    assert left() == 1
    # version 1, which may stand beside it
    own.write_text("4:cpu,memory:/old\n0::/\n")
    group(tmp_path / "memory" / "old", 2000, 500, 0, options._GROUP_FILES["memory"])
    assert left() == 1500


def test_the_least_of_machine_and_limits_is_free(monkeypatch):
    monkeypatch.setattr(options, "_machine_memory", lambda: 700)
    for free, least in ((400, 400), (900, 700), (None, 700)):
        monkeypatch.setattr(options, "_group_memory", lambda free=free: free)
        assert options.available_memory() == least
