"""Networks by their configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from trainables.layers import last_blocks
from trainables.layers.backbones import Backbone, check_name
from trainables.layers.modern_resnet import ModernResNet
from trainables.layers.residual import Residual
from trainables.layers.shallow import Convolution, Perceptron
from trainables.layers.vit import ViT
from trainables.layers.weights import Weights, locate
from trainables.settings import backbones
from trainables.ssl import config, controls, going_on

Control = Residual | ModernResNet | Convolution | Perceptron


def build_control(
    model: controls.Control, *, image_size: int, channels: int, classes: int
) -> Control:
    """The small network for images [B, channels, image_size, image_size] and so many classes."""
    values = model.model_dump(exclude={"kind", "image_size"})
    sizes = {"channels": channels, "classes": classes, "scale_to": model.image_size}
    if isinstance(model, controls.Residual):
        return Residual(**sizes, **values)
    if isinstance(model, controls.ModernResNet):
        return ModernResNet(**sizes, **values)
    made = Convolution if isinstance(model, controls.Convolution) else Perceptron
    return made(image_size=image_size, **sizes, **values)


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
    network = _drawn(model, sizes, other_sides)
    if (file := checkpoint_of(model)) is not None and not torch.empty(0).is_meta:
        going_on.load(network, file, model, image_size=image_size, channels=channels)
    return network


def checkpoint_of(model: config.Model | backbones.Backbone) -> Weights | None:
    """The checkpoint that a network goes on from, if it goes on.

    Raises:
        LookupError: it is not there.
    """
    if model.weights_file is None or model.weights_part is None:
        return None
    if isinstance(model, backbones.Backbone) and not model.pretrained:
        return None
    if (problem := model.missing("model")) is not None:
        raise LookupError(problem)
    return Weights(Path(model.weights_file).expanduser(), part=model.weights_part)


def _drawn(
    model: config.Model | backbones.Backbone, sizes: dict[str, int], other_sides: Sequence[int]
) -> ViT | Backbone:
    """The network before it goes on from a checkpoint."""
    if isinstance(model, config.Model):
        return ViT(**sizes, **model.model_dump(exclude={"kind", "weights_file", "weights_part"}))
    weights = checkpoint_of(model)
    try:
        return Backbone(
            name=model.name,
            **sizes,
            scale_to=model.image_size,
            weights=weights or _weights(model),
            is_frozen=model.frozen,
            dropout=model.dropout,
            drop_path=model.drop_path,
            channel_mode=model.channel_mode,
            other_sides=other_sides,
        )
    except (LookupError, ValueError) as error:
        raise type(error)(f"model.{error}") from None


def prepare(
    network: ViT | Backbone | Control,
    model: config.Model | backbones.Backbone | controls.Control,
    mean: Tensor | float,
    deviation: Tensor | float,
) -> dict[str, object]:
    """Says to a pretrained network how images were standardised; returns facts of its weights."""
    if isinstance(model, controls.Control):
        return {}
    if not isinstance(network, Backbone):
        file = checkpoint_of(model)
        return file.facts() if file is not None else {}
    if network.weights is None:
        return {}
    network.standardised_by(mean, deviation)
    return network.weights.facts()


def _weights(model: backbones.Backbone) -> Weights | None:
    check_name(model.name)  # first: of what there is not there are no weights either
    return locate(model.name, model.weights_file) if model.pretrained else None


def check_blocks(network: ViT | Backbone, blocks: int) -> None:
    """Raises ValueError if a probe cannot see so many blocks of a network."""
    try:
        last_blocks.check_blocks(network, blocks)
    except ValueError as error:
        raise ValueError(f"evaluation.probe.{error}") from None
