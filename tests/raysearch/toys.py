"""A small configuration that satisfies the service's protocol, no more, and sweeps of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar

from raysearch.sweeps.sweep import Metric, Sweep, sweep

SCORE = Metric("valid/score", "maximize", reduce="best")
LOSS = Metric("valid/loss", "minimize")


@dataclass(frozen=True)
class Adam:
    lr: float = 0.01
    decay: float = 0.0
    kind: str = "adam"


@dataclass(frozen=True)
class Sgd:
    lr: float = 0.1
    momentum: float = 0.9
    kind: str = "sgd"


@dataclass(frozen=True)
class Training:
    epochs: int = 4
    seed: int = 0


VARIANTS = {"adam": Adam, "sgd": Sgd}


@dataclass(frozen=True)
class Toy:
    """`heads` must divide `width`; `slots` is void unless there are heads."""

    experiment: ClassVar[str] = "toys:run"
    name: ClassVar[str] = "toys.toy"

    optimizer: Adam | Sgd = Adam()
    depth: int = 2
    width: int = 64
    heads: int = 4
    slots: int = 3
    patch: int = 4
    batch: int = 32
    rate: float = 0.0
    training: Training = Training()

    def __post_init__(self) -> None:
        if self.heads and self.width % self.heads:
            raise ValueError(f"heads must divide width ({self.width}), got {self.heads}")

    @property
    def seed(self) -> int:
        return self.training.seed

    def with_seed(self, seed: int) -> Toy:
        return self.with_values({"training.seed": seed})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Toy:
        kind = VARIANTS[data["optimizer"]["kind"]]
        parts: dict[str, Any] = {
            "optimizer": kind(**data["optimizer"]),
            "training": Training(**data["training"]),
        }
        return cls(**{**data, **parts})

    def canonical(self) -> dict[str, Any]:
        data = self.to_json()
        del data["training"]["seed"]
        if not self.heads:
            del data["slots"]
        return data

    def digest(self) -> str:
        text = json.dumps([self.experiment, self.canonical()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def value_at(self, path: str) -> Any:
        found: Any = self
        for part in path.split("."):
            if not hasattr(found, part) or part.startswith("_"):
                raise LookupError(f"no path {path!r}")
            found = getattr(found, part)
        return found

    def with_values(self, values: Mapping[str, object]) -> Toy:
        config = self
        for path in sorted(values, key=lambda path: path != "optimizer.kind"):
            config = config._with(path, values[path])
        return config

    def _with(self, path: str, value: Any) -> Toy:
        self.value_at(path)
        if path == "optimizer.kind":
            if value not in VARIANTS:
                raise ValueError(f"optimizer.kind must be 'adam' or 'sgd', got {value!r}")
            return (
                self if self.optimizer.kind == value else replace(self, optimizer=VARIANTS[value]())
            )
        head, _, tail = path.partition(".")
        part = replace(getattr(self, head), **{tail: value}) if tail else value
        return replace(self, **{head: part})

    @classmethod
    def paths(cls) -> frozenset[str]:
        return frozenset(cls._paths())

    @classmethod
    def _paths(cls) -> Iterator[str]:
        for field in fields(cls):
            if field.name == "training":
                yield from ("training.epochs", "training.seed")
            elif field.name == "optimizer":
                for variant in VARIANTS.values():
                    yield from (f"optimizer.{inner.name}" for inner in fields(variant))
            else:
                yield field.name


def swept(function: Any, **stated: Any) -> Sweep:
    """The sweep of a function, stated on the spot."""
    arguments: dict[str, Any] = {"metrics": [SCORE], **stated}
    return sweep(**arguments)(function)


def grid(trial: Any) -> Toy:
    """12 points, all distinct."""
    return Toy(
        depth=trial.suggest_int("depth", 1, 4),
        rate=trial.suggest_float("rate", 0.0, 0.2, step=0.1),
    )


def conditional(trial: Any) -> Toy:
    """Infinite: two branches, each with an lr of its own."""
    kind = trial.suggest_categorical("optimizer.kind", ["adam", "sgd"])
    if kind == "adam":
        optimizer: Adam | Sgd = Adam(
            lr=trial.suggest_float("optimizer[adam].lr", 1e-4, 1e-1, log=True)
        )
    else:
        optimizer = Sgd(
            lr=trial.suggest_float("optimizer[sgd].lr", 1e-3, 1.0, log=True),
            momentum=trial.suggest_float("optimizer.momentum", 0.0, 0.99),
        )
    return Toy(optimizer=optimizer, depth=trial.suggest_int("depth", 1, 4))


def branching(trial: Any) -> Toy:
    """Finite and conditional: 3 depths without heads, and 3 × 2 widths × 2 heads × 3 slots with."""
    depth = trial.suggest_int("depth", 1, 3)
    heads = trial.suggest_categorical("heads", [0, 2, 4])
    if heads == 0:
        return Toy(depth=depth, heads=0)
    width = trial.suggest_categorical("width", [32, 64])
    slots = trial.suggest_int("slots", 2, 4)
    return Toy(depth=depth, heads=heads, width=width, slots=slots)


def continuous(trial: Any) -> Toy:
    """Two continuous parameters and an integer."""
    return Toy(
        optimizer=Adam(
            lr=trial.suggest_float("optimizer.lr", 1e-4, 1.0, log=True),
            decay=trial.suggest_float("optimizer.decay", 0.0, 1.0),
        ),
        depth=trial.suggest_int("depth", 1, 8),
    )


SIZES = {"small": (4, 32), "middle": (8, 64), "large": (16, 128)}


def tied(trial: Any) -> Toy:
    """Patch and batch size tied in one choice."""
    patch, batch = SIZES[trial.suggest_categorical("choice.size", ["large", "middle", "small"])]
    return Toy(patch=patch, batch=batch, depth=trial.suggest_int("depth", 1, 2))


TIED = swept(tied, choices={"choice.size": ("patch", "batch")})
GRID = swept(grid, sampler="grid", stated=10)
CONDITIONAL = swept(conditional)
BRANCHING = swept(branching, sampler="grid")
CONTINUOUS = swept(continuous)
