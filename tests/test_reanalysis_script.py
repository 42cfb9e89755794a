"""The reanalysis by one command: its own steps exactly, and all of it on look-alike archives."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import xarray as xr

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script as a module; it finds its neighbour."""
    sys.path.insert(0, str(EXAMPLES))
    spec = importlib.util.spec_from_file_location(
        "reanalysis", EXAMPLES / "reanalysis_1981_2020.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reanalysis"] = module  # the workers of a cluster look it up
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(EXAMPLES))


@pytest.fixture
def grid() -> xr.Dataset:
    """A grid of 3 degrees with names of POP; a corner has no coordinates, as on its land."""
    lat, lon = np.meshgrid(np.arange(-88.5, 90, 3), np.arange(1.5, 360, 3), indexing="ij")
    lat[:2, :2] = np.nan
    area = np.cos(np.deg2rad(np.nan_to_num(lat)))
    dims = ("nlat", "nlon")
    return xr.Dataset(coords={"TLAT": (dims, lat), "TLONG": (dims, lon), "TAREA": (dims, area)})


def field_of(values: np.ndarray) -> xr.DataArray:
    """One record on two levels."""
    field = xr.DataArray(np.stack([values, values])[None], dims=("time", "z_t", "nlat", "nlon"))
    return field.chunk(time=1)


def test_averages_are_by_area_and_exact(script: ModuleType, grid: xr.Dataset) -> None:
    north = np.broadcast_to(np.arange(-88.5, 90, 3)[:, None], grid["TLAT"].shape)
    mean = script.averaged(field_of(north), grid, 12.0)
    assert mean.dims == ("time", "z_t", "lat", "lon")
    rows = np.arange(-88.5, 90, 3).reshape(15, 4)
    weights = np.cos(np.deg2rad(rows))
    expected = (rows * weights).sum(axis=1) / weights.sum(axis=1)
    # the first column holds the corner without coordinates
    np.testing.assert_allclose(mean[0, 1, :, 1], expected, rtol=1e-12)
    np.testing.assert_allclose(mean["lat"], np.arange(-84, 90, 12))


def test_cells_are_sea_where_most_of_them_is(script: ModuleType, grid: xr.Dataset) -> None:
    values = np.full(grid["TLAT"].shape, 4.0)
    values[28:30, :4] = np.nan  # half of a cell at the equator, and none of its neighbours
    values[28:30, 4:8] = np.nan
    values[30, 4] = np.nan  # a little more than half
    mean = script.averaged(field_of(values), grid, 12.0)[0, 0]
    assert float(mean.sel(lat=0, lon=6)) == 4.0
    assert bool(mean.sel(lat=0, lon=18).isnull())
    assert bool(mean.sel(lat=0, lon=30) == 4.0)


def test_depths_of_pop_are_in_centimetres(script: ModuleType) -> None:
    depth = ("z_t", [500.0, 95000.0, 250000.0], {"units": "centimeters"})
    field = xr.DataArray(np.ones(3), dims="z_t", coords={"z_t": depth})
    assert script.above(field, 1000.0).sizes["z_t"] == 2
    field["z_t"].attrs["units"] = "m"
    assert script.above(field, 1000.0).sizes["z_t"] == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "--observations"),
        (["--observations", "x", "--resolution", "7"], "--resolution"),
        (["--rehearse", "--cycle", "week"], "--cycle"),
    ],
)
def test_refuses_before_anything_is_done(
    script: ModuleType, options: list[str], told: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        script.main(options)
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_rehearsal(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, work = tmp_path / "reanalysis.zarr", tmp_path / "reanalysis.work"
    script.main(["--rehearse", "--store", str(store), "--streams", "2"])
    told = capsys.readouterr().out

    # floats are in both archives; one of the copies is found, in both years
    for year in (1981, 1982):
        line = next(line for line in told.splitlines() if line.startswith(f"{year}:"))
        values, bad = (int(n) for n in re.findall(r"(\d+) (?:values|of them)", line))
        assert 0.03 * values < bad < 0.5 * values

    analysis = xr.open_zarr(store)
    assert analysis.sizes["time"] == 24
    assert {"TEMP", "TEMP_spread", "TEMP_obs_count"} <= set(analysis.data_vars)
    assert np.isfinite(analysis["TEMP"]).any(["z_t", "lat", "lon"]).all()
    scores = xr.load_dataset(work / "verification.nc")
    assert float(scores["rmse"].sel(depth=10.0, method="nearest")) < 1.5
    assert (scores["count"] > 0).all()
    assert (work / "reanalysis.png").stat().st_size > 20_000

    # the same call again finds everything done
    kept = {path: path.stat().st_mtime_ns for path in work.glob("*.*")}
    script.main(["--rehearse", "--store", str(store), "--streams", "2"])
    same = {path for path, time in kept.items() if path.stat().st_mtime_ns == time}
    assert {path.name for path in same} >= {"model.safetensors", "cells-1981.nc", "cells-1982.nc"}
    xr.testing.assert_identical(xr.open_zarr(store), analysis)
