"""Which checkpoints of a trial are kept: the last one and the best one."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kept:
    """A checkpoint on disk: the step after which it was saved and the objective there, if known."""

    step: int
    path: str
    value: float | None = None


class Keeper:
    """Follows the checkpoints of a trial and says which of them are no longer needed.

    Kept are the last one (resume) and the best one (the answer): the earliest with the best value
    of the first objective. A checkpoint without a value, or with a non-finite one, can be the last
    but not the best.
    """

    def __init__(self, direction: str, kept: Iterable[Kept] = ()) -> None:
        self._sign = -1.0 if direction == "minimize" else 1.0
        self.last: Kept | None = None
        self.best: Kept | None = None
        for checkpoint in sorted(kept, key=lambda checkpoint: checkpoint.step):
            self.add(checkpoint)

    def add(self, checkpoint: Kept) -> list[str]:
        """Takes a new checkpoint into account; returns the paths that may now be deleted."""
        before = {kept.path for kept in (self.last, self.best) if kept is not None}
        self.last = checkpoint
        if self._better(checkpoint):
            self.best = checkpoint
        needed = {kept.path for kept in (self.last, self.best) if kept is not None}
        return sorted(before - needed)

    def kept(self) -> list[Kept]:
        """The checkpoints that are on disk now, each once."""
        found = {kept.path: kept for kept in (self.best, self.last) if kept is not None}
        return sorted(found.values(), key=lambda checkpoint: checkpoint.step)

    def _better(self, checkpoint: Kept) -> bool:
        if checkpoint.value is None or not math.isfinite(checkpoint.value):
            return False
        if self.best is None or self.best.value is None:
            return True
        return self._sign * checkpoint.value > self._sign * self.best.value


def remove(paths: Iterable[str | Path]) -> None:
    """Deletes checkpoints, files or folders; one that is gone already is no error."""
    for path in map(Path, paths):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
