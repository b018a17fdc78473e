"""What a sweep states: space, metrics, sampler, pruner, budget, repeats, resources, question."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self

from raysearch.costs import COSTS
from raysearch.errors import BadSetting
from raysearch.sweeps.pruners import Joined, PruningRule
from raysearch.sweeps.samplers import SamplingRule

Direction = Literal["maximize", "minimize"]
Fidelity = Literal["epochs", "samples", "evaluations"]
Incomplete = Literal["last", "rank"]

_BRACKETS = re.compile(r"\[[^\[\]]*\]")
_REDUCTION = re.compile(r"last|best|mean\([1-9][0-9]*\)")
_TRIALS = 32  # what a sweep that states no number of trials runs, unless it is a grid


def bare(name: str) -> str:
    """The config path of a parameter's name: `optimizer[sgd].lr` → `optimizer.lr`."""
    return _BRACKETS.sub("", name)


class Config(Protocol):
    """All that the service knows of a configuration; `needs` says what it may also have."""

    experiment: ClassVar[str]
    name: ClassVar[str]

    @property
    def seed(self) -> int:
        """The seed of the run: with the digest it identifies a trial."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Every field, as plain JSON."""
        ...

    def canonical(self) -> dict[str, Any]:
        """`to_json` without the seed and without the fields that are void in this configuration."""
        ...

    def digest(self) -> str:
        """A short hash of the canonical form."""
        ...

    def value_at(self, path: str) -> Any:
        """The value at a dotted path. Raises LookupError if there is none here."""
        ...

    def with_values(self, values: Mapping[str, object]) -> Self:
        """The configuration with other values at dotted paths, checked."""
        ...

    def with_seed(self, seed: int) -> Self:
        """The configuration with another seed of the run."""
        ...

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """The configuration that `to_json` wrote."""
        ...

    @classmethod
    def paths(cls) -> frozenset[str]:
        """All dotted paths of leaves, through all variants."""
        ...


class Trial(Protocol):
    """What a sweep's function may ask; an Optuna trial is one."""

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> float:
        """A float in low…high, both included."""
        ...

    def suggest_int(
        self, name: str, low: int, high: int, *, log: bool = False, step: int = 1
    ) -> int:
        """An integer in low…high, both included."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        ...


@dataclass(frozen=True)
class Metric:
    """What is compared, in which direction, and how a trial's reports become one number.

    `reduce` is `last`, `best` (so far, in the direction) or `mean(k)` (of the last k reports). A
    cost is no metric: it is another one when a trial goes on after a kill, or beside other trials.
    """

    name: str
    direction: Direction
    reduce: str = "last"

    def __post_init__(self) -> None:
        """Raises ValueError for a cost, or a direction or reduction that does not exist."""
        if self.name.startswith(COSTS):
            raise BadSetting(
                f"metric {self.name!r} must not begin with {COSTS!r}, which are costs: they differ "
                f"each time, so no search by them could be resumed or repeated; report what is to "
                f"be compared by another name"
            )
        if self.direction not in ("maximize", "minimize"):
            raise BadSetting(
                f"direction of metric {self.name!r} must be 'maximize' or 'minimize', "
                f"got {self.direction!r}"
            )
        if not _REDUCTION.fullmatch(self.reduce):
            raise BadSetting(
                f"reduce of metric {self.name!r} must be 'last', 'best' or 'mean(k)', k from 1, "
                f"got {self.reduce!r}"
            )


@dataclass(frozen=True)
class Resources:
    """What one trial needs.

    `workers` above 1 train it together: each sees its share of each batch, and has so many `cpus`
    and `gpus`, whole ones or a part of one (0.5: two share it). `memory` is a size such as `800M`
    for the whole trial (None: an equal share of the machine); `patience` is the time in seconds
    without a word (a report, `session.alive()`) after which a trial counts as hanging; several
    workers have at least 300 s until their first word.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory: str | None = None
    patience: float = 1800.0
    workers: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError for a need that is negative, or that Ray cannot meet."""
        for name in ("cpus", "gpus"):
            if getattr(self, name) < 0:
                raise BadSetting(
                    f"resources.{name} must be at least 0, got {getattr(self, name):g}"
                )
        if self.patience <= 0:
            raise BadSetting(f"resources.patience must be above 0 seconds, got {self.patience:g}")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise BadSetting(f"resources.gpus must be a whole number or below 1, got {self.gpus:g}")
        if self.workers < 1:
            raise BadSetting(f"resources.workers must be at least 1, got {self.workers}")
        if self.workers > 1 and not self.cpus:
            raise BadSetting(
                f"resources.cpus must be above 0 for each of {self.workers} workers, got 0"
            )


@dataclass(frozen=True, eq=False)
class Sweep:
    """A declared sweep: a function of a trial that returns a configuration, and what it states.

    `trials` None means every point of a grid, otherwise no limit. `stated` is the number of points
    that the notes give, shown beside the exact count. `choices` says which config paths each
    `choice.<name>` sets. With `repeats` above 1 each cell of a grid is run with so many seeds, and
    of any other search, at its end, the best few (`finalists`). `incomplete` says where a
    configuration stands of which a seed diverged or failed by its own fault: `last`, behind all
    whose seeds completed, or in its `rank` by the mean of those that survived. `evaluates` names
    the sweep whose finished trials this one evaluates.
    """

    name: str
    function: Callable[[Any], Any]
    metrics: tuple[Metric, ...]
    sampler: str = "tpe"
    pruner: str = "none"
    trials: int | None = _TRIALS
    fidelity: Fidelity = "epochs"
    stated: int | None = None
    repeats: int = 1
    finalists: int = 3
    incomplete: Incomplete = "last"
    resources: Resources = Resources()
    question: str = ""
    group: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: str = ""
    evaluates: str | None = None
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be, naming the sweep."""
        names = [metric.name for metric in self.metrics]
        if not names:
            raise BadSetting(
                f"metrics of sweep {self.name} must name at least one metric, got none"
            )
        if len(set(names)) < len(names):
            raise BadSetting(f"metrics of sweep {self.name} must differ, got {', '.join(names)}")
        if self.fidelity not in ("epochs", "samples", "evaluations"):
            raise BadSetting(
                f"fidelity of sweep {self.name} must be 'epochs', 'samples' or 'evaluations', "
                f"got {self.fidelity!r}"
            )
        check_incomplete(f"incomplete of sweep {self.name}", self.incomplete)
        for what, number in (
            ("trials", self.trials),
            ("repeats", self.repeats),
            ("finalists", self.finalists),
        ):
            if number is not None and number < 1:
                raise BadSetting(f"{what} of sweep {self.name} must be at least 1, got {number}")

    def __call__(self, trial: Trial) -> Any:
        """The configuration that the function returns for a trial."""
        return self.function(trial)

    @property
    def reference(self) -> str:
        """By what another process finds it: `module:attribute`."""
        return f"{self.function.__module__}:{self.function.__qualname__}"


