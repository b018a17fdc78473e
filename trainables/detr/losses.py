"""The set criterion: predictions matched with objects, and what each layer pays for them."""

# L decoder layers, B images of this part, G of the whole batch, Q queries, N boxes (padded),
# M = min(Q, N) pairs, C classes; class C is "no object".

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from trainables.losses.boxes import giou, l1, pairwise, to_corners
from trainables.losses.matching import Assigned, assign


class Predicted(Protocol):
    """Logits [L, B, Q, C + 1] and boxes [L, B, Q, 4] (centre, width, height in 0…1) of layers."""

    @property
    def logits(self) -> Tensor: ...  # noqa: D102

    @property
    def boxes(self) -> Tensor: ...  # noqa: D102


class Balance(NamedTuple):
    """What classes, distances of boxes and their generalised overlaps count against each other."""

    ce: float = 1.0
    bbox: float = 5.0
    giou: float = 2.0


PUBLISHED = Balance()
"""Costs of the matching and weights of the loss of Carion et al. 2020, appendix A.4."""


class SetLoss(NamedTuple):
    """The total loss, a scalar, and terms to log by name, scalars without gradient."""

    total: Tensor
    terms: dict[str, Tensor]


def set_loss(
    predictions: Predicted,
    batch: Mapping[str, Tensor],
    *,
    costs: Balance = PUBLISHED,
    weights: Balance = PUBLISHED,
    eos_coef: float = 0.1,
    aux_loss: bool = True,
) -> SetLoss:
    """The loss of DETR (Carion et al. 2020, section 3.1 and appendix A.2), all layers at once.

    In each layer an image's objects are matched one to one with queries so that the sum of
    `costs.ce` · −p(class) + `costs.bbox` · ‖b − b̂‖₁ + `costs.giou` · −GIoU is smallest. Then

    - `loss_ce`: cross-entropy over all queries, those without an object being of class C with the
      weight `eos_coef`, divided by the sum of weights,
    - `loss_bbox`: ‖b − b̂‖₁ of pairs, `loss_giou`: 1 − GIoU of pairs, divided by the number of
      boxes, at least 1.

    The total is the weighted sum of the three over all layers, or of the last with `aux_loss`
    False; at least 0. Sums of weights and numbers of boxes are those of the whole batch, and the
    loss of a part is multiplied by G / B: the mean over equal parts is the loss of the whole.

    Terms: `loss_ce`, `loss_bbox`, `loss_giou` of the last layer by their weights; its
    `class_error`, the percentage of wrong classes among matched queries (NaN if the whole batch has
    no object), and `cardinality_error`, the mean over images of |queries that are no "no object" −
    objects|; all of the layers before but the class error as `layers/loss_ce_0` …; and without
    weights as `unscaled/loss_ce`, `unscaled/loss_ce_0` … Their means over equal parts are those of
    the whole batch.

    Nothing waits for the device but the matching, once. Logits and boxes that are not numbers give
    a loss that is none.

    Args:
        predictions: of all layers, the last one last.
        batch: `boxes` [B, N, 4], `classes` [B, N], `counts` [B], `batch_counts` [B, G].
        costs: of the matching.
        weights: of the loss.
        eos_coef: the weight of queries without an object, above 0.
        aux_loss: whether the layers before the last pay, too.
    """
    first = 0 if aux_loss else -1
    logits, boxes = (_single(one[first:]) for one in (predictions.logits, predictions.boxes))
    targets = batch["boxes"].to(boxes.dtype)
    pairs = matched(logits, boxes, batch, costs)
    classes = _classes(logits, batch["classes"], pairs)
    part, whole = len(batch["counts"]), batch["batch_counts"][0]
    share = whole.numel() / part
    layers = {
        "loss_ce": _cross_entropy(logits, classes, whole, eos_coef) * share,
        **_box_losses(boxes, targets, pairs, whole, share),
    }
    weighted = {f"loss_{name}": layers[f"loss_{name}"] * one for name, one in _named(weights)}
    total = torch.stack(list(weighted.values())).sum()
    errors = {
        "class_error": _class_error(logits[-1], classes[-1], whole, share),
        "cardinality_error": _cardinality_error(logits, batch["counts"]),
    }
    return SetLoss(total, _terms(layers, weighted, errors))


def _named(weights: Balance) -> list[tuple[str, float]]:
    return list(weights._asdict().items())


