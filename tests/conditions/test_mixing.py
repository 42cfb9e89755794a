"""Mixed columns are stable and keep their heat and salt."""

from __future__ import annotations

import gsw
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdeepda.conditions.mixing import mixed

DEPTH = np.array([5.0, 20.0, 50.0, 100.0, 200.0, 400.0])
THICKNESS = np.array([10.0, 20.0, 40.0, 60.0, 140.0, 260.0])


def pressure(columns: int) -> np.ndarray:
    return np.tile(DEPTH, (columns, 1))


@given(st.integers(0, 10_000), st.sampled_from([0.0, 1e-3, 0.05]))
def test_random_columns_become_stable_and_keep_heat_and_salt(seed, tolerance):
    rng = np.random.default_rng(seed)
    heat, salt = rng.normal(10, 3, (20, 6)), rng.normal(35, 0.5, (20, 6))
    floor = rng.integers(0, 7, 20)
    for values in (heat, salt):
        values[np.arange(6) >= floor[:, None]] = np.nan
    out = mixed(heat, salt, pressure(20), THICKNESS, tolerance)
    middle = (DEPTH[1:] + DEPTH[:-1]) / 2
    upper = gsw.rho(out.absolute[:, :-1], out.conservative[:, :-1], middle)
    lower = gsw.rho(out.absolute[:, 1:], out.conservative[:, 1:], middle)
    assert np.nanmax(upper - lower, initial=0) <= tolerance + 1e-9
    assert out.after.max() <= tolerance
    for before, after in ((heat, out.conservative), (salt, out.absolute)):
        np.testing.assert_array_equal(np.isnan(before), np.isnan(after))
        np.testing.assert_allclose(
            np.nansum(after * THICKNESS, axis=1), np.nansum(before * THICKNESS, axis=1), rtol=1e-12
        )
        np.testing.assert_array_equal(after[~out.changed], before[~out.changed])


def test_a_cold_surface_is_mixed_down_to_where_it_floats():
    heat = np.array([[2.0, 14.0, 12.0, 8.0, 6.0, 4.0]])
    salt = np.full((1, 6), 35.0)
    out = mixed(heat, salt, pressure(1), THICKNESS, 0.0)
    mean = (2 * 10 + 14 * 20 + 12 * 40) / 70
    np.testing.assert_allclose(out.conservative[0, :3], mean)
    np.testing.assert_array_equal(out.conservative[0, 3:], heat[0, 3:])
    assert out.changed[0].tolist() == [True, True, True, False, False, False]
    expected = gsw.rho(35, 2, 12.5) - gsw.rho(35, 14, 12.5)
    assert out.before[0] == pytest.approx(expected)


def test_what_is_stable_keeps_its_bits():
    rng = np.random.default_rng(1)
    heat = -np.sort(-rng.uniform(2, 25, (30, 6)), axis=1)
    salt = np.full((30, 6), 35.0)
    out = mixed(heat, salt, pressure(30), THICKNESS, 0.0)
    np.testing.assert_array_equal(out.conservative, heat)
    assert not out.changed.any()
    assert (out.before == 0).all()


def test_salt_can_hold_warm_water_down():
    heat, salt = np.array([[2.0, 4.0]]), np.array([[33.0, 35.0]])
    out = mixed(heat, salt, np.array([[5.0, 20.0]]), THICKNESS[:2], 0.0)
    np.testing.assert_array_equal(out.conservative, heat)


def test_inversions_within_the_tolerance_stay():
    heat = np.array([[10.0, 10.2]])
    salt = np.full((1, 2), 35.0)
    depth, thickness = np.array([[5.0, 20.0]]), THICKNESS[:2]
    assert not mixed(heat, salt, depth, thickness, 0.05).changed.any()
    assert mixed(heat, salt, depth, thickness, 0.01).changed.all()


def test_one_level_and_no_columns():
    one = mixed(np.array([[3.0]]), np.array([[35.0]]), np.array([[5.0]]), np.ones(1), 0.0)
    assert one.conservative.tolist() == [[3.0]]
    none = mixed(np.zeros((0, 6)), np.zeros((0, 6)), np.zeros((0, 6)), THICKNESS, 0.0)
    assert none.changed.shape == (0, 6)
