"""Optuna's samplers: a fresh one for each trial, so that nothing is hidden in it."""

from __future__ import annotations

import hashlib
import random
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import FrozenTrial

from raysearch.study.samplers.suggestions import Known, Sampler, Suggestion
from raysearch.study.samplers.view import NOTHING, Bound, completed, unconstrained
from raysearch.study.storages import Snapshot, to_optuna
from raysearch.sweeps.distributions import Choice, Distribution, Float
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Direction
from raysearch.sweeps.walk import Source, from_trial

_EXPERIMENTAL = r"Argument ``group`` is an experimental feature|QMCSampler is experimental"
_SLOW_BOXES = r"Box decomposition \(typically used by `GPSampler`\) might be significantly slow"
_TRIES = 1_000
_TPE_SEES = Bound(best=100, last=100, spread=800)
"""TPE's cost grows by about 20 µs a trial. Its model of good points is made of 25 at most; that of
the others is to keep its shape, and gives the last 25 their full weight."""
_GP_SEES = Bound(best=70, last=70, spread=60)
"""A Gaussian process of n trials costs n³; 200 take most of a second."""
_CMAES_SEES = Bound(best=0, last=300, spread=0)
"""The last generations: the one that is filled, and the one whose state it continues."""


@dataclass(frozen=True)
class Seeds:
    """One for the trial to be proposed, one that all trials of the search share."""

    trial: int
    search: int


class Model:
    """How one of Optuna's samplers is made, and what it may see.

    `bound` says which finished trials, `completes` that it learns from complete ones only,
    `models_constraint` that this costs as much as a metric. `joint` are the parameters that it
    models jointly, which are always asked for; None: it finds them.
    """

    bound: Bound | None = NOTHING
    completes = False
    models_constraint = False
    joint: Mapping[str, Distribution] | None = None

    def make(self, seeds: Seeds) -> BaseSampler:
        """A fresh sampler."""
        return RandomSampler(seed=seeds.trial)


class Tpe(Model):
    """TPE for conditional spaces and several trials at once."""

    bound = _TPE_SEES

    def __init__(self, startup: int) -> None:
        self._startup = startup
        self.bound = _TPE_SEES.with_last(startup)

    def make(self, seeds: Seeds) -> BaseSampler:
        """A fresh sampler."""
        return TPESampler(
            seed=seeds.trial,
            n_startup_trials=self._startup,
            multivariate=True,
            group=True,
            constant_liar=True,
        )


class Gp(Model):
    """A Gaussian process; what it cannot model jointly is sampled by TPE, each by itself."""

    completes = True
    models_constraint = True

    def __init__(self, joint: Mapping[str, Distribution], startup: int) -> None:
        self.joint, self._startup = joint, startup
        self.bound = _GP_SEES.with_last(startup)

    def make(self, seeds: Seeds) -> BaseSampler:
        """A fresh sampler."""
        return GPSampler(
            seed=seeds.trial,
            n_startup_trials=self._startup,
            independent_sampler=TPESampler(seed=seeds.trial),
            warn_independent_sampling=False,
        )


class Cmaes(Model):
    """CMA-ES; what it cannot model is sampled by TPE, each by itself."""

    completes = True

    def __init__(
        self, joint: Mapping[str, Distribution], startup: int, population: int | str
    ) -> None:
        self.joint, self._startup = joint, startup
        self._population = population if isinstance(population, int) else None
        self.bound = _CMAES_SEES.with_last(max(10 * (self._population or 0), startup))

    def make(self, seeds: Seeds) -> BaseSampler:
        """A fresh sampler."""
        return _ExactCmaes(
            seed=seeds.trial,
            n_startup_trials=self._startup,
            popsize=self._population,
            independent_sampler=TPESampler(seed=seeds.trial),
            warn_independent_sampling=False,
        )


class _ExactCmaes(CmaEsSampler):
    """CMA-ES whose state, which is kept with trials, is the same each time it is computed.

    The package `cmaes` leaves a history that only its restarts read as memory happens to be.
    """

    def _init_optimizer(self, trans: Any, direction: Any) -> Any:
        optimizer = super()._init_optimizer(trans, direction)
        vars(optimizer)["_funhist_values"].fill(0.0)
        return optimizer


class Qmc(Model):
    """A scrambled low-discrepancy sequence, of which the study keeps the place."""

    def __init__(self, joint: Mapping[str, Distribution], kind: str) -> None:
        self.joint, self._kind = joint, kind

    def make(self, seeds: Seeds) -> BaseSampler:
        """A fresh sampler; the sequence is that of the search's seed."""
        return QMCSampler(
            qmc_type=self._kind,
            scramble=True,
            seed=seeds.search,
            independent_sampler=RandomSampler(seed=seeds.trial),
            warn_independent_sampling=False,
        )


