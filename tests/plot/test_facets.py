"""Pictures side by side: which, in which colours, with which words."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from test_maps import cells_of, dots_of, values_of

from xdeepda.errors import InputError


def titles(grid):
    return [ax.get_title() for ax in grid.axs.flat]


def test_a_map_for_each_level_in_the_same_colours(whole):
    grid = whole.deepda.plot.map(col="depth", depth=[0, 100, 101], time="0010-08")
    assert isinstance(grid, xr.plot.FacetGrid)
    assert titles(grid) == ["10 m", "101 m"]
    assert grid.fig.get_suptitle() == "0010-08-16"
    field = whole["thetao"].isel(time=1).sel(depth=[0, 100], method="nearest")
    for n, ax in enumerate(grid.axs.flat):
        np.testing.assert_allclose(values_of(ax), field.isel(depth=n))
        assert ax.get_xlim() == (0, 360)
        assert cells_of(ax).get_clim() == (float(field.min()), float(field.max()))
    assert (
        grid.cbar.ax.get_ylabel().replace("\n", " ")
        == "Sea water potential temperature: analysis [°C]"
    )


def test_axes_have_the_users_names(whole):
    other = whole.rename(depth="lev", time="month").transpose("lon", "lev", "month", "lat", ...)
    grid = other.deepda.plot.map(col="month", row="lev", time=slice("0010-07", "0010-08"))
    assert grid.axs.shape == (3, 2)
    assert [t.get_text() for t in grid.col_labels] == ["0010-07-16", "0010-08-16"]
    assert [t.get_text() for t in grid.row_labels] == ["10 m", "101 m", "841 m"]
    expected = whole["thetao"].isel(time=1, depth=2)
    np.testing.assert_allclose(values_of(grid.axs[2, 1]), expected)


def test_observations_stand_in_the_map_of_their_level_and_month(whole, points):
    grid = whole.deepda.plot.map(col="depth", depth=[10, 100], time="0010-08", obs=points)
    single = [whole.deepda.plot.map(depth=z, time="0010-08", obs=points) for z in (10, 100)]
    for ax, one in zip(grid.axs.flat, single, strict=True):
        np.testing.assert_array_equal(dots_of(ax), dots_of(one))
        assert len(dots_of(ax))
    months = whole.deepda.plot.map(col="time", time=slice("0010-07", "0010-08"), obs=points)
    one = whole.deepda.plot.map(time="0010-07", obs=points)
    np.testing.assert_array_equal(dots_of(months.axs.flat[0]), dots_of(one))


def test_increments_stay_symmetric_and_wrap(whole):
    grid = whole.deepda.plot.map(part="increment", col="time", col_wrap=4)
    assert grid.axs.shape == (2, 4)
    assert cells_of(grid.axs[0, 0]).get_clim() == pytest.approx((-1, 1), abs=1e-4)
    assert not grid.axs[1, 3].get_visible()


def test_members_side_by_side(whole):
    field = whole["thetao"]
    several = xr.concat([field, field + 1, field + 2], "member")
    grid = several.deepda.plot.map(col="member", member=[0, 2], time="0010-07")
    assert titles(grid) == ["member 0", "member 2"]
    np.testing.assert_allclose(values_of(grid.axs[0, 1]), field.isel(time=0, depth=0) + 2)
    assert grid.fig.get_suptitle() == "10 m, 0010-07-16"


def test_sections_side_by_side(whole):
    grid = whole.deepda.plot.section(col="lat", lat=[-10, 40], time="0010-07")
    assert titles(grid) == ["7.2°S", "36°N"]
    rows = whole["thetao"].isel(time=0).sel(lat=[-7.2, 36], method="nearest")
    for n, ax in enumerate(grid.axs.flat):
        np.testing.assert_allclose(values_of(ax), rows.isel(lat=n))
        assert ax.get_ylim()[1] == 0
    assert grid.axs[0, 0].get_ylabel() == "depth [m]"
    assert grid.axs[0, 1].get_ylabel() == ""
    times = whole.deepda.plot.section(lat=0, col="time", time=slice("0010-07", "0010-09"))
    assert len(titles(times)) == 3


@pytest.mark.parametrize(("kind", "arguments", "words"), [
    ("map", {"col": "lat"}, "no axis that pictures can differ in"),
    ("map", {"col": "depht"}, "no axis that pictures can differ in"),
    ("map", {"col": "time", "row": "time"}, "are both 'time'"),
    ("map", {"col": "depth", "depth": ["deep"]}, "these are no numbers"),
    ("map", {"col": "time", "time": "1900"}, "nothing at time"),
    ("map", {"col": "member"}, "no axis that pictures can differ in"),
    ("section", {"col": "time"}, "neither lat nor lon"),
    ("section", {"col": "lat", "lat": [0, 89]}, "outside of the grid"),
])  # fmt: skip
def test_facets_are_checked(whole, kind, arguments, words):
    with pytest.raises(InputError, match=words):
        getattr(whole.deepda.plot, kind)(**arguments)


def test_too_many_pictures_are_refused(ocean):
    with pytest.raises(InputError, match="120 pictures are too many"):
        ocean.deepda.plot.map("thetao", col="time")


def test_several_pictures_need_a_figure_of_their_own(whole):
    from matplotlib import pyplot as plt

    ax = plt.subplots()[1]
    for kind, more in (("map", {}), ("section", {"lat": 0})):
        with pytest.raises(InputError, match="figure of their own"):
            getattr(whole.deepda.plot, kind)(col="time", ax=ax, **more)
    assert len(plt.get_fignums()) == 1
