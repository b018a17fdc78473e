"""Common parts of the methods of pretraining: heads, and facts of each method."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from trainables.core.config import Config
from trainables.settings.ranges import Count

Momentum = Annotated[float, Field(ge=0, le=1)]


class Comparison(Config):
    """A method; here one that sees no labels and has no other network."""

    @property
    def has_teacher(self) -> bool:
        """Whether there is a second network."""
        return False

    @property
    def sees_labels(self) -> bool:
        """Whether labels of training images have a part in the loss."""
        return False

    @property
    def has_classifier(self) -> bool:
        """Whether there is a layer that says the class of an image."""
        return False

    @property
    def takes_two_views(self) -> bool:
        """Whether two large views of an image are compared, and no others."""
        return False

    @property
    def compares_images(self) -> bool:
        """Whether the loss of an image depends on what other images are like."""
        return False


class PrototypeHead(Config):
    """DINO's head: a perceptron of `layers` to a vector of length 1, and scores of K `prototypes`.

    `hidden` is the width between two layers, `bottleneck` that of the vector. `batch_norm` follows
    each layer but the last. With `norm_last_layer` the lengths of prototypes stay 1.
    """

    prototypes: Annotated[int, Field(ge=2)] = 1024
    layers: Count = 3
    hidden: Count = 2048
    bottleneck: Count = 256
    batch_norm: bool = False
    norm_last_layer: bool = True

    def void(self) -> frozenset[str]:
        """A single layer has nothing between, and nothing that is normalised."""
        return frozenset({"hidden", "batch_norm"}) if self.layers == 1 else frozenset()


class Projector(Config):
    """A perceptron of `layers` to projections of a `width`; `hidden` null: as wide as features."""

    width: Count = 128
    layers: Count = 2
    hidden: Count | None = None
    norm: Literal["none", "batch"] = "none"

    def void(self) -> frozenset[str]:
        """A single layer has nothing between, and nothing that is normalised."""
        return frozenset({"hidden", "norm"}) if self.layers == 1 else frozenset()


class Predictor(Config):
    """A perceptron of `layers` from projections to projections, of so many `hidden` between."""

    layers: Count = 2
    hidden: Count = 4096
    norm: Literal["none", "batch"] = "batch"

    def void(self) -> frozenset[str]:
        """A single layer has nothing between, and nothing that is normalised."""
        return frozenset({"hidden", "norm"}) if self.layers == 1 else frozenset()
