"""The disk quota of a search: its worst checkpoints go first, those that are needed never."""

from __future__ import annotations

from pathlib import Path

from raysearch.record.events import EventLog
from raysearch.record.forecast import bytes_of, disk_used
from raysearch.record.results import SearchView
from raysearch.run.checkpoints import remove


class QuotaExceededError(ValueError):
    """What must be kept is more than the quota."""


def keep_quota(view: SearchView, folder: Path, log: EventLog, limit: int) -> None:
    """Deletes the checkpoints of completed trials, the worst first, until the rest fits.

    Those of the best trial, of the default configuration and of running trials are needed.

    Raises:
        QuotaExceededError: what is needed does not fit; says how much that is.
    """
    total = disk_used(view)
    if total <= limit:
        return
    best = view.best()
    for trial in reversed(view.ranked()):
        is_needed = trial is best or trial.origin == "default" or trial.state != "complete"
        if is_needed or not trial.best_checkpoint:
            continue
        total -= bytes_of(trial)
        paths = [path for path in (trial.best_checkpoint, trial.last_checkpoint) if path]
        reason = f"deleted for the disk quota of {limit} bytes"
        log.append("removed", trial.number, commit=True, path=trial.best_checkpoint, reason=reason)
        remove(folder / path for path in paths)
        if total <= limit:
            return
    raise QuotaExceededError(
        f"--disk must hold the checkpoints of running trials, of the best one and of the default "
        f"configuration, {total} bytes now, got {limit}"
    )
