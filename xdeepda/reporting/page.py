"""One HTML page that needs nothing else: text, tables and pictures, escaped and accessible.

Standard library only; knows nothing of oceans.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from xdeepda.errors import Problems

#: Readable on a screen, on a telephone, in the dark and on paper.
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #c9d1d9; --soft: #f3f6f9;
  --sign: #9a3412; --accent: #0b5394; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --paper: #15191e; --line: #3a424b;
  --soft: #1f252c; --sign: #fdba74; --accent: #8ec5ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 1rem 1.5rem 4rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { margin: 0.5rem 0 0; font-size: 1.8rem; line-height: 1.2; }
h2 { margin: 2.5rem 0 0.75rem; padding-top: 0.75rem; border-top: 1px solid var(--line); }
h3 { margin: 1.75rem 0 0.5rem; font-size: 1.1rem; }
p, li { max-width: 60rem; }
a { color: var(--accent); }
nav ol { columns: 3 14rem; padding-left: 1.4rem; }
figure { margin: 0; }
figure img { display: block; max-width: 100%; height: auto; background: #fff;
  border: 1px solid var(--line); border-radius: 4px; }
figcaption { margin-top: 0.3rem; font-size: 0.87rem; }
.row { display: flex; flex-wrap: wrap; gap: 1.2rem; align-items: flex-start; margin: 1rem 0; }
.row figure { flex: 0 1 auto; max-width: 100%; }
.wide { overflow-x: auto; margin: 0.75rem 0 1.25rem; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
td, th[scope=row] { white-space: nowrap; }
th[scope=row], th:first-child, .words td { text-align: left; }
th[scope=row] { font-weight: normal; }
.words th[scope=row] { font-weight: 600; }
.words td { max-width: 52rem; overflow-wrap: anywhere; white-space: pre-line; }
thead th { background: var(--soft); vertical-align: bottom; }
.unit { display: block; font-weight: normal; font-size: 0.85em; }
ul.signs { border-left: 4px solid var(--sign); padding-left: 1.6rem; }
.note { font-size: 0.9rem; }
@media print { body { max-width: none; } h2 { break-after: avoid; }
  figure { break-inside: avoid; } }
"""


@dataclass
class Section:
    """Part of a page.

    Attributes
    ----------
    title : str
    blocks : list of str
        HTML.
    lacking : list of str
        What could not be shown, and why.
    signs : list of str
        What a reader should be warned of.
    """

    title: str
    blocks: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    signs: list[str] = field(default_factory=list)

    @property
    def ident(self) -> str:
        """Anchor."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower()).strip("-")

    def add(self, *blocks: str) -> None:
        """Append blocks, those that are not empty."""
        self.blocks += [block for block in blocks if block]


def paragraph(text: str, kind: str = "") -> str:
    """Text as a paragraph."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def heading(text: str) -> str:
    """Heading within a section."""
    return f"<h3>{escape(text)}</h3>"


def items(texts: Iterable[str], kind: str = "") -> str:
    """List of texts; empty for none."""
    rows = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul{_class(kind)}>{rows}</ul>" if rows else ""


def pairs(rows: Iterable[tuple[str, Any]], caption: str) -> str:
    """Table of words and what they are; those that are None or empty are left out."""
    lines = "".join(
        f'<tr><th scope="row">{escape(word)}</th><td>{escape(str(text))}</td></tr>'
        for word, text in rows
        if text is not None and str(text) != ""
    )
    return _table(f"<tbody>{lines}</tbody>", caption, "words")


@dataclass(frozen=True)
class Cell:
    """A number in a table: as it is read, and as it is."""

    text: str
    value: float | None = None


