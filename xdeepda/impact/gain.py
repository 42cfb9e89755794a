"""The verb ``influence``: what one observation does to an analysis, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.core.influence import columns
from xdeepda.errors import InputError, Problems
from xdeepda.impact.effect import Backgrounds, Effects, Rows, anomaly_rows
from xdeepda.impact.scales import length_scales
from xdeepda.model import Model, as_model
from xdeepda.observations.cells import Cells, combine, merge
from xdeepda.observations.quantities import CANONICAL_UNIT, default_error, kind_of
from xdeepda.observations.sources import binned_sources
from xdeepda.observations.target import Target
from xdeepda.options import check_machine, torch_threads
from xdeepda.provenance import history_line, package_version

#: What a point may say.
_KEYS = ("depth", "lat", "lon", "var", "error")


@dataclass(frozen=True)
class Point:
    """One observation, placed in the model.

    Attributes
    ----------
    variable : int
    cell : int
        Flat number in (variable, nz, ny, nx).
    depth, lat, lon : float
        NaN where the grid has no such axis.
    error : float
        Standard deviation in the units of the model.
    """

    variable: int
    cell: int
    depth: float
    lat: float
    lon: float
    error: float


def influence(
    model: Model,
    analysis: xr.Dataset,
    point: Mapping[str, Any],
    *,
    time: Any = None,
    obs: Any = None,
    innovation: float = 0.0,
    device: str | None = None,
) -> xr.Dataset:
    """Effective gain of one observation: what a unit of it adds to the analysis, and where.

    Parameters
    ----------
    model : Model or path
        Trained model or baseline that made `analysis`.
    analysis : Dataset
        From :func:`xdeepda.assimilate`, with background and background spread: they are
        the state at which the gain is taken.
    point : mapping
        The observation: ``lat``, ``lon`` (degrees), ``depth`` (metres, positive down; where
        the grid has these axes), ``var`` (where the model has several variables) and
        ``error`` (standard deviation in the units of the analysis; by default
        :func:`xdeepda.observations.default_error`).
    time : datetime64, cftime or text, optional
        A time in the cycle; not needed where the analysis has only one.
    obs : Dataset, DataArray, pandas.DataFrame, or a list of these, optional
        Observations that are there besides, as given to `assimilate`: the gain is then
        that of one among many.  By default it is the only one.
    innovation : float
        Observation minus background, in the units of differences of the variable: of a
        learned analysis the gain may depend on it.
    device : str, optional
        See :func:`xdeepda.set_options`.

    Returns
    -------
    xarray.Dataset
        On the grid, dimensions and order of the analysis, for each variable of the model:
        ``<var>_gain``, the derivative of its analysis with respect to the observed value
        (kelvin per kelvin and the like), ``<var>_gain_at_point``, and the e-folding scales
        ``<var>_zonal_scale``, ``<var>_meridional_scale`` (km) and ``<var>_vertical_scale``
        (m).

    Raises
    ------
    InputError
        With all that is wrong: a point on land or outside of the grid, a time outside of
        the analysis, an analysis without backgrounds.
    ModelMismatchError
        If the analysis is on another grid than the model.

    Notes
    -----
    The derivative is exact (forward-mode automatic differentiation of the whole analysis
    step), not a difference of two analyses.  For a linear scheme it is the column of the
    Kalman gain.  The observation stands for the mean of its cell; one in a cell that `obs`
    measures too has the part of the superobservation that its error gives it.

    An analysis does not hold the covariance that a filter carries (``kalman``,
    ``combined``, ``hybrid``).  With `obs` it is made again through as many cycles before as
    `obs` and analysis cover, at most a year; without, it is that of the control run, as
    much of it as the background's variance is of the climatological one.  Anomalies are
    taken from the climatology of the model.

    An e-folding scale is the distance at which the gain has fallen to 1/e of that at the
    point, along its row, meridian or column; the mean of both sides, without a side on
    which land or the edge comes first; NaN where that is so on both.

    Examples
    --------
    >>> gain = model.influence(analysis, {"lat": 0, "lon": 220, "depth": 100},
    ...                        time="1997-11-15")  # doctest: +SKIP
    """
    problems = Problems("influence")
    lead = as_model(model)
    check_machine(device, 0, problems)
    backgrounds = Backgrounds(analysis, lead, problems)
    placed = number = None
    if backgrounds.usable:
        number = backgrounds.cycle_of(time, problems)
        placed = point_of(point, backgrounds, problems)
    if not isinstance(innovation, (int, float)) or not np.isfinite(innovation):
        problems.add("innovation is a number", found=repr(innovation))
    cells = _others(obs, backgrounds, problems) if obs is not None and backgrounds.usable else None
    problems.raise_if_any()
    assert placed is not None
    assert number is not None
    with torch_threads():
        effects = Effects(lead, backgrounds, device)
        gain, share = _gain(effects, placed, number, cells, float(innovation))
    return _labelled(gain * share, placed, number, backgrounds, cells is not None)


def point_of(point: Any, backgrounds: Backgrounds, problems: Problems) -> Point | None:
    """Observation of a user, placed; None with a problem."""
    model, before = backgrounds.model, len(problems)
    needed = list(backgrounds.target.grid.dims)
    if not isinstance(point, Mapping):
        problems.add("point is no mapping", found=type(point).__name__,
                     expected=f"a dict with {', '.join(needed)}")  # fmt: skip
        return None
    given = dict(point)
    unknown = [str(k) for k in given if k not in _KEYS]
    lacking = [n for n in needed if n not in given]
    if unknown or lacking:
        problems.add("point is not understood",
                     found=f"unknown: {unknown or 'none'}, missing: {lacking or 'none'}",
                     expected=f"of {', '.join(_KEYS)}")  # fmt: skip
        return None
    if "var" not in given and len(model.variables) > 1:
        problems.add("point does not say which variable is measured",
                     expected=f"var= one of {', '.join(model.variables)}")  # fmt: skip
    name = given.get("var", model.variables[0])
    if name not in model.variables:
        problems.add(f"the model has no variable {name!r}", expected=f"of {model.variables}")
        return None
    place = {}
    for key in ("depth", "lat", "lon"):
        value = given.get(key, np.nan)
        try:
            place[key] = float(getattr(value, "values", value))
        except (TypeError, ValueError):
            problems.add(f"{key} of the point is no number", found=repr(value))
    variable = model.variables.index(name)
    error = _error(given.get("error"), variable, place.get("depth", np.nan), backgrounds, problems)
    if len(problems) > before:
        return None
    cell = _cell(place, variable, backgrounds.target, problems)
    return None if cell is None else Point(variable, cell, **place, error=error)


def _error(
    given: Any, variable: int, depth: float, backgrounds: Backgrounds, problems: Problems
) -> float:
    """Error of an observation in the units of the model; NaN with a problem."""
    model = backgrounds.model
    name, own = model.variables[variable], model.units[variable]
    if given is None:
        kind = kind_of(name, backgrounds.target.standard_names[variable], own)
        if kind is None:
            problems.add(f"there is no default error for {name!r}", todo="give the point an error")
            return np.nan
        value = float(default_error(kind, depth))
        return float(unit_tools.convert_difference(value, CANONICAL_UNIT[kind], own))
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given < np.inf:
        problems.add("error is a standard deviation", found=repr(given), expected="above 0")
        return np.nan
    return float(unit_tools.convert_difference(float(given), backgrounds.units[variable], own))


def _cell(
    place: Mapping[str, float], variable: int, target: Target, problems: Problems
) -> int | None:
    """Flat cell in (variable, nz, ny, nx) of a place in the sea; None with a problem."""
    grid, wet = target.grid, target.wet[variable]
    where = ", ".join(f"{n} {place[n]:g}" for n in grid.dims)
    flat = int(grid.locate(place["depth"], place["lat"], place["lon"])[0])
    if flat < 0:
        problems.add("the point is outside of the grid", found=where, expected=f"within {grid}")
        return None
    if wet.reshape(-1)[flat]:
        return variable * wet.size + flat
    column = wet.reshape(wet.shape[0], -1)[:, flat % wet[0].size]
    deepest = "" if not column.any() or grid.depth is None else (
        f"the sea there ends in the level of {grid.depth[column].max():g} m"
    )  # fmt: skip
    problems.add(
        "the point is on land" if not deepest else "the point is below the bottom",
        found=where,
        expected=deepest or f"a cell of the sea of {target.variables[variable]!r}",
    )
    return None


def _others(obs: Any, backgrounds: Backgrounds, problems: Problems) -> Cells | None:
    """Superobservations that are there besides."""
    try:
        sources = binned_sources(obs, backgrounds.target, backgrounds.model.cycle, rows=False)
    except InputError as error:
        problems.absorb(error)
        return None
    return merge([source.cells for source in sources if len(source.cells)])


def rows_of(cells: Cells, backgrounds: Backgrounds, number: int) -> Rows:
    """Superobservations of a cycle as anomalies, cells numbered over the model's variables."""
    cell, *rest = cells.at(number)
    positions = np.array([backgrounds.model.variables.index(n) for n in cells.variables])
    size = int(np.prod(backgrounds.target.grid.shape))
    own, place = np.divmod(cell, size)
    return anomaly_rows((positions[own] * size + place, *rest), backgrounds.climate(number))


