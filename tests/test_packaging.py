"""Environment and conda recipe say what pyproject.toml says; the citation can be read."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

jinja2 = pytest.importorskip("jinja2")
yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Where conda-forge calls a package otherwise; it knows lower case only.
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def ranges(requirements: list[str]) -> dict[str, str]:
    """Name -> range of requirements as pip or conda write them, by the names of conda."""
    found = {}
    for requirement in requirements:
        name, limits = re.fullmatch(r"([A-Za-z0-9_.-]+)\s*(.*)", requirement).groups()
        found[CONDA.get(name, name).lower()] = limits.replace(" ", "")
    return found


def extras(*names: str) -> dict[str, str]:
    """Ranges of extras, without what they take from each other."""
    lists = PROJECT["optional-dependencies"]
    given = [line for name in names for line in lists[name] if not line.startswith("xdeepda")]
    return ranges(given)


BASE = {"python": PROJECT["requires-python"], **ranges(PROJECT["dependencies"])}
EXTRAS = extras("plot", "maps", "notebook", "distributed")


@pytest.fixture
def recipe() -> dict[str, Any]:
    """The recipe as conda-build renders it."""
    text = (ROOT / "conda" / "recipe" / "meta.yaml").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    return yaml.safe_load(environment.from_string(text).render(PYTHON="python"))


def test_environment_has_the_ranges_of_the_project() -> None:
    plan = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert plan["channels"] == ["conda-forge"]
    found = ranges([line for line in plan["dependencies"] if isinstance(line, str)])
    # what is there for the cloud belongs to no extra, and has no range
    cloud = {"argopy", "intake-esm", "s3fs", "xesmf", "pip"}
    assert {name: limits for name, limits in found.items() if name not in cloud} == BASE | EXTRAS
    assert all(found[name] == "" for name in cloud)
    assert {"pip": ["-e ."]} in plan["dependencies"]


def test_recipe_has_the_ranges_of_the_project(recipe: dict[str, Any]) -> None:
    assert recipe["package"] == {"name": PROJECT["name"], "version": PROJECT["version"]}
    assert ranges(recipe["requirements"]["run"]) == BASE
    assert ranges(recipe["requirements"]["run_constrained"]) == EXTRAS
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert f"python {lowest}" in recipe["requirements"]["host"]
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    assert ranges(build["requires"]).items() <= ranges(recipe["requirements"]["host"]).items()


def test_recipe_finds_its_source_and_licence(recipe: dict[str, Any]) -> None:
    source = (ROOT / "conda" / "recipe" / recipe["source"]["path"]).resolve()
    assert source == ROOT
    assert (source / recipe["about"]["license_file"]).read_text().startswith("MIT License")
    assert recipe["about"]["license"] == PROJECT["license"]
    assert PROJECT["license-files"] == [recipe["about"]["license_file"]]
    assert recipe["about"]["summary"] == PROJECT["description"]
    assert recipe["build"]["noarch"] == "python"


def test_citation_names_the_version_and_the_method() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    (method,) = citation["references"]
    assert method["doi"] == "10.1038/s42256-024-00867-x"
    page = (ROOT / "docs" / "citing.md").read_text(encoding="utf-8")
    assert method["doi"] in page
    assert all(author["family-names"] in page for author in method["authors"])
