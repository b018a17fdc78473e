"""The set criterion of DETR: matching of all layers, losses, and their gradients.

The original is github.com/facebookresearch/detr at 29901c5.
"""

# L decoder layers, B images.

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.beside.detr import CLASSES, PACKAGE, targets_of, terms_of, their_criterion
from benchmarks.beside.pairing import Case, Sides, gradient
from trainables.detr.losses import set_loss
from trainables.detr.networks import Predictions

__all__ = ["PACKAGE", "cases"]

LAYERS, QUERIES = 6, 100
COUNTS = {"2 images of 5 objects": (5, 5), "6 images of 0 … 20 objects": (7, 0, 20, 3, 1, 12)}


def cases() -> list[Case]:
    """Forward and backward for two batches, compared and timed."""
    return [Case(name, partial(_sides, counts), is_timed=True) for name, counts in COUNTS.items()]


def _sides(counts: tuple[int, ...]) -> Sides:
    torch.manual_seed(0)
    logits = torch.randn(LAYERS, len(counts), QUERIES, CLASSES + 1)
    boxes = 0.2 + 0.6 * torch.rand(LAYERS, len(counts), QUERIES, 4)
    both = [Predictions(logits.clone(), boxes.clone()) for _ in range(2)]
    for one in (*both[0], *both[1]):
        one.requires_grad_()
    theirs, ours = both
    number = torch.tensor(counts)
    batch = {
        "classes": torch.randint(1, CLASSES, (len(counts), max(counts))),
        "boxes": 0.2 + 0.6 * torch.rand(len(counts), max(counts), 4),
        "counts": number,
        "batch_counts": number.expand(len(counts), -1),
    }
    targets, criterion = targets_of(batch), their_criterion()

    def original_step() -> dict[str, Tensor]:
        theirs.logits.grad = theirs.boxes.grad = None
        layers: list[dict[str, Any]] = [
            {"pred_logits": one, "pred_boxes": some} for one, some in zip(*theirs, strict=True)
        ]
        losses = terms_of(criterion({**layers[-1], "aux_outputs": layers[:-1]}, targets))
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        return {"loss": total, **losses}

    def our_step() -> dict[str, Tensor]:
        ours.logits.grad = ours.boxes.grad = None
        loss = set_loss(ours, batch)
        loss.total.backward()
        losses = {
            name: value
            for name, value in loss.terms.items()
            if name.removeprefix("layers/").startswith("loss_")
        }
        return {"loss": loss.total, **losses}

    def gradients() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        first, second = (
            {name: gradient(value) for name, value in side._asdict().items()} for side in both
        )
        return first, second

    return Sides(original_step, our_step, gradients)
