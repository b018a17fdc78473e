"""Self-distillation: the loss of all views, its gradients, and the time of a whole step of DINO.

The original is github.com/facebookresearch/dino at 7c446df.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from benchmarks.beside.pairing import Case, Sides, below, gradient, moved, quietly
from trainables.core.experiment import Batch
from trainables.core.randomness import derive
from trainables.ssl.config import Pretraining
from trainables.ssl.learners import Distillation, Moment
from trainables.ssl.pretraining import PretrainingExperiment
from trainables.ssl.pretraining_task import clip_each

PACKAGE = "vision_transformer"
SIDE, LAYERS, BATCH, SMALL = 32, 12, 32, 4
LR, WEIGHT_DECAY, CLIP, MOMENTUM = 1e-5, 0.04, 3.0, 0.996

_PLACES = {
    "backbone.patch_embed.proj.": "backbone.patches.",
    "backbone.cls_token": "backbone.class_token",
    "backbone.pos_embed": "backbone.positions",
    "backbone.norm.": "backbone.norm.",
    "head.mlp.": "head.perceptron.",
    "head.last_layer.weight_v": "head.last_layer.direction",
    "head.last_layer.weight_g": "head.last_layer.gain",
}
_BLOCK = {
    "norm1.": "norm1.",
    "norm2.": "norm2.",
    "attn.qkv.": "attention.qkv.",
    "attn.proj.": "attention.out.",
    "mlp.fc1.": "mlp.0.",
    "mlp.fc2.": "mlp.3.",
}


@dataclass(frozen=True)
class Setting:
    """Of network and views: the side of small views, of which the positions are interpolated by
    another rule than ours unless they are as large as the others.
    """

    patch_size: int
    prototypes: int
    small_side: int = SIDE // 2
    drop_path: float = 0.1
    batch: int = BATCH


def cases() -> list[Case]:
    """The loss without drop path and of views of one side; steps of the default timed."""
    compared = {
        "patch 8, K 1,024, B 8": Setting(8, 1024, SIDE, 0.0, 8),
        "patch 4, K 4,096, B 4": Setting(4, 4096, SIDE, 0.0, 4),
    }
    timed = {
        "ViT-tiny, patch 8, K 1,024, B 32": Setting(8, 1024),
        "patch 4, K 1,024": Setting(4, 1024),
        "patch 4, K 65,536": Setting(4, 65_536),
    }
    return [Case(name, partial(_sides, setting)) for name, setting in compared.items()] + [
        Case(name, partial(_sides, setting), is_compared=False, is_timed=True)
        for name, setting in timed.items()
    ]


def renamed(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values of the original's student under our names."""
    found = moved(named, _PLACES)
    for index in range(LAYERS):
        block = moved(below(named, f"backbone.blocks.{index}."), _BLOCK)
        found |= {f"backbone.blocks.{index}.{name}": value for name, value in block.items()}
    return found


def _theirs(setting: Setting) -> tuple[nn.Module, nn.Module, Any]:
    """Student, teacher and loss, as its script builds them."""
    if not dist.is_initialized():  # its loss asks for a group, of one
        store = dist.HashStore()  # pyright: ignore[reportPrivateImportUsage]
        dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    with quietly():
        script = importlib.import_module("main_dino")
        parts = [
            script.utils.MultiCropWrapper(
                script.vits.vit_tiny(setting.patch_size, img_size=[SIDE], drop_path_rate=rate),
                script.DINOHead(192, setting.prototypes, norm_last_layer=True),
            )
            for rate in (setting.drop_path, 0.0)
        ]
    return *parts, script.DINOLoss(setting.prototypes, 2 + SMALL, 0.04, 0.04, 0, 100)


