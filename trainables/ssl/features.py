"""Features of networks and splits, computed once for all evaluations that ask for them."""

# N images, C channels, S side, D width of features.

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.core import liveness
from trainables.data.choosing import stratified
from trainables.data.images import Split
from trainables.layers.last_blocks import block_features
from trainables.ssl.pretraining_task import PretrainingTask
from trainables.ssl.students import AT_ONCE as AT_ONCE
from trainables.ssl.students import Student, exact

MOST_PIXELS = 64
"""Sides of images that are compared as they are."""
BANK = "bank"
"""The training images that features are compared with, in place of a split."""

Embed = Callable[[Tensor], Tensor]
"""Makes features [n, D] of standardised images [n, C, S, S]."""


class Features:
    """Features [N, D] of the networks of an experiment, until their weights change.

    Those of a network are kept by the digest of its weights: whichever evaluation asks for them
    first computes them.
    """

    def __init__(self, experiment: PretrainingTask) -> None:
        self._experiment = experiment
        self._kept: dict[str, tuple[str, dict[str, Tensor]]] = {}

    @property
    def bank(self) -> Tensor:
        """Positions of the training images that are looked among."""
        experiment = self._experiment
        labels = experiment.split("train").labels
        most = experiment.config.evaluation.neighbours.bank
        if most is None or most >= len(labels):
            return torch.arange(len(labels))
        return torch.from_numpy(stratified(labels.numpy(), most, experiment.config.data.split_seed))

    def labels(self, split: str) -> Tensor:
        """Of the bank or of a split, int64 [N]."""
        if split == BANK:
            return self._experiment.split("train").labels[self.bank]
        return self._experiment.split(split).labels

    def of(self, network: Student, split: str) -> Tensor:
        """What the network says of the bank or of a split, [N, D]."""
        return self._wide(network, split)[:, -network.backbone.width :]

    def of_blocks(self, network: Student, split: str) -> Tensor:
        """The same of as many of its last blocks as the probe sees, side by side."""
        return self._wide(network, split)

    def blocks_of(self, network: Student, images: Tensor) -> Tensor:
        """What is not kept: as `of_blocks`, of standardised images [n, C, S, S], `placed`."""
        probe = self._experiment.config.evaluation.probe
        blocks = probe.blocks if probe.steps else 1
        return block_features(network.backbone, network.sized(images), blocks)

    def pixels(self, split: str) -> Tensor:
        """The images themselves, `shrunk`, [N, C · S · S]."""
        return self._computed(shrunk, split)

    def forget(self) -> None:
        """Lets go of what is kept, so that training has the memory."""
        self._kept.clear()

    def placed(self, values: Tensor) -> Tensor:
        """On the device of the networks, and of their precision if it is floating."""
        like = next(self._experiment.parameters())
        kind = like.dtype if values.is_floating_point() else values.dtype
        return values.to(like.device, kind)

    def _wide(self, network: Student, split: str) -> Tensor:
        learner = self._experiment.learner
        names = {id(one): name for name, one in learner.apart().items()}
        name, now = names.get(id(network), ""), digest(network.backbone)
        if self._kept.get(name, ("",))[0] != now:
            self._kept[name] = (now, {})
        found = self._kept[name][1]
        if split not in found:
            found[split] = self._computed(partial(self.blocks_of, network), split)
        return found[split]

    def _computed(self, embed: Embed, split: str) -> Tensor:
        """[N, D], in single precision at least."""
        images: Split = self._experiment.split("train" if split == BANK else split)
        positions = self.bank if split == BANK else torch.arange(len(images))
        found: list[Tensor] = []
        for part in positions.split(AT_ONCE):
            liveness.alive()
            found.append(exact(embed(self.placed(images.take(part)))))
        return torch.cat(found)


def shrunk(images: Tensor) -> Tensor:
    """Images [N, C, H, W] as vectors [N, C · S · S], of `MOST_PIXELS` a side at most.

    Larger ones are averaged: what a vote of raw pixels sees, and a bank of them fits in memory.
    """
    side = max(images.shape[-2:])
    if side > MOST_PIXELS:
        size = [max(1, round(one * MOST_PIXELS / side)) for one in images.shape[-2:]]
        images = functional.interpolate(images, size, mode="area")
    return images.flatten(1)


def digest(network: nn.Module) -> str:
    """Of the parameters and buffers of a network: names and bits."""
    found = hashlib.blake2b(digest_size=16)
    for name, value in network.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return found.hexdigest()
