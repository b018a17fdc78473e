"""The network and the loss of a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from trainables.core.randomness import generator
from trainables.detr.config import Detection
from trainables.detr.losses import Balance
from trainables.detr.maps import Entmax, Softmax, TVMax
from trainables.detr.networks import DETR
from trainables.detr.parts import Backbone, Loss
from trainables.layers.detection_backbones import DetectionBackbone
from trainables.layers.learned_alpha import LearnedAlpha
from trainables.layers.multihead import MultiHeadAttention
from trainables.layers.simplex import simplex_map
from trainables.layers.weights import locate


def network(config: Detection) -> DETR:
    """Backbone, transformer and heads; weights are drawn, but for those that are pretrained."""
    settings = config.transformer
    encoder = settings.encoder_layers
    decoder = settings.decoder_layers
    return DETR(
        backbone=backbone(config.backbone, is_frozen=config.optimizer.backbone_lr == 0),
        num_classes=config.data.facts.num_classes,
        num_queries=config.num_queries,
        encoder_self=maps(config, "encoder_self", encoder),
        decoder_self=maps(config, "decoder_self", decoder),
        cross=maps(config, "cross", decoder),
        padding_mode=config.cross.padding,
        **settings.model_dump(),
    )


def backbone(settings: Backbone, *, is_frozen: bool) -> DetectionBackbone:
    """The backbone of these settings; nothing of a frozen one learns."""
    weights = None
    if settings.pretrained and not torch.empty(0).is_meta:  # of a sketch the numbers do not matter
        weights = locate(settings.name, settings.weights_file)
    made = DetectionBackbone(
        name=settings.name,
        weights=weights,
        trained_layers=() if is_frozen else None,
        dilation=settings.dilation,
    )
    made.freeze()
    return made


def maps(config: Detection, kind: str, layers: int) -> list[nn.Module | None]:
    """The map of each layer of a kind of attention; None for softmax, which is fused."""
    attention = config.attentions[kind]
    made: list[nn.Module | None] = []
    shared: LearnedAlpha | None = None
    for layer in range(layers):
        settings = attention.map
        if not attention.is_in(layer, layers) or isinstance(settings, Softmax):
            made.append(None)
        elif isinstance(settings, Entmax) and settings.is_learned:
            if shared is None or settings.tied != "global":
                shared = _learned(config, settings, kind, layer)
            made.append(simplex_map("entmax", alpha=shared))
        else:
            made.append(simplex_map(**_arguments(settings)))
    return made


def _arguments(settings: Any) -> dict[str, Any]:
    """Of a map without a learned α."""
    if isinstance(settings, Entmax):
        return {"kind": "entmax", "alpha": settings.alpha}
    if isinstance(settings, TVMax):
        return {"kind": "tvmax", "weight": settings.weight, "learned": settings.is_learned}
    return {"kind": settings.kind}


def _learned(config: Detection, settings: Entmax, kind: str, layer: int) -> LearnedAlpha:
    """The α of a layer, at its start."""
    start: dict[str, Any] = {"start": settings.alpha}
    if settings.start == "normal":
        start = {"generator": generator(config.seed, f"alpha {kind}", layer)}
    with torch.device("cpu"):  # a generator has a device, and a sketch has another
        heads = config.transformer.heads if settings.tied == "head" else 1
        made = LearnedAlpha(heads, form=settings.form, **start)
    return made.to(torch.empty(0).device)


def alphas(network: DETR) -> dict[str, float]:
    """Each α as it is, by `layer_<l>-head_<h>`; but for `cross` with the kind before it."""
    found: dict[str, float] = {}
    for kind, layer, attention in attentions(network):
        alpha = getattr(attention.simplex, "alpha", None)
        if isinstance(alpha, LearnedAlpha):
            values = alpha.alpha.detach().expand(attention.heads).tolist()
            prefix = "" if kind == "cross" else f"{kind}/"
            for head, value in enumerate(values):
                found[f"{prefix}layer_{layer}-head_{head}"] = value
    return found


def alpha_tables(network: DETR) -> dict[str, Tensor]:
    """α [L, H] of each kind of attention that learns it in all of its layers."""
    found: dict[str, list[Tensor | None]] = {}
    for kind, _, attention in attentions(network):
        alpha = getattr(attention.simplex, "alpha", None)
        own = alpha.alpha.detach() if isinstance(alpha, LearnedAlpha) else None
        rows = found.setdefault(kind, [])
        rows.append(None if own is None else own.expand(attention.heads).cpu())
    return {
        kind: torch.stack([row for row in rows if row is not None])
        for kind, rows in found.items()
        if rows and all(row is not None for row in rows)
    }


def attentions(network: DETR) -> Iterator[tuple[str, int, MultiHeadAttention]]:
    """All attention of a network: its kind, the number of its layer, the module."""
    for layer, one in enumerate(network.encoder.layers):
        yield "encoder_self", layer, one.self_attention  # pyright: ignore[reportReturnType]
    for layer, one in enumerate(network.decoder.layers):
        yield "decoder_self", layer, one.self_attention  # pyright: ignore[reportReturnType]
        yield "cross", layer, one.cross_attention  # pyright: ignore[reportReturnType]


def loss_arguments(settings: Loss) -> dict[str, Any]:
    """What `losses.set_loss` is called with."""
    return {
        "costs": Balance(**settings.costs.model_dump()),
        "weights": Balance(**settings.weights.model_dump()),
        "eos_coef": settings.eos_coef,
        "aux_loss": settings.aux_loss,
    }
