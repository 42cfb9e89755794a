"""Lazy tables with a store: kept on disk, the same bits, memory that does not grow."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import StoreError
from xdeepda.observations.stored import StoredCells


def same(stored: xr.Dataset, held: xr.Dataset) -> None:
    xr.testing.assert_identical(*(x.load().assign_attrs(history="") for x in (stored, held)))


@pytest.fixture
def many_ranges(monkeypatch):
    """Few rows at a time."""
    from xdeepda.observations import lazy

    monkeypatch.setattr(lazy.bin_lazily, "__kwdefaults__",
                        {**lazy.bin_lazily.__kwdefaults__, "rows": 40})  # fmt: skip
    monkeypatch.setattr(lazy, "_CHUNK", 1)


def test_the_same_bits_as_in_memory(ocean, points, tiny_model, tmp_path, many_ranges):
    order = np.argsort(points["time"].values, kind="stable")
    for table in (points, points.isel(obs=order)):
        lazy = table.chunk(obs=30)
        place = tmp_path / f"{id(table)}.zarr"
        held = xdeepda.assimilate(ocean, table, model=tiny_model)
        same(xdeepda.assimilate(ocean, lazy, model=tiny_model, store=place), held)
        # the same call, the table in memory
        same(xdeepda.assimilate(ocean, table, model=tiny_model, store=place), held)


def test_several_sources(ocean, points, cells, pair_model, tmp_path, many_ranges):
    """Stored and held ones are merged cycle by cycle, with variables of each."""
    salt = points.rename(thetao="so", thetao_error="so_error").assign(
        so=lambda ds: (35 + 0 * ds["so"]).assign_attrs(ocean["so"].attrs)
    )
    fahrenheit = points.assign(
        thetao=(points["thetao"] * 1.8 + 32).assign_attrs(points["thetao"].attrs, units="degF"),
        thetao_error=points["thetao_error"] * 1.8,
    )
    sources = [points, cells, salt, fahrenheit.isel(obs=slice(0, 150))]
    lazy = [points.chunk(obs=30), cells, salt.chunk(obs=60), sources[3].chunk(obs=70)]
    held = xdeepda.assimilate(ocean, sources, model=pair_model)
    found = xdeepda.assimilate(ocean, lazy, model=pair_model, store=tmp_path / "a.zarr")
    same(found, held)
    assert int(held["so_obs_count"].sum()) > 0


def test_nothing_is_left_beside_the_store(ocean, points, tiny_model, tmp_path):
    xdeepda.assimilate(ocean, points.chunk(obs=30), model=tiny_model, store=tmp_path / "a.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_stored_cells_are_cells(tmp_path, points, truth, tiny_model):
    from xdeepda.observations.sources import superobservations
    from xdeepda.observations.target import target_of

    target = target_of(truth, "thetao", xdeepda.errors.Problems("test"))
    cells, _, _ = superobservations(points, target, tiny_model.cycle)
    stored = StoredCells(tmp_path, cells.variables, cells.units, cells.grid, cells.cycle_name)
    numbers = np.unique(cells.cycle)
    middle = int(numbers[numbers.size // 2])
    rows = int(np.searchsorted(cells.cycle, middle))
    for part in (slice(0, rows), slice(rows, None)):
        stored.append(
            type(cells)(*(getattr(cells, n)[part] for n in ("cycle", "cell", "value", "error",
                        "count")), cells.variables, cells.units, cells.grid, cells.cycle_name)
        )  # fmt: skip
    assert (len(stored), stored.first, stored.last) == (len(cells), cells.first, cells.last)
    for number in range(int(numbers[0]) - 1, int(numbers[-1]) + 2):
        assert stored.after(number) == cells.after(number) == int((cells.cycle > number).sum())
        for a, b in zip(stored.at(number), cells.at(number), strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype


def test_a_disk_that_is_full_of_observations(ocean, points, tiny_model, tmp_path, monkeypatch):
    import tempfile

    class Full:
        def __init__(self, dir):
            self.dir = dir

        def seek(self, *_):
            return 0

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(StoreError, match="superobservations cannot be kept in") as caught:
        xdeepda.assimilate(ocean, points.chunk(obs=30), model=tiny_model, store=tmp_path / "a.zarr")
    assert caught.value.errno == errno.ENOSPC
