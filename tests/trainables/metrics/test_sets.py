"""Sets: the average precision of a plain triple loop, in both orders of columns."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from trainables.metrics.sets import CATEGORIES, CLEVR_RANGES, THRESHOLDS, average_precision, columns

Order = Literal["categories_first", "coordinates_first"]
ORDERS: tuple[Order, ...] = ("categories_first", "coordinates_first")
RANGES = ((-3.0, 3.0), (-2.0, 3.5), (0.35, 0.7))


def sets(order: Order, slots: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noisy predictions of scenes with 1…5 objects; few confidences, so that many are equal."""
    random = torch.Generator().manual_seed(seed)
    place, images = columns(order), 12
    targets = torch.zeros(images, 5, 19)
    for name, number in (("shape", 3), ("size", 2), ("material", 2), ("color", 8)):
        drawn = torch.randint(0, min(number, 2), (images, 5), generator=random)
        targets[..., place[name]] = torch.nn.functional.one_hot(drawn, number).float()
    targets[..., place["coordinates"]] = torch.rand(images, 5, 3, generator=random)
    targets[..., place["real"]] = 1
    targets *= (torch.arange(5) <= torch.arange(images)[:, None] % 5)[..., None]
    chosen = torch.randint(0, 5, (images, slots), generator=random)
    predictions = targets.gather(1, chosen[..., None].expand(-1, -1, 19)).clone()
    predictions += torch.randn(predictions.shape, generator=random) * 0.08
    drawn = torch.randint(0, 6, (images, slots, 1), generator=random)
    predictions[..., place["real"]] = drawn / 6
    return predictions, targets


def plain(
    predictions: Tensor,
    targets: Tensor,
    order: Order,
    limit: float,
    ranges: tuple[tuple[float, float], ...],
) -> float:
    """Prediction by prediction, object by object."""
    place = columns(order)
    scale = np.array([high - low for low, high in ranges])
    found, true = predictions.double().numpy(), targets.double().numpy()
    images, slots = found.shape[:2]
    ranked = [(-found[b, k, place["real"]][0], b, k) for b in range(images) for k in range(slots)]
    claimed: set[tuple[int, int]] = set()
    hits: list[bool] = []
    for _, b, k in sorted(ranked):
        best, nearest = math.inf, -1
        for o in range(true.shape[1]):
            one, other = found[b, k], true[b, o]
            same = all(one[place[c]].argmax() == other[place[c]].argmax() for c in CATEGORIES)
            away = (one[place["coordinates"]] - other[place["coordinates"]]) * scale
            if other[place["real"]][0] and same and np.linalg.norm(away) < best:
                best, nearest = float(np.linalg.norm(away)), o
        hits.append(best < limit and (b, nearest) not in claimed)
        if hits[-1]:
            claimed.add((b, nearest))
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    area = sum(precision[place:].max() for place, hit in enumerate(hits) if hit)
    return area / true[..., place["real"]].sum()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("slots", [3, 8])
@pytest.mark.parametrize("ranges", [CLEVR_RANGES, RANGES])
def test_the_average_precision_is_that_of_a_plain_loop(
    order: Order, slots: int, ranges: tuple[tuple[float, float], ...]
) -> None:
    predictions, targets = sets(order, slots)
    found = average_precision(predictions, targets, order=order, ranges=ranges)
    expected = [plain(predictions, targets, order, limit, ranges) for limit in THRESHOLDS]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
    assert found[0] > found[-1]


def test_the_order_of_columns_does_not_matter() -> None:
    predictions, targets = sets("categories_first", 6)
    first, second = (columns(order) for order in ORDERS)
    turned = [torch.zeros_like(one) for one in (predictions, targets)]
    for name in first:
        for new, old in zip(turned, (predictions, targets), strict=True):
            new[..., second[name]] = old[..., first[name]]
    expected = average_precision(predictions, targets)
    assert torch.equal(average_precision(*turned, order="coordinates_first"), expected)


def test_the_targets_themselves_are_perfect() -> None:
    _, targets = sets("categories_first", 1)
    targets += torch.arange(5)[:, None] * torch.eye(19)[15]
    assert average_precision(targets, targets).tolist() == [1.0] * 5


def test_a_prediction_goes_for_its_nearest_object_even_if_that_is_claimed() -> None:
    target = torch.zeros(1, 2, 19)
    target[..., [0, 3, 5, 7, 18]] = 1
    target[0, 1, 15] = 0.5
    predictions = target[:, [0, 0]].clone()
    predictions[0, 1, 15] = 0.1
    assert average_precision(predictions, target).tolist() == [0.5] * 5


def test_equal_confidences_are_ranked_by_image_and_slot() -> None:
    """The wrong one comes first: precisions 0, 1/2."""
    target = torch.zeros(1, 1, 19)
    target[..., [0, 3, 5, 7, 18]] = 1
    wrong = target.roll(1, dims=2)
    wrong[..., 18] = 1
    assert average_precision(torch.cat([wrong, target], 1), target).tolist() == [0.5] * 5
    assert average_precision(torch.cat([target, wrong], 1), target).tolist() == [1.0] * 5


def test_a_distance_equal_to_the_threshold_is_too_far() -> None:
    target = torch.zeros(1, 1, 19)
    target[..., [0, 3, 5, 7, 18]] = 1
    prediction = target.clone()
    prediction[..., 15] = 0.25
    unit = ((0.0, 4.0),) * 3
    found = average_precision(prediction, target, thresholds=(1.0, 1.001, math.inf), ranges=unit)
    assert found.tolist() == [0, 1, 1]


def test_without_objects_there_is_no_average_precision() -> None:
    assert average_precision(torch.rand(2, 3, 19), torch.zeros(2, 5, 19)).isnan().all()


def test_sets_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"targets must have the shape \[B, objects, 19\], got"):
        average_precision(torch.rand(2, 3, 19), torch.rand(2, 3, 18))
    with pytest.raises(ValueError, match="of as many images, got 2 and 3"):
        average_precision(torch.rand(2, 3, 19), torch.rand(3, 3, 19))
