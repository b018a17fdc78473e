"""How well found segments fit true ones: from one table of counts per image, on its device.

Letters: B images, M pixels, T true entities (0 is the background), P found segments (slots).
Except for `contingency` and `mass_entropy` all take the counts [B, T, P] of a `contingency`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.losses.matching import assign


def contingency(true: Tensor, found: Tensor, num_true: int, num_found: int) -> Tensor:
    """Counts [B, T, P], int64: pixels of true entity t in found segment p.

    `true` and `found` [B, M] (or label maps [B, H, W]) are indices of any integer type, below
    `num_true` (T) and `num_found` (P). One pass over the pixels.

    Raises:
        ValueError: the shapes differ, or a label lies outside 0…T−1 or 0…P−1.
    """
    if true.shape != found.shape:
        raise ValueError(
            f"true and found must have one shape, got {tuple(true.shape)} and {tuple(found.shape)}"
        )
    images = len(true)
    true, found = true.reshape(images, -1), found.reshape(images, -1)
    _check("true", true, num_true)
    _check("found", found, num_found)
    size = images * num_true * num_found
    kind = torch.int32 if size < 2**31 else torch.int64
    starts = torch.arange(images, dtype=kind, device=true.device)[:, None] * num_true
    cells = (true.to(kind) + starts).mul_(num_found).add_(found)
    return torch.bincount(cells.flatten(), minlength=size).view(images, num_true, num_found)


def foreground(counts: Tensor) -> Tensor:
    """The counts [B, T − 1, P] of pixels that belong to an object: without true entity 0."""
    return counts[:, 1:]


def adjusted_rand(counts: Tensor) -> Tensor:
    """The adjusted Rand index [B], float64: 1 for equal partitions, 0 by chance, at least −½.

    With n_tp the counts, R = Σ n_tp (n_tp − 1), A and C the same of row and column sums, n all
    pixels and E = A C / (n (n − 1)): (R − E) / ((A + C) / 2 − E), and 1 where that is 0 / 0, as
    without a pixel. Of `foreground(counts)` it is the F-ARI. Hubert and Arabie 1985.
    """
    counts = counts.double()
    together = _pairs(counts).sum((1, 2))
    true = _pairs(counts.sum(2)).sum(1)
    found = _pairs(counts.sum(1)).sum(1)
    pairs = _pairs(counts.sum((1, 2)))
    expected = true * (found / pairs.clamp(min=1))
    span = (true + found) / 2 - expected
    return torch.where(span == 0, 1.0, (together - expected) / span)


def overlaps(counts: Tensor) -> Tensor:
    """Intersection over union [B, T, P] in 0…1, float64, of each entity with each segment.

    0 where one of them has no pixel.
    """
    counts = counts.double()
    union = counts.sum(2, keepdim=True) + counts.sum(1, keepdim=True) - counts
    return counts / union.clamp(min=1)


def mean_best_overlap(counts: Tensor) -> Tensor:
    """mBO [B] in 0…1, float64: the mean over objects of the best overlap with a segment.

    Objects are true entities with pixels, but for entity 0; segments may be shared. NaN for an
    image without an object, which means leave out (as Seitzer et al. 2023 do).
    """
    return _object_mean(counts, overlaps(counts)[:, 1:].amax(2))


def matched_iou(counts: Tensor) -> Tensor:
    """The mean overlap [B] in 0…1, float64, of objects with segments that are matched one to one.

    The matching is the best one (Hungarian); an object without a segment counts 0. Never above
    `mean_best_overlap`; NaN for an image without an object.
    """
    iou = overlaps(counts)[:, 1:]
    rows, columns = assign(iou, maximize=True)
    matched = iou.gather(1, rows[..., None].expand(-1, -1, iou.shape[2])).gather(
        2, columns[..., None]
    )
    return _object_mean(counts, matched[..., 0])


def discovered(counts: Tensor, threshold: float = 0.5) -> Tensor:
    """The share [B] in 0…1, float64, of objects whose best overlap is above the threshold.

    NaN for an image without an object.
    """
    return _object_mean(counts, (overlaps(counts)[:, 1:].amax(2) > threshold).double())


def corloc(counts: Tensor, threshold: float = 0.5) -> Tensor:
    """Correct localisation [B], float64: 1 if an object overlaps above the threshold, else 0.

    NaN for an image without an object. Of segments, where Deselaers et al. 2012 have boxes.
    """
    best = overlaps(counts)[:, 1:].flatten(1).amax(1)
    return torch.where(num_objects(counts) > 0, (best > threshold).double(), torch.nan)


def num_objects(counts: Tensor) -> Tensor:
    """How many objects [B], int64, have at least one pixel: entity 0 is none."""
    return (counts[:, 1:].sum(2) > 0).sum(1)


def slots_used(counts: Tensor) -> Tensor:
    """How many segments [B], int64, own at least one pixel: 1…P (0 of an image without pixels)."""
    return (counts.sum(1) > 0).sum(1)


def mass_entropy(attention: Tensor) -> Tensor:
    """The entropy [B] in nats of the slots' shares of all attention: 0 (one slot) … ln K (equal).

    −Σ_k p_k ln p_k with p_k ∝ Σ_n A_kn, for `attention` [B, K, N] (or [B, K, H, W]) of at least 0.
    """
    mass = attention.flatten(2).double().sum(2)
    share = mass / mass.sum(1, keepdim=True)
    return -torch.xlogy(share, share).sum(1)


def segment_scores(found: Tensor, num_slots: int, true: Tensor | None) -> dict[str, Tensor]:
    """Scores [B] of label maps `found` [B, H, W] of slots, by name.

    `slots_used`: how many own a pixel, 1…`num_slots`. If there are true labels [B, H, W], with 0
    for the background: `ari` and `foreground_ari` (−½…1), `mbo` and `miou` (0…1, NaN without an
    object).
    """
    if true is None:
        counts = contingency(found.new_zeros(found.shape), found, 1, num_slots)
        return {"slots_used": slots_used(counts)}
    counts = contingency(true, found, int(true.max()) + 1, num_slots)
    return {
        "slots_used": slots_used(counts),
        "ari": adjusted_rand(counts),
        "foreground_ari": adjusted_rand(foreground(counts)),
        "mbo": mean_best_overlap(counts),
        "miou": matched_iou(counts),
    }


def _pairs(counts: Tensor) -> Tensor:
    """n (n − 1): ordered pairs of different pixels."""
    return counts * (counts - 1)


def _object_mean(counts: Tensor, values: Tensor) -> Tensor:
    """The sum of values [B, …] over the number of objects: NaN (0 / 0) where there is none."""
    return values.sum(1) / num_objects(counts)


def _check(name: str, labels: Tensor, number: int) -> None:
    """Refuses labels that would be counted for another image or entity."""
    if not labels.numel():
        return
    least, most = torch.stack(labels.aminmax()).tolist()
    if least < 0 or most >= number:
        raise ValueError(
            f"{name} must hold labels from 0 to {number - 1}, got labels from {least} to {most}"
        )
