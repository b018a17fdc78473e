"""Some examples of a batch: those whose loss rises most, which alone make a gradient."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainables.core import distributed
from trainables.core.base_experiment import BaseExperiment, Batch, Loss

FEWEST = 2
"""Examples of a micro-batch that go through a network: batch normalisation needs them."""


class Pass(NamedTuple):
    """What goes through the networks: a batch of this rank at a step."""

    experiment: BaseExperiment
    model: nn.Module
    batch: Batch
    step: int
    device: torch.device


class Chosen(NamedTuple):
    """Which of the examples of this rank [B] are chosen, and how many of all ranks are."""

    marks: Tensor
    number: int

    def of(self, part: Batch, index: int, parts: int) -> tuple[Batch, Tensor]:
        """The chosen examples of a micro-batch, and the weights of their losses.

        There are two at least, if the part has two, and those that are not chosen count nothing:
        ranks wait for one another, and one image alone has no batch statistics.
        """
        marks = self.marks.chunk(parts)[index]
        number = max(FEWEST, int(marks.sum()))
        rows = marks.int().argsort(descending=True, stable=True)[:number].sort().values
        rest = {name: one[rows.to(one.device)] for name, one in part.items()}
        return rest, marks[rows].double()

    def mean(self, each: Tensor, weights: Tensor) -> Tensor:
        """Their share of the mean over all that are chosen, as ranks are averaged."""
        return (each * weights.to(each.dtype)).sum() * (distributed.size() / self.number)


def most_risen(rises: Tensor, share: float) -> Chosen:
    """The examples with the largest `rises` [B] of this rank: a share of those of all ranks.

    As many as round(share · all), and at least one; of equal ones it is not said which.
    """
    everyone = distributed.gather(rises)
    number = max(1, round(share * len(everyone)))
    marks = torch.zeros_like(everyone, dtype=torch.bool)
    marks[everyone.topk(number).indices] = True
    return Chosen(marks.view(distributed.size(), -1)[distributed.rank()], number)


def of_examples(loss: Loss, experiment: nn.Module) -> Tensor:
    """The loss of each example.

    Raises:
        ValueError: it is not said.
    """
    if loss.each is None:
        raise ValueError(
            f"optimizer.example_share must be 1 for {type(experiment).__name__}, which says no "
            f"loss of each example by itself"
        )
    return loss.each
