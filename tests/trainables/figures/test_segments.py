"""Pictures of scenes: colours say which slot shows which object, and pages are cheap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import one_hot

from trainables.figures.palette import PALETTE
from trainables.figures.pictures import cell_size
from trainables.figures.segments import clip, curves_over_slots, scene_table, slot_table
from trainables.metrics.label_maps import label_map


def scenes() -> tuple[Tensor, Tensor, Tensor]:
    """Two images, their true segments of two objects, and masks of 5 slots that show them."""
    true = torch.zeros(2, 16, 16, dtype=torch.uint8)
    true[:, 2:6, 2:6], true[:, 8:14, 8:14] = 1, 2
    found = torch.tensor([3, 0, 4])[true.long()]
    images = torch.stack([true / 2.0 * 2 - 1] * 3, 1)
    return images, true, one_hot(found, 5).movedim(3, 1).float()


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def area(path: Path, shade: str) -> int:
    """How many pixels have exactly this colour."""
    return int((pixels(path) == list(bytes.fromhex(shade[1:]))).all(-1).sum())


@pytest.mark.parametrize("size", [16, 4])
def test_perfect_masks_are_painted_as_the_true_segments(tmp_path: Path, size: int) -> None:
    """Beside them, each colour has twice the area; attention may have another size."""
    images, true, masks = scenes()
    found = label_map(masks)
    scene_table(tmp_path / "a.png", images=images, found=found, true=true)
    side = cell_size(16, 16, 144)[0]
    assert area(tmp_path / "a.png", PALETTE[1]) == 2 * 2 * 16 * (side // 16) ** 2
    attention = found[:, :: 16 // size, :: 16 // size]
    scene_table(
        tmp_path / "b.png",
        images=images,
        reconstructions=images,
        true=true,
        found=found,
        attention=attention,
        notes=["one", "two"],
    )
    wider = pixels(tmp_path / "b.png").shape[1] - pixels(tmp_path / "a.png").shape[1]
    assert wider == 2 * (side + 6)


def test_what_a_slot_draws_is_white_where_its_mask_is_none(tmp_path: Path) -> None:
    """Red everywhere: in the cell of each slot exactly its mask is red."""
    images, true, masks = scenes()
    red = torch.tensor([1.0, -1, -1])[:, None, None].expand(5, 3, 16, 16)
    slot_table(
        tmp_path / "a.png", image=images[0], masks=masks[0], reconstructions=red, true=true[0]
    )
    side = cell_size(16, 16, 112)[0]
    assert area(tmp_path / "a.png", "#ff0000") == 2 * side**2


def test_slots_without_a_pixel_have_no_colour(tmp_path: Path) -> None:
    """Attention and reconstructions are not needed."""
    images, true, masks = scenes()
    slot_table(tmp_path / "a.png", image=images[0], masks=masks[0], true=true[0])
    assert area(tmp_path / "a.png", PALETTE[3]) == area(tmp_path / "a.png", PALETTE[4]) == 0
    assert area(tmp_path / "a.png", PALETTE[2]) > 0


def test_intervals_that_are_not_known_are_not_drawn(tmp_path: Path) -> None:
    curve = {7: (0.9, 0.85, 0.95), 11: (0.8, torch.nan, torch.nan)}
    curves_over_slots(tmp_path / "a.png", {"mean": curve, "constant": {7: (0.9, 0.9, 0.9)}})
    curves_over_slots(tmp_path / "b.png", {"mean": curve}, trained=7, title="one")
    assert area(tmp_path / "a.png", "#0072b2") > 50
    assert area(tmp_path / "a.png", "#d55e00") > 10


def test_a_clip_has_all_frames_and_a_slot_one_colour_in_them(tmp_path: Path) -> None:
    images, true, masks = scenes()
    found = label_map(masks)
    clip(
        tmp_path / "a.png",
        images=torch.cat([images, -images]),
        found=torch.cat([found, found.flip(1)]),
        true=torch.cat([true, true.flip(1)]),
        opacity=1.0,
    )
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        assert getattr(image, "n_frames", 1) == 2  # equal ones are one that lasts twice as long
        image.seek(1)
        last = np.asarray(image.convert("RGB"))
    side = cell_size(16, 16, 224)[0]
    shade = list(bytes.fromhex(PALETTE[2][1:]))
    assert int((last == shade).all(-1).sum()) == 2 * 36 * (side // 16) ** 2
