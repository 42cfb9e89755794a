"""Levels between the samples of a cast: interpolated where the samples are close, never else.

Knows tables and the levels of a grid; no cells, no cycles.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import Problems
from xdeepda.observations.flags import PROBABLY_GOOD, rejected
from xdeepda.observations.table import as_table, profiles_of, variables_of
from xdeepda.observations.target import target_of

logger = logging.getLogger("xdeepda")

#: What stands in the column ``reason`` of an interpolated row.
INTERPOLATED = "interpolated in depth"


def between_samples(obs: Any, like: xr.Dataset | xr.DataArray, gap: float) -> xr.Dataset:
    """Add the levels of a model that lie between two close samples of a cast.

    Binning takes what was measured between the edges of a level; a level thinner
    than the distance of two samples gets nothing.  Where the two are not farther
    apart than `gap`, this adds a row at the middle of each level between them, linear
    in depth.  Nothing is added above the first and below the last sample.

    Parameters
    ----------
    obs : Dataset, DataArray or pandas.DataFrame
        Points, as :func:`xdeepda.observations.as_table` reads them.
    like : Dataset or DataArray
        A field of the model, for its levels.
    gap : float
        Largest distance of two samples in metres.

    Returns
    -------
    Dataset
        The table, its rows in their order, followed by the new ones: with flag 2
        (probably good), the reason "interpolated in depth", the error
        interpolated alike (the errors of the two samples are taken as common), and
        all else from the upper sample.

    Raises
    ------
    InputError
        With all problems of `obs`; if `like` has no depth axis, or `gap` is not positive.

    Notes
    -----
    An interpolated row counts as a measurement from there on.  It is of the
    same profile as its neighbours, so that it does not make the error of a
    superobservation smaller.

    Examples
    --------
    >>> import pandas as pd
    >>> like = xr.DataArray(np.ones((3, 1, 1)), dims=("depth", "lat", "lon"), name="thetao",
    ...     coords={"depth": ("depth", [5.0, 15, 25], {"units": "m"}), "lat": [0.0], "lon": [0.0]},
    ...     attrs={"units": "degC"})
    >>> frame = pd.DataFrame({"value": [20.0, 18.0], "time": pd.to_datetime(["2005-01-02"] * 2),
    ...                       "depth": [5.0, 25.0], "lat": 0.0, "lon": 0.0})
    >>> frame.attrs["units"] = "degC"
    >>> between_samples(frame, like, gap=25.0).value.values
    array([20., 18., 19.])
    """
    problems = Problems("between_samples")
    number = isinstance(gap, (int, float, np.number)) and not isinstance(gap, bool)
    if not number or not 0 < gap < np.inf:
        problems.add("gap is not a positive number of metres", found=f"{gap!r}")
    target = target_of(like, None, problems)
    if target is not None and target.grid.depth is None:
        problems.add("like has no depth axis")
    problems.raise_if_any()
    assert target is not None
    centres, edges = target.grid.depth, target.grid.depth_edges
    assert centres is not None
    assert edges is not None
    table = as_table(obs)
    upper, lower, level = _pairs(table, edges, float(gap))
    if upper.size == 0:
        return table
    logger.info("between_samples: %d rows added to %d", upper.size, table.sizes["obs"])
    depth = table["depth"].values
    share = (centres[level] - depth[upper]) / (depth[lower] - depth[upper])
    new = table.isel(obs=upper)
    for name in ("value", "error"):
        column = table[name].values
        mean = (1 - share) * column[upper] + share * column[lower]
        new[name] = (new[name].dims, mean, table[name].attrs)
    new = new.assign_coords(depth=("obs", centres[level], table["depth"].attrs))
    new["qc"] = ("obs", np.full(upper.size, PROBABLY_GOOD, dtype=np.int8), table["qc"].attrs)
    text = np.full(upper.size, INTERPOLATED, dtype=object)
    new["reason"] = ("obs", text, table["reason"].attrs)
    out = xr.concat([table, new], dim="obs", join="exact", combine_attrs="override")
    return out.assign_attrs(table.attrs)


def _pairs(
    table: xr.Dataset, edges: np.ndarray, gap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the upper and lower sample, and the level between them, one entry per new row."""
    depth = table["depth"].values
    good = np.isfinite(table["value"].values + depth) & ~rejected(table["qc"].values)
    rows = np.flatnonzero(good)
    profile = profiles_of(table, rows)
    code = variables_of(table)[0][rows]
    order = np.lexsort((depth[rows], code, profile))
    rows, profile, code = rows[order], profile[order], code[order]
    level = np.searchsorted(edges, depth[rows], side="right") - 1
    together = (profile[1:] == profile[:-1]) & (code[1:] == code[:-1])
    together &= np.diff(depth[rows]) <= gap
    missing = np.where(together, np.maximum(np.diff(level) - 1, 0), 0)
    pair = np.repeat(np.arange(missing.size), missing)
    begin = np.cumsum(missing) - missing
    nth = np.arange(pair.size) - begin[pair]
    return rows[pair], rows[pair + 1], level[pair] + 1 + nth
