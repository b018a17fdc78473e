"""The settings of a training: how long, how much at once, how often, how."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.core.run import SeededConfig

Count = Annotated[int, Field(ge=1)]
Cadence = Annotated[int, Field(ge=0)]


class Training(Config):
    """How a run goes.

    `epochs` passes over the training set, unless `steps` says how many optimiser steps (0: the
    networks are evaluated and saved as they start). A step sees `batch_size` images in
    `num_micro_batches` equal parts whose gradients are averaged. Every `log_every` steps the
    training metrics are reported, every `evaluate_every` the evaluations, every `save_every` a
    checkpoint (0: once an epoch); the last step always does all three. Checkpoints go when later
    ones are there; every `weights_every` steps, from the start on, weights alone are kept for good
    (0: never), as the path of the training is drawn of them. `clip_norm` bounds the
    global norm of the gradient (0: no bound). `prefetch` batches are made ahead in a thread, the
    same ones bit for bit (0: each when its step begins). With `one_batch` each step sees the batch
    of the first one, augmented as there: what can learn anything learns it by heart.
    """

    epochs: Count = 20
    steps: Cadence | None = None
    batch_size: Count = 64
    num_micro_batches: Count = 1
    log_every: Cadence = 0
    evaluate_every: Cadence = 0
    save_every: Cadence = 0
    weights_every: Cadence = 0
    clip_norm: float = Field(default=1.0, ge=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    compile: bool = False
    prefetch: int = Field(default=0, ge=0)
    one_batch: bool = False
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
        """The seed, which is what a repeat changes; how often one looks, and when batches are made;
        epochs if steps are given; that all batches are seen.

        Evaluations are no mere looking: the best of them counts.
        """
        found = {"seed", "log_every", "save_every", "weights_every", "prefetch"}
        found |= set() if self.one_batch else {"one_batch"}
        return frozenset(found if self.steps is None else found | {"epochs"})

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
        if not self.steps:
            return 1
        return -(-self.steps // self.evaluate_every) if self.evaluate_every else None

    def is_due(self, every: int, step: int, examples: int) -> bool:
        """Whether something that comes every so many steps (0: every epoch) is due after `step`."""
        last = step == self.total_steps(examples)
        return last or step % (every or self.steps_an_epoch(examples)) == 0


class ExperimentConfig(SeededConfig):
    """The configuration of an experiment that is trained: its own fields, and `training`.

    One that has no use for the settings of a training derives from `run.RunConfig` instead.
    """

    SEED: ClassVar[str] = "training.seed"
    training: Training = Training()

    @classmethod
    def __pydantic_init_subclass__(cls, **arguments: Any) -> None:
        """Raises ValueError if `training` was made something else."""
        super().__pydantic_init_subclass__(**arguments)
        kind = cls.model_fields["training"].annotation
        if not (isinstance(kind, type) and issubclass(kind, Training)):
            raise ValueError(
                f"training of {cls.__name__} must be a Training, since the seed of the run is in "
                f"it; call the field otherwise"
            )

    @property
    def seed(self) -> int:
        """The seed of the run: it is training.seed, as config["training"]["seed"] in a run."""
        return self.training.seed

    def evaluations_made(self) -> int | None:
        """How often a run reports its evaluations; None if that depends on the data."""
        return self.training.evaluations_made()
