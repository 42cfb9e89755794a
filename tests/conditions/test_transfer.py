"""Fields are brought over exactly where they can be, and means of levels are kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdeepda.conditions.heat import Common
from xdeepda.conditions.transfer import Transfer, overlaps
from xdeepda.grid import Grid


def globe(step: float, depth=(5.0, 15.0, 25.0), start: float = 0.5) -> Grid:
    lat = np.arange(-90 + step / 2, 90, step)
    return Grid(np.array(depth), lat, np.arange(start * step, 360, step), cyclic=True)


def linear(grid: Grid) -> np.ndarray:
    """Linear in depth and latitude."""
    return 20 - 0.3 * grid.depth[:, None, None] + 0.05 * grid.lat[:, None] + 0 * grid.lon


@pytest.mark.parametrize("start", [0.0, 0.25, 0.5])
def test_linear_fields_are_exact_within_the_outermost_centres(start):
    source, target = globe(15), globe(7.5, depth=(5.0, 10.0, 20.0), start=start)
    out = Transfer(source, target)(linear(source))
    np.testing.assert_allclose(out[:, 1:-1], linear(target)[:, 1:-1], atol=1e-9)


def test_the_same_grid_gives_the_same_bits():
    grid = globe(15)
    values = np.random.default_rng(0).normal(size=grid.shape)
    transfer = Transfer(grid, grid)
    np.testing.assert_array_equal(transfer(values), values)
    assert transfer.within.all()


@given(st.integers(0, 10_000))
def test_land_is_not_mixed_in(seed):
    """Whatever stands on land: the result is the same, within what the sea of a level has."""
    source, target = globe(20), globe(7, depth=(5.0, 15.0, 25.0))
    rng = np.random.default_rng(seed)
    values, land = rng.normal(size=source.shape), rng.random(source.shape) < 0.5
    land[:, 3, 3] = False
    transfer = Transfer(source, target)
    out = transfer(np.where(land, np.nan, values))
    for k in range(3):
        low, high = values[k][~land[k]].min(), values[k][~land[k]].max()
        assert low - 1e-9 <= out[k].min() <= out[k].max() <= high + 1e-9
    share = transfer.share(~land)
    assert ((share >= 0) & (share <= 1)).all()
    # where all that is needed is sea, what lies on land does not matter
    other = transfer(np.where(land, rng.normal(size=source.shape), values))
    np.testing.assert_allclose(out[share == 1], other[share == 1], atol=1e-9)


def test_levels_below_continue_the_deepest_and_places_beyond_the_border():
    source = Grid(np.array([5.0, 15.0]), np.arange(0.0, 31, 5), np.arange(0.0, 41, 5))
    deep = np.array([5.0, 15.0, 100.0, 500.0])
    target = Grid(deep, np.arange(-20.0, 31, 10), np.arange(0.0, 71, 10))
    transfer = Transfer(source, target)
    assert transfer.depth.tolist() == [True, True, False, False]
    assert transfer.lat.tolist() == [False, False, True, True, True, True]
    assert transfer.lon.tolist() == [True] * 5 + [False] * 3
    out = transfer(np.full(source.shape, 3.0) + np.array([0.0, 1.0])[:, None, None])
    np.testing.assert_allclose(out[0], 3.0)
    np.testing.assert_allclose(out[1:], 4.0)
    assert (transfer.share(np.ones(source.shape, bool)) == transfer.within).all()


@given(st.integers(0, 10_000))
def test_means_of_thick_levels_are_kept_where_the_profile_is_monotonic(seed):
    rng = np.random.default_rng(seed)
    edges = np.concatenate([[0.0], np.cumsum(rng.uniform(20, 60, 6))])
    columns = np.arange(3.0)
    source = Grid((edges[1:] + edges[:-1]) / 2, None, columns)
    fine = np.linspace(0, edges[-1], 200)
    target = Grid((fine[1:] + fine[:-1]) / 2, None, columns)
    # the column in the middle has no extreme of its level
    profiles = np.exp(-source.depth / 100)[:, None] * np.array([10.0, 20.0, 30.0])
    out = Transfer(source, target, (edges, fine))(profiles[:, None, :])[:, 0, 1]
    share, profile = overlaps(edges, fine), profiles[:, 1]
    means = share @ out / share.sum(axis=1)
    np.testing.assert_allclose(means, profile, atol=0.04)
    # straight lines between the means would be too warm
    lines = np.interp(target.depth, source.depth, profile)
    plain = share @ lines / share.sum(axis=1)
    assert np.abs(means - profile).mean() < 0.25 * np.abs(plain - profile).mean()


def test_values_between_levels_are_no_new_extremes_inside():
    source = Grid(np.arange(10.0, 100, 20), None, None)
    target = Grid(np.arange(1.0, 100, 2), None, None)
    step = np.array([20.0, 20.0, 10.0, 10.0, 10.0])
    out = Transfer(source, target)(step[:, None, None]).ravel()
    assert out.max() <= 20 + 1e-9
    assert out.min() >= 10 - 1e-9


def test_common_sea_is_the_same_volume_seen_from_both_grids():
    rng = np.random.default_rng(0)
    source, target = globe(20, depth=(10.0, 30.0)), globe(9, depth=(4.0, 12.0, 20.0), start=0.1)
    edges = source.depth_edges, target.depth_edges
    seas = tuple(rng.random(g.shape) < 0.6 for g in (source, target))
    common = Common(source, target, edges, seas)
    assert common.of_source.sum() == pytest.approx(common.of_target.sum(), rel=1e-12)
    whole = Common(source, target, edges, tuple(np.ones(g.shape, bool) for g in (source, target)))
    deepest = min(edges[0][-1], edges[1][-1])
    assert whole.volume == pytest.approx(source.area.sum() * deepest, rel=1e-12)
    # a heat that is alike everywhere cannot differ
    assert (common.of_source[~seas[0]] == 0).all()
    assert (common.of_target <= target.area * target.thickness[:, None, None] + 1e-3).all()
