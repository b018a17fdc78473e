"""Networks of timm, and whether their pretrained weights are at hand."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

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
    are). `dropout` is on the features.
    """

    kind: Literal["timm"] = "timm"
    name: str = "resnet18"
    pretrained: bool = False
    weights_file: str | None = None
    frozen: bool = False
    image_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    dropout: Rate = 0.0
    drop_path: Rate = 0.0

    def missing(self, path: str) -> str | None:
        """As `missing_weights`; None if there is nothing to be pretrained."""
        return missing_weights(path, self.name, self.weights_file) if self.pretrained else None

    def void(self) -> frozenset[str]:
        """No file is read without pretrained weights, and what is frozen drops no paths."""
        file = frozenset[str]() if self.pretrained else frozenset({"weights_file"})
        return file | {"drop_path"} if self.frozen else file
