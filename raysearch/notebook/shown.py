"""Return values of the client: text or path for a script, with pictures for a notebook."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Self

from raysearch.results.html import answer_html

if TYPE_CHECKING:
    from raysearch.results.view import SearchView

_LARGEST = 4 << 20
"""Bytes of a page that is shown within a notebook, which then keeps it."""
_HEIGHT = 640


class Searched(str):
    """The name of a search that was run, with what was known of it at its end."""

    view: SearchView

    @classmethod
    def of(cls, view: SearchView) -> Self:
        """The name of the search of a view."""
        found = cls(view.search)
        found.view = view
        return found

    def _repr_html_(self) -> str:
        """Its state and its best trial."""
        return answer_html(self.view)


class Page(type(Path())):  # a plain `Path` can have no subclass in Python 3.11
    """The path of a page, which a notebook shows as that page."""

    def _repr_html_(self) -> str:
        """The page in a frame of its own; of a large one only where it is."""
        if self.stat().st_size > _LARGEST:
            return f'<a href="{escape(self.absolute().as_uri())}">{escape(str(self))}</a>'
        page = escape(self.read_text(encoding="utf-8"))
        style = f"width:100%;height:{_HEIGHT}px;border:0"
        allowed = "allow-scripts allow-popups allow-downloads"
        return f'<iframe srcdoc="{page}" sandbox="{allowed}" style="{style}"></iframe>'
