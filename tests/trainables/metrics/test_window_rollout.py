"""Rollouts through windows beside products of whole matrices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trainables.layers.windows import Windows
from trainables.metrics.rollout import merging, rollout, unwindowed
from trainables.metrics.window_rollout import window_rollout

B = 2
STAGES = [
    Windows((8, 12), (4, 4)),
    Windows((8, 12), (4, 4), (2, 1)),
    Windows((4, 6), (4, 3), (0, 2)),
    Windows((2, 3), (2, 3)),
]


def layers(*, seed: int = 0) -> list[tuple[Tensor, Windows]]:
    """Attention of each layer within its windows, in double precision."""
    random, found = torch.Generator().manual_seed(seed), list[tuple[Tensor, Windows]]()
    for one in STAGES:
        places = one.size[0] * one.size[1]
        count = B * one.grid[0] * one.grid[1] // places
        scores = torch.randn(count, places, places, generator=random, dtype=torch.float64)
        found.append(((3 * scores).softmax(-1), one))
    return found


@pytest.mark.parametrize("adds_residual", [True, False])
@pytest.mark.parametrize("halves", [True, False])
def test_it_is_the_product_of_layers_without_windows_and_of_mergings(
    adds_residual: bool, halves: bool
) -> None:
    """Of each stage `rollout` of its `unwindowed` layers, and `merging` between stages."""
    given, product, grid = layers(), torch.eye(96, dtype=torch.float64).expand(B, -1, -1), (8, 12)
    for maps, one in given:
        if one.grid != grid:
            product, grid = merging(grid, maps) @ product, one.grid
        whole = unwindowed(maps[:, None], one.grid, one.size, one.shift)[None, :, 0]
        step = rollout(whole, adds_residual=adds_residual, halves=halves, normalizes=False)
        product = step @ product
    found = window_rollout(given, adds_residual=adds_residual, halves=halves, normalizes=False)
    torch.testing.assert_close(found, product)
    rows = window_rollout(given, adds_residual=adds_residual, halves=halves)
    torch.testing.assert_close(rows, product / product.sum(-1, keepdim=True))


def test_a_place_that_looks_at_itself_alone_goes_back_to_what_it_was_merged_of() -> None:
    alone = [(torch.eye(maps.shape[1]).expand(maps.shape), one) for maps, one in layers()]
    found = window_rollout(alone)[0].view(2, 3, 8, 12)
    assert torch.equal(found[0, 1, :4, 4:8], torch.full((4, 4), 1 / 16))
    assert float(found[0, 1].sum()) == 1


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        (Windows((8, 12), (3, 4)), r"windows must divide their grid \(8, 12\), got \(3, 4\)"),
        (Windows((4, 4), (4, 4)), r"next layer, \(8, 12\), or twice as large, got \(4, 4\)"),
    ],
)
def test_windows_that_do_not_fit_are_refused(windows: Windows, said: str) -> None:
    maps, last = layers()[1]
    with pytest.raises(ValueError, match=said):
        window_rollout([(maps, windows), (maps, last)])
