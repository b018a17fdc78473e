"""What is missing is said before any trial, at whichever point of the space it would be missed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from raysearch.sweeps.requirements import (
    missing,
    missing_at_a_point,
    refuse_lacks,
    refuse_missing,
    refuse_unreported,
    unreported,
)
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Metric, Sweep, Trial, sweep
from tests.raysearch.toys import Toy

METRICS = [Metric("valid/score", "maximize")]


@dataclass(frozen=True)
class Needy(Toy):
    """Needs what is there for all depths but 7."""

    def missing(self) -> str | None:
        return "depth 7 is not there; dig" if self.depth == 7 else None

    def unreported(self, metric: str) -> str | None:
        return f"metric {metric} needs a depth" if self.depth == 0 else None


def deep(depths: list[int]) -> Sweep:
    @sweep(metrics=METRICS, sampler="random", trials=4)
    def dig(trial: Trial) -> Needy:
        trial.suggest_float("rate", 0.0, 1.0)
        return Needy(depth=trial.suggest_categorical("depth", depths))

    return dig


def test_a_configuration_that_says_nothing_needs_nothing() -> None:
    assert missing(Toy()) is None and missing(Needy()) is None
    assert missing(Needy(depth=7)) == "depth 7 is not there; dig"


@pytest.mark.parametrize("others", [[1], list(range(10, 160))])
def test_it_is_found_at_whichever_value_of_a_choice(others: list[int]) -> None:
    assert missing_at_a_point(Space(deep([*others, 7]))) == "depth 7 is not there; dig"
    assert missing_at_a_point(Space(deep(others))) is None


def test_a_value_that_is_fixed_counts() -> None:
    assert missing_at_a_point(Space(deep([1, 7]), {"depth": 1})) is None
    with pytest.raises(LookupError, match="depth 7 is not there; dig"):
        refuse_lacks(Space(deep([1, 7]), {"depth": 7}))


def test_the_first_of_several_is_said() -> None:
    refuse_missing([Needy(), Toy()])
    with pytest.raises(LookupError, match="depth 7"):
        refuse_missing([Needy(), Needy(depth=7)])


def test_a_metric_that_is_never_reported_is_refused_at_whichever_point_it_is() -> None:
    assert unreported(Toy(depth=0), METRICS) is None and unreported(Needy(), METRICS) is None
    with pytest.raises(ValueError, match="metric valid/score needs a depth"):
        refuse_lacks(Space(deep([*range(10, 160), 7, 0])))  # though something is missing, too
    with pytest.raises(ValueError, match="metric valid/score needs a depth"):
        refuse_unreported([Needy(), Needy(depth=0)], METRICS)