def check_incomplete(what: str, value: str) -> None:
    """Raises ValueError for a rule that does not exist."""
    if value not in ("last", "rank"):
        raise BadSetting(f"{what} must be 'last' or 'rank', got {value!r}")


def sweep(
    *,
    metrics: Sequence[Metric],
    name: str | None = None,
    sampler: str | SamplingRule = "tpe",
    pruner: str | PruningRule | Joined = "none",
    trials: int | None = None,
    fidelity: Fidelity = "epochs",
    stated: int | None = None,
    repeats: int = 1,
    finalists: int = 3,
    incomplete: Incomplete = "last",
    resources: Resources | None = None,
    question: str = "",
    group: str = "",
    tags: Mapping[str, str] | None = None,
    notes: str = "",
    evaluates: str | None = None,
    choices: Mapping[str, Sequence[str]] | None = None,
) -> Callable[[Callable[[Any], Any]], Sweep]:
    """Makes a sweep of the function below it.

    Unless it has a `name` of its own it is called `<last part of its module>.<function>`; `trials`
    not given means 32, or every point of a grid. One that evaluates finished trials is a grid.
    Sampler and pruner are values of `raysearch.sweeps.samplers` and `raysearch.sweeps.pruners`, or
    texts as the command line takes them: `Median(warmup=5)` or `median:warmup=5`.

    Raises:
        ValueError: what is stated cannot be.
    """

    def declare(function: Callable[[Any], Any]) -> Sweep:
        module = function.__module__.rpartition(".")[2]
        chosen = "grid" if evaluates is not None and str(sampler) == "tpe" else str(sampler)
        is_grid = chosen.partition(":")[0] == "grid"
        return Sweep(
            name=name or f"{module}.{function.__name__}",
            function=function,
            metrics=tuple(metrics),
            sampler=chosen,
            pruner=str(pruner),
            trials=trials if trials is not None or is_grid else _TRIALS,
            fidelity=fidelity,
            stated=stated,
            repeats=repeats,
            finalists=finalists,
            incomplete=incomplete,
            resources=resources or Resources(),
            question=question,
            group=group,
            tags=dict(tags or {}),
            notes=notes,
            evaluates=evaluates,
            choices={label: tuple(paths) for label, paths in (choices or {}).items()},
        )

    return declare
