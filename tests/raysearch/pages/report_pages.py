"""A page of a report, read as a browser reads it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

VOID = {"meta", "link", "img", "wbr", "br"}


class Page(HTMLParser):
    """What is on a page: `tags` with attributes, `tables` as rows of cells, the text.

    A cell is its text and its `data-key`. `unclosed` are tags that do not match; `data` is what
    the page's script draws, `programs` are scripts that a browser runs.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[list[tuple[str, str]]]] = []
        self.unclosed: list[str] = []
        self.text = ""
        self.json = ""
        self._cell = False
        self.feed(html)
        self.close()

    @classmethod
    def read(cls, path: Path) -> Page:
        return cls(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.tags.append((tag, known))
        if tag not in VOID:
            self.unclosed.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._cell = True
            self.tables[-1][-1].append(("", known.get("data-key", "")))

    def handle_endtag(self, tag: str) -> None:
        if self.unclosed and self.unclosed[-1] == tag:
            self.unclosed.pop()
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self.unclosed and self.unclosed[-1] in ("style", "script"):
            self.json += data if self.tags[-1][1].get("id") == "data" else ""
            return
        self.text += data
        if self._cell:
            text, key = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = (text + data, key)

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.json)

    @property
    def programs(self) -> list[dict[str, str]]:
        return [tag for tag in self.all("script") if "type" not in tag]

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of all tags of a sort."""
        return [attributes for name, attributes in self.tags if name == tag]

    def table(self, heading: str) -> list[list[tuple[str, str]]]:
        """The last table with this heading of a column."""
        return [t for t in self.tables if heading in [text for text, _ in t[0]]][-1]
