"""Losses of the training, on plain tensors.

Every loss is computed in float32 at least, whatever the precision of the networks. Weights say
what a cell counts: the area or volume of the wet cells, 0 on land. The module knows neither names
nor units; errors are in the units of the fields.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

ADVERSARIAL_FACTOR = 0.1
"""Weight of the adversarial loss beside the squared error in the system published in 2024."""


def _exact(x: Tensor) -> Tensor:
    """At least float32: squares and logarithms of half-precision numbers lose too much."""
    return x.to(torch.promote_types(torch.float32, x.dtype))


def _weighted_mean(terms: Tensor, weights: Tensor) -> Tensor:
    """Mean of `terms`; every cell counts as often as its weight, broadcast, says."""
    return (terms * weights).sum() / weights.expand_as(terms).sum()


def weighted_mse(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    r"""Return the mean squared difference of two fields.

    .. math:: \sum w (x - y)^2 \, / \, \sum w

    Parameters
    ----------
    x, y : Tensor, shape (..., level, latitude, longitude)
        Anything, NaN too, where the weight is 0.
    weights : Tensor
        At least 0; broadcasts against the fields. All ones give the plain mean.

    Returns
    -------
    Tensor, shape ()
        In the square of the fields' units. NaN if all weights are 0.

    Examples
    --------
    >>> weighted_mse(torch.tensor([1.0, 9.0]), torch.zeros(2), torch.tensor([1.0, 0.0]))
    tensor(1.)
    """
    difference = torch.where(weights > 0, _exact(x) - _exact(y), 0)
    return _weighted_mean(difference.square(), _exact(weights))


def gaussian_nll(mean: Tensor, variance: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    r"""Return the mean negative log-likelihood of the truth, normally distributed in each cell.

    .. math:: \tfrac12 \left[\ln(2 \pi v) + (t - \mu)^2 / v\right]

    It is smallest where the variance equals the mean squared error, so that a spread trained
    with it can be compared with errors.

    Parameters
    ----------
    mean, variance, truth : Tensor, shape (..., level, latitude, longitude)
        Variance above 0 in the square of the units of the mean. Anything, NaN too, where the
        weight is 0.
    weights : Tensor
        At least 0; broadcasts against the fields.

    Returns
    -------
    Tensor, shape ()
        NaN if all weights are 0, NaN or infinite where a variance with weight is not above 0.

    Examples
    --------
    >>> zero, one = torch.zeros(1), torch.ones(1)
    >>> gaussian_nll(zero, one, zero, one)  # half of ln(2 pi)
    tensor(0.9189)
    """
    counts = weights > 0
    error = torch.where(counts, _exact(truth) - _exact(mean), 0)
    safe = torch.where(counts, _exact(variance), 1)
    terms = 0.5 * (math.log(2 * math.pi) + safe.log() + error.square() / safe)
    return _weighted_mean(terms, _exact(weights))


def generator_adversarial_loss(logits: Tensor) -> Tensor:
    """Return the cross entropy of the discriminator's verdict against "this is real".

    Without a factor: the system published in 2024 adds it to the squared error times
    :data:`ADVERSARIAL_FACTOR`.

    Parameters
    ----------
    logits : Tensor, any shape
        Of the discriminator, for the generated increment; mean over all patches.

    Returns
    -------
    Tensor, shape ()
        ln 2 where the discriminator cannot tell.
    """
    return F.softplus(-_exact(logits)).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return half the cross entropy on real increments plus half that on generated ones.

    The system published in 2024 lets its optimiser step on each half in turn; here both halves
    make one loss.

    Parameters
    ----------
    real_logits, fake_logits : Tensor, any shape
        Of the discriminator, for increments between true states and for generated ones.

    Returns
    -------
    Tensor, shape ()
        ln 2 where the discriminator cannot tell.
    """
    real = F.softplus(-_exact(real_logits)).mean()
    fake = F.softplus(_exact(fake_logits)).mean()
    return 0.5 * (real + fake)
