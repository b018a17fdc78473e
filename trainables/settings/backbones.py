"""Networks of timm, and whether their pretrained weights are at hand."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.layers.weights import locate
from trainables.settings.ranges import Rate


def missing_weights(path: str, name: str, weights_file: str | None) -> str | None:
    """The sentence on weights of timm's network that are not at hand; None if they are.

    It begins with the path of the part of the configuration that asks for them.
    """
    try:
        locate(name, weights_file)
    except LookupError as error:
        return f"{path}.{error}"
    return None


class Backbone(Config):
    """A network of timm, by timm's name, as in `trainables.layers.backbones`.

    `pretrained` takes weights that are at hand, from a package or from `weights_file`; `frozen`
    trains the last layer only. Images are scaled up to `image_size` pixels a side (None: as they
    are). `dropout` is on the features. `channel_mode`: how pretrained weights take images of one
    channel, as in `trainables.layers.channels`.
    """

    kind: Literal["timm"] = "timm"
    name: str = "resnet18"
    pretrained: bool = False
    weights_file: str | None = None
    frozen: bool = False
    image_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    dropout: Rate = 0.0
    drop_path: Rate = 0.0
    channel_mode: Literal["copy3", "red", "green", "blue", "mean", "sum", "stem1to3"] = "sum"

    @model_validator(mode="after")
    def _what_is_frozen_learns_no_stem(self) -> Backbone:
        if self.frozen and self.pretrained and self.channel_mode == "stem1to3":
            raise ValueError(
                "channel_mode must not be 'stem1to3', which learns, where frozen is true; try "
                "'copy3', as which it begins"
            )
        return self

    def missing(self, path: str) -> str | None:
        """As `missing_weights`; None if there is nothing to be pretrained."""
        return missing_weights(path, self.name, self.weights_file) if self.pretrained else None

    def void(self) -> frozenset[str]:
        """No file is read without pretrained weights, and what is frozen drops no paths.

        Without them no mode has an effect, and `sum` is as if there were no mode to choose. Where
        images have three channels it is for the whole configuration to say so.
        """
        file = frozenset[str]() if self.pretrained else frozenset({"weights_file", "channel_mode"})
        mode = frozenset({"channel_mode"}) if self.channel_mode == "sum" else frozenset[str]()
        return file | mode | {"drop_path"} if self.frozen else file | mode
