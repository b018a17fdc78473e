"""Patch decoders that look at slots: causality, masks, and attention against torch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainables.layers.patch_transformers import (
    AutoregressivePatchDecoder,
    LookingBlock,
    SlotLook,
    SlotMixerPatchDecoder,
)

B, K, D, F, P = 2, 3, 8, 12, 6


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers, double precision."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def autoregressive(**changes: Any) -> AutoregressivePatchDecoder:
    """A small one in double precision."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {"slot_width": D, "features": F, "layers": 2, "heads": 2}
    return AutoregressivePatchDecoder(**{**settings, **changes}).double()


def mixer(**changes: Any) -> SlotMixerPatchDecoder:
    """A small one in double precision."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"layers": 2, "heads": 2, "width": 16, **changes}
    return SlotMixerPatchDecoder(slot_width=D, features=F, patches=P, **sizes).double()


@pytest.mark.parametrize("patch", range(P))
def test_another_patch_changes_no_prediction_before_the_next(patch: int) -> None:
    decoder, slots, targets = autoregressive(), drawn(B, K, D), drawn(B, P, F, seed=1)
    others = targets.clone()
    others[:, patch] += 1
    change = (decoder(slots, others).features - decoder(slots, targets).features).abs().amax((0, 2))
    assert change[: patch + 1].max() == 0
    assert (change[patch + 1 :] > 1e-6).all()


def test_the_first_patch_is_predicted_from_the_start_token() -> None:
    decoder, slots = autoregressive(), drawn(B, K, D)
    found = decoder(slots, drawn(B, P, F, seed=1)).features[:, 0]
    torch.testing.assert_close(found, decoder(slots, drawn(B, P, F, seed=2)).features[:, 0])
    with torch.no_grad():
        decoder.start.add_(1)
    assert (decoder(slots, drawn(B, P, F, seed=1)).features[:, 0] - found).abs().min() > 1e-6


def test_the_start_token_is_as_long_as_one_on_average() -> None:
    start = autoregressive(features=768, heads=4).start
    assert float(start.detach().norm()) == pytest.approx(1, abs=0.1)


def test_a_block_that_looks_back_is_that_of_torch_but_for_its_gelu() -> None:
    block = LookingBlock(D, 2, looks_back=True).double()
    theirs = nn.TransformerDecoderLayer(
        D, 2, 4 * D, 0.0, nn.functional.gelu, batch_first=True, norm_first=True
    ).double()
    assert block.back is not None and block.norm_back is not None
    look, own = theirs.multihead_attn, theirs.self_attn
    with torch.no_grad():
        pairs: list[tuple[Any, Any]] = [
            (own.in_proj_weight, block.back.qkv.weight),
            (own.out_proj.weight, block.back.out.weight),
            (own.out_proj.bias, block.back.out.bias),
            (look.in_proj_weight[:D], block.look.queries.weight),
            (look.in_proj_weight[D:], block.look.keys_values.weight),
            (look.out_proj.weight, block.look.out.weight),
            (look.out_proj.bias, block.look.out.bias),
            (theirs.linear1.weight, block.mlp[0].weight),
            (theirs.linear1.bias, block.mlp[0].bias),
            (theirs.linear2.weight, block.mlp[2].weight),
            (theirs.linear2.bias, block.mlp[2].bias),
        ]
        for there, here in pairs:
            there.copy_(here)
        own.in_proj_bias.copy_(block.back.qkv.bias)
        look.in_proj_bias.copy_(torch.cat([block.look.queries.bias, block.look.keys_values.bias]))
    tokens, slots = drawn(B, P, D), drawn(B, K, D, seed=1)
    mask = nn.Transformer.generate_square_subsequent_mask(P, dtype=torch.float64)
    expected = theirs(tokens, slots, tgt_mask=mask, tgt_is_causal=True)
    torch.testing.assert_close(block(tokens, slots, False)[0], expected)


def test_shares_that_are_shown_are_those_that_mix() -> None:
    look, tokens, slots = SlotLook(D, 2).double(), drawn(B, P, D), drawn(B, K, D, seed=1)
    plain, shown = look(tokens, slots), look(tokens, slots, shows=True)
    torch.testing.assert_close(plain[0], shown[0])
    assert plain[1] is None
    torch.testing.assert_close(shown[1].sum(-1), torch.ones(B, P, dtype=torch.float64))


def test_masks_of_the_autoregressive_decoder_are_the_mean_over_heads_in_the_last_block() -> None:
    decoder, slots, targets = autoregressive(masks="decoder"), drawn(B, K, D), drawn(B, P, F)
    seen: list[Tensor] = []
    last: Any = decoder.blocks[-1]
    last.norm_look.register_forward_hook(lambda *given: seen.append(given[2]))
    masks = decoder(slots, targets).masks
    look, keys = last.look, decoder.of_slots(slots)
    queries = look.queries(seen[0]).unflatten(-1, (2, -1))
    keys = look.keys_values(keys)[..., :F].unflatten(-1, (2, -1))
    scores = torch.einsum("bphs,bkhs->bhkp", queries, keys) / (F // 2) ** 0.5
    torch.testing.assert_close(masks, scores.softmax(2).mean(1))
    assert autoregressive()(slots, targets).masks is None


def test_the_mixer_renders_what_its_masks_mix() -> None:
    decoder, slots = mixer(), drawn(B, K, D)
    features, masks = decoder(slots)
    assert masks is not None
    torch.testing.assert_close(masks.sum(1), torch.ones(B, P, dtype=torch.float64))
    mixture = torch.einsum("bkp,bkd->bpd", masks, slots)
    torch.testing.assert_close(features, decoder.render(mixture + decoder.codes))


def test_the_order_of_slots_orders_the_masks_of_the_mixer_and_nothing_else() -> None:
    decoder, slots, order = mixer(), drawn(B, K, D), [2, 0, 1]
    features, masks = decoder(slots)
    moved = decoder(slots[:, order])
    torch.testing.assert_close(moved.features, features)
    torch.testing.assert_close(moved.masks, masks[:, order])


def test_guards_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="targets must be given"):
        autoregressive()(drawn(B, K, D))
    with pytest.raises(ValueError, match=r"heads must divide the width of tokens \(12\), got 5"):
        autoregressive(heads=5)
    with pytest.raises(LookupError, match="masks must be one of attention, decoder, got 'none'"):
        autoregressive(masks="none")
