"""Tags and metrics in MLflow of a search and of how its trials hang together."""

from __future__ import annotations

from collections.abc import Iterable

from raysearch.results.ranking import winner
from raysearch.results.references import ordered, reference_rows
from raysearch.results.view import SearchView, TrialView
from raysearch.tracking.mlflow.names import key

OWNED = ("raysearch.tag.", "raysearch.group", "raysearch.trials", "raysearch.time")
"""Beginnings of the tags of a search's run that are taken off when they no longer hold."""

LINKS = tuple(
    f"raysearch.{name}"
    for name in ("repeat_of", "retry_of", "retried_by", "evaluates", "duplicates", "removed")
)
"""Beginnings of the tags of a trial's run that `trial_tags` makes."""


def search_tags(view: SearchView) -> dict[str, str]:
    """Notes, tags and group of a search, and what it was extended to.

    MLflow keeps the parameters that it began with, which cannot be changed there.
    """
    spec = view.spec
    tags = {"mlflow.note.content": spec.notes or spec.question}
    tags |= {key(f"raysearch.tag.{name}"): str(value) for name, value in spec.tags.items()}
    if spec.group:
        tags["raysearch.group"] = spec.group
    if spec.trials != view.begun.trials:
        tags["raysearch.trials"] = str(spec.trials)
    if spec.time != view.begun.time:
        tags["raysearch.time"] = str(spec.time)
    return tags


def trial_tags(trial: TrialView, duplicates: Iterable[int] = ()) -> dict[str, str]:
    """How a trial hangs together with others, and that its checkpoint is gone.

    Its `duplicates` have no run of their own.
    """
    tags: dict[str, str] = {}
    for name in ("repeat_of", "retry_of", "retried_by"):
        number = getattr(trial, name)
        if number is not None:
            tags[f"raysearch.{name}"] = str(number)
    if trial.evaluates is not None:
        tags["raysearch.evaluates"] = f"{trial.evaluates['search']} {trial.evaluates['trial']}"
        tags["raysearch.evaluates.checkpoint"] = str(trial.evaluates["checkpoint"])
    same = ", ".join(map(str, duplicates))
    if same:
        tags["raysearch.duplicates"] = same
    if trial.removed:
        tags["raysearch.removed"] = trial.removed
    return tags


def duplicates(view: SearchView) -> dict[int, list[int]]:
    """The duplicates of each trial that has some."""
    found: dict[int, list[int]] = {}
    for trial in view.trials.values():
        if trial.duplicate_of is not None:
            found.setdefault(trial.duplicate_of, []).append(trial.number)
    return found


def winner_metrics(view: SearchView) -> dict[str, float]:
    """The mean of the winner over its seeds, its 95 % interval, and their number.

    Only where configurations were run again; where some seed did not complete also how many ended
    how (`search/winner_diverged` …). And the best score of what learns nothing (`search/blind`),
    where trials say it.
    """
    won = winner(view)
    if won is None:
        return {}
    rank, metric = won.rank, view.spec.metric
    rows = ordered(reference_rows(rank.runs, metric.name), metric.direction)
    blind = {"search/blind": next(iter(rows.values()))} if rows else {}
    if not rank.is_repeated:
        return blind
    return {
        **blind,
        "search/winner_mean": rank.mean,
        "search/winner_low": rank.low,
        "search/winner_high": rank.high,
        "search/winner_seeds": float(rank.seeds),
        **{
            f"search/winner_{what.replace(' ', '_')}": float(count)
            for what, count in rank.others.items()
        },
    }
