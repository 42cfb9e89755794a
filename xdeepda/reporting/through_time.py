"""Series: indices, heat content and the mean of each level, with the spread of the members.

Conducts the diagnostics of the package; knows which of them a domain allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.diagnostics.fields import Field, look
from xdeepda.diagnostics.heat import heat_content
from xdeepda.diagnostics.indices import INDICES, index
from xdeepda.diagnostics.trends import trend
from xdeepda.diagnostics.weights import GLOBE, area_mean, area_weights, box_area, depth_edges
from xdeepda.errors import InputError, Problems
from xdeepda.observations.quantities import TEMPERATURE, kind_of
from xdeepda.plot import series as draw_series
from xdeepda.reporting.described import units_of
from xdeepda.reporting.page import Cell, Section, paragraph, side_by_side, table
from xdeepda.reporting.pictures import Canvas
from xdeepda.reporting.subject import Subject, attempt, number

#: Indices that are tried: without the ONI, which is Niño 3.4 once more, and without modes,
#: which need decades.
USUAL = tuple(name for name, index in INDICES.items() if name != "oni" and not index.mode)

#: Lower limits of the layers whose heat is shown, metres.
_LAYERS = (300.0, 700.0, 2000.0)

#: Years below which an index says nothing: its anomalies are from the mean of the series.
_FEWEST_YEARS = 2.0

#: Bytes of the surface of a box in all cycles; more is not read for a page.
_MOST_BYTES = 512 * 2**20

_SIZE = (5.7, 2.5)

#: A mean of so few standard deviations is none.
_NOTHING = 1e-4


def temperatures(subject: Subject) -> list[str]:
    """Variables that are temperatures."""

    def kind(name: str, field: Field) -> str | None:
        return kind_of(name, str(field.array.attrs.get("standard_name", "")), field.unit)

    return [name for name, f in subject.fields.items() if kind(name, f) == TEMPERATURE]


def indices(subject: Subject, wanted: Sequence[str] | None) -> Section:
    """Indices that the domain contains."""
    section = Section("Indices")
    for var in temperatures(subject) or [""]:
        if not var:
            section.lacking.append("indices are of temperature, of which there is none")
        elif subject.cycle is None or subject.time is None:
            section.lacking.append("indices need several cycles")
        elif subject.first.grid.lat is None or subject.first.grid.lon is None:
            section.lacking.append("indices need latitude and longitude")
        elif (years := np.ptp(subject.numbers) / subject.cycle.per_year) < _FEWEST_YEARS - 0.1:
            section.lacking.append(f"indices: {years:.2g} years are too short for anomalies from "
                                   "their own mean")  # fmt: skip
        else:
            _indices(subject, var, wanted, section)
    return section


def _indices(subject: Subject, var: str, wanted: Sequence[str] | None, section: Section) -> None:
    """Pictures and numbers of the indices of one temperature."""
    figures, rows = [], []
    for name in USUAL if wanted is None else wanted:
        if wanted is None and (big := _too_big(subject, var, name)):
            section.lacking.append(f"{INDICES[name].words}: {big}")
            continue
        make = partial(_index, name=name)
        found = attempt(section, INDICES[name].words, make, subject.alone(var), var)
        if found is None:
            continue
        # the mode of another field is another mode
        others = {} if INDICES[name].mode else _others(subject, var, make)
        figures.append(_lines(found, others, INDICES[name].words))
        rows.append(_row(INDICES[name].words.split(":")[0], found, others))
    if not figures:
        return
    section.add(paragraph(
        f"Anomalies from the mean course of the year of {var} over the period shown. "
        + _of_band(next(iter(subject.fields.values())))))  # fmt: skip
    section.add(side_by_side(figures), _table(rows, "Indices"))


def _index(ds: xr.Dataset, var: str, *, name: str) -> xr.DataArray:
    """An index, read."""
    return index(ds, name, var).compute()


def _too_big(subject: Subject, var: str, name: str) -> str:
    """Why the boxes of an index are not read for a page; empty if they are."""
    field, size = subject.fields[var], 0.0
    for box in INDICES[name].boxes:
        cells = int((box_area(field.grid, box) > 0).sum())
        size += 8.0 * cells * subject.numbers.size * field.values.sizes.get("member", 1)
    if size <= _MOST_BYTES:
        return ""
    return f"its box holds {size / 2**30:.2g} GiB; indices=[{name!r}] reads it"


def _of_band(first: Field) -> str:
    """What the band is, or why there is none."""
    if first.values.sizes.get("member", 1) > 1:
        return "The band is twice the standard deviation of the members to both sides."
    return ("There is no band: the error of a mean needs members "
            "(assimilate(..., members=N, keep_members=True)).")  # fmt: skip


def _others(subject: Subject, var: str, make: Any) -> dict[str, Any]:
    """The same of the references, those of which it can be made."""
    out = {}
    for name, ds in subject.references.items():
        if var in ds:
            try:
                out[name] = make(ds, var)
            except InputError:
                continue
    return out


def _lines(found: xr.DataArray, others: dict[str, xr.DataArray], words: str) -> str:
    """Picture of a series with those of the references."""
    canvas = Canvas(_SIZE)
    for n, (name, other) in enumerate(others.items()):
        draw_series(other, ax=canvas.ax, color="k" if n == 0 else f"C{n + 1}", label=name,
                    linestyle="--", zorder=3)  # fmt: skip
    draw_series(found, ax=canvas.ax, color="C0", label="analysis")
    canvas.ax.set_ylabel(_unit(found))
    canvas.ax.axhline(0.0, color="0.6", linewidth=0.8)
    if others:
        canvas.ax.legend(fontsize="small", ncols=1 + len(others), loc="upper left", frameon=False)
        low, high = canvas.ax.get_ylim()
        canvas.ax.set_ylim(low, high + 0.18 * (high - low))
    text = words + (f", beside {', '.join(others)}" if others else "") + "."
    return canvas.html(f"Line through time. {text}", text)


def _unit(found: xr.DataArray) -> str:
    """Unit as a label; of numbers without one what they are."""
    unit = str(found.attrs.get("units", "1"))
    return "standard deviations" if unit == "1" else unit


def _mean(found: xr.DataArray) -> xr.DataArray:
    """Mean over members."""
    return found.mean([d for d in found.dims if d != _time_of(found)])


def _time_of(found: xr.DataArray) -> str:
    """Name of the axis of time of a series."""
    return next(str(d) for d in found.dims if d in found.coords and
                np.asarray(found[d].values).dtype.kind in "MO")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Numbers of one series.

    Attributes
    ----------
    words, unit : str
    mean, deviation, spread : float
        Mean and standard deviation in time of the mean over members, and their mean spread.
    agreement : dict of str to (float, float)
        Correlation with, and root mean square difference from, each reference.
    """

    words: str
    unit: str
    mean: float
    deviation: float
    spread: float
    agreement: dict[str, tuple[float, float]]


