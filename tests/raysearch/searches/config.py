"""Configurations of the small experiments that the tests search over."""

from __future__ import annotations

from typing import ClassVar

from trainables.core.training import ExperimentConfig


class Chain(ExperimentConfig):
    """A walk towards a number, with a state that depends on every step before."""

    experiment: ClassVar[str] = "tests.raysearch.searches.chain:run"
    name: ClassVar[str] = "tests.chain"
    x: float = 0.5
    y: int = 2
    steps: int = 8
    pause: float = 0.0
    way: str = "well"
