"""Several pictures of one kind side by side: one for each time, level, member or place.

The habits are those of xarray: ``col=``, ``row=``, ``col_wrap=``, one colour bar, and its
``FacetGrid`` is what comes back.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import Problems
from xdeepda.plot.choosing import (
    ALL,
    date,
    nearest_place,
    number_of,
    times_within,
    words_of,
)
from xdeepda.plot.looking import View
from xdeepda.plot.style import LAND, colours

#: Pictures in one figure; more cannot be read.
MOST = 40


@dataclass(frozen=True)
class Facets:
    """What the pictures differ in.

    Attributes
    ----------
    roles : dict of {"col", "row"} to str
        Canonical name of the axis.
    positions : dict of str to numpy.ndarray of int
        Those of each axis that have a picture.
    words : dict of str to list of str
        Title of each.
    """

    roles: dict[str, str]
    positions: dict[str, np.ndarray]
    words: dict[str, list[str]]

    def of(self, names: dict[Any, Any]) -> dict[str, int]:
        """Positions on the axes of one picture, by its titles."""
        return {axis: int(self.positions[axis][self.words[axis].index(names[axis])])
                for axis in self.positions}  # fmt: skip


def facets_of(
    seen: View, col: str | None, row: str | None, wanted: dict[str, Any], problems: Problems
) -> Facets | None:
    """Choose what the pictures differ in, and take these parts; None without, or with a problem.

    Parameters
    ----------
    seen : View
        Before anything else is chosen of its axes.
    col, row : str or None
        Names of axes, the user's or canonical ones.
    wanted : dict
        Canonical name of each axis that is possible -> what is chosen of it.
    problems : Problems
    """
    before = len(problems)
    roles: dict[str, str] = {}
    for role, name in (("col", col), ("row", row)):
        if name is None:
            continue
        axis = _canonical(seen, name)
        if axis not in wanted or axis not in seen.values.dims:
            there = [a for a in wanted if a in seen.values.dims]
            problems.add(f"{role}={name!r} is no axis that pictures can differ in",
                         expected=f"of {there}")  # fmt: skip
        elif axis in roles.values():
            problems.add(f"col= and row= are both {name!r}")
        else:
            roles[role] = axis
    positions = {axis: _positions(seen, axis, wanted[axis], problems) for axis in roles.values()}
    if len(problems) > before or not roles:
        return None
    chosen = {axis: held for axis, held in positions.items() if held is not None}
    if (count := int(np.prod([held.size for held in chosen.values()]))) > MOST:
        problems.add(f"{count} pictures are too many", expected=f"{MOST} at most",
                     todo="choose some: time=slice(...), depth=[...]")  # fmt: skip
        return None
    words = {axis: _words(seen, axis, held) for axis, held in chosen.items()}
    seen.values = seen.values.isel(chosen)
    return Facets(roles, chosen, words)


def _canonical(seen: View, name: str) -> str:
    """Canonical name of an axis by the user's."""
    axes = seen.source.layout.axes
    known = ("time", "depth", "lat", "lon", "member")
    return next((axis for axis in known if getattr(axes, axis) == name), name)


def _positions(seen: View, axis: str, wanted: Any, problems: Problems) -> np.ndarray | None:
    """Positions of an axis that are chosen; None with a problem."""
    if axis == "time":
        return times_within(seen, ALL if wanted is None else wanted, problems)
    known = axis in seen.values.coords
    at = seen.values[axis].values if known else np.arange(seen.values.sizes[axis])
    if wanted is None:
        return np.arange(at.size)
    several = list(wanted) if isinstance(wanted, (list, tuple, np.ndarray)) else [wanted]
    if axis in ("lat", "lon"):
        found = [nearest_place(seen, axis, one, problems) for one in several]
        return np.array(list(dict.fromkeys(n for n in found if n is not None)), dtype=int)
    numbers = [n for n in map(number_of, several) if n is not None]
    if len(numbers) < len(several) or not numbers:
        problems.add(f"{axis}={wanted!r}: these are no numbers", expected="a list of numbers")
        return None
    if axis == "member":
        if not {*numbers} <= {*range(at.size)}:
            problems.add(f"there are no members {wanted!r}", expected=f"of 0 to {at.size - 1}")
            return None
        return np.array(numbers, dtype=int)
    nearest = (int(np.argmin(np.abs(at - number))) for number in numbers)
    return np.array(list(dict.fromkeys(nearest)))


def _words(seen: View, axis: str, positions: np.ndarray) -> list[str]:
    """Titles, which differ from each other."""
    if axis == "member":
        return [f"member {n}" for n in positions]
    values = seen.values[axis].values[positions]
    texts = [date(v) if axis == "time" else words_of(axis, float(v)) for v in values]
    return texts if len({*texts}) == len(texts) else [f"{v!s:.16}" for v in values]


def draw_facets(
    seen: View,
    facets: Facets,
    axes: tuple[str, str],
    finish: Callable[[Any], None],
    options: dict[str, Any],
) -> Any:
    """Pictures with one colour bar.

    Parameters
    ----------
    seen : View
        Of the two axes of each picture and those of the facets.
    facets : Facets
    axes : (str, str)
        Canonical names of the horizontal and vertical axis.
    finish : callable
        Takes the matplotlib axes of each picture.
    options : dict
        The user's, for ``DataArray.plot.pcolormesh``.

    Returns
    -------
    xarray.plot.FacetGrid
    """
    given = dict(options)
    coords = {axis: words for axis, words in facets.words.items() if axis in seen.values.dims}
    values = seen.values.assign_coords(coords)
    style = {**colours(seen, values, given), **given}
    bar, label = style.pop("add_colorbar", True), style.pop("cbar_kwargs", None) or {}
    drawing: Any = values.plot.pcolormesh
    with xr.set_options(keep_attrs=True):
        grid = drawing(x=axes[0], y=axes[1], add_colorbar=False, **facets.roles, **style)
    # before there is a colour bar, which has to know of it
    grid.fig.set_layout_engine("constrained")
    if bar:
        words = textwrap.fill(seen.label, 30)  # as xarray does
        grid.add_colorbar(**{"label": words, **label})
    grid.set_titles(template="{value}")
    left = {id(ax) for ax in grid.axs[:, 0]}
    for ax, names in zip(grid.axs.flat, grid.name_dicts.flat, strict=True):
        if names is None:
            continue
        ax.set_facecolor(LAND)
        finish(ax)
        if id(ax) not in left:
            ax.set_ylabel("")
    if seen.title:
        grid.fig.suptitle(seen.title, fontsize="medium")
    if grid.axs.flat[0].get_aspect() != "auto":
        # the layout of maps settles when it is done again
        for _ in range(2):
            grid.fig.draw_without_rendering()
    return grid
