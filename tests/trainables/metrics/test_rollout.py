"""Rollouts beside products of matrices, written out in numpy, and beside what networks compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from timm.models.swin_transformer import PatchMerging, SwinTransformerBlock
from torch import Tensor

from trainables.layers.recording import recorded
from trainables.metrics.rollout import (
    SOURCES,
    class_rollout,
    cross_rollout,
    merging,
    reduced,
    rollout,
    slot_rollout,
    summing_to_one,
    through_backbone,
    unwindowed,
)


def attention(*shape: int, seed: int = 0, dim: int = -1) -> Tensor:
    """Weights that add up to 1 along a dimension, in double precision."""
    random = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(*shape, generator=random, dtype=torch.float64)).softmax(dim)


def normalized(rows: np.ndarray) -> np.ndarray:
    return rows / rows.sum(-1, keepdims=True)


def test_heads_become_their_mean_or_their_maximum() -> None:
    maps = attention(2, 3, 4, 5, 6)
    array = maps.numpy()
    assert np.allclose(reduced(maps), sum(array[:, :, head] for head in range(4)) / 4)
    assert np.allclose(reduced(maps, "max"), array.max(2))
    with pytest.raises(LookupError, match="heads must be one of mean, max, got 'sum'"):
        reduced(maps, "sum")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("adds_residual", [True, False])
@pytest.mark.parametrize("halves", [True, False])
@pytest.mark.parametrize("class_tokens", [0, 1, 2])
def test_a_rollout_is_a_product_of_matrices(
    adds_residual: bool, halves: bool, class_tokens: int
) -> None:
    maps = attention(3, 2, 6, 6)
    for image in range(2):
        product = np.eye(6)
        for layer in maps[:, image].numpy():
            step = layer + np.eye(6) if adds_residual else layer
            product = (step / 2 if adds_residual and halves else step) @ product
        patches = product[class_tokens:, class_tokens:]
        options: Any = {
            "adds_residual": adds_residual,
            "halves": halves,
            "class_tokens": class_tokens,
        }
        assert np.allclose(rollout(maps, **options)[image], normalized(patches))
        raw = rollout(maps, **options, normalizes=False)
        assert np.allclose(raw[image], patches)
        if class_tokens:
            row = class_rollout(maps, **options)[image]
            assert np.allclose(row, normalized(product[0, class_tokens:]))


def test_without_halves_rows_add_up_to_a_power_of_two() -> None:
    """With them, to 1."""
    maps = attention(5, 2, 6, 6)
    assert torch.allclose(
        rollout(maps, halves=False, normalizes=False).sum(-1), torch.tensor(32.0).double()
    )
    assert torch.allclose(rollout(maps, normalizes=False).sum(-1), torch.ones(1).double())


def test_without_attention_a_token_is_its_own() -> None:
    identity = torch.eye(6).expand(3, 2, 6, 6)
    assert torch.equal(rollout(identity), torch.eye(6).expand(2, 6, 6))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("iterations", [1, 3])
def test_slots_go_back_to_patches_as_written_out(source: Any, iterations: int) -> None:
    maps = attention(iterations, 2, 4, 9, dim=2)
    array = maps.numpy()
    found = normalized(array[0])
    for number, one in enumerate(array[1:]):
        if source == "layer":
            found = normalized(normalized(one) + found)
        if source == "all":
            found = (found * (number + 1) + normalized(one)) / (number + 2)
    if source == "last":
        found = normalized(array[-1])
    if source == "mean":
        found = normalized(array.sum(0))
    assert np.allclose(slot_rollout(maps, source), found)


def test_what_slots_compete_with_adds_up_to_1_over_slots() -> None:
    maps = attention(3, 2, 4, 9, dim=2)
    for source in ("first", "mean", "last"):
        shares = slot_rollout(maps, source, normalizes=False)
        assert torch.allclose(shares.sum(1), torch.ones(2, 9).double())
    with pytest.raises(LookupError, match="source must be one of first, .*all, got 'best'"):
        slot_rollout(maps, "best")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("looks", [True, False])
@pytest.mark.parametrize("rule", ["chefer", "residual"])
def test_cross_attention_goes_back_as_written_out(rule: Any, looks: bool) -> None:
    own, cross = attention(3, 2, 4, 4), attention(3, 2, 4, 9, seed=1)
    for image in range(2):
        among, back = np.eye(4), np.zeros((4, 9))
        for layer in range(3):
            seen = cross[layer, image].numpy()
            if looks:
                mixing = own[layer, image].numpy()
                back = back + mixing @ back
                among = among + mixing @ among
            if rule == "chefer":
                rest = among - np.eye(4)
                rest = normalized(rest) if looks else rest
                seen = (rest + np.eye(4)).T @ seen
            back = back + seen
        found = cross_rollout(own if looks else None, cross, rule=rule)
        assert np.allclose(found[image], normalized(back))
        raw = cross_rollout(own if looks else None, cross, rule=rule, normalizes=False)
        assert np.allclose(raw[image], back)


def test_both_kinds_of_attention_have_as_many_layers() -> None:
    with pytest.raises(ValueError, match=r"as many layers as cross_maps \(3\), got 2"):
        cross_rollout(attention(2, 2, 4, 4), attention(3, 2, 4, 9))
    with pytest.raises(LookupError, match="rule must be one of chefer, residual, got 'x'"):
        cross_rollout(None, attention(3, 2, 4, 9), rule="x")  # pyright: ignore[reportArgumentType]


def test_a_linear_network_is_its_rollout() -> None:
    """Of tokens x ← x + A x and slots A' x: the derivative of a slot by each patch."""
    maps, cross = attention(3, 1, 6, 6), attention(1, 1, 2, 6, seed=1)
    patches = torch.randn(6, 1, dtype=torch.float64, requires_grad=True)
    tokens = patches
    for layer in maps[:, 0]:
        tokens = tokens + layer @ tokens
    slots = cross[0, 0] @ tokens
    back = rollout(maps, halves=False, normalizes=False)
    found = through_backbone(slot_rollout(cross, "last"), back)[0]
    for slot, row in zip(slots, found, strict=True):
        (gradient,) = torch.autograd.grad(slot.sum(), patches, retain_graph=True)
        assert torch.allclose(row, gradient[:, 0])


