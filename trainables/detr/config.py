"""Configurations of detection with transformers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.core.training import ExperimentConfig, Training
from trainables.data.detection.catalog import DETECTION_SETS
from trainables.detr.maps import (
    Attention,
    CrossAttention,
    Entmax,
    Transformer,
)
from trainables.detr.parts import (
    Adam,
    AdamW,
    Alpha,
    Augmentation,
    Backbone,
    Drops,
    Evaluations,
    Loss,
    Pictures,
)
from trainables.layers.weights import locate
from trainables.settings.schedules import Schedule

PUBLISHED = "github.com/facebookresearch/detr"
"""Where weights of whole detectors are."""
ALPHA_FACTOR = 10
"""The rate of α over that of the transformer, in the published runs in which it learned."""


class Detection(ExperimentConfig):
    """A detector that predicts a set of boxes with classes (DETR, Carion et al. 2020).

    Attention of the encoder (`encoder_self`), of the decoder among queries (`decoder_self`) and to
    the picture (`cross`) may each have another map to the simplex than softmax, in some layers. The
    defaults are those of the published second runs on COCO: 36 pictures a step, 300 epochs.

    All weights are at their start those in `weights_file`, a file of the published code, if there
    is one; it does not tell `transformer.heads` and `backbone.dilation`, which must be as trained.
    """

    experiment: ClassVar[str] = "trainables.detr.experiment:DetectionExperiment"
    name: ClassVar[str] = "detr.detection"

    data: Pictures = Pictures()
    augmentation: Augmentation = Augmentation()
    backbone: Backbone = Backbone()
    transformer: Transformer = Transformer()
    num_queries: Annotated[int, Field(ge=1)] = 100
    weights_file: str | None = None
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
        """How α is trained, where none is; a file of weights that is none."""
        void = set() if self.learned_alphas else {"alpha"}
        return frozenset(void | ({"weights_file"} if self.weights_file is None else set()))

    def canonical(self) -> dict[str, Any]:
        """As its parent's, of what this configuration amounts to where parts void one another."""
        return super(Detection, self._settled()).canonical()

    def _settled(self) -> Detection:
        """Layers are all where they are as many; the file has a backbone; padding may be its own.

        So configurations of the same run have the same digest.
        """
        changed: dict[str, Config] = {}
        for name, attention in self.attentions.items():
            if attention.is_everywhere(self.layers_of(name)):
                changed[name] = attention.model_copy(update={"layers": "all"})
        if self.weights_file is not None:
            changed["backbone"] = self.backbone.model_copy(update={"pretrained": False})
        if self.evaluation.padding == self.cross.padding:
            own = {"padding": "as_trained"}
            changed["evaluation"] = self.evaluation.model_copy(update=own)
        return self.model_copy(update=changed)

    def missing(self) -> str | None:
        """The sentence on pictures or weights that are not there."""
        return self.data.missing() or self._missing_weights() or self._missing_relations()

    def _missing_weights(self) -> str | None:
        """The sentence on weights of the detector, or else of its backbone."""
        if self.weights_file is None:
            return self.backbone.missing()
        try:
            locate("a detector", self.weights_file)
        except LookupError as error:
            return f"{error}; those of {PUBLISHED} are published"
        return None

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

    def layers_of(self, kind: str) -> int:
        """How many layers have this kind of attention."""
        of = self.transformer
        return of.encoder_layers if kind == "encoder_self" else of.decoder_layers

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


class AlphaToy(ExperimentConfig):
    """Attention to random keys, of which α alone learns: outside of a detector.

    The `target` of attention is the key with the greatest score (`one_hot`), for which α must rise,
    or all of them alike (`uniform`), for which it must fall. Scores of `keys` keys are inner
    products of normal vectors, of variance 1.
    """

    experiment: ClassVar[str] = "trainables.detr.toy:AlphaToyExperiment"
    name: ClassVar[str] = "detr.alpha_toy"

    target: Literal["one_hot", "uniform"] = "one_hot"
    keys: Annotated[int, Field(ge=2)] = 16
    heads: Annotated[int, Field(ge=1)] = 4
    map: Entmax = Entmax()
    optimizer: Adam = Adam()
    training: Training = Training(
        steps=200, batch_size=32, log_every=20, evaluate_every=20, save_every=200
    )

    @model_validator(mode="after")
    def _alpha_learns(self) -> AlphaToy:
        if not self.map.is_learned or self.map.form in ("constant", "unused"):
            raise ValueError(
                f"map must learn α, by is_learned true and a form other than 'constant' and "
                f"'unused', got is_learned {str(self.map.is_learned).lower()} and form "
                f"{self.map.form!r}"
            )
        return self
