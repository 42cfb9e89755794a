"""Empirical orthogonal functions, weighted by area.

The decomposition itself is one call of LAPACK; what matters is around it: weights,
land, members and labels.  For rotated, complex or cross-covariance modes see the
package xeofs, with which the results agree.

Knows xarray and numpy.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.diagnostics.fields import finished, tell_of_spread
from xdeepda.diagnostics.series import (
    Series,
    anomalies_of,
    base_of,
    look_along_time,
)
from xdeepda.diagnostics.weights import Box, area_weights, box_of, depth_edges
from xdeepda.errors import Problems

logger = logging.getLogger("xdeepda")

#: Where the pattern of the Pacific Decadal Oscillation is warm in its positive phase.
_COAST = Box(25, 60, 220, 245)


def decompose(
    matrix: np.ndarray, weight: np.ndarray, modes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Leading modes of anomalies.

    Parameters
    ----------
    matrix : numpy.ndarray, shape (n, cell)
        Anomalies; their mean over n is removed.
    weight : numpy.ndarray, shape (cell,)
        Positive.
    modes : int

    Returns
    -------
    patterns : numpy.ndarray, shape (modes, cell)
        Anomaly that goes with a principal component of 1.
    components : numpy.ndarray, shape (n, modes)
        Principal components, of unit standard deviation.
    explained : numpy.ndarray, shape (modes,)
        Fractions of the weighted variance.

    Examples
    --------
    >>> x = np.outer([1.0, -1, 1, -1], [3.0, 4.0])
    >>> patterns, components, explained = decompose(x, np.ones(2), 1)
    >>> np.abs(patterns).round(6), explained.round(6)
    (array([[3., 4.]]), array([1.]))
    """
    root = np.sqrt(weight)
    scaled = (matrix - matrix.mean(axis=0)) * root
    left, size, right = np.linalg.svd(scaled, full_matrices=False)
    n = len(matrix)
    patterns = right[:modes] * size[:modes, None] / np.sqrt(n) / root
    # signs are arbitrary; the weighted mean of a pattern is made positive
    sign = np.where(patterns @ weight < 0, -1.0, 1.0)
    components = left[:, :modes] * np.sqrt(n) * sign
    variance = size**2
    return patterns * sign[:, None], components, variance[:modes] / variance.sum()


