"""Maps: what is drawn where, in which colours, with which words."""

from __future__ import annotations

import cftime
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb

import xdeepda
from xdeepda.errors import InputError


def cells_of(ax):
    """Coloured cells of a picture."""
    return next(c for c in ax.collections if type(c).__name__ == "QuadMesh")


def dots_of(ax):
    """Places of the observations, shape (n, 2)."""
    return next(c for c in ax.collections if type(c).__name__ == "PathCollection").get_offsets()


def colour_bar(ax):
    return cells_of(ax).colorbar


def values_of(ax):
    """Drawn values, NaN on land; shape (row, column)."""
    return np.ma.filled(np.ma.asarray(cells_of(ax).get_array(), dtype=float), np.nan)


def test_a_map_shows_the_field_with_its_words(whole):
    ax = whole.deepda.plot.map(depth=100, time="0010-08")
    expected = whole["thetao"].sel(depth=100, method="nearest").isel(time=1)
    np.testing.assert_allclose(values_of(ax), expected.transpose("lat", "lon"))
    assert ax.get_title() == "101 m (nearest to 100 m), 0010-08-16"
    assert colour_bar(ax).ax.get_ylabel().replace("\n", " ") == (
        "Sea water potential temperature: analysis [°C]"
    )
    assert to_rgb(ax.get_facecolor()) == (0.78, 0.78, 0.78)  # land shows through
    assert np.isnan(values_of(ax)).sum() == expected.isnull().sum() > 0


def test_the_last_time_and_the_uppermost_level_are_usual(whole):
    assert whole.deepda.plot.map().get_title() == "10 m, 0010-12-16"


def test_an_increment_is_symmetric_around_nothing(whole):
    ax = whole.deepda.plot.map(part="increment")
    low, high = cells_of(ax).get_clim()
    assert low == -high < 0
    np.testing.assert_allclose(np.nanmax(values_of(ax)), -1, rtol=1e-5)
    assert "increment [K]" in colour_bar(ax).ax.get_ylabel().replace("\n", " ")


def test_a_spread_begins_at_nothing_and_values_do_not(whole):
    assert cells_of(whole.deepda.plot.map(part="spread")).get_clim()[0] == 0
    low, high = cells_of(whole.deepda.plot.map()).get_clim()
    assert low == pytest.approx(float(whole["thetao"].isel(time=-1, depth=0).min()))
    assert high != -low


def test_the_users_colours_go_first(whole):
    ax = whole.deepda.plot.map(part="increment", vmin=-3, vmax=1, cmap="magma", add_colorbar=False)
    assert cells_of(ax).get_clim() == (-3, 1)
    assert cells_of(ax).get_cmap().name == "magma"
    assert colour_bar(ax) is None
    assert len(ax.figure.axes) == 1


def test_axes_of_the_user_are_used_and_returned(whole):
    from matplotlib import pyplot as plt

    _, axes = plt.subplots(1, 2)
    assert xdeepda.plot.map(whole, ax=axes[1]) is axes[1]
    assert not axes[0].collections
    with pytest.raises(InputError, match="figsize"):
        xdeepda.plot.map(whole, ax=axes[0], figsize=(3, 3))


@pytest.mark.parametrize("change", [
    lambda ds: ds.transpose("lon", "time", "lat", "depth", ...),
    lambda ds: ds.isel(lat=slice(None, None, -1), depth=slice(None, None, -1)),
    lambda ds: ds.chunk(time=2),
    lambda ds: ds.isel(time=1),
    lambda ds: ds.rename(lat="latitude", lon="longitude", depth="lev"),
    lambda ds: ds["thetao"],
])  # fmt: skip
def test_any_order_and_direction_gives_the_same_picture(whole, change):
    usual = whole.deepda.plot.map(depth=100, time="0010-08")
    other = change(whole).deepda.plot.map(
        depth=100, time=None if change(whole)["time"].ndim == 0 else "0010-08"
    )
    np.testing.assert_array_equal(values_of(other), values_of(usual))
    assert other.get_title() == usual.get_title()
    assert other.get_xlim() == usual.get_xlim()


def test_the_map_begins_where_the_user_begins(whole):
    west = (whole["lon"] + 180) % 360 - 180
    moved = whole.assign_coords(lon=west.assign_attrs(whole["lon"].attrs))
    ax = moved.deepda.plot.map()
    assert ax.get_xlim() == (-180, 180)
    usual = values_of(whole.deepda.plot.map())
    np.testing.assert_array_equal(values_of(ax), np.roll(usual, 12, axis=1))
    assert whole.deepda.plot.map().get_xlim() == (0, 360)


