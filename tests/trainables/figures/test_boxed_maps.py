"""Maps of boxes lie where the boxes are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from trainables.figures.boxed_maps import MapRow, boxed_maps_sheet, placed
from trainables.figures.palette import CURVES


def test_a_map_of_the_whole_picture_is_enlarged_bilinearly() -> None:
    heat = torch.rand(3, 5, generator=torch.Generator().manual_seed(0))
    enlarged = functional.interpolate(heat[None, None], (12, 20), mode="bilinear")[0, 0]
    torch.testing.assert_close(placed(heat, (0, 0, 1, 1), (12, 20)), enlarged)


@pytest.mark.parametrize("seen", [(0.25, 0.5, 0.75, 1.0), (-0.5, 0.0, 0.5, 0.25)])
def test_a_map_lies_where_it_was_seen_and_nowhere_else(seen: tuple[float, ...]) -> None:
    found = placed(torch.ones(4, 4), seen, (16, 16))
    left, top, right, bottom = (round(16 * min(max(one, 0), 1)) for one in seen)
    assert (found[top:bottom, left:right] == 1).all()
    assert float(found.sum()) == (right - left) * (bottom - top)


def test_pictures_of_any_sizes_have_their_boxes_and_maps(tmp_path: Path) -> None:
    pictures = [torch.full((1, 30, 40), 0.5), torch.full((1, 80, 40), 0.5)]
    heats = torch.zeros(2, 2, 2)
    heats[:, 0] = 1.0
    rows = [MapRow("of the box", heats, [(0.0, 0.0, 0.5, 0.5)] * 2), MapRow("of all", heats)]
    boxes = [(0.0, 0.0, 0.5, 0.5), (0.25, 0.25, 0.75, 0.75)]
    boxed_maps_sheet(tmp_path / "a.png", pictures, boxes, rows, names=["a", "b"], title="boxes")
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    edge = list(bytes.fromhex(CURVES[4][1:]))
    assert (pixels == edge).all(-1).sum() > 3 * 200
    warm = [round(128 * 0.25 + 0.75 * one) for one in bytes.fromhex(CURVES[1][1:])]
    assert (pixels == warm).all(-1).sum() > 500
