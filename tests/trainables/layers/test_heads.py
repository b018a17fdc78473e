"""Pooling by attention, projections, normalisations of vectors: by their formulas and sizes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from trainables.layers.context_positions import ContextPositions
from trainables.layers.normalizations import NORMALIZATIONS, improved_squash, l2, squash
from trainables.layers.pooling import AttentionPool
from trainables.layers.projections import Projection
from trainables.layers.queries import LearnedQueries
from trainables.layers.recording import recorded
from trainables.layers.slot_attention import SlotAttention
from trainables.layers.vit import ViT

TOKENS = torch.randn(3, 9, 12, generator=torch.Generator().manual_seed(0))


def count(module: nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


def test_published_heads_have_their_number_of_parameters() -> None:
    with torch.device("meta"):
        assert count(AttentionPool(128)) == 264_576
        assert [count(Projection(64, bias=bias)) for bias in (True, False)] == [16_576, 16_512]
        assert count(Projection(128)) == 65_920


def test_published_models_have_their_number_of_parameters() -> None:
    """1,232,000 counts the 256 of a last norm that is never applied."""
    sizes: dict[str, Any] = {"image_size": 128, "channels": 3, "patch_size": 8, "classes": 0}
    sizes |= {"layers": 4, "heads": 4, "mlp_ratio": 2.0, "output_norm": False}
    slots: dict[str, Any] = {"prior": "none", "slot_width": 64, "mlp_width": 128}
    wide: dict[str, Any] = slots | {"slot_width": 128, "mlp_width": 256}
    with torch.device("meta"):
        vit = ViT(width=64, pool="mean", qkv_bias=False, **sizes)
        heads = [Projection(64), Projection(64, bias=False), Projection(64, bias=False)]
        first = [vit, LearnedQueries(11, 64), SlotAttention(token_width=64, **slots), *heads]
        micro, pool = ViT(width=128, **sizes), AttentionPool(128)
        positions = ContextPositions("copied", 128, micro.grid, micro.patch_positions(micro.grid))
        attention = SlotAttention(token_width=128, **wide)
        second = [micro, pool, positions, attention, Projection(128), Projection(128)]
    assert sum(map(count, first)) == 266_368
    assert sum(map(count, second)) == 1_232_000 - 256


@torch.no_grad()
def test_a_pool_is_its_token_looking_at_normalised_tokens() -> None:
    torch.manual_seed(0)
    pool = AttentionPool(16, 12, heads=4)
    assert 0 < pool.token.abs().max() < 1e-5
    for parameter in pool.parameters():
        nn.init.normal_(parameter, std=0.3)
    seen, vector = pool.norm_tokens(TOKENS), pool.token.expand(3, 1, 16)
    for block in pool.blocks:
        attention: Any = block.cross_attention
        asked, keys = attention.queries(block.norm_cross(vector)), attention.keys_values(seen)  # pyright: ignore
        keys, values = keys.chunk(2, -1)
        mixed = torch.cat(
            [
                (q @ k.mT / 2).softmax(-1) @ v
                for q, k, v in zip(
                    asked.split(4, -1), keys.split(4, -1), values.split(4, -1), strict=True
                )
            ],
            -1,
        )
        vector = vector + attention.out(mixed)
        vector = vector + block.mlp(block.norm_mlp(vector))  # pyright: ignore
    torch.testing.assert_close(pool(TOKENS), vector[:, 0])
    with recorded(pool) as recording:
        pool(TOKENS)
        maps = recording.take()
    assert [one.shape for one in maps.values()] == [(1, 3, 4, 1, 9)] * 2


def test_a_pool_does_not_mind_the_order_of_tokens() -> None:
    pool = AttentionPool(16, 12, heads=4)
    torch.testing.assert_close(pool(TOKENS), pool(TOKENS.flip(1)))


def test_a_projection_is_two_layers_with_gelu_between_and_its_dropout_is_felt() -> None:
    torch.manual_seed(0)
    head = Projection(12, 20, hidden_factor=1.5, bias=False, dropout=0.5).eval()
    first, last = head.layers[0], head.layers[3]
    assert isinstance(first, nn.Linear) and isinstance(last, nn.Linear)
    assert first.out_features == 18 and last.bias is None and not first.bias.any()
    hidden = TOKENS @ first.weight.T
    gelu = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
    torch.testing.assert_close(head(TOKENS), gelu @ last.weight.T)
    assert (head.train()(TOKENS) == 0).float().mean() > 0.4, "the original ignored this rate"


LENGTHS = {
    "l2": lambda x: 1.0,
    "squash": lambda x: x**2 / (1 + x**2),
    "improved_squash": lambda x: 1 - math.exp(-x),
}


@pytest.mark.parametrize("length", [1e-4, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("name", LENGTHS)
def test_vectors_keep_their_direction_and_have_the_length_of_the_formula(
    name: str, length: float
) -> None:
    direction = torch.tensor([0.6, 0.0, -0.8], dtype=torch.float64)
    found = NORMALIZATIONS[name](length * direction)
    torch.testing.assert_close(found, LENGTHS[name](length) * direction)


def test_layer_norm_has_mean_0_and_variance_1() -> None:
    found = NORMALIZATIONS["layer_norm"](TOKENS)
    torch.testing.assert_close(found.mean(-1), torch.zeros(3, 9), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.var(-1, correction=0), torch.ones(3, 9), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    vectors = TOKENS[0, :3].double().requires_grad_()
    assert gradcheck(NORMALIZATIONS[name], vectors)


@pytest.mark.parametrize(("function", "slope"), [(squash, 0.0), (improved_squash, 1.0), (l2, 1e10)])
def test_a_vector_of_zeros_has_a_gradient(function: Any, slope: float) -> None:
    """‖x‖² / (1 + ‖x‖²) · x / ‖x‖ as it is written is 0/0 there."""
    zeros = torch.zeros(3, requires_grad=True)
    found: Tensor = function(zeros)
    found.sum().backward()
    assert zeros.grad is not None and not found.any()
    torch.testing.assert_close(zeros.grad, torch.full((3,), slope))
