"""DETR: outputs, losses and gradients of one batch with padding, and the time of a training step.

The original is github.com/facebookresearch/detr at 29901c5.
"""

# L decoder layers, B images.

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from benchmarks.beside.pairing import SEED, Case, Sides, gradient, original, quietly
from trainables.core.optimizers import build
from trainables.detr.losses import set_loss
from trainables.detr.networks import DETR, Predictions
from trainables.detr.official import renamed
from trainables.layers.detection_backbones import DetectionBackbone

PACKAGE = "models"
CLASSES, OBJECTS = 91, 5

_WEIGHTS = {"ce": 1, "bbox": 5, "giou": 2}

_PUBLISHED = {
    "hidden_dim": 256,
    "nheads": 8,
    "dim_feedforward": 2048,
    "enc_layers": 6,
    "dec_layers": 6,
    "lr_backbone": 1e-5,
    "masks": False,
    "dilation": False,
    "backbone": "resnet18",
    "set_cost_class": 1,
    "set_cost_bbox": 5,
    "set_cost_giou": 2,
}


def cases() -> list[Case]:
    """Comparisons without dropout, pictures of three sizes; and a step as it is published, up to
    the gradient, and with the update of the weights.
    """
    padded = ((200, 264), (150, 264), (97, 131))
    compared = [
        Case(
            f"{norm}-norm, {positions} positions",
            partial(_sides, norm, positions, padded, dropout=0.0),
        )
        for norm in ("post", "pre")
        for positions in ("sine", "learned")
    ]
    whole = ((256, 256),) * 2
    timed = [
        Case(
            f"ResNet-18, 2 × 256², {name}",
            partial(_sides, "post", "sine", whole, dropout=0.1, updated=updated),
            is_compared=False,
            is_timed=True,
        )
        for name, updated in (("gradient", False), ("whole step", True))
    ]
    return [*compared, *timed]


def _networks(
    norm: Literal["post", "pre"], positions: Literal["sine", "learned"], dropout: float
) -> tuple[Any, Any, DETR]:
    """The original, its criterion, and ours with the same weights; the backbone is not pretrained.

    What is 0 or 1 everywhere at first, such as statistics of norms, is moved before.
    """
    given = {"pre_norm": norm == "pre", "position_embedding": positions, "dropout": dropout}
    settings = argparse.Namespace(**_PUBLISHED, **given)
    with quietly():
        backbone = original("backbone", PACKAGE)
        backbone.is_main_process = lambda: False  # it would download weights
        body = backbone.build_backbone(settings)
        transformer = original("transformer", PACKAGE).build_transformer(settings)
        theirs = original("detr", PACKAGE).DETR(body, transformer, CLASSES, 100, aux_loss=True)
    with torch.no_grad():
        for value in theirs.state_dict().values():
            if (value == value.flatten()[0]).all():
                value.add_(0.1 * torch.rand_like(value))
    ours = DETR(
        backbone=DetectionBackbone(name="resnet18"),
        num_classes=CLASSES,
        dropout=dropout,
        norm=norm,
        positions=positions,
    )
    ours.load_official(theirs.state_dict())
    return theirs, their_criterion(), ours


def their_criterion() -> Any:
    """The original's losses of classes, boxes and numbers, with its matching."""
    matcher = original("matcher", PACKAGE).build_matcher(argparse.Namespace(**_PUBLISHED))
    wanted = ["labels", "boxes", "cardinality"]
    return original("detr", PACKAGE).SetCriterion(CLASSES, matcher, {}, 0.1, wanted)


