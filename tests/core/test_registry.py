"""From names and settings to modules."""

from __future__ import annotations

import inspect

import pytest
import torch
from core.geometries import geometry, observed

from xdeepda.architectures import (
    QUIRKS,
    SETTINGS,
    ArchitectureSpec,
    architecture_spec,
    deepda2024,
    increment,
)
from xdeepda.core import deepda2024 as deepda2024_module
from xdeepda.core.registry import _MODULES, build
from xdeepda.core.state import climatological
from xdeepda.errors import InputError

#: Cosine and sine of the year.
SEASON = torch.tensor([[1.0, 0.0]])

SMALL = {"width": 4, "deep_width": 4, "dilations": (1,)}


def test_specified_defaults_are_those_of_the_modules():
    assert set(SETTINGS) == set(_MODULES)
    for name, settings in SETTINGS.items():
        parameters = inspect.signature(_MODULES[name].__init__).parameters.values()
        own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        assert own == settings, name


def test_quirks_are_known_by_the_same_names():
    assert set(QUIRKS) == set(deepda2024_module.QUIRKS)


def test_the_seed_decides_the_weights_and_nothing_else_is_disturbed():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    a, b, c = (build("increment", SMALL, geometry(), seed) for seed in (5, 5, 6))
    assert torch.equal(torch.rand(3), expected)
    same = [torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True)]
    assert all(same)
    other = [torch.equal(x, y) for x, y in zip(a.parameters(), c.parameters(), strict=True)]
    assert not all(other)


def test_geometry_is_no_part_of_the_weights():
    for name in _MODULES:
        settings = SMALL if name == "increment" else {}
        module = build(name, settings, geometry())
        # what is fitted to a control run is kept like a weight
        kept = ("classical.", "generator.", "covariance.", "filter.", "rest_memory")
        assert set(module.state_dict()) == {n for n, _ in module.named_parameters()} | {
            n for n in module.state_dict() if n.startswith(kept)
        }


def test_the_published_system_as_an_architecture():
    geo = geometry(3, 8, 8, variables=1)
    module = build("deepda2024", {"quirks": ()}, geo)
    state = climatological(geo, 2)
    background = module.forecast(state, SEASON)
    assert torch.equal(background.mean, state.mean)
    with torch.no_grad():
        after = module.analyse(background, observed(geo))
    assert after.mean.shape == state.mean.shape
    assert torch.isfinite(after.mean).all()


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("unet", {}, "'unet' is not known; known: increment"),
        ("increment", {"wide": 3}, "no setting 'wide'; it has: width"),
        ("climatology", {"width": 3}, "it has: none"),
        ("increment", {"width": 0}, "out of range"),
        ("increment", {"width": 10**9}, "out of range"),
        ("increment", {"width": 8.0}, "not of the kind"),
        ("increment", {"width": True}, "not of the kind"),
        ("increment", {"partial": 1}, "not of the kind"),
        ("increment", {"dilations": 3}, "is a list"),
        ("increment", {"dilations": (1,) * 65}, "at most 64"),
        ("increment", {"dilations": (0,)}, "out of range"),
        ("increment", {"dilations": (1.5,)}, "not of the kind"),
        ("increment", {"dilations": ("one",)}, "not of the kind"),
        ("increment", {"distances": (float("nan"),)}, "out of range"),
        ("increment", {"distances": ()}, "at least"),
        ("deepda2024", {"quirks": (1,)}, "has no 1; it has: all, trained"),
        ("deepda2024", {"quirks": ("nonsense",)}, "nonsense"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_built(name, settings, words):
    with pytest.raises(InputError, match=words):
        ArchitectureSpec(name, settings)


def test_names_and_instances():
    assert architecture_spec("default") == architecture_spec("increment") == increment()
    assert architecture_spec(deepda2024("all")).settings["quirks"] == ("all",)
    assert increment(dilations=[1, 2]).settings["dilations"] == (1, 2)
    for wrong in (None, 3, ["increment"]):
        with pytest.raises(InputError, match="architecture"):
            architecture_spec(wrong)