def _gain(
    effects: Effects, point: Point, number: int, cells: Cells | None, innovation: float
) -> tuple[np.ndarray, float]:
    """Derivative by the value of the cell, (variable, nz, ny, nx), and the point's part of it."""
    backgrounds, model = effects.backgrounds, effects.model
    unit, own = backgrounds.units[point.variable], model.units[point.variable]
    background = float(backgrounds.at(number)[0].reshape(-1)[point.cell])
    value = background + float(unit_tools.convert_difference(innovation, unit, own))
    alone = (np.array([point.cell]), np.array([value]), np.array([point.error]))
    share, numbers = 1.0, [number]
    if cells is not None:
        here = rows_of(cells, backgrounds, number)
        total, share = _joined(here, alone)
        first = max(int(backgrounds.mean.cycles[0]), int(cells.cycle[0]))
        first = max(first, number - model.cycle.per_year)
        numbers = list(range(min(first, number), number + 1))

    def rows(n: int) -> Rows:
        if n == number:
            return alone if cells is None else total
        assert cells is not None
        return rows_of(cells, backgrounds, n)

    *_, (_, state, observed) = effects.follow(numbers, rows)
    seen = observed.mask[0].flatten().nonzero()[:, 0]
    made = columns(effects.module, state, observed, seen[seen == point.cell])
    # per scaled value of the observed channel, times scale of each channel
    scale = effects.tensors.scale[point.cell // model.wet[0, 0].size]
    return effects.tensors.denormalise(made)[0] / scale, share


def _joined(here: Rows, alone: Rows) -> tuple[Rows, float]:
    """Observations of a cycle and one more; the weight of the latter in its cell."""
    cell, value, error = (np.concatenate(pair) for pair in zip(here, alone, strict=True))
    # as several sources are combined: their errors are independent
    both = combine(cell, value, error, np.arange(cell.size), rho=0.0)
    total = both.error[both.row_group[-1]] ** 2
    return (both.key, both.value, both.error), float(total / error[-1] ** 2)


def _labelled(
    gain: np.ndarray, point: Point, number: int, backgrounds: Backgrounds, among: bool
) -> xr.Dataset:
    """Gain in the user's units on the user's labels, with its scales."""
    model, target = backgrounds.model, backgrounds.target
    size = int(np.prod(target.grid.shape))
    seen = model.variables[point.variable]
    per = float(
        unit_tools.convert_difference(
            1.0, model.units[point.variable], backgrounds.units[point.variable]
        )
    )
    below = unit_tools.difference_unit(backgrounds.units[point.variable])
    out: dict[str, Any] = {}
    for v, name in enumerate(model.variables):
        unit = unit_tools.difference_unit(backgrounds.units[v])
        values = unit_tools.convert_difference(gain[v], model.units[v], backgrounds.units[v]) / per
        values = values.astype(np.float64)
        sizes = [getattr(target.grid, d).size for d in target.grid.dims]
        field = xr.DataArray(values.reshape(sizes), dims=target.grid.dims)
        field = target.layouts[name].restore(field)
        units = "1" if unit == below else f"{unit} ({below})-1"
        field.attrs = {"long_name": f"{name}: analysis per unit of an observation of {seen}",
                       "units": units}  # fmt: skip
        out[f"{name}_gain"] = field
        place = point.cell % size
        out[f"{name}_gain_at_point"] = ((), values.reshape(-1)[place], {"units": units})
        scales = length_scales(values, target.grid, place)
        for axis, scale, length in zip(
            ("zonal", "meridional", "vertical"), scales, ("km", "km", "m"), strict=True
        ):
            told = f"{axis} distance at which the gain of {name} falls to 1/e of that at the point"
            out[f"{name}_{axis}_scale"] = ((), scale, {"long_name": told, "units": length})
    ds = xr.Dataset(out)
    middle = model.cycle.middle([number], backgrounds.mean.calendar)[0]
    ds = ds.assign_coords({backgrounds.mean.time_name: middle})
    error = point.error * per
    ds.attrs = {
        "title": f"influence of one observation of {seen}",
        "observed_variable": seen,
        **{f"observed_{n}": getattr(point, n) for n in target.grid.dims},
        "observed_error": error,
        "other_observations": "those of the cycle" if among else "none",
        "history": history_line("influence"),
        "xdeepda_version": package_version(),
        "model_hash": model.hash,
    }
    return ds