class Nsga2(Model):
    """NSGA-II; all trials are seen, since parents may be of any age."""

    bound = None
    completes = True

    def __init__(self, joint: Mapping[str, Distribution], population: int) -> None:
        self.joint, self._population = joint, population

    def make(self, seeds: Seeds) -> BaseSampler:
        """A fresh sampler."""
        return NSGAIISampler(seed=seeds.trial, population_size=self._population)


def always_asked(space: Space, *, numeric: bool = False) -> dict[str, Distribution]:
    """The parameters that every point has, by name; not those with a single value.

    With `numeric` choices are left out.
    """
    survey = space.survey
    names = set(survey.distributions).intersection(*survey.params)
    return {
        name: distribution
        for name, distribution in sorted(survey.distributions.items())
        if name in names
        and distribution.count != 1
        and not (numeric and isinstance(distribution, Choice))
    }


class Joint(BaseSampler):
    """One of Optuna's samplers with its jointly modelled parameters given.

    Optuna would take those that all trials so far have in common: too many as long as all of them
    went into one branch. CMA-ES would then never find back to those that are left.
    """

    def __init__(self, inner: BaseSampler, joint: Mapping[str, Distribution]) -> None:
        self._inner = inner
        self._joint = {name: to_optuna(distribution) for name, distribution in joint.items()}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The given parameters."""
        return dict(self._joint)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the inner sampler does."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """As the inner sampler does."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)


class Modelled(Sampler):
    """One of Optuna's samplers, fresh for each trial, with a seed from the search's and its number.

    So nothing is hidden in it, and a resumed search does not repeat its first points. What it keeps
    with trials and study goes into the suggestion. Under hyperband it sees the trials of all
    brackets (Optuna would show it those of one). After five duplicates in a row it gives way to a
    point that nobody has asked for, if there is one.
    """

    most_duplicates = 5

    def __init__(
        self, space: Space, directions: Sequence[Direction], seed: int, model: Model
    ) -> None:
        self._space, self._directions, self._seed = space, directions, seed
        self._model, self.bound = model, model.bound

    def suggest(self, known: Known) -> Suggestion | None:
        """A point by the model; None once each point of a finite space is known."""
        survey = self._space.survey
        if survey.exact and all(key in known.keys for key in survey.keys):
            return None
        if known.duplicates < self.most_duplicates:
            return self._ask(known)
        rng = random.Random(f"{self._seed}/{known.number}/unseen")
        if survey.exact:
            unseen = [index for key, index in survey.keys.items() if key not in known.keys]
            return Suggestion(self._space.point(survey.params[rng.choice(unseen)]), "sampler")
        drawn = (self._space.sample(rng) for _ in range(_TRIES))
        point = next((point for point in drawn if point.key not in known.keys), None)
        return None if point is None else Suggestion(point, "sampler")

    def _ask(self, known: Known) -> Suggestion:
        past, model = known.past, self._model
        if model.completes:
            past = completed(past, self._directions, model.joint or ())
        if model.models_constraint:
            past = unconstrained(past)
        storage = Snapshot(known.number, past, known.study_attrs)
        study = optuna.create_study(
            study_name="snapshot",
            storage=storage,
            sampler=self._sampler(known.number),
            pruner=optuna.pruners.NopPruner(),
            directions=self._directions,
        )
        point = self._space.run(_from_optuna(study.ask()))
        return Suggestion(point, "sampler", dict(storage.new.system_attrs), storage.study_attrs)

    def _sampler(self, number: int) -> BaseSampler:
        warnings.filterwarnings("ignore", _EXPERIMENTAL, ExperimentalWarning)
        warnings.filterwarnings("ignore", _SLOW_BOXES, UserWarning)
        seeds = Seeds(_number_from(f"{self._seed}/{number}"), _number_from(f"{self._seed}"))
        sampler = self._model.make(seeds)
        return sampler if self._model.joint is None else Joint(sampler, self._model.joint)


def _number_from(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _from_optuna(trial: optuna.Trial) -> Source:
    """Answers by a trial of Optuna's, steps as `to_optuna` has them: all of them."""
    suggest: Any = vars(optuna.Trial)["_suggest"]
    rest = from_trial(trial)

    def answer(name: str, distribution: Distribution) -> object:
        if isinstance(distribution, Float) and distribution.step is not None:
            return suggest(trial, name, to_optuna(distribution))
        return rest(name, distribution)

    return answer