def test_a_map_of_zeros_stays_one() -> None:
    assert torch.equal(summing_to_one(torch.zeros(2, 3)), torch.zeros(2, 3))


@pytest.mark.parametrize("shift", [(0, 0), (2, 2), (1, 2)])
@pytest.mark.parametrize(("grid", "dynamic"), [((8, 12), False), ((6, 9), True)])
def test_windows_are_undone_as_swin_makes_them(
    grid: tuple[int, int], dynamic: bool, shift: tuple[int, int]
) -> None:
    """Attention over all patches, times values of patches, is what a block computes."""
    torch.manual_seed(0)
    options: Any = {"window_size": 4, "shift_size": shift, "always_partition": True}
    block = SwinTransformerBlock(8, grid, num_heads=2, dynamic_mask=dynamic, **options).eval()
    if dynamic:
        torch.nn.init.zeros_(block.attn.qkv.bias)  # what is filled in has no value
    tokens = torch.randn(3, *grid, 8)
    with torch.no_grad(), recorded(block) as recording:
        mixed = block._attn(tokens)
        (maps,) = recording.take().values()
        whole = unwindowed(maps[0], grid, (4, 4), shift)
        values = block.attn.qkv(tokens.flatten(1, 2))[..., 16:].unflatten(-1, (2, 4))
        found = torch.einsum("bhqk,bkhc->bqhc", whole, values).flatten(2)
        expected = mixed.flatten(1, 2)
        assert torch.allclose(block.attn.proj(found), expected, atol=1e-5)
    assert whole.shape == (3, 2, grid[0] * grid[1], grid[0] * grid[1])
    if not dynamic:
        assert torch.allclose(whole.sum(-1), torch.ones(1))


def test_patches_are_merged_as_swin_merges_them() -> None:
    """With weights that add up four tokens."""
    merge = PatchMerging(1, 1)
    torch.nn.init.ones_(merge.reduction.weight)
    merge.norm = torch.nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    tokens = torch.randn(1, 4, 6, 1)
    expected = merge(tokens).flatten() / 4
    assert torch.allclose(merging((4, 6), tokens) @ tokens.flatten(), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"even numbers of rows and columns, got \(4, 5\)"):
        merging((4, 5), tokens)
