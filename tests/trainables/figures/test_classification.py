"""The confusion matrix: dark where the shares are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from trainables.figures.classification import confusion_matrix


def dark(path: Path) -> float:
    """The share of strongly blue pixels."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return float((pixels[..., 2] - pixels[..., 0] > 60).mean())


def test_the_diagonal_of_a_perfect_classifier_is_dark(tmp_path: Path) -> None:
    classes = ["cat", "dog", "cow"]
    confusion_matrix(tmp_path / "good.png", torch.eye(3) * 20, classes, "good")
    confusion_matrix(tmp_path / "bad.png", torch.full((3, 3), 7), classes, "bad")
    assert dark(tmp_path / "good.png") > dark(tmp_path / "bad.png") + 0.05


def test_a_class_that_never_occurs_can_be_drawn(tmp_path: Path) -> None:
    confusion_matrix(tmp_path / "a.png", torch.tensor([[3, 1], [0, 0]]), ["a", "b"], "half")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_a_hundred_classes_have_a_picture_that_fits_a_page(tmp_path: Path) -> None:
    classes = [f"class {number}" for number in range(100)]
    confusion_matrix(tmp_path / "a.png", torch.eye(100) * 20, classes, "many")
    with Image.open(tmp_path / "a.png") as image:
        assert max(image.size) < 2500
