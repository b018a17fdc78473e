"""Two of Optuna's storages in memory: what a pruner may see, and a snapshot for a sampler."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Container, Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
)
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from raysearch.study.optuna_ranges import optuna_float
from raysearch.sweeps.distributions import Distribution, Float, Int

_FEASIBLE = "feasible"
INFEASIBLE_ATTRS = create_trial(state=TrialState.PRUNED, constraints={_FEASIBLE: 1.0}).system_attrs
FEASIBLE_ATTRS = create_trial(state=TrialState.PRUNED, constraints={_FEASIBLE: 0.0}).system_attrs
((_CONSTRAINT, _),) = FEASIBLE_ATTRS.items()


def is_infeasible(trial: FrozenTrial) -> bool:
    """Whether a trial was told infeasible."""
    return trial.system_attrs.get(_CONSTRAINT, 0.0) > 0


def to_optuna(distribution: Distribution) -> BaseDistribution:
    """One of our distributions as Optuna's."""
    if isinstance(distribution, Float):
        low, high = distribution.low, distribution.high
        return optuna_float(low, high, distribution.log, distribution.step)
    if isinstance(distribution, Int):
        low, high = distribution.low, distribution.high
        return IntDistribution(low, high, log=distribution.log, step=distribution.step)
    return CategoricalDistribution(distribution.choices)


def running_trial(
    number: int,
    params: dict[str, Any] | None = None,
    distributions: dict[str, Distribution] | None = None,
    system_attrs: dict[str, Any] | None = None,
) -> FrozenTrial:
    """A trial that has begun."""
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.datetime.now(),
        datetime_complete=None,
        params=dict(params or {}),
        distributions={name: to_optuna(d) for name, d in (distributions or {}).items()},
        user_attrs={},
        system_attrs=dict(system_attrs or {}),
        intermediate_values={},
    )


class Evidence(InMemoryStorage):
    """The trials of a study. Hidden ones are there by number, but in no list that a pruner sees.

    Trials are replaced, never changed, when something about them changes: a list stays as it was.
    """

    def __init__(self) -> None:
        super().__init__()
        self._hidden: set[int] = set()

    def hide(self, number: int) -> None:
        """Leaves a trial out of what pruners see: infeasible, failed, or a duplicate."""
        self._hidden.add(number)

    def extend_curve(self, number: int, reports: Sequence[tuple[int, float]]) -> None:
        """Adds intermediate values (step, value) to a trial; those that do not go further, not."""
        with self._lock:
            trial = copy.copy(self._get_trial(number))
            curve, last = dict(trial.intermediate_values), trial.last_step
            for step, value in reports:
                if last is None or step > last:
                    curve[step], last = value, step
            trial.intermediate_values = curve
            self._set_trial(number, trial)

    def everything(self, study_id: int) -> list[FrozenTrial]:
        """All trials, hidden ones too, as they are now."""
        return super().get_all_trials(study_id, deepcopy=False)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials that are evidence."""
        trials = super().get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return [trial for trial in trials if trial.number not in self._hidden]


class Snapshot(InMemoryStorage):
    """Past trials as they were at one moment, and one new trial for which a sampler is asked.

    A sampler on its own thread reads it while the study goes on.

    Args:
        number: that of the new trial.
        past: what the sampler may see of the trials before it.
        study_attrs: what Optuna keeps with the study.
    """

    def __init__(
        self, number: int, past: Sequence[FrozenTrial], study_attrs: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self._past, self._study_attrs = past, study_attrs
        self.new = running_trial(number)
        self.study_attrs: dict[str, Any] = {}
        """What the sampler has changed of the study's attributes."""

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """The number of the one new trial."""
        return self.new.number

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """The new trial; a past one by its number."""
        if trial_id == self.new.number:
            return self.new
        return next(trial for trial in self._past if trial.number == trial_id)

    def get_trial_number_from_id(self, trial_id: int) -> int:
        """Numbers are identities here."""
        return trial_id

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Past trials and the new one."""
        trials = [*self._past, self.new]
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """A parameter of the new trial."""
        self.new.params = {
            **self.new.params,
            param_name: distribution.to_external_repr(param_value_internal),
        }
        self.new.distributions = {**self.new.distributions, param_name: distribution}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """What the sampler wants to be known of the new trial."""
        self.new.system_attrs = {**self.new.system_attrs, key: value}

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """What samplers keep with the study."""
        return {**self._study_attrs, **self.study_attrs}

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """What the sampler wants to be known of the study."""
        self.study_attrs[key] = value