def _ours(setting: Setting) -> PretrainingExperiment:
    config = Pretraining().with_values(
        {
            "data.name": "cifar10",
            "views.size": SIDE,
            "views.local_crop_input_factor": SIDE / setting.small_side,
            "views.small.count": SMALL,
            "model.patch_size": setting.patch_size,
            "model.width": 192,
            "model.layers": LAYERS,
            "model.heads": 3,
            "model.mlp_ratio": 4.0,
            "model.drop_path": setting.drop_path,
            "method.head.prototypes": setting.prototypes,
            "method.momentum": MOMENTUM,
            "method.last_layer_epochs": 0,
            "optimizer.lr": LR,
            "optimizer.weight_decay": WEIGHT_DECAY,
            "optimizer.final_weight_decay": None,
            "training.batch_size": setting.batch,
            "training.clip_norm": 0.0,
            "compatibility": "official",
            "clip_each": CLIP,
        }
    )
    torch.manual_seed(derive(0, "weights"))
    return PretrainingExperiment(config)


def _sides(setting: Setting) -> Sides:
    """The loss; gradients of the student. Each step ends with the updates of student, teacher and
    centre.
    """
    torch.manual_seed(0)
    student, teacher, loss = _theirs(setting)
    ours = _ours(setting)
    learner = ours.learner
    assert isinstance(learner, Distillation)
    _same_weights(student, teacher, learner)
    batch: Batch = {
        "large_views": torch.randn(setting.batch, 2, 3, SIDE, SIDE),
        "small_views": torch.randn(setting.batch, SMALL, 3, *(2 * [setting.small_side])),
    }
    views = [view.contiguous() for one in batch.values() for view in one.unbind(1)]
    utils: Any = importlib.import_module("utils")
    settings: dict[str, Any] = {"lr": LR, "weight_decay": WEIGHT_DECAY}
    theirs = torch.optim.AdamW(utils.get_params_groups(student), **settings)
    optimizer = ours.optimizer(ours.parameter_groups())
    for group in optimizer.param_groups:
        group["lr"] = LR
    moment = Moment(1, 100_000, 1)

    def original_step() -> dict[str, Tensor]:
        targets, found = teacher(views[:2]), student(views)
        total = loss(found, targets, 0)
        theirs.zero_grad()
        total.backward()
        utils.clip_gradients(student, CLIP)
        theirs.step()
        with torch.no_grad():
            for mine, other in zip(student.parameters(), teacher.parameters(), strict=True):
                other.data.mul_(MOMENTUM).add_((1 - MOMENTUM) * mine.detach().data)
        return {"loss": total}

    def our_step() -> dict[str, Tensor]:
        found = learner.compare(batch, _alone, moment)
        optimizer.zero_grad()
        found.total.backward()
        clip_each(learner.parameters(), CLIP)
        optimizer.step()
        learner.after_update(moment)
        return {"loss": found.total}

    def gradients() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        trained = {k: v for k, v in learner.student.named_parameters() if v.requires_grad}
        first = renamed({name: gradient(one) for name, one in student.named_parameters()})
        return (
            {name: first[name].reshape(one.shape) for name, one in trained.items()},
            {name: gradient(one) for name, one in trained.items()},
        )

    return Sides(original_step, our_step, gradients)


def _same_weights(student: nn.Module, teacher: nn.Module, ours: Distillation) -> None:
    """Gives all of them the weights of the student, moved where they are all 0 or all 1."""
    with torch.no_grad():
        for name, one in student.named_parameters():
            if one.requires_grad and (one == one.flatten()[0]).all():
                one.add_(0.1 * torch.randn_like(one))
            dict(teacher.named_parameters())[name].copy_(one)
        values = renamed(dict(student.named_parameters()))
        for network in (ours.student, ours.teacher.network):
            mine = dict(network.named_parameters())
            if alone := set(values) ^ set(mine):
                raise LookupError(f"parameters without a counterpart: {', '.join(sorted(alone))}")
            for name, one in mine.items():
                one.copy_(values[name].reshape(one.shape))


def _alone(values: Tensor) -> Tensor:
    """Of this process, which is the only one."""
    return values
