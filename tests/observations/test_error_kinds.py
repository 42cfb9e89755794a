"""Errors of the measurement alone are completed by representativeness; total ones are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xdeepda
from xdeepda.observations import as_table, default_error

LIKE = xr.DataArray(
    np.ones((3, 4, 6)),
    dims=("depth", "lat", "lon"),
    coords={
        "depth": ("depth", [50.0, 150.0, 450.0], {"units": "m"}),
        "lat": np.arange(-15.0, 16, 10),
        "lon": np.arange(5.0, 60, 10),
    },
    attrs={"units": "degC"},
    name="thetao",
)


def table(error, kind=None, instrument="CTD"):
    frame = pd.DataFrame(
        {
            "value": [20.0, 10.0],
            "time": pd.to_datetime(["2005-01-02", "2005-01-03"]),
            "depth": [50.0, 450.0],
            "lat": 5.0,
            "lon": [15.0, 35.0],
            "error": error,
            "instrument": instrument,
            "profile": ["a", "b"],
        }
    )
    if kind is not None:
        frame["error_kind"] = kind
    return as_table(frame, var="thetao", units="degC")


def errors(obs):
    cells = xdeepda.superob(obs, LIKE, cycle="month")
    values = cells["thetao_error"].values.ravel()
    return values[np.isfinite(values)]


def test_total_errors_stay():
    np.testing.assert_allclose(errors(table([0.02, 0.03])), [0.02, 0.03])
    np.testing.assert_allclose(errors(table([0.02, 0.03], "total")), [0.02, 0.03])


def test_errors_of_the_measurement_are_completed_by_depth():
    usual = default_error("temperature", [50.0, 450.0])
    expected = np.hypot([0.02, 0.03], usual)
    np.testing.assert_allclose(errors(table([0.02, 0.03], "measurement")), expected)
    mixed = errors(table([0.02, 0.03], ["measurement", ""]))
    np.testing.assert_allclose(mixed, [expected[0], 0.03])


def test_the_unit_of_the_model_does_not_matter():
    other = LIKE.assign_attrs(units="degF")
    obs = table([0.02, 0.03], "measurement")
    there = xdeepda.superob(obs, other, cycle="month")["thetao_error"].values
    np.testing.assert_allclose(there[np.isfinite(there)], 1.8 * errors(obs))


@pytest.mark.parametrize(("instrument", "least"), [("XBT", 0.15), ("CTD", 0.0)])
def test_missing_errors_know_the_instrument(instrument, least):
    usual = default_error("temperature", [50.0, 450.0])
    found = errors(table([np.nan, np.nan], instrument=instrument))
    assert (found >= np.hypot(usual, least) - 1e-12).all()
    assert (found <= np.hypot(usual, 0.3)).all()


def test_the_network_has_the_same_errors():
    obs = table([0.02, 0.03], "measurement")
    points = xdeepda.network(obs, LIKE).sample(2005, 0)
    expected = np.hypot([0.02, 0.03], default_error("temperature", [50.0, 450.0]))
    found = np.unique(points["error"].values.round(6))
    np.testing.assert_allclose(found, np.sort(expected), rtol=1e-5)


def test_floats_come_with_errors_of_the_measurement(data_folder):
    argo = data_folder / "observations/argo"
    obs = xdeepda.open_observations(next(argo.glob("*2003_2025_prof.nc")), var="thetao")
    known = np.isfinite(obs["error"].values)
    assert (obs["error_kind"].values[known] == "measurement").all()
    assert (obs["error_kind"].values[~known] == "").all()


def test_files_made_for_assimilation_hold_total_errors(data_folder):
    files = sorted((data_folder / "observations/dart").glob("*obs_seq*"))
    tables = [xdeepda.open_observations(f, errors="skip") for f in files[:1]]
    assert tables
    assert not (tables[0]["error_kind"].values == "measurement").any()


def test_the_network_knows_the_instruments_as_superob_does():
    obs = table([np.nan, np.nan], instrument="XBT")
    cells = xdeepda.superob(obs, LIKE, cycle="month")["thetao_error"].values
    points = xdeepda.network(obs, LIKE).sample(2005, 0)
    found = np.unique(points["error"].values.round(6))
    np.testing.assert_allclose(found, np.sort(cells[np.isfinite(cells)]), rtol=1e-5)


@pytest.mark.parametrize("kind", ["Measurement", "rubbish", ["measurement", "instrumental"]])
def test_unknown_kinds_are_refused(kind):
    with pytest.raises(xdeepda.errors.InputError, match=r"error_kind.*(?s:.)*'measurement'"):
        table([0.02, 0.03], kind)


@pytest.mark.parametrize("kind", ["", "total", "measurement", ["measurement", None]])
def test_known_kinds_are_taken(kind):
    assert "error_kind" in table([0.02, 0.03], kind).coords
