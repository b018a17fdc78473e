"""Answers of a supervised network, and of neighbours by raw pixels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainables.data.choosing import stratified
from trainables.data.digits import Digits
from trainables.data.images import Images
from trainables.metrics.knn import class_votes
from trainables.ssl.changing import MAIN
from trainables.ssl.corrupting import Answer
from trainables.ssl.features import AT_ONCE, shrunk

NEIGHBOURS = 20
BANK = 5000
"""So many training images at most are neighbours of pixels."""


class ClassifierAnswers:
    """The answers of a network with so many classes that was trained on some data."""

    def __init__(
        self, network: nn.Module, data: Digits | Images, classes: int, *, seed: int
    ) -> None:
        self._network, self._data, self._classes, self._seed = network, data, classes, seed

    def network(self) -> Answer:
        """The largest of the logits."""
        device = next(self._network.parameters()).device

        def answer(images: Tensor) -> Tensor:
            return self._network(images.to(device)).argmax(1).cpu()

        return answer

    def answers(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """The same, of the only one that answers."""
        answer = self.network()
        return lambda images: {MAIN: answer(images)}

    def pixels(self) -> Answer:
        """The most votes of 20 neighbours by the cosine of standardised pixels."""
        labels = self._data.train.labels
        chosen = torch.arange(len(labels))
        if len(labels) > BANK:
            chosen = torch.from_numpy(stratified(labels.numpy(), BANK, self._seed))
        bank = torch.cat([shrunk(self._data.train.take(part)) for part in chosen.split(AT_ONCE)])

        def answer(images: Tensor) -> Tensor:
            votes = class_votes(
                bank,
                labels[chosen],
                shrunk(images),
                neighbors=min(NEIGHBOURS, len(bank)),
                num_classes=self._classes,
            )
            return votes.argmax(1)

        return answer

    def majority(self) -> int:
        """The class that training has most of."""
        return int(self._data.train.labels.bincount(minlength=self._classes).argmax())
