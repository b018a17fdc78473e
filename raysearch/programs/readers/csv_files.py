"""The reader of `metrics.csv`, as Lightning's and Fabric's CSVLogger write it."""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from pathlib import Path

from raysearch.programs.readers.reader import FoundReport
from raysearch.programs.readers.watched import Watched

_NAME = re.compile(r"metrics\.csv")
_STEPS = ("step", "global_step", "epoch")
"""The column of the step: the first of these that is there."""


class CsvFile:
    """One such file, read on from the last row.

    A metric that appears later is a new column, for which all rows are written anew; then those
    that were read before are passed over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._header = b""
        self._place = self._rows = 0

    def read(self) -> list[FoundReport]:
        """The rows that are new and whole."""
        with suppress(OSError, csv.Error, UnicodeDecodeError), self.path.open("rb") as file:
            header = file.readline()
            grows = header == self._header and self.path.stat().st_size >= self._place
            if grows:
                file.seek(self._place)
            text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            if not header.endswith(b"\n") or not whole:
                return []
            names = next(csv.reader([header.decode()]))
            rows = list(csv.DictReader(whole.decode().splitlines(), names))
            known = 0 if grows else self._rows
            if len(rows) < known:  # it is being written anew
                return []
            self._header, start = header, self._place if grows else len(header)
            self._place = start + len(whole)
            self._rows += len(rows) - known
            return [found for row in rows[known:] if (found := _reported(row)) is not None]
        return []


def _reported(row: dict[str, str]) -> FoundReport | None:
    column = next((name for name in _STEPS if row.get(name)), None)
    if column is None:
        return None
    step = _number(row[column])
    if step is None or not step.is_integer() or step < 0:
        return None
    found = {name: _number(text) for name, text in row.items() if name and name != column}
    metrics = {name: value for name, value in found.items() if value is not None}
    return FoundReport(int(step), metrics, CsvFiles.source) if metrics else None


def _number(text: object) -> float | None:
    """A number, which may be NaN; None for an empty cell or a word."""
    with suppress(ValueError):
        if isinstance(text, str) and text.strip():
            return float(text)
    return None


class CsvFiles:
    """Follows all files `metrics.csv` of a program. What was in one before it began counts not."""

    source = "csv"

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._files: dict[Path, CsvFile] = {}
        for path in (path for top in watched.folders for path in top.rglob("metrics.csv")):
            with suppress(OSError):
                if path.stat().st_mtime < watched.since:
                    self._files[path] = old = CsvFile(path)
                    old.read()

    def poll(self, last: bool = False) -> list[FoundReport]:
        """The rows that are new."""
        for path in self._watched.files(_NAME, last):
            if path not in self._files:
                self._files[path] = CsvFile(path)
        return [found for file in self._files.values() for found in file.read()]
