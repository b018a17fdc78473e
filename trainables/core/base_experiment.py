"""What the loop sees of an experiment: networks, loss, batches, optimiser and evaluations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, repeat
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from trainables.core import distributed
from trainables.core.groups import MAIN, GroupSettings
from trainables.core.optimizers import parameter_groups
from trainables.core.randomness import permutation
from trainables.core.training import ExperimentConfig

References = dict[str, dict[str, float]]
"""What methods that learn nothing score: by their name, then by that of the value."""

Batch = dict[str, Tensor]
"""Tensors by name, each with the examples of the batch along its first dimension.

`examples` [B], int64, on the CPU, says which they are: the loop keeps account of their order. A
tensor that is called `views`, or `…_views`, has several pictures of each, [B, V, C, H, W].
"""


class Loss(NamedTuple):
    """The total loss of a batch, a scalar, and the terms to log, by name, scalars too.

    `each` [B], of which the total is the mean, is the loss of each example, where it does not
    depend on the others; None where it does, or where nobody asks for it.
    """

    total: Tensor
    terms: Mapping[str, Tensor]
    each: Tensor | None = None


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found: values by name, and functions that write a file each.

    `figures` by name write a PNG, `records` a CSV with a line for each example, `files` by a name
    with its ending, such as `attention.npz`, whatever is neither picture nor table.
    """

    values: dict[str, float]
    figures: dict[str, Callable[[Path], None]] = field(
        default_factory=dict[str, Callable[[Path], None]]
    )
    records: dict[str, Callable[[Path], None]] = field(
        default_factory=dict[str, Callable[[Path], None]]
    )
    files: dict[str, Callable[[Path], None]] = field(
        default_factory=dict[str, Callable[[Path], None]]
    )


@dataclass(frozen=True)
class Evaluation:
    """A measurement of the networks on a split; its metrics are called `name/value`.

    It is made every so many steps (`every`, 0: once an epoch) and after the last one; on the split
    `test` only once, at the end of a search. `function` is told whether this is the last time.
    `references`, if given, says what methods that learn nothing score on the same examples, in the
    names of its values; it is asked once a run, and the networks are evaluated untrained then too:
    as any other time, or by `untrained`, for what is measured at the last time alone.

    Both run in inference mode. What learns (a probe, a gradient of the networks) does so within
    `measuring.learning`; what takes minutes calls `liveness.alive` now and then.
    """

    name: str
    split: str
    function: Callable[[bool], Evaluated]
    every: int = 0
    references: Callable[[], References] | None = None
    untrained: Callable[[], Evaluated] | None = None


class BaseExperiment(nn.Module, ABC):
    """An experiment without its entry points; families derive from `experiment.Experiment`."""

    config_class: ClassVar[type[ExperimentConfig]]

    def __init__(self, config: ExperimentConfig) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def load(self) -> dict[str, object]:
        """Reads the data; returns facts: `data.name`, `data.fingerprint`, `data.split_sizes`."""

    @property
    @abstractmethod
    def num_examples(self) -> int:
        """How many training examples there are."""

    def taken(self, step: int, places: Tensor) -> Tensor:
        """The training examples at these places [N] of the batch of a step, int64 [N].

        Each epoch has an order of its own, a function of the seed; its last, partial batch is left
        out.
        """
        training = self.config.training
        epoch, place = divmod(step - 1, training.steps_an_epoch(self.num_examples))
        order = permutation(training.seed, epoch, self.num_examples)
        return order[place * training.batch_size + places]

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """The batch of a step (from 1), augmented: a function of the seed and the step.

        With `training.prefetch` it is called in a thread, while networks train or are evaluated.
        """

    def share(self, step: int, places: Tensor) -> Batch:
        """Of the batch of a step only the examples at these places, bit for bit the same.

        Places [N] in 0…batch_size−1, int64, in the order of the batch: what one of several workers
        takes. Here the whole batch is made and cut; an experiment that can load the examples of a
        share alone does so.
        """
        return {name: tensor[places] for name, tensor in self.batch(step).items()}

    def batches(self, first_step: int) -> Iterator[Batch]:
        """The batches of all steps from `first_step` on; in a group this rank's share of each.

        With `training.one_batch` each is that of step 1.

        Raises:
            ValueError: the batch cannot be cut in equal parts for all ranks.
        """
        settings = self.config.training
        steps = repeat(1) if settings.one_batch else count(first_step)
        if distributed.size() == 1:
            return map(self.batch, steps)
        places = distributed.places(settings.batch_size, settings.num_micro_batches)
        return (self.share(step, places) for step in steps)

    @abstractmethod
    def forward(self, batch: Batch, step: int) -> Loss:
        """The loss of a batch or of a micro-batch: a mean over its examples."""

    @abstractmethod
    def optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimiser of the configuration."""

    @abstractmethod
    def learning_rate(self, step: int, total: int) -> float:
        """The learning rate of a step (from 1) of `total`, of the main group."""

    @abstractmethod
    def evaluations(self) -> list[Evaluation]:
        """What is measured, and when."""

    def weight_decay(self) -> float:
        """The weight decay of tensors of two or more dimensions."""
        return 0.0

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The groups of the optimiser, each with a `name` (none: `main`); some may share one."""
        return parameter_groups(self.named_parameters(), self.weight_decay())

    def group_settings(self, step: int, total: int) -> Mapping[str, GroupSettings]:
        """Learning rate and, if it changes, weight decay of each group at a step, by its name.

        Here there is the main group alone, whose decay stays as it is.
        """
        return {MAIN: GroupSettings(self.learning_rate(step, total))}

    def networks(self) -> Iterable[nn.Module]:
        """The networks that `compile` and `channels_last` are for."""
        return ()

    def costs(self) -> dict[str, float]:
        """What the networks cost by themselves, once they are on their device: `cost/…` by name.

        Said with the costs of steps, which nothing compares: a clock is never the same.
        """
        return {}

    def after_backward(self, step: int) -> None:
        """Called when the gradients of a step are there, before clipping; with SAM, both times."""

    def after_update(self, step: int) -> None:
        """Called after the update of a step."""
