"""Scores of an estimate against a reference, on plain arrays.

Every score takes arrays that broadcast against each other, `weights` that broadcast
against these (area, volume; all ones by default), and the axes to reduce (all by
default).  Samples with NaN in any of the arrays, or with weight 0, are left out; the
result is NaN where nothing is left.  Sums are in float64.  An error is always estimate
minus reference.

Sources: Murphy & Epstein (1989) for correlation and skill; Gneiting & Raftery (2007) for
the CRPS; Ferro (2014) for its fair form; Fortin et al. (2014) for the ratio of spread and
error.  Knows numpy and scipy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr

Axis = int | Sequence[int] | None


def _together(arrays: Sequence[Any], weights: Any) -> tuple[list[np.ndarray], np.ndarray]:
    """Broadcast arrays, and weights that are 0 where any is NaN (and the value is then 0)."""
    given = [np.asarray(a, dtype=np.float64) for a in arrays]
    weight = np.asarray(1.0 if weights is None else weights, dtype=np.float64)
    *values, weight = np.broadcast_arrays(*given, weight)
    there = weight > 0
    for value in values:
        there = there & ~np.isnan(value)
    return [np.where(there, v, 0.0) for v in values], np.where(there, weight, 0.0)


def _means(arrays: Sequence[Any], weights: Any, axis: Axis) -> list[np.ndarray]:
    """Weighted means of several arrays over the samples that all of them have."""
    values, weight = _together(arrays, weights)
    over = axis if axis is None or isinstance(axis, int) else tuple(axis)
    total = np.asarray(weight.sum(axis=over))
    with np.errstate(invalid="ignore", divide="ignore"):
        return [np.asarray((v * weight).sum(axis=over)) / total for v in values]


def mean(values: Any, *, weights: Any = None, axis: Axis = None) -> np.ndarray:
    r"""Return the weighted mean, :math:`\sum w x / \sum w`.

    Examples
    --------
    >>> float(mean([1.0, np.nan, 4.0], weights=[2, 9, 1]))
    2.0
    """
    return _means([values], weights, axis)[0]


def bias(estimate: Any, reference: Any, *, weights: Any = None, axis: Axis = None) -> np.ndarray:
    r"""Return the mean error, :math:`\overline{x - y}`; perfect is 0.

    Examples
    --------
    >>> float(bias([2.0, 4.0], [1.0, 1.0]))
    2.0
    """
    return mean(np.subtract(estimate, reference, dtype=np.float64), weights=weights, axis=axis)


def mse(estimate: Any, reference: Any, *, weights: Any = None, axis: Axis = None) -> np.ndarray:
    r"""Return the mean squared error, :math:`\overline{(x - y)^2}`; smaller is better.

    Examples
    --------
    >>> float(mse([2.0, 4.0], [1.0, 1.0]))
    5.0
    """
    error = np.subtract(estimate, reference, dtype=np.float64)
    return mean(error**2, weights=weights, axis=axis)


def rmse(estimate: Any, reference: Any, *, weights: Any = None, axis: Axis = None) -> np.ndarray:
    r"""Return the root of :func:`mse`, in the unit of the values; smaller is better."""
    return np.sqrt(mse(estimate, reference, weights=weights, axis=axis))


def anomaly_correlation(
    estimate: Any,
    reference: Any,
    *,
    climatology: Any = 0.0,
    centred: bool = False,
    weights: Any = None,
    axis: Axis = None,
) -> np.ndarray:
    r"""Return the correlation of anomalies from a climatology; perfect is 1.

    .. math:: \overline{x'y'} \, / \, \sqrt{\overline{x'^2} \; \overline{y'^2}},
       \qquad x' = x - c, \; y' = y - c

    Parameters
    ----------
    estimate, reference : array-like
    climatology : array-like
        `c`, of both; 0 where anomalies are given.
    centred : bool
        Take the mean of the anomalies off first: blind to a bias.
    weights, axis : see :mod:`xdeepda.verification.scores`

    Returns
    -------
    numpy.ndarray
        Between -1 and 1; NaN where one of them does not vary.

    Examples
    --------
    >>> float(anomaly_correlation([1.0, -1.0], [3.0, -3.0]))
    1.0
    """
    x = np.subtract(estimate, climatology, dtype=np.float64)
    y = np.subtract(reference, climatology, dtype=np.float64)
    mx, my, xx, yy, xy = _means([x, y, x * x, y * y, x * y], weights, axis)
    if centred:
        xx, yy, xy = xx - mx**2, yy - my**2, xy - mx * my
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(xy / np.sqrt(xx * yy), -1.0, 1.0)


def skill(
    estimate: Any, reference: Any, standard: Any, *, weights: Any = None, axis: Axis = None
) -> np.ndarray:
    r"""Return the skill in squared error against a standard estimate.

    .. math:: 1 - \overline{(x - y)^2} \, / \, \overline{(s - y)^2}

    Parameters
    ----------
    estimate, reference : array-like
    standard : array-like
        The estimate to beat: climatology, persistence, another scheme.
    weights, axis : see :mod:`xdeepda.verification.scores`

    Returns
    -------
    numpy.ndarray
        1 is perfect, 0 as good as the standard, negative worse.  Both errors are
        taken over the samples that all three have.

    Examples
    --------
    >>> float(skill([1.0, 1.0], [0.0, 0.0], [2.0, 2.0]))
    0.75
    """
    own = np.subtract(estimate, reference, dtype=np.float64) ** 2
    other = np.subtract(standard, reference, dtype=np.float64) ** 2
    own, other = _means([own, other], weights, axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1.0 - own / other


# ---- probabilities


def crps_gaussian(estimate: Any, spread: Any, reference: Any) -> np.ndarray:
    r"""Continuous ranked probability score of normal distributions, sample by sample.

    .. math:: \sigma \left[ z (2 \Phi(z) - 1) + 2 \varphi(z) - 1 / \sqrt{\pi} \right],
       \qquad z = (y - \mu) / \sigma

    Parameters
    ----------
    estimate, spread : array-like
        Mean and standard deviation; a spread of 0 gives the absolute error.
    reference : array-like

    Returns
    -------
    numpy.ndarray
        In the unit of the values; smaller is better, 0 is perfect.  NaN where any of
        the three is, and where a spread is negative.

    References
    ----------
    Gneiting, Raftery, Westveld & Goldman (2005), Monthly Weather Review 133, eq. 5.

    Examples
    --------
    >>> round(float(crps_gaussian(0.0, 1.0, 0.0)), 4)
    0.2337
    """
    mu, sigma, y = np.broadcast_arrays(
        *(np.asarray(a, dtype=np.float64) for a in (estimate, spread, reference))
    )
    sure = sigma == 0
    width = np.where(sure, 1.0, np.where(sigma < 0, np.nan, sigma))
    z = (y - mu) / width
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    value = width * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return np.where(sure, np.abs(y - mu), value)


def crps_ensemble(members: Any, reference: Any, *, axis: int = 0, fair: bool = True) -> np.ndarray:
    r"""Continuous ranked probability score of ensembles, sample by sample.

    .. math:: \frac1m \sum_i |x_i - y| - \frac1{2 m k} \sum_i \sum_j |x_i - x_j|

    Parameters
    ----------
    members : array-like
        Ensemble along `axis`.
    reference : array-like
        Shape of the members without `axis`.
    axis : int
    fair : bool
        k = m - 1: the score that an ensemble of infinitely many members from the same
        distribution is expected to have.  Else k = m: the score of these members as
        they are, which punishes a small ensemble.

    Returns
    -------
    numpy.ndarray
        In the unit of the values; smaller is better.  A fair score of a sample can be
        negative, its mean is not.  NaN where a member is missing, and a fair score of
        a single member.

    References
    ----------
    Ferro (2014), Quarterly Journal of the Royal Meteorological Society 140; sums over
    pairs by sorting.

    Examples
    --------
    >>> float(crps_ensemble([0.0, 2.0], 1.0, fair=False))
    0.5
    """
    x = np.sort(np.moveaxis(np.asarray(members, dtype=np.float64), axis, 0), axis=0)
    y = np.asarray(reference, dtype=np.float64)
    m = x.shape[0]
    k = m - 1 if fair else m
    # sum over pairs i < j of x_j - x_i: the n-th smallest is added n and subtracted m - n - 1 times
    rank = (2.0 * np.arange(m) - m + 1).reshape(-1, *[1] * (x.ndim - 1))
    pairs = (rank * x).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.abs(x - y).mean(axis=0) - pairs / np.float64(m * k)


def spread_skill(
    spread: Any,
    error: Any,
    *,
    error_variance: Any = 0.0,
    members: int | None = None,
    weights: Any = None,
    axis: Axis = None,
) -> np.ndarray:
    r"""Return the ratio of the expected to the actual error; perfect is 1.

    .. math:: \sqrt{\overline{a \sigma^2 + \sigma_o^2}} \, / \, \sqrt{\overline{e^2}}

    Parameters
    ----------
    spread : array-like
        Standard deviation of the error that the estimate states.
    error : array-like
        Estimate minus reference.
    error_variance : array-like
        Variance of the error of the reference, of an observation.
    members : int, optional
        Where the spread is that of so many members (with ``ddof=1``) and the estimate
        their mean: the mean errs by the sampling of the members too, a = 1 + 1/m.
    weights, axis : see :mod:`xdeepda.verification.scores`

    Returns
    -------
    numpy.ndarray
        Below 1: overconfident; above 1: too wide.  Roots of means, not means of roots.

    References
    ----------
    Fortin, Abaza, Anctil & Turcotte (2014), Journal of Hydrometeorology 15.

    Examples
    --------
    >>> float(spread_skill([1.0, 1.0], [2.0, -2.0]))
    0.5
    """
    factor = 1.0 if members is None else 1.0 + 1.0 / members
    expected = factor * np.square(spread, dtype=np.float64) + np.asarray(error_variance)
    both = _means([expected, np.square(error, dtype=np.float64)], weights, axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(both[0] / both[1])