def table(
    head: Sequence[str | tuple[str, str]],
    rows: Iterable[Sequence[Any]],
    caption: str,
    *,
    labels: int = 1,
) -> str:
    """Table with a head and labels of rows.

    Parameters
    ----------
    head : sequence of str or (str, str)
        Words of each column, and their unit or explanation below.
    rows : iterable of sequences
        Texts and :class:`Cell`.
    caption : str
    labels : int
        Columns that name the row.
    """
    words = [h if isinstance(h, tuple) else (h, "") for h in head]
    top = "".join(
        f'<th scope="col">{escape(word)}'
        + (f'<span class="unit">{escape(unit)}</span>' if unit else "")
        + "</th>"
        for word, unit in words
    )
    body = "".join(
        "<tr>" + "".join(_cell(cell, n < labels) for n, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return _table(f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>", caption)


def _cell(cell: Any, label: bool) -> str:
    """One cell."""
    if isinstance(cell, Cell):
        inner = escape(cell.text)
        if cell.value is not None:
            inner = f'<data value="{cell.value!r}">{inner}</data>'
    else:
        inner = escape(str(cell))
    return f'<th scope="row">{inner}</th>' if label else f"<td>{inner}</td>"


def _table(inner: str, caption: str, kind: str = "") -> str:
    """Table that scrolls by itself where it is too wide."""
    words = escape(caption)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{words}">'
        f"<table{_class(kind)}><caption>{words}</caption>{inner}</table></div>"
    )


def figure(source: str, alt: str, caption: str, size: tuple[int, int]) -> str:
    """Picture with what it shows in words.

    Parameters
    ----------
    source : str
        ``data:`` address that holds the picture itself.
    alt, caption : str
    size : (int, int)
        Pixels that it takes on the page.
    """
    width, height = size
    return (
        f'<figure style="width:{width}px"><img src="{escape(source)}" alt="{escape(alt)}" '
        f'width="{width}" height="{height}"><figcaption>{escape(caption)}</figcaption></figure>'
    )


def side_by_side(figures: Iterable[str]) -> str:
    """Pictures in rows, as many as there is room for."""
    inner = "".join(figures)
    return f'<div class="row">{inner}</div>' if inner else ""


def folded(words: str, inner: str) -> str:
    """What is shown when it is asked for."""
    return f"<details><summary>{escape(words)}</summary>{inner}</details>" if inner else ""


def _class(kind: str) -> str:
    return f' class="{escape(kind)}"' if kind else ""


def document(title: str, below: str, sections: Sequence[Section]) -> str:
    """Whole page: a head, the contents, the sections that have something to show.

    Parameters
    ----------
    title : str
    below : str
        Line below the title.
    sections : sequence of Section
    """
    shown = [s for s in sections if s.blocks]
    contents = "".join(f'<li><a href="#{s.ident}">{escape(s.title)}</a></li>' for s in shown)
    body = "".join(
        f'<section aria-labelledby="{s.ident}"><h2 id="{s.ident}">{escape(s.title)}</h2>'
        f"{''.join(s.blocks)}</section>\n"
        for s in shown
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(title)}</h1><p>{escape(below)}</p></header>\n"
        f'<nav aria-label="Contents"><ol>{contents}</ol></nav>\n<main>\n{body}</main>\n'
        "</body>\n</html>\n"
    )


# ---- the file


def check_place(path: Any, overwrite: bool, problems: Problems) -> Path | None:
    """Path of a page that is to be written, checked; None with a problem."""
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        problems.add("path= is no path", found=repr(path), expected="such as 'report.html'")
        return None
    target = Path(path)
    before = len(problems)
    if not target.parent.is_dir():
        problems.add(f"there is no folder {target.parent}", todo="create it")
    elif target.is_dir():
        problems.add(f"{target} is a folder", expected="a file, such as 'report.html'")
    elif target.exists() and not overwrite:
        problems.add(f"{target} exists", todo="another name, or overwrite=True")
    elif not os.access(target.parent, os.W_OK):
        problems.add(f"the folder {target.parent} cannot be written to")
    return target if len(problems) == before else None


def write(text: str, target: Path) -> None:
    """Write a page, whole or not at all."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
