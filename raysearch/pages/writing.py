"""The report of a search: one page and its pictures, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from raysearch.files import make_folder
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
    fresh = Path(tempfile.mkdtemp(prefix=".report-", dir=folder))
    try:
        page = render(view, folder, draw(view, folder, fresh, by))
        (fresh / PAGE).write_text(page, encoding="utf-8")
        fresh.chmod(0o755)
        _replace(fresh, folder / "report")
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder / "report" / PAGE


def _replace(fresh: Path, place: Path) -> None:
    """Puts a folder where another may be; that one is put back if this fails."""
    old = fresh.with_name(f"{fresh.name}-old")
    if place.exists():
        os.replace(place, old)
    try:
        os.replace(fresh, place)
    except OSError:
        if old.exists() and not place.exists():
            os.replace(old, place)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
