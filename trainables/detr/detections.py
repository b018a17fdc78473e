"""Detections: what a network says is where, in pixels of the picture as it was."""

# B images, Q queries, C classes; class C is "no object".

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from trainables.losses.boxes import to_corners


class Detections(NamedTuple):
    """A detection for each query, in the order of queries."""

    scores: Tensor
    """[B, Q] in 0…1."""
    classes: Tensor
    """[B, Q], int64, in 0…C − 1."""
    boxes: Tensor
    """[B, Q, 4], corners (left, top, right, bottom) in pixels, not cut at the border."""


def detections(logits: Tensor, boxes: Tensor, original_sizes: Tensor) -> Detections:
    """The best class but "no object" of each query with its probability, and its box in pixels.

    Without any suppression of near boxes (Carion et al. 2020, section 3); nothing waits for the
    device.

    Args:
        logits: [B, Q, C + 1] of one layer.
        boxes: [B, Q, 4], centre, width and height in 0…1.
        original_sizes: [B, 2], height and width in pixels.
    """
    if logits.dtype.itemsize < 4:
        logits, boxes = logits.float(), boxes.float()
    scores, classes = logits.softmax(-1)[..., :-1].max(-1)
    size = original_sizes.to(boxes.dtype).flip(1).repeat(1, 2)
    return Detections(scores, classes, to_corners(boxes) * size[:, None])
