"""The learned smoother against exact smoothers, its invariances, and what waits for it."""

from __future__ import annotations

import pytest
import torch
from core.geometries import geometry, observed
from core.test_hybrid import SMALL as HYBRID
from core.test_hybrid import fitted

from xdeepda.core.cycle import Lagged, cycle, smoothed
from xdeepda.core.hybrid import HybridArchitecture
from xdeepda.core.increment import IncrementArchitecture
from xdeepda.core.kalman import Step, smoother_step
from xdeepda.core.state import Geometry, Observed, State, climatological

SMALL = {"width": 6, "deep_width": 6, "dilations": (1, 2), "distances": (0.5, 1.0)}


def increment(geo: Geometry, lag: int = 3, size: float = 0.0) -> IncrementArchitecture:
    torch.manual_seed(0)
    module = IncrementArchitecture(geo, **SMALL, lag=lag).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(size * torch.randn_like(weight))
    return module


def kalman_chain(module, geo: Geometry, cycles: int = 6) -> tuple[list[State], list[State]]:
    """Backgrounds and analyses of the scalar Kalman filter of each cell."""
    state, backgrounds, analyses = climatological(geo, 1), [], []
    for n in range(cycles):
        obs = observed(geo, batch=1, seed=n, share=0.5)
        background = module.forecast(state, obs.season)
        gain = obs.mask * background.variance / (background.variance + obs.variance + 1e-12)
        mean = background.mean + gain * (obs.value - background.mean)
        state = State(mean, (1 - gain) * background.variance)
        backgrounds.append(background)
        analyses.append(state)
    return backgrounds, analyses


