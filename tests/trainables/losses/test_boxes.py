"""Boxes: published values, agreement with torchvision, gradients, boxes without area."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_convert, box_iou, generalized_box_iou

from trainables.losses.boxes import areas, giou, iou, l1, pairwise, to_corners


def drawn(count: int, seed: int) -> Tensor:
    """Boxes by corners, float64, many of which overlap."""
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(count, 4, generator=generator, dtype=torch.float64) * 0.6 + 0.1
    return to_corners(boxes)


def test_two_boxes_have_their_distance_and_generalised_overlap() -> None:
    first, second = torch.tensor([0.5, 0.5, 0.4, 0.4]), torch.tensor([0.6, 0.5, 0.4, 0.2])
    assert float(l1(first, second)) == pytest.approx(0.3)
    assert float(giou(to_corners(first), to_corners(second))) == pytest.approx(0.233333, abs=1e-6)


def test_corners_and_areas_are_those_of_torchvision() -> None:
    boxes = torch.rand(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(to_corners(boxes), box_convert(boxes, "cxcywh", "xyxy"))
    torch.testing.assert_close(areas(to_corners(boxes)), boxes[:, 2] * boxes[:, 3])


@pytest.mark.parametrize(
    ("mine", "theirs"), [(iou, box_iou), (giou, generalized_box_iou)], ids=["iou", "giou"]
)
def test_all_pairs_are_as_in_torchvision(
    mine: Callable[[Tensor, Tensor], Tensor], theirs: Callable[[Tensor, Tensor], Tensor]
) -> None:
    first, second = drawn(13, 0), drawn(7, 1)
    expected = theirs(first, second)
    torch.testing.assert_close(mine(*pairwise(first, second)), expected)
    torch.testing.assert_close(mine(first[:7], second), expected[:7].diagonal())
    torch.testing.assert_close(mine(first, first), torch.ones(13, dtype=torch.float64))


def plain_giou(one: Tensor, two: Tensor) -> Tensor:
    """Of two single boxes that overlap, by the definition."""
    shared = (min_of(one[2], two[2]) - max_of(one[0], two[0])) * (
        min_of(one[3], two[3]) - max_of(one[1], two[1])
    )
    sizes = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    union = sizes[0] + sizes[1] - shared
    hull = (max_of(one[2], two[2]) - min_of(one[0], two[0])) * (
        max_of(one[3], two[3]) - min_of(one[1], two[1])
    )
    return shared / union - (hull - union) / hull


def min_of(one: Tensor, two: Tensor) -> Tensor:
    return one if one < two else two


def max_of(one: Tensor, two: Tensor) -> Tensor:
    return one if one > two else two


def test_gradients_are_those_of_the_definition() -> None:
    mine = torch.tensor([[0.3, 0.3, 0.7, 0.7]], dtype=torch.float64, requires_grad=True)
    plain = mine.detach().clone().requires_grad_()
    other = torch.tensor([[0.4, 0.2, 0.9, 0.6]], dtype=torch.float64)
    giou(mine, other).sum().backward()
    plain_giou(plain[0], other[0]).backward()
    torch.testing.assert_close(mine.grad, plain.grad)


def test_gradients_of_boxes_that_do_not_touch_are_those_of_differences() -> None:
    first, second = drawn(30, 2).requires_grad_(), drawn(30, 3)
    assert torch.autograd.gradcheck(lambda boxes: giou(boxes, second), (first,))


@pytest.mark.parametrize("measure", [iou, giou])
def test_a_point_has_no_overlap_and_a_gradient(measure: Callable[[Tensor, Tensor], Tensor]) -> None:
    point = torch.tensor([0.5, 0.5, 0.5, 0.5], requires_grad=True)
    value = measure(point, torch.tensor([0.5, 0.5, 0.5, 0.5]))
    value.backward()
    assert value.item() == 0.0
    assert point.grad is not None and bool(point.grad.isfinite().all())


def test_a_negative_side_counts_as_none() -> None:
    turned, box = torch.tensor([0.8, 0.2, 0.4, 0.6]), torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert float(areas(turned)) == float(iou(turned, box)) == 0.0
    assert float(giou(turned, box)) == 0.0


def test_what_is_not_a_number_stays_so() -> None:
    lost, box = torch.full((4,), torch.nan), torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert bool(iou(lost, box).isnan()) and bool(giou(lost, box).isnan())
