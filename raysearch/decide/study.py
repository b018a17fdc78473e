"""The Optuna study in memory, rebuilt from events: asks, decides on reports, tells."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import optuna
from optuna.trial import FrozenTrial

from raysearch.decide.memory import running_trial
from raysearch.decide.pruners import make_pruner
from raysearch.decide.repeats import Repeats
from raysearch.decide.samplers import Known, Suggestion, cell, make_sampler, with_seed
from raysearch.decide.trials import Entry, Trials
from raysearch.declare.space import Space
from raysearch.record.events import Event

State = Literal["complete", "pruned", "failed", "infeasible"]
_SWITCH_INTERVAL = 0.0005


class Log(Protocol):
    """Where events go: the search's own log, or a list for who only looks."""

    def append(
        self, kind: str, trial: int | None = None, /, *, commit: bool = False, **body: Any
    ) -> Any:
        """Appends an event; with `commit` it is durable when this returns."""
        ...

    def flush(self) -> None:
        """Commits what was appended."""
        ...


@dataclass(frozen=True)
class Proposal:
    """A trial to run now."""

    number: int
    params: dict[str, Any]
    config: dict[str, Any]
    digest: str
    seed: int
    origin: str


class Study:
    """Decides for one search. All it knows is in the events: `rebuild` gives an equal study.

    Each method may be called from any thread; `report` and `tell` never wait for a sampler.

    A point whose configuration and seed are known is never run again: it is asked, as a duplicate,
    and told the result of the first one, at once or when there is one. Points computed ahead by
    `prepare` are not in the events before they are handed out: a rebuilt study computes them anew,
    knowing more. So it decides as the living one would after `drop_prepared`.

    Args:
        space: where the points are.
        spec: the specification of the search: `search`, `metrics`, `fidelity`, `sampler`, `pruner`,
            `seed`, `trials` (None: no limit), `repeats` and `finalists` (`Repeats`).
        log: where the events go.
    """

    def __init__(self, space: Space, spec: Mapping[str, Any], log: Log) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._log = space, log
        self._budget: int | None = spec["trials"]
        self._fidelity = str(spec["fidelity"])
        directions = [metric["direction"] for metric in spec["metrics"]]
        self._trials = Trials(str(spec["search"]), directions)
        repeats = int(spec.get("repeats") or 1)
        self._sampler = make_sampler(spec["sampler"], space, directions, int(spec["seed"]), repeats)
        self._pruner = make_pruner(spec["pruner"])
        is_grid = spec["sampler"].partition(":")[0] == "grid"
        self._repeats = Repeats(
            space,
            self._trials,
            1 if is_grid else repeats,
            int(spec.get("finalists") or 0),
            directions,
        )
        self._prepared: deque[Suggestion] = deque()
        self._dropped = 0
        self._exhausted = False
        self._error: ValueError | None = None
        self._lock = threading.RLock()
        self._sampling = threading.Lock()

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials as Optuna has them, duplicates and infeasible ones too."""
        with self._lock:
            return self._trials.all()

    # Asking

    def ask(self, *, wait: bool = True) -> Proposal | None:
        """The next trial to run, committed as asked; None if there is none, for now or for good.

        There is none for good when `is_done`: as many trials were asked as there may be (duplicates
        do not count), or each point of the space was, and all their repeats too. Without `wait` a
        sampler is never waited for: None until `prepare` has computed something.

        Raises:
            ValueError: the sweep gives no valid configuration at the point that was sampled.
        """
        while True:
            with self._lock:
                if self._error is not None:
                    raise self._error
                again = self._again()
                if again is not None:
                    return self._hand_out(again)
                if self._is_drawn():
                    self._log.flush()
                    return None
                if self._prepared:
                    proposal = self._hand_out(self._prepared.popleft())
                    if proposal is not None:
                        return proposal
                    continue
                if not wait:
                    return None
            self._fill(1)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to ask for, now that all that was asked is told."""
        with self._lock:
            told = not self._trials.untold and not self._trials.untold_repeats
            return told and self._is_drawn() and self._again() is None

    def _is_drawn(self) -> bool:
        """Whether the sampler has nothing more to propose, or may not."""
        return self._room() <= 0 or (self._exhausted and not self._prepared)

    def _again(self) -> Suggestion | None:
        """A failed trial that its user wants to be run again; the repeats, after all others."""
        if self._trials.retries:
            entry = self._trials.entries[self._trials.retries[0]]
            params = self._trials.optuna(entry.number).params
            point = with_seed(self._space.point(params), entry.seed)
            links = {"retry_of": entry.number}
            if entry.repeat_of is not None:
                links["repeat_of"] = entry.repeat_of
            return Suggestion(point, "retry", links=links)
        if self._trials.untold or not self._is_drawn():
            return None
        return self._repeats.next()

    def retry(self, number: int) -> None:
        """Writes that a failed trial is to be run again, as a trial of its own, from its start.

        Raises:
            ValueError: it has not failed, or was run again before.
        """
        with self._lock:
            entry = self._trials.entries[number]
            state = entry.told["state"] if entry.told is not None else "running"
            if state not in ("failed", "infeasible"):
                raise ValueError(f"trial {number} must have failed to be run again, got {state}")
            if entry.retried_by is not None or number in self._trials.retries:
                raise ValueError(f"trial {number} must not have been run again before")
            self._write("retried", number, {}, commit=True)
            self._trials.retries.append(number)

    def extend(self, trials: int) -> None:
        """Writes that there may be `trials` trials in all."""
        with self._lock:
            self._log.append("extended", commit=True, trials=trials)
            self._budget, self._exhausted = trials, False

    def prepare(self, count: int) -> None:
        """Computes suggestions until `count` of them wait for `ask`; for a thread of its own."""
        try:
            self._fill(count)
        except ValueError as error:
            self._error = error  # `ask` raises it where it is heard

    def drop_prepared(self) -> None:
        """Forgets the suggestions that were computed ahead and not handed out."""
        with self._lock:
            self._prepared.clear()
            self._dropped += 1
            self._exhausted = False

    def _room(self) -> int:
        """How many more trials may be asked for."""
        return sys.maxsize if self._budget is None else self._budget - self._trials.drawn

    def _fill(self, count: int) -> None:
        """Samples, without the lock, from what was known when it was last held."""
        with self._sampling:
            while True:
                with self._lock:
                    firsts = self._trials.firsts.keys()
                    keys = {each.point.key for each in self._prepared}
                    enough = len(self._prepared) >= count or len(keys - firsts) >= self._room()
                    if enough or self._exhausted:
                        return
                    dropped = self._dropped
                    known = self._known(firsts | keys)
                with _quick_switches():
                    suggestion = self._suggest(known)
                with self._lock:
                    if dropped != self._dropped:
                        continue
                    if suggestion is None:
                        self._exhausted = True
                    else:
                        self._prepared.append(suggestion)

    def _known(self, keys: set[tuple[str, int]]) -> Known:
        """All that was asked, then the prepared points as if they were running."""
        past, attrs = self._trials.all(), dict(self._trials.study_attrs)
        for each in self._prepared:
            point = each.point
            trial = running_trial(len(past), point.params, point.distributions, each.system_attrs)
            past.append(trial)
            attrs.update(each.study_attrs)
        prepared = {cell(each.point.params, each.point.seed) for each in self._prepared}
        row = self._duplicates_in_a_row()
        return Known(past, keys, self._trials.cells | prepared, row, attrs)

    def _duplicates_in_a_row(self) -> int:
        row, known = self._trials.duplicates, set(self._trials.firsts)
        for each in self._prepared:
            row = row + 1 if each.point.key in known else 0
            known.add(each.point.key)
        return row

    def _suggest(self, known: Known) -> Suggestion | None:
        default = None if known.past else self._space.default()
        if default is not None:
            return Suggestion(default, "default")
        return self._sampler.suggest(known)

    def _hand_out(self, suggestion: Suggestion) -> Proposal | None:
        """Writes the asked event; None if it was a duplicate, which is told if that can be."""
        point, number = suggestion.point, len(self._trials.entries)
        first = self._trials.firsts.get(point.key)
        if "retry_of" in suggestion.links:
            first = None
        config = point.config.to_json()
        body = {
            "params": point.params,
            "distributions": {name: d.to_json() for name, d in point.distributions.items()},
            "config": config,
            "digest": point.digest,
            "seed": point.seed,
            "origin": suggestion.origin,
            "duplicate_of": first,
            "system_attrs": suggestion.system_attrs,
            "study_attrs": suggestion.study_attrs,
            **suggestion.links,
        }
        self._trials.ask(body)
        self._write("asked", number, body, commit=first is None)
        if first is not None:
            self._tell_twins(self._trials.entries[first])
            return None
        return Proposal(number, point.params, config, point.digest, point.seed, suggestion.origin)

    # Deciding

    def report(
        self, number: int, fidelity: int, values: list[float], step: int | None = None
    ) -> bool:
        """Whether a trial should end now, at its newest value (reduced over its reports so far).

        A fidelity that it has passed changes nothing, as when a resumed attempt comes by again.
        `step` is only written down.
        """
        with self._lock:
            entry = self._trials.entries[number]
            if entry.ending or entry.told is not None:
                return True
            if not self._trials.report(number, fidelity, values):
                return False
            return self._decide(entry, step)

    def _decide(self, entry: Entry, step: int | None) -> bool:
        """Asks the pruner about a trial's last report, and writes what it says and remembers.

        The decision comes first: one without the attributes behind it is completed by `rebuild`.
        """
        trial = self._trials.optuna(entry.number)
        known = dict(trial.system_attrs)
        ends = self._pruner.prune(self._trials.study, trial) and not entry.is_measure
        if ends and not entry.ending:
            entry.ending = True
            fidelity = trial.last_step
            body = {
                "step": step,
                "fidelity": fidelity,
                "decision": "prune",
                "reason": f"pruned at {self._fidelity} {fidelity}",
            }
            self._write("decision", entry.number, body)
        attrs = self._trials.optuna(entry.number).system_attrs
        changed = {key: value for key, value in attrs.items() if known.get(key) != value}
        if changed:
            self._write("attrs", entry.number, {"system_attrs": changed})
        return ends

    # Telling

    def tell(
        self,
        number: int,
        state: State,
        values: list[float] | None,
        reason: str = "",
        constraint: int = 0,
        *,
        best_step: int | None = None,
        best_checkpoint: str | None = None,
    ) -> None:
        """Writes and commits how a trial ended, and tells its duplicates the same.

        Raises:
            ValueError: it was told before, or is complete without values.
        """
        with self._lock:
            entry = self._trials.entries[number]
            if entry.told is not None:
                raise ValueError(f"trial {number} was told before: {entry.told['state']}")
            if state == "complete" and values is None:
                raise ValueError(f"trial {number} must have values to be complete, got none")
            body = {
                "state": state,
                "values": values,
                "reason": reason,
                "constraint": int(constraint or state == "infeasible"),
                "best_step": best_step,
                "best_checkpoint": best_checkpoint,
                "duplicate_of": None,
            }
            self._write("told", number, body)
            self._take_told(entry, body)
            self._tell_twins(entry)
            self._log.flush()

    def _tell_twins(self, first: Entry) -> None:
        """Tells the duplicates that wait for a trial its result, if there is one."""
        for number in first.twins if first.told is not None else ():
            twin = self._trials.entries[number]
            if twin.told is None and first.told is not None:
                body = {**first.told, "best_checkpoint": None, "duplicate_of": first.number}
                self._write("told", number, body)
                self._take_told(twin, body)

    def _take_told(self, entry: Entry, body: dict[str, Any]) -> None:
        self._trials.tell(entry.number, body)
        if body["state"] == "complete" and entry.duplicate_of is None:
            self._pruner.completed(self._trials.optuna(entry.number))

    def _write(
        self, kind: str, number: int, body: Mapping[str, Any], *, commit: bool = False
    ) -> None:
        self._log.append(kind, number, commit=commit, **body)

    # Rebuilding

    @classmethod
    def rebuild(
        cls, space: Space, spec: Mapping[str, Any], log: Log, events: Iterable[Event]
    ) -> Study:
        """The study that has seen these events, and nothing else.

        What a killed driver had begun to write is completed: the decision on the very last report,
        and the results of duplicates.
        """
        study, last = cls(space, spec, log), None
        for event in events:
            study._replay(event)
            last = event
        if last is not None:
            study._complete(last)
        for entry in study._trials.entries:
            study._tell_twins(entry)
        log.flush()
        return study

    def _replay(self, event: Event) -> None:
        number, body = event.trial, event.body
        if event.kind == "asked":
            self._trials.ask(body)
        elif event.kind == "extended":
            self._budget = int(body["trials"])
        elif number is None:
            return
        elif event.kind == "retried":
            self._trials.retries.append(number)
        elif event.kind == "told":
            self._take_told(self._trials.entries[number], dict(body))
        elif event.kind == "decision" or (event.kind == "requested" and body["action"] == "stop"):
            self._trials.entries[number].ending = True
        elif event.kind == "attrs":
            self._trials.set_attrs(number, body["system_attrs"])
        elif event.kind == "report" and _is_compared(body):
            if not self._trials.entries[number].ending:
                self._trials.report(number, body["fidelity"], body["values"])

    def _complete(self, last: Event) -> None:
        """Decides again on a last report, or on its pruning, where nothing was written after it."""
        number, body = last.trial, last.body
        if number is None or last.kind not in ("report", "decision"):
            return
        entry, trial = self._trials.entries[number], self._trials.optuna(number)
        open_report = last.kind == "report" and _is_compared(body) and not entry.ending
        at_it = trial.last_step is not None and trial.last_step == body["fidelity"]
        if entry.told is None and at_it and (open_report or last.kind == "decision"):
            self._decide(entry, body["step"])


def _is_compared(report: Mapping[str, Any]) -> bool:
    return report["values"] is not None and report["fidelity"] is not None


@contextmanager
def _quick_switches() -> Generator[None]:
    """While a sampler computes, other threads wait at most half a millisecond for their turn."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, _SWITCH_INTERVAL))
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
