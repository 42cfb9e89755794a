"""Maps at some depths and sections along the equator: analysis, increment, spread.

Conducts the pictures of the package; the mean increment is the only thing that it calculates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.plot import section as draw_section
from xdeepda.plot.choosing import date, words_of
from xdeepda.plot.looking import View
from xdeepda.plot.maps import draw, map_size, prepared
from xdeepda.plot.style import refuse_empty
from xdeepda.reporting.page import Section, heading, paragraph, side_by_side
from xdeepda.reporting.pictures import Canvas
from xdeepda.reporting.subject import Subject, attempt

#: Parts that are shown, and their words.
_PARTS = {"analysis": "Analysis", "increment": "Increment", "spread": "Spread"}

#: Inches that the maps of a page are wide at most.
_WIDTH = 5.7


def maps(subject: Subject) -> Section:
    """Maps of the parts of each variable at some depths."""
    section = Section("Maps")
    if not _has_axes(subject, "lat", "lon"):
        section.lacking.append(f"maps need latitude and longitude, there are "
                               f"{subject.first.layout.dims}")  # fmt: skip
        return section
    section.add(paragraph(f"{_when(subject)}; dots are the cells that were observed in that cycle "
                          "at that level. Land and what has no value is grey."))  # fmt: skip
    for var in subject.fields:
        shown = subject.shown(var)
        means = _mean(subject, var)
        for depth in subject.depths or (None,):
            section.add(_heading(var, depth))
            section.add(side_by_side(_row(shown, var, depth, means, subject, section)))
    return section


def _has_axes(subject: Subject, *axes: str) -> bool:
    """Whether the variables lie along these axes."""
    return all(getattr(subject.first.grid, axis) is not None for axis in axes)


def _when(subject: Subject) -> str:
    """Cycle that is shown."""
    if subject.time is None:
        return "The fields have no time"
    return f"The cycle of {date(subject.analysis[subject.time].values[subject.moment])}"


def _heading(var: str, depth: float | None) -> str:
    """Variable and level."""
    return heading(var if depth is None else f"{var} at {depth:.4g} m")


def _parts(shown: xr.Dataset, var: str, section: Section) -> list[str]:
    """Parts that there are of a variable; the others are told once."""
    names = {"increment": f"{var}_background", "spread": f"{var}_spread"}
    there = [p for p in _PARTS if p == "analysis" or names[p] in shown]
    told = [f"{_PARTS[p].lower()} of {var}: the analysis has no {names[p]}"
            for p in _PARTS if p not in there]  # fmt: skip
    section.lacking += [text for text in told if text not in section.lacking]
    return there


def _row(
    shown: xr.Dataset,
    var: str,
    depth: float | None,
    means: xr.Dataset | None,
    subject: Subject,
    section: Section,
) -> list[str]:
    """Maps of one level."""
    out = []
    for part in _parts(shown, var, section):
        counted = part != "spread" and f"{var}_obs_count" in shown
        words = f"{_PARTS[part]} of {var}{_at(depth)}"
        out.append(attempt(section, words, _map, shown, var, part, depth, counted, words))
    if means is not None:
        words = f"Mean increment of {var}{_at(depth)}, {subject.amount}"
        name = f"{var}_increment"
        out.append(attempt(section, words, _map, means, name, None, depth, False, words))
    return [made for made in out if made]


def _at(depth: float | None) -> str:
    return "" if depth is None else f" at {depth:.4g} m"


def _map(
    ds: xr.Dataset, var: str, part: str | None, depth: float | None, obs: bool, words: str
) -> str:
    """One map."""
    seen, points = prepared(ds, var, part, depth, None, obs, None)
    refuse_empty(seen, words)
    width, height = map_size(seen)
    scale = min(1.0, _WIDTH / width)
    canvas = Canvas((width * scale, height * scale))
    drawn = draw(seen, canvas.ax, {})
    if points is not None:
        points.scatter(canvas.ax, drawn, True, {"s": 3})
    _bare(canvas, drawn, seen)
    return canvas.html(f"Map. {words}: {_ends(seen)}.", f"{words}: {_ends(seen)}.")


def _bare(canvas: Canvas, drawn: Any, seen: View) -> None:
    """Take away what heading and caption say: the title, and all of the label but the unit."""
    canvas.ax.set_title("")
    if drawn.colorbar is not None:
        drawn.colorbar.set_label(seen.values.attrs["units"])


def _ends(seen: View) -> str:
    """Smallest and largest value in words."""
    values, unit = seen.values.values, seen.values.attrs["units"]
    return f"{np.nanmin(values):.3g} to {np.nanmax(values):.3g} {unit}"


def _mean(subject: Subject, var: str) -> xr.Dataset | None:
    """Increment in the mean over the cycles that are read."""
    names = [var, f"{var}_background"]
    if names[1] not in subject.analysis or subject.sampled.size < 2:
        return None
    layout = subject.fields[var].layout
    sums = []
    for block in subject.blocks(names):
        value, before = (layout.canonical(block[n]).astype(float) for n in names)
        step = value - before
        step = step.mean("member") if "member" in step.dims else step
        sums.append(step.sum("time", skipna=False))
    total = sum(sums[1:], start=sums[0]) / subject.sampled.size
    mean = layout.restore(total)
    unit = unit_tools.difference_unit(subject.fields[var].unit)
    mean.attrs = {"long_name": f"{var}: mean increment", "units": unit}
    return mean.to_dataset(name=f"{var}_increment")


# ---- sections


def sections(subject: Subject) -> Section:
    """Sections of the parts of each variable along the equator, or what comes nearest."""
    part = Section("Sections")
    grid = subject.first.grid
    if not _has_axes(subject, "depth") or (grid.lat is None and grid.lon is None):
        part.lacking.append("sections need depth, and latitude or longitude")
        return part
    place, words = _place(subject)
    part.title = "Sections along the equator" if place == {"lat": 0.0} else "Sections"
    part.add(paragraph(f"{_when(subject)}, {words}."))
    for var in subject.fields:
        if len(subject.fields) > 1:
            part.add(heading(var))
        shown, figures = subject.shown(var), []
        for name in _parts(shown, var, part):
            told = f"{_PARTS[name]} of {var}, {words}"
            figures.append(attempt(part, told, _section, shown, var, name, place, told))
        part.add(side_by_side(figure for figure in figures if figure))
    return part


def _place(subject: Subject) -> tuple[dict[str, Any], str]:
    """Where the section lies: the equator, else the middle of the domain."""
    grid = subject.first.grid
    if grid.lat is None or grid.lon is None:
        return {}, "along the section that the data are"
    edges = grid.lat_edges
    assert edges is not None
    if edges[0] <= 0 <= edges[-1]:
        return {"lat": 0.0}, "along the row nearest to the equator"
    if grid.lat.size == 1:
        return {}, f"along {words_of('lat', float(grid.lat[0]))}"
    middle = float(grid.lat[grid.lat.size // 2])
    return {"lat": middle}, f"along {words_of('lat', middle)}, as the equator is outside"


def _section(ds: xr.Dataset, var: str, part: str, place: dict[str, Any], words: str) -> str:
    """One section."""
    canvas = Canvas((5.7, 3.1))
    draw_section(ds, var, part=part, ax=canvas.ax, **place)
    drawn = canvas.ax.collections[0]
    drawn.colorbar.set_label(drawn.colorbar.ax.get_ylabel().split("[")[-1].rstrip("]"))
    return canvas.html(f"Section. {words}.", f"{words}.")
