"""Linear trends with honest errors, and drift.

The values of neighbouring cycles resemble each other, so that a series holds fewer
independent values than it has: the effective number of degrees of freedom follows from
the correlation of the residuals at lag 1 (Santer et al. 2000).  The correlation of
residuals is too low because the fit has followed the values; this is corrected exactly
for a process of first order.

Knows series of cycles; numpy, scipy and xarray.
"""

from __future__ import annotations

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


def residual_correlation(matrix: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """Correlation at lag 1 that residuals of a fit show, by that of the process.

    Ratio of the expectations of the lagged products and of the squares of residuals
    ``M y`` with ``M = I - Q Q'`` and covariances ``rho ** |i - j|``.

    Parameters
    ----------
    matrix : numpy.ndarray, shape (n, k)
        Of the fit.
    rho : numpy.ndarray, shape (m,)

    Returns
    -------
    numpy.ndarray, shape (m,)

    Examples
    --------
    >>> mean = np.ones((50, 1))
    >>> bool(residual_correlation(mean, np.array([0.8]))[0] < 0.75)
    True
    """
    n = len(matrix)
    q, _ = np.linalg.qr(matrix)
    shifted = np.zeros_like(q)
    shifted[1:] += q[:-1] / 2
    shifted[:-1] += q[1:] / 2
    out = []
    for r in rho:
        forth = signal.lfilter([1], [1, -r], q, axis=0)
        back = signal.lfilter([1], [1, -r], q[::-1], axis=0)[::-1]
        spread = forth + back - q  # covariance times q
        inner = q.T @ spread
        lagged = (n - 1) * r - 2 * np.sum(shifted * spread) + np.sum((q.T @ shifted) * inner.T)
        out.append(lagged / (n - np.trace(inner)))
    return np.array(out)


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
    k = matrix.shape[1]
    coefficients = fit(values, matrix)
    residual = values - coefficients @ matrix.T
    known = np.isfinite(residual)
    count = known.sum(axis=-1)
    filled = np.where(known, residual, 0.0)
    square = (filled**2).sum(axis=-1)
    pairs = (known[..., 1:] & known[..., :-1]).sum(axis=-1)
    lagged = (filled[..., 1:] * filled[..., :-1]).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = (lagged / pairs) / (square / count) * (len(time) - 1) / len(time)
        rho = np.interp(seen, residual_correlation(matrix, _RHO), _RHO)
        freedom = _independent(known, rho)
        left = np.maximum(freedom - 2, 0.5)
        variance = square / (count - k) * (count - 2) / left
        error = np.sqrt(variance / _leverage(known, time, others))
    lacking = np.isnan(coefficients[..., -1]) | (count < k + _FREE)
    half = error * stats.t.ppf((1 + confidence) / 2, left)
    parts = (coefficients[..., -1], error, half, freedom)
    return tuple(np.where(lacking, np.nan, p) for p in parts)  # type: ignore[return-value]


def _independent(known: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """Effective number of independent values; where some are missing, of those that are there.

    The variance of the mean of the values that are there is that of so many independent
    ones; of a whole series these are n (1 - r) / (1 + r), its ends aside.
    """
    count = known.sum(axis=-1)
    limit = known.shape[-1] * (1 - rho) / (1 + rho)
    if known.all():
        return np.asarray(limit)
    before = np.zeros(rho.shape)
    pairs = np.zeros(rho.shape)
    for t in range(known.shape[-1]):
        pairs += np.where(known[..., t], before, 0.0)
        before = rho * (before + known[..., t])
    return np.minimum(limit, count**2 / (count + 2 * pairs))


def _leverage(known: np.ndarray, time: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Sum of squares of the times of known values, less what the other columns explain."""
    whole = time - others @ np.linalg.lstsq(others, time, rcond=None)[0]
    # of a cell with gaps, in proportion: the times are spread alike
    return (whole**2 * known).sum(axis=-1)


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
    standard error counts the effective number of independent values, n (1 - r) / (1 + r)
    with the correlation r of the residuals of neighbouring cycles, corrected for the fit.

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
    Of series of first order, 95 percent intervals hold the truth in 92 to 96 percent of
    the cases, if the series is 60 or more values long and their correlation 0.9 or less.

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
