"""Unsupervised segmentation of scenes, and when it is measured."""

from __future__ import annotations

from functools import partial

from trainables.core.experiment import Evaluation
from trainables.ssl.segmentation_clusters import ClusterUse
from trainables.ssl.segmentation_measuring import Measuring
from trainables.ssl.segmentation_task import SegmentationTask


class SegmentationExperiment(SegmentationTask):
    """Codes of places, measured by classes of pixels or by how clusters are used."""

    def evaluations(self) -> list[Evaluation]:
        """Classes of pixels on the validation and on the test split, or how clusters are used."""
        every, measuring = self.config.training.evaluate_every, Measuring(self)
        if not self.config.data.class_names:
            look = ClusterUse(self, measuring)
            return [
                Evaluation(
                    split,
                    split,
                    partial(look.measure, split),
                    every=0 if split == "test" else every,
                    references=partial(look.references, split),
                )
                for split in ("val", "test")
            ]
        return [
            Evaluation(
                split,
                split,
                partial(measuring.measure, split),
                every=0 if split == "test" else every,
                references=partial(measuring.references, split),
            )
            for split in ("val", "test")
        ]
