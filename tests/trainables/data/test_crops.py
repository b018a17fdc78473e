"""Boxes of random crops: distribution, bounds, overlap of two of them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou
from torchvision.transforms import v2

from trainables.data.crops import TRIES, overlap, overlapping, relative_boxes, resized_boxes

CLEVR = (240, 320)


def draws(count: int, seed: int = 0, tries: int = TRIES) -> Tensor:
    return torch.rand(count, tries, 4, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("scale", "mean", "disjoint"),
    [
        ((0.1, 0.3), 0.22, 0.167),
        ((0.1, 0.5), 0.31, 0.059),
        ((0.1, 0.8), 0.39, 0.025),
        ((0.3, 1.0), 0.54, 0.0002),
        ((0.5, 1.0), 0.67, 0.0),
    ],
)
def test_two_views_overlap_as_published_crops_do(
    scale: tuple[float, float], mean: float, disjoint: float
) -> None:
    first, second = (resized_boxes(draws(40_000, s), size=CLEVR, scale=scale) for s in (0, 1))
    found = overlap(first, second)
    assert float(found.mean()) == pytest.approx(mean, abs=0.01)
    assert float((found == 0).float().mean()) == pytest.approx(disjoint, abs=0.01)


def test_sides_are_distributed_as_those_of_torchvision() -> None:
    scale, ratio = (0.3, 1.0), (3 / 4, 4 / 3)
    boxes = resized_boxes(draws(20_000), size=CLEVR, scale=scale, ratio=ratio)
    ours = boxes[:, 2:] * torch.tensor(CLEVR)
    image = torch.empty(1, *CLEVR)
    torch.manual_seed(0)
    peer = v2.RandomResizedCrop(8, scale=scale, ratio=ratio)
    theirs = torch.tensor(
        [
            [float(one["height"]), float(one["width"])]
            for one in (peer.make_params([image]) for _ in range(4000))
        ]
    )
    torch.testing.assert_close(ours.mean(0), theirs.mean(0), rtol=0.02, atol=0)
    torch.testing.assert_close(ours.std(0), theirs.std(0), rtol=0.05, atol=0)


@pytest.mark.parametrize("scale", [(0.1, 0.3), (0.8, 1.0), (1.0, 1.0)])
def test_no_crop_leaves_the_image(scale: tuple[float, float]) -> None:
    boxes = resized_boxes(draws(20_000), size=CLEVR, scale=scale)
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] > 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= 1 + 1e-6).all()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (CLEVR, (0.0, 0.0, 1.0, 1.0)),
        ((100, 200), (0.0, 1 / 6, 1.0, 2 / 3)),
        ((200, 100), (1 / 6, 0.0, 2 / 3, 1.0)),
    ],
)
def test_where_no_try_fits_the_crop_is_in_the_middle(
    size: tuple[int, int], expected: tuple[float, ...]
) -> None:
    """A fault that was published put it at the right."""
    tries = torch.tensor([[[1.0, share, 0.5, 0.5] for share in (0.0, 1.0)]])
    if size == CLEVR:
        tries[..., 1] = 0.0  # higher than wide, and the whole area: no room
    boxes = resized_boxes(tries, size=size, scale=(1.0, 1.0))
    torch.testing.assert_close(boxes, torch.tensor([expected]))


def test_the_first_try_that_fits_counts() -> None:
    tries = draws(500)
    boxes = resized_boxes(tries, size=CLEVR, scale=(0.5, 1.0))
    for own, box in zip(tries.double(), boxes, strict=True):
        for area, shape, top, left in own.tolist():
            pixels = (0.5 + 0.5 * area) * 240 * 320
            ratio = math.exp(math.log(3 / 4) + shape * 2 * math.log(4 / 3))
            high, wide = math.sqrt(pixels / ratio) / 240, math.sqrt(pixels * ratio) / 320
            if high <= 1 and wide <= 1:
                expected = [top * (1 - high), left * (1 - wide), high, wide]
                assert box.tolist() == pytest.approx(expected, abs=1e-5)
                break


def test_relative_boxes_are_those_that_fit_of_uniform_areas_and_ratios() -> None:
    large = {"area": (0.6, 1.0), "ratio": (0.66, 1.5)}
    first, second = (relative_boxes(draws(40_000, seed, 20), **large) for seed in (0, 1))
    found = overlap(first, second)
    assert float(found.mean()) == pytest.approx(0.72, abs=0.01)
    assert (first[:, :2] >= 0).all() and (first[:, :2] + first[:, 2:] <= 1 + 1e-6).all()
    assert (first[:, 2:].prod(1) >= 0.6 - 1e-6).all()
    once = relative_boxes(draws(40_000, 2, 1), **large)
    square = (once[:, 2] - once[:, 3]).abs() < 1e-6
    assert float((~square).float().mean()) == pytest.approx(0.547, abs=0.01)
    small = relative_boxes(draws(40_000, 3, 20), area=(0.08, 0.25), ratio=(0.66, 1.5))
    inside = _inside(small, first)
    assert float(inside.mean()) == pytest.approx(0.92, abs=0.01)


def _inside(small: Tensor, large: Tensor) -> Tensor:
    """The share of a small box that lies in a large one."""
    iou, area = overlap(small, large), small[:, 2:].prod(1)
    return iou * (area + large[:, 2:].prod(1)) / (1 + iou) / area


def test_overlap_is_that_of_torchvision() -> None:
    first, second = (resized_boxes(draws(50, s), size=CLEVR, scale=(0.1, 0.5)) for s in (0, 1))
    one, other = (torch.cat([box[:, :2], box[:, :2] + box[:, 2:]], 1) for box in (first, second))
    torch.testing.assert_close(overlap(first, second), box_iou(one, other).diagonal())


def test_the_first_box_that_overlaps_enough_is_taken_or_the_best() -> None:
    first = torch.tensor([[0.0, 0.0, 0.5, 0.5]]).expand(2, 4)
    near = [0.0, 0.0, 0.5, 0.25]
    others = torch.tensor(
        [
            [[0.5, 0.5, 0.5, 0.5], near, [0.0, 0.0, 0.5, 0.5]],
            [[0.5, 0.5, 0.5, 0.5], [0.0, 0.4, 0.5, 0.5], [0.4, 0.4, 0.5, 0.5]],
        ]
    )
    found = overlapping(first, others, 0.4)
    torch.testing.assert_close(found, torch.stack([others[0, 1], others[1, 1]]))
    assert torch.equal(overlapping(first, others, 0.0), others[:, 0])