def project(matrix: np.ndarray, patterns: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Principal components of anomalies in given patterns; shape (..., n, modes)."""
    weighted = patterns * weight
    return matrix @ weighted.T / (weighted * patterns).sum(axis=1)


def eofs(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    modes: int = 5,
    region: Any = None,
    base: tuple[Any, Any] | None = None,
    climatology: int | str | None = None,
    cycle: str | None = None,
    partial: bool = False,
) -> xr.Dataset:
    """Empirical orthogonal functions of the anomalies, weighted by area and thickness.

    Parameters
    ----------
    ds : Dataset or DataArray
        With time, and latitude or longitude.
    var : str, optional
        Name of the variable, where there are several.
    modes : int, default 5
    region : (south, north, west, east), optional
        A box in degrees; cells at its border count in part.
    base, climatology, cycle
        Of the climatology that is subtracted, as in :func:`xdeepda.anomalies`.
    partial : bool
        Accept a domain that holds a part of the region only.

    Returns
    -------
    Dataset
        ``<var>_eof`` (mode, ...), the anomaly that goes with a component of 1, in the
        unit of the variable; ``<var>_pc`` (mode, time), of unit standard deviation;
        ``<var>_explained_variance`` (mode), as a fraction.  The weighted mean of each
        pattern is positive.  With members, the patterns are those of their mean, and the
        components are those of each member, projected.

    Raises
    ------
    InputError
        No time axis; a region without sea; more modes than there are times or cells.

    Notes
    -----
    Values are read into memory.  Cells that lack a value at any time are left out, which
    is said in the log.

    References
    ----------
    Hannachi, Jolliffe and Stephenson (2007), Int. J. Climatol. 27, 1119.

    Examples
    --------
    >>> ds.deepda.eofs("thetao", modes=3, region=(20, 70, 110, 260))  # doctest: +SKIP
    """
    problems = Problems("eofs")
    series = look_along_time(ds, var, problems, cycle=cycle)
    box = box_of(region, problems)
    if isinstance(modes, bool) or not isinstance(modes, (int, np.integer)) or modes < 1:
        problems.add("modes= is no number of modes", found=repr(modes), expected="1 or more")
    if series is None or box is None:
        problems.raise_if_any()
    assert series is not None  # told above
    assert box is not None
    positions = base_of(series, base, climatology, problems)
    area = area_weights(series.field, box, problems, partial=partial)
    problems.raise_if_any()
    assert area is not None
    departures = anomalies_of(series, climatology, positions)
    weight = area * _thickness(series) if "depth" in departures.dims else area
    matrix, kept, cells = _as_matrix(departures, weight)
    mean = matrix.mean(axis=0) if matrix.ndim == 3 else matrix
    if modes > min(mean.shape):
        problems.add(
            "there are not so many modes",
            found=f"modes={modes}, {mean.shape[0]} times and {mean.shape[1]} cells with values",
        )
    problems.raise_if_any()
    patterns, components, explained = decompose(mean, kept, modes)
    if matrix.ndim == 3:
        components = project(matrix - mean.mean(axis=0), patterns, kept)
    return _as_dataset(series, departures, cells, (patterns, components, explained))


def _thickness(series: Series) -> xr.DataArray:
    """Thickness of the levels."""
    edges = depth_edges(series.field)
    return xr.DataArray(np.diff(edges), dims="depth", coords={"depth": series.field.grid.depth})


def _as_matrix(
    departures: xr.DataArray, weight: xr.DataArray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Anomalies of the cells that have all values: (..., n, cell), their weights, their mask."""
    space = [d for d in ("depth", "lat", "lon") if d in departures.dims]
    lead = [d for d in departures.dims if d not in space]
    values = departures.transpose(*lead, *space).values
    weights = weight.transpose(*space).values
    known = np.isfinite(values)
    inside = weights > 0
    every, some = known.all(tuple(range(len(lead)))), known.any(tuple(range(len(lead))))
    lost = int((some & ~every & inside).sum())
    if lost:
        logger.warning("%d cells lack a value at some time and are left out of the modes", lost)
    cells = every & inside
    return values[..., cells], weights[cells], cells


def _as_dataset(
    series: Series, departures: xr.DataArray, cells: np.ndarray, parts: tuple[np.ndarray, ...]
) -> xr.Dataset:
    """Label patterns, components and fractions of variance."""
    patterns, components, explained = parts
    field, number = series.field, np.arange(1, len(explained) + 1)
    space = [d for d in departures.dims if d in ("depth", "lat", "lon")]
    full = np.full((len(number), *cells.shape), np.nan)
    full[:, cells] = patterns
    at = {d: departures[d] for d in departures.dims}
    mode = xr.DataArray(number, dims="mode", attrs={"long_name": "number of the mode"})
    eof = xr.DataArray(full, dims=("mode", *space), coords={d: at[d] for d in space})
    lead = [d for d in departures.dims if d not in space]
    pc = xr.DataArray(components, dims=(*lead, "mode"), coords={d: at[d] for d in lead})
    fraction = xr.DataArray(explained, dims="mode")
    name, note = field.name, tell_of_spread(field)
    unit = unit_tools.difference_unit(field.unit)
    out = {
        f"{name}_eof": finished(eof, field, name=f"{name}_eof", unit=unit,
                                long_name=f"{name}: anomaly of one standard deviation"),
        f"{name}_pc": finished(pc, field, name=f"{name}_pc", unit="1",
                               long_name=f"{name}: principal component"),
        f"{name}_explained_variance": finished(
            fraction, field, name="fraction", unit="1",
            long_name=f"{name}: fraction of the variance, weighted by area"),
    }  # fmt: skip
    return xr.Dataset(out, attrs=note).assign_coords(mode=mode)


def leading_component(
    departures: xr.DataArray, area: xr.DataArray, positions: np.ndarray
) -> xr.DataArray:
    """First principal component, warm at the coast of North America; (member, time).

    The mode is that of the base period (of the mean of members), the component is
    that of all times, with unit standard deviation in the base period.
    """
    matrix, weight, cells = _as_matrix(departures, area)
    mean = matrix.mean(axis=0) if matrix.ndim == 3 else matrix
    patterns, _, _ = decompose(mean[positions], weight, 1)
    full = np.full(cells.shape, np.nan)
    full[cells] = patterns[0]
    lat, lon = (departures[d].values for d in ("lat", "lon"))
    inside = (lat[:, None] >= _COAST.south) & (lat[:, None] <= _COAST.north)
    inside = inside & (np.mod(lon, 360) >= _COAST.west) & (np.mod(lon, 360) <= _COAST.east)
    coast = full[inside & cells]
    sign = -1.0 if coast.size and coast.mean() < 0 else 1.0
    found = sign * project(matrix - mean[positions].mean(axis=0), patterns, weight)[..., 0]
    lead = [d for d in departures.dims if d not in ("lat", "lon")]
    return xr.DataArray(found, dims=lead, coords={d: departures[d] for d in lead})
