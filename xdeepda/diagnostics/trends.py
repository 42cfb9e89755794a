"""Linear trends with honest errors, and drift.

The values of neighbouring cycles resemble each other, so that a series holds fewer
independent values than it has: the effective number of degrees of freedom follows from
the correlation of the residuals at lag 1 (Santer et al. 2000).  The residuals are less
correlated than the values because the fit has followed these; correlation, variance and
the error of the slope are corrected for that, exactly for a process of first order.

Knows series of cycles; numpy, scipy and xarray.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import signal, stats

from xdeepda import units as unit_tools
from xdeepda.diagnostics.fields import finished, tell_of_spread
from xdeepda.diagnostics.series import Series, along_time, fit, look_along_time
from xdeepda.diagnostics.weights import GLOBE, area_mean, area_weights
from xdeepda.errors import Problems

#: Years in the units of trends.
PERIODS = {"year": 1.0, "century": 100.0}

#: Correlations of neighbours between which the correction is interpolated.
_RHO = np.concatenate([np.linspace(0, 0.9, 46), np.linspace(0.905, 0.995, 19)])

#: Fewest values that a trend is fitted to beyond the parameters of its fit.
_FREE = 3


@dataclass(frozen=True)
class Expected:
    """What a fit makes of values of unit variance and correlation rho ** lag.

    Attributes
    ----------
    correlation : numpy.ndarray, shape (m,)
        At lag 1, of the residuals: the ratio of the expectations of their lagged
        products and of their squares; lower than that of the values.
    square : numpy.ndarray, shape (m,)
        Sum of squares of the residuals.
    variance : numpy.ndarray, shape (m,)
        Of the last coefficient.
    """

    correlation: np.ndarray
    square: np.ndarray
    variance: np.ndarray


def expected(matrix: np.ndarray, rho: np.ndarray) -> Expected:
    """Expectations for residuals ``M y`` with ``M = I - Q Q'``, exactly.

    Parameters
    ----------
    matrix : numpy.ndarray, shape (n, k)
        Of the fit.
    rho : numpy.ndarray, shape (m,)
        Correlations of neighbouring values.

    Examples
    --------
    >>> mean = np.ones((50, 1))
    >>> bool(expected(mean, np.array([0.8])).correlation[0] < 0.75)
    True
    """
    n = len(matrix)
    q, _ = np.linalg.qr(matrix)
    last = _freed(matrix[:, -1], matrix[:, :-1])[:, None]
    shifted = np.zeros_like(q)
    shifted[1:] += q[:-1] / 2
    shifted[:-1] += q[1:] / 2
    rows = []
    for r in rho:
        inner = q.T @ _covariance_times(q, r)
        lagged = (n - 1) * r - 2 * np.sum(shifted * _covariance_times(q, r))
        lagged += np.sum((q.T @ shifted) * inner.T)
        square = n - np.trace(inner)
        variance = (last * _covariance_times(last, r)).sum() / (last**2).sum() ** 2
        rows.append((lagged / square, square, variance))
    return Expected(*np.array(rows).T)


def _covariance_times(q: np.ndarray, rho: float) -> np.ndarray:
    """Product of the covariances rho ** |i - j| with columns."""
    forth = signal.lfilter([1], [1, -rho], q, axis=0)
    back = signal.lfilter([1], [1, -rho], q[::-1], axis=0)[::-1]
    return np.asarray(forth + back - q)


def _freed(column: np.ndarray, others: np.ndarray) -> np.ndarray:
    """A column less what the others explain of it."""
    return np.asarray(column - others @ np.linalg.lstsq(others, column, rcond=None)[0])


def linear_trend(
    values: np.ndarray, time: np.ndarray, others: np.ndarray, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Slope along the last axis, its standard error, half of its interval, and freedom.

    Parameters
    ----------
    values : numpy.ndarray, shape (..., n)
        NaN where missing.
    time : numpy.ndarray, shape (n,)
        Evenly spaced.
    others : numpy.ndarray, shape (n, k)
        What is fitted with the slope: the mean, or the course of the year.
    confidence : float

    Returns
    -------
    slope, error, half, freedom : numpy.ndarray, shape (...)
        `freedom` is the effective number of independent values, n (1 - r) / (1 + r).
    """
    matrix = np.concatenate([others, (time - time.mean())[:, None]], axis=1)
    n, k = matrix.shape
    coefficients = fit(values, matrix)
    residual = values - coefficients @ matrix.T
    known = np.isfinite(residual)
    count = known.sum(axis=-1)
    filled = np.where(known, residual, 0.0)
    square = (filled**2).sum(axis=-1)
    table = expected(matrix, _RHO)
    with np.errstate(divide="ignore", invalid="ignore"):
        lagged = (filled[..., 1:] * filled[..., :-1]).sum(axis=-1) / (n - 1)
        pairs = (known[..., 1:] & known[..., :-1]).sum(axis=-1) / (n - 1)
        seen = (lagged * (n - 1) / pairs) / (square * n / count)
        seen = np.where(square > 0, seen, 0.0)  # a line without noise
        rho = np.interp(seen, table.correlation, _RHO)
        noise = square / (np.interp(rho, _RHO, table.square) * count / n)
        variance, freedom = _spreads(known, rho, table, matrix)
        error = np.sqrt(noise * variance)
    lacking = np.isnan(coefficients[..., -1]) | (count < k + _FREE)
    half = error * stats.t.ppf((1 + confidence) / 2, np.maximum(freedom - 2, 2.0))
    parts = (coefficients[..., -1], error, half, freedom)
    return tuple(np.where(lacking, np.nan, p) for p in parts)  # type: ignore[return-value]


