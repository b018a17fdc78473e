"""Figures: written whole or not at all, and nothing stays open."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from trainables.figures.canvas import DPI, canvas


def test_a_picture_has_the_size_that_was_asked(tmp_path: Path) -> None:
    with canvas(tmp_path / "a.png", 2, 1.5) as figure:
        figure.subplots().plot([1, 2])
    with Image.open(tmp_path / "a.png") as image:
        assert (image.format, image.size) == ("PNG", (2 * DPI, round(1.5 * DPI)))


def test_a_picture_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), canvas(tmp_path / "a.png", 1, 1):
        raise ValueError("no")
    assert not list(tmp_path.iterdir())


def test_no_global_state_is_used(tmp_path: Path) -> None:
    with canvas(tmp_path / "a.png", 1, 1):
        pass
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
