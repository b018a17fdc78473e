"""Configurations of experiments with slots: set prediction, object discovery, DINOSAUR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.core.training import Training
from trainables.settings.backbones import missing_weights
from trainables.settings.contents import by_content
from trainables.settings.ranges import Count
from trainables.settings.scenes import Scenes
from trainables.settings.schedules import HalfLives
from trainables.slots.parts import (
    Adam,
    AdamTF,
    Augmentation,
    Evaluations,
    Optimizer,
    Positions,
    Setting,
    SlotExperiment,
    Slots,
    Weights,
)


class Encoder(Config):
    """The convolutional encoder: `layers` of `kernel_size` × `kernel_size`, each with ReLU.

    The first `halvings` layers behind the very first have stride 2, the others keep the resolution.
    """

    channels: Count = 64
    layers: Count = 4
    kernel_size: Literal[3, 5, 7] = 5
    halvings: Annotated[int, Field(ge=0, le=4)] = 0
    positions: Positions = Positions()

    @model_validator(mode="after")
    def _there_are_layers_to_halve(self) -> Encoder:
        if self.halvings >= self.layers:
            raise ValueError(f"halvings must be below layers ({self.layers}), got {self.halvings}")
        return self


class Decoder(Config):
    """The spatial broadcast decoder of a slot.

    `expanding`: from a grid whose side is doubled `doublings` times, each time by a transposed
    convolution of stride 2, then one of stride 1, and the output; `stationary`: three transposed
    convolutions of stride 1 at full size, and the output; `up_convolve`: as often zeros are put
    between, a convolution follows each time, and the output. Kernels have `kernel_size` places a
    side, those of the output 3.
    """

    kind: Literal["expanding", "stationary", "up_convolve"] = "expanding"
    channels: Count = 64
    kernel_size: Literal[3, 5, 7] = 5
    doublings: Annotated[int, Field(ge=1, le=6)] = 4
    positions: Positions = Positions()

    def void(self) -> frozenset[str]:
        """What keeps its size doubles nothing."""
        return frozenset({"doublings"}) if self.kind == "stationary" else frozenset()


class Discovery(SlotExperiment):
    """Object discovery: an autoencoder whose slots each draw a part of the image."""

    experiment: ClassVar[str] = "trainables.slots.discovery:DiscoveryExperiment"
    name: ClassVar[str] = "slots.discovery"

    data: Scenes = Scenes(max_objects=6)
    augmentation: Augmentation = Augmentation()
    encoder: Encoder = Encoder()
    slots: Slots = Slots()
    decoder: Decoder = Decoder()
    weights: Weights = Weights()
    optimizer: Optimizer = AdamTF()
    schedule: HalfLives = HalfLives()
    training: Training = Training(
        steps=500_000, batch_size=64, clip_norm=0.0, channels_last=True, evaluate_every=1200
    )
    evaluation: Evaluations = Evaluations(more=Setting(num_slots=11, iterations=5, max_objects=10))

    @model_validator(mode="after")
    def _the_decoder_reaches_the_side(self) -> Discovery:
        side, growth = self.data.image_size, 2**self.decoder.doublings
        if self.decoder.kind != "stationary" and side % growth:
            raise ValueError(
                f"decoder.doublings must leave a whole side: data.image_size ({side}) is no "
                f"multiple of {growth}, got {self.decoder.doublings}; decoder.kind 'stationary' "
                f"takes any side"
            )
        return self


ROWS = 10
"""Of targets: a scene of CLEVR has at most ten objects."""


class Target(Config):
    """How the properties of an object are written as 19 numbers.

    `order`: one-hots, coordinates, flag (`categories_first`), or coordinates, one-hots, flag
    (`coordinates_first`). `coordinates`: each by the range that it has in the prepared set
    (`measured`), (p + 3) / 6 for all three (`clevr6`), or that with z from 0.35 to 0.7
    (`stretched`). Padding is `zeros`, or `normalized`: coordinates of 0 as those of an object.
    """

    order: Literal["categories_first", "coordinates_first"] = "categories_first"
    coordinates: Literal["clevr6", "stretched", "measured"] = "clevr6"
    padding: Literal["zeros", "normalized"] = "zeros"


class SetPrediction(SlotExperiment):
    """Set prediction: the properties of all objects of a scene, one slot each.

    Ten objects, or padding, are matched with slots; `absent_weight` is that of the loss by which
    slots beyond these learn to say that they are none (0: no such loss). There is no augmentation:
    a mirrored image has other coordinates.
    """

    experiment: ClassVar[str] = "trainables.slots.set_prediction:SetPredictionExperiment"
    name: ClassVar[str] = "slots.set_prediction"

    data: Scenes = Scenes(max_objects=10)
    encoder: Encoder = Encoder(halvings=2)
    slots: Slots = Slots(num_slots=10)
    target: Target = Target()
    absent_weight: float = Field(default=0.0, ge=0)
    optimizer: Optimizer = Adam()
    schedule: HalfLives = HalfLives()
    training: Training = Training(
        steps=500_000, batch_size=512, clip_norm=0.0, channels_last=True, evaluate_every=2000
    )
    evaluation: Evaluations = Evaluations(more=Setting(num_slots=21))

    def void(self) -> frozenset[str]:
        """Each slot has a partner if there are no more than rows of targets."""
        return frozenset() if self.slots.num_slots > ROWS else frozenset({"absent_weight"})

    @model_validator(mode="after")
    def _scenes_have_properties(self) -> SetPrediction:
        sets = {"data.name": self.data.name, "evaluation.other_set": self.evaluation.other_set}
        for path, name in sets.items():
            if name is not None and not name.startswith("clevr"):
                raise ValueError(f"{path} must be 'clevr' or 'clevr_with_masks', got {name!r}")
        return self


class Features(Config):
    """The frozen network whose patch features are reconstructed, by timm's name.

    `layer` counts its blocks from the end (1: the last); `final_norm` takes features behind the
    last norm. Images are standardised as the network was trained (`own`) or as ImageNet's, and
    scaled to `image_size` (None: the network's own), bicubic, with or without `antialias`. `store`
    reads features that were computed before (`float16`, or `int8` with a scale for each patch): the
    first run computes them, once for all. Or each step computes them (`live`). `precision` is that
    of the frozen network.
    """

    backbone: str = "vit_base_patch8_224.dino"
    pretrained: bool = True
    weights_file: str | None = None
    layer: Count = 1
    final_norm: bool = True
    image_size: Annotated[int, Field(ge=16, le=1024)] | None = None
    standardization: Literal["own", "imagenet"] = "own"
    antialias: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    store: Literal["float16", "int8", "live"] = "int8"

    def void(self) -> frozenset[str]:
        """No file is read without pretrained weights."""
        return frozenset() if self.pretrained else frozenset({"weights_file"})

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return by_content(super()._canonical(plain), "weights_file")

    def missing(self) -> str | None:
        """The sentence on pretrained weights that are not there; None if nothing is missing."""
        if not self.pretrained:
            return None
        return missing_weights("features", self.backbone, self.weights_file)


class MlpDecoder(Config):
    """Each slot with each position through an MLP: `layers` hidden ones of `width`."""

    kind: Literal["mlp"] = "mlp"
    width: Count = 1024
    layers: Count = 3
    combines: Literal["add", "concatenate"] = "add"


class AutoregressiveDecoder(Config):
    """A transformer that predicts patch after patch, looking at the slots.

    `masks` are those of slot attention, or the last layer's attention to the slots.
    """

    kind: Literal["autoregressive"] = "autoregressive"
    layers: Count = 4
    heads: Count = 4
    masks: Literal["attention", "decoder"] = "attention"


class SlotMixerDecoder(Config):
    """Positions mix the slots by attention; one MLP renders the mixture at each position."""

    kind: Literal["slot_mixer"] = "slot_mixer"
    layers: Count = 3
    heads: Count = 4
    width: Count = 1024
    mlp_layers: Count = 3


class BroadcastDecoder(Config):
    """A spatial broadcast decoder on the grid of patches: `layers` of 3 × 3, `channels` wide."""

    kind: Literal["broadcast"] = "broadcast"
    channels: Count = 256
    layers: Count = 3


PatchDecoder = MlpDecoder | AutoregressiveDecoder | SlotMixerDecoder | BroadcastDecoder


class MaskEvaluations(Evaluations):
    """As for all; masks of patches are enlarged to `mask_size` pixels a side, to be compared."""

    mask_size: Annotated[int, Field(ge=16, le=512)] = 224


class Dinosaur(SlotExperiment):
    """DINOSAUR: slots whose decoder reconstructs the features of a frozen network."""

    experiment: ClassVar[str] = "trainables.slots.dinosaur:DinosaurExperiment"
    name: ClassVar[str] = "slots.dinosaur"

    data: Scenes = Scenes(name="movi_c", image_size=256, crop="none")
    features: Features = Features()
    slots: Slots = Slots(num_slots=11, width=128, mlp_width=512)
    augmentation: Augmentation = Augmentation(flips=False)
    decoder: Annotated[PatchDecoder, Field(discriminator="kind")] = MlpDecoder()
    loss: Literal["mse", "l1", "cosine"] = "mse"
    normalizes_target: bool = False
    optimizer: Optimizer = Adam(lr=4e-4)
    schedule: HalfLives = HalfLives(first=1e-8)
    training: Training = Training(steps=500_000, batch_size=64, clip_norm=1.0, evaluate_every=1000)
    evaluation: MaskEvaluations = MaskEvaluations(more=Setting(num_slots=24))  # pyright: ignore[reportIncompatibleVariableOverride]

    def missing(self) -> str | None:
        """The sentence on scenes, weights or features that are not there."""
        return super().missing() or self.features.missing()

    @model_validator(mode="after")
    def _stored_features_bear_no_mirror(self) -> Dinosaur:
        moves = self.augmentation.flips or self.augmentation.rotates
        if moves and self.features.store != "live":
            raise ValueError(
                f"features.store must be 'live' with augmentation: stored features are of images "
                f"as they are, got {self.features.store!r}"
            )
        return self

    @model_validator(mode="after")
    def _heads_divide_the_slots(self) -> Dinosaur:
        if isinstance(self.decoder, SlotMixerDecoder) and self.slots.width % self.decoder.heads:
            raise ValueError(
                f"decoder.heads must divide slots.width ({self.slots.width}), "
                f"got {self.decoder.heads}"
            )
        return self
