"""A page as a browser reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

#: Elements that have no end.
VOID = {"meta", "img", "br", "hr", "input", "link"}


@dataclass
class Table:
    """A table of the page: texts, and the numbers that they stand for."""

    caption: str = ""
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    values: list[list[float | None]] = field(default_factory=list)


class Page(HTMLParser):
    """What a page holds; elements that are not closed in their order are an error.

    Attributes
    ----------
    text : str
    tags : list of (str, dict)
    tables : list of Table
    headings : list of (int, str)
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict]] = []
        self.tables: list[Table] = []
        self.headings: list[tuple[int, str]] = []
        self._open: list[str] = []
        self._words: list[str] = []
        self._all: list[str] = []
        self._value: float | None = None
        self.feed(self.html)
        self.close()
        assert self._open == []
        self.text = " ".join(self._all)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append(Table())
        if tag == "tr" and "tbody" in self._open:
            self.tables[-1].rows.append([])
            self.tables[-1].values.append([])
        if tag in ("th", "td", "caption", "h1", "h2", "h3"):
            self._words, self._value = [], None
        if tag == "data":
            self._value = float(dict(attrs)["value"])

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        words = " ".join(self._words)
        if tag == "caption":
            self.tables[-1].caption = words
        if tag == "th" and "thead" in self._open:
            self.tables[-1].head.append(words)
        if tag in ("th", "td") and "tbody" in self._open:
            self.tables[-1].rows[-1].append(words)
            self.tables[-1].values[-1].append(self._value)
        if tag in ("h1", "h2", "h3"):
            self.headings.append((int(tag[1]), words))

    def handle_data(self, data):
        if "style" not in self._open:
            self._words.append(data)
            self._all.append(data)

    def table(self, caption: str) -> Table:
        """The table whose caption begins so."""
        return next(t for t in self.tables if t.caption.startswith(caption))

    def pictures(self) -> list[dict]:
        return [attrs for tag, attrs in self.tags if tag == "img"]

    def sections(self) -> list[str]:
        """Headings of the sections."""
        return [words for level, words in self.headings if level == 2]

    def section(self, title: str) -> str:
        """Text of one section, with its markup."""
        whole = next(p for p in self.html.split("<section")[1:] if f">{title}</h2>" in p)
        return unescape(whole)
