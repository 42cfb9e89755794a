"""Runs and observations that are larger than memory are read in parts, and damage is named."""

from __future__ import annotations

import threading
import time

import dask
import dask.array
import numpy as np
import pytest
import xarray as xr
from test_store import same

import xdeepda
from xdeepda import source
from xdeepda.bridge import tensors_of
from xdeepda.errors import InputError
from xdeepda.observations import gridded
from xdeepda.observations.stored import StoredCells
from xdeepda.production.observed import Ahead
from xdeepda.training import simulation
from xdeepda.training.simulation import TruthReader


class counting:
    """Counts the bytes of each computation of dask."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __enter__(self) -> counting:
        def get(graph, keys, **kwargs):
            results = dask.get(graph, keys, **kwargs)
            flat = dask.core.flatten([results], container=(list, tuple))
            self.sizes.append(sum(x.nbytes for x in flat if isinstance(x, np.ndarray)))
            return results

        self.config = dask.config.set(scheduler=get)
        self.config.__enter__()
        return self

    def __exit__(self, *_) -> None:
        self.config.__exit__(None, None, None)


# ---- control runs


def test_a_training_run_is_read_in_blocks(ocean, network, tiny, monkeypatch):
    """To the weights that a run in memory gives."""
    one = ocean["thetao"][0].nbytes
    monkeypatch.setattr(source, "BLOCK_BYTES", 15 * one)
    held = xdeepda.train(ocean, network, var="thetao", **tiny)
    with counting() as counted:
        found = xdeepda.train(ocean.chunk(time=5), network, var="thetao", **tiny)
    fields = [size for size in counted.sizes if size >= one]
    assert len(fields) > 20
    assert max(fields) <= 15 * one
    for name, weights in held.weights.items():
        np.testing.assert_array_equal(found.weights[name], weights)


@pytest.fixture
def reader(ocean, tiny_model) -> TruthReader:
    """Of a run of dask arrays."""
    run = source.RunSource(ocean[["thetao"]].chunk(time=5), ["thetao"], tiny_model.cycle)
    return TruthReader(run, tensors_of(tiny_model))


def test_the_next_segments_are_read_ahead(reader, monkeypatch):
    loaded, load = [], TruthReader._load

    def loading(self, start, stop):
        loaded.append((start, threading.current_thread() is threading.main_thread()))
        return load(self, start, stop)

    plain = {p: load(reader, p, p + 4) for p in range(0, 120, 4)}
    monkeypatch.setattr(TruthReader, "_load", loading)
    # two sequences, of which one begins anew; and the end of the run
    for position in (0, 100, 4, 104, 8, 108, 40, 112, 44, 116):
        assert reader.read(position, position + 4).equal(plain[position])
    assert [start for start, main in loaded if main] == [0, 100, 4, 104, 40, 44]
    reader._pool.shutdown()
    assert {start for start, main in loaded if not main} == {8, 12, 108, 112, 116, 48}


def test_what_is_read_ahead_is_bounded(reader, monkeypatch):
    monkeypatch.setattr(simulation, "AHEAD_BYTES", 2 * 4 * 4 * int(np.prod(reader.source.shape)))
    for position in (0, 20, 40, 60, 4, 24, 44, 64):
        reader.read(position, position + 4)
        assert len(reader._ahead) <= 2
    assert {start for start, _ in reader._ahead} == {48, 68}
    monkeypatch.setattr(simulation, "AHEAD_BYTES", 1)
    reader._ahead.clear()
    reader.read(8, 12)
    assert not reader._ahead


def test_an_assimilation_reads_its_initial_states_alone(ocean, months, tiny_model):
    with counting() as counted:
        found = xdeepda.assimilate(
            ocean.chunk(time=1), months.isel(time=slice(0, 3)), model=tiny_model, members=4
        )
    one = ocean["thetao"][0].nbytes
    # besides times and the like
    assert counted.sizes[-4:] == 4 * [one], counted.sizes
    assert sum(counted.sizes) < ocean["thetao"].nbytes / 10
    held = xdeepda.assimilate(
        ocean, months.isel(time=slice(0, 3)), model=tiny_model, members=4
    )  # fmt: skip
    xr.testing.assert_equal(found, held)


def test_labels_that_dask_holds_are_written(ocean, months, tiny_model, tmp_path):
    """As those of open_mfdataset are, bounds among them."""
    mine = ocean.assign_coords(basin=("lon", np.array(["west", "east"] * 12)))
    months = months.isel(time=slice(0, 3))
    held = xdeepda.assimilate(mine, months, model=tiny_model)
    lazy = mine.chunk(time=40)
    found = xdeepda.assimilate(lazy, months, model=tiny_model, store=tmp_path / "a.zarr")
    same(found, held)
    assert lazy["basin"].chunks is not None


# ---- gridded observations


@pytest.fixture
def little_memory(monkeypatch) -> None:
    """Fields of any size are large."""
    monkeypatch.setattr(gridded, "_HELD", 0)
    monkeypatch.setattr(gridded, "_RANGE", 5000)


@pytest.fixture
def kept(monkeypatch) -> list[int]:
    """Superobservations of each part that went to the disk."""
    sizes, append = [], StoredCells.append

    def appending(self, piece):
        sizes.append(len(piece))
        append(self, piece)

    monkeypatch.setattr(StoredCells, "append", appending)
    return sizes


@pytest.mark.parametrize("which", ["one", "several samples", "with points", "two variables"])
def test_gridded_ones_wait_on_the_disk(
    which, ocean, months, points, tiny_model, pair_model, network, tmp_path, little_memory, kept
):
    obs, model = months, tiny_model
    if which == "several samples":
        half = months["time"].values + (months["time"].values[1] - months["time"].values[0]) / 4
        obs = xr.concat([months, months.assign_coords(time=half)], "time").sortby("time")
    elif which == "with points":
        obs = [months, points]
    elif which == "two variables":
        obs = xdeepda.observe(
            ocean.isel(time=slice(90, 110)), network, var=["thetao", "so"], seed=1
        )
        model = pair_model
    held = xdeepda.assimilate(ocean, obs, model=model)
    assert not kept
    found = xdeepda.assimilate(ocean, obs, model=model, store=tmp_path / "a.zarr")
    assert len(kept) > 3
    same(found, held)


def test_fields_of_dask_are_read_in_ranges(
    ocean, months, tiny_model, tmp_path, little_memory, kept
):
    one = months["thetao"][0].nbytes
    with counting() as counted:
        xdeepda.assimilate(ocean, months.chunk(time=1), model=tiny_model, store=tmp_path / "a.zarr")
    # 5000 values are 6 months
    assert 6 * one in counted.sizes
    assert max(counted.sizes) <= 6 * max(one, months["thetao_error"][0].nbytes)


def test_without_an_order_in_time_they_are_held(
    ocean, months, tiny_model, tmp_path, little_memory, kept
):
    mixed = months.isel(time=np.random.default_rng(0).permutation(40))
    held = xdeepda.assimilate(ocean, months, model=tiny_model)
    same(xdeepda.assimilate(ocean, mixed, model=tiny_model, store=tmp_path / "a.zarr"), held)
    assert not kept


def test_all_problems_of_large_fields_are_told(ocean, months, tiny_model, tmp_path, little_memory):
    wrong = months.assign(thetao_error=-months["thetao_error"])
    with pytest.raises(InputError, match="thetao_error is not positive everywhere"):
        xdeepda.assimilate(ocean, wrong, model=tiny_model, store=tmp_path / "a.zarr")
    nothing = months.assign(thetao=months["thetao"] * np.nan)
    with pytest.raises(InputError, match="no value in the sea"):
        xdeepda.assimilate(ocean, nothing, model=tiny_model, store=tmp_path / "a.zarr")


# ---- the next cycle


def test_the_next_cycle_is_read_while_one_is_analysed():
    asked, gate = [], threading.Event()

    class Slow:
        def at(self, index):
            asked.append(index)
            if index == 2:
                gate.wait(5)
            return (np.array([index]),) * 4

    ahead = Ahead(Slow(), [1, 2, 3, 4, 5])
    assert ahead.at(1)[0] == 1
    until = time.monotonic() + 5
    while asked != [1, 2] and time.monotonic() < until:
        time.sleep(0.001)
    assert asked == [1, 2]
    gate.set()
    for index in (1, 2, 2, 3, 2, 4, 5, 5):
        assert ahead.at(index)[0] == index
    ahead.close()
    assert asked == [1, 2, 3, 4, 5]


def test_what_cannot_be_read_ahead_is_told_in_its_turn():
    class Broken:
        def at(self, index):
            if index == 2:
                raise OSError("gone")
            return (np.array([index]),) * 4

    ahead = Ahead(Broken(), [1, 2, 3])
    assert ahead.at(1)[0] == 1
    with pytest.raises(OSError, match="gone"):
        ahead.at(2)
    ahead.close()


# ---- files that are damaged


def damage(path) -> None:
    """Overwrite some of the middle of a file, where there are values."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(bytes(content))


