"""Static stability: how many columns have heavier water above lighter, before and after."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.diagnostics.stability import static_stability
from xdeepda.reporting.page import Cell, Section, paragraph, table
from xdeepda.reporting.subject import Subject, attempt, number
from xdeepda.reporting.through_time import temperatures

#: Share of unstable columns from which on they are told, and how many times the background's.
_SHARE, _TIMES = 0.01, 1.25


def stability(subject: Subject) -> Section:
    """Shares of columns with inversions in analysis, background and references."""
    section = Section("Static stability")
    levels = subject.first.grid.depth
    if not temperatures(subject) or levels is None or levels.size < 2:
        section.lacking.append("static stability needs temperature on several levels")
        return section
    for var in temperatures(subject):
        told = "static stability"
        rows = {"analysis": attempt(section, told, _shares, _analysed(subject, var, ""), var)}
        if rows["analysis"] is None:
            continue
        if subject.has(var, "background"):
            rows["background"] = _shares(_analysed(subject, var, "_background"), var)
        for name, ds in subject.references.items():
            if var in ds:
                rows[name] = attempt(section, f"{told} of {name}", _shares, [ds], var)
        _show(subject, var, {n: r for n, r in rows.items() if r is not None}, section)
    return section


def _analysed(subject: Subject, var: str, suffix: str) -> Iterator[xr.Dataset]:
    """Means of the analysis or its background under their own names."""
    names = [v + suffix for v in subject.fields if v + suffix in subject.analysis]
    member = subject.fields[var].layout.axes.member
    for block in subject.blocks(names):
        one = block.mean(member, keep_attrs=True) if member in block.dims else block
        yield one.rename({n: n.removesuffix(suffix) for n in names} if suffix else {})


def _shares(blocks: Iterable[xr.Dataset], var: str) -> dict[str, Any]:
    """Share of the columns with inversions, and the largest one."""
    unstable = columns = 0
    largest, words = 0.0, ""
    for block in blocks:
        with _silent():
            found = static_stability(block, var)
        count = found["inversions"]
        unstable += int((count > 0).sum())
        columns += int(count.notnull().sum())
        excess = found["largest_inversion"]
        largest = max(largest, float(excess.max()))
        words = f"{count.attrs['long_name']}|{excess.attrs['units']}"
    rule, _, unit = words.partition("|")
    share = unstable / columns if columns else float("nan")
    return {"share": share, "largest": largest, "rule": rule, "unit": unit, "columns": columns}


@contextmanager
def _silent() -> Iterator[None]:
    """Without the warning that salinity is missing: the page says so itself."""
    logger = logging.getLogger("xdeepda")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _show(subject: Subject, var: str, rows: dict[str, dict[str, Any]], section: Section) -> None:
    """Table of the shares; a warning where the analysis is less stable than its background."""
    own = rows["analysis"]
    head: list[Any] = ["", ("columns with an inversion", "%"), ("largest", own["unit"]), "columns"]
    lines = [[name, Cell(number(100 * r["share"]), float(100 * r["share"])),
              Cell(number(r["largest"]), r["largest"]), f"{r['columns']:,}"]
             for name, r in rows.items()]  # fmt: skip
    words = own["rule"].removeprefix("number of ").capitalize()
    text = f"{words}, in {subject.amount}."
    if own["unit"] == "K":
        text += (" Without salinity only temperature can be compared: warm water below cold is "
                 "usual where salt holds it, as in polar seas.")  # fmt: skip
    section.add(paragraph(text), table(head, lines, f"Static stability: {var}"))
    others = [r["share"] for n, r in rows.items() if n != "analysis" and np.isfinite(r["share"])]
    if own["share"] > _SHARE and (not others or own["share"] > _TIMES * max(others)):
        whose = " and ".join(n for n in rows if n != "analysis")
        than = f", against at most {100 * max(others):.2g} % of {whose}" if others else ""
        section.signs.append(
            f"Static instability: {100 * own['share']:.2g} % of the columns of {var} have an "
            f"inversion{than}."
        )
