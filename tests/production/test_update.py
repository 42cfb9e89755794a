"""A stored analysis that is gone on with is, to the bit, that of one run over the whole period."""

from __future__ import annotations

import shutil

import pytest
import xarray as xr

import xdeepda
from xdeepda.production.restart import FOLDER


def same(found: xr.Dataset, held: xr.Dataset) -> None:
    """Identical to the bit, in labels, order and dtype, apart from the history."""
    a, b = (x.load().assign_attrs(history="") for x in (found, held))
    xr.testing.assert_identical(a, b)
    assert list(a.data_vars) == list(b.data_vars)
    for name in b.variables:
        assert a[name].dtype == b[name].dtype, name
        assert a[name].dims == b[name].dims, name


@pytest.fixture(scope="module")
def model(ocean) -> xdeepda.Model:
    """Carries nothing besides mean and variance."""
    return xdeepda.baselines.persistence(ocean, var="thetao", cycle="month")


@pytest.fixture(scope="module")
def held(ocean, months, model) -> xr.Dataset:
    return xdeepda.assimilate(ocean, months, model=model)


@pytest.fixture(scope="module")
def begun(ocean, months, model, tmp_path_factory):
    """Store of the first 18 months, to be copied."""
    place = tmp_path_factory.mktemp("begun") / "a.zarr"
    with pytest.MonkeyPatch.context() as patched:
        from xdeepda.production import store

        patched.setattr(store, "CHUNK_CYCLES", 4)
        xdeepda.assimilate(ocean, months.isel(time=slice(0, 18)), model=model, store=place)
    return place


@pytest.fixture
def place(begun, tmp_path):
    """Store of the first 18 months; months 16 to 17 are in a chunk that is half full."""
    shutil.copytree(begun, tmp_path / "a.zarr")
    return tmp_path / "a.zarr"


# ---- the same as one long run


def test_the_same_as_one_run(months, model, held, place, hasty):
    analysis = xr.open_zarr(place)
    found = analysis.deepda.update(months.isel(time=slice(18, 29)), model=model)
    assert found["thetao"].chunks is not None
    same(found, held.isel(time=slice(0, 29)))
    # and again, by the path, from what was returned
    found = xdeepda.update(str(place), months.isel(time=slice(29, 30)), model=model)
    same(found, held.isel(time=slice(0, 30)))
    found = xdeepda.update(found, months.isel(time=slice(30, 40)), model=model)
    same(found, held)
    same(xr.open_zarr(place)[list(held.data_vars)], held)
    same(xr.open_zarr(place, consolidated=False)[list(held.data_vars)], held)
    lines = found.attrs["history"].splitlines()
    assert [line.split(": ")[1].split("(")[0] for line in lines[:4]] == ["update"] * 3 + [
        "assimilate"
    ]
    left = sorted(p.name for p in (place / FOLDER).iterdir())
    assert left == ["last.safetensors", "lock", "request.json"]
