"""Block bootstrap of means, ratios, and whatever else is a function of sums.

Errors of neighbouring times, of one cast or one mooring are not independent; blocks of
them nearly are.  A statistic is a function of sums over samples, so that blocks are
summed once and drawn again and again at the cost of one matrix product.

Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 8; Künsch (1989)
for blocks.  Knows numpy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

#: Fewer blocks than this tell nothing of the sampling error.
FEWEST = 5


class Interval(NamedTuple):
    """An estimate and the ends of its confidence interval."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


def block_sums(values: Any, blocks: Any) -> np.ndarray:
    """Sum samples by block.

    Parameters
    ----------
    values : array-like, shape (n, ...)
    blocks : array-like, shape (n,)
        Label of the block of each sample.

    Returns
    -------
    numpy.ndarray of float64, shape (block, ...)
        In the order of the labels; NaN is a sample that is not there.

    Examples
    --------
    >>> block_sums([1.0, 2.0, 3.0], ["a", "b", "a"]).tolist()
    [4.0, 2.0]
    """
    values = np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0)
    names, block = np.unique(np.asarray(blocks), return_inverse=True)
    out = np.zeros((names.size, *values.shape[1:]))
    np.add.at(out, block.reshape(-1), values)
    return out


def resampled(sums: np.ndarray, *, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """Sums of draws of as many blocks, with replacement.

    Parameters
    ----------
    sums : numpy.ndarray, shape (block, ...)
    draws : int
    seed : int

    Returns
    -------
    numpy.ndarray, shape (draws, ...)

    Examples
    --------
    >>> resampled(np.ones((6, 2)), draws=3).tolist()
    [[6.0, 6.0], [6.0, 6.0], [6.0, 6.0]]
    """
    number = sums.shape[0]
    rng = np.random.default_rng(seed)
    times = rng.multinomial(number, np.full(number, 1.0 / number), size=draws)
    return (times.astype(np.float64) @ sums.reshape(number, -1)).reshape(draws, *sums.shape[1:])


def interval(replicates: Any, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles that hold the middle `level` of replicates along the first axis.

    NaN where a replicate is NaN.

    Examples
    --------
    >>> [round(float(x), 9) for x in interval(np.arange(101.0), 0.9)]
    [5.0, 95.0]
    """
    half = (1 - level) / 2
    low, high = np.quantile(np.asarray(replicates, dtype=np.float64), [half, 1 - half], axis=0)
    return low, high


def block_bootstrap(
    numerator: Any,
    denominator: Any = None,
    *,
    blocks: Any,
    root: bool = False,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Confidence interval of a mean, or of a ratio of means, by drawing blocks.

    Parameters
    ----------
    numerator : array-like, shape (n, ...)
        Samples.
    denominator : array-like, optional
        Samples of the same shape: the statistic is sum(numerator) / sum(denominator),
        over the samples that both have.  All ones by default: the mean.  Weights of
        a weighted mean stand here, and multiplied to the numerator.
    blocks : array-like, shape (n,)
        Label of the block of each sample.
    root : bool
        Take the square root at the end: of squared errors, an RMSE or a ratio of RMSEs.
    draws, level, seed : int, float, int
        Replicates, coverage of the interval, seed.

    Returns
    -------
    Interval
        The ends are NaN with fewer than 5 blocks.  Intervals by percentiles are a
        little too narrow where blocks are few.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> e = rng.standard_normal(1000)
    >>> found = block_bootstrap(e**2, blocks=np.arange(1000) // 10, root=True)
    >>> bool(found.low < 1 < found.high)
    True
    """
    above = np.asarray(numerator, dtype=np.float64)
    below = np.ones_like(above) if denominator is None else np.asarray(denominator, np.float64)
    above, below = np.broadcast_arrays(above, below)
    there = ~np.isnan(above) & ~np.isnan(below)
    pair = np.stack([np.where(there, above, 0.0), np.where(there, below, 0.0)], axis=1)
    sums = block_sums(pair, blocks)

    def statistic(total: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = total[..., 0, :] / total[..., 1, :]
            return np.sqrt(ratio) if root else ratio

    shape = above.shape[1:]
    flat = sums.reshape(sums.shape[0], 2, -1)
    estimate = statistic(flat.sum(axis=0)).reshape(shape)
    if sums.shape[0] < FEWEST:
        return Interval(estimate, np.full(shape, np.nan), np.full(shape, np.nan))
    low, high = interval(statistic(resampled(flat, draws=draws, seed=seed)), level)
    return Interval(estimate, low.reshape(shape), high.reshape(shape))
