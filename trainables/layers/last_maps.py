"""The last map of a network over an image: its features by place, its gradients, its attention."""

# B images, C channels, S side, K channels of a map, h × w places, H heads, N tokens.

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trainables.layers.backbones import Backbone
from trainables.layers.recording import attending, recorded
from trainables.layers.vit import ViT


class Tap(NamedTuple):
    """A module of a network, and how what enters it, or leaves it, is a map.

    `prefix` tokens, such as a class token, are no places; None: it is a map already, with its
    channels first or last.
    """

    module: nn.Module
    is_input: bool = False
    prefix: int | None = None
    channels_last: bool = False

    def map_of(self, values: Tensor) -> Tensor:
        """[B, N, K], [B, K, h, w] or [B, h, w, K] → [B, K, h, w]; places are of a square."""
        if self.prefix is None:
            return values.movedim(-1, 1) if self.channels_last else values
        places = values[:, self.prefix :].transpose(1, 2)
        side = round(places.shape[2] ** 0.5)
        if side**2 != places.shape[2]:
            raise ValueError(f"places must be of a square image, got {places.shape[2]} of them")
        return places.unflatten(2, (side, side))


def last_tap(network: ViT | Backbone) -> Tap:
    """The layer whose map explains a network, by its kind.

    Of vision transformers it is what the last attention takes: behind it a patch has no more way
    into the class token. With norms before branches that is the output of their first norm. Of
    ResNets `layer4[-1]`; of networks of stages, such as ConvNeXt and MobileViT, the last one; of
    MobileNetV3 the first norm of the last block; of others what timm says is their last map.

    Raises:
        LookupError: timm does not say.
    """
    if isinstance(network, ViT):
        prefix = int(network.class_token is not None)
        return Tap(network.blocks[-1].get_submodule("attention"), is_input=True, prefix=prefix)
    body: Any = network.body
    if hasattr(body, "num_prefix_tokens") and hasattr(body.blocks[-1], "attn"):
        return Tap(body.blocks[-1].attn, is_input=True, prefix=body.num_prefix_tokens)
    channels_last = getattr(body, "output_fmt", None) == "NHWC"
    if hasattr(body, "layer4"):
        return Tap(body.layer4[-1])
    if hasattr(body, "stages"):
        return Tap(body.stages[-1], channels_last=channels_last)
    if type(body).__name__ == "MobileNetV3":
        return Tap(body.blocks[-1][-1].bn1)
    if not (facts := getattr(body, "feature_info", None)):
        raise LookupError(f"the last map of {type(body).__name__} must be known, got none of timm")
    return Tap(network.body.get_submodule(facts[-1]["module"]), channels_last=channels_last)


def map_and_gradient(
    network: ViT | Backbone, images: Tensor, score: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Of images [B, C, S, S] the last map A and ∂y/∂A, both [B, K, h, w].

    `score` makes of features [B, D] the numbers y [B]. Gradients must be enabled.

    Raises:
        LookupError: as `last_tap`.
    """
    tap, found = last_tap(network), list[Tensor]()

    def keep(values: Tensor) -> Tensor:
        """A copy goes on: what is changed in place further on would be what was seen."""
        found.append(values if values.requires_grad else values.detach().requires_grad_())
        return found[-1].clone()

    def before(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (keep(inputs[0]), *inputs[1:])

    def behind(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        return keep(output)

    module = tap.module
    hook = module.register_forward_pre_hook(before) if tap.is_input else None
    hook = hook or module.register_forward_hook(behind)
    try:
        with torch.compiler.set_stance("force_eager"):  # compiled code calls no hook
            scores = score(network.embed(images))
    finally:
        hook.remove()
    [gradient] = torch.autograd.grad(scores.sum(), found[0])
    return tap.map_of(found[0].detach()), tap.map_of(gradient)


def dense_features(network: ViT | Backbone, images: Tensor) -> Tensor:
    """What leaves a network by place, [B, D, h, w], of images [B, C, S, S]."""
    if isinstance(network, ViT):
        found = network.features(images)
        return found.patches.transpose(1, 2).unflatten(2, found.grid)
    body: Any = network.body
    values = body.forward_features(network.seen(images))
    if values.dim() == 3:
        return Tap(body, prefix=getattr(body, "num_prefix_tokens", 0)).map_of(values)
    return Tap(body, channels_last=getattr(body, "output_fmt", None) == "NHWC").map_of(values)


def class_attention(network: ViT | Backbone, images: Tensor) -> Tensor | None:
    """How much the class token looks at patches in the last block, [B, H, h, w].

    Of images [B, C, S, S]; rows of the softmax without the class token itself and what else is no
    patch, so that they add up to less than 1. Without a class token the mean of all patches. None
    if the network is no vision transformer.
    """
    if isinstance(network, Backbone) and not hasattr(network.body, "num_prefix_tokens"):
        return None
    if last_tap(network).prefix is None or not (names := list(attending(network))):
        return None
    with recorded(network, names[-1:]) as recording:
        network.embed(images)
    [weights] = recording.take()[names[-1]]
    prefix = last_tap(network).prefix or 0
    rows = weights[:, :, 0, prefix:] if prefix else weights.mean(2)
    side = round(rows.shape[-1] ** 0.5)
    return rows.unflatten(-1, (side, side))
