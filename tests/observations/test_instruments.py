"""Errors of instruments: known kinds, depth errors times the gradient of the own profile."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdeepda.observations import as_table, assumed_error, default_error, measurement_error
from xdeepda.observations.instruments import INSTRUMENTS, gradient, instrument_of
from xdeepda.observations.readers import open_observations


def table(depth, value, *, instrument="XBT", profile="1", qc=0, unit="degC", var="thetao"):
    """Casts of one position."""
    frame = pd.DataFrame(
        {"value": value, "depth": depth, "instrument": instrument, "profile": profile, "qc": qc,
         "reason": "", "time": pd.Timestamp("2005-01-02"), "lat": 5.0, "lon": 330.0}
    )  # fmt: skip
    return as_table(frame, var=var, units=unit)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("XBT: T7 (SIPPICAN)", "XBT"), ("XCTD", "XCTD"), ("AXBT", "XBT"), ("MBT", "MBT"),
        ("micro BT", "MBT"), ("CTD: TYPE UNKNOWN", "CTD"), ("bottle/rossette/net", "bottle"),
        ("profiling float", "Argo"), ("WMO 846", "Argo"), ("WMO 052", "XBT"), ("WMO 830", "CTD"),
        ("WMO 800", "MBT"), ("WMO 741", "XCTD"), ("moored buoy", "mooring"), ("glider", "glider"),
        ("BUOY/MOORING: SURFACE, DRIFTING : observation", "drifter"), ("drifter", "drifter"),
        ("ship, bucket", "ship intake"), ("XBT_Met_Office", "XBT"), ("towed CTD", "CTD"),
        ("ARGO_temperature_Met_Office", "Argo"), ("subskin temperature, GCOM-W1", "satellite"),
        ("ice-tethered profiler", "Argo"), ("seal", "animal"), ("WMO 995", "animal"),
        ("", None), ("unknown thing", None), ("WMO 999", None),
    ],
)  # fmt: skip
def test_kinds_of_instruments(text, kind):
    found = instrument_of(text)
    assert (found.name if found else None) == kind


def test_every_kind_has_numbers_and_a_source():
    for instrument in INSTRUMENTS:
        assert 0 < instrument.temperature < 2
        assert instrument.depth >= 0
        assert len(instrument.source) > 8


def test_an_xbt_errs_by_its_depth_times_the_gradient():
    # 0.02 K/m: at 500 m, 2 % are 10 m and 0.2 K; at 100 m, 4.6 m count and are 0.092 K
    depth = np.arange(0.0, 601.0, 100.0)
    obs = table(depth, 25.0 - 0.02 * depth)
    expected = np.hypot(0.15, 0.02 * np.maximum(4.6, 0.02 * depth))
    np.testing.assert_allclose(measurement_error(obs), expected)
    same = table(depth, np.full(7, 10.0))
    np.testing.assert_allclose(measurement_error(same), 0.15)


def test_each_profile_has_its_own_gradient():
    depth, value = [0.0, 100.0, 0.0, 100.0], [20.0, 10.0, 20.0, 20.0]
    obs = table(depth, value, profile=["a", "a", "b", "b"])
    np.testing.assert_allclose(gradient(obs), [0.1, 0.1, 0.0, 0.0])


def test_rejected_levels_make_no_gradient():
    obs = table([0.0, 50.0, 100.0], [20.0, 99.0, 20.0], qc=[1, 4, 1])
    np.testing.assert_allclose(gradient(obs), 0.0)


@given(seed=st.integers(0, 1000))
def test_the_order_of_the_rows_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    depth = rng.choice(np.arange(0.0, 500.0, 7.0), 30, replace=False)
    value, profile = rng.normal(10, 3, 30), rng.choice(list("abc"), 30)
    order = rng.permutation(30)
    one = measurement_error(table(depth, value, profile=profile))
    other = measurement_error(table(depth[order], value[order], profile=profile[order]))
    np.testing.assert_allclose(other, one[order])


def test_units_do_not_matter():
    depth = [0.0, 100.0, 300.0]
    celsius = table(depth, [20.0, 15.0, 8.0])
    kelvin = table(depth, [293.15, 288.15, 281.15], unit="K")
    np.testing.assert_allclose(measurement_error(celsius), measurement_error(kelvin))
    fahrenheit = table(depth, [68.0, 59.0, 46.4], unit="degF")
    np.testing.assert_allclose(measurement_error(celsius), measurement_error(fahrenheit))


def test_unknown_instruments_and_quantities_have_none():
    assert np.isnan(measurement_error(table([0.0], [20.0], instrument=""))).all()
    salt = table([0.0], [35.0], instrument="XBT", unit="psu", var="so")
    assert np.isnan(measurement_error(salt)).all()
    bare = table([0.0], [20.0]).drop_vars("instrument")
    assert np.isnan(measurement_error(bare)).all()


def test_assumed_errors_are_never_below_the_default():
    depth = np.array([5.0, 500.0, 1500.0])
    obs = table(depth, [20.0, 10.0, 4.0], instrument=["XBT", "WMO 846", ""])
    total = assumed_error(obs, np.arange(3), "temperature")
    base = default_error("temperature", depth)
    assert total[0] > base[0]
    assert total[2] == base[2]
    assert (total >= base).all()


def test_real_casts(data_folder):
    xbt = open_observations(data_folder / "observations/wod/quota_subset.dat", var="thetao")
    error = measurement_error(xbt)
    mine = (xbt["instrument"].values == "XBT") & (xbt["qc"].values < 3)
    assert error[mine].min() >= 0.15
    assert 0.16 < np.median(error[mine]) < 0.4
    assert error[mine].max() < 5
