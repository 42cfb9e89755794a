"""Animations: a map that goes through the cycles."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import Problems
from xdeepda.plot.choosing import ALL, choose_depth, choose_member, date, times_within
from xdeepda.plot.looking import View, view
from xdeepda.plot.maps import draw, map_size
from xdeepda.plot.style import new_axes, refuse_empty

#: Ending of a file -> writer of matplotlib.
_WRITERS = {".gif": "pillow", ".mp4": "ffmpeg", ".webm": "ffmpeg", ".mov": "ffmpeg"}


def animate(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    path: str | os.PathLike[str] | None = None,
    part: str | None = None,
    depth: Any = None,
    time: Any = None,
    member: int | None = None,
    fps: float = 4.0,
    dpi: float = 100.0,
    projection: Any = None,
    figsize: tuple[float, float] | None = None,
    **kwargs: Any,
) -> Any:
    """Map that goes through the cycles, in colours that stay.

    Parameters
    ----------
    ds, var, part, depth, member, projection, figsize
        As :func:`xdeepda.plot.map`.
    path : str or path, optional
        File to write: ``.gif``, or ``.mp4``, ``.webm`` and ``.mov`` where ffmpeg is installed.
    time : str or slice, optional
        The period, such as ``"1997"``; by default all.
    fps : float
        Cycles shown in a second.
    dpi : float
        Dots per inch of the file.
    **kwargs
        As ``DataArray.plot.pcolormesh``.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        In a notebook, ``HTML(animation.to_jshtml())`` shows it.

    Raises
    ------
    InputError
        As :func:`xdeepda.plot.map`; also for a file that cannot be written, before
        anything is drawn.

    Examples
    --------
    >>> analysis.deepda.plot.animate(depth=100, time="1997", path="1997.gif")  # doctest: +SKIP
    """
    problems = Problems("plot.animate")
    writer = None if path is None else _writer(Path(path), problems)
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not fps > 0:
        problems.add(f"fps={fps!r} is no rate", expected="a positive number")
    seen = view(ds, var, problems, part=part, needs=("time", "lat", "lon"))
    positions = None
    if seen is not None:
        choose_depth(seen, depth, problems)
        choose_member(seen, member, problems)
        positions = times_within(seen, ALL if time is None else time, problems)
    problems.raise_if_any()
    assert seen is not None
    frames = seen.values.isel(time=positions).compute()
    subplot = {} if projection is None else {"projection": projection}
    made = _animated(seen, frames, fps, subplot, figsize, kwargs)
    if path is not None:
        made.save(os.fspath(path), writer=writer, dpi=dpi)
    return made


def _writer(path: Path, problems: Problems) -> str | None:
    """Writer of matplotlib for a file; a problem if there is none."""
    from matplotlib.animation import writers

    name = _WRITERS.get(path.suffix.lower())
    if name is None:
        problems.add(f"path={str(path)!r} is no animation", expected=f"of {list(_WRITERS)}")
    elif not writers.is_available(name):
        problems.add(f"{path.suffix} files need {name}, which is not installed", todo="a .gif file")
    if not path.absolute().parent.is_dir():
        problems.add(f"there is no folder {str(path.absolute().parent)!r}")
    return name


def _animated(
    seen: View, frames: xr.DataArray, fps: float, subplot: dict[str, Any], figsize: Any, kwargs: Any
) -> Any:
    """Draw the first frame, and how the others replace it."""
    from matplotlib.animation import FuncAnimation

    words = list(seen.words)
    seen.values = frames
    refuse_empty(seen, "plot.animate")
    limits = _limits(seen, kwargs)
    seen.values = frames.isel(time=0, drop=True)
    ax = new_axes(None, figsize, map_size(seen), **subplot)
    drawn = draw(seen, ax, {**limits, **kwargs})
    times = frames["time"].values
    values = np.ma.masked_invalid(frames.transpose("time", "lat", "lon").values)

    def show(n: int) -> tuple[Any]:
        drawn.set_array(values[n])
        ax.set_title(", ".join([*(w for w in words if w), date(times[n])]))
        return (drawn,)

    show(0)
    # the layout of the first frame stays: pictures that jump are hard to watch
    ax.figure.canvas.draw()
    ax.figure.set_layout_engine("none")
    return FuncAnimation(ax.figure, show, frames=len(times), interval=1000 / fps, blit=False)


def _limits(seen: View, given: dict[str, Any]) -> dict[str, float]:
    """Limits of the colours over all frames; the user's go first."""
    if {"vmin", "vmax", "norm", "levels"} & {*given}:
        return {}
    values = seen.values.values
    ends = (2, 98) if given.get("robust") else (0, 100)
    low, high = (float(q) for q in np.nanpercentile(values, ends))
    if seen.kind == "difference" and "center" not in given:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    elif seen.kind in ("spread", "count"):
        low = 0.0
    return {"vmin": low, "vmax": high if high > low else low + 1.0}
