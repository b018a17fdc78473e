"""What a run on detection with transformers is made of."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from trainables.core.training import ExperimentConfig, Training
from trainables.data.detection.catalog import DETECTION_SETS
from trainables.detr.maps import (
    Attention,
    CrossAttention,
    Entmax,
    Transformer,
)
from trainables.detr.parts import (
    AdamW,
    Alpha,
    Augmentation,
    Backbone,
    Drops,
    Evaluations,
    Loss,
    Pictures,
)
from trainables.settings.schedules import Schedule

ALPHA_FACTOR = 10
"""The rate of α over that of the transformer, in the published runs in which it learned."""


class Detection(ExperimentConfig):
    """A detector that predicts a set of boxes with classes (DETR, Carion et al. 2020).

    Attention of the encoder (`encoder_self`), of the decoder among queries (`decoder_self`) and to
    the picture (`cross`) may each have another map to the simplex than softmax, in some layers. The
    defaults are those of the published second runs on COCO: 36 pictures a step, 300 epochs.
    """

    experiment: ClassVar[str] = "trainables.detr.experiment:DetectionExperiment"
    name: ClassVar[str] = "detr.detection"

    data: Pictures = Pictures()
    augmentation: Augmentation = Augmentation()
    backbone: Backbone = Backbone()
    transformer: Transformer = Transformer()
    num_queries: Annotated[int, Field(ge=1)] = 100
    encoder_self: Attention = Attention()
    decoder_self: Attention = Attention()
    cross: CrossAttention = CrossAttention()
    loss: Loss = Loss()
    optimizer: AdamW = AdamW()
    alpha: Alpha = Alpha()
    schedule: Annotated[Drops | Schedule, Field(discriminator="kind")] = Drops()
    training: Training = Training(
        epochs=300, batch_size=36, clip_norm=0.1, num_micro_batches=6, prefetch=2
    )
    evaluation: Evaluations = Evaluations()

    def void(self) -> frozenset[str]:
        """How α is trained, where none is."""
        return frozenset() if self.learned_alphas else frozenset({"alpha"})

    def missing(self) -> str | None:
        """The sentence on pictures or weights that are not there."""
        return self.data.missing() or self.backbone.missing() or self._missing_relations()

    def _missing_relations(self) -> str | None:
        """The sentence on pictures of unusual relations, if those are measured."""
        if self.evaluation.data == "own":
            return None
        return DETECTION_SETS["unrel"].missing(self.data.path)

    @property
    def attentions(self) -> dict[str, Attention]:
        """The three kinds of attention by their paths."""
        return {
            "encoder_self": self.encoder_self,
            "decoder_self": self.decoder_self,
            "cross": self.cross,
        }

    @property
    def learned_alphas(self) -> list[str]:
        """The kinds of attention that learn their α."""
        return [
            name
            for name, attention in self.attentions.items()
            if isinstance(attention.map, Entmax) and attention.map.is_learned
        ]

    @property
    def alpha_lr(self) -> float:
        """The peak of the rate of α."""
        return ALPHA_FACTOR * self.optimizer.lr if self.alpha.lr is None else self.alpha.lr

    @model_validator(mode="after")
    def _the_width_can_be_cut(self) -> Detection:
        width, heads = self.transformer.width, self.transformer.heads
        if width % heads:
            raise ValueError(
                f"transformer.heads must divide transformer.width ({width}), got {heads}"
            )
        if width % 4 and self.transformer.positions == "sine" or width % 2:
            raise ValueError(
                f"transformer.width must be a multiple of 4 with positions 'sine', and even with "
                f"'learned', got {width}"
            )
        return self

    @model_validator(mode="after")
    def _relations_are_of_classes_of_coco(self) -> Detection:
        if self.evaluation.data == "unrel" and self.data.name != "coco":
            raise ValueError(
                f"evaluation.data must be 'own' with data.name {self.data.name!r}, got 'unrel', "
                f"whose classes are those of coco"
            )
        return self

    @model_validator(mode="after")
    def _grids_are_of_pictures(self) -> Detection:
        if self.decoder_self.map.kind == "tvmax":
            raise ValueError(
                "decoder_self.map.kind must not be 'tvmax': queries lie on no grid; got 'tvmax'"
            )
        return self
