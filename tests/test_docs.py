"""The API page names every public name, and the README's figure and links exist."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import xdeepda
from xdeepda import architectures, baselines, datasets, observations, plot

ROOT = Path(__file__).resolve().parents[1]


def documented() -> set[str]:
    """Entries of the summaries of the API page."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    return set(re.findall(r"^   ([A-Za-z][\w.]*)$", page, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (xdeepda.__all__, ""),
        (baselines.__all__, "baselines."),
        (datasets.__all__, "datasets."),
        (plot.__all__, "plot."),
        (["increment", "deepda2024", "ArchitectureSpec"], "architectures."),
    ],
)
def test_every_public_name_is_on_the_api_page(names: list[str], prefix: str) -> None:
    rooms = {"architectures", "baselines", "datasets", "observations", "plot", "__version__"}
    assert {prefix + name for name in names if name not in rooms} <= documented()


def test_every_name_on_the_api_page_exists() -> None:
    known = [xdeepda, architectures, baselines, datasets, observations, plot]
    for name in documented():
        first, _, rest = name.rpartition(".")
        homes = [m for m in known if m.__name__ == f"xdeepda.{first}".rstrip(".")]
        assert not homes or hasattr(homes[0], rest), name


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert len(links) >= 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_begins_with_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 2
    assert "examples/quickstart.py" in blocks[0]
    assert "-m pytest -n 2" in blocks[1]
    assert all("\n" not in block.strip() for block in blocks)
    assert text.index("```sh") < text.index("```python")


@pytest.mark.parametrize(
    "name", [m.name for m in pkgutil.walk_packages(xdeepda.__path__, "xdeepda.")]
)
def test_examples_of_docstrings_run(name: str) -> None:
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0
