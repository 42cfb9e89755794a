"""H: exact on linear fields, constants, seam, coasts, missing axes, time; and its transpose."""

from __future__ import annotations

import cftime
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xdeepda.calendar import Cycle
from xdeepda.core.interpolation import Interpolation
from xdeepda.errors import InputError
from xdeepda.grid import Grid
from xdeepda.observations.interpolation import (
    PointOperator,
    cycle_weights,
    interpolation_weights,
)

DEPTH = np.array([5.0, 30.0, 100.0, 400.0])
LAT = np.arange(-80.0, 81.0, 20.0)
GLOBAL = Grid(DEPTH, LAT, np.arange(15.0, 360.0, 30.0), cyclic=True)
REGION = Grid(DEPTH, np.array([-10.0, -4.0, 3.0, 11.0]), np.arange(340.0, 381.0, 10.0))
GRIDS = [
    GLOBAL,
    REGION,
    Grid(None, LAT, GLOBAL.lon, cyclic=True),
    Grid(DEPTH, None, REGION.lon),
    Grid(DEPTH, LAT, None),
    Grid(None, None, None),
    Grid(np.array([5.0]), np.array([0.0]), np.array([10.0])),
]


def points(grid, n=200, seed=0):
    """Positions everywhere, and exactly on centres and edges."""
    rng = np.random.default_rng(seed)
    columns = []
    for axis, edges, low, high in (
        (grid.depth, grid.depth_edges, 0, 700),
        (grid.lat, grid.lat_edges, -90, 90),
        (grid.lon, grid.lon_edges, -180, 540),
    ):
        column = rng.uniform(low, high, n)
        if axis is not None:
            column[: n // 4] = rng.choice(np.concatenate([axis, edges]), n // 4)
        columns.append(rng.permutation(column))
    if grid.depth is None:
        columns[0] = columns[0] / 100
    return columns


def inside(grid, depth, lat, lon):
    return np.broadcast_to(grid.locate(depth, lat, lon) >= 0, np.shape(lat))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_constant_in_constant_out_and_reach_is_that_of_the_cells(grid):
    wet = np.ones(grid.shape, dtype=bool)
    operator = PointOperator.on(grid, wet, *points(grid))
    there = inside(grid, *points(grid))
    np.testing.assert_array_equal(operator.reached, there)
    np.testing.assert_allclose(operator.apply(np.full(grid.shape, 7.25))[there], 7.25, rtol=1e-15)
    np.testing.assert_allclose(operator.weight.sum(axis=1), there, atol=1e-15)


@pytest.mark.parametrize("grid", [GLOBAL, REGION], ids=str)
def test_exact_on_fields_linear_in_each_axis(grid):
    """Trilinear functions between the outermost centres, away from the seam."""
    rng = np.random.default_rng(1)
    z, y, x = (rng.uniform(a[0], a[-1], 300) for a in (grid.depth, grid.lat, grid.lon))

    def linear(z, y, x):
        return (1 + 0.01 * z) * (2 - 0.1 * y) * (3 + 0.02 * x) + z * y - x

    centres = np.meshgrid(grid.depth, grid.lat, grid.lon, indexing="ij")
    operator = PointOperator.on(grid, np.ones(grid.shape, bool), z, y, x + 360)
    np.testing.assert_allclose(operator.apply(linear(*centres)), linear(z, y, x), rtol=1e-11)


def test_centres_give_the_values_of_their_cells():
    rng = np.random.default_rng(2)
    wet = rng.random(GLOBAL.shape) < 0.6
    field = np.where(wet, rng.normal(size=wet.shape), np.nan)
    cells = np.flatnonzero(wet)
    operator = PointOperator.on(GLOBAL, wet, *GLOBAL.coordinates(cells))
    np.testing.assert_array_equal(operator.apply(field), field.reshape(-1)[cells])


def test_across_the_seam():
    field = np.broadcast_to(np.arange(12.0), GLOBAL.shape)
    lon = [345.0, 352.5, 360.0, 0.0, 7.5, 15.0, -15.0, 375.0]
    operator = PointOperator.on(GLOBAL, np.ones(GLOBAL.shape, bool), 5.0, 0.0, lon)
    expected = [11, 11 * 0.75, 5.5, 5.5, 11 * 0.25, 0, 11, 0]
    np.testing.assert_allclose(operator.apply(field), expected, atol=1e-12)


def test_held_constant_beyond_the_outermost_centres_and_nothing_beyond_the_edges():
    field = np.broadcast_to(DEPTH[:, None, None], REGION.shape)
    depth = [0.0, 5.0, 400.0, 549.0, 551.0, np.nan]
    operator = PointOperator.on(REGION, np.ones(REGION.shape, bool), depth, 0.0, 0.0)
    np.testing.assert_allclose(operator.apply(field), [5, 5, 400, 400, np.nan, np.nan])


def test_weights_of_land_go_to_the_sea_of_the_same_level():
    """A stratified sea is read without error beside a slope, whatever lies on land."""
    wet = np.ones(REGION.shape, dtype=bool)
    wet[2:, :, 3:] = False  # shallower in the east
    field = np.where(wet, 20 - 0.01 * DEPTH[:, None, None], np.nan)
    depth = np.linspace(5, 100, 50)
    operator = PointOperator.on(REGION, wet, depth, 1.0, 369.0 - 0.1)
    np.testing.assert_allclose(operator.apply(field), 20 - 0.01 * depth, rtol=1e-12)
    # in the eastern columns alone there is no second level: the last wet one holds
    below = PointOperator.on(REGION, wet, [90.0], 1.0, 375.0)
    np.testing.assert_allclose(below.apply(field), 20 - 0.3)
    assert not PointOperator.on(REGION, wet, [300.0], 1.0, 375.0).reached.any()


def test_all_land_is_out_of_reach():
    operator = PointOperator.on(GLOBAL, np.zeros(GLOBAL.shape, bool), *points(GLOBAL))
    assert not operator.reached.any()
    assert np.isnan(operator.apply(np.zeros(GLOBAL.shape))).all()


masks = st.integers(0, 2**32 - 1).map(
    lambda seed: (
        np.random.default_rng(seed).random(GLOBAL.shape)
        < np.random.default_rng(seed + 1).uniform(0.05, 1)
    )
)
places = st.lists(
    st.tuples(st.floats(0, 600), st.floats(-90, 90), st.floats(-360, 540)), min_size=1, max_size=20
)


@given(masks, places)
@settings(max_examples=100, deadline=None)
def test_coasts(wet, rows):
    """Weights are of wet cells, positive, of sum 1; a binned datum always has a value."""
    depth, lat, lon = (np.array(c) for c in zip(*rows, strict=True))
    index, weight = interpolation_weights(GLOBAL, wet, depth, lat, lon)
    flat = wet.reshape(-1)
    reached = weight.any(axis=1)
    assert flat[index[reached]].all()
    assert (weight >= 0).all()
    np.testing.assert_allclose(weight.sum(axis=1), reached, atol=1e-14)
    cell = GLOBAL.locate(depth, lat, lon)
    binned = (cell >= 0) & flat[np.maximum(cell, 0)]
    assert reached[binned].all()
    field = np.where(wet, np.random.default_rng(0).normal(size=wet.shape), np.nan)
    values = PointOperator(index, weight, GLOBAL.shape).apply(field)
    np.testing.assert_array_equal(np.isfinite(values), reached)
    picked = field.reshape(-1)[index[reached]]
    assert (values[reached] <= picked.max(axis=1) + 1e-12).all()
    assert (values[reached] >= picked.min(axis=1) - 1e-12).all()
    # a turn of the globe changes nothing
    turned = interpolation_weights(GLOBAL, wet, depth, lat, np.round(lon, 3) + 360)[1]
    np.testing.assert_allclose(
        turned, interpolation_weights(GLOBAL, wet, depth, lat, np.round(lon, 3))[1], atol=1e-9
    )


@given(masks, places, st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_adjoint(wet, rows, seed):
    depth, lat, lon = zip(*rows, strict=True)
    operator = PointOperator.on(GLOBAL, wet, depth, lat, lon)
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=GLOBAL.shape), rng.normal(size=len(rows))
    left = np.nansum(operator.apply(x) * y)
    right = (x * operator.adjoint(y)).sum()
    assert abs(left - right) <= 1e-12 * max(1.0, abs(left))
    tensors = Interpolation(torch.from_numpy(operator.index), torch.from_numpy(operator.weight))
    state = torch.from_numpy(x).requires_grad_()
    there = tensors(state)
    np.testing.assert_allclose(there.detach(), np.nan_to_num(operator.apply(x)), atol=1e-13)
    (there * torch.from_numpy(y)).sum().backward()
    np.testing.assert_allclose(state.grad, operator.adjoint(y), atol=1e-12)
    explicit = tensors.adjoint(torch.from_numpy(y), GLOBAL.shape)
    forth = float((there.detach() * torch.from_numpy(y)).sum())
    assert abs(forth - float((state.detach() * explicit).sum())) <= 1e-12 * max(1.0, abs(left))


def test_batches_of_states():
    rng = np.random.default_rng(0)
    operator = PointOperator.on(GLOBAL, np.ones(GLOBAL.shape, bool), *points(GLOBAL, 30))
    tensors = Interpolation(torch.from_numpy(operator.index), torch.from_numpy(operator.weight))
    x = rng.normal(size=(3, 2, *GLOBAL.shape))
    out = tensors(torch.from_numpy(x))
    assert out.shape == (3, 2, 30)
    np.testing.assert_allclose(out[2, 1], np.nan_to_num(operator.apply(x[2, 1])), atol=1e-14)
    np.testing.assert_array_equal(operator.apply(x)[2, 1], operator.apply(x[2, 1]))
    back = tensors.adjoint(out, GLOBAL.shape)
    assert back.shape == x.shape


def test_many_points_equal_few(monkeypatch):
    from xdeepda.observations import interpolation

    args = (GLOBAL, np.random.default_rng(0).random(GLOBAL.shape) < 0.7, *points(GLOBAL, 500))
    whole = interpolation_weights(*args)
    monkeypatch.setattr(interpolation, "_BLOCK", 64)
    for a, b in zip(whole, interpolation_weights(*args), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_mask_of_another_grid_is_refused():
    with pytest.raises(InputError, match=r"not on the grid"):
        interpolation_weights(GLOBAL, np.ones(REGION.shape, bool), 0.0, 0.0, 0.0)


# ---- time


@pytest.mark.parametrize("name", ["pentad", "month", "year"])
@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_time_is_linear_between_the_middles(name, calendar):
    cycle = Cycle(name)
    numbers = np.arange(2003 * cycle.per_year, 2005 * cycle.per_year + 2)
    middles = cycle.middle(numbers, calendar)
    pair, weight = cycle_weights(middles, cycle)
    value = (pair * weight).sum(axis=1)
    np.testing.assert_allclose(value, numbers, rtol=1e-12)
    half = middles[:-1] + (middles[1:] - middles[:-1]) / 2
    pair, weight = cycle_weights(half, cycle)
    np.testing.assert_array_equal(pair, np.stack([numbers[:-1], numbers[1:]], axis=1))
    np.testing.assert_allclose(weight, 0.5, rtol=1e-9)


def test_time_is_held_constant_at_the_ends_and_missing_outside():
    cycle = Cycle("month")
    times = np.array(
        ["2000-12-30", "2001-01-02", "2001-02-15", "2001-03-30", "2001-04-02", "NaT"], "M8[ns]"
    )
    pair, weight = cycle_weights(times, cycle, period=(24012, 24014))
    np.testing.assert_array_equal(weight.sum(axis=1), [0, 1, 1, 1, 0, 0])
    assert set(pair[1]) == {24012}
    assert set(pair[3]) == {24014}
    assert not cycle_weights(np.array(["NaT"], "M8[ns]"), cycle)[1].any()


def test_missing_cftimes():
    times = np.array([cftime.DatetimeNoLeap(2001, 1, 16, 12), None], dtype=object)
    pair, weight = cycle_weights(times, Cycle("month"))
    assert 24012 in pair[0][weight[0] > 0]
    np.testing.assert_array_equal(weight[1], 0)
