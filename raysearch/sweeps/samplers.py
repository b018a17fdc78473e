"""Samplers as values of a sweep: `sampler=TPE(startup=20)`; as text `tpe:startup=20`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from raysearch.sweeps.arguments import Named, Rule, Whole, Word, table

_STARTUP = Whole(1, "so many trials at random before there is a model")


class SamplingRule(Rule):
    """A sampler."""

    role: ClassVar[str] = "sampler"


@dataclass(frozen=True)
class TPE(SamplingRule):
    """Models what good and bad trials have in common; for all spaces, also conditional ones."""

    name: ClassVar[str] = "tpe"
    startup: Annotated[int, _STARTUP] = 10


@dataclass(frozen=True)
class Random(SamplingRule):
    """Independent points."""

    name: ClassVar[str] = "random"


@dataclass(frozen=True)
class Grid(SamplingRule):
    """All points of a finite space, in order."""

    name: ClassVar[str] = "grid"


@dataclass(frozen=True)
class GP(SamplingRule):
    """Models the metrics as Gaussian processes; for few and slow trials, up to a second each."""

    name: ClassVar[str] = "gp"
    startup: Annotated[int, _STARTUP] = 10


@dataclass(frozen=True)
class CMAES(SamplingRule):
    """Moves and shapes a normal distribution; for many trials of numeric parameters, one metric."""

    name: ClassVar[str] = "cmaes"
    startup: Annotated[int, _STARTUP] = 1
    population: Annotated[
        int | str, Whole(4, "trials of a generation; auto: 4 + 3 ln n", ("auto",))
    ] = "auto"


@dataclass(frozen=True)
class QMC(SamplingRule):
    """Points that fill the space evenly; for spaces without conditions."""

    name: ClassVar[str] = "qmc"
    kind: Annotated[str, Word(("sobol", "halton"), "the sequence")] = "sobol"


@dataclass(frozen=True)
class NSGA2(SamplingRule):
    """Crosses the best trials of a generation; for several metrics and many trials."""

    name: ClassVar[str] = "nsga2"
    population: Annotated[int, Whole(2, "trials of a generation; the first one is random")] = 50


SAMPLERS: Mapping[str, Named] = table(TPE, Random, Grid, GP, CMAES, QMC, NSGA2)
"""Names, what they do, and their arguments."""

_BAYES = "take tpe or gp"
_PRUNER = "that is a pruner: --pruner, or pruner= of the sweep"
SAMPLERS_ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("bayes", "bayesian", "bayesopt", "bayesianoptimization", "bo"), _BAYES),
    **dict.fromkeys(("hyperopt", "parzen", "treeparzenestimator"), "take tpe"),
    **dict.fromkeys(
        ("ax", "botorch", "gaussianprocess", "skopt", "hebo", "smac"), "take gp or tpe"
    ),
    **dict.fromkeys(("bohb", "tunebohb", "dehb"), "take tpe, with pruner hyperband"),
    **dict.fromkeys(("sobol", "lhs", "latinhypercube"), "take qmc"),
    "halton": "take qmc:kind=halton",
    **dict.fromkeys(("cma", "nevergrad", "evolution"), "take cmaes, or nsga2"),
    **dict.fromkeys(("genetic", "ga", "nsgaii", "nsgaiii", "nsga3", "moga"), "take nsga2"),
    **dict.fromkeys(("motpe", "multiobjectivetpe"), "take tpe, which serves several metrics too"),
    **dict.fromkeys(("uniform", "montecarlo", "variantgenerator"), "take random"),
    **dict.fromkeys(("bruteforce", "exhaustive", "gridsearch", "all"), "take grid"),
    **dict.fromkeys(("hyperband", "asha", "median", "successivehalving", "patient"), _PRUNER),
    **dict.fromkeys(
        ("pbt", "populationbasedtraining", "pb2"),
        "no search here changes the settings of a trial that runs; take tpe, with pruner hyperband",
    ),
}
"""What other tools call theirs, and what to take here."""
