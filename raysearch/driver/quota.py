"""The disk quota of a search: its worst checkpoints go first, those that are needed never."""

from __future__ import annotations

from pathlib import Path

from raysearch.driver.reported_checkpoints import kept_of, places_of, unneeded
from raysearch.errors import WrongState
from raysearch.events.log import EventLog
from raysearch.events.schema import CheckpointsRemoved
from raysearch.results.forecast import bytes_of, disk_used
from raysearch.results.view import SearchView
from raysearch.results.winners import roles_to_test
from raysearch.trial.checkpoints import remove
from raysearch.trial.lending import take_back_all


class QuotaExceededError(WrongState):
    """What must be kept is more than the quota."""


def finish_removals(view: SearchView, folder: Path) -> None:
    """Deletes the checkpoints that nobody needs any more, wherever they are left.

    A host deletes those of a trial that ends without an answer, but is only asked to: a driver, or
    the host itself, may be gone before it has.
    """
    for trial in view.trials.values():
        take_back_all(folder, trial.number)
        if trial.removed or trial.state in ("pruned", "failed", "infeasible"):
            remove(
                unneeded(
                    folder,
                    trial.number,
                    (),
                    finished=trial.attempts[-1]["attempt"] if trial.removed else None,
                    named={saved.source or path for path, saved in trial.checkpoints.items()},
                    artifacts=trial.artifacts.values(),
                ),
                folder,
            )


def keep_quota(view: SearchView, folder: Path, log: EventLog, limit: int) -> None:
    """Deletes the checkpoints of completed trials, the worst first, until the rest fits.

    Those that a finalist's further seeds left go last. Needed are those of running trials, and of
    all runs that count of the winner and of the default configuration: they will be tested.

    Raises:
        QuotaExceededError: what is needed does not fit; says how much that is.
    """
    total = disk_used(view)
    if total <= limit:
        return
    needed = set(roles_to_test(view))
    worst_first = sorted(reversed(view.ranked()), key=lambda trial: trial.repeat_of is not None)
    for trial in worst_first:
        if trial.number in needed or trial.state != "complete" or not trial.best_checkpoint:
            continue
        total -= bytes_of(trial)
        places = places_of(kept_of(trial), trial.artifacts.values(), folder)
        reason = f"deleted for the disk quota of {limit} bytes"
        log.append(CheckpointsRemoved(reason, trial.best_checkpoint), trial.number, commit=True)
        remove(places, folder)
        if total <= limit:
            return
    raise QuotaExceededError(
        f"--disk must hold the checkpoints of running trials, of the winner and of the default "
        f"configuration, {total} bytes now, got {limit}"
    )