def _row(words: str, found: xr.DataArray, others: dict[str, xr.DataArray]) -> Row:
    """Numbers of a series."""
    mean = _mean(found)
    members = [d for d in found.dims if d not in mean.dims]
    several = bool(members) and found.sizes[members[0]] > 1
    spread = float(found.std(members, ddof=1).mean()) if several else np.nan
    agreement = {name: _agreement(mean, _mean(other)) for name, other in others.items()}
    return Row(words, _unit(found), float(mean.mean()), float(mean.std()), spread, agreement)


def _agreement(one: xr.DataArray, other: xr.DataArray) -> tuple[float, float]:
    """Correlation and root mean square difference at the same times."""
    a, b = (np.asarray(s.values, dtype=float) for s in (one, other))
    if a.shape != b.shape:
        return np.nan, np.nan
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 3:
        return np.nan, np.nan
    a, b = a[both], b[both]
    varies = a.std() > 0 and b.std() > 0
    correlation = float(np.corrcoef(a, b)[0, 1]) if varies else np.nan
    return correlation, float(np.sqrt(np.mean((a - b) ** 2)))


def _cell(value: float) -> Cell:
    return Cell(number(value), value)


def _table(rows: list[Row], caption: str) -> str:
    """Table of the series; the references are those that any of them was compared with."""
    names = list(dict.fromkeys(name for row in rows for name in row.agreement))
    shown = {"mean": "mean", "deviation": "standard deviation", "spread": "mean spread of members"}
    if not any(abs(row.mean) > _NOTHING * row.deviation for row in rows):
        del shown["mean"]  # of anomalies
    if not any(np.isfinite(row.spread) for row in rows):
        del shown["spread"]
    head: list[Any] = ["", "unit", *shown.values()]
    for name in names:
        head += [("correlation", f"with {name}"), ("RMS difference", f"from {name}")]
    lines = []
    for row in rows:
        pairs = (row.agreement.get(name, (np.nan, np.nan)) for name in names)
        lines.append([row.words, row.unit, *(_cell(getattr(row, name)) for name in shown),
                      *(_cell(value) for pair in pairs for value in pair)])  # fmt: skip
    return table(head, lines, caption)


# ---- heat


def heat(subject: Subject) -> Section:
    """Heat content of the layers that the levels reach through."""
    section = Section("Heat content")
    if subject.time is None or subject.sampled.size < 2:
        section.lacking.append("heat content needs several times")
    elif not temperatures(subject) or subject.first.grid.depth is None:
        section.lacking.append("heat content needs temperature on levels of depth")
    else:
        for var in temperatures(subject):
            _heat_of(subject, var, section)
    return section


