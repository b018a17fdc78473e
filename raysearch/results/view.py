"""The view of a search: what its events add up to, its trials and the best of them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from raysearch.costs import CPU_SECONDS, ENERGY, MEMORY
from raysearch.errors import BadSetting, WrittenLater, WrongState
from raysearch.events.changes import changed
from raysearch.events.formats import spec_of
from raysearch.events.log import Event, Store
from raysearch.events.schema import (
    ArtifactWritten,
    Asked,
    CheckpointDamaged,
    CheckpointSaved,
    CheckpointsRemoved,
    Created,
    Described,
    Differed,
    DriverEnded,
    Fact,
    Failed,
    Noticed,
    Refused,
    Reported,
    Requested,
    Resumed,
    Started,
    Tested,
    Told,
    Used,
)
from raysearch.results import saved_checkpoints
from raysearch.results.driven_time import Driven
from raysearch.results.endings import ENDED
from raysearch.results.ranking import Rank, ranking
from raysearch.results.saved_checkpoints import Saved
from raysearch.results.tables import columns_of as columns_of
from raysearch.results.tables import rows as rows
from raysearch.sweeps.search_spec import UNKNOWN, SearchSpec
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
        from raysearch.results.html import trial_html

        return trial_html(self)

    @property
    def doing(self) -> str:
        """Its state; `starting` while its process loads what it needs, and has said nothing."""
        return "starting" if self.state == "running" and not self.has_spoken else self.state

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


@dataclass
class SearchView:
    """A search as its events tell it; `apply` takes in one event after the other.

    `begun` is the specification that it began with, `spec` with all that changed since. `told` is
    the number of the last event that told an end; `at_once` how many trials its last driver has run
    at a time, if not as many as it began with.
    """

    search: str
    spec: SearchSpec = UNKNOWN
    state: str = "running"
    reason: str = ""
    trials: dict[int, TrialView] = field(default_factory=dict[int, TrialView])
    created: int | None = None
    last: int = 0
    artifacts: dict[str, str] = field(default_factory=dict[str, str])
    notices: list[str] = field(default_factory=list[str])
    begun: SearchSpec = UNKNOWN
    driven: Driven = field(default_factory=Driven)
    told: int = 0
    at_once: int | None = None
    _body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    _ranking: tuple[int, list[Rank]] = field(default=(-1, []), compare=False, repr=False)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from raysearch.results.html import search_html

        return search_html(self)

    @classmethod
    def read(cls, store: Store, search: str) -> SearchView:
        """The view after all events that are committed. Raises WrongState if they are damaged."""
        return cls.of(search, store.events(search))

    @classmethod
    def of(cls, search: str, events: Iterable[Event]) -> SearchView:
        """The view after these events. Raises WrongState if they are damaged."""
        view = cls(search)
        for event in events:
            try:
                view.apply(event)
            except WrongState:  # a newer raysearch wrote it
                raise
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise WrongState(
                    f"search {search!r} is damaged: event {event.seq} ({event.kind}) of its store "
                    f"is not as it was written: {_what(error)}"
                ) from error
        if view.last and not view.is_begun:
            raise WrongState(f"search {search!r} is damaged: its first event is not there")
        return view

    @classmethod
    def unreadable(cls, search: str, error: WrongState) -> SearchView:
        """What can be said of a search whose events cannot be read: why.

        Its state is `newer` if a newer raysearch wrote it, otherwise `damaged`.
        """
        why = str(error)
        state = "newer" if isinstance(error, WrittenLater) else "damaged"
        spec = replace(UNKNOWN, search=search, notes=why)
        return cls(search, spec, state, why, created=0, begun=spec)

    def apply(self, event: Event) -> None:
        """Takes in the next event; one that was taken in before changes nothing."""
        if event.seq <= self.last:
            return
        self.last = event.seq
        fact = event.body
        kind = type(fact)
        if kind is Told or kind is CheckpointsRemoved:
            self.told = event.seq
        self.driven.take(event)
        if event.trial is None:
            self._apply_to_search(event)
        elif isinstance(fact, Asked):
            self._ask(event.trial, fact)
        elif event.trial in self.trials:
            trial = self.trials[event.trial]
            _FOLLOW.get(kind, _ignore)(trial, fact, event)
            if kind is not Used:  # it is measured from outside
                trial.has_spoken = kind is not Started

    def _apply_to_search(self, event: Event) -> None:
        match event.body:
            case Created(body=body):
                self.spec = self.begun = spec_of(event.search, body)
                self.created, self._body = event.time, body
            case Resumed(concurrent=concurrent):
                self.state, self.reason, self.at_once = "running", "", concurrent
                self._await()
            case ArtifactWritten(name=name, path=path):
                self.artifacts[name] = path
            case Noticed(text=text):
                self.notices.append(text)
            case DriverEnded() as fact:
                self.state, self.reason = fact.kind, fact.reason
                self._await()
            case fact:
                self.spec = changed(self.spec, fact)

    def _await(self) -> None:
        """No driver runs them now: what ran waits for the next one."""
        for trial in self.trials.values():
            if trial.state == "running":
                trial.state = "waiting"

    def _ask(self, number: int, asked: Asked) -> None:
        self.trials[number] = TrialView(
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
        if asked.retry_of is not None and asked.retry_of in self.trials:
            self.trials[asked.retry_of].retried_by = number

    @property
    def is_begun(self) -> bool:
        """Whether its first event is known."""
        return self.created is not None and bool(self.begun.metrics)

    @property
    def identity(self) -> str:
        """What no other search shares, one of the same name in another store either.

        It is that of the name with which it began, whatever it is called now.
        """
        began = self._body.get("search") or self.search
        text = json.dumps([began, self.created, self._body], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def counts(self) -> dict[str, int]:
        """How many trials are in each state."""
        counted: dict[str, int] = {}
        for trial in self.trials.values():
            counted[trial.state] = counted.get(trial.state, 0) + 1
        return counted

    def done(self) -> int:
        """How many trials have ended; duplicates and known ones, which were not run, aside."""
        return sum(trial.state in ENDED for trial in self.trials.values())

    def ranking(self) -> list[Rank]:
        """All configurations over their seeds, best first; computed anew when a trial was told."""
        if self._ranking[0] != self.told:
            self._ranking = (self.told, ranking(self))
        return self._ranking[1]

    def best(self) -> TrialView | None:
        """The run that stands for the best configuration (`ranking.ranking`)."""
        found = self.ranking()
        return found[0].trial if found else None

    def ranked(self) -> list[TrialView]:
        """All trials but duplicates: completed ones best first, then pruned, then the others.

        The runs of a configuration stand together, the one that stands for it in front.
        """
        order = {"complete": 0, "pruned": 1, "running": 2, "infeasible": 3, "failed": 4}
        places = {each.trial.digest: place for place, each in enumerate(self.ranking())}
        stands = {each.trial.number for each in self.ranking()}

        def rank(trial: TrialView) -> tuple[float, ...]:
            if trial.is_feasible:
                place = places.get(trial.digest, math.inf)
                other = trial.number not in stands, trial.repeat_of is None
                return (0, place, *other, trial.number)
            return (order.get(trial.state, 5), *self._rank(trial))

        trials = [trial for trial in self.trials.values() if trial.state != "duplicate"]
        return sorted(trials, key=rank)

    def _rank(self, trial: TrialView) -> tuple[float, int]:
        sign = self.spec.metric.sign
        return (math.inf if not trial.values else sign * trial.values[0], trial.number)

    def varying(self) -> list[str]:
        """The sampled parameters that differ between trials, in the order of the sweep."""
        seen: dict[str, set[str]] = {}
        for trial in self.trials.values():
            for name, value in trial.params.items():
                seen.setdefault(name, set()).add(repr(value))
        everywhere = len(self.trials)
        counts = {name: sum(name in t.params for t in self.trials.values()) for name in seen}
        return [name for name in seen if len(seen[name]) > 1 or counts[name] < everywhere]

    def seconds(self, begin: float = 0, end: float = math.inf) -> float:
        """How long the search was driven, the pauses between kill and resume not counted.

        With `begin` and `end` (milliseconds since 1970): how long of that time.
        """
        return self.driven.seconds(begin, end)


def _what(error: Exception) -> str:
    """What is wrong with an event, or missing in it."""
    if isinstance(error, KeyError):
        return f"it lacks {error.args[0]!r}"
    return str(error) if isinstance(error, BadSetting) else f"{type(error).__name__} {error}"


def _ignore(trial: TrialView, fact: Fact, event: Event) -> None:
    """An event that changes nothing of a trial."""


def _started(trial: TrialView, fact: Started, event: Event) -> None:
    trial.state = "running"
    trial.started = trial.started or event.time
    trial.attempts.append({**fact.plain(), "time": event.time})


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
