"""What the architecture ``hybrid`` promises whatever its weights are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from core.geometries import geometry, observed

from xdeepda.core import hybrid
from xdeepda.core.baselines import EnOIArchitecture, KalmanArchitecture
from xdeepda.core.hybrid import _FIRST_BLEND, HybridArchitecture
from xdeepda.core.innovations import CAP
from xdeepda.core.sea import Kept, Sea, mesh_of
from xdeepda.core.smoothing import SmoothNoise
from xdeepda.core.state import Geometry, Observed, State, climatological

#: Cosine and sine of the year.
SEASON = torch.tensor([[1.0, 0.0]])

ENSEMBLE, PATTERNS = 9, 5
SMALL = {
    "patterns": PATTERNS,
    "ensemble": ENSEMBLE,
    "localisation": 9000.0,
    "width": 6,
    "deep_width": 6,
    "dilations": (1, 2),
}


def fitted(
    geo: Geometry, seed: int = 0, shift: int = 0, smooth: bool = False
) -> dict[str, torch.Tensor]:
    """Arrays of classical schemes, made of random anomalies."""
    rng = torch.Generator().manual_seed(seed)
    fields = torch.randn(ENSEMBLE + PATTERNS, *geo.wet.shape, generator=rng).roll(shift, -1)
    if smooth:
        fields = SmoothNoise(geo)(ENSEMBLE + PATTERNS, rng)
    sea = Sea(geo)
    vectors = sea.vector(fields * geo.variance.sqrt())
    roots = vectors[:ENSEMBLE].mT
    weights = sea.vector(geo.weights)
    patterns, _ = torch.linalg.qr((vectors[ENSEMBLE:] * weights.sqrt()).mT)
    patterns = patterns / weights.sqrt()[:, None]
    # signs are not decided by the factorisation
    patterns = patterns * (patterns * vectors[ENSEMBLE:].mT).sum(dim=0).sign()
    operator = 0.7 * torch.eye(PATTERNS) + 0.05 * torch.randn(PATTERNS, PATTERNS, generator=rng)
    nx = geo.wet.shape[2]
    return {
        "filter.patterns": patterns,
        "filter.operator": operator,
        "filter.noise": 0.2 * torch.eye(PATTERNS),
        "filter.spectrum": torch.linspace(1.0, 0.4, PATTERNS),
        "filter.rest": 0.3 * sea.vector(geo.variance),
        "covariance.roots": roots / roots.norm(dim=1, keepdim=True),
        "covariance.latitude": geo.latitude,
        "covariance.longitude": torch.arange(nx) * (2 * torch.pi / nx),
    }


def random_module(geo: Geometry, size: float = 0.3, shift: int = 0, **settings):
    """Module whose trained weights are all random."""
    torch.manual_seed(0)
    module = HybridArchitecture(geo, **{**SMALL, **settings}).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(size * torch.randn_like(weight))
    module.classical.take(thinned(fitted(geo, shift=shift), module))
    return module


def background(geo: Geometry, batch: int = 2) -> State:
    rng = torch.Generator().manual_seed(3)
    mean = torch.randn(batch, *geo.wet.shape, generator=rng) * geo.wet
    return State(mean, 0.7 * geo.variance.expand_as(mean))


def step(module, state: State, obs: Observed) -> State:
    with torch.no_grad():
        return module.analyse(module.forecast(state, SEASON), obs)


def test_unobserved_it_returns_to_climatology():
    geo = geometry(2, 8, 12)
    module, state = random_module(geo, size=1.0), background(geo)
    for n in range(300):
        state = step(module, state, observed(geo, share=0.3 if n < 20 else 0.0, seed=n))
    assert (state.mean.abs() < 1e-3).all()
    known = module.clim_variance.expand_as(state.variance)
    torch.testing.assert_close(state.variance, known, rtol=1e-3, atol=1e-5)


def test_wild_weights_stay_bounded_over_many_cycles():
    geo = geometry()
    module, state = random_module(geo, size=5.0), climatological(geo, 2)
    for n in range(100):
        state = step(module, state, observed(geo, seed=n, error=2.0))
    assert torch.isfinite(state.mean).all()
    assert (state.mean.abs() <= CAP * module.clim_variance.sqrt() * 1.001).all()


def test_values_under_the_mask_and_land_do_not_matter():
    geo = geometry(3, land=0.4)
    obs, module = observed(geo), random_module(geo)
    noisy = obs._replace(value=torch.where(obs.mask > 0, obs.value, 1e6))
    plain, other = (step(module, background(geo), o) for o in (obs, noisy))
    assert torch.equal(plain.mean, other.mean)
    assert torch.equal(plain.variance, other.variance)
    dry = geo.wet.expand_as(plain.mean) == 0
    assert (plain.mean[dry] == 0).all()
    assert (plain.variance[dry] == 0).all()
    assert (plain.variance[~dry] > 0).all()
    assert (plain.variance <= module.clim_variance * (1 + 1e-6)).all()


@pytest.mark.parametrize("shift", [2, 6])
def test_rolled_longitudes_give_the_rolled_analysis(shift):
    def roll(x: torch.Tensor) -> torch.Tensor:
        return x.roll(shift, dims=-1)

    geo = geometry(2, 8, 12)
    rolled = replace(
        geo, wet=roll(geo.wet), variance=roll(geo.variance), persistence=roll(geo.persistence)
    )
    obs, before = observed(geo), background(geo)
    here = step(random_module(geo), before, obs)
    moved = Observed(roll(obs.value), roll(obs.variance), roll(obs.mask), obs.season)
    start = State(roll(before.mean), roll(before.variance))
    there = step(random_module(rolled, shift=shift), start, moved)
    torch.testing.assert_close(there.mean, roll(here.mean), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(there.variance, roll(here.variance), rtol=1e-3, atol=1e-4)


def test_untrained_it_blends_the_two_classical_analyses():
    geo = geometry(2, 8, 12)
    module = HybridArchitecture(geo, **SMALL, spacing=0.1, most=1000, modes=64)
    arrays = fitted(geo)
    module.classical.take(arrays)
    with torch.no_grad():
        module.dynamics.fill_(-3.0)
    enoi = EnOIArchitecture(geo, ensemble=ENSEMBLE, localisation=SMALL["localisation"], most=1000)
    kalman = KalmanArchitecture(geo, patterns=PATTERNS, truncation=8.0)
    enoi.load_state_dict({k: v for k, v in arrays.items() if k.startswith("covariance")})
    kalman.load_state_dict({k: v for k, v in arrays.items() if k.startswith("filter")})
    obs, before = observed(geo), background(geo)
    mine, local, filtered = (step(m, before, obs) for m in (module, enoi, kalman))
    share = torch.sigmoid(torch.tensor(_FIRST_BLEND))
    expected = (1 - share) * local.mean + share * filtered.mean
    # anomalies and patterns are kept as halves
    torch.testing.assert_close(mine.mean, expected.detach(), rtol=2e-3, atol=2e-3)
    unobserved = module.sea.field(module.classical.unobserved)
    relative = torch.where(geo.wet > 0, filtered.variance / unobserved, 0)
    least = torch.minimum(local.variance, relative * module.clim_variance)
    least = torch.minimum(least, module.clim_variance)
    torch.testing.assert_close(mine.variance, least, rtol=2e-3, atol=2e-3)


def test_each_row_is_analysed_by_the_schemes_of_its_fold():
    geo = geometry(2, 8, 12)
    arrays = [fitted(geo, seed) for seed in (4, 5)]
    module, obs, before = random_module(geo), observed(geo, 4), background(geo, 4)
    module.cross_fit(arrays)
    module.use_folds(torch.tensor([1, 0, 0, 1]))
    mixed = step(module, before, obs)
    alone = []
    for values in arrays:
        module.use_folds(None)
        module.classical.take(values)
        alone.append(step(module, before, obs))
    for row, fold in enumerate((1, 0, 0, 1)):
        torch.testing.assert_close(mixed.mean[row], alone[fold].mean[row])
        torch.testing.assert_close(mixed.carried[row], alone[fold].carried[row])


def test_errors_of_the_other_folds_make_the_correlations():
    geo = geometry(2, 8, 12)
    module = random_module(geo)
    module.cross_fit([fitted(geo, seed) for seed in (4, 5)])
    rng = torch.Generator().manual_seed(0)
    errors = [torch.randn(12, *geo.wet.shape, generator=rng) * geo.wet for _ in range(2)]
    module.take_errors([module.as_stored(part) for part in errors])
    vectors = [module.sea.vector(part) for part in errors]
    for fold, other in ((0, 1), (1, 0)):
        roots = module._others[fold].covariance.roots.float()
        torch.testing.assert_close(roots.norm(dim=1), torch.ones(len(roots)), rtol=0, atol=1e-3)
        first = vectors[other][0] / roots[:, 0]
        last = vectors[other][-1] / roots[:, -1]
        # the same length of each row; halves have three digits
        torch.testing.assert_close(first, last, rtol=2e-3, atol=0)
    both = module.classical.covariance.roots
    assert both.shape == (module.sea.size, ENSEMBLE)
    with pytest.raises(ValueError, match="5 anomalies for an ensemble of 9"):
        module.classical.covariance.renew(vectors[0][:5])


def certain(module: HybridArchitecture, state: State, factor: float) -> State:
    """The same state, more certain by a factor in all variances."""
    coefficients, covariance = module.classical.filter.unpack(state)
    carried = torch.cat([coefficients[..., None], factor * covariance], dim=-1)
    return State(state.mean, factor * state.variance, carried)


@pytest.mark.parametrize("carried", [True, False])
def test_without_carried_variance_the_past_certainty_does_not_matter(carried):
    geo = geometry(3, 8, 12)
    module, obs = random_module(geo, carried=carried), observed(geo)
    before = [certain(module, background(geo), factor) for factor in (1.0, 0.2)]
    with torch.no_grad():
        forecasts = [module.forecast(state, SEASON) for state in before]
        analyses = [module.analyse(state, obs) for state in forecasts]
    for first, second in (forecasts, analyses):
        for one, other in zip(first, second, strict=True):
            assert torch.equal(one, other) is not carried
    assert (forecasts[0].variance[:, geo.wet > 0] > 0).all()
    assert (forecasts[0].variance <= module.clim_variance * (1 + 1e-6)).all()


def test_the_variance_that_is_not_carried_is_that_of_the_errors_of_other_folds():
    geo = geometry(2, 8, 12)
    module = HybridArchitecture(geo, **SMALL, carried=False, thinning=0.0)
    module.classical.take(fitted(geo))
    module.cross_fit([fitted(geo, seed=n) for n in range(2)])
    rng = torch.Generator().manual_seed(5)
    errors = [
        size * torch.randn(3 * ENSEMBLE, *geo.wet.shape, generator=rng) * geo.variance.sqrt()
        for size in (0.2, 0.4)
    ]
    module.take_errors([module.as_stored(part) for part in errors])
    square = [(part**2).mean(dim=0) * geo.wet for part in errors]
    start = climatological(geo, 3)
    with torch.no_grad():
        # rows of the first fold, of the second, and of other years
        module.use_folds(torch.tensor([0, 1, 0]))
        of_folds = module._usual_variance(start)
        module.use_folds(None)
        of_others = module._usual_variance(start)
    torch.testing.assert_close(of_folds, torch.stack([square[1], square[0], square[1]]))
    torch.testing.assert_close(of_others[0], (square[0] + square[1]) / 2)
    # and the filter's covariance is as much of that of the control run
    share = (of_others[0] * geo.weights).sum() / (module.clim_variance * geo.weights).sum()
    usual = module.classical.usual_covariance()
    torch.testing.assert_close(
        usual.diag(), (share * module.classical.filter.spectrum).double(), rtol=1e-5, atol=0
    )
    assert torch.equal(usual, usual.diag().diag())


def test_rows_that_see_the_same_cells_share_a_gain():
    geo = geometry(2, 8, 12)
    module, obs, before = random_module(geo), observed(geo, 2), background(geo)
    wide = Observed(obs.value, *(x[:1].expand_as(x) for x in obs[1:3]), obs.season)
    covariance = module.classical.covariance
    mean, prior = module.sea.vector(before.mean), module.sea.vector(before.variance)
    both, taken = covariance.analyse(mean, prior * torch.tensor([[0.5], [1.5]]), wide)
    first = Observed(*(x[:1] for x in wide))
    alone, reduction = covariance.analyse(mean[:1], prior[:1], first)
    torch.testing.assert_close(both[:1], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(taken[0], taken[1])
    torch.testing.assert_close(taken[:1], reduction, rtol=1e-4, atol=1e-5)


def test_a_row_of_nan_begins_anew():
    geo = geometry(2, 8, 12)
    module, before = random_module(geo), background(geo)
    later = step(module, before, observed(geo))
    carried = later.carried.clone()
    carried[1] = torch.nan
    mixed = module.forecast(later._replace(carried=carried), SEASON)
    fresh = module.forecast(later._replace(carried=None), SEASON)
    old = module.forecast(later, SEASON)
    torch.testing.assert_close(mixed.carried[0], old.carried[0])
    torch.testing.assert_close(mixed.carried[1], fresh.carried[1])


def test_gradients_reach_every_weight_and_are_finite():
    geo = geometry(2, 8, 12)
    module, state = random_module(geo, size=0.1), background(geo)
    for seed in range(2):
        state = module.analyse(module.forecast(state, SEASON), observed(geo, seed=seed))
    (state.mean.square().sum() + state.variance.sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())
    assert all(p.grad.abs().sum() > 0 for p in module.parameters())


@pytest.mark.parametrize("shape", [(3, 1, 24), (2, 10, 1), (1, 7, 5), (2, 9, 16)])
def test_any_size_of_grid(shape):
    geo = geometry(*shape, land=0.0)
    after = step(random_module(geo), background(geo), observed(geo))
    assert after.mean.shape == (2, *shape)


@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_columns_between_the_solved_ones_are_interpolated(cyclic, stride):
    geo = geometry(2, 9, 14, cyclic=cyclic, land=0.0)
    mesh = mesh_of(Sea(geo), (stride, stride))
    assert len(mesh.solved) < 9 * 14 or stride == 1
    torch.testing.assert_close(mesh.weight.sum(dim=1), torch.ones(9 * 14))
    # a linear function of latitude stays one, to the last row of nodes
    rows = (torch.arange(9 * 14) // 14).float()
    inside = rows <= (9 - 1) // stride * stride
    found = mesh.spread(rows[mesh.solved][:, None])[:, 0]
    torch.testing.assert_close(found[inside], rows[inside])


def test_islands_of_one_column_are_solved_themselves():
    geo = geometry(1, 9, 14, land=0.0)
    wet = torch.zeros_like(geo.wet)
    wet[0, 0, :4], wet[0, 5, 7] = 1, 1
    sea = Sea(replace(geo, wet=wet))
    mesh = mesh_of(sea, (2, 2))
    lonely = (sea.columns == 5 * 14 + 7).nonzero().item()
    assert lonely in mesh.solved.tolist()
    assert mesh.weight[lonely].tolist() == [1, 0, 0, 0]


def test_draws_are_alike_the_errors():
    geo = geometry(2, 8, 12)
    module = random_module(geo)
    fields = module.noise(geo)(4000, torch.Generator().manual_seed(0))
    roots = module.classical.covariance.roots.float()
    vectors = module.sea.vector(fields)
    torch.testing.assert_close(vectors.mT @ vectors / 4000, roots @ roots.mT, rtol=0, atol=0.1)
    assert (fields[:, geo.wet == 0] == 0).all()


def thinned(arrays: dict[str, torch.Tensor], module: HybridArchitecture) -> dict[str, torch.Tensor]:
    """Arrays of the columns that a module keeps, of those of all columns."""
    cells = module.classical.kept.cells
    names = ("filter.patterns", "filter.rest", "covariance.roots")
    return {k: v[cells] if k in names else v for k, v in arrays.items()}


def test_kept_columns_interpolate_alike_everywhere():
    geo = geometry(3, 9, 14, land=0.3)
    kept = Kept(Sea(geo), (2, 3))
    n = kept.sea.size
    assert kept.size < n
    rng = torch.Generator().manual_seed(0)
    stored, cell = torch.randn(kept.size, 4, generator=rng), torch.arange(n)
    spread = kept.spread(stored.mT)  # (4, n)
    torch.testing.assert_close(kept.rows(stored, cell), spread.mT)
    torch.testing.assert_close(kept.lengths(stored), spread.mT.norm(dim=1))
    torch.testing.assert_close(kept.spread(torch.ones(kept.size)), torch.ones(n))
    # what is stored comes back as it is
    torch.testing.assert_close(kept.pick(spread), stored.mT)
    weights = torch.rand(n, generator=rng)
    torch.testing.assert_close(kept.collect(weights) @ stored, spread @ weights)


def test_patterns_are_interpolated_in_deviations():
    geo = geometry(2, 9, 14, length=(4.0, 6.0))
    module = random_module(geo, size=0.0)
    filter_, rng = module.classical.filter, torch.Generator().manual_seed(0)
    assert filter_.kept.size < module.sea.size
    coefficients = torch.randn(2, PATTERNS, generator=rng)
    cell = torch.arange(module.sea.size)
    fields = filter_.fields(coefficients)
    torch.testing.assert_close(fields, coefficients @ filter_.rows(cell).mT, rtol=1e-4, atol=1e-5)
    # a pattern of one climatological deviation everywhere is one between the columns too
    filter_.patterns.copy_(
        filter_.kept.pick(filter_.deviation)[:, None].expand_as(filter_.patterns)
    )
    one = filter_.fields(torch.eye(1, PATTERNS))
    torch.testing.assert_close(one[0], filter_.deviation, rtol=1e-3, atol=0)


@pytest.mark.parametrize("continent", [0, 9])
def test_smooth_anomalies_need_few_columns(continent):
    geo = geometry(1, 16, 32, land=0.0, length=(4.4, 6.6))
    geo.wet[:, 5:12, 8 : 8 + continent] = 0
    arrays = fitted(geo, smooth=True)
    obs, before, states = observed(geo, share=0.05), background(geo), []
    for thinning in (0.0, 0.5):
        module = HybridArchitecture(geo, **SMALL, thinning=thinning, most=1000, modes=64)
        module.classical.take(thinned(arrays, module))
        states.append(step(module, before, obs))
    full, few = states
    assert module.classical.kept.size < 0.4 * module.sea.size
    increment = full.mean - module.memory() * before.mean
    assert (few.mean - full.mean).square().mean() < 0.02 * increment.square().mean()
    sea = geo.wet.expand_as(full.variance) > 0
    assert ((few.variance / full.variance)[sea] - 1).abs().mean() < 0.05


def test_columns_that_are_kept_are_not_too_many(monkeypatch):
    monkeypatch.setattr(hybrid, "MOST_COLUMNS", 20)
    geo = geometry(2, 16, 32, land=0.0, length=(1.0, 3.0))
    few = HybridArchitecture(geo, **SMALL).classical.kept
    assert len(few.columns) < 40
    # 16 * 32 / 20 in a shape that is as long as the anomalies
    assert len(torch.unique(few.columns // 32)) > len(torch.unique(few.columns % 32))
    every = HybridArchitecture(geo, **SMALL, thinning=0.0).classical.kept
    assert len(every.columns) == 16 * 32
