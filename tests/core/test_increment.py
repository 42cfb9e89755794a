"""What the architecture ``increment`` promises whatever its weights are."""

from __future__ import annotations

import pytest
import torch
from core.geometries import geometry, observed

from xdeepda.core.increment import IncrementArchitecture
from xdeepda.core.innovations import CAP
from xdeepda.core.state import Geometry, Observed, State, climatological

#: Cosine and sine of the year.
SEASON = torch.tensor([[1.0, 0.0]])

SMALL = {"width": 6, "deep_width": 6, "dilations": (1, 2)}


def random_module(geo: Geometry, seed: int = 0, size: float = 0.3, **settings):
    """Module whose weights are all random."""
    torch.manual_seed(seed)
    module = IncrementArchitecture(geo, **{**SMALL, **settings}).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(size * torch.randn_like(weight))
    return module


def background(geo: Geometry, batch: int = 2) -> State:
    rng = torch.Generator().manual_seed(3)
    mean = torch.randn(batch, *geo.wet.shape, generator=rng) * geo.wet
    return State(mean, 0.7 * geo.variance.expand_as(mean))


@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.parametrize("partial", [True, False])
def test_without_observations_nothing_changes(cyclic, partial):
    geo = geometry(cyclic=cyclic)
    before = background(geo)
    after = random_module(geo, partial=partial).analyse(before, observed(geo, share=0.0))
    assert torch.equal(after.mean, before.mean)
    torch.testing.assert_close(after.variance, before.variance, rtol=1e-6, atol=0)


def test_out_of_reach_nothing_changes():
    geo = geometry(1, 4, 200, land=0.0, length=(0.5, 0.5), cyclic=False)
    obs = observed(geo, 1, 0.0)
    mask = obs.mask.clone()
    mask[..., 0] = 1
    seen = Observed(2 * mask, 0.01 * mask, mask, obs.season)
    before = background(geo, 1)
    after = random_module(geo).analyse(before, seen)
    assert not torch.equal(after.mean[..., 0], before.mean[..., 0])
    assert torch.equal(after.mean[..., 100:], before.mean[..., 100:])


def test_values_under_the_mask_change_nothing():
    geo = geometry()
    obs, module = observed(geo), random_module(geo)
    noisy = obs._replace(value=torch.where(obs.mask > 0, obs.value, 1e6))
    plain, other = (module.analyse(background(geo), o) for o in (obs, noisy))
    assert torch.equal(plain.mean, other.mean)
    assert torch.equal(plain.variance, other.variance)


@pytest.mark.parametrize("shift", [2, 6])
def test_rolled_longitudes_give_the_rolled_analysis(shift):
    def roll(x: torch.Tensor) -> torch.Tensor:
        return x.roll(shift, dims=-1)

    geo = geometry(2, 8, 12)
    rolled = Geometry(
        **{
            **vars(geo),
            "wet": roll(geo.wet),
            "variance": roll(geo.variance),
            "persistence": roll(geo.persistence),
        }
    )
    obs, before = observed(geo), background(geo)
    here = random_module(geo).analyse(before, obs)
    moved = Observed(roll(obs.value), roll(obs.variance), roll(obs.mask), obs.season)
    there = random_module(rolled).analyse(State(roll(before.mean), roll(before.variance)), moved)
    torch.testing.assert_close(there.mean, roll(here.mean), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(there.variance, roll(here.variance), rtol=1e-4, atol=1e-6)


def test_land_stays_empty_and_variance_between_zero_and_the_prior():
    geo = geometry(3, land=0.4)
    before = background(geo)
    after = random_module(geo, size=1.0).analyse(before, observed(geo))
    dry = geo.wet.expand_as(after.mean) == 0
    assert (after.mean[dry] == 0).all()
    assert (after.variance[dry] == 0).all()
    assert (after.variance[~dry] >= 0).all()
    assert (after.variance <= before.variance * (1 + 1e-6)).all()


def test_an_observed_cell_is_at_least_as_well_known_as_by_its_own_datum():
    geo = geometry()
    before, obs = background(geo), observed(geo, error=0.05)
    after = random_module(geo, size=1.0).analyse(before, obs)
    alone = before.variance * obs.variance / (before.variance + obs.variance + 1e-12)
    seen = obs.mask > 0
    slack = 2e-3 * geo.variance.expand_as(alone)
    assert (after.variance[seen] <= (alone + slack)[seen]).all()


def test_wild_weights_stay_bounded_over_many_cycles():
    geo = geometry()
    module, state = random_module(geo, size=5.0), climatological(geo, 2)
    with torch.no_grad():
        for n in range(200):
            state = module.analyse(module.forecast(state, SEASON), observed(geo, seed=n, error=2.0))
    limit = CAP * module.clim_variance.sqrt() * 1.001
    assert torch.isfinite(state.mean).all()
    assert (state.mean.abs() <= limit).all()


def test_untrained_it_moves_towards_the_observation():
    geo = geometry(1, 6, 8, land=0.0)
    obs = observed(geo, 1, 0.0)
    mask = obs.mask.clone()
    mask[0, 0, 3, 4] = 1
    torch.manual_seed(0)
    module = IncrementArchitecture(geo, **SMALL)
    after = module.analyse(climatological(geo, 1), Observed(mask, 0.01 * mask, mask, obs.season))
    assert 0.2 < after.mean[0, 0, 3, 4].item() <= 1.5
    assert after.mean[0, 0, 3, 5].item() > 0.05


def test_gradients_are_finite_where_nothing_is_observed():
    geo = geometry()
    module = random_module(geo)
    for share in (0.0, 0.3):
        state = module.analyse(module.forecast(background(geo), SEASON), observed(geo, share=share))
        (state.mean.square().sum() + state.variance.sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 24), (2, 10, 1), (1, 7, 5), (2, 9, 16)])
def test_any_size_of_grid(shape):
    geo = geometry(*shape, land=0.0)
    after = random_module(geo).analyse(background(geo), observed(geo))
    assert after.mean.shape == (2, *shape)
