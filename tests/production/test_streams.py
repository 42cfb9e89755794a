"""Streams give what one stream would, wherever they run, and survive what may happen to them."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import sys
import threading
import time

import numpy as np
import pytest
import xarray as xr
from test_store import Interruption, interrupt, same, steps_of

import xdeepda
from xdeepda.errors import DivergenceError, InputError, LostProcessError, StoreError
from xdeepda.production import cluster, joints, splitting, worker
from xdeepda.production.restart import FOLDER, Keeper

#: Longer than the period: every stream begins where a single one would.
WHOLE = 99


@pytest.fixture(scope="module")
def months(months) -> xr.Dataset:
    """A year and a half."""
    return months.isel(time=slice(0, 18))


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        yield client


#: Of runs that are compared again and again.
TWO = {"streams": 2, "spinup": 4}
MEMBERS = {"members": 2, "keep_members": True, **TWO}


@pytest.fixture(scope="module")
def held(ocean, months, tiny_model, tmp_path_factory) -> xr.Dataset:
    place = tmp_path_factory.mktemp("held") / "a.zarr"
    return xdeepda.assimilate(ocean, months, model=tiny_model, store=place, **TWO).load()


@pytest.fixture(scope="module")
def held_members(ocean, months, tiny_model, tmp_path_factory) -> xr.Dataset:
    place = tmp_path_factory.mktemp("held") / "a.zarr"
    return xdeepda.assimilate(ocean, months, model=tiny_model, store=place, **MEMBERS).load()


def cuts_of(place) -> list[int]:
    """Where the streams of a store begin."""
    told = json.loads((place / FOLDER / "request.json").read_text())["wanted"]["streams"]
    return [int(n) for n in re.findall(r"(\d+),", told)]


def joints_apart(ds: xr.Dataset) -> xr.Dataset:
    """An analysis as one that was not made of streams."""
    return ds.drop_attrs(deep=False).assign_attrs(
        {k: v for k, v in ds.attrs.items() if k != "joints"}
    )


# ---- the same as one stream


@pytest.mark.parametrize("which", ["model", "smoother", "carried covariance", "models", "times"])
def test_with_the_whole_past_as_spinup(which, ocean, months, tiny_model, tmp_path, request, hasty):
    """Each stream then does what a single one does: the overlaps at both ends, to the bit."""
    kwargs = {"model": tiny_model}
    if which == "smoother":
        kwargs["model"] = request.getfixturevalue("smoother")
    elif which == "carried covariance":
        kwargs["model"] = xdeepda.baselines.kalman(ocean, var="thetao", cycle="month")
    elif which == "models":
        kwargs["model"] = [
            tiny_model,
            xdeepda.baselines.persistence(ocean, var="thetao", cycle="month"),
        ]
    elif which == "times":
        kwargs["times"] = months["time"].values[[3, 4, 9, 11, 12, 17]]
    held = xdeepda.assimilate(ocean, months, **kwargs)
    found = xdeepda.assimilate(
        ocean, months, store=tmp_path / "a.zarr", streams=3, spinup=WHOLE, **kwargs
    )
    same(joints_apart(found), held)
    np.testing.assert_allclose(found.deepda.joints()["thetao_difference"], 0)


def test_members_go_over(ocean, months, tiny_model, tmp_path):
    """Each member has the same draws in the same cycle, in whatever stream it is."""
    one, whole, short, other = (
        xdeepda.assimilate(
            ocean, months, model=tiny_model, members=3, keep_members=True, seed=seed,
            store=tmp_path / f"{n}-{spinup}-{seed}.zarr", streams=n, spinup=spinup,
        ).load()
        for n, spinup, seed in ((1, 1, 4), (3, WHOLE, 4), (2, "6 months", 4), (1, 1, 5))
    )  # fmt: skip
    xr.testing.assert_identical(one.drop_attrs(), whole.drop_attrs())
    # other starts are forgotten, other draws would not be
    apart, drawn = ((x - one)["thetao"].isel(time=-1, depth=0).std() for x in (short, other))
    assert 0 < apart < 0.3 * drawn
    # members and cycles draw for themselves
    noise = (one["thetao"] - one["thetao"].mean("member")).isel(depth=0).stack(x=["lat", "lon"])
    noise = noise.dropna("x").values
    assert not np.allclose(noise[0, 3], noise[1, 3])
    assert not np.allclose(noise[0, 3], noise[0, 4])


def test_a_state_starts_the_first_stream_alone(ocean, months, tiny_model, held_state, tmp_path):
    held = xdeepda.assimilate(held_state, months, model=tiny_model)
    found = xdeepda.assimilate(
        held_state, months, model=tiny_model, store=tmp_path / "a.zarr", streams=2, spinup=3
    )
    cut = cuts_of(tmp_path / "a.zarr")[1]
    xr.testing.assert_equal(found.isel(time=slice(0, cut)), held.isel(time=slice(0, cut)))
    assert (found.isel(time=cut)["thetao"] != held.isel(time=cut)["thetao"]).any()
    # the others as if nothing but climatology were known
    others = xdeepda.assimilate(ocean, months.isel(time=slice(cut - 3, None)), model=tiny_model)
    xr.testing.assert_equal(found["thetao"].isel(time=slice(cut, None)), others["thetao"][3:])


@pytest.fixture
def held_state(ocean, months, tiny_model) -> xr.Dataset:
    """An analysis with its spread."""
    return xdeepda.assimilate(ocean, months.isel(time=slice(0, 2)), model=tiny_model).isel(time=-1)


def test_any_labels(ocean, months, pair_model, tmp_path):
    """Another order, other names, kelvin, text along an axis, two variables, chunks of dask."""
    mine = ocean.isel(lat=slice(None, None, -1)).transpose("lon", "time", "lat", "depth", ...)
    mine = mine.rename(time="t", depth="z").assign_coords(
        basin=("lon", np.array(["west", "east"] * 12)), run="r1"
    )
    mine["thetao"] = (mine["thetao"] + 273.15).assign_attrs(ocean["thetao"].attrs, units="K")
    held = xdeepda.assimilate(mine, months, model=pair_model)
    found = xdeepda.assimilate(
        mine.chunk(t=30), months, model=pair_model, store=tmp_path / "a.zarr", streams=2,
        spinup=WHOLE,
    )  # fmt: skip
    same(joints_apart(found), held)
    told = xdeepda.joints(found)
    assert told["thetao_difference"].dims == ("joint", "z")
    assert {f"{n}_{p}" for n in ("thetao", "so") for p in ("difference", "spread", "ratio")} == {
        *told.data_vars
    }


# ---- on a cluster


@pytest.mark.parametrize("which", ["plain", "models and members"])
def test_a_cluster_gives_the_same_bits(which, ocean, months, tiny_model, tmp_path, client, hasty):
    arguments = {"model": tiny_model}
    if which != "plain":
        other = xdeepda.baselines.persistence(ocean, var="thetao", cycle="month")
        arguments = {"model": [tiny_model, other], "members": 2, "keep_members": True, "seed": 2}
    here, there = (
        xdeepda.assimilate(
            ocean, months, store=tmp_path / f"{name}.zarr", streams=4, spinup="4 months",
            client=kind, **arguments,
        )
        for name, kind in (("here", None), ("there", client))
    )  # fmt: skip
    same(there, here.load())
    left = sorted(p.name for p in (tmp_path / "there.zarr" / FOLDER).iterdir())
    assert set(left) <= {"lock", "request.json", "last.safetensors"}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing can be killed here")
def test_lost_workers(ocean, months, tiny_model, tmp_path, hasty):
    """One that is killed is replaced, and its stream goes on; too many are told."""
    distributed = pytest.importorskip("distributed")
    obs = xr.concat([months, months.assign_coords(time=later(months))], "time")
    arguments = {"model": tiny_model, "streams": 2, "spinup": 3}
    held = xdeepda.assimilate(ocean, obs, store=tmp_path / "held.zarr", **arguments).load()
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None
        ) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        before = pids(client)
        with killing(client, tmp_path / "a.zarr", 0):
            found = xdeepda.assimilate(
                ocean, obs, store=tmp_path / "a.zarr", client=client, **arguments
            )
        assert pids(client) != before
        same(found, held)
        local.scheduler.allowed_failures = 0
        place = tmp_path / "b.zarr"
        with killing(client, place, 1), pytest.raises(LostProcessError, match="ran stream 1") as e:
            xdeepda.assimilate(ocean, obs, store=place, client=client, **arguments)
    assert "it goes on" in str(e.value)
    assert worker.is_done(place, 0)
    same(xdeepda.assimilate(ocean, obs, store=place, **arguments), held)


def later(ds: xr.Dataset) -> np.ndarray:
    """Times that follow those of a Dataset of months."""
    return np.array([t.replace(year=t.year + 1 + (t.month + 5) // 12, month=(t.month + 5) % 12 + 1)
                     for t in ds["time"].values])  # fmt: skip


def pids(client) -> set[int]:
    client.wait_for_workers(1)
    return set(client.run(os.getpid).values())


class killing:
    """Kills the worker when a stream has written a restart."""

    def __init__(self, client, place, number) -> None:
        self.pid = next(iter(pids(client)))
        self.folder = worker.folder_of(place, number)
        self.thread = threading.Thread(target=self.kill)

    def kill(self) -> None:
        until = time.monotonic() + 60
        while not list(self.folder.glob("restart-*.safetensors")):
            if time.monotonic() > until:
                return
            time.sleep(0.002)
        os.kill(self.pid, signal.SIGKILL)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_) -> None:
        self.thread.join()


def test_workers_that_are_of_no_use(ocean, months, tiny_model, tmp_path, client, monkeypatch):
    versions = dict.fromkeys(("xdeepda", "torch", "numpy"), "0.0")
    monkeypatch.setattr(cluster, "_see", lambda probe: (versions, False))
    arguments = {"model": tiny_model, "streams": 2, "client": client}
    with pytest.raises(InputError, match="other versions") as caught:
        xdeepda.assimilate(ocean, months, store=tmp_path / "a.zarr", **arguments)
    assert "does not see the folder of store=" in str(caught.value)

    def broken(probe):
        raise ModuleNotFoundError("No module named 'xdeepda'")

    monkeypatch.setattr(cluster, "_see", broken)
    with pytest.raises(InputError, match=r"cannot run xdeepda\n.*No module named"):
        xdeepda.assimilate(ocean, months, store=tmp_path / "a.zarr", **arguments)
    assert not list(tmp_path.iterdir())


# ---- interruptions


@pytest.mark.parametrize("after", [0, 5, 13])
def test_an_interrupted_run_goes_on(
    after, ocean, months, tiny_model, held_members, tmp_path, hasty, monkeypatch
):
    place = tmp_path / "a.zarr"
    interrupt(ocean, months, tiny_model, place, monkeypatch, after, **MEMBERS)
    taken = steps_of(monkeypatch)
    found = xdeepda.assimilate(ocean, months, model=tiny_model, store=place, **MEMBERS)
    same(found, held_members)
    # 11 cycles each, and chunks of one
    assert len(taken) == 22 - after
    assert not list(place.rglob("*.part*"))


def test_a_stream_that_is_no_longer_wanted_ends(ocean, months, tiny_model, tmp_path, client):
    """As it is when its conductor was interrupted, or another one has taken over."""
    place, told = tmp_path / "a.zarr", []
    run = worker.run_stream

    def begun_elsewhere(plan, number, tell):
        def telling(number, position):
            told.append(position)
            if position == 3:
                worker.announce(place, "another")
            tell(number, position)

        run(plan, number, telling)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("xdeepda.production.streams.run_stream", begun_elsewhere)
        with pytest.raises(worker.StreamStoppedError):
            xdeepda.assimilate(ocean, months, model=tiny_model, store=place, streams=2, spinup=2)
    assert told == [0, 1, 2, 3]


def test_a_stream_is_held_by_one_process(tmp_path, monkeypatch, ocean, months, tiny_model):
    place = tmp_path / "a.zarr"
    folder = worker.folder_of(place, 0)
    monkeypatch.setattr(worker, "PATIENCE", 0.3)
    announce = worker.announce

    def held(store, token):
        announce(store, token)
        keeper = Keeper(store)
        keeper.folder = folder
        keeper.lock()
        monkeypatch.setattr("xdeepda.production.streams.announce", announce)
        keepers.append(keeper)

    keepers = []
    monkeypatch.setattr("xdeepda.production.streams.announce", held)
    arguments = {"model": tiny_model, "store": place, "streams": 2, "spinup": 2}
    with pytest.raises(InputError, match=f"another process is writing .*process {os.getpid()}"):
        xdeepda.assimilate(ocean, months, **arguments)
    keepers[0].release()
    xdeepda.assimilate(ocean, months, **arguments)


def test_another_division_is_another_call(ocean, months, tiny_model, tmp_path):
    place = tmp_path / "a.zarr"
    xdeepda.assimilate(ocean, months, model=tiny_model, store=place, streams=2, spinup=3)
    for kwargs, found in (
        (
            {"streams": 3, "spinup": 3},
            r"streams: 2 from cycles 0, \d+, spin-up of 3 cycles in the ",
        ),
        ({"streams": 2, "spinup": 4}, "streams: 2 from"),
        ({}, "None asked for"),
    ):
        with pytest.raises(InputError, match=f"belongs to another call\n.*{found}"):
            xdeepda.assimilate(ocean, months, model=tiny_model, store=place, **kwargs)


@pytest.mark.parametrize("where", ["here", "cluster"])
def test_a_number_that_is_not_finite(
    where, ocean, months, tiny_model, held, tmp_path, hasty, request
):
    from xdeepda.bridge import Conductor

    arguments = {"model": tiny_model, **TWO}
    if where == "cluster":
        arguments["client"] = request.getfixturevalue("client")
    check, first = Conductor._check, int(tiny_model.cycle.index(months["time"].values[:1])[0])

    def broken(self, analysis, number):
        if number == first + 14:
            analysis.mean[0, 2, 5, 7] = np.nan
        check(self, analysis, number)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Conductor, "_check", broken)
        with pytest.raises(DivergenceError, match=r"stream 1: .* not finite in cycle") as caught:
            xdeepda.assimilate(ocean, months, store=tmp_path / "a.zarr", **arguments)
    assert "depth 841 m, latitude 7.2, longitude 112.5; of stream 1, 3 of 7" in str(caught.value)
    kept = xr.open_zarr(tmp_path / "a.zarr")["thetao"]
    np.testing.assert_array_equal(kept[11:14], held["thetao"][11:14])
    assert kept[14:].isnull().all()
    same(xdeepda.assimilate(ocean, months, store=tmp_path / "a.zarr", **arguments), held)


def test_a_full_disk(ocean, months, tiny_model, held, tmp_path, hasty, monkeypatch):
    import zarr

    arguments = {"model": tiny_model, **TWO}
    put = zarr.Array.__setitem__

    def putting(array, place, values):
        if array.path == "thetao" and place[0].start == 14:
            raise OSError(errno.ENOSPC, "No space left on device")
        put(array, place, values)

    with monkeypatch.context() as patched:
        patched.setattr(zarr.Array, "__setitem__", putting)
        with pytest.raises(StoreError, match="disk is full; of stream 1, 3 of 7") as caught:
            xdeepda.assimilate(ocean, months, store=tmp_path / "a.zarr", **arguments)
    assert caught.value.errno == errno.ENOSPC
    same(xdeepda.assimilate(ocean, months, store=tmp_path / "a.zarr", **arguments), held)


def test_progress_of_all_streams(ocean, months, tiny_model, tmp_path, hasty, monkeypatch):
    from xdeepda.production import streams

    bars, show = [], streams.progress_bar
    monkeypatch.setattr(
        streams, "progress_bar", lambda *a: bars.append(show(*a[:2], False, *a[3:])) or bars[-1]
    )
    arguments = {"streams": 2, "spinup": 4}
    interrupt(ocean, months, tiny_model, tmp_path / "a.zarr", monkeypatch, 13, **arguments)
    xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr", **arguments)
    assert [(bar.total, bar.initial, bar.n) for bar in bars] == [(22, 0, 13), (22, 13, 22)]


# ---- joints


def test_joints_by_hand(ocean, months, tiny_model, tmp_path, caplog):
    caplog.set_level("INFO", "xdeepda")
    found = xdeepda.assimilate(
        ocean, months, model=tiny_model, store=tmp_path / "a.zarr", streams=2, spinup=4
    )
    told = joints.joints(found)
    one = xdeepda.assimilate(ocean, months, model=tiny_model)
    other = xdeepda.assimilate(ocean, months.isel(time=slice(7, None)), model=tiny_model)
    at = str(one["time"].values[10])
    assert told["time"].values.tolist() == [at]
    weight = np.cos(np.deg2rad(ocean["lat"])).where(one["thetao"][0].notnull())
    for name, squares in (
        ("difference", (one["thetao"][10] - other["thetao"][3]) ** 2),
        ("spread", one["thetao_spread"][10].astype(float) ** 2),
    ):
        by_hand = np.sqrt((squares * weight).sum(("lat", "lon")) / weight.sum(("lat", "lon")))
        np.testing.assert_allclose(told[f"thetao_{name}"][0], by_hand, rtol=2e-3)
        assert told[f"thetao_{name}"].attrs["units"] in ("K", "delta_degC")
    np.testing.assert_array_equal(told["depth"], ocean["depth"])
    assert f"at the joint of streams 0 and 1 ({at}) thetao differs" in caplog.text
    longer = xdeepda.assimilate(
        ocean, months, model=tiny_model, store=tmp_path / "b.zarr", streams=2, spinup=8
    )
    assert (xdeepda.joints(longer)["thetao_ratio"] < told["thetao_ratio"]).all()
    # whoever opens the store has them, too
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "a.zarr").deepda.joints(), told)


def test_streams_without_a_common_cycle(ocean, months, tiny_model, tmp_path):
    times = months["time"].values[[1, 16]]
    found = xdeepda.assimilate(
        ocean, months, model=tiny_model, times=times, store=tmp_path / "a.zarr", streams=2, spinup=3
    )
    assert xdeepda.joints(found)["thetao_ratio"].isnull().all()


def test_no_joints(analysis):
    with pytest.raises(InputError, match="no analysis that was made of streams"):
        xdeepda.joints(analysis)


# ---- wrong arguments


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"streams": 2, "store": None}, "streams are written as they go"),
        ({"streams": 0}, "streams is a positive integer"),
        ({"streams": True}, "streams is a positive integer"),
        ({"streams": 1.5}, "streams is a positive integer"),
        ({"streams": 19}, "more streams than cycles\n.*streams=19, 18 cycles"),
        ({"streams": 2, "spinup": "1 parsec"}, "no period to use\n.*'1 parsec' is no length"),
        ({"streams": 2, "spinup": "10D"}, "no period to use\n.*'10D' is shorter than a month"),
        ({"streams": 2, "spinup": 0}, "0 is shorter than a month"),
        ({"streams": 2, "spinup": np.timedelta64("NaT")}, "is no length of time"),
        ({"streams": 2, "spinup": True}, "True is no length of time"),
        ({"spinup": "1Y"}, "spinup= is for streams"),
        ({"client": 5}, "client= is for streams"),
        ({"streams": 2, "client": 5}, "client= is no client of dask\n.*int"),
        ({"streams": 2, "checks": "all"}, "do not go together with streams="),
        ({"streams": 2, "ledger": True}, "do not go together with streams="),
    ],
    ids=lambda x: "" if isinstance(x, str) else ", ".join(f"{k}={v}" for k, v in x.items()),
)
def test_wrong_arguments(kwargs, words, ocean, months, tiny_model, tmp_path):
    arguments = {"store": tmp_path / "a.zarr", **kwargs}
    with pytest.raises(InputError, match=words):
        xdeepda.assimilate(ocean, months, model=tiny_model, **arguments)
    assert not (tmp_path / "a.zarr" / FOLDER / "request.json").exists()


def test_all_wrong_arguments_are_told_at_once(ocean, months, tiny_model):
    with pytest.raises(InputError, match="5 problems"):
        xdeepda.assimilate(
            ocean, months, model=tiny_model, streams=-1, spinup="never", client="here", members=0
        )


def test_without_distributed(ocean, months, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    arguments = {"model": tiny_model, "store": tmp_path / "a.zarr", "streams": 2, "spinup": 2}
    with pytest.raises(InputError, match=r"pip install 'xdeepda\[distributed\]'"):
        xdeepda.assimilate(ocean, months, client=object(), **arguments)
    xdeepda.assimilate(ocean, months, **arguments)


def test_a_client_that_is_closed(ocean, months, tiny_model, tmp_path):
    distributed = pytest.importorskip("distributed")
    client = distributed.Client(processes=False, n_workers=0, dashboard_address=None)
    client.close()
    with pytest.raises(InputError, match="no connection to its scheduler"):
        xdeepda.assimilate(
            ocean, months, model=tiny_model, store=tmp_path / "a.zarr", streams=2, client=client
        )


def test_interruption_is_no_error():
    """Or the tests above would catch it."""
    assert not issubclass(Interruption, Exception)
    assert splitting.DEFAULT_SPINUP == "1Y"
