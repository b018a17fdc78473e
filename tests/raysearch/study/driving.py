"""Drives a study as a search would, with a synthetic objective and several trials at once."""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysearch.events.log import Event, EventLog, Store
from raysearch.events.schema import Fact
from raysearch.study.study import Log, Proposal, Study
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Sweep
from tests.raysearch.events.facts import fact
from tests.raysearch.specs import make_spec

LENGTH = 9
"""Reports of a whole trial, at fidelity 1, 2, … 9."""


def spec_of(
    sweep: Sweep,
    sampler: str = "tpe",
    pruner: str = "none",
    trials: int | None = None,
    seed: int = 0,
) -> SearchSpec:
    """A specification as far as a study reads it."""
    return make_spec(
        search="driven",
        metrics=[{"name": m.name, "direction": m.direction} for m in sweep.metrics],
        fidelity=sweep.fidelity,
        sampler=sampler,
        pruner=pruner,
        trials=trials,
        seed=seed,
    )


class Listed:
    """A log that keeps its events in a list, for a study that is only looked at."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int | None, dict[str, Any]]] = []

    def append(self, fact: Fact, trial: int | None = None, *, commit: bool = False) -> None:
        self.events.append((fact.kind, trial, fact.plain()))

    def flush(self) -> None:
        """Nothing waits."""


def make_study(folder: Path, sweep: Sweep, spec: SearchSpec) -> tuple[Study, EventLog, Store]:
    """A new study in a store of its own."""
    store = Store(f"sqlite:///{folder / 'events.db'}")
    log = store.create(spec.search, spec)
    return Study(Space(sweep), spec, log), log, store


def noise(*what: object) -> float:
    """A number in 0…1 from anything; the same in each process."""
    digest = hashlib.sha256(repr(what).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def score(config: Mapping[str, Any], fidelity: int) -> float:
    """Rises with fidelity towards a height that the configuration decides."""
    lr = config["optimizer"]["lr"]
    height = 1 - 0.1 * abs(math.log10(lr) + 2) - 0.02 * abs(config["depth"] - 3)
    return height * (1 - math.exp(-fidelity / 3)) + 0.02 * noise(config, fidelity)


@dataclass
class Drive:
    """Runs trials side by side, one report at a time, in an order drawn from `rng`.

    With two `objectives` the second is the depth. `decisions` is what the study decided: each point
    asked for and each answer to a report; `waits` the seconds that each report took.
    """

    study: Study
    log: Log
    rng: random.Random
    workers: int = 4
    running: dict[int, tuple[Proposal, int]] = field(default_factory=dict)
    decisions: list[Any] = field(default_factory=list)
    ended: bool = False
    waits: list[float] = field(default_factory=list)
    objectives: int = 1

    def step(self) -> None:
        """Asks for a trial where there is room; otherwise one running trial makes a report."""
        if len(self.running) < self.workers and not self.ended:
            proposal = self.study.ask()
            self.decisions.append(proposal and (proposal.number, proposal.params))
            if proposal is None:
                self.ended = True
            else:
                self.running[proposal.number] = (proposal, 0)
            return
        if self.running:
            self._report(self.rng.choice(sorted(self.running)))

    def _report(self, number: int) -> None:
        proposal, fidelity = self.running[number]
        fidelity += 1
        values = [score(proposal.config, fidelity), float(proposal.config["depth"])]
        values = values[: self.objectives]
        luck = noise(proposal.digest, fidelity, "luck")
        if luck < 0.01:
            self._tell(number, "infeasible" if luck < 0.005 else "failed", None)
            return
        body: Any = {"attempt": 1, "step": 10 * fidelity, "fidelity": fidelity, "metrics": {}}
        self.log.append(fact("report", **body, values=values, checkpoint=None), number)
        begin = time.perf_counter()
        ends = self.study.report(number, fidelity, values, 10 * fidelity)
        self.waits.append(time.perf_counter() - begin)
        self.decisions.append((number, fidelity, ends))
        self.running[number] = (proposal, fidelity)
        if ends or fidelity == LENGTH:
            self._tell(number, "pruned" if ends else "complete", values)

    def _tell(self, number: int, state: Any, values: list[float] | None) -> None:
        self.study.tell(number, state, values, reason="driven")
        del self.running[number]

    def copy_onto(self, study: Study, log: Log) -> Drive:
        """The same moment of the same drive, with another study."""
        rng = random.Random()
        rng.setstate(self.rng.getstate())
        drive = Drive(study, log, rng, self.workers, dict(self.running), [], self.ended)
        drive.objectives = self.objectives
        return drive


def events_of(store: Store, log: EventLog) -> list[Event]:
    """All events so far, read back from the table."""
    log.flush()
    return list(store.events(log.search))


def frozen(study: Study) -> list[tuple[Any, ...]]:
    """All that Optuna knows of the trials, but the clock."""
    return [
        (
            trial.number,
            trial.state.name,
            trial.values,
            trial.params,
            trial.distributions,
            trial.intermediate_values,
            trial.system_attrs,
        )
        for trial in study.trials
    ]
