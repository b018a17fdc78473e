"""Average precision of predicted sets of objects, as on CLEVR.

Letters: B images, K predictions an image, O objects an image, N = B K predictions in all,
Q thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor

THRESHOLDS = (math.inf, 1.0, 0.5, 0.25, 0.125)
"""The distances of Locatello et al. 2020."""

CLEVR_RANGES = ((-3.0, 3.0), (-3.0, 3.0), (-3.0, 3.0))
"""What coordinates 0…1 of x, y and z mean, by Locatello et al. 2020."""

Order = Literal["categories_first", "coordinates_first"]

_CATEGORIES_FIRST = {"shape": 3, "size": 2, "material": 2, "color": 8, "coordinates": 3, "real": 1}
_COORDINATES_FIRST = {"coordinates": 3, "size": 2, "material": 2, "shape": 3, "color": 8, "real": 1}
CATEGORIES = ("shape", "size", "material", "color")
WIDTH = 19


def columns(order: Order) -> dict[str, slice]:
    """Which of the 19 numbers of an object are what: a slice for each of its properties.

    `shape`, `size`, `material` and `color` are one-hot (or scores), `coordinates` x, y, z, and
    `real` is 1 for an object and 0 for padding (or the confidence that there is one).
    """
    widths = _CATEGORIES_FIRST if order == "categories_first" else _COORDINATES_FIRST
    ends = accumulate(widths.values())
    return {
        name: slice(end - width, end)
        for (name, width), end in zip(widths.items(), ends, strict=True)
    }


def average_precision(
    predictions: Tensor,
    targets: Tensor,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    order: Order = "categories_first",
    ranges: Sequence[tuple[float, float]] = CLEVR_RANGES,
) -> Tensor:
    """The average precision [Q] in 0…1, float64, one for each threshold; NaN without any object.

    All predictions [B, K, 19] are sorted by confidence, equal ones by image and slot. Each goes for
    the nearest of those objects in `targets` [B, O, 19] of its image whose four categories are its
    own; it is right if that is nearer than the threshold (inf: at any distance) and no prediction
    before was right with it. AP = Σ Δrecall · precision, with the precision made to fall with
    recall. Distances are between coordinates in their own units: `ranges` are the values (x, y, z)
    that were mapped to 0 and 1. Locatello et al. 2020, whose ranges are −3 … 3 for all three.

    Raises:
        ValueError: an object does not have 19 numbers, or the images differ in number.
    """
    _check(predictions, targets)
    place = columns(order)
    nearest, distance = _nearest(predictions, targets, place, ranges)
    confidence = predictions[..., place["real"]].flatten()
    sequence = confidence.argsort(descending=True, stable=True)
    objects = targets.shape[1] * torch.arange(len(targets), device=targets.device)
    goal = (nearest + objects[:, None]).flatten()[sequence]
    limits = torch.tensor(thresholds, dtype=torch.float64, device=predictions.device)
    near = distance.flatten()[sequence] < limits[:, None]
    right = near & _first(goal, near, targets.shape[0] * targets.shape[1])
    number = (targets[..., place["real"]] != 0).sum()
    return _area(right) / number


def _nearest(
    predictions: Tensor,
    targets: Tensor,
    place: dict[str, slice],
    ranges: Sequence[tuple[float, float]],
) -> tuple[Tensor, Tensor]:
    """The nearest object [B, K] of equal categories, and its distance: inf if there is none."""
    low, high = torch.tensor(ranges, dtype=torch.float64, device=targets.device).unbind(1)
    first = predictions[..., place["coordinates"]].double() * (high - low)
    second = targets[..., place["coordinates"]].double() * (high - low)
    distance = (first[:, :, None] - second[:, None]).norm(dim=-1)
    real = targets[..., place["real"]].squeeze(-1) != 0
    fits = (
        _categories(predictions, place)[:, :, None] == _categories(targets, place)[:, None]
    ).all(-1)
    distance = torch.where(fits & real[:, None], distance, math.inf)
    best = distance.min(2)
    return best.indices, best.values


def constant_sets(targets: Tensor, number: int, order: Order) -> dict[str, Tensor]:
    """The same prediction [K, 19] for every image, from targets [B, O, 19] and nothing else.

    `mean_set` has K = `number` times the mean of all objects, and as confidence their number an
    image / K, at most 1. `frequent_set` has the K most frequent combinations of categories, each
    with the mean of its objects, and as confidence their number an image, at most 1; where there
    are fewer than K the rest is padding.
    """
    real = columns(order)["real"]
    objects = targets.flatten(0, 1)
    objects = objects[objects[:, real.start] != 0].double()
    middle = objects.mean(0)
    middle[real] = min(len(objects) / len(targets) / number, 1.0)
    kinds, which, counts = _categories(objects, columns(order)).unique(
        dim=0, return_inverse=True, return_counts=True
    )
    means = objects.new_zeros(len(kinds), WIDTH).index_add(0, which, objects) / counts[:, None]
    means[:, real] = (counts[:, None] / len(targets)).clamp(max=1.0)
    frequent = objects.new_zeros(number, WIDTH)
    chosen = means[counts.argsort(descending=True, stable=True)[:number]]
    frequent[: len(chosen)] = chosen
    sets = {"mean_set": middle.expand(number, -1), "frequent_set": frequent}
    return {name: objects.to(targets.dtype) for name, objects in sets.items()}


def _categories(objects: Tensor, place: dict[str, slice]) -> Tensor:
    """The four categories [B, O, 4] of objects: the largest score, the first of equals."""
    return torch.stack([objects[..., place[name]].max(-1).indices for name in CATEGORIES], -1)


def _first(goal: Tensor, near: Tensor, objects: int) -> Tensor:
    """Where, [Q, N], a near prediction is the first of those that go for its object [N]."""
    places = torch.arange(len(goal), device=goal.device).expand_as(near)
    goals = torch.where(near, goal, objects)
    first = torch.full((len(near), objects + 1), len(goal), device=goal.device)
    first = first.scatter_reduce(1, goals, places, "amin")
    return first.gather(1, goals) == places


def _area(right: Tensor) -> Tensor:
    """The sum [Q] over right predictions [Q, N] of the best precision from there on."""
    hits = right.long().cumsum(1)
    precision = hits.double() / torch.arange(1, right.shape[1] + 1, device=right.device)
    best = precision.flip(1).cummax(1).values.flip(1)
    return (best * right).sum(1)


def _check(predictions: Tensor, targets: Tensor) -> None:
    """Refuses sets of other shapes."""
    for name, objects in (("predictions", predictions), ("targets", targets)):
        if objects.dim() != 3 or objects.shape[2] != WIDTH:
            shape = tuple(objects.shape)
            raise ValueError(f"{name} must have the shape [B, objects, {WIDTH}], got {shape}")
    if len(predictions) != len(targets):
        raise ValueError(
            f"predictions and targets must be of as many images, got {len(predictions)} and "
            f"{len(targets)}"
        )
