"""Events as a real search writes them, made by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raysearch.events.formats import spec_of
from raysearch.events.log import Event, EventLog, Store
from raysearch.integrity import digest
from raysearch.results.view import SearchView
from raysearch.sweeps.search_spec import SearchSpec
from tests.raysearch.events.facts import fact

SPEC: dict[str, Any] = {
    "sweep": "somewhere:sweep",
    "sweep_name": "ssl.by_hand",
    "experiment": "somewhere:run",
    "family": "ssl.supervised",
    "metrics": [{"name": "val/accuracy", "direction": "maximize", "reduce": "best"}],
    "fidelity": "epochs",
    "sampler": "tpe",
    "pruner": "median",
    "trials": 12,
    "seed": 0,
    "fixed": {"training.epochs": 4},
    "space": "0" * 16,
    "concurrent": 2,
    "threads": 1,
    "question": "Which rate?",
    "group": "rates",
    "tags": {"data": "digits"},
    "notes": "by hand",
    "git": {"commit": "c" * 40, "branch": "main", "dirty": False},
    "packages": {"torch": "2"},
    "command": "raysearch search ssl.by_hand",
    "search": "",
    "folder": "",
    "defaults": "1" * 16,
    "cpus": 1.0,
    "gpus": 0.0,
    "memory": 1 << 30,
    "patience": 1800.0,
    "time": None,
    "repeats": 1,
    "tracking_uri": None,
}
"""The body of a `created` as the first version wrote it."""


def spec(**changes: Any) -> SearchSpec:
    """That as a specification, with changes in the words of the body."""
    return spec_of("by hand", {**SPEC, **changes})


def ask(
    log: EventLog,
    number: int,
    duplicate_of: int | None = None,
    like: int | None = None,
    **other: Any,
) -> None:
    """A trial with a log-scaled rate whose name carries a branch, and a number of layers.

    `like` names a trial with the same configuration; `other` has its seed, its origin, its links.
    """
    twin = duplicate_of if like is None else like
    draw = random.Random(twin if twin is not None else number)
    rate, layers = 10 ** draw.uniform(-4, -1), draw.randint(1, 4)
    body = {
        "params": {"optimizer[adamw].lr": rate, "model.layers": layers},
        "distributions": {
            "optimizer[adamw].lr": {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
            "model.layers": {"type": "int", "low": 1, "high": 4, "log": False},
        },
        "config": {"optimizer": {"kind": "adamw", "lr": rate}, "model": {"layers": layers}},
        "digest": f"{rate:.12f}{layers}",
        "seed": 0,
        "origin": "default" if number == 0 else "sampler",
        "duplicate_of": duplicate_of,
        "system_attrs": {},
    }
    log.append(fact("asked", **{**body, **other}), number, commit=True)


def begin(log: EventLog, number: int, folder: Path, attempt: int = 1) -> None:
    """An attempt, its folder on disk, and what it says of itself."""
    name = f"{number:04d}/attempt-{attempt}"
    (folder / name / "checkpoints").mkdir(parents=True, exist_ok=True)
    log.append(fact("started", attempt=attempt, folder=name, restored=None), number, commit=True)
    facts = {
        "data.name": "digits",
        "data.fingerprint": "7a624bc2b66161d5",
        "data.split_sizes": {"train": 1197, "val": 300},
        "parameters": 1234,
    }
    log.append(fact("described", facts=facts), number)


def report(
    log: EventLog, number: int, step: int, score: float, best: float, folder: Path, attempt: int = 1
) -> str:
    """A report with a checkpoint on disk; returns its path in the events."""
    path = f"{number:04d}/attempt-{attempt}/checkpoints/step-{step:08d}.pt"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(f"{number} {step}")
    log.append(
        fact(
            "report",
            attempt=attempt,
            step=step,
            fidelity=step,
            metrics={
                "val/accuracy": score,
                "train/loss": 1 - score,
                "progress/epochs": float(step),
            },
            values=[best],
            checkpoint=path,
            **digest(folder / path)._asdict(),
        ),
        number,
        commit=True,
    )
    return path


def tell(
    log: EventLog,
    number: int,
    state: str,
    value: float | None,
    checkpoint: str | None = None,
    duplicate_of: int | None = None,
) -> None:
    """How a trial ended."""
    log.append(
        fact(
            "told",
            state=state,
            values=None if value is None else [value],
            reason="" if state == "complete" else f"{state} for a reason",
            constraint=int(state == "infeasible"),
            best_step=None,
            best_checkpoint=checkpoint,
            duplicate_of=duplicate_of,
        ),
        number,
        commit=True,
    )


def trial(log: EventLog, number: int, folder: Path, state: str = "complete") -> None:
    """A whole trial of four reports (two if it is not complete), with a picture if it is."""
    ask(log, number)
    run(log, number, folder, state)


def run(log: EventLog, number: int, folder: Path, state: str = "complete") -> None:
    """What follows once a trial was asked."""
    begin(log, number, folder)
    goal, best, where = 0.5 + 0.04 * number, 0.0, None
    for step in range(1, 5 if state == "complete" else 3):
        score = goal * (1 - 0.5**step)
        best = max(best, score)
        where = report(log, number, step, score, best, folder)
    if state == "complete":
        picture = f"{number:04d}/attempt-1/figures/confusion.png"
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
        (folder / picture).write_bytes(b"\x89PNG")
        log.append(fact("artifact", name="figures/confusion.png", path=picture), number)
        tell(log, number, state, best, where)
        return
    for file in (folder / f"{number:04d}").glob("attempt-*/checkpoints/*"):
        file.unlink()
    tell(log, number, state, best if state == "pruned" else None)


STATES = ("complete", "complete", "pruned", "infeasible", "failed", "complete")
"""How the trials of a search end; the second and the last are complete in any."""


def search(
    store: Store, name: str, folder: Path, ends: bool = True, states: Sequence[str] = STATES
) -> EventLog:
    """A trial for each state, and a duplicate of the second; the last is the winner."""
    log = store.create(name, spec(search=name, folder=str(folder)))
    for number, state in enumerate(states):
        trial(log, number, folder, state)
    count, best = len(states), len(states) - 1
    ask(log, count, duplicate_of=1)
    tell(log, count, "complete", 0.54 * (1 - 0.5**4), duplicate_of=1)
    if ends:
        metrics = {"test/accuracy": 0.61}
        log.append(fact("tested", role="winner", metrics=metrics, error=""), best, commit=True)
        log.append(fact("finished", reason="", best=best), commit=True)
    return log


class Hand:
    """A view to which events are said one by one, without a store; a second apart."""

    def __init__(self, name: str = "by-hand", **stated: Any) -> None:
        self.view, self._count = SearchView(name), 0
        self.say("created", **{**SPEC, **stated})

    def say(self, kind: str, number: int | None = None, /, **body: Any) -> None:
        self._count += 1
        time = 1_700_000_000_000 + 1000 * self._count
        self.view.apply(Event(self._count, self.view.search, number, time, fact(kind, **body)))

    def trial(
        self,
        digest: str,
        *values: float,
        state: str = "complete",
        seed: int = 0,
        checkpoint: bool = True,
        duplicate_of: int | None = None,
        reason: str = "",
        **asked: Any,
    ) -> int:
        """A trial that ended at once; `values` are those of its objectives. Returns its number."""
        number, told = len(self.view.trials), list(values) or None
        body: dict[str, Any] = {"params": {}, "distributions": {}, "config": {"is": digest}}
        body |= {"digest": digest, "seed": seed, "origin": "sampler", **asked}
        self.say("asked", number, **body, duplicate_of=duplicate_of)
        self.say("started", number, attempt=1, folder="", restored=None)
        path = f"{number:04d}/best.pt" if checkpoint and state == "complete" else None
        ends: dict[str, Any] = {"state": state, "values": told, "reason": reason, "constraint": 0}
        self.say("told", number, **ends, best_checkpoint=path, duplicate_of=duplicate_of)
        return number

    def repeats(self, first: int, values: Sequence[float], **asked: Any) -> list[int]:
        """Trial `first` again, with a seed more for each value."""
        digest = self.view.trials[first].digest
        return [
            self.trial(digest, value, seed=seed, repeat_of=first, origin="repeat", **asked)
            for seed, value in enumerate(values, 1)
        ]
