"""Whether stated uncertainties are true, on plain arrays.

Histograms of ranks and of probability integral transforms with measures of their
flatness, reliability of variances, and Desroziers' consistency estimates.  Samples with
NaN are left out.  Knows numpy and scipy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

#: Second word of the seed of ranks; any number that nobody else uses ("rank" in ASCII).
_STREAM = 0x72616E6B


class Flatness(NamedTuple):
    """How far a histogram of K bins and n samples is from flat.

    Attributes
    ----------
    deviation : float
        Mean over the bins of |share / (1/K) - 1|: 0 is flat, 0.1 means that bins are
        10 % too high or low.  Does not grow with n, but noise alone gives about
        ``0.8 * sqrt((K - 1) / n)``.
    delta : float
        Ratio of the sum of squares to that expected of n independent samples (Candille &
        Talagrand 2005): about 1 is flat; grows with n if it is not.
    slope : float
        Standardised linear part: positive where high ranks are too many, so that the
        estimate is too low.  A standard normal number under flatness (Jolliffe & Primo
        2008).
    curvature : float
        Standardised U: positive where outer ranks are too many (spread too small),
        negative where inner ones are (spread too large).
    """

    deviation: float
    delta: float
    slope: float
    curvature: float


def rank_histogram(
    members: Any,
    reference: Any,
    *,
    axis: int = 0,
    error: Any = None,
    weights: Any = None,
    seed: int = 0,
) -> np.ndarray:
    """Count the rank of the reference among the members.

    Parameters
    ----------
    members : array-like
        Ensemble of m along `axis`.
    reference : array-like
        Shape of the members without `axis`.
    error : array-like, optional
        Standard deviation of the error of the reference; drawn and added to the members
        (Hamill 2001), since the observation of a truth is wider spread than the truth.
    weights : array-like, optional
        What a sample counts.
    seed : int
        Of the draws of errors and ties.

    Returns
    -------
    numpy.ndarray of float64, shape (m + 1,)
        Rank 0: the reference is below all members.  Ties get a rank at random among
        those that they share.  Samples with a missing member or reference do not count.

    References
    ----------
    Hamill (2001), Monthly Weather Review 129.

    Examples
    --------
    >>> rank_histogram([[1.0, 1.0], [2.0, 2.0]], [0.0, 1.5]).tolist()
    [1.0, 1.0, 0.0]
    """
    x = np.moveaxis(np.asarray(members, dtype=np.float64), axis, 0)
    rank = rank_bins(x, reference, error=error, seed=seed)
    there = rank >= 0
    counted = None if weights is None else np.broadcast_to(weights, there.shape)[there]
    return np.bincount(rank[there], counted, minlength=len(x) + 1).astype(np.float64)


def rank_bins(
    members: Any, reference: Any, *, error: Any = None, seed: int = 0, stream: int = 0
) -> np.ndarray:
    """Rank of each reference among the members, as :func:`rank_histogram` counts them.

    Parameters
    ----------
    members : array-like, shape (m, ...)
    reference : array-like, shape (...)
    error : array-like, optional
        Standard deviation of the error of the reference.
    seed, stream : int
        The draws of different streams of a seed are independent.

    Returns
    -------
    numpy.ndarray of int64, shape (...)
        0 to m; -1 where a member or the reference is missing.

    Examples
    --------
    >>> rank_bins([[1.0, 1.0], [2.0, np.nan]], [1.5, 1.5]).tolist()
    [1, -1]
    """
    x = np.asarray(members, dtype=np.float64)
    y = np.broadcast_to(np.asarray(reference, dtype=np.float64), x.shape[1:])
    # a stream of its own: the members may have been drawn with the same seed
    rng = np.random.default_rng([seed, _STREAM, abs(stream), int(stream < 0)])
    if error is not None:
        x = x + rng.standard_normal(x.shape) * np.asarray(error, dtype=np.float64)
    below, equal = (x < y).sum(axis=0), (x == y).sum(axis=0)
    rank = below + rng.integers(0, equal, endpoint=True)
    return np.where(np.isnan(x).any(axis=0) | np.isnan(y), -1, rank)


def pit(estimate: Any, spread: Any, reference: Any, *, error: Any = 0.0) -> np.ndarray:
    r"""Probability integral transform of the reference under normal distributions.

    .. math:: \Phi\left[(y - \mu) / \sqrt{\sigma^2 + \sigma_o^2}\right]

    Parameters
    ----------
    estimate, spread : array-like
        Mean and standard deviation.
    reference : array-like
    error : array-like
        Standard deviation of the error of the reference.

    Returns
    -------
    numpy.ndarray
        Uniform between 0 and 1 if the distributions are true (Dawid 1984); NaN where
        the total spread is 0.

    Examples
    --------
    >>> float(pit(10.0, 1.0, 10.0))
    0.5
    """
    mu, sigma, y, own = (
        np.asarray(a, dtype=np.float64) for a in (estimate, spread, reference, error)
    )
    total = np.sqrt(sigma**2 + own**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return ndtr(np.where(total > 0, (y - mu) / total, np.nan))


def pit_histogram(values: Any, *, bins: int = 10, weights: Any = None) -> np.ndarray:
    """Count probability integral transforms in equal bins; float64, shape (bins,).

    Examples
    --------
    >>> pit_histogram([0.05, 0.95, 1.0, np.nan], bins=2).tolist()
    [1.0, 2.0]
    """
    bin_of = pit_bins(values, bins)
    there = bin_of >= 0
    counted = None if weights is None else np.broadcast_to(weights, there.shape)[there]
    return np.bincount(bin_of[there], counted, minlength=bins).astype(np.float64)


def pit_bins(values: Any, bins: int) -> np.ndarray:
    """Bin of each transform among equal ones, -1 where it is NaN.

    Examples
    --------
    >>> pit_bins([0.05, 1.0, np.nan], 2).tolist()
    [0, 1, -1]
    """
    values = np.asarray(values, dtype=np.float64)
    missing = np.isnan(values)
    number = np.minimum((np.where(missing, 0.0, values) * bins).astype(np.int64), bins - 1)
    return np.where(missing, -1, number)


def flatness(counts: Any) -> Flatness:
    """Measure how far a histogram of ranks or of transforms is from flat.

    Parameters
    ----------
    counts : array-like, shape (K,)
        At least two bins; of weighted counts, only ``deviation`` has its meaning.

    Returns
    -------
    Flatness
        NaN where nothing was counted.

    References
    ----------
    Candille & Talagrand (2005), Quarterly Journal of the Royal Meteorological Society
    131; Jolliffe & Primo (2008), Monthly Weather Review 136.

    Examples
    --------
    >>> flatness([10, 10, 10]).deviation
    0.0
    >>> flatness([20, 5, 5, 20]).curvature > 3
    True
    """
    counts = np.asarray(counts, dtype=np.float64)
    size, total = counts.size, counts.sum()
    if not total > 0 or size < 2:
        return Flatness(*[float("nan")] * 4)
    expected = total / size
    excess = (counts - expected) / np.sqrt(expected)
    line = np.arange(size) - (size - 1) / 2
    bow = line**2 - (line**2).mean()
    # two bins have no curvature
    slope, curvature = (
        float(excess @ c / np.sqrt(c @ c)) if c.any() else float("nan") for c in (line, bow)
    )
    deviation = float(np.abs(counts / expected - 1).mean())
    return Flatness(deviation, float(excess @ excess / (size - 1)), slope, curvature)


class Reliability(NamedTuple):
    """Predicted variance against squared error, in bins of the first.

    Attributes
    ----------
    predicted, observed : numpy.ndarray, shape (bins,)
        Mean predicted variance and mean squared error of each bin; equal if reliable.
    number : numpy.ndarray of int64, shape (bins,)
        Samples of each bin; NaN above where there are none.
    """

    predicted: np.ndarray
    observed: np.ndarray
    number: np.ndarray


def reliability(
    variance: Any, squared_error: Any, *, bins: int = 10, weights: Any = None
) -> Reliability:
    """Compare predicted variances with the squared errors that came.

    Parameters
    ----------
    variance : array-like
        Predicted variance of the error, that of the reference included.
    squared_error : array-like
        Square of estimate minus reference.
    bins : int
        About as many samples in each: the edges are quantiles of the variance.
    weights : array-like, optional
        What a sample counts in the means.

    Returns
    -------
    Reliability

    References
    ----------
    Leutbecher & Palmer (2008), Journal of Computational Physics 227.

    Examples
    --------
    >>> found = reliability([1.0, 1.0, 4.0, 4.0], [0.0, 2.0, 2.0, 6.0], bins=2)
    >>> found.predicted.tolist(), found.observed.tolist()
    ([1.0, 4.0], [1.0, 4.0])
    """
    v, e, w = np.broadcast_arrays(
        np.asarray(variance, dtype=np.float64),
        np.asarray(squared_error, dtype=np.float64),
        np.asarray(1.0 if weights is None else weights, dtype=np.float64),
    )
    there = ~np.isnan(v) & ~np.isnan(e) & (w > 0)
    v, e, w = v[there], e[there], w[there]
    if not v.size:
        return Reliability(np.full(bins, np.nan), np.full(bins, np.nan), np.zeros(bins, np.int64))
    bin_of = np.searchsorted(quantile_edges(v, bins), v)
    mass, first, second = (np.bincount(bin_of, w * x, minlength=bins) for x in (1.0, v, e))
    with np.errstate(invalid="ignore", divide="ignore"):
        return Reliability(first / mass, second / mass, np.bincount(bin_of, minlength=bins))


def quantile_edges(values: np.ndarray, bins: int) -> np.ndarray:
    """Edges between bins that hold about as many values each.

    Parameters
    ----------
    values : numpy.ndarray, shape (n,)
        Without NaN.
    bins : int

    Returns
    -------
    numpy.ndarray, shape (bins - 1,)
        Midway between neighbouring values, so that equal ones stay together; a bin is
        empty where there are fewer different values than bins.

    Examples
    --------
    >>> quantile_edges(np.array([1.0, 1.0, 1.0, 3.0]), 2).tolist()
    [2.0]
    """
    distinct, number = np.unique(values, return_counts=True)
    if distinct.size < 2:
        return np.full(bins - 1, np.inf)
    below = np.cumsum(number)[:-1] / values.size
    share = np.arange(1, bins) / bins
    right = np.minimum(np.searchsorted(below, share), below.size - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(share - below[left] < below[right] - share, left, right)
    return (distinct[nearest] + distinct[nearest + 1]) / 2


class Desroziers(NamedTuple):
    """Variances that departures are consistent with, by group.

    Attributes
    ----------
    group : numpy.ndarray, shape (n,)
    number : numpy.ndarray of int64, shape (n,)
        Observations of each group.
    observation, background, analysis : numpy.ndarray, shape (n,)
        Error variances at the places of the observations, in the square of their unit.
        Negative ones are possible and tell that the weights of the analysis are far
        from right, or the sample small.
    innovation : numpy.ndarray, shape (n,)
        Mean square of O-B: the sum of the first two.
    """

    group: np.ndarray
    number: np.ndarray
    observation: np.ndarray
    background: np.ndarray
    analysis: np.ndarray
    innovation: np.ndarray


def desroziers(
    innovation: Any, residual: Any, *, groups: Any = None, centred: bool = False
) -> Desroziers:
    r"""Estimate error variances from what an analysis did with its observations.

    .. math:: \overline{(O-A)(O-B)} = \sigma_o^2, \quad
       \overline{(A-B)(O-B)} = \sigma_b^2, \quad
       \overline{(A-B)(O-A)} = \sigma_a^2

    Parameters
    ----------
    innovation, residual : array-like, shape (n,)
        O-B and O-A of observations that were **assimilated**.
    groups : array-like, shape (n,), optional
        Label of each observation: instrument, depth, region.
    centred : bool
        Take the mean of each group off first, as if it were a bias.

    Returns
    -------
    Desroziers

    Notes
    -----
    Exact where the gain is the optimal one for the true variances; else a first step
    towards them.  Errors of observations and background must be independent.

    References
    ----------
    Desroziers, Berre, Chapnik & Poli (2005), Quarterly Journal of the Royal Meteorological
    Society 131, eqs 2 to 4.

    Examples
    --------
    >>> found = desroziers([2.0, -2.0], [1.0, -1.0])
    >>> float(found.observation[0]), float(found.background[0])
    (2.0, 2.0)
    """
    ob, oa = np.broadcast_arrays(
        np.asarray(innovation, dtype=np.float64), np.asarray(residual, dtype=np.float64)
    )
    label = np.zeros(ob.shape, dtype=np.int64) if groups is None else np.asarray(groups)
    names, member = np.unique(label, return_inverse=True)
    member = member.reshape(ob.shape)
    there = ~np.isnan(ob) & ~np.isnan(oa)
    ob, oa, member = ob[there], oa[there], member[there]
    count = np.bincount(member, minlength=names.size)

    def averaged(product: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.bincount(member, product, minlength=names.size) / count

    if centred:
        ob, oa = ob - averaged(ob)[member], oa - averaged(oa)[member]
    ab = ob - oa
    products = (oa * ob, ab * ob, ab * oa, ob * ob)
    return Desroziers(names, count, *(averaged(p) for p in products))
