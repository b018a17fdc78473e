"""Data sets as the service sees them: what each is, where it is looked for, how it is got."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from raysearch.errors import UnknownName

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""


@runtime_checkable
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


@runtime_checkable
class Prepared(DataSet, Protocol):
    """A data set that is brought into a faster form before it is read."""

    def prepare(
        self,
        root: Path | None,
        *,
        made: bool,
        image_size: int | None,
        crop: str | None,
        interpolation: str | None,
        sizes: Mapping[str, int] | None,
        progress: Progress,
        say: Callable[[str], None],
    ) -> Path:
        """Prepares its files, or those that were made; None is what is customary for the set.

        `sizes` are those of train, val and test. Goes on with what was begun. Returns the folder.
        """
        ...


class Maker(Protocol):
    """Makes small data sets like one of the catalogue, in its format."""

    @property
    def name(self) -> str:
        """That of the data set."""
        ...

    @property
    def customary(self) -> int:
        """How many scenes are made unless told otherwise."""
        ...

    def make(
        self,
        root: Path | None,
        *,
        scenes: int,
        image_size: int | None,
        crop: str | None,
        seed: int,
        rules: Mapping[str, Any],
        progress: Progress,
    ) -> Path:
        """Makes so many scenes by seed and rules and writes them; returns the folder.

        They have the size of which `crop`, or what is customary, leaves `image_size` pixels.
        """
        ...


class Sample(Protocol):
    """What a viewer returns: the picture that it wrote, facts by name, a row for each thing."""

    @property
    def picture(self) -> Path:
        """A PNG."""
        ...

    @property
    def facts(self) -> Mapping[str, str]:
        """Numbers of the set, in words."""
        ...

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """What is on the picture, or how often it is there: plain values by name."""
        ...


def sample_of(
    data_set: DataSet,
    root: Path | None,
    *,
    split: str,
    count: int,
    store: str | None,
    into: Path,
) -> Sample:
    """Some of a data set, by the function that its `viewer` names; writes a picture to `into`.

    Raises:
        LookupError: it is not there, or has no viewer. ValueError: what is asked for is not in it.
    """
    module, _, name = str(getattr(data_set, "viewer", "")).partition(":")
    if not name:
        raise UnknownName(f"data set {data_set.name} names no viewer: it cannot be shown")
    view = getattr(importlib.import_module(module), name)
    return view(data_set, root, split=split, count=count, store=store, into=into)


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
