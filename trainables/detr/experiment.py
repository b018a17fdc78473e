"""Detection as the prediction of a set of boxes, and when it is measured."""

from __future__ import annotations

from functools import partial

from trainables.core.experiment import Evaluated, Evaluation
from trainables.detr import building
from trainables.detr.measuring import Measuring
from trainables.detr.task import DetectionTask
from trainables.figures.alphas import alphas_by_layer


class DetectionExperiment(DetectionTask):
    """The loss of matched queries and objects; measured by average precision and sparsity."""

    def evaluations(self) -> list[Evaluation]:
        """Detections and attention on both splits; each α, if any is learned, whenever metrics are
        logged.
        """
        training, measuring = self.config.training, Measuring(self)
        found = [
            Evaluation(
                split,
                split,
                partial(self._measured_with_padding, measuring, split),
                every=0 if split == "test" else training.evaluate_every,
                references=partial(measuring.references, split),
            )
            for split in ("val", "test")
        ]
        if self.config.learned_alphas:
            found.append(Evaluation("alpha", "val", self._alphas, every=training.log_every))
        return found

    def _measured_with_padding(self, measuring: Measuring, split: str, last: bool) -> Evaluated:
        """What is measured where padding is as it is stated."""
        with building.padded(self.network, self.config.evaluation.padding):
            return measuring.measure(split, last)

    def _alphas(self, last: bool) -> Evaluated:
        """Each α as it is now, by layer and head; at the last time drawn, too."""
        tables = building.alpha_tables(self.network)
        found = Evaluated(building.alphas(self.network))
        if last and tables:
            found.figures["layers"] = partial(alphas_by_layer, models=tables)
        if last and self.alpha_history is not None:
            found.figures.update(self.alpha_history.figures(self.network))
        return found