def _terms(
    layers: Mapping[str, Tensor], weighted: Mapping[str, Tensor], errors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """What is logged, as `set_loss` has it, of losses [L] without and with weights, and errors."""
    cardinality = errors["cardinality_error"]
    terms = {name: one[-1] for name, one in weighted.items()}
    terms |= {"class_error": errors["class_error"], "cardinality_error": cardinality[-1]}
    terms |= _numbered("layers/", {**weighted, "cardinality_error": cardinality})
    terms |= {f"unscaled/{name}": one[-1] for name, one in layers.items()}
    terms |= _numbered("unscaled/", layers)
    return {name: term.detach() for name, term in terms.items()}


@torch.no_grad()
def matched(
    logits: Tensor, boxes: Tensor, batch: Mapping[str, Tensor], costs: Balance = PUBLISHED
) -> Assigned:
    """Which query is matched with which object: rows are queries, columns objects, [L, B, M].

    By logits [L, B, Q, C + 1] and boxes [L, B, Q, 4], with the costs of `set_loss`. The costs of
    all layers and images travel to the host together.
    """
    layers, _, queries = logits.shape[:3]
    classes, targets = batch["classes"], batch["boxes"].to(boxes.dtype)
    wanted = classes[None, :, None].expand(layers, -1, queries, -1)
    distance = torch.cdist(boxes, targets.expand(layers, -1, -1, -1), p=1)
    overlap = giou(*pairwise(to_corners(boxes), to_corners(targets)[None]))
    cost = costs.bbox * distance - costs.giou * overlap
    cost = cost - costs.ce * logits.softmax(-1).gather(3, wanted)
    found = assign(cost.flatten(0, 1), counts=batch["counts"].repeat(layers))
    return Assigned(*(one.unflatten(0, (layers, -1)) for one in found))


def _single(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _classes(logits: Tensor, classes: Tensor, pairs: Assigned) -> Tensor:
    """The class [L, B, Q] that each query should have."""
    nothing = logits.shape[-1] - 1
    own = classes.expand(len(logits), -1, -1).gather(2, pairs.columns)
    own = own.where(pairs.matched, nothing)
    return own.new_full(logits.shape[:3], nothing).scatter(2, pairs.rows, own)


def _cross_entropy(logits: Tensor, classes: Tensor, whole: Tensor, eos_coef: float) -> Tensor:
    """The sum over this part by the sum of weights of the whole batch, [L]."""
    queries, nothing = logits.shape[2], logits.shape[3] - 1
    each = functional.cross_entropy(logits.flatten(0, 2), classes.flatten(), reduction="none")
    weight = torch.where(classes == nothing, eos_coef, 1.0).to(each.dtype)
    objects = whole.clamp(max=queries).sum()
    total = objects + eos_coef * (queries * whole.numel() - objects)
    return (each.view_as(classes) * weight).sum((1, 2)) / total


def _box_losses(
    boxes: Tensor, targets: Tensor, pairs: Assigned, whole: Tensor, share: float
) -> dict[str, Tensor]:
    """Distances and overlaps of pairs, each [L]."""
    found = boxes.gather(2, _fourfold(pairs.rows))
    true = targets.expand(len(boxes), -1, -1, -1).gather(2, _fourfold(pairs.columns))
    scale = share / whole.sum().clamp(min=1)
    losses = {"loss_bbox": l1(found, true), "loss_giou": 1 - giou(*map(to_corners, (found, true)))}
    return {
        name: torch.where(pairs.matched, one, 0.0).sum((1, 2)) * scale
        for name, one in losses.items()
    }


def _fourfold(places: Tensor) -> Tensor:
    return places[..., None].expand(*places.shape, 4)


def _cardinality_error(logits: Tensor, counts: Tensor) -> Tensor:
    found = (logits.argmax(-1) != logits.shape[-1] - 1).sum(-1)
    return (found - counts).abs().to(logits.dtype).mean(1)


def _class_error(logits: Tensor, classes: Tensor, whole: Tensor, share: float) -> Tensor:
    """In per cent of all matched queries of the whole batch."""
    queries, nothing = logits.shape[1], logits.shape[2] - 1
    wrong = ((logits.argmax(-1) != classes) & (classes != nothing)).sum()
    return 100 * share * wrong / whole.clamp(max=queries).sum()


def _numbered(prefix: str, layers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The values of all layers but the last, under names that end in their number."""
    return {
        f"{prefix}{name}_{number}": one
        for name, values in layers.items()
        for number, one in enumerate(values[:-1])
    }
