"""The trials of a search as its events left them: all that decisions depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import optuna
from optuna.trial import FrozenTrial, TrialState

from raysearch.events.schema import Asked, Told
from raysearch.study.samplers.suggestions import cell
from raysearch.study.samplers.view import Bound, Ranking
from raysearch.study.storages import FEASIBLE_ATTRS, INFEASIBLE_ATTRS, Evidence, running_trial
from raysearch.sweeps.distributions import distribution_from_json
from raysearch.sweeps.sweep import Direction

_STATES: dict[str, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "infeasible": TrialState.PRUNED,  # with a constraint of 1; a FAIL would be forgotten
}


@dataclass
class Entry:
    """What is known of a trial beside what Optuna knows.

    `duplicate_of` is the first trial with the same configuration and seed; `twins` are the
    duplicates of this one; `repeat_of` is the trial whose configuration this one runs with another
    seed; `retried_by` the one that ran it again after it failed. `ending` says that it was decided
    to end it; `told` is that event. `is_default`: it has the default configuration. `is_known`: it
    was not run here, its result was known before the search began.
    """

    number: int
    digest: str
    seed: int
    duplicate_of: int | None = None
    repeat_of: int | None = None
    retried_by: int | None = None
    is_default: bool = False
    is_known: bool = False
    twins: list[int] = field(default_factory=list[int])
    ending: bool = False
    told: Told | None = None

    @property
    def is_measure(self) -> bool:
        """Whether others are measured by it, so that it is never pruned: the default, a repeat."""
        return self.is_default or self.repeat_of is not None


class Trials:
    """Trials in the order in which they were asked, here and as an Optuna study.

    Each method takes in one event; the same events in the same order give the same trials. Trials
    are told to Optuna as: complete; pruned, with their curve; infeasible: pruned with a constraint
    of 1, which samplers learn to avoid; failed. Pruners see neither the last two nor duplicates,
    nor trials that were known before the search, of which there is no curve.
    """

    def __init__(self, search: str, directions: Sequence[Direction]) -> None:
        self._storage = Evidence()
        self.study = optuna.create_study(
            study_name=search,  # Hyperband's brackets depend on it
            storage=self._storage,
            sampler=optuna.samplers.RandomSampler(),  # never asked
            pruner=optuna.pruners.NopPruner(),  # never asked
            directions=directions,
        )
        self._study_id = self._storage.get_study_id_from_name(search)
        self._compares = len(directions) == 1
        self._ranking = Ranking(directions)
        self.entries: list[Entry] = []
        self.firsts: dict[tuple[str, int], int] = {}
        """The first trial of each (digest, seed)."""
        self.cells: set[str] = set()
        """The parameters of each trial, as `cell` writes them."""
        self.drawn = 0
        """How many trials count against the budget: no known ones, duplicates, repeats, retries."""
        self.untold: set[int] = set()
        """The trials that are asked and not told, but repeats."""
        self.untold_repeats: set[int] = set()
        self.retries: list[int] = []
        """Failed trials that are to be run again and were not asked again."""
        self._gathered: dict[int, list[tuple[int, float]]] = {}
        self.study_attrs: dict[str, Any] = {}
        """What Optuna keeps with the study."""
        self.duplicates = 0
        """How many of the last trials were duplicates in a row."""

    def ask(self, asked: Asked) -> None:
        """Takes in a new trial."""
        number, first = len(self.entries), asked.duplicate_of
        distributions = {
            name: distribution_from_json(data) for name, data in asked.distributions.items()
        }
        trial = running_trial(number, asked.params, distributions, asked.system_attrs or {})
        self.study.add_trial(trial)
        entry = Entry(number, asked.digest, asked.seed, first, asked.repeat_of)
        entry.is_default = asked.origin == "default"
        entry.is_known = asked.origin == "known"
        self.entries.append(entry)
        self._count(entry, asked.retry_of)
        self.cells.add(cell(asked.params, asked.seed))
        self.study_attrs.update(asked.study_attrs or {})
        if entry.is_known:
            self._storage.hide(number)
        if first is None:
            self.firsts[asked.digest, asked.seed] = number
            self.duplicates = 0
        else:
            self.entries[first].twins.append(number)
            self._storage.hide(number)
            self.duplicates += 1

    def _count(self, entry: Entry, retry_of: int | None) -> None:
        (self.untold if entry.repeat_of is None else self.untold_repeats).add(entry.number)
        if retry_of is not None:
            self.entries[retry_of].retried_by = entry.number
            entry.is_default = self.entries[retry_of].is_default
            self.retries.remove(retry_of)
        elif entry.repeat_of is None and entry.duplicate_of is None and not entry.is_known:
            self.drawn += 1

    def report(self, number: int, fidelity: int, values: Sequence[float]) -> bool:
        """Takes in a value; False if its fidelity was passed, or there are several objectives."""
        last = self.optuna(number).last_step
        if not self._compares or (last is not None and fidelity <= last):
            return False
        self._storage.set_trial_intermediate_value(number, fidelity, values[0])
        return True

    def gather(self, number: int, fidelity: int, values: Sequence[float]) -> None:
        """Takes in a value as `report` does, but only `settle` puts it into effect: many at once.

        A trial is copied whenever it changes, and so is its curve: one by one, the reports of a
        long trial would take time in the square of their number.
        """
        if not self._compares:
            return
        gathered = self._gathered.get(number)
        if gathered is None:
            gathered = self._gathered[number] = []
        gathered.append((fidelity, values[0]))

    def settle(self, number: int | None = None) -> None:
        """Puts into effect what was gathered of a trial, or of all."""
        for each in list(self._gathered) if number is None else [number]:
            gathered = self._gathered.pop(each, None)
            if gathered is not None:
                self._storage.extend_curve(each, gathered)

    def set_attrs(self, number: int, attrs: Mapping[str, Any]) -> None:
        """Takes in what Optuna keeps with a trial."""
        for key, value in attrs.items():
            self._storage.set_trial_system_attr(number, key, value)

    def tell(self, number: int, end: Told) -> None:
        """Takes in how a trial ended."""
        entry, state = self.entries[number], end.state
        entry.told = end
        self.untold.discard(number)
        self.untold_repeats.discard(number)
        self.set_attrs(number, INFEASIBLE_ATTRS if state == "infeasible" else FEASIBLE_ATTRS)
        if entry.duplicate_of is not None:
            curve = self.optuna(entry.duplicate_of).intermediate_values
            self._storage.extend_curve(number, list(curve.items()))
        if state in ("failed", "infeasible"):
            self._storage.hide(number)
        self._storage.set_trial_state_values(number, _STATES[state], self._values(number, end))
        self._ranking.add(self.optuna(number))

    def _values(self, number: int, end: Told) -> list[float] | None:
        """As Optuna's `tell` has them (it copies all deeply): of a pruned trial the last value."""
        if end.state == "complete":
            return [float(value) for value in cast("list[float]", end.values)]
        trial = self.optuna(number)
        if _STATES[end.state] is TrialState.PRUNED and trial.last_step is not None:
            return [trial.intermediate_values[trial.last_step]]
        return None

    def optuna(self, number: int) -> FrozenTrial:
        """One trial as Optuna has it now; it is replaced, not changed, by what comes later."""
        return self._storage.get_trial(number)

    def all(self) -> list[FrozenTrial]:
        """All trials as Optuna has them now, in a new list."""
        return self._storage.everything(self._study_id)

    def seen(self, bound: Bound | None) -> list[FrozenTrial]:
        """The trials that a sampler looks at: those within its bound, and all that are not told."""
        if bound is None:
            return self.all()
        if not bound.total:
            return []
        numbers = {*self._ranking.choose(bound), *self.untold, *self.untold_repeats}
        return [self.optuna(number) for number in sorted(numbers)]
