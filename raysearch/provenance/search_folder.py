"""The folder of a search: what of it is the search's own, and its removal."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from raysearch.events.locks import LOCK
from raysearch.provenance.snapshot import FOLDER
from raysearch.results.view import SearchView

_REPORT = "report"
_UNFINISHED = (".raysearch-", ".report-", ".partial-")
"""Beginnings of what a killed process may leave."""


def is_moved(view: SearchView, folder: Path) -> bool:
    """Whether a search lies elsewhere than where it began, or was renamed: copied or moved."""
    begun = Path(view.spec.folder or folder)
    with suppress(OSError):
        return begun != folder and not begun.samefile(folder)
    return True  # it is not there any more


def remove(view: SearchView, folder: Path) -> list[Path]:
    """Removes from the folder of a search what its events name; returns what is left in it.

    Nothing outside is touched: links are removed, not followed, and the folder itself goes only
    if nothing else lies in it.
    """
    own = {LOCK, FOLDER, _REPORT, *(f"{number:04d}" for number in view.trials)}
    own |= {Path(path).parts[0] for path in view.artifacts.values() if Path(path).parts}
    with suppress(OSError):
        for entry in sorted(os.scandir(folder), key=lambda one: one.name == LOCK):
            if entry.name in own or entry.name.startswith(_UNFINISHED):
                _remove(Path(entry.path), is_link=entry.is_symlink())
    with suppress(OSError):
        folder.resolve().rmdir()  # the folder itself may be on another disk
        if folder.is_symlink():
            folder.unlink()
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _remove(path: Path, *, is_link: bool) -> None:
    if path.is_dir() and not is_link:
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()
