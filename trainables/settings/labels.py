"""Labels that a network of an earlier trial gives training images, in place of true ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from trainables.core.config import Config
from trainables.settings.going_on import Part, check_part, missing_checkpoint, of_content
from trainables.settings.ranges import Count, Positive, Rate


class LabelsFrom(Config):
    """Labels of training images by the `weights_part` of `weights_file`, a checkpoint of a trial.

    `by` whom: by `nobody`, labels are the true ones. The trial's own `classifier` names all images;
    or those whose true labels are known keep these, and say those of the others: by votes of
    `neighbours` of them with e^(cosine / `temperature`), or by a linear `probe` on the features. Of
    whose class less than `least_confidence` is sure, the
    probability of the class or its share of votes, is left out.
    """

    weights_file: str | None = None
    weights_part: Part | None = None
    by: Literal["nobody", "classifier", "neighbours", "probe"] = "nobody"
    neighbours: Count = 20
    temperature: Positive = 0.07
    least_confidence: Rate = 0.0

    @model_validator(mode="after")
    def _the_part_says_classes(self) -> LabelsFrom:
        check_part(self.weights_file, self.weights_part)
        if self.is_used and self.weights_file is None:
            raise ValueError(
                f"weights_file must be a checkpoint of a trial with data.labels_from.by "
                f"{self.by!r}, got null"
            )
        if self.weights_part == "teacher" and self.by == "classifier":
            raise ValueError(
                "by must be 'neighbours' or 'probe' with data.labels_from.weights_part 'teacher', "
                "since classifiers stand on features of the student, got 'classifier'"
            )
        return self

    @property
    def is_used(self) -> bool:
        """Whether a trial labels."""
        return self.by != "nobody"

    def void(self) -> frozenset[str]:
        """Of no trial everything; what only neighbours need."""
        if not self.is_used:
            return frozenset(type(self).model_fields)
        void = set[str]() if self.by == "neighbours" else {"neighbours", "temperature"}
        return frozenset(void if self.least_confidence else void | {"least_confidence"})

    def missing(self) -> str | None:
        """The sentence on a checkpoint that is not there."""
        return missing_checkpoint("data.labels_from", self.weights_file) if self.is_used else None

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return of_content(super()._canonical(plain))
