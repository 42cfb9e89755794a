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
from xdeepda.observations.records import COMPARED


@pytest.fixture(scope="module")
def bench() -> SimpleNamespace:
    """What the benchmarks share, and their sparse network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
        common, networks, withheld = (
            import_module(f"benchmarks.{n}") for n in ("common", "networks", "withheld")
        )
    sparse = networks.GridNetwork("sparse")
    return SimpleNamespace(**vars(common), sparse=sparse, withheld=withheld)


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


def test_withheld_casts_give_the_numbers_of_the_benchmark(bench, run, data_folder):
    """XBT casts of January and February 2005, two draws, anomalies from Levitus."""
    control = bench.years(run, 13, 20)
    climatology = bench.withheld.levitus(str(data_folder), run)
    obs = xdeepda.open_observations(data_folder / "observations/wod/XBTS2005")
    obs = obs.deepda.quality_control(like=control)
    model = xdeepda.baselines.persistence(control, var="thetao", cycle="month")
    found = obs.deepda.withheld_experiment(
        control, {"persistence": model}, fraction=0.2, repeats=2, scores_by=(), baselines=None,
        climatology=climatology,
    )  # fmt: skip
    folds = [obs.deepda.withhold(0.2, seed=n) for n in (0, 1)]
    theirs = bench.withheld.run_system(control, folds, model, climatology)
    # the benchmark also takes data whose own cell is land, from the sea beside it
    held = np.concatenate([t["fate"].values == COMPARED for t in theirs.tables["withheld"]])
    every = np.concatenate([bench.withheld.comparable(t) for t in theirs.tables["withheld"]])
    residual = theirs.column("withheld", "residual")[held[every]].astype(float)
    assert found["count"].item() == residual.size > 0.98 * every.sum()
    np.testing.assert_allclose(found["rmse"].item(), np.sqrt((residual**2).mean()), rtol=1e-6)
    np.testing.assert_allclose(found["bias"].item(), -residual.mean(), rtol=1e-5)
