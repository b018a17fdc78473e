"""Students: a backbone with a head whose outputs of many views are compared."""

# B images, V views, C channels, S side, D width of features, K of outputs.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.backbones import Backbone
from trainables.layers.projectors import Projector, PrototypeHead
from trainables.layers.vit import ViT
from trainables.ssl import networks
from trainables.ssl.config import Pretraining
from trainables.ssl.labelled_methods import CrossEntropy, Focal
from trainables.ssl.methods import Dino

AT_ONCE = 512
"""So many images are looked at together."""


class Student(nn.Module):
    """Views of several sides, each side through the backbone at once, then all through the head.

    `side` is that of large views in pixels, which whole images are scaled to.
    """

    def __init__(self, backbone: ViT | Backbone, head: nn.Module, side: int) -> None:
        super().__init__()
        self.backbone, self.head, self.side = backbone, head, side

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        """Views [B, V, C, S, S] of one or several sides → outputs [ΣV, B, K], in their order."""
        return self.project(self.features(views))

    def features(self, views: Sequence[Tensor]) -> Tensor:
        """Views [B, V, C, S, S] of one or several sides → features [ΣV, B, D], in their order."""
        found = [self.backbone(one.transpose(0, 1).flatten(0, 1)) for one in _sides(views)]
        return torch.cat(found).unflatten(0, (sum(one.shape[1] for one in views), -1))

    def project(self, features: Tensor) -> Tensor:
        """Features [V, B, D] → outputs [V, B, K], all through the head at once."""
        return self.head(features.flatten(0, 1)).unflatten(0, features.shape[:2])

    def embed(self, images: Tensor) -> Tensor:
        """Images [B, C, S, S], `sized`, → features [B, D] of the backbone."""
        return self.backbone.embed(self.sized(images))

    def sized(self, images: Tensor) -> Tensor:
        """Images [B, C, S, S] as large as large views (bicubic, antialiased).

        So whole images are seen by networks that have learned from views.
        """
        if images.shape[-1] == self.side:
            return images
        size = (self.side, self.side)
        return functional.interpolate(images, size, mode="bicubic", antialias=True)


def build(config: Pretraining, channels: int) -> Student:
    """The network of a configuration, for images with so many channels.

    Raises:
        LookupError, ValueError: as `networks.build`; a view that is too small for the network.
    """
    large, *others = config.sides().values()
    try:
        backbone = networks.build(
            config.model, image_size=large, channels=channels, classes=0, other_sides=others
        )
    except ValueError as error:
        made = ", ".join(f"{path} makes {side}" for path, side in config.sides().items())
        raise ValueError(f"{error}; of the sides of views, {made}") from None
    return Student(backbone, _head(config, backbone.width), large)


def build_quiet(config: Pretraining, channels: int) -> Student:
    """The same without dropout and drop path: a teacher's, which drops nothing."""
    rates = {name for name in type(config.model).model_fields if "drop" in name}
    values = {f"model.{name}": 0.0 for name in rates}
    return build(config.with_values(values), channels)


def _head(config: Pretraining, width: int) -> nn.Module:
    if isinstance(config.method, CrossEntropy | Focal):
        return nn.Identity()
    head = config.method.head
    if isinstance(config.method, Dino):
        return PrototypeHead(width, **head.model_dump())
    given: dict[str, Any] = {**head.model_dump(), "hidden": head.hidden or width}
    return Projector(width, **given)


def _sides(views: Sequence[Tensor]) -> list[Tensor]:
    """Views with those behind them that have the same side, as one."""
    found: list[Tensor] = []
    for one in views:
        if found and found[-1].shape[-1] == one.shape[-1]:
            found[-1] = torch.cat([found[-1], one], 1)
        else:
            found.append(one)
    return found


def exact(outputs: Tensor) -> Tensor:
    """In single precision at least: temperatures divide, and sums are long."""
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))
