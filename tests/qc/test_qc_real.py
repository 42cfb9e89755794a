"""Quality control of real observations: agreement with the archives' flags, as rates.

The bounds leave a little room beside what was measured (docs/quality.md).
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.observations.flags import rejected


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The benchmark that measures the rates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
        from benchmarks import qc
    return qc


@pytest.fixture(scope="module")
def xbts(data_folder) -> xr.Dataset:
    return xdeepda.open_observations(data_folder / "observations/wod/XBTS2005")


def test_agreement_with_the_hand_made_flags_of_quota(bench, data_folder):
    obs = xdeepda.open_observations(data_folder / "observations" / bench.QUOTA)
    found = bench.quota(obs)
    fills = found["levels, fills of 99.9"]
    assert (fills.bad, fills.hits) == (38, 38)
    levels = found["levels, flagged by hand"]
    assert levels.bad == 116
    assert levels.hit_rate > 0.05  # smooth casts, wrong for their region: not for these rules
    assert levels.false_alarm_rate < 0.002
    casts = found["casts, flagged by hand"]
    assert (casts.bad, casts.good) == (6, 144)
    assert casts.hits >= 1
    assert casts.alarms <= 1


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("XBT, January 2005 (WOD)", 0.001), ("float, subpolar Atlantic (Argo)", 0.001),
        ("bottles, 7 August 1934 (WOD)", 0.025), ("bottles, section A03 (CCHDO)", 0.02),
        ("MBT, Mediterranean 1951 (CORA)", 0.0005),
    ],
)  # fmt: skip
def test_good_data_pass(bench, data_folder, name, most):
    """Of the bottles some are rejected with good reason: two casts of A03 are dated wrong."""
    obs = xdeepda.open_observations(data_folder / "observations" / bench.GOOD[name])
    found, _ = bench.archive(obs)
    assert found.good > 1000
    assert found.false_alarm_rate <= most


def test_a_float_under_ice_has_two_wrong_positions(data_folder):
    """Cycles 16 and 40 lie 150 km and more from those of the same day; nothing says so."""
    obs = xdeepda.open_observations(data_folder / "observations/argo/7900364_prof.nc")
    checked = xdeepda.quality_control(obs)
    told = np.array(["QC speed" in t for t in checked["reason"].values])
    assert set(checked["profile"].values[told]) == {"016", "040"}
    whole = np.isin(checked["profile"].values, ["016", "040"])
    assert rejected(checked["qc"].values)[whole].all()


def test_planted_errors_are_caught(bench, xbts):
    found = bench.planted(xbts, seed=0)
    for name, least in {
        "value 99.9": 1.0, "value 0.0 in the tropics": 1.0, "+10 K at one level": 0.95,
        "-10 K at one level": 0.95, "+5 K at one level": 0.85, "-5 K at one level": 0.85,
        "latitude + 100 degrees": 0.95, "longitude + 20 degrees": 0.85,
    }.items():  # fmt: skip
        assert found[name].bad > 10
        assert found[name].hit_rate >= least, name
        assert found[name].false_alarm_rate < 0.001, name


def test_a_coarse_model_calls_no_real_cast_land(xbts, data_folder):
    """A grid of 4 degrees, without the Mediterranean and the Red Sea, in which casts lie."""
    path = data_folder / "models/mitgcm_a.nc"
    with xr.open_dataset(path, decode_times=False) as run:
        checked = xdeepda.quality_control(xbts, run[["thetao"]].isel(time=slice(0, 3)))
    assert not [t for t in checked["reason"].values if t.startswith(("QC land", "QC bottom"))]
    inland = xbts.assign_coords(
        latitude=("obs", np.full(xbts.sizes["obs"], 55.0)),
        longitude=("obs", np.full(xbts.sizes["obs"], 90.0)),
    )
    with xr.open_dataset(path, decode_times=False) as run:
        checked = xdeepda.quality_control(inland, run[["thetao"]].isel(time=slice(0, 3)))
    told = [t.startswith("QC land") for t in checked["reason"].values]
    assert sum(told) == int((~rejected(xbts["qc"].values)).sum())


def test_what_is_flagged_is_reported(xbts):
    report = xdeepda.quality_report(xbts.deepda.quality_control())
    assert report.by_rule["supplied"] == 2506
    assert sum(report.by_rule.values()) == xbts.sizes["obs"]
    assert "2005" in repr(report)
