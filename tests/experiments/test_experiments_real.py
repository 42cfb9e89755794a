"""Experiments on a real model run and on real observations, against the benchmarks' own sums."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import InputError


@pytest.fixture(scope="module")
def bench() -> SimpleNamespace:
    """What the benchmarks share, and their sparse network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
        common, networks = (import_module(f"benchmarks.{n}") for n in ("common", "networks"))
    return SimpleNamespace(**vars(common), sparse=networks.GridNetwork("sparse"))


@pytest.fixture(scope="module")
def run(bench, data_folder) -> xr.Dataset:
    """MITgcm run A, the upper five levels."""
    ds = bench.open_run(data_folder / "models" / "mitgcm_a.nc")
    return ds[["thetao"]].isel(depth=slice(0, 5)).load()


def test_osse_gives_the_numbers_of_the_benchmark(bench, run):
    control, truth = bench.years(run, 13, 20), bench.years(run, 55, 56)
    network = bench.sparse
    found = truth.deepda.osse(
        network, control=control, var="thetao", baselines=["persistence"], cycle="month", seed=7
    )
    model = xdeepda.baselines.persistence(control, var="thetao", cycle="month")
    cells = xdeepda.observe(truth, network, var="thetao", cycle="month", seed=7)
    analysis = xdeepda.assimilate(control, cells, model=model, seed=7)
    later = slice(12, None)
    for name, field in (("rmse", "thetao"), ("rmse_background", "thetao_background")):
        error = (analysis[field] - truth["thetao"]).isel(time=later)
        expected = bench.rmse_by_depth(error)
        np.testing.assert_allclose(found[name].sel(system="persistence"), expected, rtol=1e-3)


def test_years_of_the_control_run_are_refused(bench, run):
    control, truth = bench.years(run, 13, 54), bench.years(run, 50, 57)
    with pytest.raises(InputError, match="60 from 0050-01"):
        truth.deepda.osse(bench.sparse, control=control, var="thetao", cycle="month")


def test_another_run_of_the_same_years_is_a_truth(bench, run, data_folder):
    other = bench.open_run(data_folder / "models" / "mitgcm_b.nc")[["thetao"]]
    truth = bench.years(other.isel(depth=slice(0, 5)), 20, 20).load()
    control = bench.years(run, 13, 20)
    found = truth.deepda.osse(
        bench.sparse, control=control, var="thetao", cycle="month", spinup=0,
        baselines=["climatology", "persistence"], by=(), statistics="rmse",
    )  # fmt: skip
    assert found["rmse"].sel(system="persistence") < found["rmse"].sel(system="climatology")
