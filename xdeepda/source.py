"""A run as cycle means, read in blocks.

A :class:`RunSource` understands a Dataset or DataArray once (axes, grid, units,
calendar, cycles, wet mask) and then gives plain arrays of a few cycles at a
time, so that a run on disk is streamed and never loaded whole.

Knows xarray and numpy; no torch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.axes import find_axes
from xdeepda.calendar import CYCLES, Cycle, calendar_of
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Grid, Layout, layout_of
from xdeepda.reading import read

logger = logging.getLogger("xdeepda")

#: A block of a run held in memory while streaming (bytes, float32).
BLOCK_BYTES = 128 * 2**20

#: A run of at most this many bytes (float32) is held as one tensor while training; a longer
#: one, and one of dask, is read in segments.
HOLD_BYTES = 2 * 2**30


def select_fields(
    obj: xr.Dataset | xr.DataArray,
    var: str | Sequence[str] | None,
    problems: Problems,
) -> dict[str, xr.DataArray]:
    """Fields of a Dataset or DataArray by name, dequantified; empty if there was a problem.

    Without `var`, a DataArray is its own field, and of a Dataset the only
    variable that has at least one spatial axis is taken.
    """
    if not isinstance(obj, (xr.Dataset, xr.DataArray)):
        problems.add(
            "this is no field", found=type(obj).__name__, expected="a Dataset or DataArray"
        )
        return {}
    wanted = [var] if isinstance(var, str) else var
    if wanted is not None and not _are_names(wanted):
        problems.add(
            "var= is no name", found=repr(var), expected="a name, or a list of different names"
        )
        return {}
    plain = unit_tools.dequantify(obj)
    if isinstance(plain, xr.DataArray):
        return _select_array(plain, wanted, problems)
    candidates = [str(n) for n, da in plain.data_vars.items() if _is_field(da, plain)]
    if wanted is None and len(candidates) != 1:
        problems.add(
            "which variable is not clear",
            found=f"fields {candidates}",
            todo="name it: var='thetao', or var=['thetao', 'so'] for both together",
        )
        return {}
    wanted = candidates if wanted is None else wanted
    missing = [name for name in wanted if name not in plain.data_vars]
    if missing:
        problems.add(
            "variables are not in the Dataset",
            found=f"{missing}",
            expected=f"of {candidates}",
        )
        return {}
    return {name: plain[name] for name in wanted}


def _are_names(var: object) -> bool:
    """Whether this is a list of different names."""
    if not isinstance(var, (list, tuple)) or not var:
        return False
    return all(isinstance(name, str) for name in var) and len(set(var)) == len(var)


def _select_array(
    da: xr.DataArray, wanted: Sequence[str] | None, problems: Problems
) -> dict[str, xr.DataArray]:
    """A DataArray as the one field that it is."""
    name = str(da.name) if da.name is not None else None
    if wanted is None:
        return {name or "field": da}
    if len(wanted) > 1:
        problems.add("a DataArray is one variable", found=f"var={wanted}", todo="give a Dataset")
    elif name not in (None, wanted[0]):
        problems.add(
            "the DataArray is another variable",
            found=repr(name),
            expected=repr(wanted[0]),
            todo=f"da.rename({wanted[0]!r}), if it is the same quantity",
        )
    return {wanted[0]: da}


def _is_field(da: xr.DataArray, ds: xr.Dataset) -> bool:
    """Whether a variable looks like a field in space (and not like bounds)."""
    if any(str(c.attrs.get("bounds")) == str(da.name) for c in ds.variables.values()):
        return False
    if not np.issubdtype(da.dtype, np.number):
        return False
    try:
        axes = find_axes(da)
    except (InputError, NotImplementedError):
        return False
    spatial = sum(getattr(axes, name) is not None for name in ("depth", "lat", "lon"))
    return spatial >= 1 and (axes.time is not None or spatial == 3)


def guess_cycle(times: np.ndarray, problems: Problems) -> Cycle | None:
    """Cycle that the spacing of times suggests; said in the log."""
    if times.size < 2:
        problems.add("the cycle is not clear from a single time", todo=f"cycle=, of {list(CYCLES)}")
        return None
    step = np.median([_days(b - a) for a, b in pairwise(times)])
    name = "year" if step > 200 else "month" if step > 20 else "pentad"
    logger.info("cycle %r guessed from a time step of %.3g days", name, step)
    return Cycle(name)


def _days(difference: object) -> float:
    """Days of a timedelta of numpy or of the standard library."""
    if isinstance(difference, np.timedelta64):
        return float(difference / np.timedelta64(1, "s")) / 86400
    return difference.total_seconds() / 86400  # type: ignore[attr-defined]


class RunSource:
    """A run as cycle means.

    Parameters
    ----------
    obj : Dataset or DataArray
    var : str or list of str, optional
    cycle : Cycle or None
        Guessed from the time step where None.
    problems : Problems, optional
        Collects what is wrong; raised here if not given.

    Attributes
    ----------
    variables, units : tuple of str
    layouts : dict of Layout
        By variable; `layout` is that of the first.
    fields : list of DataArray
        Canonical, lazy where the input is.
    calendar : str
    cycles : numpy.ndarray of int64, shape (n,)
        Absolute numbers of the cycles, consecutive.

    Raises
    ------
    InputError
        With all that is wrong with axes, units and times.
    """

    def __init__(
        self,
        obj: xr.Dataset | xr.DataArray,
        var: str | Sequence[str] | None = None,
        cycle: Cycle | None = None,
        *,
        problems: Problems | None = None,
        need_time: bool = True,
    ) -> None:
        own = problems if problems is not None else Problems("run")
        before = len(own)
        self.original = obj
        fields = select_fields(obj, var, own)
        self.variables = tuple(fields)
        self.units = tuple(_checked_unit(name, da, own) for name, da in fields.items())
        layouts = {name: layout_of(da, own) for name, da in fields.items()}
        self._check_one_grid(layouts, own)
        self.layouts = layouts
        # None only where a problem was found
        self.layout: Layout = next(iter(layouts.values()), None)  # type: ignore[assignment]
        # None only until the times were read, or where there are none
        self.cycle: Cycle = cycle  # type: ignore[assignment]
        self.calendar = "standard"
        self.cycles = np.zeros(0, dtype=np.int64)
        self._offsets = np.zeros(1, dtype=np.int64)
        if len(own) == before and self.layout is not None:
            self.fields = [layouts[n].canonical(da) for n, da in fields.items()]
            if self.layout.axes.time is not None:
                self._read_times(obj, own)
            elif need_time:
                own.add("no time axis found", found=f"dimensions {self.layout.dims}")
        if problems is None:
            own.raise_if_any()

    @staticmethod
    def _check_one_grid(layouts: dict[str, Layout], problems: Problems) -> None:
        """All variables of a state share one grid and one order of time."""
        names = list(layouts)
        for name in names[1:]:
            told = layouts[names[0]].grid.differences(layouts[name].grid)
            if told:
                problems.add(
                    f"variables {names[0]!r} and {name!r} are on different grids",
                    found="; ".join(told),
                    expected="one grid for all variables of a state",
                )

    def _read_times(self, obj: xr.Dataset | xr.DataArray, problems: Problems) -> None:
        """Calendar, cycles, and which samples belong to which cycle."""
        name = str(self.layout.axes.time)
        times = sample_times(obj, name)
        try:
            self.calendar = calendar_of(times)
        except InputError as error:
            problems.absorb(error)
            return
        if times.dtype != object and np.isnat(times).any():
            problems.add(f"time axis {name!r} holds missing times (NaT)")
            return
        steps = np.array([_days(b - a) for a, b in pairwise(times)])
        if (steps <= 0).any():
            kind = "repeats" if (steps == 0).any() else "goes back"
            problems.add(
                f"time axis {name!r} is not increasing",
                found=f"it {kind} at {times[int(np.argmax(steps <= 0)) + 1]}",
                todo=f"ds = ds.sortby({name!r}).drop_duplicates({name!r})",
            )
            return
        cycle = self.cycle or guess_cycle(times, problems)
        if cycle is None:
            return
        self.cycle = cycle
        index = self.cycle.index(times)
        self.cycles, first = np.unique(index, return_index=True)
        self._offsets = np.append(first, index.size)
        self._check_gaps(problems)
        self._check_parts(name, problems)
        if self.layout.axes.member is not None and len(self) > 1:
            problems.add(
                "members and times in one input",
                found=f"dimensions {self.layout.axes.member!r} and {name!r}",
                expected="a run of one member, or an ensemble at one time",
                todo=f".isel({self.layout.axes.member}=0), or .isel({name}=[-1])",
            )
            # there is no reading it
            self.cycles = self.cycles[:0]

    def _check_gaps(self, problems: Problems) -> None:
        """A run is a sequence without gaps."""
        missing = int(self.cycles[-1] - self.cycles[0] + 1 - self.cycles.size)
        if not missing:
            return
        per_year = self.cycles.size / ((self.cycles[-1] - self.cycles[0] + 1) / self.cycle.per_year)
        gap = self.cycle.middle(self.cycles[:-1][np.diff(self.cycles) > 1][:1] + 1, self.calendar)[
            0
        ]
        problems.add(
            f"the run does not cover every {self.cycle.name}",
            found=f"{missing} cycles are missing, the first at {gap}; about {per_year:.3g} a year",
            expected=f"{self.cycle.per_year} a year, without gaps",
            todo=f"{self._longer_cycle()}select a period without gaps",
        )

    def _longer_cycle(self) -> str:
        """Advice to take the next longer cycle, if there is one."""
        names = list(CYCLES)
        longer = names[names.index(self.cycle.name) + 1 :]
        return f"choose a longer cycle (cycle={longer[0]!r}), or " if longer else ""

    def _check_parts(self, name: str, problems: Problems) -> None:
        """A cycle with far fewer samples than the others is no mean of its interval.

        Both ends of a run are often cut, which is said in the log; a hole within is refused.
        """
        counts = np.diff(self._offsets)
        usual = int(np.median(counts))
        few = np.flatnonzero(counts < (0.8 if usual >= 4 else 0.5) * usual)
        if not few.size:
            return
        first = self.cycle.middle(self.cycles[few[:1]], self.calendar)[0]
        told = (
            f"{few.size} of {counts.size} {self.cycle.name}s hold few samples, the first "
            f"{counts[few[0]]} instead of {usual} (around {first})"
        )
        within = few[(few > 0) & (few < counts.size - 1)]
        if usual >= 4 and (counts[within] < 0.5 * usual).any():
            problems.add(
                f"the run does not fill every {self.cycle.name}",
                found=told,
                expected=f"about {usual} samples in each {self.cycle.name}",
                todo="select a period without gaps",
            )
            return
        start = int(self._offsets[1]) if few[0] == 0 else 0
        stop = int(self._offsets[-2]) if few[-1] == counts.size - 1 else None
        logger.warning(
            "%s: their means are of a part of the %s; without the ends: .isel(%s=slice(%s, %s))",
            told, self.cycle.name, name, start, stop,
        )  # fmt: skip

    def __len__(self) -> int:
        """Number of cycles."""
        return int(self.cycles.size)

    @property
    def grid(self) -> Grid:
        """Canonical grid."""
        return self.layout.grid

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(variable, nz, ny, nx)."""
        return (len(self.variables), *self.grid.shape)

    @property
    def time_name(self) -> str:
        """The user's name of the time axis."""
        return str(self.layout.axes.time)

    @property
    def samples_per_cycle(self) -> np.ndarray:
        """Number of samples in each cycle, shape (n,)."""
        return np.diff(self._offsets)

    @property
    def is_lazy(self) -> bool:
        """Whether the values are still on disk or in a dask graph."""
        return any(not isinstance(f.variable._data, np.ndarray) for f in self.fields)

    @property
    def is_chunked(self) -> bool:
        """Whether dask holds the values: a sign that they are many."""
        return any(f.chunks is not None for f in self.fields)

    def hold(self) -> None:
        """Read once what fits and will be read again and again; the user's object stays lazy."""
        size = 4 * len(self) * int(np.prod(self.shape))
        if self.is_lazy and not self.is_chunked and size <= HOLD_BYTES:
            whole = [self._values(f) for f in self.fields]
            self.fields = [f.copy(data=x) for f, x in zip(self.fields, whole, strict=True)]

    @property
    def block(self) -> int:
        """Cycles that are read at once while streaming."""
        samples = max(int(np.diff(self._offsets).max(initial=1)), 1)
        return max(1, int(BLOCK_BYTES // (4 * int(np.prod(self.shape)) * samples)))

    def read(self, start: int, stop: int) -> np.ndarray:
        """Cycle means of positions start to stop.

        Returns
        -------
        numpy.ndarray of float32, shape (stop - start, variable, nz, ny, nx)
            NaN on land.
        """
        samples = slice(int(self._offsets[start]), int(self._offsets[stop]))
        out = np.empty((stop - start, *self.shape), dtype=np.float32)
        for v, fld in enumerate(self.fields):
            values = self._values(fld.isel(time=samples))
            out[:, v] = self._means(values, start, stop).reshape(stop - start, *self.grid.shape)
        return out

    def _values(self, part: xr.DataArray) -> np.ndarray:
        """Values in memory; says which cannot be read."""

        def what(bad: xr.DataArray) -> str:
            times = bad["time"].values
            return f"the run from {times[0]} to {times[-1]}"

        return read(lambda: np.asarray(part.values), "run", what, part)

    def _means(self, values: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Mean over the samples of each cycle."""
        offsets = self._offsets[start : stop + 1] - self._offsets[start]
        if values.shape[0] == stop - start:
            return values
        sums = np.add.reduceat(values, offsets[:-1], axis=0, dtype=np.float64)
        counts = np.diff(offsets).reshape(-1, *[1] * (values.ndim - 1))
        return sums / counts

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Iterate over (position, block of cycle means)."""
        stop = len(self) if stop is None else stop
        for first in range(start, stop, self.block):
            yield first, self.read(first, min(first + self.block, stop))

    @cached_property
    def wet(self) -> np.ndarray:
        """Wet cells by the first cycle, bool, shape (variable, nz, ny, nx)."""
        return np.isfinite(self.read(0, 1)[0])

    def states(self) -> np.ndarray:
        """Fields without a time axis, one or several members; (member, variable, nz, ny, nx)."""
        stacked = [np.asarray(f.values, dtype=np.float32) for f in self.fields]
        shape = (-1, *self.grid.shape)
        return np.stack([s.reshape(shape) for s in stacked], axis=1)


def sample_times(obj: xr.Dataset | xr.DataArray, name: str) -> np.ndarray:
    """Times of the samples: the middle of their bounds where there are any, else as given."""
    coord = obj[name]
    bounds = coord.attrs.get("bounds", coord.encoding.get("bounds"))
    if isinstance(obj, xr.Dataset) and bounds in obj.variables and obj[bounds].ndim == 2:
        edges = obj[bounds].transpose(name, ...).values
        if edges.dtype == object or np.issubdtype(edges.dtype, np.datetime64):
            return edges[:, 0] + (edges[:, 1] - edges[:, 0]) / 2
    return coord.values


def _checked_unit(name: str, da: xr.DataArray, problems: Problems) -> str:
    """Unit of a variable, or a problem."""
    unit = unit_tools.unit_of(da)
    if unit is None:
        problems.add(
            f"variable {name!r} has no units",
            expected="degC, K, psu, ...",
            todo=f"ds[{name!r}].attrs['units'] = 'degC'",
        )
        return ""
    try:
        unit_tools.parse(unit)
    except InputError as error:
        problems.add(f"units of variable {name!r} are not understood", found=str(error))
    _check_standard_name(name, da, unit, problems)
    return unit


def _check_standard_name(name: str, da: xr.DataArray, unit: str, problems: Problems) -> None:
    """A temperature must come in a unit of temperature."""
    standard = str(da.attrs.get("standard_name", ""))
    # without a modifier; the depth of an isotherm and a mixed layer by temperature are none
    words = standard.partition(" ")[0].split("_")
    named = words[-1] == "temperature" and not {"of", "by"} & {*words}
    if named and not unit_tools.same_dimension(unit, "degC"):
        problems.add(
            f"units of variable {name!r} have a wrong dimension",
            found=f"{unit!r} for {standard}",
            expected="a temperature, such as degC or K",
        )
