"""Cross attention is torch's, its decoder torch's decoder; co-attention is two of them at once."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from trainables.layers.attention import SelfAttention, kept_logits
from trainables.layers.cross_attention import CrossAttention, CrossBlock
from trainables.layers.object_decoders import CoAttentionDecoder, CrossAttentionDecoder
from trainables.layers.recording import recorded

QUERIES = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randn(3, 9, 12, generator=torch.Generator().manual_seed(1))
WIDE = torch.randn(3, 9, 16, generator=torch.Generator().manual_seed(2))
DECODERS = [CrossAttentionDecoder, CoAttentionDecoder]


def random(module: Any) -> Any:
    """The same with random numbers everywhere, and evaluated."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def count(module: nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


@torch.no_grad()
@pytest.mark.parametrize("bias", [False, True])
def test_cross_attention_is_that_of_torch(bias: bool) -> None:
    ours = random(CrossAttention(16, 12, 4, qkv_bias=bias))
    theirs = nn.MultiheadAttention(16, 4, kdim=12, vdim=12, batch_first=True)
    keys, values = ours.keys_values.weight.chunk(2)
    theirs.q_proj_weight.copy_(ours.queries.weight)  # pyright: ignore
    theirs.k_proj_weight.copy_(keys)  # pyright: ignore
    theirs.v_proj_weight.copy_(values)  # pyright: ignore
    if bias:
        theirs.in_proj_bias.copy_(torch.cat([ours.queries.bias, ours.keys_values.bias]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    expected, weights = theirs(QUERIES, TOKENS, TOKENS, average_attn_weights=False)
    torch.testing.assert_close(ours(QUERIES, TOKENS), expected)
    torch.testing.assert_close(ours.attention_weights(QUERIES, TOKENS), weights)


@torch.no_grad()
def test_cross_attention_is_its_loops() -> None:
    module = random(CrossAttention(16, 12, 4))
    keys, values = module.keys_values(TOKENS).chunk(2, -1)
    queries, found = module.queries(QUERIES), torch.zeros(3, 5, 16)
    for image in range(3):
        for head in (slice(0, 4), slice(4, 8), slice(8, 12), slice(12, 16)):
            for slot in range(5):
                scores = [queries[image, slot, head] @ key / 2 for key in keys[image, :, head]]
                powers = torch.stack(scores).exp()
                shares = powers / powers.sum()
                found[image, slot, head] = shares @ values[image, :, head]
    torch.testing.assert_close(module(QUERIES, TOKENS), module.out(found))


@torch.no_grad()
def test_a_block_is_torchs_decoder_layer() -> None:
    ours = random(CrossBlock(16, 16, 4, qkv_bias=True))
    theirs = nn.TransformerDecoderLayer(
        16, 4, 32, 0.0, "gelu", 1e-5, batch_first=True, norm_first=True
    ).eval()
    qkv, cross = ours.self_attention.qkv, ours.cross_attention
    pairs: list[tuple[Any, Any]] = [
        (theirs.self_attn.in_proj_weight, qkv.weight),
        (theirs.self_attn.in_proj_bias, qkv.bias),
        (
            theirs.multihead_attn.in_proj_weight,
            torch.cat([cross.queries.weight, cross.keys_values.weight]),
        ),
        (
            theirs.multihead_attn.in_proj_bias,
            torch.cat([cross.queries.bias, cross.keys_values.bias]),
        ),
    ]
    layers: list[tuple[Any, Any]] = [
        (theirs.self_attn.out_proj, ours.self_attention.out),
        (theirs.multihead_attn.out_proj, cross.out),
        (theirs.linear1, ours.mlp[0]),
        (theirs.linear2, ours.mlp[3]),
        (theirs.norm1, ours.norm_self),
        (theirs.norm2, ours.norm_cross),
        (theirs.norm3, ours.norm_mlp),
    ]
    pairs += [
        (getattr(mine, part), getattr(their, part))
        for mine, their in layers
        for part in ("weight", "bias")
    ]
    for target, source in pairs:
        target.copy_(source)
    torch.testing.assert_close(ours(QUERIES, WIDE), theirs(QUERIES, WIDE))


@torch.no_grad()
def test_the_decoder_normalises_tokens_once_and_slots_not_at_all() -> None:
    module = random(CrossAttentionDecoder(16, 12, layers=2, heads=4))
    seen, slots = module.norm_tokens(TOKENS), QUERIES
    for block in module.blocks:
        slots = block(slots, seen)
    assert torch.equal(module(QUERIES, TOKENS), slots)


@torch.no_grad()
def test_a_reused_block_is_gone_through_so_often() -> None:
    reused = random(CrossAttentionDecoder(16, 12, layers=3, heads=4, reuses_layers=True))
    copied = CrossAttentionDecoder(16, 12, layers=3, heads=4).eval()
    copied.norm_tokens.load_state_dict(reused.norm_tokens.state_dict())
    for block in copied.blocks:
        block.load_state_dict(reused.blocks[0].state_dict())
    torch.testing.assert_close(reused(QUERIES, TOKENS), copied(QUERIES, TOKENS))
    with recorded(reused, ["blocks.0.cross_attention"]) as recording:
        reused(QUERIES, TOKENS)
        [maps] = recording.take().values()
    assert maps.shape == (3, 3, 4, 5, 9) and not torch.equal(maps[0], maps[1])


def test_decoders_have_the_published_number_of_parameters() -> None:
    sizes: dict[str, Any] = {"width": 64, "token_width": 64, "heads": 4, "mlp_ratio": 4.0}
    with torch.device("meta"):
        one = CrossAttentionDecoder(layers=1, **sizes)
        reused = CrossAttentionDecoder(layers=3, reuses_layers=True, **sizes)
        three = CrossAttentionDecoder(layers=3, **sizes)
    assert [count(each) for each in (one, reused, three)] == [66_496, 66_496, 199_232]


@torch.no_grad()
def test_without_a_scale_self_attention_is_hotter_and_cross_attention_as_it_was() -> None:
    plain, hot = (
        random(CrossAttentionDecoder(16, 12, 1, 4, attention_scale=scale))
        for scale in ("sqrt", "none")
    )
    with recorded(plain) as before, recorded(hot) as after:
        for one in (plain, hot):
            one(QUERIES, TOKENS)
        cool, warm = (one.take()["blocks.0.self_attention"][0].log() for one in (before, after))
    spread = [one - one.mean(-1, keepdim=True) for one in (cool, warm)]
    torch.testing.assert_close(spread[1], spread[0] * 2, rtol=1e-4, atol=1e-4)
    cross = hot.blocks[0].cross_attention
    assert torch.equal(cross(QUERIES, TOKENS), plain.blocks[0].cross_attention(QUERIES, TOKENS))


@torch.no_grad()
def test_co_attention_sees_the_old_values_on_both_sides() -> None:
    module = random(CoAttentionDecoder(16, 12, layers=2, heads=4))
    first, last = module.blocks
    slots = first.slots_look(QUERIES, first.norm_tokens(TOKENS))
    tokens = first.tokens_look(TOKENS, first.norm_slots(QUERIES))
    expected = last.slots_look(slots, last.norm_tokens(tokens))
    torch.testing.assert_close(module(QUERIES, TOKENS), expected)


@pytest.mark.parametrize("kind", DECODERS)
def test_every_parameter_of_a_decoder_learns(kind: Any) -> None:
    module, queries = random(kind(16, 12, layers=2, heads=4)), QUERIES.clone().requires_grad_()
    module(queries, TOKENS).sin().sum().backward()
    assert all(one.grad is not None and one.grad.any() for one in module.parameters())
    assert queries.grad is not None and queries.grad.all()


@torch.no_grad()
@pytest.mark.parametrize("kind", DECODERS)
def test_outputs_are_the_same_while_all_attention_is_recorded(kind: Any) -> None:
    module = random(kind(16, 12, layers=2, heads=4))
    before = module(QUERIES, TOKENS)
    with recorded(module) as recording:
        assert torch.equal(module(QUERIES, TOKENS), before)
        maps = recording.take()
    assert len(maps) == (4 if kind is CrossAttentionDecoder else 6)
    for name, found in maps.items():
        torch.testing.assert_close(found.sum(-1), torch.ones(found.shape[:-1]), msg=name)


@pytest.mark.parametrize("kind", DECODERS)
@pytest.mark.parametrize("rate", ["dropout", "attention_dropout", "drop_path"])
def test_each_rate_is_felt_in_training_only(kind: Any, rate: str) -> None:
    plain = random(kind(16, 12, layers=1, heads=4))
    module = random(kind(16, 12, layers=1, heads=4, **{rate: 0.5}))
    assert torch.equal(module(QUERIES, TOKENS), plain(QUERIES, TOKENS))
    assert not torch.allclose(module.train()(QUERIES, TOKENS), plain(QUERIES, TOKENS))


@torch.no_grad()
def test_dropped_logits_leave_weights_that_add_up_to_1() -> None:
    module = random(CrossAttention(16, 12, 4, attention_dropout=0.4, drops="logits"))
    weights = module.attention_weights(QUERIES, TOKENS)
    torch.manual_seed(5)
    found = module.train()(QUERIES, TOKENS)
    torch.manual_seed(5)
    kept = weights * (torch.rand(weights.shape) >= 0.4)
    assert kept.any(-1).all()
    kept = kept / kept.sum(-1, keepdim=True)
    values = module.keys_values(TOKENS).chunk(2, -1)[1].unflatten(-1, (4, 4)).transpose(1, 2)
    torch.testing.assert_close(found, module.out((kept @ values).transpose(1, 2).flatten(2)))


@pytest.mark.parametrize("make", [CrossAttention, SelfAttention])
def test_where_all_logits_are_dropped_all_are_kept(make: Any) -> None:
    """−∞ for all, as the original has it, is no number."""
    module = make(16, heads=4, attention_dropout=1 - 1e-9, drops="logits").train()
    given = [QUERIES.clone().requires_grad_() for _ in range(1 + (make is CrossAttention))]
    found = module(*given)
    torch.testing.assert_close(found, module.eval()(*given))
    found.sum().backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in given)
    assert torch.full((3,), -torch.inf).softmax(0).isnan().all()


def test_kept_logits_are_those_not_below_the_rate() -> None:
    draws = torch.tensor([[0.1, 0.3, 0.9], [0.0, 0.1, 0.2]])
    assert kept_logits(draws, 0.3, -1).tolist() == [[False, True, True], [True, True, True]]
    assert kept_logits(draws, 0.3, 0).tolist() == [[True, True, True], [True, False, False]]


def test_queries_keys_and_values_begin_glorot_each_by_itself() -> None:
    block = CrossBlock(256, 128, 4)
    bounds = {
        block.self_attention.qkv.weight: math.sqrt(6 / 512),
        block.cross_attention.queries.weight: math.sqrt(6 / 512),
        block.cross_attention.keys_values.weight: math.sqrt(6 / (256 + 128)),
    }
    for weight, bound in bounds.items():
        assert 0.99 * bound < weight.abs().max() <= bound


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"heads": 3}, ValueError, r"heads must divide width \(16\), got 3"),
        ({"drops": "tokens"}, LookupError, "drops must be one of weights, logits, got 'tokens'"),
        ({"attention_scale": "d"}, LookupError, "attention_scale must be one of sqrt, none, got"),
    ],
)
@pytest.mark.parametrize("kind", DECODERS)
def test_settings_that_do_not_fit_are_refused(
    kind: Any, changes: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    settings: dict[str, Any] = {"width": 16, "token_width": 12, "layers": 1, "heads": 4}
    with pytest.raises(error, match=sentence):
        kind(**(settings | changes))


def test_a_causal_attention_drops_no_logits() -> None:
    with pytest.raises(ValueError, match="drops must be 'weights' if attention is causal"):
        SelfAttention(16, 4, is_causal=True, drops="logits")
