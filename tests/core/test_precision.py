"""Networks in halves, and on other devices: the same analyses to what is promised."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from core.geometries import geometry, observed
from core.test_hybrid import background, random_module, step

import xdeepda
from xdeepda.core.increment import IncrementArchitecture
from xdeepda.core.partial_conv import PartialConv
from xdeepda.core.precision import PRECISIONS, Network, has_bfloat16, set_precision
from xdeepda.core.registry import DeepDA2024Architecture
from xdeepda.core.state import Geometry, State
from xdeepda.options import PRECISIONS as OFFERED

needs_halves = pytest.mark.skipif(
    not has_bfloat16(torch.device("cpu")), reason="the processor has no bfloat16"
)


def increment(geo: Geometry) -> IncrementArchitecture:
    """Increments of random weights."""
    torch.manual_seed(0)
    module = IncrementArchitecture(geo, width=8, deep_width=8, dilations=(1, 2)).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return module


def published(geo: Geometry) -> DeepDA2024Architecture:
    """As published, of drawn weights."""
    torch.manual_seed(0)
    return DeepDA2024Architecture(geo, quirks=("all",)).eval()


MODULES: dict[str, Callable[[Geometry], torch.nn.Module]] = {
    "hybrid": lambda geo: random_module(geo, size=0.1),
    "increment": increment,
    "deepda2024": published,
}


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Difference over size, both root mean squares."""
    return float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt())


@needs_halves
@pytest.mark.parametrize("name", MODULES)
def test_halves_change_the_analysis_little_and_what_comes_out_is_whole(name):
    geo = geometry(3, 8, 12)
    module, obs, before = MODULES[name](geo), observed(geo), background(geo)
    plain = step(module, before, obs)
    set_precision(module, "bfloat16")
    halves = step(module, before, obs)
    assert halves.mean.dtype == halves.variance.dtype == torch.float32
    assert 0 < relative(halves.mean, plain.mean) < 0.02
    assert relative(halves.variance, plain.variance) < 0.02
    set_precision(module, "float32")
    assert torch.equal(step(module, before, obs).mean, plain.mean)


@needs_halves
def test_the_error_of_an_analysis_stays_within_a_hundredth(ocean, cells, truth, tiny_model):
    def error() -> float:
        analysis = xdeepda.assimilate(ocean, cells, model=tiny_model)
        return float(((analysis["thetao"] - truth["thetao"]) ** 2).mean()) ** 0.5

    plain = error()
    with xdeepda.set_options(precision="bfloat16"):
        halves = error()
    assert halves != plain
    assert abs(halves / plain - 1) < 0.01


@needs_halves
def test_counts_of_masks_stay_whole():
    # 289 cells in a window are no bfloat16
    torch.manual_seed(0)
    layer = PartialConv(1, 1, (17, 17), bias=False)
    with torch.no_grad():
        layer.weight.fill_(1 / 289)
    x = torch.full((1, 1, 24, 24), 3.0)
    set_precision(layer, "bfloat16")
    mask = torch.ones_like(x)
    mask[..., 12, 12] = 0
    out, seen = layer(x, mask)
    assert seen.dtype == out.dtype == torch.float32
    torch.testing.assert_close(out, x, rtol=2**-7, atol=0)


def test_the_autocast_of_others_is_left_alone():
    class Convolution(Network):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with self.lowered(x):
                return torch.mm(x, x)

    x = torch.eye(4)
    assert Convolution()(x).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert Convolution()(x).dtype == torch.bfloat16


def test_a_precision_that_is_none_is_refused():
    with pytest.raises(ValueError, match="precision 'float8'"):
        set_precision(torch.nn.Identity(), "float8")
    assert PRECISIONS == OFFERED


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", MODULES)
def test_a_gpu_makes_the_same_analysis(name):
    # to 1e-3 of the size of the analysis: the products are summed in another order
    geo = geometry(3, 16, 24)
    module, obs, before = MODULES[name](geo), observed(geo), background(geo)
    here = step(module, before, obs)
    with torch.no_grad():
        moved, there = module.cuda(), type(obs)(*(x.cuda() for x in obs))
        forecast = moved.forecast(before.each(lambda x: x.cuda()), there.season)
        found: State = moved.analyse(forecast, there)
    assert relative(found.mean.cpu(), here.mean) < 1e-3
    assert relative(found.variance.cpu(), here.variance) < 1e-3
