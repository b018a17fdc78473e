"""The winner of a search with all that repeats it, and how the search was made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raysearch.pages.facts import is_own, repeat_command, runs_option, shell
from raysearch.pages.objectives import drawn, objectives
from raysearch.pages.words import elapsed, moment, number, ranges
from raysearch.provenance.snapshot import in_words
from raysearch.results.remarks import evaluated
from raysearch.results.spent import search_spent
from raysearch.results.view import SearchView, TrialView
from raysearch.sweeps.search_spec import GitState, SearchSpec
from raysearch.sweeps.sweep import bare
from raysearch.texts import block, cut, plural

LONG = 160
"""Letters of a value in a table; the winner's configuration has all of them."""


@dataclass(frozen=True)
class Shown:
    """The winner: its parameters beside the default's, its configuration, how to repeat it.

    `damage` says how its checkpoint was met that was not as it was reported; empty if it never was.
    """

    trial: TrialView
    parameters: list[tuple[str, str, str]]
    has_default: bool
    config: str
    command: str
    hint: str
    checkpoint: str
    damage: str
    evaluates: str


def shown_winner(view: SearchView, folder: Path) -> Shown | None:
    """The trial that stands for the best configuration; None if none completed."""
    best = view.best()
    if best is None:
        return None
    default = next((t for t in drawn(view) if t.origin == "default"), None)
    names = list(dict.fromkeys([*map(bare, best.distributions), *best.params]))
    checkpoint = str(folder / best.best_checkpoint) if best.best_checkpoint else ""
    if best.evaluates is not None:
        checkpoint = str(best.evaluates["checkpoint"])
    return Shown(
        trial=best,
        parameters=[(n, value_of(best, n), value_of(default, n)) for n in names],
        has_default=default is not None and default.digest != best.digest,
        config=_json(best.config),
        command=shell(repeat_command(view, best, folder)),
        hint=_hint(view),
        checkpoint=checkpoint or (f"none ({best.removed})" if best.removed else "none"),
        damage=best.damaged.get(best.best_checkpoint or "", ""),
        evaluates=evaluated(best),
    )


def _hint(view: SearchView) -> str:
    """How a trial of people's own experiment is run again."""
    if not is_own(view):
        return ""
    if view.spec.code:
        return "From the code that was kept with the search; it says which numbers are equal."
    return "In the folder of its code, which was not kept; it says which numbers are equal."


def _json(config: dict[str, Any]) -> str:
    """JSON to read and to copy: with letters as they are, unless some of them cannot be shown."""
    text = json.dumps(config, indent=2, ensure_ascii=False)
    return text if block(text) == text else json.dumps(config, indent=2)


def value_of(trial: TrialView | None, name: str) -> str:
    """A parameter of a trial as text; nothing if it does not have it."""
    if trial is None or name not in trial.params:
        return ""
    value = trial.params[name]
    return "None" if value is None else cut(number(value), LONG)


def made(view: SearchView, folder: Path) -> list[tuple[str, str]]:
    """How the search was made, as terms and texts; what is not known is left out."""
    spec = view.spec
    goals = [f"{g.direction} {g.name} ({g.reduce} of its reports)" for g in objectives(view)]
    tags = ", ".join(f"{name} = {value}" for name, value in spec.tags.items())
    seeds = sorted({trial.seed for trial in drawn(view)})
    repeats, evaluates = spec.repeats, spec.evaluates
    found = [
        ("sweep", f"{spec.sweep_name} ({spec.sweep})"),
        ("experiment", f"{spec.family} ({spec.experiment})"),
        ("evaluates", f"finished trials of {evaluates.search}" if evaluates else ""),
        ("objective", "; ".join(goals)),
        ("compared by", spec.fidelity),
        ("sampler", spec.sampler),
        ("early stopping", spec.pruner),
        ("seeds", f"search {spec.seed}; runs {ranges(seeds)}"),
        ("repeats", f"{repeats} seeds" if repeats > 1 else ""),
        (
            "given",
            ", ".join(f"{path} = {cut(json.dumps(v), LONG)}" for path, v in spec.fixed.items()),
        ),
        ("resources", _resources(spec)),
        ("begun", moment(view.created)),
        ("last event", f"{moment(_last(view))} (number {view.last})"),
        ("took", f"{elapsed(view.seconds())}, pauses left out"),
        ("cost", str(search_spent(view))),
        ("group", spec.group),
        ("tags", tags),
        ("notes", spec.notes),
        ("noticed", "; ".join(view.notices)),
        ("git", _git(spec.git)),
        ("code", in_words(view.begun.code, spec.code, folder)),
        ("run again", _again(view, folder)),
        ("packages", ", ".join(f"{n} {v}" for n, v in spec.packages.items())),
        ("folder", str(folder)),
        ("all trials", f"raysearch results {view.search} --csv{runs_option(folder)}"),
    ]
    return [(term, text) for term, text in found if text]


def _last(view: SearchView) -> int | None:
    times = [trial.ended or trial.started for trial in view.trials.values()]
    return max([time for time in [view.created, *times] if time], default=None)


def _resources(spec: SearchSpec) -> str:
    parts = [f"{spec.concurrent} trials at once", plural(spec.threads, "thread") + " each"]
    if spec.workers > 1:
        parts.insert(1, f"{spec.workers} workers each")
    if spec.gpus:
        parts.append(f"{spec.gpus:g} GPUs each")
    if spec.memory:
        parts.append(f"{spec.memory / 1e9:.3g} GB each")
    return ", ".join(parts)


def _again(view: SearchView, folder: Path) -> str:
    """The command that runs the winner again from the kept code."""
    best = view.best() if view.spec.code else None
    return f"raysearch repro {view.search} {best.number}{runs_option(folder)}" if best else ""


def _git(git: GitState) -> str:
    if not git.commit:
        return ""
    dirty = ", with changes that are not committed" if git.dirty else ""
    return f"{git.commit} on {git.branch or '?'}{dirty}"
