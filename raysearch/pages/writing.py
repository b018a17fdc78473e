"""The report of a search: one page and its pictures, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raysearch.files import appearing, make_folder
from raysearch.results.view import SearchView

PAGE = "index.html"


def write_report(view: SearchView, folder: Path, by: Sequence[str] = ()) -> Path:
    """Writes `report/index.html` and its pictures below the folder of a search; returns the page.

    The page needs no other file: pictures are in it, and lie beside it. It says what the events
    say, nothing else: the same events give the same page. One that is there is replaced once the
    new one is whole. The objectives are also drawn `by` one setting, or by two.

    Raises:
        UnknownName, BadSetting: no trial has a setting of `by`, or it has too many values.
    """
    from raysearch.pages.page import render
    from raysearch.pages.pictures import draw

    make_folder(folder)
    with appearing(folder / "report", prefix=".report-") as fresh:
        fresh.mkdir()
        page = render(view, folder, draw(view, folder, fresh, by))
        (fresh / PAGE).write_text(page, encoding="utf-8")
        fresh.chmod(0o755)
    return folder / "report" / PAGE
