"""The sampling of real observations: positions and errors, and draws from them.

Holds where, when and how accurately was measured, without the values, profile by
profile; on a grid it gives the cells of a recorded cycle of the same season.
Knows positions, grid and cycle.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import Cycle, calendar_of
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Grid
from xdeepda.observations.cells import CORRELATED, Combined, combine
from xdeepda.observations.flags import rejected
from xdeepda.observations.gridded import from_gridded
from xdeepda.observations.instruments import assumed_error
from xdeepda.observations.placing import Positions, place
from xdeepda.observations.quantities import (
    CANONICAL_UNIT,
    MEASUREMENT,
    default_error,
    kind_of,
    total_error,
)
from xdeepda.observations.table import as_table, is_gridded, profiles_of, variables_of
from xdeepda.observations.target import Target, match
from xdeepda.source import guess_cycle

logger = logging.getLogger("xdeepda")

#: A draw for a pentad may come from one this many pentads earlier or later (a month).
_WINDOW = {"pentad": 6, "month": 0, "year": 0}

_COLUMNS = ("depth", "error", "variable", "count")


def points_of(obs: Any, target: Target, cycle: Cycle | None) -> xr.Dataset:
    """Positions and errors of observations.

    Parameters
    ----------
    obs : Dataset, DataArray, pandas.DataFrame, or a list of these
    target : Target
    cycle : Cycle or None
        For gridded observations; guessed from their time step where None.

    Returns
    -------
    xarray.Dataset
        Along ``profile``: time, latitude, longitude; along ``obs``: profile_index,
        depth, error (K, psu, or the unit of the model), variable (position in
        ``target.variables``) and count.

    Raises
    ------
    InputError
        With all problems of all sources.
    """
    problems = Problems("network")
    parts: list[dict[str, np.ndarray]] = []
    sources = list(obs) if isinstance(obs, (list, tuple)) else [obs]
    for source in sources:
        try:
            reader = _from_fields if is_gridded(source, target.grid) else _from_table
            parts.append(reader(source, target, cycle))
        except InputError as error:
            problems.absorb(error)
    calendars = {calendar_of(p["time"]) for p in parts if p["time"].size}
    if len(calendars) > 1:
        problems.add("the sources have several calendars", found=", ".join(sorted(calendars)))
    if not sources or (parts and not calendars):
        problems.add("there are no observations of the model's variables")
    problems.raise_if_any()
    shift = 0
    for part in parts:
        part["profile_index"] = part["profile_index"] + shift
        shift += part["time"].size
    along = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    data = {name: ("obs", along[name]) for name in ("profile_index", *_COLUMNS)}
    coords = {name: ("profile", along[name]) for name in ("time", "latitude", "longitude")}
    return xr.Dataset(data, coords=coords)


def _compact(
    profile: np.ndarray,
    positions: Positions,
    error: np.ndarray,
    variable: np.ndarray,
    count: np.ndarray,
) -> dict[str, np.ndarray]:
    """Columns with the positions of each profile held once."""
    _, first, index = np.unique(profile, return_index=True, return_inverse=True)
    # to two metres and seven digits: half of the memory, and of the file
    return {
        "time": positions.time[first],
        "latitude": positions.latitude[first].astype(np.float32),
        "longitude": positions.longitude[first].astype(np.float32),
        "profile_index": index.astype(np.int32),
        "depth": positions.depth.astype(np.float32),
        "error": error.astype(np.float32),
        "variable": variable.astype(np.int16),
        "count": count.astype(np.int32),
    }


def _from_table(obs: Any, target: Target, cycle: Cycle | None) -> dict[str, np.ndarray]:
    """Columns of point observations."""
    table = as_table(obs)
    codes, names, units, standard_names = variables_of(table)
    found = np.array(match(names, standard_names, target))
    good = np.isfinite(table["value"].values) & ~rejected(table["qc"].values)
    used = np.flatnonzero(good & (found[codes] >= 0))
    if used.size < codes.size:
        logger.warning(
            "%d of %d observations are not in the network: without a value, flagged as bad, or "
            "of a variable that the model does not have",
            codes.size - used.size,
            codes.size,
        )
    error = table["error"].values[used].copy()
    positions = Positions(
        *(table[n].values[used] for n in ("time", "depth", "latitude", "longitude"))
    )
    problems, assumed = Problems("network"), 0
    for code, name in enumerate(names):
        mine = np.flatnonzero(codes[used] == code)
        kind = kind_of(name, standard_names[code], units[code])
        unit = CANONICAL_UNIT.get(kind or "", target.units[found[code]])
        error[mine] = unit_tools.convert_difference(error[mine], units[code], unit)
        blank = mine[np.isnan(error[mine])]
        assumed += blank.size
        if blank.size and kind is None:
            problems.add(f"{name!r} needs errors", todo="add a column 'error'")
        elif kind is not None:
            if "error_kind" in table.variables:
                alone = table["error_kind"].values[used][mine] == MEASUREMENT
                usual = default_error(kind, positions.depth[mine])
                error[mine] = total_error(error[mine], alone, usual)
            error[blank] = assumed_error(table, used[blank], kind)
    problems.raise_if_any()
    if assumed:
        logger.warning(
            "default errors by instrument and depth for %d observations without any", assumed
        )
    # a profile is held once: rows that share its name but not its position are another one
    profile = profiles_of(table, used, by_position=True)
    return _compact(profile, positions, error, found[codes[used]], np.ones(used.size))


def _from_fields(
    obs: xr.Dataset | xr.DataArray, target: Target, cycle: Cycle | None
) -> dict[str, np.ndarray]:
    """Columns of gridded observations or masks: each observed column a profile."""
    ds = _as_fields(obs, target)
    if cycle is None:
        problems = Problems("network")
        times = next((c.values for c in ds.coords.values() if calendar_like(c)), np.zeros(0))
        cycle = guess_cycle(times, problems)
        problems.raise_if_any()
        assert cycle is not None
    cells, calendar = from_gridded(ds, target, cycle)
    size = int(np.prod(target.grid.shape))
    own, rest = np.divmod(cells.cell, size)
    depth, lat, lon = target.grid.coordinates(rest)
    cycles, which = np.unique(cells.cycle, return_inverse=True)
    time = cycle.middle(cycles, calendar)[which]
    lookup = np.array([target.variables.index(n) for n in cells.variables])
    error = cells.error.copy()
    for v, name in enumerate(cells.variables):
        unit = CANONICAL_UNIT.get(target.kinds()[name] or "", cells.units[v])
        mine = own == v
        error[mine] = unit_tools.convert_difference(error[mine], cells.units[v], unit)
    columns = int(np.prod(target.grid.shape[1:]))
    profile = which * columns + rest % columns
    return _compact(profile, Positions(time, depth, lat, lon), error, lookup[own], cells.count)


def calendar_like(coord: xr.DataArray) -> bool:
    """Whether a coordinate is a time axis."""
    try:
        calendar_of(coord.values)
    except InputError:
        return False
    return coord.ndim == 1


def _as_fields(obs: xr.Dataset | xr.DataArray, target: Target) -> xr.Dataset:
    """Fields with units: masks become ones where they are true, NaN elsewhere."""
    plain = unit_tools.dequantify(obs)
    if isinstance(plain, xr.DataArray):
        alone = target.variables[0] if len(target.variables) == 1 else "mask"
        plain = plain.to_dataset(name=str(plain.name) if plain.name is not None else alone)
    out = plain.copy()
    for name, da in plain.data_vars.items():
        attrs = da.attrs
        if da.dtype == bool:  # a comparison keeps attributes that are no longer true
            da, attrs = da.astype(float).where(da), {}
        if da.dtype.kind != "f" or "units" in attrs:
            continue
        found = match([str(name)], [str(attrs.get("standard_name", ""))], target)[0]
        unit = {"units": target.units[found]} if found >= 0 else {}
        out[name] = da.variable.copy(deep=False)
        out[name].attrs = {**attrs, **unit}
    return out


def chosen_cycles(
    cycles: np.ndarray, phase: int, cycle: Cycle, density: float, rng: np.random.Generator
) -> list[tuple[int, float]]:
    """Recorded cycles that stand for one of the year, each with the part of it that is taken.

    At a density of up to 1 a part of one recorded cycle of the same season, drawn at
    random; above, of as many as it takes, first of the same season of other years,
    then of the nearest seasons.

    Parameters
    ----------
    cycles : numpy.ndarray of int64
        Recorded cycles, sorted.
    phase : int
        Cycle of the year.
    cycle : Cycle
    density : float
        At most the number of recorded cycles.
    rng : numpy.random.Generator

    Returns
    -------
    list of (cycle, part)
    """
    apart = np.abs(cycles % cycle.per_year - phase)
    apart = np.minimum(apart, cycle.per_year - apart)
    window = max(int(apart.min()), _WINDOW[cycle.name])
    if density <= 1:
        pool = cycles[apart <= window]
        return [(int(pool[rng.integers(pool.size)]), density)]
    order = np.lexsort((rng.random(cycles.size), np.where(apart <= window, 0, apart)))
    whole = int(density)
    picks = [(int(cycles[n]), 1.0) for n in order[:whole]]
    rest = density - whole
    return picks + ([(int(cycles[order[whole]]), rest)] if rest > 0 else [])


def check_density(cycles: np.ndarray, density: float, cycle: Cycle) -> None:
    """Refuse a density for which there are too few recorded cycles."""
    if np.ceil(density) > cycles.size:
        raise InputError(
            f"network: a density of {density:g} takes {int(np.ceil(density))} recorded cycles "
            f"({cycle.name}) for one, and there are {cycles.size}"
        )


class BoundRecorded:
    """Recorded positions on a grid; see :meth:`xdeepda.observations.Network.on`.

    Parameters
    ----------
    points : Dataset
        As :func:`points_of` gives it.
    lookup : sequence of int
        Position among the variables here of each variable of the points, -1 for none.
    grid, cycle, wet, density
        As :class:`xdeepda.observations.simulated.BoundSimulated`.

    Raises
    ------
    InputError
        If no recorded position lies in the sea of the grid.
    """

    def __init__(
        self,
        points: xr.Dataset,
        lookup: Sequence[int],
        grid: Grid,
        cycle: Cycle,
        wet: np.ndarray,
        *,
        density: float,
    ) -> None:
        self.grid, self.cycle, self.density = grid, cycle, density
        self._size = wet.size
        index = points["profile_index"].values
        variable = np.asarray(lookup, dtype=np.int64)[points["variable"].values]
        place_of = {n: points[n].values[index] for n in ("time", "latitude", "longitude")}
        positions = Positions(
            place_of["time"], points["depth"].values, place_of["latitude"], place_of["longitude"]
        )
        fate = np.where(variable < 0, 2, 0).astype(np.int8)
        number, cell = place(positions, grid, cycle, variable, wet, fate)
        used = np.flatnonzero(fate == 0)
        self._tell(used.size, fate.size)
        used = used[np.argsort(number[used], kind="stable")]
        self._number, self._cell = number[used], cell[used]
        self._error = points["error"].values[used].astype(np.float64)
        self._count = points["count"].values[used]
        self._profile = index[used]
        self.cycles = np.unique(self._number)
        check_density(self.cycles, density, cycle)
        self._pools = self._seasons()
        self._whole = self._combine(slice(None), self._number - self._number[0])

    def _tell(self, used: int, total: int) -> None:
        """Say how much of the record lies on the grid; refuse nothing at all."""
        if used == 0:
            raise InputError(
                f"network: none of the {total} recorded measurements lies in the sea of the grid "
                f"({self.grid})"
            )
        if used < total:
            logger.warning("network: %d of %d recorded measurements lie in the sea of the grid",
                           used, total)  # fmt: skip

    def _seasons(self) -> list[np.ndarray]:
        """Recorded cycles that may stand for each cycle of the year."""
        per_year = self.cycle.per_year
        phase = self.cycles % per_year
        pools, lacking = [], []
        for own in range(per_year):
            apart = np.abs(phase - own)
            apart = np.minimum(apart, per_year - apart)
            if apart.min() > _WINDOW[self.cycle.name]:
                lacking.append(own)
            pools.append(self.cycles[apart <= max(apart.min(), _WINDOW[self.cycle.name])])
        if lacking:
            logger.warning(
                "network: %d of %d cycles of the year were never observed; the nearest season "
                "stands for them", len(lacking), per_year,
            )  # fmt: skip
        return pools

    def _combine(self, part: slice | np.ndarray, number: np.ndarray | int) -> Combined:
        """Errors and counts by cell."""
        error = self._error[part]
        return combine(
            number * self._size + self._cell[part], np.zeros(error.size), error,
            self._profile[part], count=self._count[part], rho=CORRELATED,
        )  # fmt: skip

    def measured(self) -> np.ndarray:
        """Flat cells that were ever observed."""
        return np.unique(self._cell)

    def draw(
        self, index: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cells, errors and counts of a recorded cycle of the same season, drawn at random.

        Parameters
        ----------
        index : int
            Absolute number of the cycle.
        rng : numpy.random.Generator

        Returns
        -------
        cell : numpy.ndarray of int64, shape (n,)
        error : numpy.ndarray of float64, shape (n,)
            In K and psu (other quantities: in the unit of the model).
        count : numpy.ndarray of int32, shape (n,)
        """
        picks = chosen_cycles(
            self.cycles, index % self.cycle.per_year, self.cycle, self.density, rng
        )
        if len(picks) == 1 and picks[0][1] == 1:
            low = (picks[0][0] - int(self._number[0])) * self._size
            start, stop = np.searchsorted(self._whole.key, [low, low + self._size])
            part = slice(start, stop)
            return self._whole.key[part] - low, self._whole.error[part], self._whole.count[part]
        kept = np.concatenate([self._profiles(pick, part, rng) for pick, part in picks])
        combined = self._combine(kept, 0)
        return combined.key, combined.error, combined.count

    def _profiles(self, pick: int, part: float, rng: np.random.Generator) -> np.ndarray:
        """Rows of a recorded cycle, or of each of its profiles with a probability."""
        start, stop = np.searchsorted(self._number, [pick, pick + 1])
        if part == 1:
            return np.arange(start, stop)
        names, profile = np.unique(self._profile[start:stop], return_inverse=True)
        return start + np.flatnonzero((rng.random(names.size) < part)[profile])
