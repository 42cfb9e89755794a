"""Which observations there were, through time and by system, and how far they are from the fields.

Knows tables of departures; calculates their means by layer, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.observations.records import ALL_FATES
from xdeepda.plot import coverage, innovations
from xdeepda.plot.choosing import date
from xdeepda.plot.covered import LAYERS
from xdeepda.reporting.described import units_of
from xdeepda.reporting.page import Cell, Section, heading, paragraph, side_by_side, table
from xdeepda.reporting.pictures import Canvas
from xdeepda.reporting.subject import NONE, Subject, attempt, number

#: Columns that may name an observing system, the first that is there.
_SYSTEMS = ("instrument", "source", "platform", "source_number")
_MOST = 20
#: Actual over expected mean square of O-B, beyond which both do not agree.
_APART = (0.64, 1.5625)


def observed(subject: Subject) -> Section:
    """Observations by system and through time."""
    section = Section("Observations")
    rows = subject.departures
    if rows is None:
        section.lacking.append(
            "observations by system: the analysis has no ledger, and obs= was not given"
        )
        _from_counts(subject, section)
    elif not rows.sizes["obs"]:
        section.lacking.append("observations by system: the table holds none")
    else:
        section.add(_by_system(rows), _by_fate(rows))
        _pictures(rows, section)
    _unobserved(subject, section)
    return section


def _from_counts(subject: Subject, section: Section) -> None:
    """Observations through time as the analysis counts them."""
    figures = []
    for var in subject.fields:
        if not subject.has(var, "obs_count"):
            section.lacking.append(f"observations of {var} through time: they were not counted")
            continue
        words = f"Observations of {var} that the analysis used, by depth and time"
        found = attempt(section, words, _coverage, _counts(subject, var), words, (8.0, 3.4),
                        {"var": var})  # fmt: skip
        figures.append(found or "")
    section.add(side_by_side(figures))


def _coverage(
    obs: xr.Dataset, words: str, inches: tuple[float, float], options: dict[str, Any]
) -> str:
    """Numbers of observations through time."""
    canvas = Canvas(inches)
    coverage(obs, ax=canvas.ax, **options)
    return canvas.html(f"Numbers through time. {words}.", f"{words}.")


def _counts(subject: Subject, var: str) -> xr.Dataset:
    """Numbers of observations with their variable; summed cycle by cycle where they are large."""
    ds = subject.analysis[[var, f"{var}_obs_count"]]
    return ds if subject.time is None or subject.whole else ds.chunk({subject.time: 1})


def _system(rows: xr.Dataset) -> str:
    """Column that names the observing system."""
    return next((n for n in _SYSTEMS if n in rows.variables), "variable")


def _by_system(rows: xr.Dataset) -> str:
    """Numbers, platforms, depths and dates of each system."""
    column = _system(rows)
    names = np.asarray(rows[column].values).astype(str)
    found, code, counts = np.unique(names, return_inverse=True, return_counts=True)
    head: list[Any] = [column.replace("_", " "), "data", ("share", "%"), ("compared", "%"),
                       "platforms", ("depth", "m"), "first", "last"]  # fmt: skip
    lines = []
    order = np.argsort(-counts, kind="stable")
    compared = np.isfinite(np.asarray(rows["analysis"].values, dtype=float))
    times, depth = rows["time"].values, np.asarray(rows["depth"].values, dtype=float)
    known = ~np.asarray(rows["time"].isnull().values)
    for n in order[:_MOST]:
        own = np.flatnonzero(code == n)
        here = own[known[own]]
        lines.append([
            found[n] or "(unknown)", Cell(f"{counts[n]:,}", int(counts[n])),
            number(100 * counts[n] / names.size), number(100 * compared[own].mean()),
            _platforms(rows, own), _span(depth[own]),
            date(times[here].min()) if here.size else NONE,
            date(times[here].max()) if here.size else NONE,
        ])  # fmt: skip
    caption = f"Observations by {column.replace('_', ' ')}"
    if order.size > _MOST:
        caption += f", the {_MOST} most frequent of {order.size}"
    return table(head, lines, caption)


def _platforms(rows: xr.Dataset, own: np.ndarray) -> str:
    """Number of different platforms."""
    if "platform" not in rows.variables:
        return NONE
    names = np.asarray(rows["platform"].values)[own].astype(str)
    return f"{np.unique(names[names != '']).size:,}"


def _span(depth: np.ndarray) -> str:
    """Shallowest and deepest."""
    there = depth[np.isfinite(depth)]
    return f"{there.min():.4g} to {there.max():.4g}" if there.size else NONE


def _by_fate(rows: xr.Dataset) -> str:
    """What became of the data."""
    fate = np.asarray(rows["fate"].values, dtype=int)
    counts = np.bincount(fate, minlength=len(ALL_FATES))
    lines = [[ALL_FATES[n], Cell(f"{counts[n]:,}", int(counts[n])),
              number(100 * counts[n] / fate.size)] for n in np.flatnonzero(counts)]  # fmt: skip
    return table(["what became of the data", "data", ("share", "%")], lines,
                 "Use of the observations")  # fmt: skip


def _pictures(rows: xr.Dataset, section: Section) -> None:
    """Coverage by system, and by depth."""
    column = _system(rows)
    figures = []
    for by in ("depth",) if column in ("source_number", "variable") else (column, "depth"):
        words = f"Observations through time, by {by}"
        found = attempt(section, words, _coverage, rows, words, (5.7, 3.2), {"by": by})
        figures.append(found or "")
    section.add(side_by_side(figures))


def _unobserved(subject: Subject, section: Section) -> None:
    """Warn of levels that no observation reached."""
    grid = subject.first.grid
    for var in subject.fields:
        counts = _counts_of_levels(subject, var)
        if counts is None or grid.depth is None:
            continue
        if not counts.any():
            section.signs.append(f"No observation of {var} was used.")
        elif (counts == 0).any():
            levels = ", ".join(f"{z:.4g}" for z in grid.depth[counts == 0])
            where = "" if subject.whole else f" in {subject.amount}"
            section.signs.append(f"Levels of {var} without an observation{where}: {levels} m.")


def _counts_of_levels(subject: Subject, var: str) -> np.ndarray | None:
    """Observations at each level; None where they were not counted."""
    name, layout = f"{var}_obs_count", subject.fields[var].layout
    if name not in subject.analysis or layout.axes.depth is None:
        return None
    sums = []
    for block in subject.blocks([name]):
        counts = layout.canonical(block[name])
        sums.append(counts.sum([d for d in counts.dims if d != "depth"]).values)
    return np.asarray(np.sum(sums, axis=0))


# ---- departures


def departed(subject: Subject) -> Section:
    """Innovations and residuals."""
    section = Section("Innovations")
    rows = subject.departures
    if rows is None:
        section.lacking.append("O-B and O-A: the analysis has no ledger, and obs= was not given")
        return section
    for var in subject.fields:
        own = np.asarray(rows["analysed_variable"].values).astype(str) == var
        part = rows.isel(obs=np.flatnonzero(own))
        if not np.isfinite(np.asarray(part["residual"].values, dtype=float)).any():
            section.lacking.append(f"O-B and O-A of {var}: no datum has a value to compare with")
            continue
        if len(subject.fields) > 1:
            section.add(heading(var))
        section.add(_histograms(part, var, section), _by_layer(part, units_of(subject, var)[1]))
        _judge(part, var, section)
    section.add(paragraph(
        "O-B is observation minus background, O-A observation minus analysis, at the place of the "
        "datum; expected is the root mean square of the background's spread and the "
        "observation's error. Observations that were assimilated do not tell how good the analysis "
        "is: O-A is small wherever they were believed.", "note"))  # fmt: skip
    return section


def _histograms(rows: xr.Dataset, var: str, section: Section) -> str:
    """Histograms of departures, plain and normalised."""
    figures = []
    for normalised, words in (
        (False, "Departures of the observations"),
        (True, "O-B over the error that is expected of it, and the normal distribution"),
    ):
        figures.append(attempt(section, words, _histogram, rows, var, normalised, words) or "")
    return side_by_side(figures)


def _histogram(rows: xr.Dataset, var: str, normalised: bool, words: str) -> str:
    """One histogram."""
    canvas = Canvas((5.7, 3.4))
    innovations(rows, var=var, normalised=normalised, ax=canvas.ax)
    return canvas.html(f"Histogram. {words}: {var}.", f"{words}: {var}.")


def _columns(rows: xr.Dataset) -> dict[str, np.ndarray]:
    """O-B, O-A and the expected variance of O-B."""
    names = ("innovation", "residual", "background_spread", "observed_error", "depth")
    empty = np.full(rows.sizes["obs"], np.nan)
    found = {n: np.asarray(rows[n].values, dtype=float) if n in rows.variables else empty
             for n in names}  # fmt: skip
    found["expected"] = found["background_spread"] ** 2 + found["observed_error"] ** 2
    return found


def _by_layer(rows: xr.Dataset, unit: str) -> str:
    """Means and deviations of the departures by layer."""
    found = _columns(rows)
    depth = found["depth"]
    layers = [(f"{a:g} to {b:g}", (depth >= a) & (depth < b))
              for a, b in pairwise(LAYERS)]  # fmt: skip
    layers.append(("all", np.ones(depth.size, dtype=bool)))
    columns = ("mean O-B", "RMS O-B", "expected", "mean O-A", "RMS O-A")
    head: list[Any] = [("depth", "m"), "data", *((words, unit) for words in columns)]
    lines = [[words, *_line(found, held)] for words, held in layers
             if np.isfinite(found["residual"][held]).any()]  # fmt: skip
    return table(head, lines, "Departures by layer")


def _line(found: dict[str, np.ndarray], held: np.ndarray) -> Iterator[Cell]:
    """Numbers of one layer."""
    before, after, expected = (found[n][held] for n in ("innovation", "residual", "expected"))
    there = np.isfinite(after)
    yield Cell(f"{int(there.sum()):,}", int(there.sum()))
    for values in (_mean(before), _mean(before**2) ** 0.5,
                   _mean(np.where(np.isfinite(before), expected, np.nan)) ** 0.5,
                   _mean(after), _mean(after**2) ** 0.5):  # fmt: skip
        yield Cell(number(values), float(values))


def _mean(values: np.ndarray) -> float:
    """Mean of what is there; NaN for nothing."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else float("nan")


def _judge(rows: xr.Dataset, var: str, section: Section) -> None:
    """Warn where O-B is not what is expected of it."""
    found = _columns(rows)
    both = np.isfinite(found["innovation"]) & np.isfinite(found["expected"])
    if not both.any():
        return
    ratio = _mean(found["innovation"][both] ** 2) / _mean(found["expected"][both])
    if not _APART[0] <= ratio <= _APART[1]:
        side = "larger" if ratio > 1 else "smaller"
        section.signs.append(
            f"O-B of {var} is {side} than expected: its mean square is {ratio:.2g} times the sum "
            "of the variances of background and observations."
        )
