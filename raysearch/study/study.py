"""The Optuna study in memory, rebuilt from events: asks, decides on reports, tells."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from raysearch.errors import BadSetting
from raysearch.events.log import Event
from raysearch.events.schema import (
    Asked,
    AttrsChanged,
    Decided,
    Extended,
    Reported,
    Requested,
    Retried,
    Told,
)
from raysearch.study.asking import Log, Proposal, Proposals
from raysearch.study.trials import Entry
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.sweeps.space import Space

__all__ = ["Log", "Proposal", "State", "Study"]

State = Literal["complete", "pruned", "failed", "infeasible"]


class Study(Proposals):
    """Decides for one search. All it knows is in the events: `rebuild` gives an equal study.

    Each method may be called from any thread; `report` and `tell` never wait for a sampler.

    A point whose configuration and seed are known is never run again: it is asked, as a duplicate,
    and told the result of the first one, at once or when there is one. Points computed ahead by
    `prepare` are not in the events before they are handed out: a rebuilt study computes them anew,
    knowing more. So it decides as the living one would after `drop_prepared`.

    Args:
        space: where the points are.
        spec: the specification of the search: `search`, `metrics`, `fidelity`, `sampler`, `pruner`,
            `seed`, `trials` (None: no limit), `repeats` and `finalists` (`Repeats`), `known`
            (`learn`).
        log: where the events go.
    """

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
            reason = f"pruned at {self._fidelity} {fidelity}"
            self._log.append(Decided(step, fidelity, "prune", reason), entry.number)
        attrs = self._trials.optuna(entry.number).system_attrs
        changed = {key: value for key, value in attrs.items() if known.get(key) != value}
        if changed:
            self._log.append(AttrsChanged(changed), entry.number)
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
                raise BadSetting(f"trial {number} was told before: {entry.told.state}")
            if state == "complete" and values is None:
                raise BadSetting(f"trial {number} must have values to be complete, got none")
            end = Told(
                state,
                None if values is None else list(values),
                reason,
                int(constraint or state == "infeasible"),
                best_step,
                best_checkpoint,
            )
            self._log.append(end, number)
            self._take_told(entry, end)
            self._tell_twins(entry)
            self._log.flush()

    # Rebuilding

    @classmethod
    def rebuild(cls, space: Space, spec: SearchSpec, log: Log, events: Iterable[Event]) -> Study:
        """The study that has seen these events, and nothing else.

        What a killed driver had begun to write is completed: the decision on the very last report,
        the trials that were known before, and the results of duplicates.
        """
        study, last = cls(space, spec, log), None
        for event in events:
            study._replay(event)
            last = event
        study._trials.settle()
        if last is not None:
            study._complete(last)
        study.learn()
        for entry in study._trials.entries:
            study._tell_twins(entry)
        log.flush()
        return study

    def _replay(self, event: Event) -> None:
        number, fact = event.trial, event.body
        if isinstance(fact, Extended):
            self._budget = fact.trials
        if number is None:
            return
        if isinstance(fact, Asked):
            self._trials.settle(number)
            self._trials.ask(fact)
            return
        if number >= len(self._trials.entries):
            return  # of a trial that was never asked: `check` says so
        entry = self._trials.entries[number]
        if isinstance(fact, Reported):
            if fact.fidelity is not None and fact.values is not None and not entry.ending:
                self._trials.gather(number, fact.fidelity, fact.values)
            return
        self._trials.settle(number)
        match fact:
            case Retried():
                self._trials.retries.append(number)
            case Told() if entry.told is None:  # else written twice: the first one holds
                self._take_told(entry, fact)
            case Decided() | Requested(action="stop"):
                entry.ending = True
            case AttrsChanged(system_attrs=attrs):
                self._trials.set_attrs(number, attrs)
            case _:
                pass

    def _complete(self, last: Event) -> None:
        """Decides again on a last report, or on its pruning, where nothing was written after it."""
        number, fact = last.trial, last.body
        if number is None or not isinstance(fact, Reported | Decided):
            return
        entry, trial = self._trials.entries[number], self._trials.optuna(number)
        is_open = isinstance(fact, Decided) or (fact.values is not None and not entry.ending)
        at_it = trial.last_step is not None and trial.last_step == fact.fidelity
        if entry.told is None and at_it and is_open:
            self._decide(entry, fact.step)
