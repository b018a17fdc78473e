"""Parts of networks by their configuration."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trainables.layers import queries
from trainables.layers.attention import SelfAttention
from trainables.layers.competitive import CompetitiveDecoder
from trainables.layers.feature_backbones import TimmFeatures
from trainables.layers.features import Features
from trainables.layers.instances import InstanceDecoder
from trainables.layers.object_decoders import CoAttentionDecoder, CrossAttentionDecoder
from trainables.layers.pooling import AttentionPool
from trainables.layers.projections import Projection
from trainables.layers.slot_attention import SlotAttention
from trainables.layers.vit import ViT
from trainables.layers.weights import locate
from trainables.osc import parts

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CENTRED = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class Transformer(ViT):
    """A vision transformer on pixels 0…1, which it standardises first."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, settings: parts.VisionTransformer, image_size: int) -> None:
        named = settings.model_dump(exclude={"kind", "standardization"})
        super().__init__(
            image_size=image_size, channels=3, classes=0, init="timm", positions="learned", **named
        )
        self.width = settings.width
        for attention in self.modules():
            if isinstance(attention, SelfAttention):
                attention.by_image = True  # a third of a step on a CPU is torch's dropout
        mean, deviation = IMAGENET if settings.standardization == "imagenet" else CENTRED
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Features:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Images [N, 3, S, S], 0…1, of any side that the patch divides."""
        return self.features((images - self.mean) / self.deviation)


def backbone(settings: parts.VisionTransformer | parts.TimmBackbone, sizes: list[int]) -> nn.Module:
    """The backbone of these settings for square images of some sides, the largest first."""
    if isinstance(settings, parts.VisionTransformer):
        return Transformer(settings, sizes[0])
    weights = None
    if settings.pretrained and not torch.empty(0).is_meta:  # of a sketch the numbers do not matter
        weights = locate(settings.name, settings.weights_file)
    return TimmFeatures(
        name=settings.name,
        image_sizes=sizes,
        weights=weights,
        is_frozen=settings.frozen,
        drop_path=0.0 if settings.frozen else settings.drop_path,
        output_norm=settings.output_norm,
    )


def start(settings: parts.Queries, width: int) -> nn.Module | None:
    """What is learned of the queries of these settings; None if nothing is."""
    if isinstance(settings, parts.LearnedQueries):
        return queries.LearnedQueries(settings.num_slots, width)
    if isinstance(settings, parts.SampledQueries):
        return queries.SampledQueries(width, settings.components)
    if isinstance(settings, parts.TemplateQueries):
        return queries.TemplateQueries(
            num_templates=settings.templates,
            num_slots=settings.num_slots,
            width=width,
            heads=settings.heads,
            instances=settings.instances,
            has_background=settings.has_background,
        )
    return None


def objects(settings: Any, width: int, num_slots: int) -> nn.Module:
    """The function that makes slots [N, S, width] of queries and patches, both so wide."""
    if isinstance(settings, parts.SlotAttention):
        return SlotAttention(
            token_width=width,
            slot_width=width,
            iterations=settings.iterations,
            heads=settings.heads,
            mlp_width=round(settings.mlp_ratio * width),
            init="torch",
            implicit=settings.implicit,
            trains_prior=True,
            prior="none",
            num_slots=num_slots,
            background_bias=settings.background_bias,
            positions_at=settings.positions_at,
        )
    named = settings.model_dump(exclude={"kind", "positions"})
    kinds: dict[str, type[nn.Module]] = {
        "cross_attention": CrossAttentionDecoder,
        "co_attention": CoAttentionDecoder,
        "competitive_attention": CompetitiveDecoder,
        "instance_attention": InstanceDecoder,
    }
    return kinds[settings.kind](width=width, token_width=width, **named)


def global_function(settings: parts.Mlp | parts.AttentionPool, width: int) -> nn.Module:
    """Of one vector [N, width] (MLP), or of several [N, M, width] (attention pool)."""
    if isinstance(settings, parts.Mlp):
        return Projection(width, hidden_factor=settings.hidden_factor, dropout=settings.dropout)
    return AttentionPool(width=width, token_width=width, **settings.model_dump(exclude={"kind"}))


def projection(settings: parts.Projection, width: int) -> Projection:
    """From `width` to that of the settings."""
    return Projection(
        width,
        settings.width or width,
        hidden_factor=settings.hidden_factor,
        bias=settings.bias,
        dropout=settings.dropout,
    )


def predictor(settings: parts.Projection, width: int) -> nn.Module:
    """From projections back to features: nothing where they are as wide."""
    if settings.width in (None, width):
        return nn.Identity()
    return Projection(settings.width, width, hidden_factor=settings.hidden_factor, bias=True)
