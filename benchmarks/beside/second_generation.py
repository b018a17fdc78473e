"""Representations of the second generation: a training step of its small network from scratch.

The original needs packages that are old or not ours, which it alone finds in a folder of its own:
`pip install --no-deps --target CHECKOUT/src/packages timm==0.6.5 fvcore tabulate`. Two of its terms
are left out of comparisons, and others made of its own functions take their place:

- `ctr`, which takes cosines of rows of the Gram matrix of projections, and whose accuracy is that
  of a scalar, 1 / (2B) always: cosines of the projections;
- `sim_small`, in which each pair of crops counts alike, however many of its slots are kept: its
  distances and shares by pair, so that each slot that is kept counts alike.

Timings have the original as it is.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.beside.pairing import (
    SEED,
    Case,
    Sides,
    below,
    moved,
    noise,
    original,
    paired,
    quietly,
)
from trainables.core.randomness import derive
from trainables.osc.config import SECOND_MICRO, second_generation
from trainables.osc.experiment import RepresentationExperiment
from trainables.osc.objectives import Loss, Regularization
from trainables.settings.crops import SmallCrops, TurnedCrops

PACKAGE = "osc"
SIDE, SMALL_SIDE, PATCH, WIDTH, LAYERS, SLOTS, TEMPERATURE = 128, 96, 8, 128, 4, 11, 0.1
SPREAD = {"var": 0.5, "cov": 0.3}
"""Weights of variance and covariance, of images and of slots."""

_PLACES = {
    "backbone.patch_embed.proj.": "backbone.patches.",
    "backbone.cls_token": "backbone.class_token",
    "backbone.pos_embed": "backbone.positions",
    "global_fn.cls_token": "global_function.token",
    "global_fn.ctx_norm.": "global_function.norm_tokens.",
    "obj_fn.pos_embed": "positions.table",
    "obj_fn.proj_kv.0.": "objects.norm_tokens.",
    "obj_fn.proj_q.0.": "objects.norm_slots.",
    "obj_fn.proj_q.1.": "objects.to_queries.",
    "obj_fn.gru.": "objects.gru.",
    "obj_fn.norm_mlp.": "objects.norm_mlp.",
    "obj_fn.mlp.fc1.": "objects.mlp.0.",
    "obj_fn.mlp.fc2.": "objects.mlp.2.",
    **{
        f"{theirs}.fc{1 + index}.": f"{ours}.layers.{3 * index}."
        for theirs, ours in (
            ("global_proj", "global_projection"),
            ("obj_proj", "object_projection"),
        )
        for index in (0, 1)
    },
}
_BLOCK = {
    "norm1.": "norm1.",
    "norm2.": "norm2.",
    "attn.qkv.": "attention.qkv.",
    "attn.proj.": "attention.out.",
    "mlp.fc1.": "mlp.0.",
    "mlp.fc2.": "mlp.3.",
}
_POOL = {
    "cross_norm.": "norm_cross.",
    "cross_attn.proj_q.0.": "cross_attention.queries.",
    "cross_attn.proj_kv.0.": "cross_attention.keys_values.",
    "cross_attn.proj_out.1.": "cross_attention.out.",
    "mlp_norm.": "norm_mlp.",
    "mlp.fc1.": "mlp.0.",
    "mlp.fc2.": "mlp.3.",
}
_TERMS = {"var": "variance", "cov": "covariance", "sim_small": "small"}


@dataclass(frozen=True)
class Setting:
    """Of the batch, the rate of all dropouts of the backbone, and the terms of the loss."""

    batch: int = 4
    dropout: float = 0.0
    images: str = "sim"
    objects: str = "sim_img"
    small: int = 0
    is_compared: bool = True
    """Whether the two terms are replaced."""


def cases() -> list[Case]:
    """All losses compared; steps of the default loss timed, with and without dropout."""
    compared = {
        "sim, sim_img": Setting(),
        "ctr of projections, sim_img": Setting(images="ctr"),
        "sim, ctr_img": Setting(objects="ctr_img"),
        "sim, ctr_all": Setting(objects="ctr_all"),
        "sim, sim_img, 2 small crops": Setting(small=2),
    }
    timed = {
        "vit_micro, dropout 0.2, B 16": Setting(16, 0.2, images="ctr", is_compared=False),
        "vit_micro, no dropout, B 16": Setting(16, 0.0, images="ctr", is_compared=False),
    }
    return [Case(f"{name}, B 4", partial(_sides, one)) for name, one in compared.items()] + [
        Case(name, partial(_sides, one), is_compared=False, is_timed=True)
        for name, one in timed.items()
    ]


def renamed(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values of the original's networks under our names."""
    found = moved(named, _PLACES)
    for index in range(LAYERS):
        block = moved(below(named, f"backbone.blocks.{index}."), _BLOCK)
        found |= {f"backbone.blocks.{index}.{name}": value for name, value in block.items()}
    for index in range(2):
        block = moved(below(named, f"global_fn.blocks.{index}."), _POOL)
        found |= {f"global_function.blocks.{index}.{name}": one for name, one in block.items()}
    keys, values = named["obj_fn.proj_kv.1.weight"].chunk(2)
    return found | {"objects.to_keys.weight": keys, "objects.to_values.weight": values}


