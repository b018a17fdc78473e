"""Names → samplers: random and tpe are Optuna's, the exact grid is ours."""

from __future__ import annotations

import hashlib
import json
import random
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from raysearch.decide.arguments import Whole, read
from raysearch.decide.memory import Snapshot
from raysearch.declare.space import Point, Space
from raysearch.declare.sweep import Direction, Sweep

SAMPLERS = {"tpe": {"startup": Whole(1, 10)}, "random": {}, "grid": {}}
"""Names and arguments. `startup` of tpe: so many trials at random before it has a model."""

_GROUP_IS_EXPERIMENTAL = r"Argument ``group`` is an experimental feature"
_TRIES = 1_000


@dataclass(frozen=True)
class Suggestion:
    """A point that a sampler proposes, and what Optuna wants to be known of the trial."""

    point: Point
    origin: str
    system_attrs: dict[str, Any]


def check_sampler(sampler: str, sweep: Sweep, space: Space) -> None:
    """Refuses samplers that do not exist or cannot serve a space.

    Raises:
        ValueError: one sentence that names what is allowed, or what is continuous.
    """
    name, _ = read("sampler", sampler, SAMPLERS)
    if name == "grid" and space.survey.continuous:
        raise ValueError(
            f"sampler grid needs a finite space: {space.infinite(space.survey.continuous)}"
        )


def make_sampler(sampler: str, space: Space, directions: Sequence[Direction], seed: int) -> Sampler:
    """A sampler by its name and arguments, as in `tpe:startup=5`."""
    name, arguments = read("sampler", sampler, SAMPLERS)
    if name == "grid":
        return Grid(space)
    if name == "random":
        return Modelled(space, directions, seed, RandomSampler)
    return Modelled(space, directions, seed, lambda seed: tpe(seed, arguments["startup"]))


def tpe(seed: int, startup: int = 10) -> TPESampler:
    """Optuna's TPE for conditional spaces and several trials at once."""
    warnings.filterwarnings("ignore", _GROUP_IS_EXPERIMENTAL, ExperimentalWarning)
    return TPESampler(
        seed=seed, n_startup_trials=startup, multivariate=True, group=True, constant_liar=True
    )


class Sampler:
    """Proposes points. What it says is a function of its arguments alone: it has no state."""

    def suggest(
        self,
        past: Sequence[FrozenTrial],
        known: Collection[tuple[str, int]],
        asked: Collection[str],
        duplicates: int,
    ) -> Suggestion | None:
        """The next point, or None if there is no other.

        `past` are all trials so far, those running or only prepared too; `known` their keys,
        `asked` their parameters (`cell`), and `duplicates` how many of the last ones were
        duplicates in a row.
        """
        raise NotImplementedError


def cell(params: dict[str, Any]) -> str:
    """What identifies a point of a grid: two of them may lead to the same configuration."""
    return json.dumps(params, sort_keys=True)


class Modelled(Sampler):
    """One of Optuna's samplers, fresh for each trial, with a seed from the search's and its number.

    So nothing is hidden in it, and a resumed search does not repeat its first points. It sees all
    trials, also under hyperband (Optuna would show it those of one bracket): it ranks pruned trials
    by how far they came. After five duplicates in a row it gives way to a point that nobody has
    asked for, if there is one.
    """

    most_duplicates = 5

    def __init__(
        self,
        space: Space,
        directions: Sequence[Direction],
        seed: int,
        make: Callable[[int], BaseSampler],
    ) -> None:
        self._space, self._directions, self._seed, self._make = space, directions, seed, make

    def suggest(
        self,
        past: Sequence[FrozenTrial],
        known: Collection[tuple[str, int]],
        asked: Collection[str],
        duplicates: int,
    ) -> Suggestion | None:
        """A point by the model; None once each point of a finite space is known."""
        number = len(past)
        survey = self._space.survey
        if survey.exact and all(key in known for key in survey.keys):
            return None
        if duplicates < self.most_duplicates:
            return self._ask(number, past)
        rng = random.Random(f"{self._seed}/{number}/unseen")
        if survey.exact:
            unseen = [index for key, index in survey.keys.items() if key not in known]
            return Suggestion(self._space.point(survey.params[rng.choice(unseen)]), "sampler", {})
        drawn = (self._space.sample(rng) for _ in range(_TRIES))
        point = next((point for point in drawn if point.key not in known), None)
        return None if point is None else Suggestion(point, "sampler", {})

    def _ask(self, number: int, past: Sequence[FrozenTrial]) -> Suggestion:
        digest = hashlib.sha256(f"{self._seed}/{number}".encode()).digest()
        storage = Snapshot(past)
        study = optuna.create_study(
            study_name="snapshot",
            storage=storage,
            sampler=self._make(int.from_bytes(digest[:4], "big")),
            pruner=optuna.pruners.NopPruner(),
            directions=self._directions,
        )
        point = self._space.suggest(study.ask())
        return Suggestion(point, "sampler", dict(storage.new.system_attrs))


class Grid(Sampler):
    """All points of a finite space in order, each once. Its place is what was asked, no more."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._walk: Iterator[Point] = space.points()
        self._cells: list[dict[str, Any]] = []
        self._next = 0
        self._asked = 0

    def suggest(
        self,
        past: Sequence[FrozenTrial],
        known: Collection[tuple[str, int]],
        asked: Collection[str],
        duplicates: int,
    ) -> Suggestion | None:
        """The first cell that was not asked for."""
        if len(asked) < self._asked:
            self._next = 0  # prepared points were dropped
        self._asked = len(asked)
        while True:
            if self._next == len(self._cells):
                point = next(self._walk, None)
                if point is None:
                    return None
                self._cells.append(point.params)
            params = self._cells[self._next]
            if cell(params) not in asked:
                return Suggestion(self._space.point(params), "grid", {})
            self._next += 1
