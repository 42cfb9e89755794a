"""The API page names every public name, and the README's figure and links exist."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import xdeepda
from xdeepda import architectures, baselines, datasets, errors, observations, plot
from xdeepda.accessor import DeepDAAccessor, Plots
from xdeepda.address import Verb

ROOT = Path(__file__).resolve().parents[1]


def documented() -> set[str]:
    """Entries of the summaries of the API page."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    return set(re.findall(r"^   ([A-Za-z][\w.]*)$", page, flags=re.MULTILINE))


def methods(owner: type) -> list[str]:
    """Names of the verbs that are methods of a class."""
    return [name for name, value in vars(owner).items() if isinstance(value, Verb)]


#: Architectures to train, and those that are fitted: each has a function of its name.
TRAINED = [name for name in architectures.SETTINGS if hasattr(architectures, name)]
FITTED = [name for name in architectures.SETTINGS if name not in TRAINED]
ERRORS = [
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.DeepDAError)
]


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (xdeepda.__all__, ""),
        (methods(DeepDAAccessor), ""),
        (methods(xdeepda.Model), ""),
        (methods(Plots), "plot."),
        (baselines.__all__, "baselines."),
        (FITTED, "baselines."),
        (datasets.__all__, "datasets."),
        (plot.__all__, "plot."),
        ([*TRAINED, "ArchitectureSpec"], "architectures."),
        (ERRORS, "errors."),
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


def test_every_architecture_is_looked_for() -> None:
    assert {"increment", "hybrid", "deepda2024"} <= set(TRAINED)
    assert {"climatology", "persistence", "oi", "enoi", "kalman", "combined"} <= set(FITTED)
    assert {"train", "assimilate", "verify"} <= set(methods(DeepDAAccessor))
    assert {"influence", "design"} <= set(methods(xdeepda.Model))


def test_every_page_is_in_the_table_of_contents() -> None:
    docs = ROOT / "docs"
    index = (docs / "index.md").read_text(encoding="utf-8")
    named = {
        line.strip()
        for block in re.findall(r"```{toctree}\n(.*?)```", index, flags=re.DOTALL)
        for line in block.splitlines()
        if line and not line.startswith(":")
    }
    pages = {str(p.relative_to(docs).with_suffix("")) for p in docs.glob("*.md")}
    pages |= {str(p.relative_to(docs).with_suffix("")) for p in docs.glob("howto/*.md")}
    assert pages - {"index"} <= named
    made = {"quickstart", "tutorials/osse", "tutorials/tropical_pacific"}
    assert named - pages == made


def test_links_of_the_pages_lead_somewhere() -> None:
    docs = ROOT / "docs"
    broken = []
    for page in [*docs.glob("*.md"), *docs.glob("howto/*.md")]:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", text):
            built = link.endswith((".ipynb", ".rst"))  # made when the pages are built
            if "://" not in link and not built and not (page.parent / link).exists():
                broken.append(f"{page.relative_to(docs)}: {link}")
    assert broken == []


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
