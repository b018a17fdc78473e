"""Pictures of attention: slots have the colours of what they fit, maps their own range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainables.figures.attention import attention_iterations, attention_layers, attention_scenes
from trainables.figures.palette import PALETTE, labels_by_overlap, paint
from trainables.metrics.masks import entity_masks, masks_of


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def area(path: Path, shade: tuple[int, ...]) -> int:
    """How many pixels have exactly this colour."""
    return int((pixels(path) == list(shade)).all(-1).sum())


def laid_over_white(label: int) -> tuple[int, ...]:
    return tuple(round(0.55 * part + 0.45 * 255) for part in bytes.fromhex(PALETTE[label][1:]))


def scenes(count: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """White images, labels of two objects, and maps of 5 slots of which three fit an entity."""
    true = torch.zeros(count, 16, 16, dtype=torch.uint8)
    true[:, 2:6, 2:6], true[:, 8:14, 8:14] = 1, 2
    masks = entity_masks(true, 5)[:, [3, 2, 0, 4, 1]]
    return torch.ones(count, 3, 16, 16), true, masks.float() * 0.2 + 0.1


def test_masks_lie_over_the_image_in_the_colour_of_their_entity(tmp_path: Path) -> None:
    """Each object three times as large as it is: true, with all, and alone."""
    images, true, maps = scenes()
    attention_scenes(
        tmp_path / "a.png", images=images, true=true, maps=maps, masks=masks_of(maps, "otsu"),
        scores={"IoU": torch.tensor([1.0, 1.0])},
    )  # fmt: skip
    for label, size in ((1, 16), (2, 36), (0, 256 - 52)):
        assert area(tmp_path / "a.png", laid_over_white(label)) == 2 * 3 * size * 6**2
    winners = tuple(paint(torch.tensor([2]))[0].tolist())
    assert area(tmp_path / "a.png", winners) == 2 * 36 * 6**2


def test_a_page_has_the_first_scenes_alone(tmp_path: Path) -> None:
    images, true, maps = scenes(10)
    masks = masks_of(maps, "argmax")
    for most in (8, 4):
        attention_scenes(
            tmp_path / f"{most}.png", images=images, true=true, maps=maps, masks=masks, most=most
        )
    tall, low = (len(pixels(tmp_path / f"{most}.png")) for most in (8, 4))
    assert tall - low == 4 * 2 * (96 + 6)


def test_slots_of_empty_masks_have_free_labels() -> None:
    iou = torch.tensor([[[0.0, 0.9, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.5]]])
    there = torch.tensor([True, True, True])
    assert labels_by_overlap(iou, there).tolist() == [[3, 0, 2]]


def test_each_map_is_drawn_by_its_own_range(tmp_path: Path) -> None:
    """A row for each layer: the mean of heads and each head; above it the image and the rest."""
    image, maps = torch.full((3, 8, 8), 0.5), torch.zeros(2, 3, 4, 4)
    maps[:, :, 0, 0] = torch.tensor([1e-3, 1.0])[:, None]
    attention_layers(
        tmp_path / "a.png", image=image, maps=maps, clusters=torch.ones(4, 4).long(),
        rollout=torch.eye(4),
    )  # fmt: skip
    drawn = pixels(tmp_path / "a.png")
    is_black = (drawn == 0).all(-1).sum()
    assert is_black == 2 * 4 * 15 * 24**2 + 12 * 24**2
    assert area(tmp_path / "a.png", tuple(bytes.fromhex(PALETTE[2][1:]))) == 96**2


def test_iterations_are_rows_and_slots_columns(tmp_path: Path) -> None:
    image, maps = torch.full((3, 8, 8), 0.5), torch.rand(3, 5, 4, 4)
    attention_iterations(tmp_path / "a.png", image=image, maps=maps)
    attention_iterations(
        tmp_path / "b.png", image=image, maps=maps, rollout=maps[0], whole=maps[1], steps="layer"
    )
    small, large = pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png")
    assert len(large) - len(small) == 2 * (96 + 6)
    assert area(tmp_path / "a.png", (128, 128, 128)) >= 96**2
