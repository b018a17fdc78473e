"""Checkpoints as recorded when they were reported, compared with the files now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from raysearch.events.schema import (
    CheckpointDamaged,
    CheckpointSaved,
    CheckpointsRemoved,
    Reported,
)
from raysearch.integrity import damage

if TYPE_CHECKING:
    from raysearch.events.log import Event


class Saved(NamedTuple):
    """Step, bytes and SHA-256 of a checkpoint; the last two are None where they are not known.

    `source` is where the trial wrote it, if it is kept elsewhere; `copied`: it takes room there.
    """

    step: int
    bytes: int | None = None
    sha256: str | None = None
    source: str | None = None
    copied: bool = False

    @classmethod
    def of(cls, fact: Reported | CheckpointSaved) -> Saved:
        """As an event has it."""
        return cls(fact.step, fact.bytes, fact.sha256, fact.source, bool(fact.copied))

    def damage(self, path: Path) -> str:
        """What is wrong with the file or folder there; empty if it is as it was."""
        return damage(path, self.bytes, self.sha256)


def damage_of(path: str, saved: Mapping[str, Saved], folder: Path) -> str:
    """A sentence on a checkpoint that is not as it was when it was reported, or nothing.

    Of one that an earlier version recorded only its being there, and its size, are known.
    """
    known = saved.get(path)
    what = damage(folder / path, None, None) if known is None else known.damage(folder / path)
    of = f" of step {known.step}" if known is not None else ""
    return f"checkpoint {path}{of} {what}" if what else ""


# Events


class Keeping(Protocol):
    """A trial as far as its checkpoints go."""

    last_checkpoint: str | None
    best_checkpoint: str | None
    removed: str
    checkpoints: dict[str, Saved]
    damaged: dict[str, str]


def checkpoint(trial: Keeping, fact: CheckpointSaved, event: Event) -> None:
    """One that came without metrics, or at a step that was reported before."""
    trial.last_checkpoint = fact.path
    trial.checkpoints[fact.path] = Saved.of(fact)


def damaged(trial: Keeping, fact: CheckpointDamaged, event: Event) -> None:
    """One that was met and was not as it was when it was reported."""
    trial.damaged[fact.path] = fact.what


def removed(trial: Keeping, fact: CheckpointsRemoved, event: Event) -> None:
    """Those of a trial were deleted, for the disk quota."""
    trial.best_checkpoint, trial.removed = None, fact.reason
