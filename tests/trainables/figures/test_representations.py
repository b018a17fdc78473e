"""Pictures of representations: what is drawn where, and nothing that is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.figures.embeddings import class_map
from trainables.figures.palette import CURVES, PALETTE
from trainables.figures.representations import (
    class_attention_sheet,
    correspondence_sheet,
    grad_cam_sheet,
    view_sheet,
)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def area(path: Path, shade: tuple[int, ...]) -> int:
    """How many pixels have exactly this colour."""
    return int((pixels(path) == list(shade)).all(-1).sum())


def over(grey: int, shade: str, share: float = 0.75) -> tuple[int, ...]:
    """A colour over a grey, as opaque."""
    parts = bytes.fromhex(shade[1:])
    return tuple(round(grey * (1 - share) + part * share) for part in parts)


def test_a_row_has_the_source_and_all_of_its_views(tmp_path: Path) -> None:
    """Small ones as large as the others, each grey as bright as it is."""
    sources = torch.full((2, 1, 8, 8), 0.2)
    large, small = torch.full((2, 2, 1, 8, 8), 0.4), torch.full((2, 3, 1, 4, 4), 0.6)
    view_sheet(
        tmp_path / "a.png", sources, [large, small], names=["large", "small"], notes=["note"]
    )
    for grey, count in ((51, 1), (102, 2), (153, 3)):
        found = area(tmp_path / "a.png", (grey,) * 3)
        assert 2 * count * 96**2 <= found < 2 * count * 96**2 + 100  # words are grey too


def test_the_mask_is_over_the_image_where_the_mass_is(tmp_path: Path) -> None:
    """One place of four has 70 % of the mean of two heads."""
    maps = torch.tensor([[[0.8, 0.2], [0.0, 0.0]], [[0.6, 0.0], [0.2, 0.2]]])[None]
    images = torch.ones(1, 3, 8, 8)
    class_attention_sheet(tmp_path / "a.png", images, maps, share=0.6)
    assert area(tmp_path / "a.png", over(255, CURVES[1])) == 48**2
    assert area(tmp_path / "a.png", (255, 255, 255)) >= (96**2) + 3 * 48**2 + 3 * 48**2


def test_a_map_is_enlarged_by_its_own_range(tmp_path: Path) -> None:
    maps = torch.zeros(2, 2, 2)
    maps[1] = torch.tensor([[0.0, 5.0], [0.0, 5.0]])
    images = torch.full((2, 1, 8, 8), 0.5)
    grad_cam_sheet(tmp_path / "a.png", images, maps, notes=["one", "two"])
    full = area(tmp_path / "a.png", over(128, CURVES[1]))
    assert full == 24 * 96  # the right quarter, whose middles are beyond that of the last place
    assert area(tmp_path / "a.png", (128, 128, 128)) >= 2 * 96**2 + 96**2 + 24 * 96


def test_a_column_of_heat_has_the_colour_of_its_anchor(tmp_path: Path) -> None:
    images = torch.ones(1, 3, 8, 8)
    within, between = torch.zeros(1, 5, 4, 4), torch.zeros(1, 5, 4, 4)
    within[:, 3] = 1.0
    between[:, 1] = 0.5
    correspondence_sheet(tmp_path / "a.png", images, images, within, between)
    assert area(tmp_path / "a.png", over(255, CURVES[3])) == 96**2
    assert area(tmp_path / "a.png", over(255, CURVES[1], 0.375)) == 96**2
    for shade in CURVES[:5]:  # a bar, and a mark in the first image
        parts = tuple(bytes.fromhex(shade[1:]))
        assert area(tmp_path / "a.png", parts) >= 36


def test_images_without_any_heat_are_drawn(tmp_path: Path) -> None:
    images, none = torch.ones(1, 3, 8, 8), torch.zeros(1, 5, 4, 4)
    correspondence_sheet(tmp_path / "a.png", images, images, none, none)
    assert area(tmp_path / "a.png", over(255, CURVES[1])) == 0


@pytest.mark.parametrize("axes", [("", ""), ("across", "up")])
def test_points_have_the_colours_of_their_classes(tmp_path: Path, axes: tuple[str, str]) -> None:
    points, labels = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)), None
    labels = torch.arange(60) % 2
    means = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    class_map(tmp_path / "a.png", points, labels, ["a", "b", "c"], means=means, axes=axes)
    found = pixels(tmp_path / "a.png")
    for label, there in ((1, True), (2, True), (3, False)):
        goal = list(bytes.fromhex(PALETTE[label][1:]))
        assert (int((np.abs(found - goal).max(-1) <= 60).sum()) > 40) == there
