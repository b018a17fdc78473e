"""Layers of DETR beside the same steps written out with torch's own modules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainables.layers.blocks import Norm
from trainables.layers.detection_transformer import Decoder, DecoderLayer, Encoder, EncoderLayer
from trainables.layers.multihead import MultiHeadAttention

B, K, Q, D, H = 2, 6, 3, 8, 2
PADDING = torch.tensor([[False] * 6, [False] * 4 + [True] * 2])


def drawn(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(len(shape) + sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def random(network: Any) -> Any:
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network.double().eval()


def torchs(module: Any, queries: Tensor, keys: Tensor, values: Tensor, padding: Any) -> Tensor:
    theirs = nn.MultiheadAttention(D, H, batch_first=True, dtype=torch.float64)
    theirs.load_state_dict(module.state_dict())
    return theirs(queries, keys, values, key_padding_mask=padding)[0]


@pytest.mark.parametrize("norm", ["post", "pre"])
@torch.no_grad()
def test_an_encoder_layer_is_attention_and_perceptron(norm: Norm) -> None:
    layer = random(EncoderLayer(D, H, mlp_ratio=2, norm=norm))
    tokens, positions = drawn(B, K, D), drawn(1, K, D)
    first, second = (layer.norm1, layer.norm2) if norm == "pre" else (nn.Identity(),) * 2
    seen = first(tokens)
    x = tokens + torchs(layer.self_attention, seen + positions, seen + positions, seen, PADDING)
    x = x if norm == "pre" else layer.norm1(x)
    x = x + layer.mlp.linear2(layer.mlp.linear1(second(x)).relu())
    x = x if norm == "pre" else layer.norm2(x)
    torch.testing.assert_close(layer(tokens, positions, PADDING), x)


@pytest.mark.parametrize("norm", ["post", "pre"])
@torch.no_grad()
def test_a_decoder_layer_is_two_attentions_and_perceptron(norm: Norm) -> None:
    layer = random(DecoderLayer(D, H, mlp_ratio=2, norm=norm))
    objects, queries, memory = drawn(B, Q, D), drawn(Q, D), drawn(B, K, D)
    keys = memory + drawn(1, K, D)
    norms, none = (layer.norm1, layer.norm2, layer.norm3), (nn.Identity(),) * 3
    before, behind = (norms, none) if norm == "pre" else (none, norms)
    seen = before[0](objects)
    asked = seen + queries
    x = behind[0](objects + torchs(layer.self_attention, asked, asked, seen, None))
    asked = before[1](x) + queries
    x = behind[1](x + torchs(layer.cross_attention, asked, keys, memory, PADDING))
    x = behind[2](x + layer.mlp.linear2(layer.mlp.linear1(before[2](x)).relu()))
    torch.testing.assert_close(layer(objects, queries, keys, memory, PADDING), x)


@torch.no_grad()
def test_a_decoder_has_its_norm_behind_each_layer() -> None:
    decoder = random(Decoder(D, H, 3, settings={"norm": "pre"}))
    queries, memory, positions = drawn(Q, D), drawn(B, K, D), drawn(1, K, D)
    found = decoder(queries, memory, positions, PADDING)
    objects = torch.zeros(B, Q, D, dtype=torch.float64)
    for index, layer in enumerate(decoder.layers):
        objects = layer(objects, queries, memory + positions, memory, PADDING)
        torch.testing.assert_close(found[index], decoder.norm(objects))


@torch.no_grad()
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_what_lies_in_padding_changes_nothing_else(norm: Norm) -> None:
    encoder = random(Encoder(D, H, 2, settings={"norm": norm}))
    decoder = random(Decoder(D, H, 2, settings={"norm": norm}))
    tokens, positions = drawn(B, K, D), drawn(B, K, D)
    other = torch.where(PADDING[..., None], 1e3 * tokens.flip(0), tokens)
    first, second = (encoder(one, positions, PADDING) for one in (tokens, other))
    assert torch.equal(first[~PADDING], second[~PADDING])
    found = [decoder(drawn(Q, D), one, positions, PADDING) for one in (first, second)]
    assert torch.equal(*found)


def test_maps_go_to_the_attention_that_they_are_for() -> None:
    maps = [nn.Identity() for _ in range(6)]
    encoder = Encoder(D, H, 2, maps=[None, maps[0]])
    decoder = Decoder(
        D, H, 2, self_maps=[maps[1], None], cross_maps=[maps[2], maps[3]], padding_mode="added"
    )
    found = {
        name: (one.simplex, one.padding_mode)
        for part in (encoder, decoder)
        for name, one in part.named_modules(prefix=type(part).__name__)
        if isinstance(one, MultiHeadAttention)
    }
    assert found == {
        "Encoder.layers.0.self_attention": (None, "masked"),
        "Encoder.layers.1.self_attention": (maps[0], "masked"),
        "Decoder.layers.0.self_attention": (maps[1], "masked"),
        "Decoder.layers.0.cross_attention": (maps[2], "added"),
        "Decoder.layers.1.self_attention": (None, "masked"),
        "Decoder.layers.1.cross_attention": (maps[3], "added"),
    }


def test_there_is_a_map_for_each_layer() -> None:
    with pytest.raises(ValueError, match="cross must have a map for each of 2 layers, got 1"):
        Decoder(D, H, 2, cross_maps=[None])
    with pytest.raises(
        ValueError, match="encoder_self must have a map for each of 2 layers, got 3"
    ):
        Encoder(D, H, 2, maps=[None] * 3)
