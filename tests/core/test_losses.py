"""Losses against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from xdeepda.core.losses import (
    ADVERSARIAL_FACTOR,
    discriminator_loss,
    gaussian_nll,
    generator_adversarial_loss,
    weighted_mse,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_mse_with_equal_weights_is_the_plain_mean():
    x, y = torch.randn(2, 3, 4, 5, 6, generator=rng())
    expected = torch.nn.functional.mse_loss(x, y)
    torch.testing.assert_close(weighted_mse(x, y, torch.ones(5, 6)), expected)
    torch.testing.assert_close(weighted_mse(x, y, torch.full((5, 1), 7.0)), expected)


def test_mse_weighs_each_cell():
    x, y = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.zeros(2, 2)
    weights = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    assert weighted_mse(x, y, weights).item() == pytest.approx((1 * 1 + 3 * 9) / 4)
    assert weighted_mse(x, y, weights[:, :1]).item() == pytest.approx((1 + 4 + 3 * 9 + 3 * 16) / 8)


@pytest.mark.parametrize("loss", ["mse", "nll"])
def test_cells_without_weight_have_no_influence_even_if_nan(loss):
    mean = torch.randn(1, 4, 5, generator=rng())
    variance = 0.1 + torch.rand(1, 4, 5, generator=rng(1))
    truth = torch.randn(1, 4, 5, generator=rng(2))
    weights = torch.ones(4, 5)
    weights[1:3, 2] = 0

    def value(junk: float) -> tuple[torch.Tensor, ...]:
        fields = [torch.where(weights > 0, f, junk).requires_grad_() for f in (mean, variance)]
        other = torch.where(weights > 0, truth, junk)
        if loss == "mse":
            result = weighted_mse(fields[0], other, weights)
        else:
            result = gaussian_nll(fields[0], fields[1], other, weights)
        result.backward()
        return result, fields[0].grad, *([fields[1].grad] if loss == "nll" else [])

    for clean, dirty in zip(value(1.0), value(math.nan), strict=True):
        assert torch.isfinite(dirty).all()
        assert torch.equal(clean, dirty)


def test_areas_in_square_metres_neither_overflow_nor_matter_as_a_factor():
    x, y = torch.randn(2, 1, 8, 90, 180, generator=rng())
    area = torch.rand(90, 1, generator=rng(1))
    small, large = weighted_mse(x, y, area), weighted_mse(x, y, area * 1e30)
    torch.testing.assert_close(small, large)


def test_no_weight_at_all_is_not_a_perfect_score():
    assert torch.isnan(weighted_mse(torch.ones(3), torch.zeros(3), torch.zeros(3)))


def test_nll_is_that_of_the_normal_distribution():
    mean = torch.randn(2, 6, generator=rng(), dtype=torch.float64)
    variance = 0.1 + torch.rand(2, 6, generator=rng(1), dtype=torch.float64)
    truth = torch.randn(2, 6, generator=rng(2), dtype=torch.float64)
    weights = torch.rand(6, generator=rng(3), dtype=torch.float64)
    log = torch.distributions.Normal(mean, variance.sqrt()).log_prob(truth)
    expected = -(log * weights).sum() / (2 * weights.sum())
    torch.testing.assert_close(gaussian_nll(mean, variance, truth, weights), expected)


def test_nll_is_smallest_where_the_variance_is_the_squared_error():
    error = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    best = error.square().mean()
    variance = best.clone().requires_grad_()
    zero, ones = torch.zeros(3, dtype=torch.float64), torch.ones(3)
    gaussian_nll(zero, variance.expand(3), error, ones).backward()
    assert abs(variance.grad.item()) < 1e-12
    at_best = gaussian_nll(zero, best.expand(3), error, ones)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert gaussian_nll(zero, factor * best.expand(3), error, ones) > at_best


def test_undecided_discriminator_scores_ln_2():
    zero = torch.zeros(1, 2, 2, 2, 3)
    assert generator_adversarial_loss(zero).item() == pytest.approx(math.log(2))
    assert discriminator_loss(zero, zero).item() == pytest.approx(math.log(2))


def test_adversarial_losses_are_cross_entropies():
    real, fake = torch.randn(2, 1, 2, 3, 4, 5, generator=rng())
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    torch.testing.assert_close(generator_adversarial_loss(fake), bce(fake, torch.ones_like(fake)))
    halves = 0.5 * bce(real, torch.ones_like(real)) + 0.5 * bce(fake, torch.zeros_like(fake))
    torch.testing.assert_close(discriminator_loss(real, fake), halves)
    assert ADVERSARIAL_FACTOR == 0.1


def test_adversarial_losses_have_the_right_sense_and_stay_finite():
    sure = torch.full((4,), 1e4)
    assert generator_adversarial_loss(sure) == 0
    assert generator_adversarial_loss(-sure) == 1e4
    assert discriminator_loss(sure, -sure) == 0
    assert discriminator_loss(-sure, sure) == 1e4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_fields_are_scored_in_float32(dtype):
    x = torch.full((4096,), 300.0, dtype=dtype)  # its square overflows float16
    y, ones = torch.zeros_like(x), torch.ones(4096, dtype=dtype)
    for loss in (weighted_mse(x, y, ones), gaussian_nll(x, ones, y, ones)):
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss)
    assert weighted_mse(x, y, ones).item() == pytest.approx(x[0].item() ** 2, rel=1e-6)
    assert generator_adversarial_loss(x).dtype == torch.float32
