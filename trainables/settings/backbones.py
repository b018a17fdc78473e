"""Networks of timm, and whether their pretrained weights are at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.layers.weights import locate
from trainables.settings.going_on import Part, check_part, missing_checkpoint, of_content
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

    With a `weights_part` the file is a checkpoint of a run, as in `settings.going_on` (null: a file
    of timm's).
    """

    kind: Literal["timm"] = "timm"
    name: str = "resnet18"
    pretrained: bool = False
    weights_file: str | None = None
    weights_part: Part | None = None
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

    @model_validator(mode="after")
    def _a_part_is_one_of_a_checkpoint(self) -> Backbone:
        check_part(self.weights_file, self.weights_part, takes_others=True)
        return self

    def missing(self, path: str) -> str | None:
        """As `missing_weights`; None if there is nothing to be pretrained."""
        if not self.pretrained:
            return None
        if self.weights_part is not None:
            return missing_checkpoint(path, self.weights_file)
        return missing_weights(path, self.name, self.weights_file)

    def void(self) -> frozenset[str]:
        """No file is read without pretrained weights, and what is frozen drops no paths.

        Without them no mode has an effect, and `sum` is as if there were no mode to choose. Where
        images have three channels it is for the whole configuration to say so.
        """
        of_weights = frozenset({"weights_file", "weights_part", "channel_mode"})
        file = frozenset[str]() if self.pretrained else of_weights
        mode = frozenset({"channel_mode"}) if self.channel_mode == "sum" else frozenset[str]()
        part = frozenset({"weights_part"}) if self.weights_part is None else frozenset[str]()
        return file | mode | part | ({"drop_path"} if self.frozen else frozenset[str]())

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return of_content(super()._canonical(plain))