def targets_of(batch: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The objects of a batch of ours as the original has them."""
    return [
        {"labels": classes[:count], "boxes": boxes[:count]}
        for classes, boxes, count in zip(
            batch["classes"], batch["boxes"], batch["counts"].tolist(), strict=True
        )
    ]


def terms_of(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Losses of the original by our names, with the published weights."""
    return {
        _ours(name): value * _WEIGHTS[name.split("_")[1]]
        for name, value in found.items()
        if name.startswith("loss_")
    }


def _batch(sizes: tuple[tuple[int, int], ...]) -> tuple[dict[str, Tensor], Tensor]:
    """A batch of ours, and the mask of its pixels, True on padding."""
    height, width = (max(side) for side in zip(*sizes, strict=True))
    mask = torch.ones(len(sizes), height, width, dtype=torch.bool)
    for each, size in zip(mask, sizes, strict=True):
        each[: size[0], : size[1]] = False
    counts = torch.full((len(sizes),), OBJECTS)
    batch = {
        "images": torch.randn(len(sizes), 3, height, width).masked_fill(mask[:, None], 0),
        "sizes": torch.tensor(sizes),
        "classes": torch.randint(1, CLASSES, (len(sizes), OBJECTS)),
        "boxes": 0.3 + 0.3 * torch.rand(len(sizes), OBJECTS, 4),
        "counts": counts,
        "batch_counts": counts.expand(len(sizes), -1),
    }
    return batch, mask


def _sides(
    norm: Literal["post", "pre"],
    positions: Literal["sine", "learned"],
    sizes: tuple[tuple[int, int], ...],
    *,
    dropout: float,
    updated: bool = False,
) -> Sides:
    """Logits, boxes and losses of all layers; gradients of the weighted sum of losses.

    With `updated` both clip and update their weights, too.
    """
    torch.manual_seed(0)
    theirs, criterion, ours = _networks(norm, positions, dropout)
    batch, mask = _batch(sizes)
    seen = original("misc", "util").NestedTensor(batch["images"], mask)
    targets = targets_of(batch)
    updates = [_update(one) if updated else _nothing for one in (theirs, ours)]

    def original_step() -> dict[str, Tensor]:
        theirs.zero_grad()
        torch.manual_seed(SEED)
        found = theirs(seen)
        losses = terms_of(criterion(found, targets))
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        updates[0]()
        layers = [*found["aux_outputs"], found]
        logits, boxes = (
            torch.stack([one[name] for one in layers]) for name in ("pred_logits", "pred_boxes")
        )
        return {"logits": logits, "boxes": boxes, "loss": total, **losses}

    def our_step() -> dict[str, Tensor]:
        ours.zero_grad()
        torch.manual_seed(SEED)
        found: Predictions = ours(batch["images"], batch["sizes"])
        loss = set_loss(found, batch)
        loss.total.backward()
        updates[1]()
        losses = {
            name: value
            for name, value in loss.terms.items()
            if name.removeprefix("layers/").startswith("loss_")
        }
        return {**found._asdict(), "loss": loss.total, **losses}

    def gradients() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        trained = {name: one for name, one in ours.named_parameters() if one.requires_grad}
        first = renamed({name: gradient(one) for name, one in theirs.named_parameters()})
        return (
            {name: first[name] for name in trained},
            {name: gradient(one) for name, one in trained.items()},
        )

    exact = None if dropout else partial(_exact, ours, batch)
    return Sides(original_step, our_step, gradients, exact)


def _exact(ours: DETR, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of our loss in double precision; the network stays in it."""
    ours.double().zero_grad()
    doubled = {
        name: one.double() if one.is_floating_point() else one for name, one in batch.items()
    }
    set_loss(ours(doubled["images"], doubled["sizes"]), doubled).total.backward()
    return {name: gradient(one) for name, one in ours.named_parameters() if one.requires_grad}


def _update(network: nn.Module) -> Callable[[], None]:
    """Clips gradients to 0.1 and updates by AdamW: the original's as its `main.py` makes it, ours
    as the loop does."""
    named = [(name, one) for name, one in network.named_parameters() if one.requires_grad]
    groups = [
        {"params": [one for name, one in named if ("backbone" in name) == is_backbone], "lr": rate}
        for is_backbone, rate in ((False, 1e-4), (True, 1e-5))
    ]
    parameters = [one for _, one in named]
    if not isinstance(network, DETR):
        optimizer = torch.optim.AdamW(groups, lr=1e-4, weight_decay=1e-4)

        def original_update() -> None:
            nn.utils.clip_grad_norm_(parameters, 0.1)
            optimizer.step()

        return original_update
    decayed = [group | {"weight_decay": 1e-4} for group in groups]
    own = build(kind="adamw", groups=decayed, lr=1e-4, beta1=0.9, beta2=0.999)

    def our_update() -> None:
        norm = nn.utils.get_total_norm([one.grad for one in parameters if one.grad is not None])
        nn.utils.clip_grads_with_norm_(parameters, 0.1, norm, foreach=True)
        own.step()

    return our_update


def _nothing() -> None:
    """For steps that end at the gradient."""


def _ours(name: str) -> str:
    """Our name of a loss: those of the layers before the last end in a number."""
    return f"layers/{name}" if name[-1].isdigit() else name
