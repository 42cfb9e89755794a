"""Are the values of a control run fit to train on?  One pass over all of them, in blocks."""

from __future__ import annotations

import numpy as np

from xdeepda import units as unit_tools
from xdeepda.errors import Problems
from xdeepda.source import RunSource

#: Values outside are no ocean, but undeclared fill values: unit, low, high, words.
_PLAUSIBLE = (("degC", -10.0, 60.0, "temperature"), ("psu", -5.0, 60.0, "salinity"))


def check_values(source: RunSource, problems: Problems) -> np.ndarray:
    """Wet mask of a run after looking at every value, in blocks.

    Adds a problem for NaN inside the sea, for levels without any value, for a
    variable without any, and for numbers that can only be fill values.

    Returns
    -------
    numpy.ndarray of bool, shape (variable, nz, ny, nx)
    """
    count = np.zeros(source.shape, dtype=np.int64)
    empty: list[np.ndarray] = []
    low = np.full(len(source.variables), np.inf)
    high = -low
    for _, values in source.blocks():
        finite = np.isfinite(values)
        count += finite.sum(axis=0)
        empty.append(~finite.any(axis=(2, 3, 4)))
        masked = np.where(finite, values, np.nan)
        axes = (0, 2, 3, 4)
        with np.errstate(all="ignore"):
            low = np.fmin(low, np.nanmin(masked, axis=axes, initial=np.inf))
            high = np.fmax(high, np.nanmax(masked, axis=axes, initial=-np.inf))
    without = np.concatenate(empty)
    wet = count == (len(source) - without.sum(axis=0))[:, None, None, None]
    wet &= count > 0
    for v, name in enumerate(source.variables):
        _check_records(name, without[:, v], source, problems)
        _check_mask(name, count[v], wet[v], source, problems)
        _check_plausible(name, source.units[v], low[v], high[v], problems)
    return wet


def _check_records(name: str, without: np.ndarray, source: RunSource, problems: Problems) -> None:
    """Cycles without any value, among others that have some."""
    if not without.any() or without.all():
        return
    first = source.cycle.middle(source.cycles[without][:1], source.calendar)[0]
    problems.add(
        f"variable {name!r} has {source.cycle.name}s without any value",
        found=f"{int(without.sum())} of {without.size}, the first around {first}",
        expected="values at all times",
        todo=f"select a period without gaps, or fill them: .interpolate_na({source.time_name!r})",
    )


def _check_mask(
    name: str, count: np.ndarray, wet: np.ndarray, source: RunSource, problems: Problems
) -> None:
    """NaN inside the sea, empty levels, an empty variable."""
    partial = (count > 0) & ~wet
    if not wet.any() and not partial.any():
        problems.add(f"variable {name!r} holds no value at all", found="all NaN")
        return
    if partial.any():
        depth, lat, lon = (c[0] for c in source.grid.coordinates(np.flatnonzero(partial)[:1]))
        problems.add(
            f"variable {name!r} has NaN inside the sea",
            found=f"{int(partial.sum())} cells hold values at some times only, the first at "
            f"depth {depth:g} m, latitude {lat:g}, longitude {lon:g}",
            expected="the same land mask at all times",
            todo="fill them, or mask these cells at all times: "
            f"ds[{name!r}].where(ds[{name!r}].notnull().all({source.time_name!r}))",
        )
    empty = np.flatnonzero(~wet.any(axis=(1, 2)) & ~partial.any(axis=(1, 2)))
    if empty.size:
        depth = source.grid.coordinates(np.arange(wet.size))[0].reshape(wet.shape)[:, 0, 0]
        levels = ", ".join(f"{depth[k]:g} m" for k in empty)
        problems.add(
            f"variable {name!r} has levels without any value",
            found=levels,
            todo="leave them out: "
            f"ds.isel({source.layout.axes.depth}=...), {empty.size} of {wet.shape[0]} levels",
        )


def _check_plausible(name: str, unit: str, low: float, high: float, problems: Problems) -> None:
    """Numbers that can only be fill values."""
    for reference, bottom, top, words in _PLAUSIBLE:
        if reference == "psu" and "psu" not in unit_tools.parse(unit).__format__("~").lower():
            continue
        if not unit_tools.same_dimension(unit, reference) or not np.isfinite([low, high]).all():
            continue
        ends = [unit_tools.convert(x, unit, reference) for x in (float(low), float(high))]
        if ends[0] < bottom or ends[1] > top:
            problems.add(
                f"variable {name!r} holds values that are no {words} of the sea",
                found=f"{low:g} to {high:g} {unit}",
                todo="a fill value that is not declared? ds = ds.where(ds > ...); wrong units?",
            )
