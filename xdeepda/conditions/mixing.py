"""Unstable columns mixed until they are stable, as convection would: heat and salt stay.

Levels that lie heavier on lighter are mixed with these, weighted by their thickness, and
so on with the level above or below, until nothing is heavier than what is under it.  All
columns at once; what was stable is left as it is.

Knows arrays and gsw; no labels.

References
----------
Rahmstorf (1993), Ocean Modelling 101, 9-11: complete convective adjustment.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Mixed(NamedTuple):
    """Columns after mixing, shape (columns, nz) but for the last two."""

    conservative: np.ndarray
    absolute: np.ndarray
    changed: np.ndarray  # bool: cells that were mixed with others
    before: np.ndarray  # (columns,) largest inversion, kg m-3; 0 where there is none
    after: np.ndarray  # (columns,)


def mixed(
    conservative: np.ndarray,
    absolute: np.ndarray,
    pressure: np.ndarray,
    thickness: np.ndarray,
    tolerance: float,
) -> Mixed:
    """Mix unstable columns.

    Parameters
    ----------
    conservative, absolute : numpy.ndarray, shape (columns, nz)
        Conservative temperature (degC) and absolute salinity (g/kg), NaN below the floor.
    pressure : numpy.ndarray, shape (columns, nz)
        dbar, of the levels; neighbours are compared at the mean of theirs.
    thickness : numpy.ndarray, shape (nz,)
        Metres, or any unit.
    tolerance : float
        Inversions up to so much are left, kg m-3.

    Returns
    -------
    Mixed
    """
    heat, salt = conservative.astype(np.float64), absolute.astype(np.float64)
    known = np.isfinite(heat) & np.isfinite(salt)
    middle = (pressure[:, 1:] + pressure[:, :-1]) / 2
    weight = np.where(known, thickness, 0.0)
    opens = np.ones(heat.shape, dtype=bool)  # whether a level opens a block of mixed ones
    inversions = _inversions(heat, salt, middle)
    before = inversions.max(axis=1, initial=0.0)
    after = before.copy()
    active = np.flatnonzero(before > tolerance)
    inversions = inversions[active]
    while active.size:
        opens[active, 1:] &= inversions <= tolerance
        for values in (heat, salt):
            values[active] = _means(values[active], weight[active], opens[active])
        inversions = _inversions(heat[active], salt[active], middle[active])
        after[active] = inversions.max(axis=1, initial=0.0)
        unstable = after[active] > tolerance
        active, inversions = active[unstable], inversions[unstable]
    closed = np.pad(~opens[:, 1:], ((0, 0), (0, 1)))
    return Mixed(heat, salt, ~opens | closed, before, after)


def _inversions(heat: np.ndarray, salt: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Upper less lower density at the pressure between; 0 where a level is missing."""
    import gsw

    upper = gsw.rho(salt[:, :-1], heat[:, :-1], middle)
    lower = gsw.rho(salt[:, 1:], heat[:, 1:], middle)
    return np.nan_to_num(upper - lower, nan=0.0)


def _means(values: np.ndarray, weight: np.ndarray, opens: np.ndarray) -> np.ndarray:
    """Each level replaced by the mean over its block, that of one level by itself."""
    rows, levels = values.shape
    block = (opens.cumsum(axis=1) - 1 + levels * np.arange(rows)[:, None]).ravel()
    size = rows * levels
    mass = np.bincount(block, weight.ravel(), size)
    total = np.bincount(block, np.where(weight > 0, values * weight, 0.0).ravel(), size)
    mean = (total / np.where(mass > 0, mass, 1.0))[block].reshape(rows, levels)
    alone = np.bincount(block, minlength=size)[block].reshape(rows, levels) == 1
    return np.where(alone, values, mean)