@contextlib.contextmanager
def _packages_of_the_original() -> Generator[None]:
    """What is imported meanwhile finds the original's packages first, and its timm only."""
    package = importlib.util.find_spec(PACKAGE)
    assert package is not None and package.origin is not None
    folder = str(Path(package.origin).parents[1] / "packages")
    kept = _taken()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        _taken()
        sys.modules.update(kept)


def _taken() -> dict[str, ModuleType]:
    """All modules of timm that are imported; they are so no more."""
    names = [name for name in sys.modules if name.split(".")[0] == "timm"]
    return {name: sys.modules.pop(name) for name in names}


def _modules() -> SimpleNamespace:
    """The modules of the original that are needed."""
    with quietly(), _packages_of_the_original(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(f"{PACKAGE}.models.builders")
    paths = {
        "vit": "models.vit",
        "pooling": "models.cross_attn",
        "queries": "models.obj_queries",
        "slots": "models.slot_attn",
        "core": "models.core_model",
        "parts": "models.utils",
        "images": "losses.loss_global",
        "objects": "losses.loss_objects",
        "maths": "utils",
    }
    return SimpleNamespace(**{name: original(path, PACKAGE) for name, path in paths.items()})


def _theirs(modules: SimpleNamespace, setting: Setting) -> nn.Module:
    """The original's network, built of its parts as its configuration has them."""
    rate = setting.dropout
    with quietly():
        backbone = modules.vit.MyVisionTransformer(
            img_size=(SIDE, SIDE),
            patch_size=PATCH,
            embed_dim=WIDTH,
            pos_embed_drop=rate,
            depth=LAYERS,
            num_heads=4,
            mlp_ratio=2.0,
            qkv_bias=True,
            drop_rate=rate,
            attn_drop_rate=rate,
            drop_path_rate=rate,
        )
        return modules.core.CoreModel(
            backbone=backbone,
            global_fn=modules.pooling.CrossAttentionPooling(
                WIDTH, num_layers=2, num_heads=8, mlp_ratio=2.0
            ),
            global_proj=modules.parts.MLP(WIDTH, 2.0),
            obj_queries=modules.queries.NormalObjectTokens(WIDTH, SLOTS),
            obj_fn=modules.slots.SlotAttentionDecoder(
                WIDTH, backbone.get_pos_embed().detach().clone(), num_layers=3
            ),
            obj_proj=modules.parts.MLP(WIDTH, 2.0),
        )


def _ours(setting: Setting) -> RepresentationExperiment:
    """The same; without the norm behind the last block, as the original has it."""
    rates = dict.fromkeys(("dropout", "attention_dropout", "drop_path"), setting.dropout)
    spread = Regularization(variance=SPREAD["var"], covariance=SPREAD["cov"])
    small = SmallCrops(count=setting.small, size=SMALL_SIDE)
    config = second_generation(
        backbone=SECOND_MICRO.with_values({"output_norm": False, **rates}),
        views=TurnedCrops(size=SIDE, small=small),
        loss=Loss(
            images=setting.images,  # pyright: ignore[reportArgumentType]
            objects=setting.objects,  # pyright: ignore[reportArgumentType]
            of_images=spread,
            of_slots=spread,
            small_crops=1.0 if setting.small else 0.0,
        ),
    )
    torch.manual_seed(derive(0, "weights"))
    return RepresentationExperiment(config)


def _weights(setting: Setting) -> SimpleNamespace:
    """The configuration of the original's losses."""
    of_images = dict.fromkeys(("ctr", "sim"), 0.0) | SPREAD | {setting.images: 1.0}
    of_slots = dict.fromkeys(("ctr_all", "ctr_img", "sim_img"), 0.0) | SPREAD
    of_slots |= {setting.objects: 1.0, "sim_small": 1.0 if setting.small else 0.0}
    if setting.is_compared:
        of_images["ctr"] = of_slots["sim_small"] = 0.0
    losses = {
        name: SimpleNamespace(
            **{term: SimpleNamespace(weight=one, temp=TEMPERATURE) for term, one in terms.items()}
        )
        for name, terms in (("l_global", of_images), ("l_objects", of_slots))
    }
    return SimpleNamespace(losses=SimpleNamespace(**losses))


def _sides(setting: Setting) -> Sides:
    """All terms of the loss; gradients of all parameters. Each step ends with AdamW's update."""
    torch.manual_seed(0)
    modules = _modules()
    theirs, ours = _theirs(modules, setting), _ours(setting)
    gradients = paired(theirs, ours.model, renamed)
    views = torch.rand(setting.batch, 2, 3, SIDE, SIDE)
    small = torch.rand(setting.batch, setting.small, 3, SMALL_SIDE, SMALL_SIDE)
    settings: dict[str, Any] = {"lr": 1e-6, "weight_decay": 1e-6}
    optimizers = [torch.optim.AdamW(one.parameters(), **settings) for one in (theirs, ours.model)]
    weights = _weights(setting)

    def original_step() -> dict[str, Tensor]:
        torch.manual_seed(SEED)
        optimizers[0].zero_grad()
        large = theirs(2 * views.flatten(0, 1) - 1).reshape_batch(setting.batch, 2)
        less = None
        if setting.small:
            less = theirs(2 * small.flatten(0, 1) - 1).reshape_batch(setting.batch, -1)
        images, terms = modules.images.compute_losses_global(weights, large)
        objects, more = modules.objects.compute_losses_objects(weights, large, less)
        total = images + objects
        if setting.images == "ctr" and setting.is_compared:
            terms["ctr"] = _contrast(modules.maths, large.p_global)
            total = total + terms["ctr"]
        if less is not None and setting.is_compared:
            more |= _of_small(modules.objects, large, less)
            total = total + more["sim_small"]
        total.backward()
        optimizers[0].step()
        return _by_our_names("images", terms) | _by_our_names("objects", more)

    def our_step() -> dict[str, Tensor]:
        optimizers[1].zero_grad()
        rows = noise(setting.batch * 2, SLOTS, WIDTH)
        batch = {"views": views, "noise": rows.unflatten(0, (-1, 2))}
        if setting.small:
            more = torch.randn(setting.batch * setting.small, SLOTS, WIDTH)
            batch["small_noise"] = more.unflatten(0, (-1, setting.small))
            batch["small_views"] = small
        found = ours(batch, 1)
        found.total.backward()
        optimizers[1].step()
        left_out = ("total", "accuracy")
        return {name: one for name, one in found.terms.items() if not name.endswith(left_out)}

    return Sides(original_step, our_step, gradients)


def _contrast(maths: ModuleType, projections: Tensor) -> Tensor:
    """The cross-entropy of the original's cosines of projections [B, 2, D]."""
    rows = projections.flatten(0, 1)
    scores = maths.cos_pairwise(rows) / TEMPERATURE
    scores = scores - torch.diag(torch.full_like(scores[0], torch.inf))
    return functional.cross_entropy(scores, torch.arange(len(rows)) ^ 1)


def _of_small(losses: ModuleType, large: Any, small: Any) -> dict[str, Tensor]:
    """The mean distance of all slots of small crops that are kept, and their share."""
    found = losses.matching_similarity_loss_small_to_large(large.f_slots, small.p_slots, "none")
    distances, shares = found  # of each pair of crops; none is without a slot that is kept
    return {"sim_small": (distances * shares).sum() / shares.sum(), "reciprocal": shares.mean()}


def _by_our_names(part: str, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Terms of the original's losses, but for sums and accuracies."""
    short = {name.rpartition("/")[2]: one for name, one in terms.items()}
    kept = {name: one for name, one in short.items() if name not in ("total", "acc")}
    return {f"{part}/{_TERMS.get(name, name)}": one for name, one in kept.items()}
