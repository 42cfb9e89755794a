"""A forecast of the user's, in place of a model's own: what is declared of it, and its use.

The user's callable sees labelled fields on the user's own grid, as the analysis has them,
and what it returns is checked before it becomes a background.  Knows labels and arrays; no
tensors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.errors import ForecastError, InputError, Problems
from xdeepda.initial import anomaly_states
from xdeepda.model import Model, as_model
from xdeepda.provenance import hash_arrays
from xdeepda.source import RunSource

logger = logging.getLogger("xdeepda")

#: Scalar coordinate of what a forecast is given: the middle of the cycle that it is for.
VALID = "valid_time"


@dataclass(frozen=True, eq=False)
class Forecast:
    """A forecast from one cycle to the next, to take the place of a model's own.

    Parameters
    ----------
    step : callable
        Takes a Dataset with the variables of the analysis, on its grid and in its order of
        dimensions, at one time, and returns the same one cycle later.  The scalar
        coordinates ``time`` (of what is given) and ``valid_time`` (of what is wanted) hold
        the middles of both cycles.  It must depend on nothing else: else a run that is gone
        on with is another one.
    fields : {"full", "anomaly"}
        Whether it takes and returns full fields, or anomalies from the climatology of the
        analysis in the cycle that they are of.
    members : bool
        Whether it takes all members at once, on dimension ``member`` (also where there is
        one); else it is called for each of them.
    units : str, or dict of str by variable, optional
        What it takes, and returns where it sets no attribute ``units``; by default those of
        the analysis.
    name : str, optional
        What it is called in the analysis; needed for a store of what has no name itself.  A
        store that was begun with a forecast of another name is refused, hence let the
        version be part of it.
    error : Dataset, optional
        Standard deviation of its error after one step from a perfect state, by variable, on
        the grid of the analysis; see :meth:`measured`.  Without it the variance grows as
        for the model's own forecast.

    Examples
    --------
    >>> damped = Forecast(lambda ds: 0.9 * ds, fields="anomaly", name="damping 0.9")
    >>> analysis = xdeepda.assimilate(control, obs, model=enoi, forecast=damped)  # doctest: +SKIP
    """

    step: Callable[[xr.Dataset], xr.Dataset]
    fields: Literal["full", "anomaly"] = "full"
    members: bool = False
    units: str | Mapping[str, str] | None = None
    name: str | None = None
    error: xr.Dataset | None = None

    @property
    def title(self) -> str | None:
        """Its name, else that of its function; None where that says nothing."""
        own = self.name or getattr(self.step, "__qualname__", None)
        return None if own is None or "<lambda>" in own else str(own)

    @property
    def identity(self) -> str:
        """What was declared of it, in words."""
        how = f"{self.fields} fields" if self.fields == "full" else "anomalies"
        parts = [how, "all members" if self.members else "member by member"]
        if self.units is not None:
            one = self.units if isinstance(self.units, str) else dict(sorted(self.units.items()))
            parts.append(f"in {one}")
        if self.error is not None:
            arrays = {str(n): np.asarray(da.values) for n, da in self.error.data_vars.items()}
            parts.append(f"error {hash_arrays(arrays)}")
        return f"{self.title or 'without a name'} ({', '.join(parts)})"

    def unit(self, variable: str, default: str) -> str:
        """Unit in which it takes a variable."""
        if isinstance(self.units, str):
            return self.units
        return default if self.units is None else self.units.get(variable, default)

    def measured(
        self, control: xr.Dataset | xr.DataArray, *, model: Any, pairs: int = 120
    ) -> Forecast:
        """Measure its error on a run, to be used as `error`.

        Parameters
        ----------
        control : Dataset or DataArray
            A run that it was not fitted to, else the error is too small.
        model : Model or path
            Variables, grid, cycle and climatology.
        pairs : int
            Consecutive cycles that are compared, at most; of few the error is uncertain.

        Returns
        -------
        Forecast
            The same with ``error``: root mean square of step minus run, in each cell.

        Raises
        ------
        InputError, ForecastError
            If the run does not fit the model, or the forecast cannot be used.

        Examples
        --------
        >>> step = xdeepda.Forecast(emulator).measured(other_run, model=model)  # doctest: +SKIP
        """
        problems, model = Problems("Forecast.measured"), as_model(model)
        source = RunSource(control, list(model.variables), model.cycle, problems=problems)
        forecast_of(self, model, problems)
        if source.layout is not None:
            model.check(source.grid, source.units, problems)
        if isinstance(pairs, bool) or not isinstance(pairs, (int, np.integer)) or pairs < 2:
            problems.add("pairs is a number of cycles", found=repr(pairs), expected="2 or more")
        elif len(source) < 3 and not len(problems):
            problems.add("the run is too short", found=f"{len(source)} cycles")
        problems.raise_if_any()
        stepper = Stepper(replace(self, error=None), source, model, source.calendar)
        positions = np.unique(np.linspace(0, len(source) - 2, int(pairs)).round().astype(int))
        total = np.zeros(model.wet.shape)
        for position in positions:
            total += self._missed(stepper, source, model, int(position)) ** 2
        return replace(self, error=stepper.spread(np.sqrt(total / len(positions))))

    @staticmethod
    def _missed(stepper: Stepper, source: RunSource, model: Model, position: int) -> np.ndarray:
        """Forecast minus run, (variable, nz, ny, nx), 0 on land."""
        numbers = source.cycles[position : position + 2]
        fractions = model.cycle.year_fraction(numbers, source.calendar)
        states = source.read(position, position + 2)
        start, end = (
            anomaly_states(states[n : n + 1], source, model, fractions[n : n + 1])
            .reshape(1, *model.wet.shape) for n in (0, 1)
        )  # fmt: skip
        climates = model.climatology.at(fractions)
        made = stepper(start, climates[0], climates[1], int(numbers[1]), model)
        return np.where(model.wet, made[0] - end[0], 0.0)


def forecast_of(
    given: Any, model: Model, problems: Problems, *, stored: bool = False
) -> Forecast | None:
    """What ``forecast=`` asks for, checked; None for the model's own.

    Parameters
    ----------
    given : None, callable or Forecast
    model : Model
        Whose variables and units are forecast.
    problems : Problems
    stored : bool
        Whether it must be known again by its name.
    """
    if given is None:
        return None
    forecast = given if isinstance(given, Forecast) else Forecast(given)
    if not callable(forecast.step):
        problems.add(
            "forecast= is no forecast", found=type(forecast.step).__name__,
            expected="a callable Dataset -> Dataset, or xdeepda.Forecast of one",
        )  # fmt: skip
        return None
    if forecast.fields not in ("full", "anomaly"):
        problems.add("fields of the forecast are not known", found=repr(forecast.fields),
                     expected="'full' or 'anomaly'")  # fmt: skip
    if not isinstance(forecast.members, bool):
        problems.add("members of the forecast is True or False", found=repr(forecast.members))
    if forecast.name is not None and (not isinstance(forecast.name, str) or not forecast.name):
        problems.add("name of the forecast is no text", found=repr(forecast.name))
    elif stored and forecast.title is None:
        problems.add(
            "the forecast has no name to know it by when the store is gone on with",
            todo="forecast=xdeepda.Forecast(step, name='emulator, version 2')",
        )
    if forecast.error is not None and not isinstance(forecast.error, xr.Dataset):
        problems.add("error of the forecast is no Dataset", found=type(forecast.error).__name__)
    _check_units(forecast, model, problems)
    return forecast


def _check_units(forecast: Forecast, model: Model, problems: Problems) -> None:
    """Units must be of the variables' dimension."""
    units = forecast.units
    if units is None:
        return
    if not isinstance(units, (str, Mapping)):
        problems.add("units of the forecast are not understood", found=repr(units),
                     expected="a unit, or a dict of units by variable")  # fmt: skip
        return
    if unknown := [n for n in (units if isinstance(units, Mapping) else ()) if
                   n not in model.variables]:  # fmt: skip
        problems.add("units of the forecast name other variables", found=str(unknown),
                     expected=f"of {list(model.variables)}")  # fmt: skip
    for name, mine in zip(model.variables, model.units, strict=True):
        theirs = forecast.unit(name, mine)
        try:
            fits = unit_tools.same_dimension(mine, theirs)
        except InputError as error:
            problems.absorb(error)
            continue
        if not fits:
            problems.add(f"the forecast takes {name!r} in another dimension", found=repr(theirs),
                         expected=f"convertible to {mine!r}")  # fmt: skip


