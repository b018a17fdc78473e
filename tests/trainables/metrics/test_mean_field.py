"""A conditional random field: its mean field beside a loop over all pairs of pixels."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from trainables.metrics import mean_field as module
from trainables.metrics.mean_field import Field, mean_field


def drawn() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 4, 5, generator=draw) / 50 + 0.4
    return images, 2 * torch.randn(2, 3, 4, 5, generator=draw)


def by_pairs(image: Tensor, logits: Tensor, field: Field, iterations: int) -> Tensor:
    """As `mean_field` for one image, each pair of pixels by itself."""
    height, width = logits.shape[1:]
    pixels = [(y, x) for y in range(height) for x in range(width)]
    smooth, alike = (torch.zeros(len(pixels), len(pixels), dtype=torch.float64) for _ in range(2))
    for i, (y, x) in enumerate(pixels):
        for j, (v, u) in enumerate(pixels):
            far = (y - v) ** 2 + (x - u) ** 2
            other = 255 * (image[:, y, x] - image[:, v, u]).double()
            tone = float(other.square().sum()) / (2 * field.colour_width**2)
            smooth[i, j] = math.exp(-far / (2 * field.smooth_width**2))
            alike[i, j] = math.exp(-far / (2 * field.alike_width**2) - tone)
    total = torch.zeros_like(smooth)
    for weight, kernel in ((field.smooth, smooth), (field.alike, alike)):
        sums = kernel.sum(1)
        total += weight * kernel / (sums[:, None] * sums).sqrt()
    unary = logits.double().log_softmax(0).flatten(1)
    found = unary.exp()
    for _ in range(iterations):
        found = (unary + found @ total.T).softmax(0)
    return found.view_as(logits)


@pytest.mark.parametrize("at_once", [1 << 24, 50])
def test_it_is_what_all_pairs_make(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    images, logits = drawn()
    found = mean_field(images, logits, iterations=10)
    for image, own, expected in zip(images, logits, found, strict=True):
        assert torch.allclose(by_pairs(image, own, Field(), 10).float(), expected, atol=1e-5)


def test_without_weights_nothing_is_changed() -> None:
    images, logits = drawn()
    found = mean_field(images, logits, Field(smooth=0.0, alike=0.0))
    assert torch.allclose(found, logits.softmax(1), atol=1e-6)


def test_a_single_pixel_of_another_class_is_overruled() -> None:
    logits = torch.zeros(1, 2, 7, 7)
    logits[:, 0], logits[0, :, 3, 3] = 1.0, torch.tensor([0.0, 0.5])
    assert logits.argmax(1).sum() == 1
    assert mean_field(torch.full((1, 3, 7, 7), 0.5), logits).argmax(1).sum() == 0
