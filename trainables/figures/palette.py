"""Colours that are easy to tell apart: of segments, of curves."""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.losses.matching import assign
from trainables.metrics.segments import contingency, overlaps

BACKGROUND = "#3c4650"
"""A dark slate that lets objects stand out."""

OBJECTS = (
    "#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6",
    "#bfef45", "#fabed4", "#469990", "#dcbeff", "#9a6324", "#fffac8", "#800000", "#aaffc3",
    "#808000", "#ffd8b1", "#000075", "#a9a9a9",
)  # fmt: skip
"""Twenty colours in the order of how well they are told apart (Sasha Trubetskoy, 2017)."""

PALETTE = (BACKGROUND, *OBJECTS)
"""The 21 colours of labels: 0 is the background. Higher labels begin again with object colours."""

CURVES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31")
"""Colours of curves that colour-blind readers tell apart (Okabe and Ito 2008, and a brown)."""


def color(label: int) -> str:
    """The colour of a label of at least 0."""
    return PALETTE[label if label < len(PALETTE) else 1 + (label - 1) % len(OBJECTS)]


def paint(labels: Tensor) -> Tensor:
    """Colours [..., 3], uint8, of labels [...] of at least 0, on the CPU."""
    most = int(labels.max()) + 1 if labels.numel() else 1
    table = [list(bytes.fromhex(color(label)[1:])) for label in range(most)]
    return torch.tensor(table, dtype=torch.uint8)[labels.long().cpu()]


def alike(found: Tensor, true: Tensor | None, slots: int) -> Tensor:
    """Labels [B, slots], int64, under which slots look like the entities that they show.

    `found` and `true` [B, h, w] are label maps of one size. Slots matched with an entity (best
    overlaps, one to one, the background too) have its label, the others those that are free. With
    no `true` the largest slot has label 0, and the others follow as they are numbered.
    """
    if true is None:
        sizes = contingency(torch.zeros_like(found), found, 1, slots)[:, 0]
        largest = sizes.argmax(1, keepdim=True)
        numbers = torch.arange(slots, device=found.device).expand(len(found), slots)
        return torch.where(numbers == largest, 0, numbers + (numbers < largest))
    counts = contingency(true, found, int(true.max()) + 1, slots)
    return labels_by_overlap(overlaps(counts), (counts.sum(2) > 0).any(0))


def labels_by_overlap(iou: Tensor, is_there: Tensor) -> Tensor:
    """The labels [B, S], int64, of slots with overlaps [B, T, S] with entities, as in `alike`.

    `is_there`, bool [T]: the entities of all images together, whose labels slots that show none of
    them do not have.
    """
    rows, columns = assign(iou, maximize=True)
    labels = torch.full((len(iou), iou.shape[2]), -1, dtype=torch.int64)
    known = set(is_there.nonzero()[:, 0].tolist())
    images = zip(labels, rows.cpu(), columns.cpu(), iou.cpu(), strict=True)
    for label, entities, matched, fit in images:
        meets = fit[entities, matched] > 0
        label[matched[meets]] = entities[meets]
        taken = set(entities[meets].tolist()) | known
        free = (number for number in range(len(label) + len(taken)) if number not in taken)
        label[label < 0] = torch.tensor([next(free) for _ in range(int((label < 0).sum()))]).long()
    return labels.to(iou.device)
