"""Position embeddings against their formulas, in each of their forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trainables.layers.positions import SoftPositions, ramps


def test_ramps_are_row_and_column_and_what_is_left_of_them() -> None:
    found = ramps(3, 5)
    assert found.shape == (3, 5, 4)
    for row, column in ((0, 0), (1, 3), (2, 4)):
        down, right = row / 2, column / 4
        assert found[row, column].tolist() == [down, right, 1 - down, 1 - right]


def test_added_positions_are_a_linear_map_of_the_ramps() -> None:
    positions = SoftPositions(6, size=(4, 5))
    features = torch.randn(2, 6, 4, 5)
    assert positions.linear is not None
    expected = features + positions.linear(ramps(4, 5)).permute(2, 0, 1)
    torch.testing.assert_close(positions(features), expected)
    torch.testing.assert_close(features + positions.field(), expected)
    assert positions.out_channels == 6 and not positions.linear.bias.any()


def test_concatenated_positions_follow_the_channels() -> None:
    positions = SoftPositions(6, size=(4, 5), combines="concatenate")
    features = torch.randn(2, 6, 4, 5)
    found = positions(features)
    assert found.shape[1] == positions.out_channels == 10
    assert torch.equal(found[:, :6], features)
    assert torch.equal(found[1, 6:], ramps(4, 5).permute(2, 0, 1))
    assert list(positions.parameters()) == []


def test_a_learned_map_is_learned_and_starts_within_glorot_bounds() -> None:
    positions = SoftPositions(6, size=(9, 9), kind="learned", learned_width=8)
    positions(torch.randn(2, 6, 9, 9)).square().sum().backward()
    bound = (3 / (9 * 8)) ** 0.5
    assert 0.95 * bound < positions.embedding.abs().max() <= bound
    assert positions.embedding.grad is not None and positions.embedding.grad.abs().min() > 0


def test_a_learned_map_is_as_wide_as_the_features_if_nothing_is_said() -> None:
    positions = SoftPositions(6, size=(4, 5), kind="learned", combines="concatenate")
    assert positions.out_channels == 12


@pytest.mark.parametrize("kind", ["ramps", "learned"])
def test_normalized_map_and_embedding_have_mean_zero_and_variance_one(kind: Any) -> None:
    positions = SoftPositions(
        6, size=(4, 5), combines="concatenate", kind=kind, normalizes=True, weight=3.0
    )
    found = positions(5 + 2 * torch.randn(2, 6, 4, 5))
    for part, size in ((found[:, :6], 1.0), (found[:, 6:], 3.0)):
        variance, mean = torch.var_mean(part, dim=(1, 2, 3), correction=0)
        torch.testing.assert_close(mean, torch.zeros(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(variance, torch.full((2,), size**2), rtol=2e-3, atol=0)


def test_a_weight_multiplies_the_embedding() -> None:
    light = SoftPositions(6, size=(4, 5), combines="concatenate")
    heavy = SoftPositions(6, size=(4, 5), combines="concatenate", weight=2.5)
    torch.testing.assert_close(heavy.field(), 2.5 * light.field())


@pytest.mark.parametrize("combines", ["add", "concatenate"])
@pytest.mark.parametrize("normalizes", [False, True])
def test_maps_stay_in_channels_last_memory(combines: Any, normalizes: bool) -> None:
    positions = SoftPositions(6, size=(4, 5), combines=combines, normalizes=normalizes)
    features = torch.randn(2, 6, 4, 5).to(memory_format=torch.channels_last)
    assert positions(features).is_contiguous(memory_format=torch.channels_last)


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"features must be a map of size \(4, 5\), got \(5, 4\)"):
        SoftPositions(6, size=(4, 5))(torch.zeros(1, 6, 5, 4))


def test_unknown_forms_are_named() -> None:
    with pytest.raises(LookupError, match="combines must be one of add, concatenate, got 'sum'"):
        SoftPositions(6, size=(4, 5), combines="sum")  # pyright: ignore[reportArgumentType]
    with pytest.raises(LookupError, match="kind must be one of ramps, learned, got 'sine'"):
        SoftPositions(6, size=(4, 5), kind="sine")  # pyright: ignore[reportArgumentType]
