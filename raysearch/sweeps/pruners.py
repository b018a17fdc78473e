"""Pruners as values of a sweep: `pruner=Median(warmup=5)`; as text `median:warmup=5`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from raysearch.sweeps.arguments import Named, Real, Rule, Whole, table

_WARMUP = Whole(0, "never before this fidelity")
_STARTUP = Whole(0, "never before so many trials are complete")
_INTERVAL = Whole(1, "not at every fidelity, but every so many")
_FACTOR = Whole(2, "one of so many goes on")
_FIRST = Whole(1, "fidelity of the first rung")


class PruningRule(Rule):
    """A pruner; fidelities are in units of the sweep's."""

    role: ClassVar[str] = "pruner"

    def __add__(self, other: PruningRule) -> Joined:
        """`Median() + Patient(3)`: of the trials that the one would end, those of the other."""
        return Joined(self, other)


@dataclass(frozen=True)
class Joined:
    """Patience and another pruner, in either order: ends what both would end."""

    first: PruningRule
    second: PruningRule

    def __str__(self) -> str:
        return f"{self.first}+{self.second}"


@dataclass(frozen=True)
class NoPruner(PruningRule):
    """Ends no trial."""

    name: ClassVar[str] = "none"


@dataclass(frozen=True)
class Median(PruningRule):
    """Ends a trial whose best value is worse than the median of the completed ones there."""

    name: ClassVar[str] = "median"
    warmup: Annotated[int, _WARMUP] = 0
    startup: Annotated[int, _STARTUP] = 5
    interval: Annotated[int, _INTERVAL] = 1


@dataclass(frozen=True)
class Percentile(PruningRule):
    """Ends a trial whose best value is not among the best `keep` percent of the completed ones."""

    name: ClassVar[str] = "percentile"
    keep: Annotated[float, Real("percent that go on", 0.0, 100.0)] = 25.0
    warmup: Annotated[int, _WARMUP] = 0
    startup: Annotated[int, _STARTUP] = 5
    interval: Annotated[int, _INTERVAL] = 1


@dataclass(frozen=True)
class SuccessiveHalving(PruningRule):
    """At rungs min, min·factor, min·factor²… lets the best 1/`factor` of those there go on."""

    name: ClassVar[str] = "successive-halving"
    min: Annotated[int, _FIRST] = 1
    factor: Annotated[int, _FACTOR] = 4


@dataclass(frozen=True)
class Hyperband(PruningRule):
    """Successive halving in several brackets, some of which begin to prune later."""

    name: ClassVar[str] = "hyperband"
    max: Annotated[
        int | str, Whole(1, "length of a whole trial; auto: of the first one", ("auto",))
    ] = "auto"
    min: Annotated[int, _FIRST] = 1
    factor: Annotated[int, _FACTOR] = 3


@dataclass(frozen=True)
class Threshold(PruningRule):
    """Ends a trial whose value lies outside of the bounds."""

    name: ClassVar[str] = "threshold"
    lower: Annotated[float | None, Real("ends what is below")] = None
    upper: Annotated[float | None, Real("ends what is above")] = None
    warmup: Annotated[int, _WARMUP] = 0
    interval: Annotated[int, _INTERVAL] = 1


@dataclass(frozen=True)
class Patient(PruningRule):
    """Ends a trial that has had no better value for a while; joined by + to another pruner, as in
    median+patient:patience=3, lets that one end such trials only.
    """

    name: ClassVar[str] = "patient"
    patience: Annotated[int, Whole(1, "how long, in units of the fidelity")]
    delta: Annotated[float, Real("a value must be better by more than this", 0.0)] = 0.0


PRUNERS: Mapping[str, Named] = table(
    NoPruner, Median, Percentile, SuccessiveHalving, Hyperband, Threshold, Patient
)
"""Names, what they do, and their arguments; fidelities are in units of the sweep's."""

_HALVING = "take successive-halving, or hyperband, which is several of them"
_SAMPLER = "that is a sampler; pruners are those"
_BOTH = "it is two things here: sampler tpe and pruner hyperband"
PRUNERS_ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("asha", "asynchyperband", "sha", "halving", "ashascheduler"), _HALVING),
    **dict.fromkeys(("bohb", "hyperbandforbohb", "hbbohb", "dehb"), _BOTH),
    **dict.fromkeys(("tpe", "random", "grid", "gp", "cmaes", "qmc", "nsga2", "bayes"), _SAMPLER),
    **dict.fromkeys(
        ("pbt", "populationbasedtraining", "pb2"),
        "no search here changes the settings of a trial that runs; take hyperband",
    ),
    **dict.fromkeys(("early", "earlystop", "plateau", "trialplateau"), "take patient:patience=3"),
    **dict.fromkeys(("no", "nop", "off", "fifo", "false"), "take none"),
    "bandit": "take median or threshold",
    "truncation": "take percentile",
}
"""What other tools call theirs, and what to take here."""
