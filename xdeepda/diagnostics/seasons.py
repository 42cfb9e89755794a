"""The course of the year: anomalies from it, its amplitude and its phase.

Knows series of cycles; numpy and xarray.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.climatology import DEFAULT_HARMONICS, design
from xdeepda.diagnostics.fields import finished, tell_of_spread
from xdeepda.diagnostics.series import (
    Series,
    along_time,
    anomalies_of,
    base_of,
    fit,
    has_seasons,
    look_along_time,
)
from xdeepda.errors import Problems


def anomalies(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    base: tuple[Any, Any] | None = None,
    climatology: int | str | None = None,
    cycle: str | None = None,
) -> xr.DataArray:
    """Departures from the climatology of a base period, on any calendar.

    Parameters
    ----------
    ds : Dataset or DataArray
        With a time axis.
    var : str, optional
        Name of the variable, where there are several.
    base : (first, last) year, optional
        Period of the climatology; all of the series by default.
    climatology : "means" or int, optional
        Mean of each cycle of the year, or a number of harmonics; means of months, and 4
        harmonics of pentads by default.
    cycle : {"pentad", "month", "year"}, optional
        Guessed from the spacing of times; finer times are averaged over it.

    Returns
    -------
    DataArray
        ``<var>_anomaly`` with the dimensions and the type of the variable, in the unit of
        its differences.

    Raises
    ------
    InputError
        No time axis; less than a year; a base period that does not determine the
        climatology.

    Examples
    --------
    >>> ds.deepda.anomalies("thetao", base=(1991, 2020))  # doctest: +SKIP
    """
    problems = Problems("anomalies")
    series = look_along_time(ds, var, problems, cycle=cycle)
    if series is None:
        problems.raise_if_any()
    assert series is not None  # told above
    positions = base_of(series, base, climatology, problems)
    problems.raise_if_any()
    field = series.field
    found = anomalies_of(series, climatology, positions)
    kind = np.result_type(field.values.dtype, np.float32)
    return finished(
        found.astype(kind),
        field,
        name=f"{field.name}_anomaly",
        unit=unit_tools.difference_unit(field.unit),
        long_name=f"{field.array.attrs.get('long_name', field.name)}: anomaly",
        base_period="all of the series" if base is None else f"{base[0]} to {base[1]}",
        **tell_of_spread(field),
    )


def seasonal_cycle(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    base: tuple[Any, Any] | None = None,
    climatology: int | str | None = None,
    cycle: str | None = None,
) -> xr.Dataset:
    """Climatology, and amplitude and phase of the annual harmonic.

    Parameters
    ----------
    ds, var, base, climatology, cycle
        As in :func:`xdeepda.anomalies`.

    Returns
    -------
    Dataset
        ``<var>_climatology`` with the dimension month (1 to 12) or pentad (1 to 73) in
        place of time; ``<var>_amplitude``, half of the range of the annual harmonic;
        ``<var>_phase``, the time of its maximum as an angle in degrees, 0 at the start of
        the year; ``<var>_month_of_maximum``, 1 to 12, that of the climatology.

    Raises
    ------
    InputError
        As in :func:`xdeepda.anomalies`; yearly means.

    Notes
    -----
    The annual harmonic is fitted together with those of higher order (4 in all), so that
    years of uneven length or with missing values do not mix them.

    Examples
    --------
    >>> ds.deepda.seasonal_cycle("thetao", base=(1991, 2020))  # doctest: +SKIP
    """
    problems = Problems("seasonal_cycle")
    series = look_along_time(ds, var, problems, cycle=cycle)
    if series is None:
        problems.raise_if_any()
    assert series is not None  # told above
    has_seasons(series, problems)
    positions = base_of(series, base, climatology, problems)
    problems.raise_if_any()
    numbers = _one_year(series)
    fitted = series.seasonal_design(climatology)[positions]
    wanted = series.seasonal_design(climatology, numbers)
    fraction = series.cycle.year_fraction(series.numbers, series.calendar)[positions]
    waves = design(fraction, DEFAULT_HARMONICS[series.cycle.name])
    month = _months(series, numbers)

    def course(values: np.ndarray) -> tuple[np.ndarray, ...]:
        known = values[..., positions]
        year = fit(known, fitted) @ wanted.T
        wave = fit(known, waves)
        amplitude = np.hypot(wave[..., 1], wave[..., 2])
        phase = np.rad2deg(np.arctan2(wave[..., 2], wave[..., 1])) % 360
        lacking = np.isnan(year).any(axis=-1)
        peak = month[np.argmax(np.where(lacking[..., None], 0, year), axis=-1)]
        return year, amplitude, phase, np.where(lacking, np.nan, peak)

    name = series.cycle.name
    parts = along_time(course, series.values, [name, None, None, None], {name: numbers.size})
    return _as_dataset(series, parts)


def _one_year(series: Series) -> np.ndarray:
    """Numbers of the cycles of the first year of the series."""
    per_year = series.cycle.per_year
    return series.numbers[0] // per_year * per_year + np.arange(per_year)


def _months(series: Series, numbers: np.ndarray) -> np.ndarray:
    """Month, 1 to 12, that holds the middle of each cycle of a year."""
    middle = series.cycle.middle(numbers, series.calendar)
    return xr.DataArray(middle, dims="time").dt.month.values.astype(float)


def _as_dataset(series: Series, parts: tuple[xr.DataArray, ...]) -> xr.Dataset:
    """Label climatology, amplitude, phase and month of the maximum."""
    field, name = series.field, series.cycle.name
    year, amplitude, phase, month = parts
    words = str(field.array.attrs.get("long_name", field.name))
    difference = unit_tools.difference_unit(field.unit)
    labels = (
        (year, "climatology", field.unit, f"{words}: climatology"),
        (amplitude, "amplitude", difference, f"{words}: amplitude of the annual harmonic"),
        (phase, "phase", "degree", f"{words}: maximum of the annual harmonic, from 1 January on"),
        (month, "month_of_maximum", "1", f"{words}: month of the maximum, 1 to 12"),
    )
    out = {
        f"{field.name}_{end}": finished(
            part, field, name=f"{field.name}_{end}", unit=unit, long_name=text
        )
        for part, end, unit, text in labels
    }
    numbers = np.arange(1, series.cycle.per_year + 1)
    axis = xr.DataArray(numbers, dims=name, attrs={"long_name": f"{name} of the year"})
    return xr.Dataset(out, attrs=tell_of_spread(field)).assign_coords({name: axis})