def test_a_region_across_the_date_line_has_no_ghost(whole):
    west = (whole["lon"] + 180) % 360 - 180
    moved = whole.assign_coords(lon=west.assign_attrs(whole["lon"].attrs))
    region = moved.isel(lon=np.flatnonzero(np.abs(west.values) > 130))
    ax = region.deepda.plot.map()
    corners = cells_of(ax).get_coordinates()[0, :, 0]
    np.testing.assert_allclose(np.diff(corners), 15)  # no cell across the whole map
    assert ax.get_xlim() == (135, 225)
    ax.figure.canvas.draw()
    labels = [t.get_text() for t in ax.get_xticklabels()]
    assert "180°" in labels
    assert any(t.endswith("°W") for t in labels)
    assert any(t.endswith("°E") for t in labels)


def test_observations_of_the_cycle_and_the_level(whole, points):
    ax = whole.deepda.plot.map(depth=100, time="0010-08", obs=points)
    rows = points.to_dataframe()
    month = [t.month == 8 for t in rows["time"]]
    rows = rows[np.array(month) & (rows["depth"] > 55) & (rows["depth"] < 471)]
    assert len(rows) > 2
    np.testing.assert_allclose(np.sort(dots_of(ax)[:, 0]), np.sort(rows["lon"]))
    coloured = next(c for c in ax.collections if type(c).__name__ == "PathCollection")
    np.testing.assert_allclose(np.sort(coloured.get_array()), np.sort(rows["thetao"]))
    assert coloured.norm is cells_of(ax).norm


def test_observed_cells(whole, cells):
    counted = dots_of(whole.deepda.plot.map(part="spread", obs=True))
    np.testing.assert_allclose(counted, [[float(whole["lon"][12]), float(whole["lat"][4])]])
    ax = whole.deepda.plot.map(time="0010-09", obs=cells)
    month = cells["thetao"].isel(depth=0).sel(time=cftime.DatetimeNoLeap(10, 9, 16))
    assert len(dots_of(ax)) == int(month.notnull().sum()) > 0


def test_a_mean_over_times_and_members(whole):
    ax = whole.deepda.plot.map(time="0010")
    mean = whole["thetao"].isel(depth=0).mean("time")
    np.testing.assert_allclose(values_of(ax), mean, rtol=1e-5)
    assert "mean of 0010-07-16 to 0010-12-16" in ax.get_title()
    several = xr.concat([whole["thetao"], whole["thetao"] + 2], "member")
    np.testing.assert_allclose(
        values_of(several.deepda.plot.map(member=1)) - values_of(several.deepda.plot.map()),
        values_of(whole.deepda.plot.map()) * 0 + 1, rtol=1e-4,
    )  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), [
    ({"var": "salt"}, "not in the Dataset"),
    ({"part": "members"}, "part='members' is not known"),
    ({"part": "background_spread"}, "no background_spread"),
    ({"depth": "deep"}, "no depth"),
    ({"depth": -5}, "no depth"),
    ({"time": "1950"}, "nothing at time='1950'"),
    ({"time": 3}, "no date"),
    ({"member": 0}, "no members"),
    ({"obs": "floats"}, "no observations"),
])  # fmt: skip
def test_what_is_wrong_is_told_before_a_figure_is_made(whole, arguments, words):
    from matplotlib import pyplot as plt

    with pytest.raises(InputError, match=words):
        whole.deepda.plot.map(**arguments)
    assert not plt.get_fignums()


def test_all_that_is_wrong_is_told_at_once(whole):
    with pytest.raises(InputError, match="3 problems"):
        whole.deepda.plot.map(depth=-1, time="1950", member=2)


def test_no_times_are_refused(whole):
    for time in (None, "0010-08"):
        with pytest.raises(InputError, match="there are no times to show"):
            whole.isel(time=[]).deepda.plot.map(time=time)


def test_land_alone_and_sections_are_refused(whole):
    with pytest.raises(InputError, match="no value to show"):
        whole.where(False).deepda.plot.map("thetao")
    with pytest.raises(InputError, match="no axis of lat"):
        whole["thetao"].mean("lat", keep_attrs=True).deepda.plot.map()
    with pytest.raises(InputError, match="cannot be drawn"):
        xdeepda.plot.map(3)


def test_axes_of_cartopy(whole):
    ccrs = pytest.importorskip("cartopy.crs")
    ax = whole.deepda.plot.map(projection=ccrs.Robinson(180), obs=True)
    assert hasattr(ax, "projection")
    ax.figure.canvas.draw()


def test_the_input_is_untouched(whole):
    before = whole.copy(deep=True)
    whole.deepda.plot.map(part="increment", obs=True)
    xr.testing.assert_identical(whole, before)
