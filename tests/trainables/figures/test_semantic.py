"""Pictures of classes of pixels: colours are where the classes are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from trainables.figures.palette import color
from trainables.figures.semantic import class_table


def test_each_class_has_its_colour_and_none_is_white(tmp_path: Path) -> None:
    truth = torch.tensor([[[0, 1], [2, 255]]])
    found = torch.tensor([[[2, 2], [2, -1]]])
    class_table(
        tmp_path / "a.png",
        images=torch.zeros(1, 3, 2, 2),
        maps={"truth": truth, "clusters": found},
        classes=("background", "cube", "a very long name that takes a line of its own"),
        title="Classes",
    )
    pixels = np.asarray(Image.open(tmp_path / "a.png")).reshape(-1, 3)
    number = {
        one: int((pixels == list(bytes.fromhex(color(one)[1:]))).all(1).sum()) for one in range(3)
    }
    cell = 72 * 72
    swatch = 15 * 15
    assert abs(number[0] - number[1]) < 100 and cell - 200 < number[1] < cell + swatch + 10
    assert 4 * cell - 700 < number[2] < 4 * cell + swatch + 10
