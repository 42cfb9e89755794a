"""Sections, profiles, Hovmöller diagrams and statistics: what they show."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from test_maps import cells_of, values_of

import xdeepda
from xdeepda.errors import InputError
from xdeepda.experiments.systems import by_system


@pytest.fixture(scope="module")
def scores(whole: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    noise = np.random.default_rng(0).standard_normal(whole["thetao"].shape)
    noisy = whole.assign(thetao=(whole["thetao"] + 0.5 * noise).assign_attrs(whole["thetao"].attrs))
    return noisy.deepda.verify(truth)


# ---- sections


def test_a_section_lies_along_the_nearest_latitude_with_depth_downwards(whole):
    ax = whole.deepda.plot.section(lat=0, time="0010-07")
    lat = float(whole["lat"].sel(lat=0.1, method="nearest"))
    expected = whole["thetao"].isel(time=0).sel(lat=[-7.2, 7.2], method="nearest")
    assert "nearest to 0°" in ax.get_title()
    assert abs(lat) == pytest.approx(7.2)
    row = expected.isel(lat=0 if "7.2°S" in ax.get_title() else 1)
    np.testing.assert_allclose(values_of(ax), row)
    bottom, top = ax.get_ylim()
    assert bottom > 841 > top == 0
    assert to_rgb(ax.get_facecolor()) == (0.78, 0.78, 0.78)


def test_the_upper_ocean_is_stretched(whole):
    def height(ax, z):
        return ax.transAxes.inverted().transform(ax.transData.transform((100, z)))[1]

    ax = whole.deepda.plot.section(lat=0)
    ax.figure.canvas.draw()
    assert 1 - height(ax, ax.get_ylim()[0] / 4) == pytest.approx(0.5, abs=0.01)
    plain = whole.deepda.plot.section(lat=0, yscale="linear")
    plain.figure.canvas.draw()
    assert 1 - height(plain, plain.get_ylim()[0] / 4) == pytest.approx(0.25, abs=0.01)


def test_a_section_of_a_range_is_its_mean_by_area(whole):
    ax = whole.deepda.plot.section(lat=(0, 40), time="0010-07")
    field = whole["thetao"].isel(time=0).sel(lat=slice(0, 40))
    mean = field.weighted(np.cos(np.deg2rad(field["lat"]))).mean("lat")
    np.testing.assert_allclose(values_of(ax), mean, rtol=1e-5)
    assert "mean of 0° to 40°N" in ax.get_title()


def test_a_range_of_longitudes_goes_eastward_across_the_seam(whole):
    ax = whole.deepda.plot.section(lon=(350, 10), time="0010-07")
    mean = whole["thetao"].isel(time=0).sel(lon=[352.5, 7.5]).mean("lon")
    np.testing.assert_allclose(values_of(ax), mean, rtol=1e-5)


def test_data_without_latitudes_are_a_section_already(whole):
    flat = whole["thetao"].sel(lat=0, method="nearest").drop_vars("lat")
    west = (flat["lon"] + 180) % 360 - 180
    strip = flat.assign_coords(lon=west.assign_attrs(flat["lon"].attrs)).isel(lon=slice(8, 16))
    ax = strip.transpose("lon", "depth", "time").deepda.plot.section()
    np.testing.assert_allclose(values_of(ax), strip.isel(time=-1))
    assert ax.get_xlim() == (120, 240)
    np.testing.assert_allclose(np.diff(cells_of(ax).get_coordinates()[0, :, 0]), 15)
    assert strip.deepda.plot.hovmoller().get_xlim() == (120, 240)
    with pytest.raises(InputError, match="no such axis"):
        strip.deepda.plot.section(lat=0)


@pytest.mark.parametrize(("arguments", "words"), [
    ({}, "neither lat nor lon"),
    ({"lat": 0, "lon": 0}, "lat and lon"),
    ({"lat": 85}, "outside of the grid"),
    ({"lat": (80, 85)}, "holds no cell"),
    ({"lat": (40, 0)}, "no range"),
    ({"lat": "equator"}, "no place"),
])  # fmt: skip
def test_where_a_section_lies_must_be_clear(whole, arguments, words):
    with pytest.raises(InputError, match=words):
        whole.deepda.plot.section(**arguments)


# ---- profiles


def test_a_profile_has_its_band_and_its_background(whole):
    ax = whole.deepda.plot.profile(lat=0, lon=180, time="0010-07", sigmas=1)
    line, dashed = ax.get_lines()
    x, z = line.get_data()
    np.testing.assert_array_equal(z, whole["depth"])
    np.testing.assert_allclose(dashed.get_xdata() - x, 1, atol=1e-5)
    band = ax.collections[0].get_paths()[0].vertices[:, 0]
    assert band.max() == pytest.approx(x.max() + 0.5, abs=1e-5)
    assert band.min() == pytest.approx(x.min() - 0.5, abs=1e-5)
    words = [t.get_text() for t in ax.get_legend().get_texts()]
    assert words == ["analysis", "± 1 standard deviations", "background"]


def test_the_mean_of_a_range_has_no_band_without_members(whole):
    ax = whole.deepda.plot.profile(lat=(-20, 20), lon=(160, 200))
    assert not ax.collections
    several = xr.concat([whole["thetao"] - 1, whole["thetao"] + 1], "member").to_dataset()
    ax = several.deepda.plot.profile(lat=(-20, 20), lon=(160, 200), sigmas=1)
    half = np.ptp(ax.collections[0].get_paths()[0].vertices[:, 0])
    x = ax.get_lines()[0].get_xdata()
    assert half == pytest.approx(np.ptp(x) + 2 * 2**0.5, rel=1e-4)


def test_observations_of_the_cell_stand_in_the_profile(whole, points):
    row = points.isel(obs=3)
    when = f"{row['time'].item():%Y-%m}"
    ax = whole.deepda.plot.profile(
        lat=float(row["lat"]), lon=float(row["lon"]), time=when, obs=points
    )
    shown = next(c for c in ax.containers if c.has_xerr)
    assert float(row["depth"]) in shown.lines[0].get_ydata()
    assert float(row["thetao"]) in shown.lines[0].get_xdata()


def test_a_profile_needs_a_place_in_the_sea(whole):
    with pytest.raises(InputError, match="2 problems"):
        whole.deepda.plot.profile()
    land = whole["thetao"].isel(time=0, depth=0).isnull().values
    j, i = np.argwhere(land)[0]
    with pytest.raises(InputError, match="no value to show"):
        whole.deepda.plot.profile(lat=float(whole["lat"][j]), lon=float(whole["lon"][i]))


# ---- Hovmöller diagrams


def test_a_hovmoller_diagram_averages_over_what_is_not_shown(ocean):
    ax = ocean.deepda.plot.hovmoller("thetao", lat=(-20, 20), time=slice("0003", "0005"))
    field = ocean["thetao"].isel(depth=0, time=slice(24, 60)).sel(lat=slice(-20, 20))
    mean = field.weighted(np.cos(np.deg2rad(field["lat"]))).mean("lat")
    np.testing.assert_allclose(values_of(ax), mean, rtol=1e-5)
    low, high = ax.get_ylim()
    assert (round(low, 1), round(high, 1)) == (3, 6)


def test_depth_lies_downwards_and_time_to_the_right(ocean):
    ax = ocean.deepda.plot.hovmoller("thetao", along="depth", lat=0, lon=180)
    assert values_of(ax).shape == (3, 120)
    assert ax.get_ylim()[0] > ax.get_ylim()[1] == 0


def test_times_of_numpy_are_dates_on_the_axis(ocean):
    dates = np.datetime64("2001-01", "M") + np.arange(120)
    ds = ocean[["thetao"]].assign_coords(time=dates.astype("datetime64[ns]"))
    ax = ds.deepda.plot.hovmoller()
    ax.figure.canvas.draw()
    assert any(t.get_text().startswith("20") for t in ax.get_yticklabels())


def test_a_hovmoller_diagram_needs_times(whole):
    with pytest.raises(InputError, match="two times"):
        whole.isel(time=[0]).deepda.plot.hovmoller()
    with pytest.raises(InputError, match="no axis of time"):
        whole.isel(time=0, drop=True).drop_vars("time_bnds").deepda.plot.hovmoller()


# ---- statistics


def test_errors_by_depth_and_what_they_must_beat(scores):
    ax = scores.deepda.plot.by_depth()
    lines = {line.get_label(): line for line in ax.get_lines()}
    np.testing.assert_allclose(lines["analysis"].get_xdata(), scores["rmse"])
    np.testing.assert_allclose(lines["analysis: expected error"].get_xdata(), scores["spread"])
    np.testing.assert_allclose(lines["background"].get_xdata(), 1, rtol=1e-5)
    assert ax.get_xlabel().endswith("[K]")
    assert ax.get_ylim()[1] == 0


def test_several_methods_have_a_colour_each(scores):
    ax = xdeepda.plot.by_depth({"one": scores, "two": scores}, "rmse", spread=False)
    assert [line.get_label() for line in ax.get_lines()] == ["one", "two"]
    assert len({line.get_color() for line in ax.get_lines()}) == 2


def test_what_is_no_result_of_verify_is_refused(scores, whole, truth):
    with pytest.raises(InputError, match="no result of verify"):
        whole.deepda.plot.by_depth()
    with pytest.raises(InputError, match="there is no 'rmsd'"):
        scores.deepda.plot.by_depth("rmsd")
    with pytest.raises(InputError, match="not by depth"):
        whole.deepda.verify(truth, by=()).deepda.plot.by_depth()
    with pytest.raises(InputError, match="kind rank"):
        scores.deepda.plot.rank_histogram(kind="rank")


def test_histograms_are_relative_to_flat(scores):
    ax = scores.isel(depth=0).deepda.plot.rank_histogram()
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(heights, 10 * scores["pit_histogram"].isel(depth=0))
    assert np.mean(heights) == pytest.approx(1)
    several = scores.deepda.plot.rank_histogram()
    assert len(several.patches) == 3
    many = xr.concat([scores.assign_coords(depth=scores["depth"] + z) for z in (0, 1, 2)], "depth",
                     combine_attrs="override").sortby("depth")  # fmt: skip
    plane = many.deepda.plot.rank_histogram()
    assert cells_of(plane).get_clim() == (0, 2)
    assert plane.get_ylim()[1] == 0


def test_the_course_of_a_training(tiny_model):
    for ax in (xdeepda.plot.history(tiny_model), tiny_model.history.deepda.plot.history()):
        assert ax.get_xlabel() == "epoch"
        best = next(line for line in ax.get_lines() if line.get_label().startswith("best"))
        assert best.get_ydata()[0] == pytest.approx(tiny_model.history["validation_score"].min())
    with pytest.raises(InputError, match="no history"):
        xdeepda.plot.history(xr.Dataset())


# ---- the namespace


def test_pictures_are_methods_of_the_accessor(whole):
    for name in xdeepda.plot.__all__:
        assert getattr(whole.deepda.plot, name).__func__ is getattr(xdeepda.plot, name)
        assert name in repr(whole.deepda.plot)


# ---- scores of experiments


@pytest.fixture(scope="module")
def experiment(scores: xr.Dataset) -> xr.Dataset:
    """Scores of two systems, the second with twice the error of the first."""
    worse = scores.copy()
    worse["rmse"] = 2 * scores["rmse"]
    return by_system({"good": scores, "bad": worse})


def test_scores_of_experiments_are_drawn_by_system(experiment, scores):
    ax = experiment.deepda.plot.by_depth(spread=False)
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert list(lines) == ["good", "persistence", "bad"]
    np.testing.assert_allclose(lines["bad"].get_xdata(), 2 * scores["rmse"])
    np.testing.assert_allclose(lines["persistence"].get_xdata(), scores["rmse_persistence"])
    assert len(experiment.deepda.plot.by_depth(standards=False, spread=False).get_lines()) == 2
    assert ax.get_legend() is not None


def test_histograms_of_experiments_are_of_one_system(experiment):
    ax = experiment.isel(depth=0).deepda.plot.rank_histogram()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["good", "bad"]
    one = experiment.isel(system=0, drop=True)
    several = by_system({"a": one, "b": one, "c": one})
    with pytest.raises(InputError, match=r"scores\.sel\(system='a'\)"):
        several.deepda.plot.rank_histogram()
    assert several.sel(system="a").deepda.plot.rank_histogram().patches
