"""Representations of images and of the objects in them, and when they are measured."""

from __future__ import annotations

from functools import partial

from trainables.core.experiment import Evaluation
from trainables.osc.measuring import Measuring
from trainables.osc.task import RepresentationTask


class RepresentationExperiment(RepresentationTask):
    """The loss of two views of each image, and what representations are good for."""

    def evaluations(self) -> list[Evaluation]:
        """All of it, on the validation and on the test split."""
        measuring = Measuring(self)
        return [
            Evaluation(
                split,
                split,
                partial(measuring.measure, split),
                every=0 if split == "test" else self.config.training.evaluate_every,
                references=partial(measuring.references, split),
                untrained=partial(measuring.untrained, split),
            )
            for split in ("val", "test")
        ]
