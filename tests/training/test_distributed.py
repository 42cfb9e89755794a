"""A training that two processes share is the training of one, and ends as one."""

from __future__ import annotations

import collections
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shared_training as shared
import torch

import xdeepda
from xdeepda.training.ranks import Ranks, sharing
from xdeepda.training.simulation import TruthReader

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "train_distributed.py"
#: The sums over the batch are made in another order: single precision, over some steps.
CLOSE = {"rtol": 2e-5, "atol": 1e-6}


@pytest.fixture(scope="module")
def ocean():
    return shared.control_run()


@pytest.fixture(scope="module")
def network(ocean):
    return shared.observing(ocean)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def alone(ocean, network, folder):
    """The training of one process, its reads, and its first checkpoint."""
    with shared.reads_of(TruthReader, "read") as reads, \
            shared.kept_checkpoint(folder / "one-1.pt"):  # fmt: skip
        model = xdeepda.train(ocean, network, checkpoint=folder / "one.pt", **shared.FILTER)
    return model, reads


def environment(**more: str) -> dict[str, str]:
    folders = [str(Path(xdeepda.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    own = {"PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own, **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def both(ocean, folder, alone):
    """What each of two processes found, all scenarios in one go."""
    ocean.to_netcdf(folder / "run.nc")
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    started = [
        subprocess.Popen(
            [sys.executable, HERE / "shared_training.py", folder],
            env=environment(RANK=str(rank), LOCAL_RANK=str(rank), **address),
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        errors = [process.communicate(timeout=900)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    # the second ends by the exit code with which it is killed
    assert [process.returncode for process in started] == [0, 9], "\n".join(errors)[-6000:]
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in (0, 1)]


def compare(found, model):
    history = model.history
    np.testing.assert_allclose(found["loss"], history["training_loss"], **CLOSE)
    np.testing.assert_allclose(found["score"], history["validation_score"], **CLOSE)
    assert found["steps"] == model.provenance["steps"]


@pytest.mark.parametrize("name", ["filter", "adversarial", "smoother", "hybrid"])
def test_two_processes_make_the_same_model(both, name):
    first, second = (found[name] for found in both)
    assert first["hash"] == second["hash"]
    assert first["seconds"] == second["seconds"]


def test_the_loss_curve_is_that_of_one_process(both, alone, folder):
    compare(both[0]["filter"], alone[0])
    shared_model = xdeepda.load_model(folder / "two.safetensors")
    for name, weights in alone[0].weights.items():
        # steps of Adam are of one size, whatever the gradient: what is nearly 0 may go astray
        np.testing.assert_allclose(shared_model.weights[name], weights, rtol=1e-3, atol=1e-4)
    for name, factor in alone[0].calibration.items():
        np.testing.assert_allclose(shared_model.calibration[name], factor, rtol=1e-3)


@pytest.mark.parametrize("name", ["adversarial", "smoother", "hybrid"])
def test_so_are_those_of_other_trainings(both, ocean, network, name):
    compare(both[0][name], xdeepda.train(ocean, network, **getattr(shared, name.upper())))


def test_each_process_reads_its_own_sequences_only(both, alone):
    split = 48
    reads = [[tuple(read) for read in found["filter"]["truths"]] for found in both]
    trained = [[r for r in mine if r[1] <= split] for mine in reads]
    of_one = collections.Counter(r for r in alone[1] if r[1] <= split)
    assert sum(map(collections.Counter, trained), collections.Counter()) == of_one
    # half of the segments each, and the states that its own lanes start from
    segments = [sum(stop - start == 3 for start, stop in mine) for mine in trained]
    assert segments[0] == segments[1] == of_one_segments(of_one) / 2
    # validation is the first one's
    assert {r for r in reads[1] if r[1] > split} == set()
    assert len([r for r in reads[0] if r[1] > split]) > 0
    # of the file the second reads nothing else, but what follows its own segments, ahead
    file = collections.Counter(tuple(read) for read in both[1]["filter"]["file"])
    needed = collections.Counter([(0, 1), *reads[1]])
    assert needed <= file
    assert {start for start, _ in file - needed} <= {stop for _, stop in reads[1]}


def of_one_segments(reads):
    return sum(n for (start, stop), n in reads.items() if stop - start == 3)


def test_the_first_fits_and_the_first_runs_are_shared(both):
    assert [found["hybrid"]["fits"] for found in both] == [3, 0]
    assert [found["hybrid"]["first_runs"] for found in both] == [1, 1]


def test_resumed_it_is_one_training(both, alone, ocean, network, folder):
    whole = both[0]["filter"]
    # by as many processes, to the bit; the same checkpoint by another number, to rounding
    for found in both:
        assert found["resumed two"]["hash"] == whole["hash"]
        assert found["resumed two"]["loss"] == whole["loss"]
        compare(found["resumed one"], alone[0])
    again = xdeepda.train(
        ocean, network, checkpoint=folder / "two-1.pt", resume=True, **shared.FILTER
    )
    compare(whole, again)


def test_only_the_first_decides(both):
    for found in both:
        # the first validation is the best, and two others are not better
        assert len(found["patience"]["score"]) == 3
        np.testing.assert_equal(found["budget"], both[0]["budget"])  # NaN is NaN
        # what came before the optimisation counts, too
        assert 0.5 <= found["budget"]["seconds"][-1] <= 1.2
        assert found["budget"]["rate"][-1] < 0.2 * shared.FILTER["learning_rate"]
    assert 4 < both[0]["budget"]["steps"] < 20


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("batch", "2 processes cannot share"),
        ("seed", "different arguments: seed"),
        ("network", "network is no Network"),
        ("checkpoint", "no checkpoint"),
        ("values", "NaN inside the sea"),
    ],
)
def test_what_is_refused_is_refused_by_both(both, name, words):
    for found in both:
        assert found[name]["error"] == "InputError"
        assert words in found[name]["message"]
    assert "batch=6" in both[0]["batch"]["message"]


def test_where_one_fails_the_other_ends(both, folder):
    assert both[1]["failing"] == {**both[1]["failing"], "error": "OSError", "message": "unreadable"}
    assert (
        "process 1 of 2 fails, and all end: OSError: unreadable"
        in (folder / "rank-1.log").read_text()
    )
    for name in ("failing", "killed"):
        assert both[0][name]["error"] == "LostProcessError"
        assert "resume=True" in both[0][name]["message"]
        assert both[0][name]["seconds"] < 60


def test_the_example_goes_on_under_torchrun(both, ocean, network, folder, tmp_path):
    """Of a checkpoint of one process, in a folder that is empty otherwise."""
    mark, run = tmp_path / "run.pt", folder / "run.nc"
    network.save(tmp_path / "network.nc")
    settings = {"batch": 4, "cycles": 3}
    with shared.kept_checkpoint(tmp_path / "first.pt"):
        model = xdeepda.train(
            ocean, network, var=["thetao"], cycle="month", epochs=2, checkpoint=mark, **settings
        )
    mark.with_name("first.pt").replace(mark)
    torchrun = f"{sys.executable} -m torch.distributed.run --nproc-per-node 2"
    options = (
        f"--network {tmp_path / 'network.nc'} --var thetao --cycle month --epochs 2 --batch 4 "
        f"--set cycles=3 --checkpoint {mark} --resume"
    )
    command = f"{torchrun} --master-port {free_port()} {EXAMPLE} {run} {options}"
    done = subprocess.run(
        command.split(),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count("<xdeepda.Model increment") == 1
    made = xdeepda.load_model(tmp_path / "model.safetensors")
    for name in ("training_loss", "validation_score"):
        np.testing.assert_allclose(made.history[name], model.history[name], **CLOSE)
    assert made.provenance["epochs"] == 2


def test_lanes_of_a_fold_stay_together():
    order = np.argsort(np.arange(12) % 3, kind="stable")
    for size, folds in ((1, 3), (2, 2), (3, 1), (6, 1)):
        ranks, parts = Ranks(), []
        ranks.size = size
        for rank in range(size):
            ranks.rank = rank
            parts.append(ranks.share(order))
            assert len(set(parts[-1] % 3)) <= folds
        np.testing.assert_array_equal(np.concatenate(parts), order)


def test_without_a_group_each_trains_by_itself(monkeypatch, caplog):
    with sharing() as ranks:
        assert ranks.size == 1
    assert not caplog.text
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with sharing() as ranks:
        assert (ranks.rank, ranks.size) == (0, 1)
    assert "init_process_group" in caplog.text


def test_each_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "3")
    ranks = Ranks()
    assert ranks.device("cuda") == "cuda"
    ranks.size = 8
    assert ranks.device(None) == ranks.device("cuda") == "cuda:3"
    assert ranks.device("cpu") == "cpu"
    assert ranks.device("cuda:1") == "cuda:1"