def _spreads(
    known: np.ndarray, rho: np.ndarray, table: Expected, matrix: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Variance of the slope of unit noise, and effective number of values, with gaps.

    The latter is the number of independent values whose mean has the same variance; of a
    whole series these are n (1 - r) / (1 + r), its ends aside.
    """
    freedom = known.shape[-1] * (1 - rho) / (1 + rho)
    if known.all():
        return np.interp(rho, _RHO, table.variance), freedom
    time = np.where(known, matrix[:, -1], np.nan)
    freed = np.nan_to_num(time - fit(time, matrix[:, :-1]) @ matrix[:, :-1].T)
    sums = []
    for column in (freed, known.astype(float)):
        before, pairs = np.zeros(rho.shape), np.zeros(rho.shape)
        for t in range(known.shape[-1]):
            pairs += column[..., t] * before
            before = rho * (before + column[..., t])
        sums.append(((column**2).sum(axis=-1), pairs))
    (own, pairs), (count, among) = sums
    return (own + 2 * pairs) / own**2, np.minimum(freedom, count**2 / (count + 2 * among))


def trend(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    per: str = "century",
    confidence: float = 0.95,
    climatology: int | str | None = None,
    cycle: str | None = None,
) -> xr.Dataset:
    """Linear trend in each cell, with an error for correlated values.

    The slope is fitted by least squares together with the course of the year.  Its
    standard error is that of a process of first order with the correlation r of the
    residuals of neighbouring cycles, corrected for the fit; the interval is that of
    Student's distribution with n (1 - r) / (1 + r) independent values.

    Parameters
    ----------
    ds : Dataset or DataArray
        With a time axis; also an index or a heat content.
    var : str, optional
        Name of the variable, where there are several.
    per : {"century", "year"}
        Unit of time of the trend; years are those of the calendar.
    confidence : float, default 0.95
        Of the interval.
    climatology : "means" or int, optional
        Course of the year: as in :func:`xdeepda.anomalies`.
    cycle : {"pentad", "month", "year"}, optional
        Guessed from the spacing of times; finer times are averaged over it.

    Returns
    -------
    Dataset, float64
        ``<var>_trend``; ``<var>_trend_error``, its standard error; ``<var>_trend_lower``
        and ``<var>_trend_upper``, the interval; ``<var>_effective_values``.  This error
        is that of a trend in one realisation of natural variability; the error of the
        analysis itself is the spread of the trends of its members.

    Raises
    ------
    InputError
        No time axis; too short a series; an unknown unit of time.

    Notes
    -----
    In simulations of series of first order, 95 percent intervals hold the truth in 92 to
    96 percent of the cases if there are 6 or more effective values, and in 84 to 92 percent
    if there are fewer: a slow variation cannot be told from a trend then.  Smooth series,
    such as a heat content, are better judged by their yearly means, ``cycle="year"``.

    References
    ----------
    Santer, B. D., et al. (2000), J. Geophys. Res. 105, 7337.

    Examples
    --------
    >>> ds.deepda.heat_content(total=True).deepda.trend()  # doctest: +SKIP
    """
    problems = Problems("trend")
    series = look_along_time(ds, var, problems, cycle=cycle)
    _check(series, per, confidence, climatology, problems)
    problems.raise_if_any()
    assert series is not None  # told above
    return _trend(series, "trend", per, confidence, climatology)


def drift(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    per: str = "century",
    confidence: float = 0.95,
    climatology: int | str | None = None,
    cycle: str | None = None,
) -> xr.Dataset:
    """Trend of the horizontal mean of each level: what a run gains or loses.

    Parameters
    ----------
    ds : Dataset or DataArray
        With a time axis, and latitude or longitude.
    var, per, confidence, climatology, cycle
        As in :func:`xdeepda.trend`.

    Returns
    -------
    Dataset, float64
        ``<var>_drift`` (depth, where there is one), ``<var>_drift_error``,
        ``<var>_drift_lower``, ``<var>_drift_upper`` and ``<var>_effective_values``.

    Raises
    ------
    InputError
        As in :func:`xdeepda.trend`; no axis to average over.

    Examples
    --------
    >>> control.deepda.drift("thetao")  # doctest: +SKIP
    """
    problems = Problems("drift")
    series = look_along_time(ds, var, problems, cycle=cycle)
    _check(series, per, confidence, climatology, problems)
    area = None
    if series is not None:
        if series.field.grid.lat is None and series.field.grid.lon is None:
            problems.add("there is nothing to average over", found=str(series.field.layout.dims))
        area = area_weights(series.field, GLOBE, problems)
    problems.raise_if_any()
    assert series is not None  # told above
    assert area is not None
    mean = area_mean(series.values.astype(np.float64), area)
    return _trend(series.with_values(mean), "drift", per, confidence, climatology)


def _check(
    series: Series | None, per: str, confidence: float, climatology: object, problems: Problems
) -> None:
    """Refuse what no trend can be made of."""
    if per not in PERIODS:
        problems.add(f"per={per!r} is not known", expected=f"of {list(PERIODS)}")
    if not 0 < confidence < 1:
        problems.add("confidence= is no fraction", found=repr(confidence), expected="such as 0.95")
    if series is None:
        return
    try:
        matrix = series.seasonal_design(climatology)  # type: ignore[arg-type]
    except ValueError as error:
        problems.add(str(error))
        return
    if series.numbers.size < matrix.shape[1] + 1 + _FREE:
        problems.add(
            "the series is too short for a trend",
            found=f"{series.numbers.size} {series.cycle.name}s",
            expected=f"at least {matrix.shape[1] + 1 + _FREE}, for a course of the year and a line",
        )


def _trend(
    series: Series, word: str, per: str, confidence: float, climatology: int | str | None
) -> xr.Dataset:
    """Fit and label trends."""
    time = series.years / PERIODS[per]
    others = series.seasonal_design(climatology)
    slope, error, half, freedom = along_time(
        lambda v: linear_trend(v.astype(np.float64), time, others, confidence),
        series.values,
        [None] * 4,
    )
    field = series.field
    name, words = field.name, str(field.array.attrs.get("long_name", field.name))
    base = unit_tools.difference_unit(field.unit)
    unit = f"{per}-1" if base == "1" else f"{base} {per}-1"
    end = f"of the {confidence:.0%} confidence interval"
    labels = (
        (slope, word, unit, f"{words}: {word}"),
        (error, f"{word}_error", unit, f"{words}: standard error of the {word}"),
        (slope - half, f"{word}_lower", unit, f"{words}: lower limit {end} of the {word}"),
        (slope + half, f"{word}_upper", unit, f"{words}: upper limit {end} of the {word}"),
        (freedom, "effective_values", "1", f"{words}: effective number of independent values"),
    )
    out = {
        f"{name}_{suffix}": finished(
            part, field, name=f"{name}_{suffix}", unit=u, long_name=text,
            methods="area: mean" if word == "drift" else "",
        )
        for part, suffix, u, text in labels
    }  # fmt: skip
    return xr.Dataset(out, attrs=tell_of_spread(field))
