"""Departures of observations from an analysis: read from its ledger, or calculated again.

Both ways give the same numbers: the fields that an analysis holds go through the same
operator as those of the running cycle did.  Knows analyses as Datasets; knows no model.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.axes import find_axes
from xdeepda.calendar import Cycle, calendar_of
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Layout
from xdeepda.observations.ledger import PREFIX, Ledger, detach, is_ledger, read_ledger
from xdeepda.observations.records import COMPARED, OUTSIDE, USED, records_of
from xdeepda.observations.sources import binned_sources
from xdeepda.observations.target import Target, target_of
from xdeepda.source import guess_cycle

#: Suffix of a variable of the analysis -> part of a cycle's fields.
_PARTS = {
    "": "analysis",
    "_spread": "analysis_spread",
    "_background": "background",
    "_background_spread": "background_spread",
}


def departures(analysis: xr.Dataset | xr.DataArray, obs: Any = None) -> xr.Dataset:
    """Compare an analysis with observations, datum by datum.

    Parameters
    ----------
    analysis : Dataset or DataArray
        From :func:`xdeepda.assimilate`.
    obs : Dataset, DataArray, pandas.DataFrame, or a list of these, optional
        Observations to compare with, such as withheld ones, in any form that
        ``assimilate`` takes.  By default those of the ledger that the analysis holds,
        or names in its attribute ``ledger``.

    Returns
    -------
    xarray.Dataset
        Along ``obs`` the columns of the observations, and for each datum, in the
        units of the analysis: ``observed`` (value in the definition of the analysis),
        ``observed_error``, ``background``, ``analysis``, ``innovation`` (O-B),
        ``residual`` (O-A), ``background_spread``, ``analysis_spread``; of its cell
        ``cell_value``, ``cell_error`` (from a ledger only), ``cell_count``; ``fate``,
        what became of it; ``analysed_variable``, ``cycle``, ``source_number`` and
        ``row``.  Where the analysis has members, the spread of theirs.  NaN where
        there is nothing to compare with.

    Raises
    ------
    InputError
        If this is no analysis; if there is no ledger and `obs` is not given; with
        all that is wrong with `obs`.

    Notes
    -----
    Equivalents are interpolated linearly to the place of the datum, from cells in the
    sea alone; in time they are those of the cycle that holds the datum.  A spread at
    a place is the mean of those around it with the same weights, as if errors of
    neighbouring cells were fully correlated.

    Examples
    --------
    >>> table = xdeepda.departures(analysis, withheld)  # doctest: +SKIP
    >>> float((table.residual**2).mean() ** 0.5)  # doctest: +SKIP
    """
    if obs is not None:
        return _computed(_dataset(analysis), obs)
    if isinstance(analysis, xr.Dataset):
        if is_ledger(analysis):
            return analysis
        found = detach(analysis)
        if found is not None:
            return found
        if "ledger" in analysis.attrs:
            return _opened(analysis)
    raise InputError(
        "departures: there is no ledger in this analysis; give the observations, obs=..., or "
        "assimilate with ledger=True"
    )


def _opened(analysis: xr.Dataset) -> xr.Dataset:
    """Ledger in the file that the analysis names, or in one of that name beside its own."""
    path = Path(str(analysis.attrs["ledger"]))
    own = analysis.encoding.get("source")
    places = [path] + ([Path(os.path.dirname(str(own))) / path.name] if own else [])
    for place in places:
        if place.is_file():
            return read_ledger(place, calendar_of_axis(analysis))
    raise InputError(
        f"departures: the ledger of this analysis is not at {' nor at '.join(map(str, places))}; "
        "put it back, or give the observations, obs=..."
    )


def calendar_of_axis(analysis: xr.Dataset) -> str:
    """Calendar of the time axis of an analysis."""
    axes = [c for c in analysis.coords.values() if c.attrs.get("axis") == "T"]
    return calendar_of(axes[0].values) if axes else "standard"


def _dataset(analysis: Any) -> xr.Dataset:
    """Analysis as a plain Dataset."""
    if isinstance(analysis, xr.DataArray):
        analysis = analysis.to_dataset(name=str(analysis.name or "value"))
    if not isinstance(analysis, xr.Dataset):
        raise InputError(f"departures: {type(analysis).__name__} is no analysis")
    return unit_tools.dequantify(analysis)


def _computed(analysis: xr.Dataset, obs: Any) -> xr.Dataset:
    """Departures from the fields that an analysis holds."""
    problems = Problems("departures")
    names = analysed_variables(analysis, problems)
    target = target_of(analysis, names, problems) if names else None
    layout = None if target is None else target.layouts[names[0]]
    cycle = None if layout is None else cycle_of(analysis, layout, problems)
    problems.raise_if_any()
    assert target is not None
    assert layout is not None
    assert cycle is not None
    numbers = cycle.index(analysis[layout.axes.time].values)
    period = int(numbers.min()), int(numbers.max())
    sources = binned_sources(obs, target, cycle, period=period, hold_back=False)
    records = records_of(sources, target, cycle)
    inside = records.fate == USED
    there = np.isin(records.cycle, numbers)
    records.fate[inside] = np.where(there[inside], COMPARED, OUTSIDE)
    ledger = Ledger(records, target, target.units, cycle)
    wanted = set(np.unique(records.cycle).tolist())
    for number, fields in _fields(analysis, target, numbers, wanted):
        ledger.record(number, fields, None)
    return ledger.to_dataset()


def analysed_variables(analysis: xr.Dataset, problems: Problems) -> list[str]:
    """Names of the analysed variables."""
    fields = [str(n) for n in analysis.data_vars if not str(n).startswith(PREFIX)]
    own = [n for n in fields if f"{n}_background" in fields or f"{n}_spread" in fields]
    if not own:
        suffixes = ("_bnds", "_bounds", "_obs_count", *(s for s in _PARTS if s))
        own = [
            n for n in fields
            if not n.endswith(suffixes) and _has_space_and_time(analysis[n])
        ]  # fmt: skip
    if not own:
        problems.add("this is no analysis", found=f"variables {fields}",
                     expected="fields along time, as assimilate gives them")  # fmt: skip
    # the background of a background is none
    return [n for n in own if not any(n == f"{o}{s}" for o in own for s in _PARTS if s)]


def _has_space_and_time(da: xr.DataArray) -> bool:
    """Whether a variable lies along time and in space."""
    try:
        axes = find_axes(da)
    except (InputError, NotImplementedError):
        return False
    return axes.time is not None and any((axes.depth, axes.lat, axes.lon))


def cycle_of(analysis: xr.Dataset, layout: Layout, problems: Problems) -> Cycle | None:
    """Cycle of an analysis: it says so, else as the times suggest."""
    if layout.axes.time is None:
        problems.add("the analysis has no time axis", todo="analysis.expand_dims('time')")
        return None
    axis = analysis[layout.axes.time]
    words = str(axis.attrs.get("long_name", "")).removeprefix("middle of the ")
    for name in (str(analysis.attrs.get("cycle", "")), words):
        try:
            return Cycle(name)
        except InputError:
            continue
    return guess_cycle(axis.values, problems)


def _fields(
    analysis: xr.Dataset, target: Target, numbers: np.ndarray, wanted: set[int]
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Cycles that are wanted, with their fields in the units of the target."""
    parts = {suffix: _canonical(analysis, target, suffix) for suffix in (*_PARTS, "_obs_count")}
    for position, number in enumerate(numbers.tolist()):
        if number not in wanted:
            continue
        fields: dict[str, np.ndarray] = {}
        for suffix, part in _PARTS.items():
            values = _part(parts[suffix], target, position)
            if values is None:
                continue
            if values.ndim == 5:
                fields[f"{part}_members"] = values
                values = values.mean(axis=0, dtype=np.float64)
            fields[part] = values
        count = _part(parts["_obs_count"], target, position)
        if count is not None:
            fields["count"] = count
        yield number, fields


