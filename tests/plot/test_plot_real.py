"""Pictures of real runs, and what drawing loads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from test_maps import cells_of, values_of


@pytest.fixture(scope="module")
def run(data_folder) -> xr.Dataset:
    """A year of the global run."""
    coder = xr.coders.CFDatetimeCoder(use_cftime=True)
    with xr.open_dataset(data_folder / "models" / "mitgcm_a.nc", decode_times=coder) as ds:
        return ds.isel(time=slice(0, 12)).load()


def test_a_global_run(run):
    ax = run.deepda.plot.map("thetao", depth=0, time="mean")
    field = run["thetao"].isel(depth=0).mean("time")
    np.testing.assert_allclose(values_of(ax), field, rtol=1e-5)
    assert np.isfinite(values_of(ax)).sum() == 2315  # wet cells at the surface
    assert ax.get_title().startswith("5 m (nearest to 0 m), mean of ")


def test_a_region_across_the_date_line(run):
    lon = (run["lon"] + 180) % 360 - 180
    moved = run.assign_coords(lon=lon.assign_attrs(run["lon"].attrs))
    region = moved.sel(lat=slice(-20, 20)).isel(lon=np.flatnonzero((lon > 140) | (lon < -120)))
    ax = region.deepda.plot.map("so")
    assert ax.get_xlim() == (140, 240)
    assert cells_of(ax).get_cmap().name != "viridis" or "cmocean" not in sys.modules
    expected = run["so"].isel(time=-1, depth=0).sel(lat=slice(-20, 20), lon=slice(140, 240))
    np.testing.assert_allclose(values_of(ax), expected)


def test_a_section_of_years_that_are_no_dates(data_folder):
    path = data_folder / "models" / "hadcm3l_nino4_control.nc"
    with xr.open_dataset(path, decode_times=False) as ds:
        part = ds.isel(time=slice(0, 20)).load()
    ax = part.deepda.plot.section()
    np.testing.assert_allclose(np.diff(cells_of(ax).get_coordinates()[0, :, 0]), 2.5, rtol=1e-3)
    assert ax.get_ylim()[1] == 0
    assert part.deepda.plot.hovmoller().get_ylim()[1] > 19
    with pytest.raises(ValueError, match="holds no times"):
        part.deepda.plot.section(time="0003")


def test_drawing_loads_no_torch_and_the_room_no_matplotlib():
    code = (
        "import sys, matplotlib; matplotlib.use('Agg'); import xdeepda\n"
        "ds = xdeepda.datasets.idealised_ocean(1, resolution=15.0, levels=3)\n"
        "ds.deepda.plot.map('thetao'); print('torch' in sys.modules)"
    )
    room = "import sys, xdeepda.plot; print({'matplotlib', 'torch', 'cmocean'} & {*sys.modules})"
    for text, expected in ((code, "False"), (room, "set()")):
        run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
        assert run.stdout.strip() == expected, run.stderr
