"""Representations: a training step of the first generation, with its losses and its optimiser."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.beside.pairing import Case, Sides, below, moved, original, paired, quietly
from trainables.core.randomness import derive
from trainables.osc.config import Representation
from trainables.osc.experiment import RepresentationExperiment
from trainables.osc.networks import IMAGENET

PACKAGE = "osc"
SIDE = 128

_PLACES = {
    "backbone.patch_emb.proj.": "backbone.patches.",
    "backbone.pos_embed.embed": "backbone.positions",
    "obj_queries.tokens": "queries.table",
    "obj_fn.to_q.": "objects.to_queries.",
    "obj_fn.to_k.": "objects.to_keys.",
    "obj_fn.to_v.": "objects.to_values.",
    "obj_fn.gru.": "objects.gru.",
    "obj_fn.mlp.": "objects.mlp.",
    "obj_fn.norm_input.": "objects.norm_tokens.",
    "obj_fn.norm_slots.": "objects.norm_slots.",
    "obj_fn.norm_pre_ff.": "objects.norm_mlp.",
    **{
        f"{theirs}.fc{1 + index}.": f"{ours}.layers.{3 * index}."
        for theirs, ours in (
            ("global_fn", "global_function"),
            ("global_proj", "global_projection"),
            ("obj_proj", "object_projection"),
        )
        for index in (0, 1)
    },
}
_BLOCK = {
    "norm1.": "norm1.",
    "norm2.": "norm2.",
    "attn.proj_qkv.0.": "attention.qkv.",
    "attn.proj_out.1.": "attention.out.",
    "mlp.fc1.": "mlp.0.",
    "mlp.fc2.": "mlp.3.",
}


@dataclass(frozen=True)
class Setting:
    """Of the networks, the loss and the batch."""

    batch: int
    patch_size: int = 8
    objects: str = "ctr_img"


def cases() -> list[Case]:
    """All losses compared; steps of the default network timed, at its batch and at two others."""
    compared = {f"{name}, B 4": Setting(4, objects=name) for name in ("ctr_img", "ctr_all")}
    timed = {
        "default, P 8, B 16": Setting(16),
        "default, P 8, B 64": Setting(64),
        "P 4, B 16": Setting(16, patch_size=4),
    }
    return [Case(name, partial(_sides, setting)) for name, setting in compared.items()] + [
        Case(name, partial(_sides, setting), is_compared=False, is_timed=True)
        for name, setting in timed.items()
    ]


def renamed(layers: int, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values of the original's networks under our names."""
    found = moved(named, _PLACES)
    for index in range(layers):
        block = moved(below(named, f"backbone.attn_blocks.{index}."), _BLOCK)
        found |= {f"backbone.blocks.{index}.{name}": value for name, value in block.items()}
    return found


def _theirs(setting: Setting) -> nn.Module:
    """The original's default, built of its parts as its configuration has them."""
    transformers = importlib.import_module("timm.models.vision_transformer")
    # What timm had for initial weights, of which nothing is left once ours are copied.
    transformers.__dict__.setdefault("_init_vit_weights", lambda module: None)
    embeds, parts = (original(f"models.{name}", PACKAGE) for name in ("embeds", "attentions"))
    mlp = original("models.utils", PACKAGE).MLP
    tokens = (SIDE // setting.patch_size) ** 2
    with quietly():
        backbone = original("models.vit", PACKAGE).ViTBackbone(
            img_size=(SIDE, SIDE),
            pos_embed=embeds.PositionalEmbedding(tokens, 64),
            pos_embed_every_layer=True,
            embed_dim=64,
            patch_size=setting.patch_size,
            num_heads=4,
            num_layers=4,
            mlp_ratio=2.0,
            global_pool="avg",
        )
        return original("models.models", PACKAGE).Model(
            architecture="backbone-obj_fn(-global_fn-global_proj)-obj_proj",
            backbone=backbone,
            global_fn=mlp(64, 128),
            global_proj=mlp(64, 128, out_bias=False),
            obj_queries=embeds.LearnedObjectTokens(64, 11),
            obj_fn=parts.SlotAttention(64, iters=3, hidden_dim=128),
            obj_proj=mlp(64, 128, out_bias=False),
        )


def _ours(setting: Setting) -> RepresentationExperiment:
    """The same, with attention whose logits are not divided, as the original's are not."""
    config = Representation().with_values(
        {
            "backbone.attention_scale": "none",
            "backbone.patch_size": setting.patch_size,
            "loss.objects": setting.objects,
            "training.batch_size": setting.batch,
        }
    )
    torch.manual_seed(derive(0, "weights"))
    return RepresentationExperiment(config)


def _sides(setting: Setting) -> Sides:
    """Both losses; gradients of all parameters. Each step ends with an update of AdamW."""
    torch.manual_seed(0)
    theirs, ours = _theirs(setting), _ours(setting)
    gradients = paired(theirs, ours.model, partial(renamed, 4))
    views = torch.rand(setting.batch, 2, 3, SIDE, SIDE)
    mean, deviation = (torch.tensor(one)[:, None, None] for one in IMAGENET)
    rows = ((views - mean) / deviation).transpose(0, 1).flatten(0, 1).contiguous()
    losses = SimpleNamespace(
        images=original("loss_global", PACKAGE).contrastive_loss, objects=_contrast(setting)
    )
    settings: dict[str, Any] = {"lr": 1e-6, "weight_decay": 1e-4}
    optimizers = [torch.optim.AdamW(one.parameters(), **settings) for one in (theirs, ours.model)]

    def original_step() -> dict[str, Tensor]:
        optimizers[0].zero_grad()
        found = theirs(rows)
        images = losses.images(found.p_global, temperature=0.1)
        objects = losses.objects(found.p_slots, temperature=0.1)
        (images + objects).backward()
        optimizers[0].step()
        return {"images": images, "objects": objects}

    def our_step() -> dict[str, Tensor]:
        optimizers[1].zero_grad()
        found = ours({"views": views}, 1)
        found.total.backward()
        optimizers[1].step()
        terms = found.terms
        return {"images": terms["images/ctr"], "objects": terms[f"objects/{setting.objects}"]}

    return Sides(original_step, our_step, gradients)


def _contrast(setting: Setting) -> Any:
    module = original("loss_objects", PACKAGE)
    if setting.objects == "ctr_all":
        return module.matching_contrastive_loss
    return module.matching_contrastive_loss_per_img
