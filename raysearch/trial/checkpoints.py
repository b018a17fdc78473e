"""Retention of a trial's checkpoints: the last one and the best one, and how others go."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

FOLDER = "kept"
"""Where, in the folder of an attempt, checkpoints lie that are kept, each below its step."""
COPY = "restored-copy"
"""Where, in that folder, the copy of the checkpoint lies that the attempt goes on from."""

_OF_AN_ATTEMPT = re.compile(r"\d{4,}/attempt-\d+/.")


@dataclass(frozen=True)
class Kept:
    """A checkpoint on disk: the step after which it was saved and the objective there, if known.

    `bytes` and `sha256` are what was measured when it was reported (None: an earlier version did
    not); `source` is the path under which the trial wrote it, if that is another one, and `copied`
    says that it takes room there too.
    """

    step: int
    path: str
    value: float | None = None
    bytes: int | None = None
    sha256: str | None = None
    source: str | None = None
    copied: bool = False

    @classmethod
    def read(cls, body: Mapping[str, Any], path: str, value: float | None = None) -> Kept:
        """The checkpoint at a path that an event, or a message, tells of."""
        facts = {name: body.get(name) for name in ("bytes", "sha256", "source")}
        return cls(int(body["step"]), path, value, **facts, copied=bool(body.get("copied")))

    def facts(self) -> dict[str, Any]:
        """What an event, or a message, says of it beside step, path and value; nothing unknown."""
        named = {name: getattr(self, name) for name in ("bytes", "sha256", "source")}
        known = {name: value for name, value in named.items() if value is not None}
        return {**known, "copied": True} if self.copied else known

    def below(self, folder: Path) -> dict[str, Any]:
        """As a record with absolute paths, from paths relative to a folder."""
        source = str(folder / self.source) if self.source else None
        return {**asdict(self), "path": str(folder / self.path), "source": source}


class Retention:
    """Follows the checkpoints of a trial and says which of them are no longer needed.

    Kept are the last one (resume) and the best one (the answer): the checkpoint that belongs to the
    value of the first objective. If that is reduced by `best`, it is the earliest with the best
    value, otherwise (`last`, `mean(k)`) the latest with a value. A checkpoint without a value, or
    with a non-finite one, can be the last but not the best.
    """

    def __init__(self, direction: str, kept: Iterable[Kept] = (), reduce: str = "best") -> None:
        self._sign = -1.0 if direction == "minimize" else 1.0
        self._is_best = reduce == "best"
        self._damaged: set[str] = set()
        self.last: Kept | None = None
        self.best: Kept | None = None
        self.sources: set[str] = set()
        for checkpoint in sorted(kept, key=lambda checkpoint: checkpoint.step):
            self.add(checkpoint)

    @classmethod
    def of(cls, metrics: Iterable[Mapping[str, str]], kept: Iterable[Kept] = ()) -> Retention:
        """By the first of these objectives, each with `direction` and `reduce`."""
        first = next(iter(metrics), {"direction": "maximize"})
        return cls(first["direction"], kept, first.get("reduce", "best"))

    def add(self, checkpoint: Kept) -> list[str]:
        """Takes a new checkpoint into account; returns the paths that may now be deleted."""
        before = {kept.path for kept in self.kept()}
        self.last = checkpoint
        self.sources.add(checkpoint.source or checkpoint.path)
        if self._better(checkpoint):
            self.best = checkpoint
        return sorted(before - {kept.path for kept in self.kept()})

    def learn(self, step: int, value: float | None) -> list[str]:
        """Takes in an objective that was reported after the checkpoint of its step, as `add`."""
        if value is None or self.last is None or self.last.step != step:
            return []
        return self.add(replace(self.last, value=value)) if self.last.value is None else []

    def damaged(self, path: str) -> None:
        """Goes on without a checkpoint that is no longer what it was.

        The last one is then the best one, if that is another. The best one stays what it is, until
        one of at least the same value takes its place: its weights are those of the value.
        """
        self._damaged.add(path)
        if self.last is not None and self.last.path == path:
            other = self.best
            is_older = other is not None and other.path not in self._damaged
            self.last = other if is_older else None

    def is_damaged(self, path: str) -> bool:
        """Whether `damaged` was said of it."""
        return path in self._damaged

    def kept(self) -> list[Kept]:
        """The checkpoints that are on disk now, each once."""
        found = {kept.path: kept for kept in (self.best, self.last) if kept is not None}
        return sorted(found.values(), key=lambda checkpoint: checkpoint.step)

    def _better(self, checkpoint: Kept) -> bool:
        if checkpoint.value is None or not math.isfinite(checkpoint.value):
            return False
        if not self._is_best or self.best is None or self.best.value is None:
            return True
        gain = self._sign * (checkpoint.value - self.best.value)
        return gain > 0 or (gain == 0 and self.best.path in self._damaged)


def remove(paths: Iterable[str | Path], within: Path) -> None:
    """Deletes checkpoints, files or folders, that lie in a folder; all other paths are left alone.

    So are the folder itself, and what is reached by `..` or below a link. One that is gone already
    is no error, nor one that cannot be deleted: nothing depends on it.
    """
    for path in map(Path, paths):
        with suppress(OSError):
            if not is_inside(path, within):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path lies in a folder, really: strictly below it, by no `..` and no link."""
    if ".." in path.parts or not path.is_relative_to(folder) or path == folder:
        return False
    return not any(parent.is_symlink() for parent in _between(path, folder))


def checkpoints_of(folder: Path, trial: int) -> list[Path]:
    """All that lies where a trial keeps and writes its checkpoints, in the folder of a search."""
    places = folder.glob(f"{trial:04d}/attempt-*/*")
    found = [
        path
        for place in places
        if place.name in (FOLDER, COPY, "checkpoints")
        for path in place.glob("*")
    ]
    return [path for path in found if is_inside(path, folder)]


def of_attempts(paths: Iterable[str]) -> list[str]:
    """Those of these paths, as events have them, that can be checkpoints: not a whole attempt."""
    return [path for path in paths if _OF_AN_ATTEMPT.match(path)]


def _between(path: Path, folder: Path) -> list[Path]:
    return [parent for parent in path.parents if parent != folder and parent.is_relative_to(folder)]
