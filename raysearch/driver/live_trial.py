"""One live trial as its driver follows it: attempts, reports, checkpoints, failures."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

from raysearch.costs import COSTS
from raysearch.events import schema
from raysearch.events.log import Event
from raysearch.events.schema import (
    ArtifactWritten,
    Asked,
    CheckpointDamaged,
    CheckpointSaved,
    Decided,
    Fact,
    Failed,
    Started,
    Told,
)
from raysearch.study.failures import KINDS
from raysearch.study.study import State
from raysearch.sweeps.search_spec import SearchSpec, to_plain
from raysearch.trial.checkpoints import Kept, Retention
from raysearch.trial.messages import InvalidMessage
from raysearch.trial.reported import ReportedSteps, same


@dataclass
class Failure:
    """One failed attempt: its kind, the digest of its traceback, its newest checkpoint then."""

    kind: str
    digest: str = ""
    checkpoint_step: int | None = None


@dataclass
class LiveTrial:
    """A trial that is not told yet.

    `reported` has the metrics of each step, as they were reported first; `history` the raw
    objectives of each step that has them all, `bounds` the lowest and the highest of each; `own` is
    what this attempt said at its last step, and `restored_step` where it was to go on from.
    `is_compared` says that a pruner could compare it. `settled` is the state it will be told in
    although it has not ended by itself (a decision to prune, a stop by the user) with its reason;
    `alone` asks for the next attempt to run with no other beside it. `role` is set for the
    evaluation on the test split at the end, which is an attempt, not a trial. `evaluates` names the
    finished trial of another search whose checkpoint it evaluates. `spent` is how long (seconds)
    the attempts before this one ran, which began at `begun` (monotonic), when it had a host;
    `facts` are those that this attempt has described last. `known_costs` is the last step with
    costs, and which it has.
    """

    number: int
    config: dict[str, Any]
    seed: int
    origin: str
    retention: Retention
    attempt: int = 0
    reported: dict[int, dict[str, float]] = field(default_factory=dict[int, dict[str, float]])
    history: list[tuple[int, list[float]]] = field(default_factory=list[tuple[int, list[float]]])
    bounds: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    failures: list[Failure] = field(default_factory=list[Failure])
    settled: tuple[State, str] | None = None
    alone: bool = False
    shared: bool = False
    own: ReportedSteps = field(default_factory=ReportedSteps)
    restored_step: int | None = None
    is_compared: bool = False
    role: str | None = None
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    evaluates: dict[str, Any] | None = None
    spent: float = 0.0
    begun: float | None = None
    artifacts: set[str] = field(default_factory=set[str])
    facts: dict[str, Any] | None = None
    known_costs: tuple[int, frozenset[str]] = (-1, frozenset())

    def seconds(self, now: float) -> float:
        """How long its attempts have run, by the monotonic clock."""
        return self.spent + (0.0 if self.begun is None else now - self.begun)

    def pause(self, now: float) -> None:
        """Its attempt is over."""
        self.spent, self.begun = self.seconds(now), None

    @property
    def last(self) -> Kept | None:
        """The newest checkpoint: where the next attempt goes on."""
        return self.retention.last

    @property
    def best(self) -> Kept | None:
        """The checkpoint with the best objective, or the last one if none carried it."""
        return self.retention.best or self.retention.last

    def begin(self, now: float) -> None:
        """The next attempt begins."""
        self.attempt += 1
        self.begun, self.own, self.restored_step, self.facts = now, ReportedSteps(), None, None

    def take(
        self, step: int, metrics: Mapping[str, float], checkpoint: Kept | None, names: Sequence[str]
    ) -> Taken:
        """Takes in a report of this attempt; what of it is new, and what differs.

        An earlier attempt may have reported the same step. Equal values are nothing new; where they
        differ the first ones stay. What it says of a step that was passed without it differs too.

        Raises:
            InvalidMessage: the step goes back, or a metric has two values at one step.
        """
        is_first = self.own.step is None
        added = self.own.take(step, metrics, None if checkpoint is None else checkpoint.path)
        known = self.reported.get(step, {})
        fresh = {name: value for name, value in added.items() if name not in known}
        other = {name: one for name, one in added.items() if not same(known.get(name, one), one)}
        if step < next(reversed(self.reported), step):  # they are in order
            fresh, other = {}, fresh | other
        other = {name: one for name, one in other.items() if not name.startswith(COSTS)}
        if fresh:
            self.reported[step] = known | fresh
        raw = objectives(self.reported.get(step, {}), names)
        completes = raw is not None and (not self.history or self.history[-1][0] < step)
        if raw is not None and completes:
            self.history.append((step, raw))
            pairs = zip(self.bounds or [(value, value) for value in raw], raw, strict=True)
            self.bounds = [(min(low, value), max(high, value)) for (low, high), value in pairs]
        mine = objectives(self.own.metrics, names)
        if checkpoint is not None:
            value = mine[0] if mine else self.value_at(step)
            self.retention.add(replace(checkpoint, value=value))
        elif mine:
            self.retention.learn(step, mine[0])
        anew = is_first and self.restored_step is not None and step < self.restored_step
        return Taken(fresh, other, completes, anew)

    def take_costs(self, step: int, costs: Mapping[str, float]) -> dict[str, float]:
        """Takes in costs; returns those that their step did not have yet. They go on with it."""
        last, known = self.known_costs
        names = known if step == last else frozenset[str]()
        if costs:
            self.known_costs = (step, names | costs.keys())
        return {name: value for name, value in costs.items() if name not in names}

    def value_at(self, step: int) -> float | None:
        """The first objective that was reported at a step, with or without a checkpoint."""
        place = bisect_left(self.history, step, key=itemgetter(0))
        found = self.history[place] if place < len(self.history) else (None, [])
        return found[1][0] if found[0] == step else None


@dataclass(frozen=True)
class Taken:
    """What a report adds: the metrics that are `fresh`, those with `other` values than before.

    `completes`: with it all objectives of its step are there. `anew`: it is the first report of an
    attempt that should have gone on from a later step.
    """

    fresh: dict[str, float]
    other: dict[str, float]
    completes: bool
    anew: bool


def objectives(metrics: Mapping[str, float], names: Iterable[str]) -> list[float] | None:
    """The objectives among the metrics of a report, or None if one of them is missing."""
    found = [metrics.get(name) for name in names]
    return None if any(value is None for value in found) else [float(value or 0) for value in found]


def unfinished(events: Iterable[Event], spec: SearchSpec) -> list[LiveTrial]:
    """All trials that were asked and not told, in order, as the events left them."""
    names = [metric.name for metric in spec.metrics]
    trials: dict[int, LiveTrial] = {}
    begun: dict[int, int] = {}
    events = list(events)
    told = {event.trial for event in events if isinstance(event.body, Told)}
    for event in events:
        if event.trial is None or event.trial in told:
            continue
        fact = event.body
        if isinstance(fact, Asked) and fact.duplicate_of is None:
            retention = Retention.of(map(to_plain, spec.metrics))
            trials[event.trial] = LiveTrial(
                event.trial, fact.config, fact.seed, fact.origin, retention
            )
            trials[event.trial].evaluates = fact.evaluates
        elif event.trial in trials:
            _follow(trials[event.trial], fact, names)
            if not isinstance(fact, Started):  # how long it has run, as far as it said
                since = begun.get(event.trial, event.time)
                trials[event.trial].spent += max(event.time - since, 0) / 1000
            begun[event.trial] = event.time
    return [trials[number] for number in sorted(trials)]


def _follow(live: LiveTrial, fact: Fact, names: list[str]) -> None:
    match fact:
        case Started(attempt=attempt):
            live.attempt, live.own = max(live.attempt, attempt), ReportedSteps()
        case schema.Reported():
            kept = Kept.read(fact.plain(), fact.checkpoint) if fact.checkpoint else None
            with suppress(InvalidMessage):  # events from before steps had to go on
                live.take(fact.step, fact.metrics, kept, names)
                live.take_costs(fact.step, fact.costs or {})
            live.is_compared |= fact.fidelity is not None
        case CheckpointSaved():
            live.retention.add(Kept.read(fact.plain(), fact.path, fact.value))
        case CheckpointDamaged(path=path):
            live.retention.damaged(path)
        case ArtifactWritten(path=path):
            live.artifacts.add(path)
        case Failed(cause=cause):
            step = live.last.step if live.last else None
            live.failures.append(Failure(cause, fact.digest, step))
            if not fact.again:  # its driver was killed before it told it
                live.settled = (KINDS[cause].state, f"{cause}: {fact.message}")
        case Decided(reason=reason):
            live.settled = ("pruned", reason)
        case _:
            pass
