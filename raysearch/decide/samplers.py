"""Names → samplers: random and tpe are Optuna's, the exact grid is ours."""

from __future__ import annotations

import hashlib
import json
import random
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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

    `past` are all trials so far, those running or only prepared too; `keys` theirs (digest, seed),
    `cells` their parameters and seeds (`cell`), and `duplicates` how many of the last ones were
    duplicates in a row. `study_attrs` is what Optuna keeps with the study.
    """

    past: Sequence[FrozenTrial]
    keys: Collection[tuple[str, int]]
    cells: Collection[str]
    duplicates: int = 0
    study_attrs: Mapping[str, Any] = field(default_factory=dict[str, Any])


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


def make_sampler(
    sampler: str, space: Space, directions: Sequence[Direction], seed: int, repeats: int = 1
) -> Sampler:
    """A sampler by its name and arguments, as in `tpe:startup=5`; a grid repeats its cells."""
    name, arguments = read("sampler", sampler, SAMPLERS)
    if name == "grid":
        return Grid(space, repeats)
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

    def suggest(self, known: Known) -> Suggestion | None:
        """The next point, or None if there is no other."""
        raise NotImplementedError


def cell(params: Mapping[str, Any], seed: int) -> str:
    """What identifies a point of a grid: two of them may lead to the same configuration."""
    return json.dumps([params, seed], sort_keys=True)


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

    def suggest(self, known: Known) -> Suggestion | None:
        """A point by the model; None once each point of a finite space is known."""
        number = len(known.past)
        survey = self._space.survey
        if survey.exact and all(key in known.keys for key in survey.keys):
            return None
        if known.duplicates < self.most_duplicates:
            return self._ask(known)
        rng = random.Random(f"{self._seed}/{number}/unseen")
        if survey.exact:
            unseen = [index for key, index in survey.keys.items() if key not in known.keys]
            return Suggestion(self._space.point(survey.params[rng.choice(unseen)]), "sampler")
        drawn = (self._space.sample(rng) for _ in range(_TRIES))
        point = next((point for point in drawn if point.key not in known.keys), None)
        return None if point is None else Suggestion(point, "sampler")

    def _ask(self, known: Known) -> Suggestion:
        digest = hashlib.sha256(f"{self._seed}/{len(known.past)}".encode()).digest()
        storage = Snapshot(known.past)
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
    """All points of a finite space in order, each once a seed: first all with the first seed.

    Its place is what was asked, no more.
    """

    def __init__(self, space: Space, repeats: int = 1) -> None:
        self._space, self._repeats = space, repeats
        self._walk: Iterator[Point] = space.points()
        self._cells: list[Point] = []
        self._count: int | None = None
        self._next = 0
        self._asked = 0

    def suggest(self, known: Known) -> Suggestion | None:
        """The first cell that was not asked for."""
        if len(known.cells) < self._asked:
            self._next = 0  # prepared points were dropped
        self._asked = len(known.cells)
        while (point := self._at(self._next)) is not None:
            if cell(point.params, point.seed) not in known.cells:
                return Suggestion(point, "grid")
            self._next += 1
        return None

    def _at(self, index: int) -> Point | None:
        """The point at a place of the whole walk, seeds included; None behind its end."""
        while self._count is None and index >= len(self._cells):
            point = next(self._walk, None)
            if point is None:
                self._count = len(self._cells)
            else:
                self._cells.append(point)
        if self._count is None:
            return self._cells[index]
        if index >= self._count * self._repeats:
            return None
        point = self._cells[index % self._count]
        return with_seed(point, point.seed + index // self._count)


def with_seed(point: Point, seed: int) -> Point:
    """The same point with another seed of its run."""
    return point if seed == point.seed else replace(point, config=point.config.with_seed(seed))
