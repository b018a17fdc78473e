"""Several views of an image: crops with colours of their own, by uniform draws alone.

`published` is the pipeline of the first generation of the object-centric representations after
which it is called, `turned` that of the second, `contrastive` SimCLR's. Each takes images [B, 3, H,
W], float 0…1, and draws in [0, 1) [B, V, K] for V views with K as named beside it, and returns
views [B, V, 3, S, S]: 0…1 but for `published`, whose colours go a little beyond. To standardise
them is up to the caller.
"""

# B images, V views, T tries, R candidates, H × W pixels of an image, S × S of a view.

from __future__ import annotations

import torch
from torch import Tensor

from trainables.data.affine import cut
from trainables.data.colour import (
    blur,
    brighten,
    contrast,
    grey,
    saturate,
    turn_hue,
)
from trainables.data.crops import TRIES, overlapping, relative_boxes, resized_boxes

Range = tuple[float, float]

PUBLISHED = 4 * TRIES + 4
RELATIVE_TRIES = 20
TURNED = 4 * RELATIVE_TRIES + 10
CONTRASTIVE = 4 * TRIES + 8
"""Draws of a view."""


def published(
    images: Tensor, draws: Tensor, size: int, *, scale: Range, boxes: Tensor | None = None
) -> Tensor:
    """Mirrored or not, a random resized crop, brightness, saturation and hue, nothing cut off.

    Half of the views are mirrored; brightness moves by up to 0.2, saturation by a factor of 0.9 …
    1, hue by up to a twentieth of a turn. `boxes` [B, V, 4] take the place of those that are drawn.
    """
    crops = _boxes(draws, images, scale) if boxes is None else boxes
    mirrored, *rest = draws[..., 4 * TRIES :].flatten(0, 1).unbind(-1)
    views = _cut(images, crops, size, mirrored < 0.5)
    views = brighten(views, 0.4 * rest[0] - 0.2)
    views = saturate(views, 0.9 + 0.1 * rest[1])
    return _views(turn_hue(views, 0.1 * rest[2] - 0.05), draws)


