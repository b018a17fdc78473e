"""Maps of slots that may overlap: their masks, and how well these fit true ones."""

# B images, T true entities (0 is the background), S slots, M pixels of a map.

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from trainables.losses.matching import assign
from trainables.metrics.label_maps import enlarged, label_map

__all__ = [
    "dilated_masks",
    "enlarged",
    "entity_masks",
    "mask_overlaps",
    "masks_of",
    "matched_to_truth",
    "normalized_maps",
    "otsu",
    "overlap_scores",
]

RULES = ("otsu", "argmax")
BINS = 256
_CHUNK = 2**16
"""So many values are put into bins at a time: they stay in the cache, and memory small."""


def otsu(maps: Tensor) -> Tensor:
    """Otsu's threshold (1979) of each map [..., M], float64 [...]: values above it are inside.

    The centre of the bin t, of 256 over the range of the map, where the variance between both
    sides, w₁(t) w₂(t + 1) (m₁(t) − m₂(t + 1))², is largest, of equals the first; w are numbers of
    values and m their means. Of a constant map its value, so that nothing is above. As
    scikit-image's `threshold_otsu` in double precision. Nothing waits for the device; what is not
    a number counts as 0.
    """
    flat = maps.detach().flatten(0, -2) if maps.dim() > 1 else maps.detach()[None]
    step = max(1, _CHUNK // max(1, flat.shape[1]))
    found = torch.cat([_thresholds(part) for part in flat.split(step)])
    return found.view(maps.shape[:-1])


def _thresholds(maps: Tensor) -> Tensor:
    """The thresholds [R] of maps [R, M]."""
    maps = maps.double().nan_to_num()
    low, high = maps.aminmax(dim=1, keepdim=True)
    width = (high - low) / BINS
    edges = torch.arange(BINS + 1, dtype=torch.float64, device=maps.device) * width + low
    edges[:, -1:] = high
    place = ((maps - low) / (high - low).where(high > low, 1.0) * BINS).long().clamp_(max=BINS - 1)
    # The quotient may round across an edge; the edges decide, as they do in numpy.
    place -= (maps < edges.gather(1, place)).long()
    place += ((maps >= edges.gather(1, place + 1)) & (place < BINS - 1)).long()
    counts = torch.zeros(len(maps), BINS, dtype=torch.float64, device=maps.device)
    counts.scatter_add_(1, place, torch.ones_like(maps))
    centres = (edges[:, :-1] + edges[:, 1:]) / 2
    best = _between(counts, counts * centres).argmax(1, keepdim=True)
    return torch.where(high > low, centres.gather(1, best), low)[:, 0]


def _between(counts: Tensor, sums: Tensor) -> Tensor:
    """The variance [R, 255] between the values up to a bin and those behind it."""
    below, sums_below = counts.cumsum(1)[:, :-1], sums.cumsum(1)[:, :-1]
    above, sums_above = (one.flip(1).cumsum(1).flip(1)[:, 1:] for one in (counts, sums))
    return below * above * (sums_below / below - sums_above / above).square()


def masks_of(maps: Tensor, rule: Literal["otsu", "argmax"]) -> Tensor:
    """Masks bool [B, S, H, W] of maps [B, S, H, W].

    `otsu`: a slot has what is above the threshold of its map, so that masks may overlap or leave
    pixels out; a constant map has an empty mask. `argmax`: a pixel belongs to the slot with the
    largest value, of equals the first.

    Raises:
        LookupError: there is no such rule.
    """
    if rule == "otsu":
        return maps > otsu(maps.flatten(2))[..., None, None]
    if rule == "argmax":
        slots = torch.arange(maps.shape[1], device=maps.device)[:, None, None]
        return label_map(maps)[:, None] == slots
    raise LookupError(f"rule must be one of {', '.join(RULES)}, got {rule!r}")


def normalized_maps(maps: Tensor) -> Tensor:
    """Maps [..., H, W] moved and scaled to 0…1, each by its own range; a constant one to 0."""
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    span = high - low
    return torch.where(span > 0, (maps - low) / span.where(span > 0, 1.0), 0.0)


def entity_masks(labels: Tensor, number: int | None = None) -> Tensor:
    """Masks bool [B, T, H, W] of a label map [B, H, W], T = `number`, else the largest label + 1.

    Without a number the device is waited for.
    """
    total = int(labels.max()) + 1 if number is None else number
    return labels[:, None] == torch.arange(total, device=labels.device)[:, None, None]


def dilated_masks(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks bool [B, T, H, W] at another size, true wherever bilinear interpolation leaves a rest.

    They grow by up to a pixel and overlap, so that a perfect segmentation no longer scores 1: for
    comparison with numbers that were published so; `label_maps.resized` is right.
    """
    return functional.interpolate(masks.float(), size, mode="bilinear", align_corners=False) > 0


def overlap_scores(true: Tensor, maps: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """How well slots fit true entities, each [B] in 0…1, float64: 1 is best.

    `iou` is the mean over objects of |M ∧ P| / |M ∨ P| with the slot's mask P, `dice` that of
    2 Σ M · P / (Σ M + Σ P) with its map P; each with its own matching of entities to slots, one to
    one, by which the sum of all is largest (Hungarian). The background takes part in the matching,
    and in the means that end in `_with_background`. Entities without a pixel are matched with
    nothing and left out of means; those that go without a slot, where slots are fewer, count 0.
    `iou` and `dice` are NaN for an image without an object.

    Args:
        true: labels [B, H, W] of any integer type, or masks bool [B, T, H, W] that may overlap;
            entity 0 is the background.
        maps: [B, S, H, W] in 0…1.
        masks: bool [B, S, H, W], such as `masks_of` has them.

    Raises:
        ValueError: maps or masks are of another size than what is true.
    """
    for name, one in (("maps", maps), ("masks", masks)):
        if one.shape[-2:] != true.shape[-2:]:
            raise ValueError(
                f"{name} must be of the size of what is true, {tuple(true.shape[-2:])}, got "
                f"{tuple(one.shape[-2:])}; `enlarged` makes them so"
            )
    entities = (entity_masks(true) if true.dim() == 3 else true).flatten(2)
    seen = entities.any(2)
    soft = maps.flatten(2).double()
    total = entities.sum(2, dtype=torch.float64)[..., None] + soft.sum(2)[:, None]
    dice = _ratio(2 * (entities.double() @ soft.mT), total)
    scores = {"iou": mask_overlaps(entities, masks.flatten(2)), "dice": dice}
    means: dict[str, Tensor] = {}
    for name, values in scores.items():
        fits = matched_to_truth(values)
        means[f"{name}_with_background"] = _seen_mean(fits, seen)
        means[name] = _seen_mean(fits[:, 1:], seen[:, 1:])
    return means


def mask_overlaps(true: Tensor, found: Tensor) -> Tensor:
    """|M ∧ P| / |M ∨ P| [B, T, S] in 0…1, float64, of masks bool [B, T, M] and [B, S, M].

    0 where both are empty.
    """
    # Products of zeros and ones, and their sums below 2²⁴, are exact in single precision.
    shared = (true.float() @ found.float().mT).double()
    sizes, others = (one.sum(2, dtype=torch.float64) for one in (true, found))
    return _ratio(shared, sizes[..., None] + others[:, None] - shared)


def matched_to_truth(scores: Tensor) -> Tensor:
    """The score [B, T] of each entity with the slot it is matched with, of scores [B, T, S].

    One to one, the largest sum; 0 for an entity without a slot.
    """
    rows, columns = assign(scores, maximize=True)
    pairs = scores.gather(1, rows[..., None].expand(-1, -1, scores.shape[2]))
    matched = pairs.gather(2, columns[..., None])[..., 0]
    return torch.zeros_like(scores[..., 0]).scatter(1, rows, matched)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Part / whole, 0 where both are nothing."""
    return torch.where(whole > 0, part / whole.where(whole > 0, 1.0), 0.0)


def _seen_mean(values: Tensor, seen: Tensor) -> Tensor:
    """The mean [B] of the values [B, T] that are seen; NaN (0 / 0) where there is none."""
    return (values * seen).sum(1) / seen.sum(1)
