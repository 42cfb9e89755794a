"""A store holds what memory would, and survives kills, full disks and other processes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import DivergenceError, InputError, StoreError
from xdeepda.production import restart, store
from xdeepda.production.restart import FOLDER, Keeper, Restart


def same(stored: xr.Dataset, held: xr.Dataset) -> None:
    """Identical to the bit, in labels, order and dtype, apart from the time stamp."""
    loaded = stored.load()
    a, b = (x.assign_attrs(history="") for x in (loaded, held))
    xr.testing.assert_identical(a, b)
    assert list(a.data_vars) == list(b.data_vars)
    for name in b.variables:
        assert a[name].dtype == b[name].dtype, name
        assert a[name].dims == b[name].dims, name


@pytest.fixture(scope="module")
def baseline(ocean):
    """Carries a covariance besides mean and variance."""
    return xdeepda.baselines.kalman(ocean, var="thetao", cycle="month")


@pytest.fixture(scope="module")
def held(ocean, months, tiny_model) -> xr.Dataset:
    return xdeepda.assimilate(ocean, months, model=tiny_model)


# ---- the same as in memory


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"members": 3, "keep_members": True, "seed": 2},
        {"members": 2, "checks": "all"},
        {"times": ["0009-03", "0009-05", "0010-12"]},
    ],
    ids=lambda kwargs: ", ".join(kwargs) or "plain",
)
def test_as_in_memory(kwargs, ocean, months, tiny_model, tmp_path, hasty):
    if "times" in kwargs:
        index = [24, 26, 39]
        kwargs = {"times": months["time"].values[index]}
    held = xdeepda.assimilate(ocean, months, model=tiny_model, **kwargs)
    found = xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr", **kwargs)
    assert found["thetao"].chunks is not None
    assert "store" not in found.attrs
    same(found, held)
    # and as anybody opens it
    same(xr.open_zarr(tmp_path / "a.zarr")[list(held.data_vars)], held)


def test_any_labels(ocean, months, pair_model, tmp_path, hasty):
    """Another order, descending axes, other names, kelvin, coordinates besides, two variables."""
    mine = ocean.isel(lat=slice(None, None, -1)).transpose("lon", "time", "lat", "depth", ...)
    mine = mine.rename(time="t", lat="y").assign_coords(
        basin=("lon", np.array(["west", "east"] * 12)), run="r1"
    )
    mine["thetao"] = (mine["thetao"] + 273.15).assign_attrs(ocean["thetao"].attrs, units="K")
    held = xdeepda.assimilate(mine, months, model=pair_model)
    found = xdeepda.assimilate(mine, months, model=pair_model, store=tmp_path / "a.zarr")
    same(found, held)
    assert found["thetao"].dims == ("lon", "t", "y", "depth")


@pytest.mark.parametrize(("year", "unit"), [("1997", "ns"), ("1597", "s")])
def test_datetimes(year, unit, ocean, months, tiny_model, tmp_path):
    dates = (np.datetime64(f"{year}-02") + np.arange(40)).astype(f"M8[{unit}]")
    gregorian = months.drop_vars("time_bnds").assign_coords(time=dates)
    held = xdeepda.assimilate(ocean, gregorian, model=tiny_model)
    assert held["time"].dtype.kind == "M"
    same(xdeepda.assimilate(ocean, gregorian, model=tiny_model, store=tmp_path / "a.zarr"), held)


def test_quantities(ocean, months, tiny_model, tmp_path):
    import pint_xarray  # noqa: F401

    from xdeepda.units import registry

    mine = ocean[["thetao"]].pint.quantify(unit_registry=registry())
    held = xdeepda.assimilate(mine, months, model=tiny_model)
    found = xdeepda.assimilate(mine, months, model=tiny_model, store=tmp_path / "a.zarr")
    assert found["thetao"].pint.units == held["thetao"].pint.units
    assert found["thetao_spread"].pint.units == held["thetao_spread"].pint.units
    same(found.pint.dequantify(), held.pint.dequantify())


def test_a_path_as_text_and_a_second_call(ocean, months, tiny_model, held, tmp_path, caplog):
    caplog.set_level("INFO", "xdeepda")
    place = str(tmp_path / "a.zarr")
    same(xdeepda.assimilate(ocean, months, model=tiny_model, store=place), held)
    left = sorted(p.name for p in (tmp_path / "a.zarr" / FOLDER).iterdir())
    assert left == ["last.safetensors", "lock", "request.json"]
    before = {p: p.stat().st_mtime_ns for p in Path(place).rglob("c/*") if p.is_file()}
    same(xdeepda.assimilate(ocean, months, model=tiny_model, store=place), held)
    assert "is complete already" in caplog.text
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_writes_are_whole_chunks(ocean, months, tiny_model, tmp_path, hasty, monkeypatch):
    import zarr

    written = []
    put = zarr.Array.__setitem__

    def putting(array, place, values):
        if array.path.startswith("thetao"):
            written.append((array.path, place[0], array.chunks[0], array.shape[0]))
        put(array, place, values)

    monkeypatch.setattr(zarr.Array, "__setitem__", putting)
    xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr")
    assert len([w for w in written if w[0] == "thetao"]) == 10
    for _, place, chunk, size in written:
        assert place.start % chunk == 0
        assert place.stop % chunk == 0 or place.stop == size


def test_large_fields_are_cut_in_chunks(ocean, months, tiny_model, tmp_path, monkeypatch):
    months = months.isel(time=slice(0, 6))
    held = xdeepda.assimilate(ocean, months, model=tiny_model)
    monkeypatch.setattr(store, "_LARGEST", 1500)
    monkeypatch.setattr(store, "CHUNK_CYCLES", 1)
    found = xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr")
    assert np.prod([c[0] for c in found["thetao"].chunks]) * 4 <= 1500
    same(found, held)


def test_memory_advises_a_store(ocean, months, tiny_model, tmp_path, monkeypatch, hasty):
    from xdeepda import assimilation

    monkeypatch.setattr(assimilation, "available_memory", lambda: 6 * 10**5)
    with pytest.raises(xdeepda.errors.MemoryForeseenError, match=r"store='analysis\.zarr'"):
        xdeepda.assimilate(ocean, months, model=tiny_model)
    xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr")
    monkeypatch.setattr(assimilation, "available_memory", lambda: 10**4)
    with pytest.raises(xdeepda.errors.MemoryForeseenError, match="fewer members"):
        xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "b.zarr")


def test_what_is_lazy_can_be_worked_with(ocean, months, tiny_model, held, tmp_path):
    found = xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr")
    increment = found.deepda.increment("thetao")
    assert increment.chunks is not None
    np.testing.assert_array_equal(increment, held.deepda.increment("thetao"))
    # and gone on with in time
    later = xdeepda.assimilate(found.isel(time=-1), months, model=tiny_model)
    again = xdeepda.assimilate(held.isel(time=-1), months, model=tiny_model)
    xr.testing.assert_equal(later, again)


def test_progress_counts_what_was_done_before(
    ocean, months, tiny_model, tmp_path, hasty, monkeypatch
):
    """But the estimate of the time does not."""
    from xdeepda import assimilation

    bars = []

    def bar(*args):
        bars.append(show(*args[:2], False, *args[3:]))
        return bars[-1]

    show = assimilation.progress_bar
    interrupt(ocean, months, tiny_model, tmp_path / "a.zarr", monkeypatch, after=21)
    monkeypatch.setattr(assimilation, "progress_bar", bar)
    xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr")
    assert (bars[0].total, bars[0].initial) == (40, 20)


# ---- places that are none


def test_wrong_places_are_told_before_the_work(ocean, months, tiny_model, tmp_path, monkeypatch):
    from xdeepda import assimilation

    def conduct(*_, **__):
        raise AssertionError("the cycling started")

    monkeypatch.setattr(assimilation, "_conduct", conduct)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("mine")
    xr.Dataset({"a": 1}).to_zarr(tmp_path / "other.zarr")
    for place, words in (
        (tmp_path / "no" / "a.zarr", "folder of store= does not exist"),
        (tmp_path / "file", "store= is a file"),
        (tmp_path / "folder", "holds something else, which is left alone"),
        (tmp_path / "other.zarr", "holds something else, which is left alone"),
        ("s3://bucket/a.zarr", "no folder of this machine"),
        (3, "store= is no place"),
        ("", "store= is no place"),
    ):
        with pytest.raises(InputError, match=words):
            xdeepda.assimilate(ocean, months, model=tiny_model, store=place)
    assert (tmp_path / "folder" / "thesis.tex").read_text() == "mine"
    assert int(xr.open_zarr(tmp_path / "other.zarr")["a"]) == 1


def test_a_folder_that_cannot_be_written(ocean, months, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="store= cannot be written to"):
        xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_read_only_folder(ocean, months, tiny_model, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="store= cannot be written to"):
        xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr")
    tmp_path.chmod(0o700)


def test_an_empty_folder_is_a_place(ocean, months, tiny_model, held, tmp_path):
    (tmp_path / "a.zarr").mkdir()
    same(xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr"), held)


def test_what_came_between_is_left_alone(ocean, months, tiny_model, tmp_path):
    """A start that was cut short, and then somebody put a file of theirs there."""
    (tmp_path / "a.zarr" / FOLDER).mkdir(parents=True)
    (tmp_path / "a.zarr" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="not of this analysis"):
        xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr")
    assert (tmp_path / "a.zarr" / "thesis.tex").read_text() == "mine"


# ---- stores of other calls


def test_the_store_of_another_call_is_refused(ocean, months, tiny_model, pair_model, tmp_path):
    place = tmp_path / "a.zarr"
    xdeepda.assimilate(ocean, months, model=tiny_model, store=place)
    other = months.assign(thetao=months["thetao"] + 1e-3)
    warmer = ocean.assign_coords(lon=ocean["lon"] - 360)
    for kwargs, differs in (
        ({"seed": 1}, "seed: 0 in the store, 1 asked for"),
        ({"members": 2}, "members: 1, their mean in the store, 2"),
        ({"keep_members": True}, "members: 1, their mean in the store, 1, kept"),
        ({"model": pair_model}, "model: "),
        ({"obs": other}, "observations: "),
        ({"times": months["time"].values[:9]}, "cycles: 40 from .* in the store, 9 from "),
        ({"ds": ocean.isel(time=70)}, "start: "),
        ({"climatology": ocean}, "climatology: "),
        ({"checks": "all"}, "checks: none in the store"),
        ({"ledger": tmp_path / "l.nc"}, "ledger: none in the store"),
        ({"ds": warmer}, "labels: "),
    ):
        arguments = {"ds": ocean, "obs": months, "model": tiny_model, **kwargs}
        with pytest.raises(InputError, match=f"belongs to another call\n.*{differs}"):
            xdeepda.assimilate(**arguments, store=place)


def test_another_machine_is_told(ocean, months, tiny_model, tmp_path, hasty, monkeypatch, caplog):
    interrupt(ocean, months, tiny_model, tmp_path / "a.zarr", monkeypatch, after=20)
    path = tmp_path / "a.zarr" / FOLDER / "request.json"
    found = json.loads(path.read_text())
    found["machine"]["threads"] = "64"
    path.write_text(json.dumps(found))
    xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr")
    assert "threads was '64', is '1'" in caplog.text


def test_a_damaged_request(ocean, months, tiny_model, tmp_path):
    (tmp_path / "a.zarr" / FOLDER).mkdir(parents=True)
    (tmp_path / "a.zarr" / FOLDER / "request.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr")


# ---- interruptions


class Interruption(BaseException):
    """As KeyboardInterrupt, which would stop pytest."""


def interrupt(ocean, obs, model, place, monkeypatch, after, **kwargs):
    """Interrupt an assimilation after so many cycles; returns how many steps were taken."""
    from xdeepda.production.cycling import Cycling

    step = Cycling._step
    taken = []

    def counted(self, number):
        if len(taken) == after:
            raise Interruption
        taken.append(number)
        return step(self, number)

    with monkeypatch.context() as patched:
        patched.setattr(Cycling, "_step", counted)
        with pytest.raises(Interruption):
            xdeepda.assimilate(ocean, obs, model=model, store=place, **kwargs)
    return taken


def steps_of(monkeypatch) -> list[int]:
    """Numbers of the cycles that are taken from now on."""
    from xdeepda.production.cycling import Cycling

    step, taken = Cycling._step, []

    def counted(self, number):
        taken.append(number)
        return step(self, number)

    monkeypatch.setattr(Cycling, "_step", counted)
    return taken


@pytest.mark.parametrize("after", [0, 3, 4, 17, 39])
def test_an_interrupted_run_goes_on(
    after, ocean, months, tiny_model, held, tmp_path, hasty, monkeypatch
):
    interrupt(ocean, months, tiny_model, tmp_path / "a.zarr", monkeypatch, after)
    taken = steps_of(monkeypatch)
    same(xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr"), held)
    assert len(taken) == 40 - after // 4 * 4


@pytest.mark.parametrize(
    "which", ["members", "checks and ledger", "carried covariance", "models", "smoother"]
)
def test_everything_that_flows_goes_on(
    which, ocean, months, points, tiny_model, smoother, baseline, tmp_path, hasty, monkeypatch
):
    """Generators, the noise of members, carried covariances, fates, what a smoother holds."""
    model, obs = tiny_model, months
    kwargs = {"members": 3, "seed": 3}
    if which == "members":
        kwargs["keep_members"] = True
    elif which == "checks and ledger":
        wild = points.assign(thetao=points["thetao"].where(points["lat"] < 20, 40.0))
        obs, kwargs = [months, wild], {"checks": "all", "ledger": tmp_path / "l.nc"}
    elif which == "smoother":
        wild = points.assign(thetao=points["thetao"].where(points["lat"] < 20, 40.0))
        model, obs = [smoother, tiny_model], [months, wild]
        kwargs = {"checks": "all", "ledger": tmp_path / "l.nc", "keep_members": True, "members": 2}
    elif which == "carried covariance":
        model, kwargs = baseline, {}
    else:
        model, kwargs = [tiny_model, baseline], {"members": 2, "keep_members": True}
    held = xdeepda.assimilate(ocean, obs, model=model, **kwargs)
    ledger = xdeepda.departures(held).load() if "ledger" in kwargs else None
    for after in (6, 15, 5):
        interrupt(ocean, obs, model, tmp_path / "a.zarr", monkeypatch, after, **kwargs)
    taken = steps_of(monkeypatch)
    found = xdeepda.assimilate(ocean, obs, model=model, store=tmp_path / "a.zarr", **kwargs)
    assert len(taken) == (18 if which == "smoother" else 20)
    same(found, held)
    if ledger is not None:
        again = xdeepda.departures(found).load()
        xr.testing.assert_identical(*(x.assign_attrs(history="") for x in (again, ledger)))
        assert (again["fate"] > 6).any()


def test_ledger_true_is_a_file_beside_the_store(ocean, points, tiny_model, tmp_path):
    held = xdeepda.assimilate(ocean, points, model=tiny_model, ledger=True)
    found = xdeepda.assimilate(
        ocean, points, model=tiny_model, ledger=True, store=tmp_path / "a.zarr"
    )
    assert found.attrs["ledger"] == str(tmp_path / "a.ledger.nc")
    a, b = xdeepda.departures(found), xdeepda.departures(held)
    np.testing.assert_array_equal(a["innovation"], b["innovation"])


def prepare_folder(folder, ocean, obs, models, kills, draw, arguments):
    ocean.to_netcdf(folder / "run.nc")
    obs.to_netcdf(folder / "obs.nc")
    names = []
    for n, model in enumerate(models):
        model.save(folder / f"{n}.safetensors")
        names.append(f"{n}.safetensors")
    plan = {
        "models": names,
        "observations": "obs.nc",
        "kills": kills,
        "seed": draw,
        "arguments": arguments,
    }
    (folder / "plan.json").write_text(json.dumps(plan))


def run_killed(folder) -> list[list[str]]:
    script = Path(__file__).with_name("killed.py")
    run = subprocess.run(
        [sys.executable, str(script), str(folder)], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr, run.stderr
    return [line.split() for line in run.stdout.splitlines()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_killed_again_and_again(ocean, months, tiny_model, tmp_path):
    arguments = {"members": 2, "keep_members": True, "seed": 4}
    prepare_folder(tmp_path, ocean, months, [tiny_model], 1, 1, arguments)
    lines = run_killed(tmp_path)
    assert [line[1] for line in lines].count("killed") >= 5, lines
    # and gone on with in the middle
    positions = [int(line[2]) for line in lines[:-1]]
    assert positions[:2] == [-1, -1], lines
    assert 4 <= positions[2] <= positions[3] <= positions[4] <= 36, lines
    assert lines[-1] == ["last", "exit-0", "-1"], lines
    assert not list((tmp_path / "store.zarr").rglob("*.part*"))
    held = xdeepda.assimilate(
        xr.open_dataset(tmp_path / "run.nc"), xr.open_dataset(tmp_path / "obs.nc"),
        model=tiny_model, **arguments,
    )  # fmt: skip
    same(xr.open_zarr(tmp_path / "store.zarr")[list(held.data_vars)], held)


def test_of_two_restarts_the_whole_one_counts(tmp_path):
    keeper = Keeper(tmp_path)
    keeper.folder.mkdir()
    assert keeper.load() is None
    for position in (4, 8, 12):
        keeper.save(Restart(position, {"x": np.arange(position)}, {}))
    newest = max(keeper.folder.glob("restart-*"), key=lambda p: read(p)[1]["position"])
    found = Keeper(tmp_path).load()
    assert found.position == 12
    np.testing.assert_array_equal(found.arrays["x"], np.arange(12))
    newest.write_bytes(newest.read_bytes()[:-3])
    assert Keeper(tmp_path).load().position == 8
    # a whole file with a number that is not the one that was written
    content = bytearray(newest.read_bytes() + b"\0\0\0")
    content[-9] ^= 1
    newest.write_bytes(bytes(content))
    assert Keeper(tmp_path).load().position == 8
    # the next one is written over the bad one
    again = Keeper(tmp_path)
    again.load()
    again.save(Restart(16, {"x": np.arange(3)}, {}))
    assert Keeper(tmp_path).load().position == 16


def read(path):
    return restart.read_arrays(path)


# ---- others


def test_a_second_process_is_refused(ocean, months, tiny_model, tmp_path, held):
    code = (
        "import sys\nfrom pathlib import Path\nfrom xdeepda.production.restart import Keeper\n"
        "keeper = Keeper(Path(sys.argv[1]))\nkeeper.lock()\nprint('locked', flush=True)\n"
        "sys.stdin.read()"
    )
    place = tmp_path / "a.zarr"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    with other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match=f"another process .* \\(process {other.pid} on "):
            xdeepda.assimilate(ocean, months, model=tiny_model, store=place)
        other.kill()
    # a process that is gone has let go, however it went
    same(xdeepda.assimilate(ocean, months, model=tiny_model, store=place), held)


def test_a_second_thread_is_refused(tmp_path):
    first = Keeper(tmp_path)
    first.lock()
    told = []

    def second():
        try:
            Keeper(tmp_path).lock()
        except InputError as error:
            told.append(str(error))

    thread = threading.Thread(target=second)
    thread.start()
    thread.join()
    assert f"process {os.getpid()}" in told[0]
    first.release()
    Keeper(tmp_path).lock()


# ---- disks and numbers


@pytest.mark.parametrize("what", ["chunk", "restart"])
def test_a_full_disk(what, ocean, months, tiny_model, held, tmp_path, hasty, monkeypatch):
    import zarr

    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patched:
        if what == "chunk":
            count, put = [0], zarr.Array.__setitem__

            def putting(array, place, values):
                count[0] += array.path.startswith("thetao")
                if count[0] > 17:
                    raise full
                put(array, place, values)

            patched.setattr(zarr.Array, "__setitem__", putting)
        else:
            count, write = [0], restart.write_arrays

            def writing(path, arrays, text):
                count[0] += 1
                if count[0] > 3:
                    raise full
                write(path, arrays, text)

            patched.setattr(restart, "write_arrays", writing)
        with pytest.raises(StoreError, match="the disk is full") as caught:
            xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr")
    assert caught.value.errno == errno.ENOSPC
    kept = "12 of 40" if what == "chunk" else "16 of 40"
    assert f"{kept} cycles are in {tmp_path / 'a.zarr'}" in str(caught.value)
    assert "it goes on after 12 cycles" in str(caught.value)
    taken = steps_of(monkeypatch)
    same(xdeepda.assimilate(ocean, months, model=tiny_model, store=tmp_path / "a.zarr"), held)
    assert len(taken) == 28


def test_a_disk_that_is_really_full(ocean, months, tiny_model, tmp_path, hasty, caplog):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        arguments = {"model": tiny_model, "members": 3, "keep_members": True}
        with pytest.raises(StoreError, match="the disk is full") as caught:
            xdeepda.assimilate(ocean, months, store=disk / "a.zarr", **arguments)
        assert caught.value.errno == errno.ENOSPC
        assert "of the disk are free" in caplog.text
        bigger = ["mount", "-o", "remount,size=8m", str(disk)]
        assert not subprocess.run(bigger, capture_output=True).returncode
        found = xdeepda.assimilate(ocean, months, store=disk / "a.zarr", **arguments)
        same(found, xdeepda.assimilate(ocean, months, **arguments))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_number_that_is_not_finite(ocean, months, tiny_model, held, tmp_path, hasty, monkeypatch):
    from xdeepda.core.increment import IncrementArchitecture as Architecture

    analyse, calls = Architecture.analyse, [0]

    def broken(self, background, observed):
        state = analyse(self, background, observed)
        calls[0] += 1
        if calls[0] == 22:
            state.mean[1, 2, 5, 7] = np.nan
        return state

    arguments = {"model": tiny_model, "members": 2, "store": tmp_path / "a.zarr"}
    with monkeypatch.context() as patched:
        patched.setattr(Architecture, "analyse", broken)
        with pytest.raises(DivergenceError) as caught:
            xdeepda.assimilate(ocean, months, **arguments)
    text = str(caught.value)
    for part in (
        "cycle 5 of year 9", "member 1", "depth 841 m", "latitude 7.2", "longitude 112.5",
        "21 of 40 cycles are in", "until 0009-05-16",
    ):  # fmt: skip
        assert part in text
    # what is done can be looked at, the 21st too, that begins a chunk
    kept = xr.open_zarr(tmp_path / "a.zarr")
    both = xdeepda.assimilate(ocean, months, model=tiny_model, members=2)
    np.testing.assert_array_equal(kept["thetao"][:21], both["thetao"][:21])
    assert kept["thetao"][21:].isnull().all()
    # and gone on with
    taken = steps_of(monkeypatch)
    same(xdeepda.assimilate(ocean, months, **arguments), both)
    assert len(taken) == 20


def test_a_file_of_observations_that_cannot_be_read(ocean, months, points, tiny_model, tmp_path):
    """Lazy observations of which a part in the middle is damaged: told before the cycling."""
    import dask.array

    def damaged():
        raise OSError("NetCDF: HDF error: 1995.nc")

    lazy = points.chunk(obs=50)
    values = lazy["thetao"].data
    bad = dask.array.from_delayed(dask.delayed(damaged)(), shape=(50,), dtype=values.dtype)
    lazy["thetao"] = (
        "obs", dask.array.concatenate([values[:100], bad, values[150:]]), lazy["thetao"].attrs,
    )  # fmt: skip
    place = tmp_path / "a.zarr"
    with pytest.raises(InputError, match=r"cannot be read\n.*HDF error: 1995\.nc"):
        xdeepda.assimilate(ocean, lazy, model=tiny_model, store=place)
    assert not place.exists()