def overlapping_boxes(
    draws: Tensor, more: Tensor, images: Tensor, *, scale: Range, least: float
) -> Tensor:
    """The boxes of `published`, each view but the first overlapping with that by at least `least`.

    Of `draws` as there and `more` [B, V − 1, R, 4 · T], draws for R further candidates of each
    other view: the first that overlaps enough is taken, or the one that does most. [B, V, 4].
    """
    first = _boxes(draws, images, scale)
    candidates = _boxes(more, images, scale)
    others = torch.cat([first[:, 1:, None], candidates], 2).flatten(0, 1)
    anchor = first[:, :1].expand(-1, others.shape[0] // len(first), -1).flatten(0, 1)
    taken = overlapping(anchor, others, least).unflatten(0, (len(first), -1))
    return torch.cat([first[:, :1], taken], 1)


def turned(
    images: Tensor,
    draws: Tensor,
    size: int,
    *,
    area: Range,
    ratio: Range = (0.66, 1.5),
    strength: float = 1.0,
) -> Tensor:
    """A box in shares of the image, turned and sheared, its colours changed half of the time each.

    Up to 30° and 15° times the strength; saturation and contrast by a factor of 1 ± 0.5, brightness
    by ± 0.3, hue by ± 0.03 of a turn, times the strength; then cut off at 0 and 1.
    """
    boxes = relative_boxes(
        draws[..., : 4 * RELATIVE_TRIES].flatten(0, 1).unflatten(1, (RELATIVE_TRIES, 4)),
        area=area,
        ratio=ratio,
    )
    rest = draws[..., 4 * RELATIVE_TRIES :].flatten(0, 1)
    even = strength * (2 * rest - 1)
    views = cut(images, boxes, size, turns=30 * even[:, 0], shears=15 * even[:, 1])
    if strength:
        kept = rest[:, 2:6] < 0.5
        values = torch.where(kept, even[:, 6:10], 0.0)
        views = saturate(views, 1 + 0.5 * values[:, 0])
        views = brighten(views, 0.3 * values[:, 1])
        views = contrast(views, 1 + 0.5 * values[:, 2])
        views = turn_hue(views, 0.03 * values[:, 3])
    return _views(views.clamp(0, 1), draws)


def contrastive(
    images: Tensor,
    draws: Tensor,
    size: int,
    *,
    scale: Range = (0.08, 1.0),
    strength: float = 1.0,
    blurs: bool = True,
    flips: bool = True,
) -> Tensor:
    """SimCLR's: a random resized crop, mirrored or not, distorted colours, grey, blurred.

    Chen et al. 2020, appendix A: in four of five views brightness, contrast and saturation by
    factors of 1 ± 0.8 and hue by ± 0.2 of a turn, times the strength; a fifth grey; half blurred
    by a deviation of 0.1 … 2 pixels with a kernel of a tenth of the size. Colours in one order,
    where the original draws one; brightness multiplies. Images may be of one channel: of it become
    views [B, V, 1, S, S] as if it were copied three times.
    """
    mirrored, colours, *rest = draws[..., 4 * TRIES :].flatten(0, 1).unbind(-1)
    views = _cut(images, _boxes(draws, images, scale), size, (mirrored < 0.5) & flips)
    jitter = torch.where(colours < 0.8, strength, 0.0)
    even = [jitter * (2 * each - 1) for each in rest[:4]]
    views = (views * (1 + 0.8 * even[0])[:, None, None, None]).clamp(0, 1)
    views = contrast(views, 1 + 0.8 * even[1]).clamp(0, 1)
    if images.shape[1] > 1:  # greys have neither saturation nor hue
        views = saturate(views, 1 + 0.8 * even[2]).clamp(0, 1)
        views = grey(turn_hue(views, 0.2 * even[3]), rest[4] < 0.2)
    if not blurs:
        return _views(views, draws)
    deviations = torch.where(rest[5] < 0.5, 0.1 + 1.9 * (2 * rest[5]), 0.0)
    return _views(blur(views, deviations, 2 * (size // 20) + 1), draws)


def two_frames(draws: Tensor, frames: Tensor) -> Tensor:
    """Two different frames of each clip, or V: of draws [B, V] their numbers [B, V], int64.

    `frames` [B], int64, are how many a clip has; numbers are 0 … frames − 1, and any V of them are
    as likely as any others, in any order.

    Raises:
        ValueError: a clip has fewer than V frames.
    """
    views = draws.shape[1]
    if len(frames) and int(frames.min()) < views:
        raise ValueError(f"frames must be at least the {views} views, got {int(frames.min())}")
    taken = torch.empty(draws.shape[0], 0, dtype=torch.int64, device=draws.device)
    for view in range(views):
        left = frames - view
        frame = (draws[:, view] * left).long().clamp(max=left - 1)
        for before in taken.sort(1).values.unbind(1):  # the frame-th of those that are left
            frame = frame + (frame >= before)
        taken = torch.cat([taken, frame[:, None]], 1)
    return taken


def _boxes(draws: Tensor, images: Tensor, scale: Range) -> Tensor:
    """[..., 4] by the first 4 · T numbers of draws [..., K]."""
    tries = draws[..., : 4 * TRIES].reshape(-1, TRIES, 4)
    height, width = images.shape[2:]
    boxes = resized_boxes(tries, size=(height, width), scale=scale)
    return boxes.view(*draws.shape[:-1], 4)


def _cut(images: Tensor, boxes: Tensor, size: int, mirrored: Tensor) -> Tensor:
    """Views [B·V, 3, S, S]: boxes of the image, or of the image that was mirrored before."""
    flat = boxes.flatten(0, 1)
    left = torch.where(mirrored, 1 - flat[:, 1] - flat[:, 3], flat[:, 1])
    flat = torch.stack([flat[:, 0], left, flat[:, 2], flat[:, 3]], 1)
    views = cut(images, flat, size)
    return torch.where(mirrored[:, None, None, None], views.flip(-1), views)


def _views(flat: Tensor, draws: Tensor) -> Tensor:
    return flat.unflatten(0, draws.shape[:2])
