"""How much of an error the departures of some sites would explain; plain arrays.

Departures of a site are what it would measure minus the analysis that lacks it: the
error of the analysis there, and that of the measurement.  The Kalman gain of the error m
of a mean by departures d is cov(m, d) (cov(d, d) + R)^-1, and it takes the variance
cov(m, d) (cov(d, d) + R)^-1 cov(d, m) away.  Covariances are those of a sample.  A site
measures in every cycle, and an analysis remembers: departures are those of the last
cycle and the averages of the last 2, 4, 8, ... of them.

Sampling.  A gain that is fitted to a sample explains too much of it.  Hence the gain is
fitted to some blocks of the series and judged on the others (k-fold cross-validation),
and the covariance of the departures is shrunk towards its diagonal by the share, of
some, that does best there.
"""

from __future__ import annotations

import numpy as np

#: Blocks of the series of which each is judged with the gain of the others.
FOLDS = 5
#: Shares of the variance of the departures that are added to it.
_SHRINK = (0.01, 0.03, 0.1, 0.3, 1.0)
#: Longest average, in cycles.
_LONGEST = 32


def windows(cycles: int) -> list[int]:
    """Lengths of the averages: powers of two, a tenth of the series at most.

    Examples
    --------
    >>> windows(100)
    [1, 2, 4, 8]
    """
    most = max(1, min(_LONGEST, cycles // 10))
    return [2**n for n in range(most.bit_length())]


def averages(errors: np.ndarray, lengths: list[int]) -> np.ndarray:
    """Averages over the last cycles, shape (cycles, lengths * p); fewer at the start.

    Parameters
    ----------
    errors : numpy.ndarray, shape (cycles, p)
    lengths : list of int
    """
    sums = np.concatenate([np.zeros((1, errors.shape[1])), np.cumsum(errors, axis=0)])
    end = np.arange(1, len(errors) + 1)
    parts = []
    for length in lengths:
        begin = np.maximum(end - length, 0)
        parts.append((sums[end] - sums[begin]) / (end - begin)[:, None])
    return np.concatenate(parts, axis=1)


def noise(error: np.ndarray, lengths: list[int]) -> np.ndarray:
    """Covariance of the averages of independent errors, (lengths * p, lengths * p)."""
    longer = np.maximum.outer(lengths, lengths)
    return np.kron(1.0 / longer, np.diag(error**2))


def expected_reduction(
    mean: np.ndarray, errors: np.ndarray, error: np.ndarray
) -> tuple[float, float]:
    """Share of the error variance of a mean that departures would take away.

    Parameters
    ----------
    mean : numpy.ndarray, shape (cycles,)
        Error of the mean in consecutive cycles.
    errors : numpy.ndarray, shape (cycles, p)
        Errors at the sites.
    error : numpy.ndarray, shape (p,)
        Standard deviations of the measurements.

    Returns
    -------
    reduction, uncertainty : float
        0 to 1; the standard error from the spread between the blocks.
    """
    lengths = windows(len(mean))
    seen, blur = averages(errors, lengths), noise(error, lengths)
    blocks = np.array_split(np.arange(len(mean)), FOLDS)
    best, told = -np.inf, np.zeros(FOLDS)
    for shrink in _SHRINK:
        left = np.array([_judged(mean, seen, blur, block, shrink, lengths[-1]) for block in blocks])
        reduction = 1.0 - left[:, 0].sum() / left[:, 1].sum()
        if reduction > best:
            best, told = reduction, (left[:, 1] - left[:, 0]) / left[:, 1].mean()
    return float(np.clip(best, 0.0, 1.0)), float(told.std(ddof=1) / np.sqrt(FOLDS))


def _judged(
    mean: np.ndarray, seen: np.ndarray, blur: np.ndarray, block: np.ndarray, shrink: float, gap: int
) -> tuple[float, float]:
    """Squared errors of the mean in a block, with the gain of all others and without."""
    train = np.ones(len(mean), dtype=bool)
    # averages reach back into the block before
    train[block[0] : block[-1] + gap] = False
    x, y = seen[train], mean[train]
    covariance = x.T @ x / len(y)
    shrunk = covariance + shrink * np.diag(np.diag(covariance)) + blur
    gain = np.linalg.solve(shrunk, x.T @ y / len(y))
    left = mean[block] - seen[block] @ gain
    # the errors of the measurements are not in the sample: their part is known
    after = float((left**2).sum() + len(block) * gain @ blur @ gain)
    return after, float((mean[block] ** 2).sum())


def reduction_of(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Share of the error variance that is gone, and its standard error.

    Parameters
    ----------
    before, after : numpy.ndarray, shape (cycles,)
        Errors of the same cycles.

    Returns
    -------
    reduction, uncertainty : float
        The latter by leaving out each of ten blocks (jackknife).
    """
    total = 1.0 - (after**2).sum() / (before**2).sum()
    blocks = np.array_split(np.arange(len(before)), min(10, len(before)))
    out = [
        1.0 - np.square(np.delete(after, block)).sum() / np.square(np.delete(before, block)).sum()
        for block in blocks
    ]
    number = len(out)
    spread = np.sqrt((number - 1) / number * ((out - np.mean(out)) ** 2).sum())
    return float(total), float(spread)
