"""What a search has in its folder, and how that goes: nothing that is not its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from raysearch.record.results import SearchView
from raysearch.record.snapshot import FOLDER as CODE
from raysearch.run.checkpoints import remove

_OWN = re.compile(rf"{CODE}|report|lock|\.raysearch-.*")
"""What every search may have beside the folders of its trials."""


def delete_folder(view: SearchView, folder: Path) -> list[str]:
    """Deletes what is a search's in its folder, and the folder if nothing else is there.

    What is reached through links stays; so does all that its events do not name. Returns the names
    of what stays, sorted.
    """
    place = folder.resolve()  # the folder itself may be on another disk
    remove(_own(view, place), place)
    left = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
    if not left and place.is_dir():
        place.rmdir()
        if folder.is_symlink():
            folder.unlink()
    return left


def _own(view: SearchView, folder: Path) -> Iterator[Path]:
    trials = {f"{number:04d}" for number in view.trials}
    named = {Path(path).parts[0] for path in view.artifacts.values() if path}
    names = os.listdir(folder) if folder.is_dir() else []
    for name in names:
        if name in trials | named or _OWN.fullmatch(name):
            yield folder / name
