"""A box that is moved is where its pixels are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from trainables.data.detection.geometry import (
    DRAWS,
    PUBLISHED,
    PUBLISHED_RESIZING,
    Augmentation,
    Crop,
    Plan,
    Resizing,
    as_draws,
    evaluation_plan,
    pixels,
    resized,
    training_plan,
)

SMALL = Augmentation(
    sizes=(64, 80, 96),
    longest=130,
    mirror_rate=0.5,
    crop_rate=0.5,
    first_sizes=(50, 60, 70),
    crop_range=(40, 60),
)
NONE = np.zeros((0, 4)), np.zeros(0)
HALF = [0.9, 0.9, *[0.5] * 6]
"""Draws by which a picture is neither mirrored nor cropped."""


def painted(size: tuple[int, int], box: list[int]) -> Tensor:
    image = torch.zeros(3, *size, dtype=torch.uint8)
    image[:, box[1] : box[3], box[0] : box[2]] = 255
    return image


def edges(plan: Plan, number: int = 0) -> np.ndarray:
    """Left, top, right and bottom of a box in pixels of the new picture."""
    x, y, width, height = plan.boxes[number].astype(np.float64)
    rows, columns = plan.size
    return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2]) * [
        columns,
        rows,
        columns,
        rows,
    ]


def seen(image: Tensor) -> np.ndarray:
    """The same of what is brighter than half, to half a pixel and what a filter blurs."""
    bright = image[0] > 127
    rows, columns = bright.any(1).nonzero()[:, 0], bright.any(0).nonzero()[:, 0]
    return np.array([int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1])


@pytest.mark.parametrize("seed", range(40))
def test_a_painted_box_is_where_the_plan_says(seed: int) -> None:
    random = np.random.RandomState(seed)
    height, width = random.randint(45, 140, 2).tolist()
    left, top = random.randint(0, width - 20), random.randint(0, height - 20)
    box = [left, top, random.randint(left + 18, width + 1), random.randint(top + 18, height + 1)]
    draws = random.random_sample(DRAWS).tolist()
    plan = training_plan((height, width), np.array([box], float), np.ones(1), draws, SMALL)
    image = pixels(plan, painted((height, width), box))
    assert image.shape == (3, *plan.size)
    if not len(plan.kept):
        assert int(image.max()) <= 127
    elif (edges(plan)[2:] - edges(plan)[:2]).min() > 4:  # of thin slivers a filter leaves little
        assert np.abs(edges(plan) - seen(image)).max() < 2


def test_a_mirrored_box_is_mirrored() -> None:
    draws = [0.0, *HALF[1:]]
    size = 80, 120
    plan = training_plan(size, np.array([[10.0, 20, 40, 60]]), np.array([1200.0]), draws, SMALL)
    assert plan.mirrored and plan.size == (80, 120)
    assert np.allclose(edges(plan), [80, 20, 110, 60], atol=1e-4)
    assert torch.equal(
        pixels(plan, painted(size, [10, 20, 40, 60])), painted(size, [80, 20, 110, 60])
    )


def test_a_part_has_what_is_left_of_a_box_and_its_area() -> None:
    """Of 100 × 50 pixels the 40 × 40 at the left and top are taken, then doubled."""
    how = Augmentation((80,), 1000, 0.0, 1.0, (50,), (40, 40))
    boxes = np.array([[10.0, 5, 60, 30], [45, 0, 90, 50], [0, 40, 10, 50]])  # two are left out
    plan = training_plan((50, 100), boxes, np.full(3, 7.0), [0.5] * 6 + [0.0, 0.0], how)
    assert plan.crop == Crop(0, 0, 40, 40) and plan.size == (80, 80)
    assert plan.kept.tolist() == [0] and plan.areas.tolist() == [30 * 25 * 4]
    assert np.allclose(edges(plan), [20, 10, 80, 60], atol=1e-4)


def test_areas_grow_with_the_picture_where_nothing_is_cut() -> None:
    plan = evaluation_plan(
        (40, 60), np.array([[0.0, 0, 10, 10]]), np.array([64.0]), Resizing(80, 999)
    )
    assert plan.size == (80, 120) and plan.areas.tolist() == [256.0]
    assert plan.boxes.tolist() == [pytest.approx([5 / 60, 5 / 40, 10 / 60, 10 / 40])]


def test_a_picture_without_boxes_has_a_plan() -> None:
    plan = training_plan((90, 70), *NONE, [0.1] * DRAWS, SMALL)
    assert plan.boxes.shape == (0, 4) and plan.kept.shape == plan.areas.shape == (0,)


def published_size(size: tuple[int, int], short: int, longest: int) -> tuple[int, int]:
    """The rule of DETR in its own words: width and height apart."""
    height, width = size
    if max(size) / min(size) * short > longest:
        short = int(round(longest * min(size) / max(size)))
    if width < height:
        return int(short * height / width), short
    return short, int(short * width / height)


@given(st.integers(20, 3000), st.integers(20, 3000), st.sampled_from([480, 640, 800, 33]))
@settings(max_examples=60, deadline=None)
def test_sizes_are_those_of_the_published_rule(height: int, width: int, short: int) -> None:
    assert resized((height, width), short, 1333) == published_size((height, width), short, 1333)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((480, 640), (800, 1066)), ((640, 480), (1066, 800)), ((400, 1000), (533, 1332))],
)
def test_sizes_of_evaluation_by_hand(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert evaluation_plan(size, *NONE, PUBLISHED_RESIZING).size == expected


def test_a_picture_of_one_row_stays_one() -> None:
    assert resized((1, 5000), 800, 1333) == (1, 5000 * 1 // 1)


@pytest.mark.parametrize("size", [(20, 20), (383, 900), (1, 1), (2, 4000)])
def test_crops_of_small_pictures_do_not_fail(size: tuple[int, int]) -> None:
    how = Augmentation((32,), 64, 0.0, 1.0, (16,), (384, 600))
    for draw in (0.0, 0.5, 1 - 2**-24):
        plan = training_plan(size, *NONE, [draw] * DRAWS, how)
        assert plan.crop is not None and plan.first is not None
        assert (plan.crop.height, plan.crop.width) == (
            min(384, plan.first[0]) if plan.first[0] <= 384 else plan.crop.height,
            min(384, plan.first[1]) if plan.first[1] <= 384 else plan.crop.width,
        )
        assert pixels(plan, torch.zeros(3, *size, dtype=torch.uint8)).shape[1:] == plan.size


def test_all_that_is_drawn_is_as_likely_as_it_should_be() -> None:
    draws = np.random.RandomState(0).random_sample((2000, DRAWS)).tolist()
    plans = [training_plan((480, 640), *NONE, one, PUBLISHED) for one in draws]
    assert np.mean([plan.mirrored for plan in plans]) == pytest.approx(0.5, abs=0.03)
    cut = [plan for plan in plans if plan.crop is not None]
    assert len(cut) / len(plans) == pytest.approx(0.5, abs=0.03)
    assert {plan.first for plan in cut} == {(400, 533), (500, 666), (600, 800)}
    whole = [plan.size[0] for plan in plans if plan.crop is None]
    assert sorted(set(whole)) == list(range(480, 801, 32))
    heights = [plan.crop.height for plan in cut if plan.crop and plan.first == (600, 800)]
    assert min(heights) < 390 and max(heights) > 594
    assert np.mean(heights) == pytest.approx((384 + 600) / 2, abs=8)
    for plan in cut:
        assert plan.crop is not None and plan.first is not None
        assert 0 <= plan.crop.top <= plan.first[0] - plan.crop.height
        assert 0 <= plan.crop.left <= plan.first[1] - plan.crop.width


@pytest.mark.parametrize("size", [(97, 131), (60, 75), (33, 40)])
def test_pixels_are_those_of_pillow(size: tuple[int, int]) -> None:
    image = np.random.RandomState(0).randint(0, 256, (60, 75, 3)).astype(np.uint8)
    plan = Plan((60, 75), False, None, None, size, *np.zeros((3, 0), np.float32))  # pyright: ignore
    expected = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    found = pixels(plan, torch.from_numpy(image).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    assert np.abs(found.astype(int) - np.asarray(expected).astype(int)).max() <= 1


PUBLISHED_BOXES = [
    (
        [0.25, 0.75, 0.4, 0.1, 0.2, 0.3, 0.4, 0.5],
        (608, 810),
        [
            [0.827344, 0.198958, 0.3125, 0.313542],
            [0.266406, 0.603646, 0.529688, 0.790625],
            [0.03125, 0.035417, 0.0625, 0.0625],
        ],
        [160.31, 320.62, 480.94],
    ),
    (
        [0.75, 0.25, 0.9, 0.5, 0.6, 0.7, 0.8, 0.2],
        (768, 848),
        [[0.183902, 0.161145, 0.367805, 0.322289], [0.774501, 0.5819, 0.450997, 0.836201]],
        [77200.52, 245607.34],
    ),
    (
        [0.125, 0.125, 0.0, 0.99, 0.5, 0.5, 0.25, 0.75],
        (480, 480),
        [[0.810849, 0.189469, 0.378303, 0.378938], [0.197154, 0.599593, 0.394309, 0.800813]],
        [33028.61, 72752.88],
    ),
]
"""By the code of DETR (github.com/facebookresearch/detr, 29901c5), given the same draws."""


@pytest.mark.parametrize(("draws", "size", "boxes", "areas"), PUBLISHED_BOXES)
def test_boxes_are_those_of_the_published_code(
    draws: list[float], size: tuple[int, int], boxes: list[list[float]], areas: list[float]
) -> None:
    before = np.array([[10.5, 20.25, 210.5, 170.75], [300, 100, 639, 479.5], [600, 2, 640, 32]])
    plan = training_plan((480, 640), before, np.array([100.0, 200, 300]), draws, PUBLISHED)
    assert plan.size == size and plan.kept.tolist() == list(range(len(boxes)))
    assert np.abs(plan.boxes - np.array(boxes)).max() < 1e-6
    assert plan.areas == pytest.approx(areas, abs=0.02)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Resizing(0, 10), "size must be of at least 1 pixel each, got \\[0\\]"),
        (lambda: Augmentation((), 9, 0, 0, (), (1, 2)), "sizes must be of at least 1 pixel"),
        (lambda: Augmentation((8,), 9, 0, 1, (), (1, 2)), "first_sizes must be of at least 1"),
        (lambda: Augmentation((8,), 9, 0, 0, (), (3, 2)), "crop_range must be ascending"),
        (lambda: Augmentation((8,), 9, 1.1, 0, (), (1, 2)), "mirror_rate must be in 0…1, got 1.1"),
        (lambda: as_draws(torch.zeros(2, 7)), "draws must be \\[G, 8\\], got \\[2, 7\\]"),
        (lambda: as_draws(torch.ones(2, 8)), "draws must be in \\[0, 1\\)"),
    ],
)
def test_what_cannot_be_is_one_sentence(build: object, words: str) -> None:
    assert callable(build)
    with pytest.raises(ValueError, match=words):
        build()
