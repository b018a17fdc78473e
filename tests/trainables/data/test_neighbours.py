"""Nearest images: beside a loop over all pairs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.data import neighbours as module
from trainables.data.neighbours import drawn, nearest, pooled


def directions(number: int = 12) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return functional.normalize(torch.randn(number, 5, generator=draw), dim=1)


@pytest.mark.parametrize("at_once", [1024, 5])
def test_they_are_those_of_a_loop(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    seen = directions()
    for image, own in enumerate(nearest(seen, 4).tolist()):
        cosines = {other: float(seen[image] @ seen[other]) for other in range(12) if other != image}
        assert own == sorted(cosines, key=lambda other: -cosines[other])[:4]


def test_an_image_is_not_its_own_neighbour_among_equal_ones() -> None:
    assert nearest(torch.ones(4, 2), 3).tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_there_must_be_so_many_others() -> None:
    assert nearest(directions(4), 3).shape == (4, 3)
    with pytest.raises(ValueError, match="count must be 1…3 of 4 images, got 4"):
        nearest(directions(4), 4)


def test_maps_are_pooled_to_directions() -> None:
    maps = torch.rand(4, 3, 2, 5, generator=torch.Generator().manual_seed(0))
    found = pooled(maps.split(3))
    mean = maps.mean((2, 3))
    torch.testing.assert_close(found, mean / mean.norm(dim=1, keepdim=True))


def test_each_of_the_nearest_is_drawn_equally_often_and_no_other() -> None:
    table = torch.tensor([[5, 6, 7, 8]])
    draws = torch.rand(30_000, generator=torch.Generator().manual_seed(0))
    found = drawn(table, torch.zeros(30_000, dtype=torch.long), draws, 3).bincount(minlength=9)
    assert found[5:].sum() == 30_000 and found[8] == 0
    assert torch.allclose(found[5:8] / 30_000, torch.full((3,), 1 / 3), atol=0.01)
