"""Classes of pixels: confusion of a whole set, clusters matched with classes, IoU and accuracy."""

# C classes, K clusters.

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


@dataclass(frozen=True)
class PixelScores:
    """Scores in 0…1 (1 best) of the pixels of a whole set.

    `iou` [C] is NaN for a class that neither occurs nor is predicted; `miou` is its mean over the
    others, NaN if there are none. `accuracy` is the share of pixels that are right.
    """

    accuracy: float
    miou: float
    iou: Tensor


def tally(predicted: Tensor, labels: Tensor, classes: int, clusters: int) -> Tensor:
    """Counts [C, K], int64, of pixels by class (row) and by what was predicted, 0…K − 1.

    `predicted` and `labels` are of one shape, any. Pixels with a label outside [0, C) are left out.
    Counts of parts of a set add up to those of the whole.

    Raises:
        ValueError: something else was predicted.
    """
    labels, predicted = labels.flatten().long(), predicted.flatten().long()
    if len(predicted) and not 0 <= int(predicted.min()) <= int(predicted.max()) < clusters:
        raise ValueError(
            f"predicted must be 0…{clusters - 1}, got {int(predicted.min())}…{int(predicted.max())}"
        )
    is_known = (labels >= 0) & (labels < classes)
    flat = labels[is_known] * clusters + predicted[is_known]
    return torch.bincount(flat, minlength=classes * clusters).view(classes, clusters)


def match(counts: Tensor) -> Tensor:
    """The class of each cluster, int64 [K], one to one, so that most pixels are right.

    By the Hungarian method on counts [C, K]. Of K > C clusters those left over are −1; with K < C
    some classes have none.
    """
    rows, columns = linear_sum_assignment(counts.cpu().numpy(), maximize=True)
    found = torch.full((counts.shape[1],), -1)
    found[torch.from_numpy(columns)] = torch.from_numpy(rows)
    return found.to(counts.device)


def matched(counts: Tensor, classes: Tensor) -> Tensor:
    """Counts [C, C + 1] by class and by the class [K] of the cluster; the last is that of no class.

    Raises:
        ValueError: a class is that of several clusters.
    """
    given = classes[classes >= 0]
    if len(given.unique()) < len(given):
        raise ValueError(f"classes must be of one cluster each, got {classes.tolist()}")
    found = counts.new_zeros(len(counts), len(counts) + 1)
    columns = torch.where(classes < 0, len(counts), classes)
    return found.index_add_(1, columns, counts)


def pixel_scores(counts: Tensor) -> PixelScores:
    """The scores of counts [C, C], or [C, C + 1] with a last column of no class.

    IoU is hits / (of the class + predicted − hits), over all pixels of the set and not image by
    image.

    Raises:
        ValueError: nothing is counted.
    """
    if not int(counts.sum()):
        raise ValueError("counts must be of at least one pixel with a known class, got none")
    counts = counts.double()
    hits = counts.diagonal()
    union = counts.sum(1) + counts[:, : len(counts)].sum(0) - hits
    iou = hits / union
    return PixelScores(
        float(hits.sum() / counts.sum()),
        float(iou[union > 0].mean()),
        iou.where(union > 0, torch.nan),
    )


def cluster_scores(counts: Tensor) -> PixelScores:
    """Those of counts [C, K] of clusters, once each has the class of `match`."""
    return pixel_scores(matched(counts, match(counts)))


def with_mirror(maps: Tensor, mirrored: Tensor) -> Tensor:
    """The mean of maps [B, E, h, w] of images and those of their mirror images, mirrored back."""
    return (maps + mirrored.flip(3)) / 2
