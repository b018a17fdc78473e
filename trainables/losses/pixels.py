"""Cross entropy of pixels whose classes are known."""

# B images, C classes, h × w the map, H × W pixels.

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

_NONE = -100  # what torch leaves out


class Summed(NamedTuple):
    """A sum over pixels, and over how many, scalars: means of parts make none of the whole."""

    total: Tensor
    pixels: Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Summed:
    """Cross entropy in nats, summed over pixels; 0 at best, ln C each for uniform logits.

    Logits [B, C, h, w] are enlarged to the labels [B, H, W] (bilinear, between the centres of
    pixels). Pixels with a label outside [0, C) are left out; if none is left both are 0.
    """
    size = labels.shape[1:]
    enlarged = functional.interpolate(logits, size, mode="bilinear", align_corners=False)
    labels = labels.long()
    is_known = (labels >= 0) & (labels < logits.shape[1])
    labels = labels.where(is_known, _NONE)
    total = functional.cross_entropy(enlarged, labels, reduction="sum", ignore_index=_NONE)
    return Summed(total, is_known.sum())
