"""Changes of place and colour, each by its strength."""

from __future__ import annotations

import colorsys

import pytest
import torch

from trainables.data.natural import KINDS, changed, moved


def pictures(channels: int = 3) -> torch.Tensor:
    return torch.rand(3, channels, 6, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", KINDS)
def test_no_strength_changes_nothing(kind: str) -> None:
    images = pictures()
    found = changed(images, kind, 0.0, torch.tensor([0.1, 0.6, 0.9]))
    assert torch.allclose(found, images, atol=1e-5)


def test_whole_pixels_are_moved_and_edges_come_in() -> None:
    images = pictures()
    found = moved(images, torch.tensor([[2 / 6, 0.0], [0.0, -3 / 8], [1 / 6, 1 / 8]]))
    assert torch.allclose(found[0, :, 2:], images[0, :, :-2], atol=1e-5)
    assert torch.allclose(found[0, :, 0], images[0, :, 0], atol=1e-5)
    assert torch.allclose(found[1, :, :, :-3], images[1, :, :, 3:], atol=1e-5)
    assert torch.allclose(found[2, :, 1:, 1:], images[2, :, :-1, :-1], atol=1e-5)
    right = changed(images, "translation", 1 / 8, torch.zeros(3))
    assert torch.allclose(right[..., 1:], images[..., :-1], atol=1e-5)


def test_colours_are_those_of_hsv() -> None:
    images, down_and_up = pictures(), torch.tensor([0.2, 0.7, 0.7])
    signs = [-1, 1, 1]
    for kind, place in (("hue", 0), ("saturation", 1)):
        found = changed(images, kind, 0.25, down_and_up)
        for image, own, sign in zip(images, found, signs, strict=True):
            pixel = colorsys.rgb_to_hsv(*image[:, 2, 3].tolist())
            wanted = list(pixel)
            wanted[place] = (
                (pixel[0] + sign * 0.25) % 1 if kind == "hue" else min(1, pixel[1] * (1 + sign / 4))
            )
            assert own[:, 2, 3].tolist() == pytest.approx(colorsys.hsv_to_rgb(*wanted), abs=1e-5)


def test_brightness_stays_in_its_range_and_a_draw_says_up_or_down() -> None:
    images = pictures(1)
    found = changed(images, "brightness", 0.5, torch.tensor([0.4, 0.5, 0.9]))
    assert torch.allclose(found[0], (images[0] - 0.5).clamp(min=0))
    assert torch.allclose(found[1:], (images[1:] + 0.5).clamp(max=1))


def test_one_channel_has_no_hue() -> None:
    with pytest.raises(ValueError, match="images must have 3 channels to change hue, got 1"):
        changed(pictures(1), "hue", 0.1, torch.zeros(3))