def test_untrained_it_is_the_exact_smoother_of_each_cell():
    geo = geometry(2, 6, 8)
    module = increment(geo)
    backgrounds, analyses = kalman_chain(module, geo)
    with torch.no_grad():
        # no share of the variance is taken away by the softplus of an untrained network
        module.smoother.network.head.bias[-geo.channels :] = -60.0
        made = module.smooth(analyses, backgrounds)
    memory = module.memory()
    later = analyses[-1]
    for n in reversed(range(len(analyses) - 1)):
        gain = torch.where(geo.wet > 0, memory * analyses[n].variance, 0)
        gain = gain / (backgrounds[n + 1].variance + 1e-20)
        mean = analyses[n].mean + gain * (later.mean - backgrounds[n + 1].mean)
        variance = analyses[n].variance + gain**2 * (later.variance - backgrounds[n + 1].variance)
        later = State(mean, variance)
        torch.testing.assert_close(made[n].mean, mean, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(made[n].variance, variance, rtol=2e-2, atol=1e-4)


def test_nothing_observed_later_changes_nothing():
    geo = geometry(2, 8, 12)
    module = increment(geo, size=0.5)
    with torch.no_grad():
        first = module.analyse(climatological(geo, 2), observed(geo))
        background = module.forecast(first, observed(geo).season)
        made = module.smooth([first, background], [climatological(geo, 2), background])
    assert torch.equal(made[0].mean, first.mean)
    torch.testing.assert_close(made[0].variance, first.variance)


def test_what_is_observed_later_lowers_the_variance_and_stays_in_the_sea():
    geo = geometry(2, 8, 12)
    module = increment(geo, size=0.3)
    with torch.no_grad():
        steps = list(
            cycle(module, climatological(geo, 2), [observed(geo, seed=n) for n in range(5)])
        )
        backgrounds, analyses = zip(*steps, strict=True)
        made = module.smooth(analyses, backgrounds)
    assert made[-1] is analyses[-1]
    for smooth, filtered in zip(made, analyses, strict=True):
        assert (smooth.variance <= filtered.variance * (1 + 1e-6)).all()
        assert (smooth.mean[geo.wet.expand_as(smooth.mean) == 0] == 0).all()
        assert torch.isfinite(smooth.mean).all()


def test_the_filter_is_the_same_with_a_smoother_and_without():
    geo = geometry(2, 8, 12)
    with_it, without = increment(geo, lag=3), increment(geo, lag=0)
    shared = {k: v for k, v in with_it.state_dict().items() if not k.startswith("smoother.")}
    without.load_state_dict(shared)
    with torch.no_grad():
        pair = [
            list(cycle(m, climatological(geo, 2), [observed(geo, seed=n) for n in range(4)]))
            for m in (with_it, without)
        ]
    for (b1, a1), (b2, a2) in zip(*pair, strict=True):
        assert torch.equal(a1.mean, a2.mean)
        assert torch.equal(b1.variance, b2.variance)


@pytest.mark.parametrize("cycles", [1, 3, 4, 9])
def test_each_cycle_is_seen_from_its_lag_or_the_end(cycles):
    geo = geometry(2, 8, 12)
    module = increment(geo, lag=3, size=0.2)
    with torch.inference_mode():
        steps = list(
            cycle(module, climatological(geo, 2), [observed(geo, seed=n) for n in range(cycles)])
        )
        backgrounds, analyses = zip(*steps, strict=True)
        out = list(smoothed(module, iter(steps)))
        assert len(out) == cycles
        for n, (background, analysis) in enumerate(out):
            part = slice(n, min(n + 4, cycles))
            expected = module.smooth(analyses[part], backgrounds[part])[0]
            assert background is backgrounds[n]
            assert torch.equal(analysis.mean, expected.mean)


def test_without_a_lag_nothing_waits():
    geo = geometry(2, 6, 8)
    window = Lagged(increment(geo, lag=0))
    step = (climatological(geo, 1), climatological(geo, 1))
    given = window.add(*step)
    assert all(a is b for a, b in zip(given, step, strict=True))
    assert list(window.rest()) == []
    with pytest.raises(NotImplementedError, match="no smoother"):
        increment(geo, lag=0).smooth([step[1]] * 2, [step[0]] * 2)


def test_observations_beyond_the_lag_do_not_matter():
    geo = geometry(2, 8, 12)
    module = increment(geo, lag=2, size=0.3)
    runs = []
    for other in (0, 100):
        seen = [observed(geo, seed=n if n < 4 else n + other) for n in range(6)]
        with torch.inference_mode():
            runs.append(list(smoothed(module, cycle(module, climatological(geo, 2), seen))))
    for n in range(6):
        same = torch.equal(runs[0][n][1].mean, runs[1][n][1].mean)
        assert same == (n < 2), n


def test_the_hint_of_the_filter_is_its_smoother():
    geo = geometry(2, 8, 12)
    torch.manual_seed(0)
    module = HybridArchitecture(geo, **HYBRID, lag=4).eval()
    module.classical.take(fitted(geo))
    with torch.no_grad():
        steps = list(
            cycle(module, climatological(geo, 2), [observed(geo, seed=n) for n in range(5)])
        )
        backgrounds, analyses = zip(*steps, strict=True)
        hints = module.hints(analyses, backgrounds)
    filter_, operator = module.classical.filter, module.classical.filter.operator.double()
    for row in range(2):
        later = Step(analyses[-1].carried[row, None, :, 0], analyses[-1].carried[row, :, 1:])
        for n in reversed(range(4)):
            after, before = analyses[n].carried[row], backgrounds[n + 1].carried[row]
            own = Step(after[None, :, 0], after[:, 1:])
            later = smoother_step(own, Step(before[None, :, 0], before[:, 1:]), operator, later)
            expected = module.sea.field(filter_.fields(later.mean - own.mean))[0]
            torch.testing.assert_close(hints[n][row], expected, rtol=1e-4, atol=1e-5)


def test_rows_with_other_observations_do_not_mix():
    geo = geometry(2, 8, 12)
    module = increment(geo, lag=2, size=0.3)
    seen = [observed(geo, seed=n) for n in range(3)]
    with torch.inference_mode():
        both = list(smoothed(module, cycle(module, climatological(geo, 2), seen)))
        alone = list(
            smoothed(
                module,
                cycle(
                    module, climatological(geo, 1), [Observed(*(x[:1] for x in o)) for o in seen]
                ),
            )
        )
    for pair, one in zip(both, alone, strict=True):
        torch.testing.assert_close(pair[1].mean[:1], one[1].mean, rtol=1e-4, atol=1e-5)
