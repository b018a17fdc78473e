"""The view that a sampler has of a search: its trials, bounded where looking at all costs."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from raysearch.study.storages import FEASIBLE_ATTRS, is_infeasible
from raysearch.sweeps.sweep import Direction

_COMPLETE, _PRUNED, _INFEASIBLE = range(3)


@dataclass(frozen=True)
class Bound:
    """How many finished trials a sampler looks at, if there are more.

    The `best`, the `last` by number, and `spread` of all others at even distances in their rank.
    """

    best: int
    last: int
    spread: int

    @property
    def total(self) -> int:
        """Up to so many are all looked at."""
        return self.best + self.last + self.spread

    def with_last(self, last: int) -> Bound:
        """A bound with at least so many of the last: a start-up must not be longer than it."""
        return Bound(self.best, max(self.last, last), self.spread)


NOTHING = Bound(0, 0, 0)


class Ranking:
    """Finished trials from best to worst, kept trial by trial; the order in which they come is
    forgotten.

    Complete ones come first, by how many others are better in all objectives; then pruned ones, the
    longest first, and of one length the better; then infeasible ones. Failed ones are left out.
    """

    def __init__(self, directions: Sequence[Direction]) -> None:
        self._signs = np.array([1.0 if each == "minimize" else -1.0 for each in directions])
        self._count = 0
        self._numbers = np.zeros(256, dtype=np.int64)
        self._kinds = np.zeros(256, dtype=np.int64)
        self._first = np.zeros(256)
        """Of a complete trial how many are better, of a pruned one its length, negative."""
        self._costs = np.zeros((256, len(directions)))

    def __len__(self) -> int:
        return self._count

    def add(self, trial: FrozenTrial) -> None:
        """Takes in a trial that has ended."""
        if trial.state == TrialState.FAIL:
            return
        if self._count == len(self._numbers):
            self._grow()
        here = self._count
        self._count += 1
        self._numbers[here] = trial.number
        self._kinds[here] = _kind(trial)
        if self._kinds[here] == _COMPLETE:
            self._compare(here, self._signs * np.array(trial.values))
        elif self._kinds[here] == _PRUNED and trial.last_step is not None:
            self._first[here] = -trial.last_step
            self._costs[here] = self._signs[0] * trial.intermediate_values[trial.last_step]

    def _grow(self) -> None:
        room = len(self._numbers)
        self._numbers, self._kinds, self._first = (
            np.concatenate([each, np.zeros(room, each.dtype)])
            for each in (self._numbers, self._kinds, self._first)
        )
        self._costs = np.concatenate([self._costs, np.zeros_like(self._costs)])

    def _compare(self, here: int, cost: np.ndarray) -> None:
        others, complete = self._costs[:here], self._kinds[:here] == _COMPLETE
        better = complete & (others <= cost).all(1) & (others < cost).any(1)
        worse = complete & (others >= cost).all(1) & (others > cost).any(1)
        self._first[:here][worse] += 1
        self._first[here] = better.sum()
        self._costs[here] = cost

    def choose(self, bound: Bound) -> list[int]:
        """The numbers of the trials within a bound, ascending."""
        numbers = self._numbers[: self._count]
        if self._count <= bound.total:
            return np.sort(numbers).tolist()
        order = np.lexsort(
            (
                numbers,
                self._costs[: self._count, 0],
                self._first[: self._count],
                self._kinds[: self._count],
            )
        )
        ranked = numbers[order]
        others = np.sort(ranked[bound.best :])
        since = others[len(others) - bound.last] if bound.last else np.inf
        middle = ranked[bound.best :][ranked[bound.best :] < since]
        places = (np.arange(bound.spread) + 0.5) * len(middle) / max(bound.spread, 1)
        chosen = [ranked[: bound.best], others[others >= since], middle[places.astype(int)]]
        return np.sort(np.concatenate(chosen)).tolist()


def _kind(trial: FrozenTrial) -> int:
    if is_infeasible(trial):
        return _INFEASIBLE
    return _COMPLETE if trial.state == TrialState.COMPLETE else _PRUNED


def completed(
    past: Iterable[FrozenTrial], directions: Sequence[Direction], names: Iterable[str]
) -> list[FrozenTrial]:
    """Trials for a sampler that learns from complete ones only; in the order in which they come.

    An infeasible one counts as complete with the worst values that completed, and its constraint; a
    pruned one with the value at which it ended, if that is not worse than those. Trials that lack
    one of the parameters `names` are left out.
    """
    needed = set(names)
    seen = [trial for trial in past if needed <= trial.params.keys()]
    values = np.array([trial.values for trial in seen if trial.state == TrialState.COMPLETE])
    if not len(values):
        return [trial for trial in seen if trial.state == TrialState.RUNNING]
    minimizes = np.array([direction == "minimize" for direction in directions])
    worst = np.where(minimizes, values.max(0), values.min(0)).tolist()
    found: list[FrozenTrial] = []
    for trial in seen:
        if trial.state in (TrialState.RUNNING, TrialState.COMPLETE):
            found.append(trial)
        elif is_infeasible(trial):
            found.append(_as_complete(trial, worst))
        elif trial.state == TrialState.PRUNED and trial.last_step is not None:
            last = trial.intermediate_values[trial.last_step]
            value = min(last, worst[0]) if minimizes[0] else max(last, worst[0])
            found.append(_as_complete(trial, [value]))
    return found


def _as_complete(trial: FrozenTrial, values: list[float]) -> FrozenTrial:
    changed = copy.copy(trial)
    changed.state, changed.values = TrialState.COMPLETE, values
    return changed


def unconstrained(trials: Sequence[FrozenTrial]) -> Sequence[FrozenTrial]:
    """The trials without their constraint, if all of them keep it: a model of it would be idle."""
    if any(map(is_infeasible, trials)):
        return trials
    found: list[FrozenTrial] = []
    for trial in trials:
        changed, attrs = copy.copy(trial), trial.system_attrs
        changed.system_attrs = {key: attrs[key] for key in attrs if key not in FEASIBLE_ATTRS}
        found.append(changed)
    return found