def check_models(forecast: Forecast | None, models: list[Model], problems: Problems) -> None:
    """Refuse models whose background cannot be that of another forecast."""
    if forecast is None:
        return
    from xdeepda.core.registry import why_not_replaced

    for name in dict.fromkeys(model.architecture.name for model in models):
        background, error = why_not_replaced(name)
        if background is not None:
            problems.add(f"the forecast of {name!r} cannot be replaced", found=background)
        elif forecast.error is not None and error is not None:
            problems.add(
                f"the error of the forecast is of no use to {name!r}", found=error,
                todo="leave error= out",
            )  # fmt: skip


class Stepper:
    """Takes anomalies of models through the forecast of a user.

    Parameters
    ----------
    forecast : Forecast
    source : RunSource
        Of the object whose labels the fields have.
    lead : Model
        Variables, units, grid and attributes.
    calendar : str

    Raises
    ------
    InputError
        If the error of the forecast does not fit.
    """

    def __init__(self, forecast: Forecast, source: RunSource, lead: Model, calendar: str) -> None:
        self.forecast, self.source, self.lead, self.calendar = forecast, source, lead, calendar
        self.time = source.layout.axes.time or "time"
        self.member = source.layout.axes.member or "member"
        self.units = [
            forecast.unit(n, u) for n, u in zip(lead.variables, source.units, strict=True)
        ]
        #: Standard deviation of its error, (variable, nz, ny, nx), in the units of the model.
        self.error: np.ndarray | None = None
        if forecast.error is not None:
            problems = Problems("error of the forecast")
            spread = self.spread(np.zeros(lead.wet.shape))
            self.error = self._read(forecast.error, spread, True, lead.wet, problems)
            if not len(problems) and (self.error[lead.wet] < 0).any():
                problems.add("a standard deviation is negative")
            problems.raise_if_any()

    def __call__(
        self,
        anomalies: np.ndarray,
        before: np.ndarray,
        after: np.ndarray,
        number: int,
        model: Model,
    ) -> np.ndarray:
        """Anomalies one cycle later.

        Parameters
        ----------
        anomalies : numpy.ndarray, shape (members, variable, nz, ny, nx)
            In the units of the model.
        before, after : numpy.ndarray, shape (variable, nz, ny, nx)
            Climatology of the cycle that they are of, and of the next.
        number : int
            Absolute number of the next cycle.
        model : Model
            Whose sea counts.

        Returns
        -------
        numpy.ndarray, shape (members, variable, nz, ny, nx)

        Raises
        ------
        ForecastError
            If the forecast fails, or what it returns cannot be used; the cycle is named.
        """
        is_full = self.forecast.fields == "full"
        states = np.where(model.wet, anomalies + (before if is_full else 0), np.nan)
        given = self._given(states, not is_full, number)
        parts = [given] if self.forecast.members else [
            given.isel({self.member: [m]}) for m in range(len(states))
        ]  # fmt: skip
        made = [self._step(part, not is_full, number, model.wet) for part in parts]
        return np.concatenate(made) - (after if is_full else 0)

    def _step(
        self, given: xr.Dataset, differences: bool, number: int, wet: np.ndarray
    ) -> np.ndarray:
        """What the forecast makes of some members, as plain arrays."""
        alone = given if self.forecast.members else given.isel({self.member: 0}, drop=True)
        problems = Problems("forecast")
        try:
            made = self.forecast.step(alone.copy())
            # what is lazy may fail as late as that
            made = made.compute() if isinstance(made, (xr.Dataset, xr.DataArray)) else made
        except Exception as error:
            raise ForecastError(
                f"{self._named(number)} failed: {type(error).__name__}: {error}"
            ) from error
        values = self._read(made, alone, differences, wet, problems)
        if len(problems):
            told = "; ".join(" ".join(str(one).split()) for one in problems)
            raise ForecastError(f"{self._named(number)} cannot be used: {told}")
        return values.reshape(-1, *wet.shape)

    def _named(self, number: int) -> str:
        """Forecast and cycle, in words."""
        cycle = self.lead.cycle
        at = cycle.middle([number], self.calendar)[0]
        return f"forecast {self.forecast.title or ''} to the {cycle.name} around {at}"

    # ---- labels

    def _given(self, values: np.ndarray, differences: bool, number: int) -> xr.Dataset:
        """Labelled fields of all members, as the forecast takes them."""
        times = self.lead.cycle.middle([number - 1, number], self.calendar)
        ds = self._labelled(values, differences)
        return ds.assign_coords({self.time: times[0], VALID: times[1]})

    def spread(self, values: np.ndarray) -> xr.Dataset:
        """Labelled standard deviations (variable, nz, ny, nx), as the forecast takes them."""
        values = np.where(self.lead.wet, values, np.nan)
        return self._labelled(values[None], True).isel({self.member: 0}, drop=True)

    def _labelled(self, values: np.ndarray, differences: bool) -> xr.Dataset:
        """Fields (members, variable, nz, ny, nx) with the user's names, order and units."""
        out = {}
        grid = self.lead.grid
        sizes = [getattr(grid, name).size for name in grid.dims]
        convert = unit_tools.convert_difference if differences else unit_tools.convert
        for v, name in enumerate(self.lead.variables):
            unit, layout = self.units[v], self.source.layouts[name]
            plain = convert(values[:, v], self.lead.units[v], unit).astype(np.float32)
            da = xr.DataArray(plain.reshape(len(plain), *sizes), dims=("member", *grid.dims))
            da = layout.restore(da.assign_coords(member=np.arange(len(plain))))
            known = self.lead.attributes.get(name, {})
            da.attrs = {k: known[k] for k in ("standard_name", "long_name") if k in known}
            da.attrs["units"] = unit_tools.difference_unit(unit) if differences else unit
            out[name] = da
        return xr.Dataset(out)

    def _read(
        self,
        made: Any,
        given: xr.Dataset,
        differences: bool,
        wet: np.ndarray,
        problems: Problems,
    ) -> np.ndarray:
        """Plain arrays (..., variable, nz, ny, nx) in the model's units; problems are collected."""
        names = self.lead.variables
        if isinstance(made, xr.DataArray) and len(names) == 1:
            made = made.to_dataset(name=names[0])
        if not isinstance(made, xr.Dataset):
            problems.add("it is no Dataset", found=type(made).__name__)
            return np.zeros(0)
        if missing := [n for n in names if n not in made.data_vars]:
            problems.add(f"{missing} are missing", found=f"variables {list(made.data_vars)}")
            return np.zeros(0)
        parts = [
            self._field(unit_tools.dequantify(made[n]), given[n], v, differences, problems)
            for v, n in enumerate(names)
        ]
        if len(problems):
            return np.zeros(0)
        values = np.stack(parts, axis=-4)
        for v, name in enumerate(names):
            bad = int((~np.isfinite(values[..., v, :, :, :]) & wet[v]).sum())
            if bad:
                problems.add(f"{name!r} is not finite in {bad} cells of the sea")
        return values

    def _field(
        self, made: xr.DataArray, given: xr.DataArray, v: int, differences: bool,
        problems: Problems,
    ) -> np.ndarray:  # fmt: skip
        """One variable on the canonical grid, (..., nz, ny, nx)."""
        name, grid = self.lead.variables[v], self.lead.grid
        single = [d for d in made.dims if d not in given.dims and made.sizes[d] == 1]
        made = made.squeeze(single, drop=True)
        if {*made.dims} != {*given.dims}:
            problems.add(
                f"dimensions of {name!r} differ", found=str(made.dims), expected=str(given.dims)
            )
            return np.zeros(0)
        made = made.transpose(*given.dims)
        told = [d for d in map(str, given.dims) if not _same_axis(made, given, d)]
        if told:
            sizes = {d: made.sizes[d] for d in told}
            problems.add(f"the grid of {name!r} differs", found=f"along {sizes}",
                         expected="sizes and coordinates of what was given")  # fmt: skip
            return np.zeros(0)
        if made.dtype.kind not in "iuf":
            problems.add(f"{name!r} holds no numbers", found=f"type {made.dtype}")
            return np.zeros(0)
        unit = unit_tools.unit_of(made) or given.attrs["units"]
        convert = unit_tools.convert_difference if differences else unit_tools.convert
        try:
            values = convert(made.values.astype(np.float64), unit, self.lead.units[v])
        except InputError as error:
            problems.add(f"units of {name!r} are not those that were given", found=str(error),
                         expected=given.attrs["units"])  # fmt: skip
            return np.zeros(0)
        layout = self.source.layouts[name]
        plain = given.drop_vars([c for c in given.coords if c not in given.dims])
        plain = plain.copy(data=values)
        if self.member not in plain.dims:
            return layout.canonical(plain).values.reshape(grid.shape)
        each = [plain.isel({self.member: m}) for m in range(plain.sizes[self.member])]
        return np.stack([layout.canonical(one).values.reshape(grid.shape) for one in each])


def _same_axis(made: xr.DataArray, given: xr.DataArray, dim: str) -> bool:
    """Whether sizes agree, and coordinates where there are any."""
    if made.sizes[dim] != given.sizes[dim]:
        return False
    if dim not in made.coords or dim not in given.coords:
        return True
    mine, theirs = made[dim].values, given[dim].values
    if mine.dtype.kind not in "iuf" or theirs.dtype.kind not in "iuf":
        return bool(np.array_equal(mine, theirs))
    # as good as float32 can keep them
    return bool(np.allclose(mine, theirs, rtol=1e-5, atol=1e-6))
