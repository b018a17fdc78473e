"""The set criterion: agreement with the definition image by image, parts, and edge cases."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_convert, generalized_box_iou

from trainables.detr.losses import Balance, matched, set_loss

LAYERS, QUERIES, CLASSES = 3, 5, 7


class Predictions(NamedTuple):
    logits: Tensor
    boxes: Tensor


def predicted(images: int) -> Predictions:
    generator = torch.Generator().manual_seed(0)
    shape, kind = (LAYERS, images, QUERIES), torch.float64
    logits = torch.randn(*shape, CLASSES + 1, generator=generator, dtype=kind)
    boxes = torch.rand(*shape, 4, generator=generator, dtype=kind) * 0.6 + 0.2
    return Predictions(logits.requires_grad_(), boxes.requires_grad_())


def targets(counts: list[int]) -> dict[str, Tensor]:
    """A whole batch; what is padding lies in the middle of the predictions, to tempt."""
    generator = torch.Generator().manual_seed(1)
    size, most = len(counts), max(1, *counts)
    boxes = torch.rand(size, most, 4, generator=generator, dtype=torch.float64) * 0.6 + 0.2
    classes = torch.randint(0, CLASSES, (size, most), generator=generator)
    number = torch.tensor(counts)
    return {
        "boxes": boxes,
        "classes": classes,
        "counts": number,
        "batch_counts": number.expand(size, -1),
    }


def plain(found: Predictions, batch: dict[str, Tensor], layer: int) -> dict[str, Tensor]:
    """The losses of a layer by the definition, image by image."""
    logits, boxes = found.logits[layer], found.boxes[layer]
    wanted = torch.full(logits.shape[:2], CLASSES)
    distance, overlap, right = logits.new_zeros(()), logits.new_zeros(()), list[float]()
    for b, count in enumerate(batch["counts"].tolist()):
        true, classes = batch["boxes"][b, :count], batch["classes"][b, :count]
        corners = [box_convert(one, "cxcywh", "xyxy") for one in (boxes[b], true)]
        gious = generalized_box_iou(*corners)
        cost = 5 * torch.cdist(boxes[b], true, p=1) - 2 * gious - logits[b].softmax(1)[:, classes]
        rows, columns = map(torch.from_numpy, linear_sum_assignment(cost.detach()))
        wanted[b, rows] = classes[columns]
        distance = distance + (boxes[b, rows] - true[columns]).abs().sum()
        overlap = overlap + (1 - gious[rows, columns]).sum()
        right += (logits[b, rows].argmax(1) == classes[columns]).tolist()
    weight = torch.ones(CLASSES + 1, dtype=torch.float64)
    weight[-1] = 0.1
    number = max(1, int(batch["counts"].sum()))
    seen = (logits.argmax(-1) != CLASSES).sum(1)
    return {
        "loss_ce": functional.cross_entropy(logits.transpose(1, 2), wanted, weight),
        "loss_bbox": distance / number,
        "loss_giou": overlap / number,
        "cardinality_error": (seen - batch["counts"]).abs().double().mean(),
        "class_error": torch.tensor(100 - 100 * sum(right) / max(1, len(right))),
    }


COUNTS = [[3, 0, 8, 1], [0, 0, 1, 0], [5, 5, 5, 5]]
"""Images without objects, and with more objects than there are queries."""


@pytest.mark.parametrize("counts", COUNTS)
def test_the_loss_and_its_gradients_are_those_of_the_definition(counts: list[int]) -> None:
    first, second, batch = predicted(4), predicted(4), targets(counts)
    total = set_loss(first, batch).total
    weights = {"loss_ce": 1, "loss_bbox": 5, "loss_giou": 2}
    layers = [plain(second, batch, layer) for layer in range(LAYERS)]
    expected = sum(one[name] * weight for one in layers for name, weight in weights.items())
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(total, expected)
    for mine, theirs in zip(
        torch.autograd.grad(total, first), torch.autograd.grad(expected, second), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("counts", COUNTS)
def test_terms_are_those_of_the_definition(counts: list[int]) -> None:
    found, batch = predicted(4), targets(counts)
    terms = set_loss(found, batch).terms
    last, before = plain(found, batch, -1), plain(found, batch, 1)
    for name in ("class_error", "cardinality_error"):
        torch.testing.assert_close(terms[name], last[name].detach(), check_dtype=False)
    for name, weight in (("loss_ce", 1), ("loss_bbox", 5), ("loss_giou", 2)):
        torch.testing.assert_close(terms[name], weight * last[name].detach())
        torch.testing.assert_close(terms[f"layers/{name}_1"], weight * before[name].detach())
        torch.testing.assert_close(terms[f"unscaled/{name}_1"], before[name].detach())
        torch.testing.assert_close(terms[f"unscaled/{name}"], last[name].detach())
    assert not any(name.endswith("_2") or term.requires_grad for name, term in terms.items())


def test_without_auxiliary_losses_the_last_layer_pays_alone() -> None:
    found, batch = predicted(4), targets([3, 0, 8, 1])
    alone = set_loss(found, batch, aux_loss=False)
    terms = set_loss(found, batch).terms
    main = [terms[f"loss_{name}"] for name in ("ce", "bbox", "giou")]
    torch.testing.assert_close(alone.total.detach(), torch.stack(main).sum())
    assert not any(name.startswith("layers/") for name in alone.terms)
    grads = torch.autograd.grad(alone.total, found)
    assert all(bool((one[:-1] == 0).all()) for one in grads)


def part_of(batch: dict[str, Tensor], start: int, stop: int) -> dict[str, Tensor]:
    return {name: one[start:stop] for name, one in batch.items()}


@pytest.mark.parametrize("counts", COUNTS)
def test_two_parts_equal_the_whole(counts: list[int]) -> None:
    found, batch = predicted(4), targets(counts)
    whole = set_loss(found, batch)
    halves = [
        set_loss(Predictions(*(one[:, at : at + 2] for one in found)), part_of(batch, at, at + 2))
        for at in (0, 2)
    ]
    together = (halves[0].total + halves[1].total) / 2
    torch.testing.assert_close(together, whole.total, rtol=1e-6, atol=1e-9)
    for one, both in zip(
        torch.autograd.grad(whole.total, found), torch.autograd.grad(together, found), strict=True
    ):
        torch.testing.assert_close(both, one, rtol=1e-6, atol=1e-9)
    for name, term in whole.terms.items():
        mean = (halves[0].terms[name] + halves[1].terms[name]) / 2
        torch.testing.assert_close(mean, term, rtol=1e-6, atol=1e-9)


def test_a_batch_without_objects_has_a_loss_and_no_class_error() -> None:
    found = predicted(2)
    total, terms = set_loss(found, targets([0, 0]))
    total.backward()
    assert bool(terms["class_error"].isnan()) and terms["loss_bbox"].item() == 0.0
    assert found.boxes.grad is not None and bool((found.boxes.grad == 0).all())
    wanted = torch.full((2 * QUERIES,), CLASSES)
    entropy = functional.cross_entropy(found.logits[-1].flatten(0, 1), wanted)
    torch.testing.assert_close(terms["loss_ce"], entropy.detach())


def test_perfect_predictions_pay_nothing() -> None:
    batch = targets([3, 2])
    boxes = functional.pad(batch["boxes"], (0, 0, 0, QUERIES - 3), value=0.5)
    wanted = torch.full((2, QUERIES), CLASSES)
    for b, count in enumerate((3, 2)):
        wanted[b, :count] = batch["classes"][b, :count]
    logits = 100 * functional.one_hot(wanted, CLASSES + 1).double()
    total, terms = set_loss(Predictions(logits[None], boxes[None]), batch)
    assert float(total) == pytest.approx(0, abs=1e-12)
    assert terms["class_error"] == terms["cardinality_error"] == 0


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_is_in_the_loss(value: float) -> None:
    found, batch = predicted(2), targets([2, 1])
    lost = found.logits.detach().clone()
    lost[1] = value
    assert not bool(set_loss(Predictions(lost, found.boxes), batch).total.isfinite())
    assert not bool(
        set_loss(Predictions(found.logits, found.boxes * torch.nan), batch).total.isfinite()
    )


def test_costs_decide_who_is_matched() -> None:
    boxes = torch.tensor([[[[0.5, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]]]])
    logits = torch.tensor([[[[0.0, 0.0], [9.0, 0.0]]]])
    batch = {
        "boxes": torch.tensor([[[0.5, 0.5, 0.2, 0.2]]]),
        "classes": torch.zeros(1, 1, dtype=torch.long),
        "counts": torch.tensor([1]),
    }
    assert matched(logits, boxes, batch).rows.tolist() == [[[0]]]
    assert matched(logits, boxes, batch, Balance(9.0, 0.0, 0.0)).rows.tolist() == [[[1]]]


def test_half_precision_is_computed_in_single() -> None:
    found, batch = predicted(2), targets([2, 1])
    half = Predictions(found.logits.bfloat16(), found.boxes.bfloat16())
    single = Predictions(half.logits.float(), half.boxes.float())
    batch["boxes"] = batch["boxes"].float()
    torch.testing.assert_close(set_loss(half, batch).total, set_loss(single, batch).total)
