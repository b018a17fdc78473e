"""The view of a trial: its configuration, its attempts, and what its events add up to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from raysearch.costs import CPU_SECONDS, ENERGY, MEMORY
from raysearch.events.log import Event
from raysearch.events.schema import (
    ArtifactWritten,
    Asked,
    CheckpointDamaged,
    CheckpointSaved,
    CheckpointsRemoved,
    Described,
    Differed,
    Fact,
    Failed,
    Noticed,
    Placed,
    Refused,
    Reported,
    Requested,
    Started,
    Tested,
    Told,
    Used,
)
from raysearch.results import saved_checkpoints
from raysearch.results.html import trial_html
from raysearch.results.saved_checkpoints import Saved
from raysearch.sweeps.sweep import bare

Report = tuple[int, int | None, list[float] | None, dict[str, float]]
"""Step, fidelity, running values of the objectives, all metrics."""


@dataclass
class TrialView:
    """One trial as the events tell it; times in milliseconds since 1970, paths as in the events.

    `state` is `waiting` or `running`, and at the end `complete`, `pruned`, `failed`, `infeasible`,
    `duplicate`, or `known` if it was not run here; `told` is the event of that end. `repeat_of` is
    the trial whose configuration it runs with another seed, `retry_of` the failed one that it runs
    again (which then is `retried_by` it), `evaluates` the finished trial of another search that it
    only evaluates (`search`, `trial`, `checkpoint`). `removed` says why its checkpoint is gone;
    `checkpoints` are all that were reported, by path, and `damaged` what was wrong with some.
    `refused` has the reports that were not taken: `attempt`, `step`, `metrics`, `message`.
    `differed` says what an attempt reported otherwise than one before: it is not repeatable.
    `has_spoken` says whether its last attempt has sent anything. `costs` are those that it said at
    each step, `usage` what each attempt has used: CPU time and energy, and its most memory.
    """

    number: int
    params: dict[str, Any]
    distributions: dict[str, Any]
    config: dict[str, Any]
    digest: str
    seed: int
    origin: str
    state: str = "waiting"
    values: list[float] | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    failures: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    reports: list[Report] = field(default_factory=list[Report])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    artifacts: dict[str, str] = field(default_factory=dict[str, str])
    last_checkpoint: str | None = None
    best_checkpoint: str | None = None
    reason: str = ""
    started: int | None = None
    ended: int | None = None
    told: int | None = None
    duplicate_of: int | None = None
    tested: dict[str, Any] = field(default_factory=dict[str, Any])
    stop_requested: bool = False
    repeat_of: int | None = None
    retry_of: int | None = None
    retried_by: int | None = None
    evaluates: dict[str, Any] | None = None
    removed: str = ""
    checkpoints: dict[str, Saved] = field(default_factory=dict[str, Saved])
    damaged: dict[str, str] = field(default_factory=dict[str, str])
    notices: list[str] = field(default_factory=list[str])
    differed: str = ""
    refused: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    has_spoken: bool = False
    costs: dict[int, dict[str, float]] = field(default_factory=dict[int, dict[str, float]])
    usage: dict[int, dict[str, float]] = field(default_factory=dict[int, dict[str, float]])

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return trial_html(self)

    @classmethod
    def asked(cls, number: int, asked: Asked) -> TrialView:
        """A trial that was asked for and has not started."""
        return cls(
            number=number,
            params={bare(name): value for name, value in asked.params.items()},
            distributions=asked.distributions,
            config=asked.config,
            digest=asked.digest,
            seed=asked.seed,
            origin=asked.origin,
            duplicate_of=asked.duplicate_of,
            repeat_of=asked.repeat_of,
            retry_of=asked.retry_of,
            evaluates=asked.evaluates,
        )

    def take(self, event: Event) -> None:
        """Takes in the next event on this trial."""
        fact = event.body
        kind = type(fact)
        _FOLLOW.get(kind, _ignore)(self, fact, event)
        if kind is not Used and kind is not Placed:  # its host says those
            self.has_spoken = kind is not Started

    @property
    def doing(self) -> str:
        """Its state; `starting` while its process loads what it needs, and has said nothing."""
        return "starting" if self.state == "running" and not self.has_spoken else self.state

    @property
    def nodes(self) -> list[str]:
        """The host names of the machines of its last attempt; none where they are not known."""
        return self.attempts[-1].get("nodes", []) if self.attempts else []

    @property
    def was_stopped(self) -> bool:
        """Whether it ended because its user asked for that."""
        return self.stop_requested and self.state == "pruned"

    @property
    def last_costs(self) -> dict[str, float]:
        """The costs that it said last."""
        return next(reversed(self.costs.values()), {})

    @property
    def is_feasible(self) -> bool:
        """Whether this trial completed, and so can be the best."""
        return self.state == "complete" and self.values is not None


def _ignore(trial: TrialView, fact: Fact, event: Event) -> None:
    """An event that changes nothing of a trial."""


def _started(trial: TrialView, fact: Started, event: Event) -> None:
    trial.state = "running"
    trial.started = trial.started or event.time
    trial.attempts.append({**fact.plain(), "time": event.time})


def _placed(trial: TrialView, fact: Placed, event: Event) -> None:
    for attempt in trial.attempts:
        if attempt["attempt"] == fact.attempt:
            attempt["nodes"] = fact.nodes


def _described(trial: TrialView, fact: Described, event: Event) -> None:
    trial.facts.update(fact.facts)


def _report(trial: TrialView, fact: Reported, event: Event) -> None:
    """Several reports of one step are one: the later ones add metrics, and perhaps the values."""
    step, fidelity, metrics = fact.step, fact.fidelity, fact.metrics
    values = fact.values
    if fact.checkpoint:
        trial.checkpoints[fact.checkpoint] = Saved.of(fact)
    if fact.costs:
        trial.costs[step] = {**fact.costs, **trial.costs.get(step, {})}
    if trial.reports and step < trial.reports[-1][0]:
        return
    if trial.reports and step == trial.reports[-1][0]:
        _, known, before, others = trial.reports[-1]
        if others.keys() >= metrics.keys():
            return
        trial.reports.pop()
        fidelity = fidelity if known is None else known
        values, metrics = values if before is None else before, {**metrics, **others}
    trial.reports.append((step, fidelity, values, metrics))
    if fact.checkpoint:
        trial.last_checkpoint = fact.checkpoint


def _usage(trial: TrialView, fact: Used, event: Event) -> None:
    """Sums grow from look to look of an attempt; of its memory the most is kept."""
    used = trial.usage.setdefault(fact.attempt, {})
    for name, value in fact.usage.items():
        if name in (CPU_SECONDS, ENERGY, MEMORY):
            used[name] = max(value, used.get(name, value))


def _noticed(trial: TrialView, fact: Noticed, event: Event) -> None:
    trial.notices.append(fact.text)


def _refused(trial: TrialView, fact: Refused, event: Event) -> None:
    trial.refused.append(fact.plain())


def _differed(trial: TrialView, fact: Differed, event: Event) -> None:
    if trial.differed:
        return
    name, value = next(iter(fact.metrics.items()))
    before = fact.before[name]
    known = "which was passed before" if before is None else f"where it was {before} before"
    trial.differed = (
        f"not repeatable: attempt {fact.attempt} reported {name} = {value} at step "
        f"{fact.step}, {known}"
    )


def _artifact(trial: TrialView, fact: ArtifactWritten, event: Event) -> None:
    trial.artifacts[fact.name] = fact.path


def _failed(trial: TrialView, fact: Failed, event: Event) -> None:
    trial.failures.append({**fact.plain(), "time": event.time})
    if fact.again:
        trial.state = "waiting"


def _told(trial: TrialView, fact: Told, event: Event) -> None:
    if trial.told is not None:  # written twice: `check` says so, and the first one holds
        return
    state = "known" if trial.origin == "known" else fact.state
    trial.state = "duplicate" if fact.duplicate_of is not None else state
    trial.values = fact.values
    trial.reason = fact.reason
    trial.best_checkpoint = fact.best_checkpoint
    trial.duplicate_of = fact.duplicate_of
    trial.ended, trial.told = event.time, event.seq


def _requested(trial: TrialView, fact: Requested, event: Event) -> None:
    trial.stop_requested |= fact.action == "stop"


def _tested(trial: TrialView, fact: Tested, event: Event) -> None:
    trial.tested = fact.plain()


_FOLLOW: Mapping[type[Fact], Callable[[TrialView, Any, Event], None]] = {
    Started: _started,
    Placed: _placed,
    Described: _described,
    Reported: _report,
    Used: _usage,
    CheckpointSaved: saved_checkpoints.checkpoint,
    CheckpointDamaged: saved_checkpoints.damaged,
    ArtifactWritten: _artifact,
    Noticed: _noticed,
    Differed: _differed,
    Refused: _refused,
    Failed: _failed,
    Told: _told,
    Requested: _requested,
    Tested: _tested,
    CheckpointsRemoved: saved_checkpoints.removed,
}
"""What changes of a trial."""
