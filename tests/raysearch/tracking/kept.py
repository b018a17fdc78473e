"""A folder as it was when it was kept, for the next test: making it anew costs most of a test."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path


class Kept:
    """What a folder holds; its databases are restored in place, as somebody may have them open."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._copy = folder, folder.with_name(f"{folder.name}-kept")
        self._copy.mkdir()
        self._databases = list(folder.glob("*.db"))
        for path in folder.iterdir():
            if path.is_dir():
                shutil.copytree(path, self._copy / path.name)
        for path in self._databases:
            _copy(path, self._copy / path.name)

    def restore(self) -> None:
        """Makes the folder what it was."""
        for path in self._databases:
            _copy(self._copy / path.name, path)
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        for path in self._copy.iterdir():
            if path.is_dir():
                shutil.copytree(path, self.folder / path.name)


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