def _canonical(
    analysis: xr.Dataset, target: Target, suffix: str
) -> list[tuple[xr.Variable, float]] | None:
    """One part of all variables in canonical order, not read yet, and its factor; None if missing.

    Variables without coordinates: selecting a time from them costs next to nothing.
    """
    parts = []
    for name, unit in zip(target.variables, target.units, strict=True):
        if name + suffix not in analysis:
            return None
        factor = 1.0
        if suffix.endswith("_spread"):
            own = unit_tools.unit_of(analysis[name + suffix]) or unit_tools.difference_unit(unit)
            if own != unit_tools.difference_unit(unit):
                factor = float(unit_tools.convert_difference(1.0, own, unit))
        canonical = target.layouts[name].canonical(analysis[name + suffix])
        parts.append((canonical.variable, factor))
    return parts


def _part(
    canonical: list[tuple[xr.Variable, float]] | None, target: Target, position: int
) -> np.ndarray | None:
    """One part of all variables at one time, ([member,] variable, nz, ny, nx); None if missing."""
    if canonical is None:
        return None
    parts = []
    for variable, factor in canonical:
        field = variable.isel(time=position)
        values = np.asarray(field.values)
        values = values.reshape(*values.shape[: int("member" in field.dims)], *target.grid.shape)
        parts.append(values if factor == 1.0 else values * factor)
    return np.stack(parts, axis=-4)
