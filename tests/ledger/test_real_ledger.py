"""Real floats and a real model: every datum of the files is accounted for."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda


@pytest.fixture(scope="module")
def control(data_folder) -> xr.Dataset:
    path = data_folder / "models" / "mitgcm_a.nc"
    if not path.is_file():
        pytest.skip(f"no file {path}")
    with xr.open_dataset(path, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True)) as ds:
        return ds[["thetao"]].isel(time=slice(0, 120), depth=slice(0, 16, 3)).load()


def test_floats_in_a_real_model(data_folder, control, tmp_path):
    files = [data_folder / "observations" / "argo" / f"{n}_prof.nc" for n in (2900313, 6900388)]
    if not all(f.is_file() for f in files):
        pytest.skip("no Argo files")
    obs = xdeepda.open_observations([str(f) for f in files])
    model = xdeepda.baselines.oi(control, var="thetao", cycle="month")
    path = tmp_path / "ledger.nc"
    analysis = control.deepda.assimilate(obs, model=model, ledger=path, checks="all")
    ledger = analysis.deepda.departures()
    assert ledger.sizes["obs"] == obs.sizes["obs"]
    for name in ("value", "depth", "latitude", "longitude", "qc"):
        np.testing.assert_array_equal(ledger[name].values, obs[name].values)
    meanings = ledger["fate"].attrs["flag_meanings"].split()
    counts = dict(zip(meanings, np.bincount(ledger["fate"], minlength=len(meanings)), strict=True))
    assert sum(counts.values()) == obs.sizes["obs"]
    assert counts["used"] == int(analysis["thetao_obs_count"].sum()) > 1000
    flagged = np.isin(obs["qc"], [3, 4]) & np.isfinite(obs["value"])
    assert counts["flagged_as_bad"] == int(flagged.sum())
    salinity = (obs["variable"] != "thetao") & np.isfinite(obs["value"]) & ~flagged
    assert counts["of_a_variable_that_the_model_does_not_have"] == int(salinity.sum())
    used = ledger.isel(obs=ledger["fate"].values == 0)
    rms = {n: float(np.sqrt((used[n] ** 2).mean())) for n in ("innovation", "residual")}
    assert rms["residual"] < rms["innovation"]
    again = analysis.deepda.departures(obs)
    np.testing.assert_allclose(again["residual"], ledger["residual"], atol=1e-6)
    told = xdeepda.explain(ledger, int(np.flatnonzero(ledger["fate"] == 0)[100]))
    assert "Alone it would have a gain" in told
