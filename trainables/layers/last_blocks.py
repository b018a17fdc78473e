"""Features of several last blocks of a vision transformer, for a probe."""

# B images, C channels, S side, N tokens, D width.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trainables.layers.backbones import Backbone
from trainables.layers.vit import ViT


def block_features(network: ViT | Backbone, images: Tensor, blocks: int = 1) -> Tensor:
    """Vectors of the last `blocks` blocks side by side, [B, n · D], of images [B, C, S, S].

    Each is what the last norm and the pooling of the network make of the tokens behind its block
    (Caron et al. 2021, DINO, linear evaluation): the last D are the features of `embed`.

    Raises:
        ValueError: the network is no vision transformer of so many blocks.
    """
    if blocks == 1:
        return network.embed(images)
    check_blocks(network, blocks)
    body: Any = network if isinstance(network, ViT) else network.body
    found: list[Tensor] = []

    def keep(_: nn.Module, __: Any, tokens: Tensor) -> None:
        found.append(tokens)

    hooks = [one.register_forward_hook(keep) for one in body.blocks[-blocks:-1]]
    try:
        with torch.compiler.set_stance("force_eager"):  # compiled code calls no hook
            last = network.embed(images)
    finally:
        for hook in hooks:
            hook.remove()
    normed = [body.norm(one) for one in found]
    if isinstance(network, Backbone):
        return torch.cat([*(body.forward_head(one, pre_logits=True) for one in normed), last], 1)
    return torch.cat([*map(network.pooled, normed), last], 1)


def check_blocks(network: ViT | Backbone, blocks: int) -> None:
    """Raises ValueError if a network is no vision transformer with so many blocks."""
    body: Any = network if isinstance(network, ViT) else network.body
    is_transformer = isinstance(network, ViT) or hasattr(body, "num_prefix_tokens")
    most = len(body.blocks) if is_transformer else 1
    if blocks > most:
        kind = "so many blocks" if is_transformer else "no blocks of tokens to take apart"
        raise ValueError(
            f"blocks must be at most {most} with {type(body).__name__}, which has {kind}, got "
            f"{blocks}"
        )
