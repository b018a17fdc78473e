"""Pictures of embeddings: components beside scikit-learn, and a map for each place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.decomposition import PCA

from trainables.figures.embeddings import (
    position_similarity,
    principal_components,
    slot_scatter,
)
from trainables.figures.palette import PALETTE


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def close_to(path: Path, shade: str, by: int = 6) -> int:
    """How many pixels have about this colour."""
    goal = list(bytes.fromhex(shade[1:]))
    return int((np.abs(pixels(path) - goal).max(-1) <= by).sum())


def test_components_are_those_of_scikit_learn() -> None:
    vectors = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 7)
    points, shares = principal_components(vectors, 3)
    known = PCA(3, svd_solver="full").fit(vectors.double())
    assert np.allclose(points.abs(), np.abs(known.transform(vectors.double())))
    assert np.allclose(shares, known.explained_variance_ratio_)
    assert torch.equal(principal_components(vectors, 3)[0], points)


def test_vectors_that_are_all_one_have_no_variance() -> None:
    points, shares = principal_components(torch.ones(5, 4))
    assert torch.equal(points, torch.zeros(5, 2).double()) and shares.tolist() == [0, 0]


def test_places_are_alike_only_where_they_are_the_same(tmp_path: Path) -> None:
    """Of one-hot embeddings each map has one red place of 16, the others are white."""
    position_similarity(tmp_path / "a.png", torch.eye(16), (4, 4))
    sheet = pixels(tmp_path / "a.png")[:, :745]
    is_red = (np.abs(sheet - [103, 0, 31]).max(-1) <= 1).sum(0) > 0
    is_white = (np.abs(sheet - [247, 247, 247]).max(-1) <= 1).sum(0) > 0
    assert is_red.sum() / is_white.sum() == pytest.approx(4 / 16, rel=0.1)


def test_a_large_grid_shows_a_part_of_its_places(tmp_path: Path) -> None:
    position_similarity(tmp_path / "a.png", torch.randn(15 * 20, 8), (15, 20), most=3)
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_slots_have_the_colours_of_what_they_show(tmp_path: Path) -> None:
    slots = torch.randn(20, 3, 5, generator=torch.Generator().manual_seed(0))
    slot_scatter(tmp_path / "a.png", slots, torch.tensor([-1, 0, 2]).expand(20, 3), names=["none"])
    assert close_to(tmp_path / "a.png", PALETTE[1]) == 0
    assert close_to(tmp_path / "a.png", PALETTE[2], 40) > 50