def _heat_of(subject: Subject, var: str, section: Section) -> None:
    """Pictures and numbers of the heat content of one temperature."""
    edges = depth_edges(subject.fields[var])
    top, bottom = float(edges[0]), float(edges[-1])
    layers = [(top, z) for z in _LAYERS if z <= 1.001 * bottom] or [(top, bottom)]
    figures, rows = [], []
    for layer in layers:
        words = f"{layer[0]:.4g} to {layer[1]:.4g} m"
        found = attempt(section, f"heat content of {words}", _heat, subject, var, layer)
        if found is None:
            continue
        others = _others(subject, var, partial(_mean_heat, layer=layer))
        rows.append(_row(words, found, others))
        middle = float(_mean(found).mean())
        departures = {name: _less(other, middle) for name, other in others.items()}
        figures.append(_lines(_less(found, middle), departures, f"Heat content, {words}"))
    if figures:
        text = (f"Mean over the sea of the domain in {subject.amount}; the pictures show it less "
                f"the mean of the analysis. {_of_band(subject.fields[var])}")  # fmt: skip
        section.add(paragraph(text), side_by_side(figures), _table(rows, "Heat content"))
        if lost := [f"{z:g}" for z in _LAYERS if z > 1.001 * bottom]:
            section.lacking.append(f"heat content down to {' and '.join(lost)} m: the levels "
                                   f"reach to {bottom:.4g} m")  # fmt: skip


def _less(found: xr.DataArray, middle: float) -> xr.DataArray:
    out = found - middle
    out.attrs = found.attrs
    return out


def _heat(subject: Subject, var: str, layer: tuple[float, float]) -> xr.DataArray:
    """Mean heat of a layer in the cycles that are read."""
    parts = [_mean_heat(block, var, layer) for block in subject.blocks([var])]
    out = xr.concat(parts, str(subject.time), combine_attrs="override")
    return out


def _mean_heat(ds: xr.Dataset, var: str, layer: tuple[float, float]) -> xr.DataArray:
    """Heat of a layer in the mean over the columns of the domain, GJ m-2."""
    columns = heat_content(ds, var, depth=layer)
    problems = Problems("heat content")
    found = look(columns, None, problems)
    area = None if found is None else area_weights(found, GLOBE, problems)
    problems.raise_if_any()
    assert found is not None
    assert area is not None
    mean = found.layout.restore(area_mean(found.values, area) / 1e9)
    mean.attrs = {"units": "GJ m-2", "long_name": columns.attrs["long_name"]}
    return mean.rename("heat_content").compute()


# ---- the mean of each level


def drifts(subject: Subject) -> Section:
    """Trend of the mean of each level, beside those of the references."""
    section = Section("Drift")
    if subject.time is None or subject.cycle is None:
        section.lacking.append("drift needs several cycles")
        return section
    if not subject.whole:
        section.lacking.append(f"drift needs all cycles, of which {subject.amount} are read "
                               "(samples=None reads all)")  # fmt: skip
        return section
    for var in subject.fields:
        found = attempt(section, f"drift of {var}", _drift, subject.blocks([var]), var)
        if found is not None:
            others = _others(subject, var, lambda ds, name: _drift([ds], name))
            _show_drift(subject, var, found, others, section)
    return section


def _drift(blocks: Iterable[xr.Dataset], var: str) -> xr.Dataset:
    """Trend of the horizontal mean, with its interval."""
    means = []
    for block in blocks:
        problems = Problems("drift")
        field = look(block, var, problems)
        area = None if field is None else area_weights(field, GLOBE, problems)
        problems.raise_if_any()
        assert field is not None
        assert area is not None
        values = field.values.mean("member") if "member" in field.values.dims else field.values
        mean = field.layout.restore(area_mean(values.astype(np.float64), area)).compute()
        mean.attrs = {"units": field.unit, "long_name": var}
        means.append(mean.rename("level"))
        time = str(field.layout.axes.time)
    return trend(xr.concat(means, time, combine_attrs="override"))


def _show_drift(
    subject: Subject,
    var: str,
    found: xr.Dataset,
    others: dict[str, xr.Dataset],
    section: Section,
) -> None:
    """Table of the trends; those that are sure are warned of."""
    unit = f"{units_of(subject, var)[1]} per century"
    head: list[Any] = [("depth", "m"), ("trend", unit), ("95 % interval", unit)]
    head += [("trend", f"of {name}") for name in others]
    depth = subject.fields[var].layout.axes.depth
    levels = found[depth].values if depth is not None else np.array([np.nan])
    slope, low, high = (np.atleast_1d(found[f"level_trend{end}"].values)
                        for end in ("", "_lower", "_upper"))  # fmt: skip
    trends = [np.atleast_1d(o["level_trend"].values) for o in others.values()]
    lines = [[number(float(z), 4), _cell(float(slope[k])),
              f"{number(low[k])} to {number(high[k])}",
              *(_cell(float(t[k]) if t.size == levels.size else np.nan) for t in trends)]
             for k, z in enumerate(levels)]  # fmt: skip
    section.add(table(head, lines, f"Trend of the mean of each level: {var}"))
    sure = (low > 0) | (high < 0)
    if sure.any():
        where = ", ".join(f"{z:.4g}" for z in levels[sure])
        compared = "; compare with the references" if others else ""
        section.signs.append(f"The mean of {var} changes through the period at {where} m: a trend "
                             f"of the ocean, or drift{compared}.")  # fmt: skip
