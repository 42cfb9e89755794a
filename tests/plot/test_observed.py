"""Departures, coverage and animations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import InputError


def steps_of(ax):
    """(densities, edges) of each histogram."""
    return [p.get_data()[:2] for p in ax.patches if hasattr(p, "get_data")]


@pytest.fixture(scope="module")
def compared(whole: xr.Dataset, points: xr.Dataset) -> xr.Dataset:
    return whole.deepda.departures(points)


# ---- departures


def test_departures_as_histograms(whole, points, compared):
    ax = compared.deepda.plot.innovations()
    words = [t.get_text() for t in ax.get_legend().get_texts()]
    for name, sign, text in zip(("innovation", "residual"), ("O-B", "O-A"), words, strict=True):
        values = compared[name]
        assert text == f"{sign}: mean {float(values.mean()):.2g}, std {float(values.std()):.3g}"
    assert ax.get_xlabel() == "departure [K]"
    assert ax.get_title().startswith("200 observations")
    for density, edges in steps_of(ax):
        assert density.sum() * np.diff(edges)[0] == pytest.approx(1, abs=0.03)
    again = whole.deepda.plot.innovations(points)
    np.testing.assert_array_equal(steps_of(again)[0][0], steps_of(ax)[0][0])


def test_departures_over_their_expected_error(compared):
    spread = compared["background"] * 0 + 0.4
    ax = compared.assign(background_spread=spread).deepda.plot.innovations(normalised=True)
    z = compared["innovation"] / np.sqrt(0.4**2 + compared["observed_error"] ** 2)
    assert f"std {float(z.std()):.3g}" in ax.get_legend().get_texts()[0].get_text()
    bell = ax.get_lines()[0]
    assert bell.get_ydata().max() == pytest.approx(1 / np.sqrt(2 * np.pi), rel=0.01)


def test_departures_need_something_to_compare(whole, compared):
    with pytest.raises(InputError, match="no ledger"):
        whole.deepda.plot.innovations()
    with pytest.raises(InputError, match="2 problems"):
        compared.deepda.plot.innovations(var="salt", bins=0)
    with pytest.raises(InputError, match="spread and an error"):
        compared.deepda.plot.innovations(normalised=True)


# ---- coverage


@pytest.fixture
def frame() -> pd.DataFrame:
    """Thirty months: a mooring each month at 50 m, two floats in the second year at 900 m."""
    times = pd.date_range("2001-01-15", periods=30, freq="MS")
    mooring = pd.DataFrame({"time": times, "depth": 50.0, "instrument": "mooring"})
    second = times[12:24].repeat(2)
    floats = pd.DataFrame({"time": second, "depth": 900.0, "instrument": "float"})
    out = pd.concat([mooring, floats], ignore_index=True)
    out = out.assign(value=12.0, lat=0.0, lon=180.0)
    out.attrs["units"] = "degC"
    return out


def test_coverage_by_kind_of_platform(frame):
    ax = xdeepda.plot.coverage(frame, cycle="month")
    heights = np.array([bar.get_height() for bar in ax.patches]).reshape(2, 30)
    np.testing.assert_array_equal(heights[0], 1)  # the most frequent first
    np.testing.assert_array_equal(heights[1], np.r_[np.zeros(12), np.full(12, 2), np.zeros(6)])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["mooring", "float"]
    assert ax.get_xlim() == pytest.approx((2001 + 1 / 12, 2003 + 7 / 12))


def test_coverage_by_depth(frame):
    ax = xdeepda.plot.coverage(frame, by="depth", cycle="year")
    mesh = ax.collections[0]
    counts = np.ma.filled(mesh.get_array(), 0)
    edges = mesh.get_coordinates()[:, 0, 1]
    rows = {float(edges[k]): row.tolist() for k, row in enumerate(counts) if row.any()}
    assert rows == {50.0: [11, 12, 7], 750.0: [0, 22, 2]}
    assert counts.sum() == len(frame)
    assert ax.get_ylim()[0] >= 900 > ax.get_ylim()[1] == 0


def test_rows_without_a_value_or_flagged_do_not_count(frame):
    frame.loc[:4, "value"] = np.nan
    frame["qc"] = 0
    frame.loc[5:9, "qc"] = 4
    ax = xdeepda.plot.coverage(frame, by="variable")
    assert sum(bar.get_height() for bar in ax.patches) == len(frame) - 10


def test_coverage_of_fields_and_analyses(whole, cells):
    ax = cells.deepda.plot.coverage()
    counts = np.ma.filled(ax.collections[0].get_array(), 0)
    expected = cells["thetao_count"].sum(["lat", "lon"]).transpose("depth", "time")
    np.testing.assert_array_equal(counts, expected)
    used = np.ma.filled(whole.deepda.plot.coverage().collections[0].get_array(), 0)
    np.testing.assert_array_equal(used, np.full((3, 6), 2))


@pytest.mark.parametrize(("arguments", "words"), [
    ({"by": "ship"}, "no such column"),
    ({"cycle": "week"}, "week"),
])  # fmt: skip
def test_coverage_tells_what_is_wrong(frame, arguments, words):
    with pytest.raises(InputError, match=words):
        xdeepda.plot.coverage(frame, **arguments)


# ---- animations


def test_an_animation_shows_each_cycle_in_the_same_colours(whole, tmp_path):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "year.gif"
    made = whole.deepda.plot.animate(depth=100, path=path, dpi=40, figsize=(4, 3))
    with image.open(path) as shown:
        assert shown.n_frames == 6
    ax = made._fig.axes[0]
    mesh = ax.collections[0]
    field = whole["thetao"].sel(depth=100, method="nearest")
    assert mesh.get_clim() == pytest.approx((float(field.min()), float(field.max())))
    made._func(2)
    np.testing.assert_allclose(np.ma.filled(mesh.get_array(), np.nan), field.isel(time=2))
    assert ax.get_title() == "101 m (nearest to 100 m), 0010-09-16"


@pytest.mark.parametrize(("path", "words"), [
    ("year.txt", "no animation"),
    ("nowhere/year.gif", "no folder"),
])  # fmt: skip
def test_a_file_that_cannot_be_written_is_told_at_once(whole, tmp_path, path, words):
    with pytest.raises(InputError, match=words):
        whole.deepda.plot.animate(path=tmp_path / path)
    with pytest.raises(InputError, match="nothing at time"):
        whole.deepda.plot.animate(time="1950")
