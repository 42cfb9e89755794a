"""The operator of neighbouring cells: exact on an ocean of which everything is known."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xdeepda
from xdeepda.training import fitting
from xdeepda.training.dynamics import (
    AROUND,
    applied,
    coefficients_of,
    neighbours,
    sums_of,
)

#: Variables, levels, rows and columns of a grid.
SHAPE = (2, 3, 5, 8)


def advection(shape, rng):
    """Coefficients (n, p) of a flow and mixing on a grid without land."""
    weights = np.zeros((int(np.prod(shape)), len(AROUND)))
    weights[:, 0] = rng.uniform(0.4, 0.6, len(weights))
    weights[:, 1:] = rng.uniform(-0.04, 0.08, (len(weights), len(AROUND) - 1))
    return weights


@given(
    land=st.integers(0, 2**31),
    cyclic=st.booleans(),
    apart=st.sampled_from([(1, 1), (2, 2), (2, 3), (4, 4)]),
)
def test_neighbours_are_the_cells_beside(land, cyclic, apart):
    rng = np.random.default_rng(land)
    nx = SHAPE[3]
    lattice = np.zeros(SHAPE, dtype=bool)
    lattice[:, :, :: apart[0], :: apart[1]] = True
    wet = lattice & (rng.random(SHAPE) < 0.8)
    cells = np.flatnonzero(wet)
    around = neighbours(cells, SHAPE, apart, cyclic)
    assert around.shape == (len(cells), len(AROUND))
    place = {cell: n for n, cell in enumerate(cells)}
    steps = -(-nx // apart[1])
    for n, cell in enumerate(cells):
        variable, z, y, x = np.unravel_index(cell, SHAPE)
        for number, (down, north, east) in enumerate(AROUND):
            column = x // apart[1] + east
            column = column % steps if cyclic else column
            at = (variable, z + down, y + north * apart[0], column * apart[1])
            inside = all(0 <= i < size for i, size in zip(at, SHAPE, strict=True))
            expected = place.get(np.ravel_multi_index(at, SHAPE), -1) if inside else -1
            assert around[n, number] == (len(cells) if expected < 0 else expected)


def test_exact_dynamics_are_found():
    rng = np.random.default_rng(1)
    cells = np.arange(np.prod(SHAPE))
    around = neighbours(cells, SHAPE, (1, 1), True)
    true = advection(SHAPE, rng)
    true[around == len(cells)] = 0.0
    square, cross = np.zeros((len(cells), len(AROUND), len(AROUND))), np.zeros(around.shape)
    for _ in range(200):
        before = rng.standard_normal((len(cells), 1))
        pair = np.concatenate([before, applied(true, around, before)], axis=1).T
        more = sums_of(around, [(0, pair)], np.zeros(1, dtype=int)).but(None)
        square, cross = square + more[0], cross + more[1]
    found = coefficients_of(square, cross, ridge=1e-9)
    inside = around < len(cells)
    np.testing.assert_allclose(found[inside], true[inside], atol=1e-4)
    # what is beyond the grid counts for nothing
    np.testing.assert_allclose(found[~inside], 0, atol=1e-6)


def test_a_large_ridge_leaves_the_memory_of_each_cell():
    rng = np.random.default_rng(2)
    series = rng.standard_normal((60, int(np.prod(SHAPE))))
    around = neighbours(np.arange(series.shape[1]), SHAPE, (1, 1), False)
    sums = sums_of(around, [(0, series)], np.zeros(59, dtype=int))
    found = coefficients_of(*sums.but(None), ridge=1e12)
    memory = (series[1:] * series[:-1]).sum(axis=0) / (series[:-1] ** 2).sum(axis=0)
    np.testing.assert_allclose(found[:, 0], memory, rtol=1e-5)
    np.testing.assert_allclose(found[:, 1:], 0, atol=1e-9)


@pytest.mark.parametrize("step", [1, 7, 29, 60])
def test_sums_do_not_depend_on_the_blocks(step):
    rng = np.random.default_rng(3)
    series = rng.standard_normal((60, int(np.prod(SHAPE)))).astype(np.float32)
    around = neighbours(np.arange(series.shape[1]), SHAPE, (1, 1), True)
    part = fitting.parts_of_pairs(59)
    whole = sums_of(around, [(0, series)], part)
    blocks = [(first, series[first : first + step]) for first in range(0, 60, step)]
    parts = sums_of(around, blocks, part)
    np.testing.assert_allclose(parts.square, whole.square, atol=1e-4)
    np.testing.assert_allclose(parts.cross, whole.cross, atol=1e-4)
    # each pair is of one part
    left_out = series[:-1][part != 1]
    np.testing.assert_allclose(whole.but(1)[0][:, 0, 0], (left_out**2).sum(axis=0), rtol=1e-4)


def run_of(ocean, states):
    """Run of a linear ocean as the fits see it."""
    weight = np.ones(ocean.size, dtype=np.float32) / ocean.size
    shape = (1, *ocean.wet.shape)
    grid = SimpleNamespace(cyclic=True)
    prepared = SimpleNamespace(wet=np.zeros(shape), source=SimpleNamespace(grid=grid))
    return SimpleNamespace(
        cells=np.flatnonzero(ocean.wet), apart=(1, 1), weight=weight, prepared=prepared,
        blocks=lambda: iter([(0, states.astype(np.float32))]), count=len(states),
        pick=lambda number: states[np.linspace(0, len(states) - 1, number).astype(int)].copy(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def linear():
    """Linear ocean, states of it, and all of its EOFs."""
    ocean = xdeepda.datasets.linear_ocean((2, 6, 12))
    states = ocean.states(2000, seed=3)
    run = run_of(ocean, states)
    snapshots = fitting.Snapshots(run, ocean.size)
    return ocean, run, snapshots


def test_operator_of_neighbours_is_nearer_to_the_true_one(linear):
    ocean, run, snapshots = linear
    misses = {}
    for near in (True, False):
        made = fitting.fit_patterns(run, snapshots, near)
        patterns = made.patterns.astype(float)
        full = patterns @ made.operator @ (patterns.T * run.weight)
        wrong = full - ocean.M
        misses[near] = np.trace(wrong @ ocean.P_inf @ wrong.T) / np.trace(ocean.Q)
    assert misses[True] < 0.5 * misses[False]
    assert misses[True] < 0.02


def test_noise_is_what_the_operator_misses(linear):
    ocean, run, snapshots = linear
    made = fitting.fit_patterns(run, snapshots, True)
    noise = made.patterns @ made.noise @ made.patterns.T
    np.testing.assert_allclose(np.diag(noise), np.diag(ocean.Q), rtol=0.25)
    assert np.linalg.norm(noise - ocean.Q) < 0.2 * np.linalg.norm(ocean.Q)
    assert np.abs(np.linalg.eigvals(made.operator)).max() < 1


def test_few_rows_shrink_correlations_and_many_do_not():
    rng = np.random.default_rng(4)
    root = rng.standard_normal((10, 10)) / 3 + np.eye(10)
    true = root @ root.T
    many = fitting.shrunk_covariance(rng.standard_normal((50_000, 10)) @ root.T)
    np.testing.assert_allclose(many, true, atol=0.06)
    errors = {"plain": 0.0, "shrunk": 0.0}
    for _ in range(20):
        few = rng.standard_normal((12, 10)) @ root.T
        shrunk = fitting.shrunk_covariance(few)
        errors["shrunk"] += np.linalg.norm(shrunk - true)
        errors["plain"] += np.linalg.norm(few.T @ few / 12 - true)
        # variances stay, and the matrix is positive definite with fewer rows than columns
        np.testing.assert_allclose(np.diag(shrunk), (few**2).mean(axis=0))
        narrow = fitting.shrunk_covariance(few[:6])
        assert np.linalg.eigvalsh(narrow).min() > 0
    assert errors["shrunk"] < errors["plain"]


def test_independent_columns_have_no_correlation():
    rng = np.random.default_rng(5)
    made = fitting.shrunk_covariance(rng.standard_normal((30, 40)))
    apart = ~np.eye(40, dtype=bool)
    assert np.abs(made[apart]).max() < 0.15


def test_constant_columns_stay_finite():
    made = fitting.shrunk_covariance(np.zeros((5, 3)))
    assert np.isfinite(made).all()
