"""The parts of which an object-centric representation is made: networks, queries, functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.settings.backbones import missing_weights
from trainables.settings.contents import by_content
from trainables.settings.ranges import Count, Positive, Rate

Ratio = Annotated[float, Field(ge=0.5, le=8)]
Scale = Literal["sqrt", "none"]
"""Logits of attention divided by the root of the width of a head, or not, as was published."""
Table = Literal["none", "tied", "copied", "learned"]


class VisionTransformer(Config):
    """A vision transformer from scratch, as in `trainables.layers.vit`.

    One table of positions is added at the input, or before every block. `drop_path` is the same in
    all blocks, or grows from 0 with their number. Pixels are standardised as ImageNet's, or from
    0…1 to −1…1 (`centred`).
    """

    kind: Literal["vit"] = "vit"
    patch_size: Count = 8
    width: Count = 64
    layers: Count = 4
    heads: Count = 4
    mlp_ratio: Ratio = 2.0
    dropout: Rate = 0.0
    attention_dropout: Rate = 0.0
    drop_path: Rate = 0.0
    drop_path_schedule: Literal["constant", "linear"] = "constant"
    pool: Literal["mean", "class_token"] = "mean"
    positions_at: Literal["every_block", "input"] = "every_block"
    class_has_position: bool = False
    qkv_bias: bool = False
    eps: Positive = 1e-5
    norm: Literal["pre", "post"] = "pre"
    patch_norm: bool = False
    output_norm: bool = False
    attention_scale: Scale = "sqrt"
    standardization: Literal["imagenet", "centred"] = "imagenet"

    def void(self) -> frozenset[str]:
        """What only a drop path, or a class token, has."""
        void = frozenset[str]() if self.drop_path else frozenset({"drop_path_schedule"})
        return void if self.pool == "class_token" else void | {"class_has_position"}

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> VisionTransformer:
        if self.width % self.heads:
            raise ValueError(f"heads must divide width ({self.width}), got {self.heads}")
        return self

    def missing(self) -> str | None:
        """Nothing is."""
        return None


class TimmBackbone(Config):
    """A network of timm: a vision transformer, Swin, or any whose features are a map.

    `pretrained` takes weights that are at hand, or those in `weights_file`. A frozen network is in
    no checkpoint. `output_norm` is the network's own last norm.
    """

    kind: Literal["timm"] = "timm"
    name: str = "vit_small_patch8_224.dino"
    pretrained: bool = True
    weights_file: str | None = None
    frozen: bool = True
    drop_path: Rate = 0.0
    output_norm: bool = True

    def void(self) -> frozenset[str]:
        """No file is read without pretrained weights, and what is frozen drops no paths."""
        file = frozenset[str]() if self.pretrained else frozenset({"weights_file"})
        return file | {"drop_path"} if self.frozen else file

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return by_content(super()._canonical(plain), "weights_file")

    def missing(self) -> str | None:
        """The sentence on pretrained weights that are not there; None if nothing is missing."""
        if not self.pretrained:
            return None
        return missing_weights("backbone", self.name, self.weights_file)


Backbone = Annotated[VisionTransformer | TimmBackbone, Field(discriminator="kind")]


class Queries(Config):
    """Where slots start: `num_slots` of them."""

    num_slots: Count = 11


class LearnedQueries(Queries):
    """A learned vector for each slot."""

    kind: Literal["learned"] = "learned"


class SampledQueries(Queries):
    """Draws from a mixture of learned Gaussians."""

    kind: Literal["sampled"] = "sampled"
    components: Count = 1


class NormalQueries(Queries):
    """Standard normal draws; nothing is learned."""

    kind: Literal["normal"] = "normal"


class PatchQueries(Queries):
    """Features of patches of the image, drawn with replacement."""

    kind: Literal["patch"] = "patch"


class KMeansQueries(Queries):
    """Centroids of the features of the image's patches, by their distance or their direction.

    `sees_positions` adds the backbone's table of positions to the features that are clustered.
    """

    kind: Literal["kmeans"] = "kmeans"
    spherical: bool = False
    sees_positions: bool = False
    iterations: Count = 20

    def void(self) -> frozenset[str]:
        """Positions that are not seen."""
        return frozenset() if self.sees_positions else frozenset({"sees_positions"})


class TemplateQueries(Queries):
    """The templates that attend most to the image, out of a learned bank, each some times."""

    kind: Literal["templates"] = "templates"
    num_slots: Count = 16
    templates: Count = 64
    instances: Count = 2
    heads: Count = 4
    has_background: bool = True

    @model_validator(mode="after")
    def _there_are_enough(self) -> TemplateQueries:
        if self.num_slots <= self.has_background:
            raise ValueError(
                f"num_slots must be at least 2 with queries.has_background, got {self.num_slots}"
            )
        if self.num_slots > self.templates * self.instances:
            raise ValueError(
                f"num_slots must be at most templates × instances "
                f"({self.templates * self.instances}), got {self.num_slots}"
            )
        return self


AnyQueries = Annotated[
    LearnedQueries
    | SampledQueries
    | NormalQueries
    | PatchQueries
    | KMeansQueries
    | TemplateQueries,
    Field(discriminator="kind"),
]


class SlotAttention(Config):
    """Slot Attention, as in `trainables.layers.slot_attention`.

    `positions` are added to patches: none, the backbone's own table (`tied`), a copy of it at the
    start, or others that are learned; in the first iteration (`once`: keys and values keep them) or
    anew in each. `background_bias` is added to the logits of the first slot.
    """

    kind: Literal["slot_attention"] = "slot_attention"
    iterations: Count = 3
    heads: Count = 1
    mlp_ratio: Ratio = 2.0
    implicit: Literal["none", "last_step", "extra_step"] = "none"
    positions: Table = "none"
    positions_at: Literal["once", "every_iteration"] = "once"
    background_bias: float = 0.0

    def void(self) -> frozenset[str]:
        """Where no positions are added, and no bias that is none."""
        void = frozenset({"positions_at"}) if self.positions == "none" else frozenset[str]()
        return void if self.background_bias else void | {"background_bias"}


class Decoder(Config):
    """What all decoders of slots have that are made of `layers` with `heads` of attention."""

    layers: Count = 2
    heads: Count = 4
    mlp_ratio: Ratio = 2.0
    dropout: Rate = 0.0
    attention_dropout: Rate = 0.0
    drop_path: Rate = 0.0
    positions: Table = "none"


class CrossAttention(Decoder):
    """Slots look at one another, then at patches; `reuses_layers`: one layer, applied so often.

    `drops` says what an attention dropout takes away: weights, or logits before the softmax.
    """

    kind: Literal["cross_attention"] = "cross_attention"
    reuses_layers: bool = False
    drops: Literal["weights", "logits"] = "weights"
    attention_scale: Scale = "sqrt"

    def void(self) -> frozenset[str]:
        """A single layer is not used again; nothing is dropped at a rate of 0."""
        void = frozenset({"reuses_layers"}) if self.layers == 1 else frozenset[str]()
        return void if self.attention_dropout else void | {"drops"}


class CoAttention(Decoder):
    """Slots look at patches while patches look at slots."""

    kind: Literal["co_attention"] = "co_attention"


class CompetitiveAttention(Decoder):
    """Slots compete for patches; the best `max_queries` stay (None: all), the first one always if
    it `keeps_first`.
    """

    kind: Literal["competitive_attention"] = "competitive_attention"
    max_queries: Count | None = None
    keeps_first: bool = False

    def void(self) -> frozenset[str]:
        """Where all are kept, the first is."""
        return frozenset({"max_queries", "keeps_first"} if self.max_queries is None else ())


class InstanceAttention(Decoder):
    """Slots compete for patches with what they are and where they are, in two streams."""

    kind: Literal["instance_attention"] = "instance_attention"
    layers: Count = 3
    reuses_layers: bool = True
    has_background: bool = True
    positions: Table = "copied"

    def void(self) -> frozenset[str]:
        """A single layer is not used again."""
        return frozenset({"reuses_layers"}) if self.layers == 1 else frozenset()

    @model_validator(mode="after")
    def _there_are_positions(self) -> InstanceAttention:
        if self.positions == "none":
            raise ValueError(
                "positions must be tied, copied or learned with objects.kind "
                "'instance_attention', which has a stream of them, got 'none'"
            )
        return self


ObjectFunction = Annotated[
    SlotAttention | CrossAttention | CoAttention | CompetitiveAttention | InstanceAttention,
    Field(discriminator="kind"),
]


class Mlp(Config):
    """Two layers with a GELU between them, of the mean slot or of the pooled image."""

    kind: Literal["mlp"] = "mlp"
    hidden_factor: Positive = 2.0
    dropout: Rate = 0.0


class AttentionPool(Config):
    """A learned token that looks at the slots, or at the patches where there are none."""

    kind: Literal["attention_pool"] = "attention_pool"
    layers: Count = 2
    heads: Count = 8
    mlp_ratio: Ratio = 2.0
    dropout: Rate = 0.0
    attention_dropout: Rate = 0.0


GlobalFunction = Annotated[Mlp | AttentionPool, Field(discriminator="kind")]


class Projection(Config):
    """Two layers with a GELU between them, to `width` (None: as wide as the features).

    Where a loss compares projections with features of another width, a predictor brings them back.
    """

    width: Count | None = None
    hidden_factor: Positive = 2.0
    bias: bool = False
    dropout: Rate = 0.0

    def void(self) -> frozenset[str]:
        """A width that is the features' own."""
        return frozenset({"width"}) if self.width is None else frozenset()
