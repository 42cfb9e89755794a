"""The page on quality control lists every rule as it is in the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xdeepda.observations.qc import RULES, Rule

PAGE = Path(__file__).resolve().parents[2] / "docs" / "quality.md"


def text_of(value: Any) -> str:
    """A limit in words: numbers, and tables as "from 1100: -1.5 to 18"."""
    if np.ndim(value) == 2:
        return ", ".join(f"from {top:g} m {low:g} to {high:g}" for top, low, high in value)
    if np.ndim(value) == 1:
        return " / ".join(f"{v:g}" for v in value)
    return f"{value:g}"


def row_of(rule: Rule) -> str:
    """Row of the table of the page."""
    limits = ", ".join(f"`{n}` {text_of(v)}" for n, v in rule.limits.items())
    return f"| `{rule.name}` | {rule.flag} | {rule.words} | {limits or 'none'} | {rule.source} |"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_is_on_the_page(rule):
    assert row_of(rule) in PAGE.read_text(encoding="utf-8").splitlines()


def test_rules_are_listed_in_the_order_in_which_they_run():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index("| rule | flag | a row that fails | limits | source |") + 2
    table = lines[start : lines.index("", start)]
    assert table == [row_of(rule) for rule in RULES]


if __name__ == "__main__":
    print("\n".join(map(row_of, RULES)))
