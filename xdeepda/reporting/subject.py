"""What a page is about: an analysis understood once, what it is compared with, what is read of it.

Knows labels, grids and time; draws and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, gcd
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import Cycle
from xdeepda.diagnostics.fields import Field, look
from xdeepda.errors import InputError, Problems
from xdeepda.model import Model
from xdeepda.observations.departures import analysed_variables, cycle_of, departures
from xdeepda.plot.choosing import date, times_within
from xdeepda.plot.looking import view, with_axes
from xdeepda.reporting.page import Section
from xdeepda.source import BLOCK_BYTES

#: Metres: the levels nearest to these are shown, those that differ.
_SHOWN = (0.0, 100.0, 300.0)

#: Characters of what was found that is told with a reason.
_SHORT = 40

#: Bytes: an analysis of at most this size is read at once, and of all its cycles.
_HELD_BYTES = 2 * BLOCK_BYTES


@dataclass(eq=False)
class Subject:
    """An analysis and what belongs to it.

    Attributes
    ----------
    analysis : Dataset
        Dequantified, with the axes that were single values; lazy where the input is large.
    fields : dict of str to Field
        The analysed variables.
    cycle : Cycle or None
    numbers : numpy.ndarray of int64, shape (n,)
        Absolute numbers of the cycles.
    sampled : numpy.ndarray of int, shape (m,)
        Positions of the cycles that are read whole.
    moment : int
        Position of the cycle that maps and sections show.
    depths : tuple of float
        Levels that are shown; empty where there is no axis of depth.
    departures : Dataset or None
        Of the observations that were assimilated.
    references : dict of str to Dataset
        Fields to compare with, by name: those that have the variables on a grid.
    models : tuple of Model
    """

    analysis: xr.Dataset
    fields: dict[str, Field]
    cycle: Cycle | None
    numbers: np.ndarray
    sampled: np.ndarray
    moment: int
    depths: tuple[float, ...]
    departures: xr.Dataset | None = None
    references: dict[str, xr.Dataset] = field(default_factory=dict)
    models: tuple[Model, ...] = ()

    @property
    def first(self) -> Field:
        """The first of the variables, whose axes are those of all."""
        return next(iter(self.fields.values()))

    @property
    def time(self) -> str | None:
        """Name of the axis of time."""
        return self.first.layout.axes.time

    @property
    def whole(self) -> bool:
        """Whether all cycles are read."""
        return self.sampled.size == self.numbers.size

    @property
    def amount(self) -> str:
        """How many of the cycles are read, in words."""
        return f"{self.sampled.size} of {self.numbers.size} cycles"

    def has(self, var: str, part: str) -> bool:
        """Whether the analysis holds a part of a variable."""
        return f"{var}_{part}" in self.analysis

    def shown(self, var: str) -> xr.Dataset:
        """The cycle that maps and sections show, loaded."""
        names = [n for n in self.analysis.data_vars if n == var or str(n).startswith(f"{var}_")]
        one = self.analysis[names]
        if self.time is not None:
            one = one.isel({self.time: [self.moment]})
        return one.load()

    def alone(self, *names: str) -> xr.Dataset:
        """Some of the variables, with the bounds of the levels, which diagnostics ask for."""
        depth = self.first.layout.axes.depth
        bounds = None if depth is None else self.analysis[depth].attrs.get("bounds")
        more = [bounds] if bounds in self.analysis.data_vars else []
        return self.analysis[[*names, *more]]

    def blocks(self, names: Sequence[str]) -> Iterator[xr.Dataset]:
        """Cycles that are read, a few at a time, loaded."""
        part = self.alone(*names)
        if self.time is None:
            yield part.load()
            return
        size = 8 * sum(da.size for da in part.data_vars.values()) // self.numbers.size
        step = max(1, BLOCK_BYTES // max(size, 1))
        for start in range(0, self.sampled.size, step):
            yield part.isel({self.time: self.sampled[start : start + step]}).load()


def subject_of(
    analysis: Any, var: Any, time: Any, depths: Any, samples: int | None, problems: Problems
) -> Subject | None:
    """Understand what the page is about; None if there was a problem.

    Parameters
    ----------
    analysis : Dataset or DataArray
    var, time, depths, samples
        As given to the verb.
    problems : Problems
    """
    before = len(problems)
    ds = _dataset(analysis, problems)
    names = [] if ds is None else _names(ds, var, problems)
    if ds is None or not names or len(problems) > before:
        return None
    fields = {}
    for name in names:
        found = look(ds, name, problems)
        if found is not None:
            fields[name] = found
    if len(fields) < len(names) or len(problems) > before:
        return None
    first = fields[names[0]]
    at = first.layout.axes.time
    cycle = None if at is None else _cycle(ds, first)
    count = 1 if at is None else ds.sizes[at]
    numbers = np.arange(count) if cycle is None else cycle.index(ds[at].values)
    moment = _moment(ds, names[0], time, problems)
    shown = _depths(first, depths, problems)
    if samples is not None and (isinstance(samples, bool) or not isinstance(samples, int)
                                or samples < 2):  # fmt: skip
        problems.add(f"samples={samples!r} is no number of cycles", expected="2, 3, ..., or None")
    if len(problems) > before:
        return None
    small = ds.nbytes <= _HELD_BYTES or _in_memory(ds[names])
    most = None if small else samples
    stride = _stride(count, most, 1 if cycle is None else cycle.per_year)
    if ds.nbytes <= _HELD_BYTES:
        ds = ds.compute()
        fields = {n: f for n in names if (f := look(ds, n, problems)) is not None}
    return Subject(ds, fields, cycle, numbers, np.arange(0, count, stride), moment, shown)


def _dataset(analysis: Any, problems: Problems) -> xr.Dataset | None:
    """The analysis as a plain Dataset with all its axes."""
    if isinstance(analysis, xr.DataArray):
        analysis = analysis.to_dataset(name=str(analysis.name or "field"))
    if not isinstance(analysis, xr.Dataset):
        problems.add("this is no analysis", found=type(analysis).__name__,
                     expected="a Dataset, as assimilate gives it")  # fmt: skip
        return None
    return with_axes(unit_tools.dequantify(analysis))


def _names(ds: xr.Dataset, var: Any, problems: Problems) -> list[str]:
    """Variables that the page is about."""
    known = analysed_variables(ds, problems)
    wanted = known if var is None else [var] if isinstance(var, str) else list(var)
    if missing := [n for n in wanted if n not in known]:
        problems.add(f"variables are not analysed: {missing}", expected=f"of {known}")
        return []
    return wanted


def _cycle(ds: xr.Dataset, first: Field) -> Cycle | None:
    """Cycle of the analysis; None where a single time does not tell."""
    return cycle_of(ds, first.layout, Problems("cycle"))


def _moment(ds: xr.Dataset, name: str, time: Any, problems: Problems) -> int:
    """Position of the cycle that is shown: the one asked for, else the last."""
    seen = view(ds, name, problems)
    if seen is None or "time" not in seen.values.dims:
        if time is not None and seen is not None:
            problems.add("there is no time", found=f"dimensions {seen.source.layout.dims}")
        return 0
    found = times_within(seen, time, problems)
    # of several, such as those of a year, that in the middle
    return -1 if found is None else int(found[found.size // 2])


def _depths(first: Field, depths: Any, problems: Problems) -> tuple[float, ...]:
    """Levels that are shown."""
    levels = first.grid.depth
    if levels is None:
        if depths is not None:
            problems.add("depths=: there is no axis of depth", found=str(first.layout.dims))
        return ()
    try:
        wanted = np.atleast_1d(np.asarray(_SHOWN if depths is None else depths, dtype=float))
    except (TypeError, ValueError):
        wanted = np.array([np.nan])
    if wanted.ndim != 1 or not wanted.size or not (wanted >= 0).all():
        problems.add("depths= are no depths", found=repr(depths)[:200],
                     expected="metres, such as [5, 100, 500]")  # fmt: skip
        return ()
    inside = wanted if depths is not None else wanted[wanted <= 1.3 * levels[-1]]
    nearest = [int(np.argmin(np.abs(levels - z))) for z in inside] or [0]
    return tuple(float(levels[k]) for k in dict.fromkeys(nearest))


def _in_memory(ds: xr.Dataset) -> bool:
    """Whether the values are numbers already."""
    return all(isinstance(da.variable._data, np.ndarray) for da in ds.data_vars.values())


def _stride(count: int, most: int | None, per_year: int) -> int:
    """Every how many cycles one is read: all seasons come in turn."""
    if most is None or count <= most:
        return 1
    stride = ceil(count / most)
    while gcd(stride, per_year) > 1:
        stride += 1
    return stride


#: Where a table has no number.
NONE = "\N{EN DASH}"


# ---- what it is compared with


def departures_of(subject: Subject, analysis: Any, obs: Any, problems: Problems) -> Any:
    """Departures of the observations that are given, or of the ledger; None without any."""
    try:
        if obs is not None:
            return departures(subject.analysis, obs)
        if isinstance(analysis, xr.Dataset):
            return departures(analysis)
    except InputError as refused:
        if obs is not None:
            problems.absorb(refused)
    return None


def attempt(section: Section, what: str, make: Callable[..., Any], *arguments: Any) -> Any:
    """What can be made; None, with the reason in the section, where it cannot."""
    try:
        return make(*arguments)
    except InputError as refused:
        section.lacking.append(f"{what}: {reason(refused)}")
        return None


def reason(refused: InputError) -> str:
    """Why something was refused, in one line."""
    problems = getattr(refused, "problems", ())
    parts = [p.what + (f" ({p.found})" if 0 < len(p.found) <= _SHORT else "") for p in problems]
    return "; ".join(dict.fromkeys(parts)) if parts else str(refused).splitlines()[0]


def ends_of(times: Any) -> str:
    """First and last day in words."""
    return f"{date(times[0])} to {date(times[-1])}"


def number(value: float, digits: int = 3) -> str:
    """A number as it is read; a dash for none."""
    return f"{value:.{digits}g}" if np.isfinite(value) else NONE
