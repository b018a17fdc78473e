"""The live view of a search: a table of HTML in a notebook, that of the terminal elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any, Self

from raysearch.driver.progress import Watch
from raysearch.errors import described
from raysearch.results.answer import fixed_lines, warning_lines
from raysearch.results.html import search_html
from raysearch.results.view import SearchView
from raysearch.terminal import say

_DRAW_EVERY = 0.5
_ROWS = 12


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell: Any = sys.modules.get("IPython")
    found = None if shell is None else shell.get_ipython()
    return getattr(found, "kernel", None) is not None


def watching() -> Watch | Board:
    """What shows a search while it runs here."""
    return Board() if in_notebook() else Watch()


class Board:
    """Shows a search below the cell that runs it; its `listen` is called after each event."""

    def __init__(self) -> None:
        self._view: SearchView | None = None
        self._handle: Any = None
        self._drawn = 0.0

    def __enter__(self) -> Self:
        """Takes a place below the cell."""
        from IPython.display import HTML, display

        with suppress(Exception):  # a display that fails is no reason to run nothing
            self._handle = display(HTML("<p>starting …</p>"), display_id=True)
        return self

    def __exit__(self, *what: object) -> None:
        """Draws the last state."""
        if self._view is not None:
            self._draw(self._view)

    def listen(self, view: SearchView) -> None:
        """Draws at most twice a second."""
        if self._view is None:
            for line in [*fixed_lines(view.spec), *warning_lines(view.spec)]:
                say(line)
        self._view = view
        if time.monotonic() - self._drawn >= _DRAW_EVERY:
            self._draw(view)

    def _draw(self, view: SearchView) -> None:
        self._drawn = time.monotonic()
        if self._handle is None:
            return
        from IPython.display import HTML

        try:
            self._handle.update(HTML(search_html(view, _ROWS)))
        except Exception as error:  # whatever it is, hours of trials matter more
            self._handle = None
            with suppress(Exception):
                say(f"the display ends, the search goes on: {described(error)}", err=True)
