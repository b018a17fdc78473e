"""Cross entropy of pixels: beside a loop."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from trainables.losses.pixels import cross_entropy


def test_it_is_the_sum_over_pixels_with_a_class() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 2, 4, generator=draw)
    labels = torch.randint(-1, 5, (2, 4, 6), generator=draw)
    large = functional.interpolate(logits, (4, 6), mode="bilinear").log_softmax(1)
    known = [
        -float(large[b, labels[b, y, x], y, x])
        for b in range(2)
        for y in range(4)
        for x in range(6)
        if 0 <= labels[b, y, x] < 3
    ]
    found = cross_entropy(logits, labels)
    assert found.total.item() == pytest.approx(sum(known), rel=1e-5)
    assert found.pixels.item() == len(known) < labels.numel()


def test_uniform_logits_cost_ln_c_and_no_known_pixel_nothing() -> None:
    logits = torch.zeros(1, 3, 1, 1)
    found = cross_entropy(logits, torch.tensor([[[0, 2]]], dtype=torch.uint8))
    assert found.total.item() == pytest.approx(2 * math.log(3)) and found.pixels == 2
    assert cross_entropy(logits, torch.full((1, 2, 2), 255)) == (0, 0)