ENCODING = {"zlib": True, "fletcher32": True}


@pytest.fixture
def casts(ocean, tmp_path) -> list:
    """Files of points, one for each of three months."""
    rng, paths = np.random.default_rng(2), []
    where = np.argwhere(np.isfinite(ocean["thetao"][0].values))
    for month in (80, 81, 82):
        k, j, i = where[rng.choice(len(where), 20_000)].T
        columns = {
            "thetao": ("obs", rng.normal(8, 3, k.size), {"units": "degC"}),
            "thetao_error": ("obs", rng.uniform(0.5, 1, k.size), {"units": "K"}),
            "depth": ("obs", ocean["depth"].values[k], {"units": "m", "positive": "down"}),
            "lat": ("obs", ocean["lat"].values[j], {"units": "degrees_north"}),
            "lon": ("obs", ocean["lon"].values[i], {"units": "degrees_east"}),
            "time": ("obs", np.repeat(ocean["time"].values[month], k.size)),
        }
        table = xr.Dataset(columns).set_coords(["time", "depth", "lat", "lon"])
        paths.append(tmp_path / f"casts_{month}.nc")
        table.to_netcdf(paths[-1], encoding=dict.fromkeys(table.variables, ENCODING))
    return paths


def opened(paths, dim) -> xr.Dataset:
    coder = xr.coders.CFDatetimeCoder(use_cftime=True)
    return xr.open_mfdataset(paths, combine="nested", concat_dim=dim, decode_times=coder)


