"""The files of CLEVR v1.0, in a folder or in the archive as it comes."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class ClevrFiles(Protocol):
    """Files by their names below the set's own folder."""

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        ...

    def read(self, name: str) -> bytes:
        """All of a file. Raises LookupError if there is no such one."""
        ...

    def size(self, name: str) -> int:
        """Its bytes, unpacked."""
        ...


def opened(files: Sequence[Path]) -> ClevrFiles:
    """Those of a form of the catalogue, as it was found. Raises ValueError for a bad archive."""
    return _Archive(files[0]) if files[0].suffix == ".zip" else _Folder(files[0].parent)


class _Folder:
    """The files of an unpacked set."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def has(self, name: str) -> bool:
        return (self._root / name).is_file()

    def read(self, name: str) -> bytes:
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            raise LookupError(f"{self._root} must hold {name}") from None

    def size(self, name: str) -> int:
        return (self._root / name).stat().st_size


class _Archive:
    """The files of a set in its archive, below the one folder that is in it."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise ValueError(f"{path} is no archive ({error})") from None
        self._root = self._zip.namelist()[0].partition("/")[0]
        self._names = set(self._zip.namelist())

    def has(self, name: str) -> bool:
        return f"{self._root}/{name}" in self._names

    def read(self, name: str) -> bytes:
        try:
            return self._zip.read(f"{self._root}/{name}")
        except KeyError:
            raise LookupError(f"{self._zip.filename} must hold {self._root}/{name}") from None

    def size(self, name: str) -> int:
        return self._zip.getinfo(f"{self._root}/{name}").file_size
