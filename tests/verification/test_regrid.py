"""Regridding: exact where it can be, and nothing made up."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdeepda.grid import Grid
from xdeepda.verification import regrid
from xdeepda.verification.regrid import Regridder


def globe(step, depth=(5.0, 20.0, 50.0), start=0.5):
    return Grid(
        np.array(depth),
        np.arange(-90 + step / 2, 90, step),
        np.arange(step * start, 360, step),
        cyclic=True,
    )


def field(grid):
    """Smooth around the globe and linear in depth."""
    z, y, x = np.meshgrid(grid.depth, np.deg2rad(grid.lat), np.deg2rad(grid.lon), indexing="ij")
    return 0.1 * z + np.cos(y) * np.sin(x) + np.sin(2 * y)


def test_the_same_grid_gives_the_same_field():
    grid = globe(20)
    values = field(grid)
    values[0, 3, 3] = np.nan
    np.testing.assert_array_equal(Regridder(grid, grid)(values), values)


@pytest.mark.parametrize("start", [0.0, 0.25, 0.5])
def test_a_coarse_field_is_interpolated_across_the_seam(start):
    coarse, fine = globe(4), globe(2.5, depth=(5.0, 7.0, 35.0, 50.0), start=start)
    found = Regridder(coarse, fine)(field(coarse))
    # linear interpolation errs by h^2 / 8 of the second derivatives, 4 + 1 + 1 here
    inner = slice(2, -2)  # rows beyond the outermost centres are constant
    np.testing.assert_allclose(found[:, inner], field(fine)[:, inner], atol=4e-3)


def test_a_fine_field_is_averaged_and_its_mean_is_kept():
    fine, coarse = globe(2), globe(10)
    values = field(fine) + np.random.default_rng(0).normal(size=fine.shape)
    found = Regridder(fine, coarse)(values)
    before = (values * fine.area).sum(axis=(1, 2)) / fine.area.sum()
    after = (found * coarse.area).sum(axis=(1, 2)) / coarse.area.sum()
    np.testing.assert_allclose(after, before, rtol=1e-10)
    # by hand: 5 x 5 cells
    block = (values * fine.area)[:, 20:25, 50:55].sum(axis=(1, 2)) / fine.area[20:25, 50:55].sum()
    np.testing.assert_allclose(found[:, 4, 10], block, rtol=1e-10)


@given(value=st.floats(-50, 50), step=st.sampled_from([3.0, 5.0, 9.0]), hole=st.integers(0, 10**6))
def test_a_constant_stays_one_whatever_the_mask(value, step, hole):
    rng = np.random.default_rng(hole)
    coarse, other = globe(6), globe(step, depth=(5.0, 33.0, 50.0))
    values = np.where(rng.random(coarse.shape) < 0.2, np.nan, value)
    found = Regridder(coarse, other)(values)
    assert np.isfinite(found).any()
    np.testing.assert_allclose(found[np.isfinite(found)], value, rtol=1e-9, atol=1e-9)


def test_partly_covered_cells_are_left_out():
    fine, coarse = globe(2), globe(10)
    values = np.ones(fine.shape)
    values[:, 22, 52] = np.nan
    found = Regridder(fine, coarse)(values)
    missing = np.argwhere(np.isnan(found[0]))
    np.testing.assert_array_equal(missing, [[4, 10]])
    # interpolation: every cell that leans on the gap
    coarse_values = np.ones(coarse.shape)
    coarse_values[:, 4, 10] = np.nan
    touched = np.isnan(Regridder(coarse, fine)(coarse_values)[0])
    lat, lon = (np.abs(a - c) < 10 for a, c in ((fine.lat, -45), (fine.lon, 105)))
    np.testing.assert_array_equal(touched, lat[:, None] & lon)


def test_values_on_land_do_not_matter():
    coarse, fine = globe(6), globe(2.5)
    values = field(coarse)
    values[:, 5:9, 10:20] = np.nan
    other = np.where(np.isnan(values), np.inf, values)
    np.testing.assert_array_equal(Regridder(coarse, fine)(values), Regridder(coarse, fine)(other))


def test_nothing_beyond_the_edges():
    region = Grid(np.array([10.0, 100.0]), np.arange(-19.0, 20, 2), np.arange(351.0, 370, 2))
    world = globe(3, depth=(2.0, 60.0, 140.0, 300.0))
    found = Regridder(region, world)(np.ones(region.shape))
    assert np.isnan(found[3]).all()  # the last level ends at 145 m
    lat, lon = np.abs(world.lat) < 20, (world.lon > 350) | (world.lon < 10)
    expected = np.broadcast_to(lat[:, None] & lon, (3, *world.shape[1:]))
    np.testing.assert_array_equal(np.isfinite(found[:3]), expected)


def test_the_first_level_reaches_the_surface_if_it_is_near():
    column = Grid(np.array([5.0, 15.0]), None, None)  # edges at 0 and 10 m
    near, far = (Grid(np.array(z), None, None) for z in ([2.0, 5, 9, 30], [7.0, 9, 30]))
    assert np.isfinite(Regridder(near, column)(np.ones((4, 1, 1)))).all()
    assert np.isnan(Regridder(far, column)(np.ones((3, 1, 1)))[0])


def test_sections_without_an_axis():
    a = Grid(np.array([10.0, 30.0]), None, np.array([100.0, 110.0, 120.0]))
    b = Grid(np.array([20.0]), None, np.array([105.0, 115.0]))
    values = np.array([[[1.0, 2, 3]], [[3.0, 4, 5]]])
    np.testing.assert_allclose(Regridder(a, b)(values), [[[2.5, 3.5]]])


def test_leading_dimensions_are_kept():
    coarse, fine = globe(30), globe(20)
    values = np.random.default_rng(1).normal(size=(2, 4, *coarse.shape))
    found = Regridder(coarse, fine)(values)
    np.testing.assert_allclose(found[1, 3], Regridder(coarse, fine)(values[1, 3]))


def test_example():
    assert doctest.testmod(regrid).failed == 0
