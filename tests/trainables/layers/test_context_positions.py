"""Positions of the tokens that slots look at: who owns the table, and who learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from trainables.layers.context_positions import ContextPositions
from trainables.layers.vit import ViT

TOKENS = torch.randn(2, 16, 8, generator=torch.Generator().manual_seed(0))


def backbone() -> ViT:
    torch.manual_seed(0)
    return ViT(
        image_size=16, channels=3, patch_size=4, width=8, layers=1, heads=2, classes=0, pool="mean"
    )


def test_tied_positions_are_one_table_with_the_backbone_which_learns_from_both() -> None:
    vit, tied = backbone(), ContextPositions("tied", 8, (4, 4))
    assert not list(tied.parameters())
    found = tied(TOKENS, (4, 4), vit.patch_positions(vit.grid))
    torch.testing.assert_close(found, TOKENS + vit.positions)
    found.sum().backward()
    learns = vit.get_parameter("positions").grad
    assert learns is not None and (learns == 2).all()
    nn.init.ones_(vit.get_parameter("positions"))
    assert torch.equal(tied(TOKENS, (4, 4), vit.patch_positions(vit.grid)), TOKENS + 1)


def test_copied_positions_begin_as_the_backbones_and_go_their_own_way() -> None:
    vit = backbone()
    copied = ContextPositions("copied", 8, (4, 4), vit.patch_positions(vit.grid))
    assert torch.equal(copied.positions((4, 4)), vit.positions)
    copied(TOKENS, (4, 4)).sum().backward()
    assert vit.get_parameter("positions").grad is None
    assert copied.table is not None and copied.table.grad is not None
    nn.init.ones_(vit.get_parameter("positions"))
    assert not torch.equal(copied.positions((4, 4)), vit.positions)


def test_learned_positions_are_small_and_their_own() -> None:
    torch.manual_seed(0)
    learned = ContextPositions("learned", 64, (16, 16))
    found = learned.positions((16, 16))
    assert found.shape == (1, 256, 64) and abs(found.std().item() - 0.02) < 5e-4


@pytest.mark.parametrize("kind", ["tied", "copied"])
def test_other_grids_have_the_table_resized(kind: Any) -> None:
    table = torch.randn(1, 16, 8)
    positions = ContextPositions(kind, 8, (4, 4), table)
    folded = table.view(4, 4, 8).permute(2, 0, 1)[None]
    expected = functional.interpolate(folded, (2, 6), mode="bicubic")[0].flatten(1).T
    found = positions(TOKENS[:, :12], (2, 6), table)
    torch.testing.assert_close(found, TOKENS[:, :12] + expected)


def test_tables_that_are_missing_or_of_another_grid_are_refused() -> None:
    with pytest.raises(LookupError, match="kind must be one of tied, copied, learned, got 'none'"):
        ContextPositions("none", 8, (4, 4))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"table must be \[1, 16, 8\] to be copied, got none"):
        ContextPositions("copied", 8, (4, 4))
    with pytest.raises(ValueError, match=r"to be copied, got \[1, 15, 8\]"):
        ContextPositions("copied", 8, (4, 4), torch.zeros(1, 15, 8))
    tied = ContextPositions("tied", 8, (4, 4))
    with pytest.raises(ValueError, match="table must be given to positions that are tied"):
        tied(TOKENS, (4, 4))
    with pytest.raises(ValueError, match="for each of 4 × 4 patches, got 9"):
        tied(TOKENS, (4, 4), torch.zeros(1, 9, 8))
