"""Reliability is drawn, also of bins without answers and of answers that are all right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from trainables.figures.palette import CURVES
from trainables.figures.reliability import reliability_diagram, wrong_answers
from trainables.metrics.reliability import reliability


def area(path: Path, shade: str) -> int:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return int((pixels == list(bytes.fromhex(shade[1:]))).all(-1).sum())


def test_bars_are_as_high_as_answers_are_right(tmp_path: Path) -> None:
    sizes: list[int] = []
    for right in (1, 2, 4):
        found = reliability(torch.full((4,), 0.95), torch.arange(4) < right)
        reliability_diagram(tmp_path / "a.png", found, blind=(0.3, 0.25), title="probe")
        sizes.append(area(tmp_path / "a.png", CURVES[5]))
    assert sizes[0] > 500 and sizes[2] > 1.5 * sizes[1] > 2.2 * sizes[0]


def test_wrong_answers_are_shown_with_their_images(tmp_path: Path) -> None:
    images = torch.tensor([0.2, 0.4]).view(2, 1, 1, 1).expand(2, 1, 8, 8)
    wrong_answers(tmp_path / "a.png", images, ["cat", "dog"], [0.9, 0.8], ["dog", "cat"])
    assert area(tmp_path / "a.png", "#333333") > 5000 and area(tmp_path / "a.png", "#666666") > 5000
    wrong_answers(tmp_path / "b.png", images[:0], [], [], [])
    assert area(tmp_path / "b.png", "#333333") < 100
