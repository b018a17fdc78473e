"""The next trial: suggestions computed ahead, failed trials again, repeats of the best."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import optuna
from optuna.trial import FrozenTrial

from raysearch.errors import BadSetting, RaysearchError
from raysearch.events.schema import Asked, Extended, Fact, Retried, Told
from raysearch.study.evaluations import Evaluations
from raysearch.study.pruners import make_pruner
from raysearch.study.repeats import Repeats
from raysearch.study.samplers.named import make_sampler
from raysearch.study.samplers.suggestions import Known, Suggestion, cell, with_seed
from raysearch.study.storages import running_trial
from raysearch.study.trials import Entry, Trials
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Direction

_SWITCH_INTERVAL = 0.0001


class Log(Protocol):
    """Where events go: the search's own log, or a list for who only looks."""

    def append(self, fact: Fact, trial: int | None = None, *, commit: bool = False) -> Any:
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
    evaluates: dict[str, Any] | None = None


class Proposals:
    """The half of a study that asks; `Study` is the other half."""

    def __init__(self, space: Space, spec: SearchSpec, log: Log) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # what it warns of is refused
        self._space, self._log = space, log
        self._budget: int | None = spec.trials
        self._fidelity = spec.fidelity
        directions: list[Direction] = [metric.direction for metric in spec.metrics]
        self._trials = Trials(spec.search, directions)
        repeats, evaluated = spec.repeats, spec.evaluates
        self._evaluations = Evaluations(space, evaluated.trials) if evaluated else None
        self._sampler = self._evaluations or make_sampler(
            spec.sampler, space, directions, spec.seed, repeats
        )
        self._pruner = make_pruner(spec.pruner)
        self._repeats = Repeats(
            space,
            self._trials,
            1 if spec.is_grid else repeats,
            spec.finalists,
            directions,
        )
        self._known_trials = spec.known.trials if spec.known is not None else ()
        self._prepared: deque[Suggestion] = deque()
        self._dropped = 0
        self._exhausted = False
        self._error: RaysearchError | None = None
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
                again = self._rerun()
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
            return told and self._is_drawn() and self._rerun() is None

    def _is_drawn(self) -> bool:
        """Whether the sampler has nothing more to propose, or may not."""
        return self._trials_left() <= 0 or (self._exhausted and not self._prepared)

    def _rerun(self) -> Suggestion | None:
        """A failed trial that its user wants to be run again; the repeats, after all others."""
        if self._trials.retries:
            return self._retry(self._trials.entries[self._trials.retries[0]])
        if self._trials.untold or not self._is_drawn():
            return None
        return self._repeats.next()

    def _retry(self, failed: Entry) -> Suggestion:
        params = self._trials.optuna(failed.number).params
        links: dict[str, Any] = {"retry_of": failed.number}
        if failed.repeat_of is not None:
            links["repeat_of"] = failed.repeat_of
        if self._evaluations is not None:
            pair = self._evaluations.again(params, failed.seed)
            return replace(pair, origin="retry", links={**links, **pair.links})
        point = with_seed(self._space.point(params), failed.seed)
        return Suggestion(point, "retry", links=links)

    def retry(self, number: int) -> None:
        """Writes that a failed trial is to be run again, as a trial of its own, from its start.

        Raises:
            ValueError: it has not failed, or was run again before.
        """
        with self._lock:
            entry = self._trials.entries[number]
            state = entry.told.state if entry.told is not None else "running"
            if state not in ("failed", "infeasible"):
                raise BadSetting(f"trial {number} must have failed to be run again, got {state}")
            if entry.retried_by is not None or number in self._trials.retries:
                raise BadSetting(f"trial {number} must not have been run again before")
            self._log.append(Retried(), number, commit=True)
            self._trials.retries.append(number)

    def learn(self) -> None:
        """Writes the trials that were known before the search, and commits them: its first ones.

        They are asked and told complete like others, but never run, and none of the budget. Those
        that are written change nothing.
        """
        with self._lock:
            for number, known in enumerate(self._known_trials):
                if number == len(self._trials.entries):
                    self._ask(Suggestion(self._space.point(known.params), "known"), None)
                entry = self._trials.entries[number]
                if entry.told is None:
                    end = Told("complete", list(known.values), "known before the search")
                    self._log.append(end, number)
                    self._take_told(entry, end)
            self._log.flush()

    def extend(self, trials: int | None, time: float | None = None) -> None:
        """Writes that there may be `trials` trials in all, and that it may take `time` seconds."""
        with self._lock:
            self._log.append(Extended(trials, time), commit=True)
            self._budget, self._exhausted = trials, False

    def prepare(self, count: int) -> None:
        """Computes suggestions until `count` of them wait for `ask`; for a thread of its own."""
        try:
            self._fill(count)
        except RaysearchError as error:
            self._error = error  # `ask` raises it where it is heard
        except Exception as error:  # of a sweep, or a model; the thread must not just end
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            self._error = BadSetting(f"no further configuration could be proposed: {what}")

    def drop_prepared(self) -> None:
        """Forgets the suggestions that were computed ahead and not handed out."""
        with self._lock:
            self._prepared.clear()
            self._dropped += 1
            self._exhausted = False

    def _trials_left(self) -> int:
        """How many more trials may be asked for."""
        return sys.maxsize if self._budget is None else self._budget - self._trials.drawn

    def _fill(self, count: int) -> None:
        """Samples, without the lock, from what was known when it was last held."""
        with self._sampling, _quick_switches():
            while True:
                with self._lock:
                    firsts = self._trials.firsts.keys()
                    keys = {each.point.key for each in self._prepared}
                    enough = (
                        len(self._prepared) >= count or len(keys - firsts) >= self._trials_left()
                    )
                    if enough or self._exhausted:
                        return
                    dropped = self._dropped
                    known = self._known(firsts | keys)
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
        number, past = len(self._trials.entries), self._trials.seen(self._sampler.bound)
        attrs = dict(self._trials.study_attrs)
        for each in self._prepared:
            point = each.point
            past.append(running_trial(number, point.params, point.distributions, each.system_attrs))
            attrs.update(each.study_attrs)
            number += 1
        prepared = {cell(each.point.params, each.point.seed) for each in self._prepared}
        row = self._duplicates_in_a_row()
        return Known(number, past, keys, self._trials.cells | prepared, row, attrs)

    def _duplicates_in_a_row(self) -> int:
        row = self._trials.duplicates
        if not self._prepared:
            return row
        known = set(self._trials.firsts)
        for each in self._prepared:
            row = row + 1 if each.point.key in known else 0
            known.add(each.point.key)
        return row

    def _suggest(self, known: Known) -> Suggestion | None:
        is_first = known.number == len(self._known_trials) and self._evaluations is None
        default = self._space.default() if is_first else None
        if default is not None:
            return Suggestion(default, "default")
        return self._sampler.suggest(known)

    def _hand_out(self, suggestion: Suggestion) -> Proposal | None:
        """Writes the asked event; None if it was a duplicate, which is told if that can be."""
        point, number = suggestion.point, len(self._trials.entries)
        first = self._trials.firsts.get(point.key)
        if "retry_of" in suggestion.links:
            first = None  # its failed twin is no answer
        asked = self._ask(suggestion, first, commit=first is None)
        if first is not None:
            self._tell_twins(self._trials.entries[first])
            return None
        return Proposal(
            number,
            point.params,
            asked.config,
            point.digest,
            point.seed,
            suggestion.origin,
            suggestion.links.get("evaluates"),
        )

    def _ask(self, suggestion: Suggestion, first: int | None, *, commit: bool = False) -> Asked:
        """Takes in and writes that a point is asked."""
        point, number = suggestion.point, len(self._trials.entries)
        asked = Asked(
            point.params,
            {name: d.to_json() for name, d in point.distributions.items()},
            point.config.to_json(),
            point.digest,
            point.seed,
            suggestion.origin,
            first,
            suggestion.system_attrs,
            suggestion.study_attrs,
            **suggestion.links,
        )
        self._trials.ask(asked)
        self._log.append(asked, number, commit=commit)
        return asked

    def _tell_twins(self, first: Entry) -> None:
        """Tells the duplicates that wait for a trial its result, if there is one."""
        for number in first.twins if first.told is not None else ():
            twin = self._trials.entries[number]
            if twin.told is None and first.told is not None:
                end = replace(first.told, best_checkpoint=None, duplicate_of=first.number)
                self._log.append(end, number)
                self._take_told(twin, end)

    def _take_told(self, entry: Entry, end: Told) -> None:
        self._trials.tell(entry.number, end)
        if end.state == "complete" and entry.duplicate_of is None and not entry.is_known:
            self._pruner.completed(self._trials.optuna(entry.number))


@contextmanager
def _quick_switches() -> Generator[None]:
    """While a sampler is at work, other threads wait at most 0.1 ms for each of their turns."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, _SWITCH_INTERVAL))
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
