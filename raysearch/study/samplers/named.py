"""Names → samplers: the exact grid is ours, all others are Optuna's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from optuna.samplers import BaseSampler

from raysearch.errors import BadSetting
from raysearch.study.own_parts import Make, is_own, made, own_part
from raysearch.study.samplers.from_optuna import (
    Cmaes,
    Gp,
    Model,
    Modelled,
    Nsga2,
    Qmc,
    Seeds,
    Tpe,
    always_asked,
)
from raysearch.study.samplers.grid import Grid
from raysearch.study.samplers.suggestions import Sampler
from raysearch.sweeps.arguments import read
from raysearch.sweeps.plugins import SAMPLERS as PLUGINS
from raysearch.sweeps.samplers import SAMPLERS, SAMPLERS_ELSEWHERE
from raysearch.sweeps.space import Choice, Float, Space
from raysearch.sweeps.sweep import Direction, Sweep

_MOST_VALUES = {"tpe": 2**50, "gp": 10**6}
"""TPE takes logarithms of shares of a range; gp keeps a list of all values."""


def check_sampler(sampler: str, sweep: Sweep, space: Space) -> None:
    """Refuses samplers that do not exist or cannot serve a sweep.

    Raises:
        ValueError: one sentence that names what is allowed, or why not and what to take instead.
    """
    if is_own(sampler, SAMPLERS, PLUGINS):
        _own(sampler).make(Seeds(0, 0))
        return
    name, _ = read("sampler", sampler, SAMPLERS, SAMPLERS_ELSEWHERE)
    if name == "grid" and space.survey.continuous:
        raise BadSetting(
            f"sampler grid needs a finite space: {space.infinite(space.survey.continuous)}"
        )
    if name == "cmaes" and len(sweep.metrics) > 1:
        raise BadSetting(
            f"sampler cmaes serves one metric, got "
            f"{', '.join(metric.name for metric in sweep.metrics)}; take nsga2, tpe or gp"
        )
    _refuse_many(name, space)
    apart = modelled_apart(name, space)
    if name == "qmc" and apart:
        raise BadSetting(
            f"sampler qmc needs a space without conditions, and {', '.join(apart)} of sweep "
            f"{sweep.name} {'is' if len(apart) == 1 else 'are'} not always asked for; take random "
            f"or tpe"
        )
    if apart and not _joint(name, space):
        what = "number" if name == "cmaes" else "parameter"
        raise BadSetting(
            f"sampler {name} needs a {what} that is always asked for, and sweep {sweep.name} has "
            f"only {', '.join(apart)}; take tpe"
        )


def _refuse_many(sampler: str, space: Space) -> None:
    """Refuses ranges that a model cannot tell the values of: it computes with 53 bits."""
    most = _MOST_VALUES.get(sampler)
    for name, distribution in space.survey.distributions.items():
        if most is None or isinstance(distribution, Choice):
            continue
        largest = max(abs(distribution.low), abs(distribution.high))
        is_exact = isinstance(distribution, Float) or largest <= 2**53
        if not is_exact or (distribution.count or 0) > most:
            raise BadSetting(
                f"sampler {sampler} models at most {most:,} values of a parameter, none beyond "
                f"2^53, and {name} is in {distribution}; give a larger step, or take random or "
                f"cmaes"
            )


def modelled_apart(sampler: str, space: Space) -> list[str]:
    """The parameters that a sampler leaves out of its model of all: conditional ones, and choices.

    gp and cmaes leave them to TPE, each by itself; nsga2 draws them at random.
    """
    name = sampler.partition(":")[0]
    if name not in ("gp", "cmaes", "qmc", "nsga2"):
        return []
    joint = _joint(name, space)
    sampled = space.survey.distributions.items()
    return [each for each, distribution in sampled if distribution.count != 1 and each not in joint]


def make_sampler(
    sampler: str, space: Space, directions: Sequence[Direction], seed: int, repeats: int = 1
) -> Sampler:
    """A sampler by its name and arguments, as in `tpe:startup=5`; a grid repeats its cells.

    One of another package makes an `optuna.samplers.BaseSampler` of a `seed` and its arguments,
    anew for each trial, and sees all trials.
    """
    if is_own(sampler, SAMPLERS, PLUGINS):
        return Modelled(space, directions, seed, _own(sampler))
    name, arguments = read("sampler", sampler, SAMPLERS, SAMPLERS_ELSEWHERE)
    if name == "grid":
        return Grid(space, repeats)
    return Modelled(space, directions, seed, _MODELS[name](space, arguments))


class _Own(Model):
    """A sampler of another package."""

    bound = None

    def __init__(self, sampler: str, make: Make, arguments: dict[str, Any]) -> None:
        self._named, self._make, self._arguments = sampler, make, arguments

    def make(self, seeds: Seeds) -> BaseSampler:
        """A fresh sampler, by the seed of the trial."""
        arguments = {**self._arguments, "seed": seeds.trial}
        return made("sampler", self._named, self._make, arguments, BaseSampler)


def _own(sampler: str) -> _Own:
    return _Own(sampler, *own_part("sampler", sampler, PLUGINS, SAMPLERS, ("seed",)))


def _joint(name: str, space: Space) -> dict[str, Any]:
    return always_asked(space, numeric=name == "cmaes")


_MODELS: dict[str, Callable[[Space, dict[str, Any]], Model]] = {
    "random": lambda space, given: Model(),
    "tpe": lambda space, given: Tpe(**given),
    "gp": lambda space, given: Gp(_joint("gp", space), **given),
    "cmaes": lambda space, given: Cmaes(_joint("cmaes", space), **given),
    "qmc": lambda space, given: Qmc(_joint("qmc", space), **given),
    "nsga2": lambda space, given: Nsga2(_joint("nsga2", space), **given),
}
