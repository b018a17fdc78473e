"""Questions to a sampler and its answers."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from optuna.trial import FrozenTrial

from raysearch.study.samplers.view import NOTHING, Bound
from raysearch.sweeps.space import Point


@dataclass(frozen=True)
class Suggestion:
    """A point that a sampler proposes.

    `system_attrs` is what Optuna wants to be known of the trial, `study_attrs` of the study (only
    what changed). `links` says what else the trial stands for: `repeat_of`, `retry_of` (numbers of
    trials), `evaluates` (a finished trial of another search).
    """

    point: Point
    origin: str
    system_attrs: dict[str, Any] = field(default_factory=dict[str, Any])
    study_attrs: dict[str, Any] = field(default_factory=dict[str, Any])
    links: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Known:
    """All that a sampler may look at.

    `number` is that of the trial to be proposed. `past` are the trials before it that the sampler's
    bound lets it see, those running or only prepared too, in the order of their numbers. Of all of
    them: `keys` are (digest, seed), `cells` parameters and seed (`cell`), and `duplicates` says how
    many of the last ones were duplicates in a row. `study_attrs` is what Optuna keeps with the
    study.
    """

    number: int
    past: Sequence[FrozenTrial]
    keys: Collection[tuple[str, int]]
    cells: Collection[str]
    duplicates: int = 0
    study_attrs: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Sampler:
    """Proposes points. What it says is a function of its arguments alone: it has no state."""

    bound: Bound | None = NOTHING
    """Which finished trials it looks at; None: all."""

    def suggest(self, known: Known) -> Suggestion | None:
        """The next point, or None if there is no other."""
        raise NotImplementedError


def cell(params: Mapping[str, Any], seed: int) -> str:
    """What identifies a point of a grid: two of them may lead to the same configuration."""
    return json.dumps([params, seed], sort_keys=True)


def with_seed(point: Point, seed: int) -> Point:
    """The same point with another seed of its run."""
    return point if seed == point.seed else replace(point, config=point.config.with_seed(seed))
