"""Decoders of patches, folded, against what they say written out."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from trainables.layers.patch_decoders import BroadcastPatchDecoder, MlpPatchDecoder, mixed_once

B, K, D, F, GRID = 2, 3, 4, 5, (2, 3)
P = GRID[0] * GRID[1]


def slots() -> Tensor:
    """[B, K, D], double precision."""
    draw = torch.Generator().manual_seed(1)
    return torch.randn(B, K, D, dtype=torch.float64, generator=draw).requires_grad_()


def mlp(**changes: Any) -> MlpPatchDecoder:
    """A small MLP decoder in double precision."""
    torch.manual_seed(0)
    return MlpPatchDecoder(slot_width=D, features=F, patches=P, width=7, **changes).double()


def broadcast(layers: int = 3) -> BroadcastPatchDecoder:
    """A small broadcast decoder in double precision."""
    torch.manual_seed(0)
    decoder = BroadcastPatchDecoder(slot_width=D, features=F, grid=GRID, channels=6, layers=layers)
    return decoder.double()


def unfolded_mlp(decoder: MlpPatchDecoder, given: Tensor) -> Tensor:
    """What leaves the last layer, [B, K, P, 1 + F]: each slot at each patch through all layers."""
    laid = given[:, :, None].expand(-1, -1, P, -1)
    codes = decoder.codes.expand(B, K, -1, -1)
    if decoder.combines == "add":
        hidden = laid + codes
    else:
        hidden = torch.cat([laid, codes], -1)
    for layer in (decoder.first, *decoder.hidden):
        hidden = layer(hidden).relu()
    return decoder.last(hidden)


def unfolded_broadcast(decoder: BroadcastPatchDecoder, given: Tensor) -> Tensor:
    """The same of slots laid on the grid."""
    maps = given.reshape(B * K, D, 1, 1).expand(-1, -1, *GRID) + decoder.codes
    for layer in (decoder.first, *decoder.hidden):
        maps = layer(maps).relu()
    return decoder.last(maps.flatten(2).transpose(1, 2)).unflatten(0, (B, K))


def mixed(found: Tensor) -> tuple[Tensor, Tensor]:
    """Features and masks of what leaves the last layer."""
    masks = found[..., :1].softmax(1)
    return (masks * found[..., 1:]).sum(1), masks[..., 0]


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", ["add", "concatenate", "broadcast"])
def test_the_folded_decoder_is_the_unfolded_one_gradients_included(kind: Any, layers: int) -> None:
    given = slots()
    decoder = broadcast(layers) if kind == "broadcast" else mlp(layers=layers, combines=kind)
    unfolded = unfolded_broadcast if kind == "broadcast" else unfolded_mlp
    pairs = (decoder(given), mixed(unfolded(decoder, given)))  # pyright: ignore[reportArgumentType]
    inputs = [given, *decoder.parameters()]
    gradients: list[tuple[Tensor, ...]] = []
    for features, masks in pairs:
        loss = features.square().sum() + (masks * torch.arange(P)).square().sum()
        gradients.append(torch.autograd.grad(loss, inputs))
    for ours, theirs in zip([*pairs[0], *gradients[0]], [*pairs[1], *gradients[1]], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_the_mixture_has_the_gradient_of_finite_differences() -> None:
    last = nn.Linear(3, 1 + F).double()
    hidden = torch.randn(2, 3, 4, 3, dtype=torch.float64, requires_grad=True)

    def mix(rows: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        layer = nn.Linear(3, 1 + F).double()
        del layer.weight, layer.bias
        layer.weight, layer.bias = weight, bias  # pyright: ignore[reportAttributeAccessIssue]
        features, masks = mixed_once(rows, layer)
        assert masks is not None
        return features, masks

    assert gradcheck(mix, (hidden, last.weight, last.bias))


@pytest.mark.parametrize("make", [mlp, broadcast])
def test_under_autocast_masks_add_up_to_1_in_single_precision(make: Any) -> None:
    decoder, given = make().float(), slots().detach().float().requires_grad_()
    exact = decoder(given)
    with torch.autocast("cpu", torch.bfloat16):
        found = decoder(given)
    found.features.sum().backward()
    assert found.masks.dtype == torch.float32 and given.grad is not None
    torch.testing.assert_close(found.masks.sum(1), torch.ones(B, P))
    torch.testing.assert_close(found.features.float(), exact.features, rtol=0.05, atol=0.05)


def test_equal_slots_share_each_patch_equally() -> None:
    given = slots()[:, :1].expand(-1, K, -1)
    masks = mlp()(given).masks
    torch.testing.assert_close(masks, torch.full_like(masks, 1 / K))


def test_another_combination_is_refused() -> None:
    kind: Literal["add"] = "multiply"  # pyright: ignore[reportAssignmentType]
    with pytest.raises(LookupError, match="combines must be one of add, concatenate, got 'multi"):
        mlp(combines=kind)
