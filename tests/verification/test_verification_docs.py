"""The page on verification lists every statistic as it is in the code, and its example is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from xdeepda.verification.statistics import STATISTICS, Statistic

PAGE = Path(__file__).resolve().parents[2] / "docs" / "verification.md"
UNITS = {"value": "of the variable", "square": "its square", "1": "1"}
PERFECT = {"zero": "0", "smaller": "0, smaller is better", "larger": "1, larger is better",
           "one": "1", "": ""}  # fmt: skip


def row_of(statistic: Statistic) -> str:
    """Row of the table of the page."""
    tex = statistic.tex.replace("|", r"\vert ")
    cells = (
        f"`{statistic.name}`",
        statistic.words,
        f"${tex}$",
        UNITS[statistic.unit],
        PERFECT[statistic.better],
        statistic.source,
    )
    return "| " + " | ".join(cells) + " |"


def test_every_statistic_is_on_the_page():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index("| name | what | formula | unit | perfect | source |") + 2
    assert lines[start : lines.index("", start)] == [row_of(s) for s in STATISTICS]


def test_sources_are_listed():
    page = PAGE.read_text(encoding="utf-8")
    listed = page[page.index("## Sources") :]
    for statistic in STATISTICS:
        for name in re.findall(r"[A-Z]\w+", statistic.source):
            assert name in listed


def test_the_example_gives_what_the_page_says():
    page = PAGE.read_text(encoding="utf-8")
    code, shown = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", page, re.S).groups()
    names: dict = {}
    exec(code, names)  # the first example of the page
    scores = names["scores"]
    assert repr(scores.deepda).splitlines()[:6] == shown.splitlines()[:6]
    said = {float(line.split()[0]): line.split() for line in shown.splitlines()[9:]}
    assert list(said) == scores.depth.values.tolist()
    for depth, cells in said.items():
        assert int(cells[1]) == scores["count"].sel(depth=depth)
        assert float(cells[4]) == pytest.approx(float(scores.rmse.sel(depth=depth)), rel=0.02)


if __name__ == "__main__":
    print("\n".join(map(row_of, STATISTICS)))
