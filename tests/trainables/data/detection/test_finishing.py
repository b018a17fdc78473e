"""Crops of a fixed size, padding and erasing: boxes are where their pixels are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from trainables.data.detection.finishing import FINISHING_DRAWS, Crop, Finishing, finished
from trainables.data.detection.geometry import DRAWS, Augmentation, Plan, pixels, training_plan

SIZE = 60, 80
ALL = Finishing(
    fixed_crop_rate=0.5,
    fixed_crop_sides=(50, 61),
    centre_crop_rate=0.5,
    centre_crop_sides=(41, 70),
    pad_rate=0.5,
    most_padding=17,
)


def planned(boxes: np.ndarray, draws: list[float], how: Finishing) -> Plan:
    """Of a picture of `SIZE` that is neither mirrored nor resized before."""
    whole = Augmentation((60,), 1000, 0.0, 0.0, (), (1, 1), how)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return training_plan(SIZE, boxes, areas, [0.5] * DRAWS + draws, whole)


def mask_of(box: np.ndarray) -> Tensor:
    left, top, right, bottom = box.astype(int)
    mask = torch.zeros(3, *SIZE, dtype=torch.uint8)
    mask[:, top:bottom, left:right] = 255
    return mask


@pytest.mark.parametrize("seed", range(12))
def test_boxes_are_those_of_rendered_masks_pixel_by_pixel(seed: int) -> None:
    random = np.random.RandomState(seed)
    corners = np.sort(random.randint(0, 61, (20, 2, 2)) * [1.0, 1.0], 1)
    boxes = np.concatenate([corners[:, 0], corners[:, 1]], 1)
    boxes = boxes[((boxes[:, 2:] - boxes[:, :2]) > 0).all(1)]
    plan = planned(boxes, random.random_sample(FINISHING_DRAWS).tolist(), ALL)
    kept = dict(zip(plan.kept.tolist(), range(len(plan.kept)), strict=True))
    for number, box in enumerate(boxes):
        image = pixels(plan, mask_of(box))
        assert image.shape[1:] == plan.size
        rows, columns = image[0].nonzero().unbind(1)
        assert bool(len(rows)) == (number in kept)
        if len(rows):
            x, y, width, height = plan.boxes[kept[number]] * np.tile(plan.size[::-1], 2)
            edges = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
            seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert np.allclose(edges, [int(one) for one in seen], atol=1e-4)
            assert plan.areas[kept[number]] == len(rows)


def test_each_does_what_it_says() -> None:
    def of(size: tuple[int, int], at: int, draws: list[float], **how: Any) -> Any:
        all_of = [0.0] * FINISHING_DRAWS
        all_of[at : at + len(draws)] = draws
        return finished(size, all_of, Finishing(**how))

    half, most = 0.5, 1 - 2**-24
    cut = {"fixed_crop_rate": 1.0, "fixed_crop_sides": (40, 30)}
    assert of(SIZE, 0, [0, 0, most], **cut).crops == (Crop(0, 50, 40, 30),)
    assert of((20, 90), 0, [0, most, half], **cut).crops == (Crop(0, 30, 20, 30),)
    middle = of(SIZE, 3, [0], centre_crop_rate=1.0, centre_crop_sides=(40, 30))
    assert middle == ((Crop(10, 25, 40, 30),), (40, 30), None)
    assert of(SIZE, 4, [0, most, half], pad_rate=1.0, most_padding=10).size == (70, 85)
    erased = of(SIZE, 7, [0, 0, half, 0, most], erase_rate=1.0, erased_range=(0.25, 0.3))
    side = round((0.25 * 60 * 80 * 0.3 * 11**0.5) ** 0.5)
    other = round((0.25 * 60 * 80 / (0.3 * 11**0.5)) ** 0.5)
    assert erased == ((), SIZE, Crop(0, 80 - other, side, other))


def test_what_is_erased_or_padded_is_black_and_the_rest_as_it_was() -> None:
    how = Finishing(pad_rate=1.0, most_padding=9, erase_rate=1.0)
    boxes = np.array([[5.0, 6, 20, 30]])
    draws = np.random.RandomState(1).random_sample(FINISHING_DRAWS).tolist()
    plan = planned(boxes, draws, how)
    image = torch.randint(1, 256, (3, *SIZE), dtype=torch.uint8)
    found = pixels(plan, image)
    assert plan.after is not None and plan.after.erased is not None
    top, left, height, width = plan.after.erased
    expected = torch.zeros(3, *plan.size, dtype=torch.uint8)
    expected[:, : SIZE[0], : SIZE[1]] = image
    expected[:, top : top + height, left : left + width] = 0
    assert torch.equal(found, expected) and plan.areas.tolist() == [15 * 24]
    share = 0.02 + 0.31 * draws[8]
    assert height * width == pytest.approx(share * plan.size[0] * plan.size[1], rel=0.1)


def test_erasing_never_leaves_the_picture() -> None:
    how = Finishing(erase_rate=1.0, erased_range=(0.9, 1.0), erased_ratio=(0.1, 10.0))
    for draws in np.random.RandomState(0).random_sample((50, FINISHING_DRAWS)).tolist():
        erased = finished((7, 5), draws, how).erased
        assert erased is not None and min(erased[:2]) >= 0
        assert erased.top + erased.height <= 7 and erased.left + erased.width <= 5


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"pad_rate": 1.5}, "pad_rate must be in 0…1, got 1.5"),
        (
            {"fixed_crop_sides": (0, 3)},
            r"fixed_crop_sides must be of at least 1 pixel, got \(0, 3\)",
        ),
        ({"most_padding": 0}, "most_padding must be at least 1, got 0"),
        ({"erased_range": (0.4, 0.2)}, "erased_range must rise within 0…1, got"),
        ({"erased_ratio": (0.0, 2.0)}, "erased_ratio must rise from above 0, got"),
    ],
)
def test_what_cannot_be_is_one_sentence(how: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Finishing(**how)