def test_a_damaged_file_of_points_is_named(ocean, casts, tiny_model, tmp_path):
    damage(casts[1])
    with opened(casts, "obs") as obs, pytest.raises(InputError) as caught:
        xdeepda.assimilate(ocean, obs, model=tiny_model, store=tmp_path / "a.zarr")
    text = str(caught.value)
    for part in (
        "rows 20000 to 39999, of the months around 0007-10-", " cannot be read", "casts_81.nc: ",
        "repair the file and call again",
    ):  # fmt: skip
        assert part in text, text
    assert "casts_80.nc" not in text
    assert not (tmp_path / "a.zarr").exists()


def test_a_damaged_file_of_fields_is_named(ocean, months, tiny_model, network, tiny, tmp_path):
    """Of observations, and of a run to train on."""
    paths = []
    for n in range(3):
        part = ocean[["thetao"]].isel(time=slice(40 * n, 40 * n + 40))
        paths.append(tmp_path / f"run_{n}.nc")
        part.to_netcdf(paths[-1], encoding={"thetao": {**ENCODING, "chunksizes": (1, 3, 10, 24)}})
    damage(paths[1])
    with opened(paths, "time") as run:
        with pytest.raises(
            InputError, match=r"gridded 'thetao' from 000\d-.* cannot be read\n"
        ) as one:
            xdeepda.assimilate(ocean, run, model=tiny_model)
        with pytest.raises(InputError, match=r"the run from 000\d-.* cannot be read\n") as two:
            xdeepda.train(run, network, var="thetao", **tiny)
    for caught in (one, two):
        assert str(paths[1]) in str(caught.value)


def test_what_is_done_is_kept_until_the_file_is_repaired(
    ocean, casts, tiny_model, tmp_path, hasty, monkeypatch
):
    from test_store import interrupt, steps_of

    sound = casts[1].read_bytes()
    with opened(casts, "obs") as obs:
        held = xdeepda.assimilate(ocean, obs, model=tiny_model).load()
        interrupt(ocean, obs, tiny_model, tmp_path / "a.zarr", monkeypatch, 2)
    damage(casts[1])
    with opened(casts, "obs") as obs, pytest.raises(InputError, match=r"casts_81\.nc"):
        xdeepda.assimilate(ocean, obs, model=tiny_model, store=tmp_path / "a.zarr")
    casts[1].write_bytes(sound)
    taken = steps_of(monkeypatch)
    with opened(casts, "obs") as obs:
        same(xdeepda.assimilate(ocean, obs, model=tiny_model, store=tmp_path / "a.zarr"), held)
    assert len(taken) <= 3
