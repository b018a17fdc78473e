"""Pictures of matches show what the loss used, and say how often it is the most similar."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from trainables.figures.matches import global_matches, object_matches
from trainables.losses.contrastive import contrast_views
from trainables.losses.matching import match_views


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def green(path: Path) -> int:
    """How many pixels have the colour of what is most similar."""
    return int((np.abs(pixels(path) - [0, 158, 115]).max(-1) < 8).sum())


@pytest.mark.parametrize("temperature", [None, 0.1])
def test_the_accuracy_of_views_is_that_of_the_loss(
    tmp_path: Path, temperature: float | None
) -> None:
    projections = drawn(6, 1, 8) + 0.8 * drawn(6, 2, 8, seed=1)
    found = global_matches(tmp_path / "a.png", projections, temperature=temperature)
    assert 0 < found < 1
    assert found == pytest.approx(float(contrast_views(projections, 0.1).accuracy))


def test_images_stand_along_both_axes(tmp_path: Path) -> None:
    projections, images = drawn(3, 2, 8), torch.zeros(3, 2, 3, 8, 8)
    images[:, :, 0] = 1
    global_matches(tmp_path / "a.png", projections, images=images)
    is_red = (pixels(tmp_path / "a.png") == [255, 0, 0]).all(-1)
    assert is_red.any(1).sum() > 300 and is_red.any(0).sum() > 300


def test_the_partners_are_those_that_are_given_and_not_found_anew(tmp_path: Path) -> None:
    """Features that were matched agree; other vectors, or other partners, do not."""
    slots = drawn(2, 1, 5, 16) + 0.3 * drawn(2, 2, 5, 16, seed=1)
    slots[:, 1] = slots[:, 1, [3, 0, 4, 1, 2]]
    partners = match_views(slots[:, 0], slots[:, 1])
    assert object_matches(tmp_path / "a.png", slots, partners) == 1
    assert object_matches(tmp_path / "b.png", slots, (partners + 1) % 5) == 0
    assert green(tmp_path / "b.png") > green(tmp_path / "a.png") + 100
    assert not np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))


def test_the_share_is_that_of_a_loop(tmp_path: Path) -> None:
    slots, partners = drawn(2, 2, 4, 3), torch.tensor([0, 2, 1, 3]).expand(2, 2, 4)
    right = [
        int(torch.cosine_similarity(slots[b, v, s][None], slots[b, 1 - v]).argmax())
        == int(partners[b, v, s])
        for b in range(2)
        for v in range(2)
        for s in range(4)
    ]
    images = torch.zeros(2, 2, 3, 4, 4)
    found = object_matches(tmp_path / "a.png", slots, partners, images=images)
    assert found == pytest.approx(sum(right) / 16)
