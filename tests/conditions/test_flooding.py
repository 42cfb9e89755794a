"""Land is flooded by a field without extremes of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdeepda.conditions.flooding import Flood, conductances
from xdeepda.grid import Grid


def grid(step: float = 15.0, levels: int = 2, *, cyclic: bool = True) -> Grid:
    lon = np.arange(step / 2, 360 if cyclic else 120, step)
    return Grid(np.arange(levels) * 10.0 + 5, np.arange(-90 + step / 2, 90, step), lon, cyclic)


def holes(shape, seed, share=0.4):
    land = np.random.default_rng(seed).random(shape) < share
    land[:, 0, 0] = False
    return land


@given(st.integers(0, 10_000), st.floats(0.05, 0.95), st.booleans())
def test_flooded_values_lie_between_those_of_the_sea_of_the_level(seed, share, cyclic):
    own = grid(cyclic=cyclic)
    values = np.random.default_rng(seed + 1).normal(size=own.shape)
    land = holes(own.shape, seed, share)
    out = Flood(own)(np.where(land, np.nan, values))
    np.testing.assert_array_equal(out[~land], values[~land])
    for level, sea, filled in zip(values, ~land, out, strict=True):
        assert level[sea].min() - 1e-9 <= filled.min()
        assert filled.max() <= level[sea].max() + 1e-9


def test_each_flooded_cell_is_the_mean_of_its_neighbours():
    own = grid()
    land = holes(own.shape, 3)
    values = np.random.default_rng(4).normal(size=own.shape)
    out = Flood(own)(np.where(land, np.nan, values))
    weight = conductances(own)
    for level, there in zip(out, land, strict=True):
        mean = (weight @ level.ravel()) / np.asarray(weight.sum(axis=1)).ravel()
        np.testing.assert_allclose(level[there], mean.reshape(level.shape)[there], atol=1e-10)


def test_a_bay_of_a_field_linear_in_longitude_goes_on_linearly():
    own = Grid(None, np.array([-1.0, 0.0, 1.0]), np.arange(0.0, 30, 3))
    field = np.broadcast_to(own.lon, own.shape).astype(float)
    open_sea = field.copy()
    field = np.where((own.lon > 6) & (own.lon < 20), np.nan, field)
    np.testing.assert_allclose(Flood(own)(field), open_sea, atol=1e-10)


def test_land_at_the_seam_is_flooded_from_both_sides():
    own = Grid(None, np.array([0.0]), np.arange(0.0, 360, 60), cyclic=True)
    field = np.array([[[np.nan, 1.0, 5.0, 5.0, 3.0, np.nan]]])
    np.testing.assert_allclose(Flood(own)(field)[0, 0, [5, 0]], [3 - 2 / 3, 3 - 4 / 3])


def test_cells_are_wider_apart_at_the_equator_than_at_high_latitudes():
    """An island of one cell takes more from the east and west the nearer it is to the pole."""
    shares = []
    for lat in (0.0, 60.0):
        own = Grid(None, lat + np.array([-3.0, 0.0, 3.0]), np.array([0.0, 3.0, 6.0]))
        field = np.array([[[0.0, 0.0, 0.0], [1.0, np.nan, 1.0], [0.0, 0.0, 0.0]]])
        shares.append(Flood(own)(field)[0, 1, 1])
    # 1 : 1 at the equator, 1 / cos^2 : 1 at 60 degrees
    assert shares == pytest.approx([0.5, 0.8], abs=2e-3)


def test_a_level_without_any_sea_stays_empty():
    own = grid()
    field = np.full(own.shape, np.nan)
    field[0, 2, 2] = 4.0
    out = Flood(own)(field)
    np.testing.assert_allclose(out[0], 4.0)
    assert np.isnan(out[1]).all()


def test_another_mask_is_noticed():
    own = Grid(None, None, np.arange(4.0))
    flood = Flood(own)
    first = flood(np.array([[[0.0, np.nan, np.nan, 3.0]]]))
    second = flood(np.array([[[0.0, np.nan, 4.0, np.nan]]]))
    np.testing.assert_allclose(first.ravel(), [0, 1, 2, 3])
    np.testing.assert_allclose(second.ravel(), [0, 2, 4, 4])
