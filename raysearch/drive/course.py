"""The course of one trial as its driver follows it: attempts, reports, checkpoints, failures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from raysearch.decide.study import State
from raysearch.record.events import Event
from raysearch.run.checkpoints import Keeper, Kept


@dataclass
class Failure:
    """One failed attempt: what kind, its traceback, and the newest checkpoint at that moment."""

    kind: str
    traceback: str = ""
    checkpoint_step: int | None = None


@dataclass
class Course:
    """A trial that is not told yet.

    `history` has the raw objectives of each report that carried them all, by step; `settled` is the
    state it will be told in although it has not ended by itself (a decision to prune, a stop by the
    user) with its reason; `alone` asks for the next attempt to run with no other beside it. `role`
    is set for the evaluation on the test split at the end, which is an attempt, not a trial.
    `evaluates` names the finished trial of another search whose checkpoint it evaluates. `spent` is
    how long (seconds) the attempts before this one ran, which began at `begun` (monotonic).
    """

    number: int
    config: dict[str, Any]
    seed: int
    origin: str
    keeper: Keeper
    attempt: int = 0
    steps: set[int] = field(default_factory=set[int])
    history: list[tuple[int, list[float]]] = field(default_factory=list[tuple[int, list[float]]])
    failures: list[Failure] = field(default_factory=list[Failure])
    settled: tuple[State, str] | None = None
    alone: bool = False
    shared: bool = False
    role: str | None = None
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    evaluates: dict[str, Any] | None = None
    spent: float = 0.0
    begun: float | None = None
    artifacts: set[str] = field(default_factory=set[str])

    def seconds(self, now: float) -> float:
        """How long its attempts have run, by the monotonic clock."""
        return self.spent + (0.0 if self.begun is None else now - self.begun)

    def pause(self, now: float) -> None:
        """Its attempt is over."""
        self.spent, self.begun = self.seconds(now), None

    @property
    def last(self) -> Kept | None:
        """The newest checkpoint: where the next attempt goes on."""
        return self.keeper.last

    @property
    def best(self) -> Kept | None:
        """The checkpoint with the best objective, or the last one if none carried it."""
        return self.keeper.best or self.keeper.last

    def take(
        self, step: int, raw: list[float] | None, checkpoint: Kept | None, *, said: bool = True
    ) -> bool:
        """Takes in a report; False if that step was reported before (a replay after a resume).

        One in which nothing is `said` only brings a checkpoint.
        """
        if checkpoint is not None:
            self.keeper.add(replace(checkpoint, value=raw[0] if raw else self.value_at(step)))
        elif raw:
            self.keeper.learn(step, raw[0])
        if step in self.steps or not said:
            return step not in self.steps
        self.steps.add(step)
        if raw is not None:
            self.history.append((step, raw))
        return True

    def value_at(self, step: int) -> float | None:
        """The first objective that was reported at a step, with or without a checkpoint."""
        return next((raw[0] for known, raw in reversed(self.history) if known == step), None)


def objectives(metrics: Mapping[str, float], names: Iterable[str]) -> list[float] | None:
    """The objectives among the metrics of a report, or None if one of them is missing."""
    found = [metrics.get(name) for name in names]
    return None if any(value is None for value in found) else [float(value or 0) for value in found]


def unfinished(events: Iterable[Event], spec: Mapping[str, Any]) -> list[Course]:
    """The courses of all trials that were asked and not told, in order, as the events left them."""
    names = [metric["name"] for metric in spec["metrics"]]
    courses: dict[int, Course] = {}
    begun: dict[int, int] = {}
    events = list(events)
    told = {event.trial for event in events if event.kind == "told"}
    for event in events:
        if event.trial is None or event.trial in told:
            continue
        body = event.body
        if event.kind == "asked" and body.get("duplicate_of") is None:
            keeper = Keeper.of(spec["metrics"])
            courses[event.trial] = Course(
                event.trial, body["config"], body["seed"], body["origin"], keeper
            )
            courses[event.trial].evaluates = body.get("evaluates")
        elif event.trial in courses:
            _follow(courses[event.trial], event.kind, body, names)
            if event.kind != "started":  # how long it has run, as far as it has said something
                since = begun.get(event.trial, event.time)
                courses[event.trial].spent += max(event.time - since, 0) / 1000
            begun[event.trial] = event.time
    return [courses[number] for number in sorted(courses)]


def _follow(course: Course, kind: str, body: Mapping[str, Any], names: list[str]) -> None:
    if kind == "started":
        course.attempt = max(course.attempt, int(body["attempt"]))
    elif kind == "report":
        kept = Kept.read(body, body["checkpoint"]) if body["checkpoint"] else None
        course.take(int(body["step"]), objectives(body["metrics"], names), kept)
    elif kind == "checkpoint":
        course.keeper.add(Kept.read(body, body["path"], body["value"]))
    elif kind == "damaged":
        course.keeper.damaged(body["path"])
    elif kind == "artifact":
        course.artifacts.add(body["path"])
    elif kind == "failed":
        step = course.last.step if course.last else None
        course.failures.append(Failure(body["kind"], body.get("digest") or "", step))
    elif kind == "decision":
        course.settled = ("pruned", body["reason"])
