"""The settings of a run that every experiment has: how long, how much at once, how often, how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from trainables.core.config import Config

Count = Annotated[int, Field(ge=1)]
Cadence = Annotated[int, Field(ge=0)]

EVALUATION = "evaluation"
"""The part of an experiment's configuration, if it has one, with the settings of evaluations."""
_ABSENT = "absent"


class Training(Config):
    """How a run goes.

    `epochs` passes over the training set, unless `steps` says how many optimiser steps. A step sees
    `batch_size` images in `num_micro_batches` equal parts whose gradients are averaged. Every
    `log_every` steps the training metrics are reported, every `evaluate_every` the evaluations,
    every `save_every` a checkpoint (0: once an epoch); the last step always does all three.
    `clip_norm` bounds the global norm of the gradient (0: no bound).
    """

    epochs: Count = 20
    steps: Count | None = None
    batch_size: Count = 64
    num_micro_batches: Count = 1
    log_every: Cadence = 0
    evaluate_every: Cadence = 0
    save_every: Cadence = 0
    clip_norm: float = Field(default=1.0, ge=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    compile: bool = False
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _micro_batches_are_equal(self) -> Training:
        if self.batch_size % self.num_micro_batches:
            raise ValueError(
                f"num_micro_batches must divide training.batch_size ({self.batch_size}), "
                f"got {self.num_micro_batches}"
            )
        return self

    def void(self) -> frozenset[str]:
        """The seed, which is what a repeat changes; how often one looks; epochs if steps are given.

        Evaluations are no mere looking: the best of them counts.
        """
        looking = {"seed", "log_every", "save_every"}
        return frozenset(looking if self.steps is None else looking | {"epochs"})

    def steps_an_epoch(self, examples: int) -> int:
        """Steps in one pass over so many examples; the last, partial batch is dropped.

        Raises:
            ValueError: the batch is larger than the set.
        """
        if self.batch_size > examples:
            raise ValueError(
                f"training.batch_size must be at most the {examples} training examples, "
                f"got {self.batch_size}"
            )
        return examples // self.batch_size

    def epochs_at(self, step: int, examples: int) -> float:
        """Passes made after `step` steps: 1.0 is one pass, less the batch that was dropped."""
        return step / self.steps_an_epoch(examples)

    def total_steps(self, examples: int) -> int:
        """Optimiser steps of the whole run."""
        if self.steps is not None:
            return self.steps
        return self.epochs * self.steps_an_epoch(examples)

    def evaluations_made(self) -> int | None:
        """How many steps of a run have evaluations; None if that depends on the training set."""
        if self.steps is None:
            return None if self.evaluate_every else self.epochs
        return -(-self.steps // self.evaluate_every) if self.evaluate_every else None

    def is_due(self, every: int, step: int, examples: int) -> bool:
        """Whether something that comes every so many steps (0: every epoch) is due after `step`."""
        last = step == self.total_steps(examples)
        return last or step % (every or self.steps_an_epoch(examples)) == 0


class ExperimentConfig(Config):
    """The configuration of a whole experiment.

    `experiment` names what runs it, as `module:attribute`; `name` is `family.experiment`. What
    stands in a part called `evaluation` changes how networks are measured, not how they are
    trained: trained ones may be evaluated with other values there.
    """

    experiment: ClassVar[str]
    name: ClassVar[str]
    training: Training = Training()

    @property
    def seed(self) -> int:
        """The seed of the run; with the digest it identifies a trial."""
        return self.training.seed

    def with_seed(self, seed: int) -> Self:
        """The same configuration with another seed of the run."""
        return self.with_values({"training.seed": seed})

    def missing(self) -> str | None:
        """What a run needs and is not there, such as its data: one sentence on what to do, or None.

        Asked before a run or a search begins, so that none begins in vain.
        """
        return None

    def evaluations_made(self) -> int | None:
        """How often a run reports its evaluations; None if that depends on the data."""
        return self.training.evaluations_made()

    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256 of the experiment's name and the canonical form."""
        facts: list[Any] = [self.experiment, self.canonical()]
        text = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def evaluation_paths(cls) -> frozenset[str]:
        """The paths of the settings of evaluations: what stands in the part `evaluation`."""
        return frozenset(path for path in cls.paths() if path.startswith(f"{EVALUATION}."))

    def first_difference(self, other: ExperimentConfig) -> tuple[str, Any, Any] | None:
        """Why networks trained with the other configuration are not those of this one.

        Returns the path of the first value, the seed included, on which training depends and that
        differs, with both values (`absent` where it is none); None if there is no such value.
        """
        mine, others = _trained(self), _trained(other)
        for path in dict.fromkeys([*mine, *others]):
            values = mine.get(path, _ABSENT), others.get(path, _ABSENT)
            if values[0] != values[1]:
                return path, *values
        return None


def _trained(config: ExperimentConfig) -> dict[str, Any]:
    """The values on which training depends, by path."""
    parts = {name: part for name, part in config.canonical().items() if name != EVALUATION}
    return {**_leaves(parts, ""), "training.seed": config.seed}


def _leaves(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        is_part = isinstance(value, Mapping)
        found |= _leaves(value, f"{prefix}{name}.") if is_part else {f"{prefix}{name}": value}
    return found
