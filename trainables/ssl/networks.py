"""Networks by their configuration."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from trainables.layers.backbones import Backbone, check_name
from trainables.layers.vit import ViT
from trainables.layers.weights import Weights, locate
from trainables.settings import backbones
from trainables.ssl import config


def build(
    model: config.Model | backbones.Backbone,
    *,
    image_size: int,
    channels: int,
    classes: int,
    other_sides: Sequence[int] = (),
) -> ViT | Backbone:
    """The network for images [B, channels, image_size, image_size] and so many classes (0: none).

    It takes images of `other_sides` too.

    Raises:
        LookupError, ValueError: there is no such network, it does not take such images, or its
            weights are not at hand, or not its; begins with the path of the setting.
    """
    sizes = {"image_size": image_size, "channels": channels, "classes": classes}
    if isinstance(model, config.Model):
        return ViT(**sizes, **model.model_dump(exclude={"kind"}))
    try:
        return Backbone(
            name=model.name,
            **sizes,
            scale_to=model.image_size,
            weights=_weights(model),
            is_frozen=model.frozen,
            dropout=model.dropout,
            drop_path=model.drop_path,
            channel_mode=model.channel_mode,
            other_sides=other_sides,
        )
    except (LookupError, ValueError) as error:
        raise type(error)(f"model.{error}") from None


def prepare(
    network: ViT | Backbone, mean: Tensor | float, deviation: Tensor | float
) -> dict[str, object]:
    """Says to a pretrained network how images were standardised; returns facts of its weights."""
    if isinstance(network, ViT) or network.weights is None:
        return {}
    network.standardised_by(mean, deviation)
    return network.weights.facts()


def _weights(model: backbones.Backbone) -> Weights | None:
    check_name(model.name)  # first: of what there is not there are no weights either
    return locate(model.name, model.weights_file) if model.pretrained else None
