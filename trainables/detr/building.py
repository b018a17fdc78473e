"""The network and the loss of a configuration."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trainables.core.randomness import generator
from trainables.detr import official
from trainables.detr.config import Detection
from trainables.detr.losses import Balance
from trainables.detr.maps import Entmax, Softmax, TVMax
from trainables.detr.networks import DETR
from trainables.detr.parts import Loss
from trainables.layers.detection_backbones import DetectionBackbone
from trainables.layers.learned_alpha import LearnedAlpha
from trainables.layers.multihead import MultiHeadAttention, PaddingMode
from trainables.layers.simplex import simplex_map
from trainables.layers.weights import Weights, locate


def network(config: Detection) -> DETR:
    """Backbone, transformer and heads; weights are drawn, but for those that come from files.

    Raises:
        LookupError: a file is not there.
        ValueError: what is in a file does not fit: names the setting or the tensor.
    """
    settings = config.transformer
    made = DETR(
        backbone=backbone(config),
        num_classes=config.data.facts.num_classes,
        num_queries=config.num_queries,
        encoder_self=maps(config, "encoder_self", settings.encoder_layers),
        decoder_self=maps(config, "decoder_self", settings.decoder_layers),
        cross=maps(config, "cross", settings.decoder_layers),
        padding_mode=config.cross.padding,
        **settings.model_dump(),
    )
    file = None if _is_sketched() else weights(config)
    if file is not None:
        state = official.read(file.path)
        try:
            made.load_official(state)
        except ValueError as error:
            raise ValueError(
                f"weights_file must fit the network, got {file.path}: {error}"
            ) from None
    if config.weights_file is not None or config.backbone.pretrained:
        made.backbone.freeze()
    return made


def weights(config: Detection) -> Weights | None:
    """The file with the weights of the whole detector, if there is one."""
    return None if config.weights_file is None else locate("a detector", config.weights_file)


def backbone(config: Detection) -> DetectionBackbone:
    """The backbone of these settings, with weights of its own unless those of the detector come.

    Nothing of it learns at a rate of 0.
    """
    settings, file = config.backbone, None
    if settings.pretrained and config.weights_file is None and not _is_sketched():
        file = locate(settings.name, settings.weights_file)
    return DetectionBackbone(
        name=settings.name,
        weights=file,
        trained_layers=() if config.optimizer.backbone_lr == 0 else None,
        dilation=settings.dilation,
    )


def _is_sketched() -> bool:
    """Whether a network is built on the meta device, where its numbers do not matter."""
    return torch.empty(0).is_meta


@contextmanager
def padded(network: DETR, padding: Literal["as_trained", "masked", "added"]) -> Generator[None]:
    """Within the block attention to pictures does this with padding; `as_trained`: what it did."""
    crossing = [one for kind, _, one in attentions(network) if kind == "cross"]
    before: list[PaddingMode] = [one.padding_mode for one in crossing]
    try:
        for one, mode in zip(crossing, before, strict=True):
            one.padding_mode = mode if padding == "as_trained" else padding
        yield
    finally:
        for one, mode in zip(crossing, before, strict=True):
            one.padding_mode = mode


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
                heads = config.transformer.heads
                shared = learned_alpha(settings, heads, config.seed, kind, layer)
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


def learned_alpha(
    settings: Entmax, heads: int, seed: int, kind: str, layer: int = 0
) -> LearnedAlpha:
    """The α of a layer with so many heads at its start, which may be drawn by the seed of a run."""
    start: dict[str, Any] = {"start": settings.alpha}
    if settings.start != "given":
        drawn = layer if settings.start == "normal" else 0
        start = {"generator": generator(seed, f"alpha {kind}", drawn)}
    with torch.device("cpu"):  # a generator has a device, and a sketch has another
        own = heads if settings.tied == "head" else 1
        made = LearnedAlpha(own, form=settings.form, **start)
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
