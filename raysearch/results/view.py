"""The view of a search: its trials, its state and the best of it, as its events add up to."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from raysearch.errors import BadSetting, WrittenLater, WrongState
from raysearch.events.changes import changed
from raysearch.events.formats import spec_of
from raysearch.events.log import Event, Store
from raysearch.events.schema import (
    ArtifactWritten,
    Asked,
    CheckpointsRemoved,
    Created,
    DriverEnded,
    Noticed,
    Resumed,
    Told,
)
from raysearch.results.driven_time import Driven
from raysearch.results.endings import ENDED
from raysearch.results.html import search_html
from raysearch.results.ranking import Rank, ranking
from raysearch.results.trial_view import TrialView as TrialView
from raysearch.sweeps.search_spec import UNKNOWN, SearchSpec


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
        if type(fact) in (Told, CheckpointsRemoved):
            self.told = event.seq
        self.driven.take(event)
        if event.trial is None:
            self._apply_to_search(event)
        elif isinstance(fact, Asked):
            self._ask(event.trial, fact)
        elif event.trial in self.trials:
            self.trials[event.trial].take(event)

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
        self.trials[number] = TrialView.asked(number, asked)
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
