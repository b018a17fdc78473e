"""The views of images that are compared, and the draws of the queries that are put to them."""

# B images, V views, S slots, C width, H × W pixels of an image, S × S of a view.

from __future__ import annotations

import torch
from torch import Tensor

from trainables.core.randomness import normal, uniform
from trainables.data import views
from trainables.osc.model import Draws, RepresentationModel
from trainables.settings.crops import ContrastiveCrops, PublishedCrops, SmallCrops, TurnedCrops

CANDIDATES = 16
"""So many further boxes are tried for an overlap that is asked for."""


def large(
    images: Tensor,
    settings: PublishedCrops | TurnedCrops | ContrastiveCrops,
    seed: int,
    purpose: str,
    step: int,
    places: Tensor,
) -> Tensor:
    """Two views [B, 2, 3, S, S] of images [B, 3, H, W], 0…1, each by its own draws.

    Those depend on seed, purpose, step and the place of the image.
    """
    count = {"published": views.PUBLISHED, "turned": views.TURNED}.get(
        settings.kind, views.CONTRASTIVE
    )
    draws = uniform(seed, f"{purpose} views", step, places, 2 * count).unflatten(1, (2, count))
    if isinstance(settings, TurnedCrops):
        return views.turned(
            images, draws, settings.size, area=settings.area, strength=settings.strength
        )
    if isinstance(settings, ContrastiveCrops):
        return views.contrastive(
            images, draws, settings.size, scale=settings.area, strength=settings.strength
        )
    boxes = None
    if settings.min_overlap:
        more = uniform(seed, f"{purpose} candidates", step, places, CANDIDATES * 4 * views.TRIES)
        boxes = overlapping(images, settings, draws, more)
    return views.published(images, draws, settings.size, scale=settings.area, boxes=boxes)


def overlapping(images: Tensor, settings: PublishedCrops, draws: Tensor, more: Tensor) -> Tensor:
    """Boxes [B, 2, 4] of views that overlap as is asked, by draws for more candidates [B, K]."""
    return views.overlapping_boxes(
        draws,
        more.view(len(images), 1, CANDIDATES, -1),
        images,
        scale=settings.area,
        least=settings.min_overlap,
    )


def small(
    images: Tensor, settings: SmallCrops, seed: int, purpose: str, step: int, places: Tensor
) -> Tensor:
    """Small views [B, V, 3, S, S] of images, by draws of their own."""
    count = settings.count * views.TURNED
    draws = uniform(seed, f"{purpose} small views", step, places, count)
    return views.turned(
        images,
        draws.unflatten(1, (settings.count, views.TURNED)),
        settings.size,
        area=settings.area,
        strength=settings.strength,
    )


def query_draws(
    model: RepresentationModel,
    size: int,
    num_slots: int,
    seed: int,
    purpose: str,
    step: int,
    places: Tensor,
    num_views: int,
) -> dict[str, Tensor]:
    """What the queries of the views of images take, by name: `noise` [B, V, S, C], `choices` [B,
    V, K]; only what they do take.
    """
    found: dict[str, Tensor] = {}
    if model.takes_noise:
        shape = (num_views, num_slots, model.width)
        count = num_views * num_slots * model.width
        found["noise"] = normal(seed, f"{purpose} queries", step, places, count).unflatten(1, shape)
    number = model.num_choices(size, num_slots)
    if number:
        draws = uniform(seed, f"{purpose} choices", step, places, num_views * number)
        found["choices"] = draws.unflatten(1, (num_views, number))
    return found


def in_a_row(draws: dict[str, Tensor]) -> Draws:
    """The draws of views [B, V, …] as those of B · V images."""
    return Draws(**{name: one.flatten(0, 1) for name, one in draws.items()})


def middle(images: Tensor, size: int) -> Tensor:
    """The largest square in the middle of images [B, C, H, W], at S × S pixels, bilinear."""
    square = images[..., *_middle(images)]
    if square.shape[2:] == (size, size):
        return square
    return torch.nn.functional.interpolate(
        square, (size, size), mode="bilinear", align_corners=False
    )


def middle_labels(labels: Tensor, size: int) -> Tensor:
    """Label maps [B, H, W] as `middle` sees their images, [B, S, S]: labels are never mixed."""
    square = labels[..., *_middle(labels)]
    if square.shape[1:] == (size, size):
        return square
    index = ((torch.arange(size) + 0.5) * square.shape[1] / size).long()
    return square[:, index[:, None], index]


def seen_in_middle(labels: Tensor, objects: int) -> Tensor:
    """Whether a pixel of each object 1 … O is in the square of `middle`, bool [B, O].

    Of label maps [B, H, W] as they are stored.
    """
    inside = labels[..., *_middle(labels)].flatten(1).long()
    number = max(objects, int(inside.max())) + 1
    found = torch.zeros(len(inside), number, dtype=torch.bool, device=labels.device)
    return found.scatter_(1, inside, True)[:, 1 : objects + 1]


def _middle(images: Tensor) -> tuple[slice, slice]:
    height, width = images.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return slice(top, top + side), slice(left, left + side)
