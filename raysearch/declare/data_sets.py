"""All that the service knows of a data set: what it is, where it is looked for, how it is got."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol


class DataSet(Protocol):
    """A data set of the experiments' catalogue. A `root` that is None is the catalogue's own."""

    @property
    def name(self) -> str:
        """By which it is asked for."""
        ...

    @property
    def what(self) -> str:
        """What is in it, in a few words."""
        ...

    @property
    def source(self) -> str:
        """Where it comes from."""
        ...

    @property
    def licence(self) -> str:
        """Under what it may be used."""
        ...

    @property
    def size(self) -> int:
        """Bytes to fetch; 0 if there is nothing to."""
        ...

    def looked_for(self, root: Path | None = None) -> Sequence[Path]:
        """The folders in which it is looked for, in this order."""
        ...

    def missing(self, root: Path | None = None) -> str | None:
        """One sentence on what to run, or what to put where; None if it is there."""
        ...

    def get(self, root: Path | None, given: Path | None, say: Callable[[str], None]) -> None:
        """Fetches it, or takes it from a file or folder that is `given`; says what it does."""
        ...

    def check(self, root: Path | None = None) -> Sequence[str]:
        """What is wrong with its files, and with what was made of them: a sentence each."""
        ...


def facts(data_set: DataSet, root: Path | None = None) -> dict[str, object]:
    """A row of the list of data sets: plain values by name; `missing` is None if it is there."""
    return {
        "name": data_set.name,
        "what": data_set.what,
        "licence": data_set.licence,
        "bytes": data_set.size,
        "source": data_set.source,
        "looked for": [str(path) for path in data_set.looked_for(root)],
        "missing": data_set.missing(root),
    }
