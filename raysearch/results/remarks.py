"""What else there is to say of a trial, in a line: links to others, attempts, why it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raysearch.results.view import TrialView


def remark(trial: TrialView) -> str:
    """What else there is to say of a trial."""
    said = ["default configuration"] if trial.origin == "default" else []
    if trial.repeat_of is not None:
        said.append(f"trial {trial.repeat_of} again, seed {trial.seed}")
    if trial.retry_of is not None:
        said.append(f"trial {trial.retry_of} tried again")
    if trial.retried_by is not None:
        said.append(f"tried again as trial {trial.retried_by}")
    if trial.evaluates is not None:
        said.append(evaluated(trial))
    if len(trial.attempts) > 1:
        said.append(f"{len(trial.attempts)} attempts")
    said += [trial.reason, trial.differed, *trial.notices]
    said += [f"checkpoint {path} {what}" for path, what in trial.damaged.items()]
    return "; ".join(filter(None, said))


def evaluated(trial: TrialView) -> str:
    """`evaluates trial 3 of vit-1`, or nothing."""
    link = trial.evaluates
    return f"evaluates trial {link['trial']} of {link['search']}" if link else ""
