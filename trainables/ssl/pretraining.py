"""Pretraining of a network on images, and when it is measured."""

from __future__ import annotations

from functools import partial

from trainables.core.experiment import Evaluation
from trainables.ssl import beside, changing, corrupting, landscapes
from trainables.ssl.features import Features
from trainables.ssl.measuring import Measuring
from trainables.ssl.pictures import Pictures
from trainables.ssl.pretraining_task import PretrainingTask


class PretrainingExperiment(PretrainingTask):
    """The loss of views of each image by a method, and what features are good for."""

    def evaluations(self) -> list[Evaluation]:
        """Neighbours and probe on the validation and on the test split; health, pictures, accuracy
        on corrupted and on changed images, another checkpoint beside.
        """
        every, features = self.config.training.evaluate_every, Features(self)
        measuring = Measuring(self, features)
        found = [
            Evaluation(
                split,
                split,
                partial(measuring.classify, split),
                every=0 if split == "test" else every,
                references=partial(measuring.references, split),
                untrained=partial(measuring.classify, split, True),
            )
            for split in ("val", "test")
        ]
        if self.config.evaluation.health:
            found.append(Evaluation("health", "val", measuring.health, every))
        corruption, seed = self.config.evaluation.corruption, self.config.data.split_seed
        found += corrupting.evaluations(corruption, self.data, measuring, seed=seed)
        natural = self.config.evaluation.natural
        found += changing.evaluations(natural, self.config.data, self.data, measuring)
        if self.config.evaluation.landscape.resolution:
            landscapes.check(self)
            look = partial(landscapes.of_views, self)
            found.append(Evaluation("landscape", "val", look, every))
        if self.config.evaluation.beside.file is not None:
            found.append(
                Evaluation(beside.NAME, "val", beside.Beside(self, features, measuring).measure, 0)
            )
        often = self.config.evaluation.figures.draw_every or every
        return [*found, Evaluation("pictures", "val", Pictures(self, features).draw, often)]
