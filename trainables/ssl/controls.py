"""Networks of known shape that are trained with labels: two residual ones, and two small ones."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.settings.ranges import Count, NonNegative, Rate

Side = Annotated[int, Field(ge=8, le=1024)] | None


class Residual(Config):
    """The network of He et al. 2016 for CIFAR, of `depth` 6n + 2 layers, with `skips` or without.

    Images are scaled up to `image_size` pixels a side (None: as they are).
    """

    kind: Literal["residual"] = "residual"
    depth: Annotated[int, Field(ge=8, le=1202)] = 20
    width: Count = 16
    skips: bool = True
    image_size: Side = None

    @model_validator(mode="after")
    def _blocks_are_whole(self) -> Residual:
        if (self.depth - 2) % 6:
            below = 6 * ((self.depth - 2) // 6) + 2
            raise ValueError(f"depth must be 6n + 2, got {self.depth}; try {below} or {below + 6}")
        return self


class Convolution(Config):
    """One convolution 3 × 3 of `width` channels, ReLU, linear."""

    kind: Literal["convolution"] = "convolution"
    width: Count = 10
    image_size: Side = None


class Perceptron(Config):
    """So many hidden `layers` of a `width` with ReLU, and a linear one."""

    kind: Literal["perceptron"] = "perceptron"
    width: Count = 128
    layers: Count = 2
    image_size: Side = None


class ModernResNet(Config):
    """ResNet-50 and what made it ConvNeXt, each a choice, as in `trainables.layers.modern_resnet`.

    `blocks` of four stages, of which all but the first halve the side; `width` channels behind the
    `stem`. Images are scaled up to `image_size` pixels a side (None: as they are).
    """

    kind: Literal["modern_resnet"] = "modern_resnet"
    blocks: tuple[Count, Count, Count, Count] = (3, 4, 6, 3)
    stem: Literal["pool", "patches"] = "pool"
    width: Count = 64
    depthwise: bool = False
    inverted: bool = False
    depthwise_first: bool = False
    kernel_size: Literal[3, 5, 7, 9, 11] = 3
    activation: Literal["relu", "gelu"] = "relu"
    fewer_activations: bool = False
    fewer_norms: bool = False
    norm: Literal["batch", "layer"] = "batch"
    separate_downsampling: bool = False
    layer_scale: NonNegative = 0.0
    drop_path: Rate = 0.0
    image_size: Side = None

    def too_small(self, side: int) -> str | None:
        """One sentence on images of a side of which nothing is left in the last stage, or None."""
        if side >= _HALVED or not self.separate_downsampling:
            return None
        return (
            f"image_size must be at least {_HALVED} with separate_downsampling, which halves a "
            f"side of at least 2 pixels three times behind the stem, got {side}"
        )


_HALVED = 32
"""Pixels of which a stem leaves eight, and stages a single one."""
Control = Residual | Convolution | Perceptron | ModernResNet
