"""Multi-head attention over any map: beside torch's own module, and with padding of all kinds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainables.layers.multihead import MultiHeadAttention
from trainables.layers.recording import recorded

B, Q, K, D, H = 3, 5, 12, 16, 4
PADDING = torch.zeros(B, K, dtype=torch.bool)
PADDING[0, 9:] = True
PADDING[2, ::2] = True
NOTHING = PADDING.clone()
NOTHING[1] = True


class Shares(nn.Module):
    """Squared scores over their sum: a map to the simplex that is no softmax."""

    def forward(
        self, scores: Tensor, padding: Tensor | None = None, grid: tuple[int, int] | None = None
    ) -> Tensor:
        seen = scores.new_ones(()) if padding is None else (~padding)[:, None, None].to(scores)
        powers = scores.square() * seen
        return powers / powers.sum(-1, keepdim=True).clamp_min(1e-30)


def tokens(seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    sizes = ((B, Q, D), (B, K, D), (B, K, D))
    return tuple(torch.randn(size, generator=draw, dtype=dtype) for size in sizes)  # pyright: ignore[reportReturnType]


def attention(**changes: Any) -> MultiHeadAttention:
    torch.manual_seed(0)
    module = MultiHeadAttention(D, H, **changes)
    nn.init.normal_(module.in_proj_bias)
    nn.init.normal_(module.out_proj.bias)
    return module


def torchs(module: MultiHeadAttention) -> nn.MultiheadAttention:
    """torch's module with the same weights, loaded by name, in the same precision."""
    theirs = nn.MultiheadAttention(D, H, batch_first=True, dtype=module.in_proj_weight.dtype)
    theirs.load_state_dict(module.state_dict())
    return theirs


@pytest.mark.parametrize("padding", [None, PADDING], ids=["whole", "padded"])
def test_it_is_torchs_module(padding: Tensor | None) -> None:
    ours = attention()
    theirs = torchs(ours)
    given = tokens()
    expected, weights = theirs(*given, key_padding_mask=padding, average_attn_weights=False)
    torch.testing.assert_close(ours(*given, padding), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.attention_weights(*given, padding), weights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("padding", [None, PADDING], ids=["whole", "padded"])
def test_its_gradients_are_those_of_torchs_module(padding: Tensor | None) -> None:
    ours = attention().double()
    theirs = torchs(ours)
    given = tokens(dtype=torch.float64)
    ours(*given, padding).square().sum().backward()
    theirs(*given, key_padding_mask=padding)[0].square().sum().backward()
    for name, one in theirs.named_parameters():
        torch.testing.assert_close(ours.get_parameter(name).grad, one.grad)


@pytest.mark.parametrize(
    "same", ["all", "queries and keys", "keys and values", "queries and values"]
)
def test_inputs_that_are_one_tensor_are_projected_alike(same: str) -> None:
    ours = attention()
    first, second = torch.randn(B, K, D), torch.randn(B, K, D)
    given = {
        "all": (first, first, first),
        "queries and keys": (first, first, second),
        "keys and values": (first, second, second),
        "queries and values": (first, second, first),
    }[same]
    apart = tuple(one.clone() for one in given)
    torch.testing.assert_close(ours(*given), ours(*apart), rtol=0, atol=1e-6)


@pytest.mark.parametrize("simplex", [None, Shares()], ids=["fused", "map"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_nothing_depends_on_what_lies_in_padding(simplex: nn.Module | None, dropout: float) -> None:
    ours = attention(simplex=simplex, dropout=dropout)
    queries, keys, values = tokens()
    first, second = (
        torch.where(PADDING[..., None], 100 * one.flip(0), one) for one in (keys, values)
    )
    found: list[Tensor] = []
    for given in ((keys, values), (first, second)):
        torch.manual_seed(1)
        found.append(ours(queries, given[0], given[1], PADDING))
    assert torch.equal(*found)
    assert (
        not ours.attention_weights(queries, first, second, PADDING)
        .mT[PADDING[:, None].expand(-1, H, -1)]
        .any()
    )


@pytest.mark.parametrize("simplex", [None, Shares()], ids=["fused", "map"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_an_image_that_is_all_padding_finds_zeros(
    simplex: nn.Module | None, dropout: float
) -> None:
    ours = attention(simplex=simplex, dropout=dropout)
    given = [one.requires_grad_() for one in tokens()]
    found = ours(*given, padding=NOTHING)
    torch.testing.assert_close(found[1], ours.out_proj.bias.expand(Q, -1), rtol=0, atol=0)
    found.sum().backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in given)
    assert all(one.grad is not None and not one.grad[1].any() for one in given)
    assert not ours.attention_weights(*given, padding=NOTHING)[1].any()


def test_added_padding_draws_attention_by_as_much_as_e() -> None:
    """With a softmax, padding has e times the odds: 15 of 40 keys have 15·e/(15·e + 25) = 62 %."""
    torch.manual_seed(0)
    ours = MultiHeadAttention(D, H, padding_mode="added")
    queries = torch.randn(4, 50, D)
    keys = torch.randn(4, 40, D)
    padding = (torch.arange(40) >= 25).expand(4, -1)
    with torch.no_grad():
        weights = ours.attention_weights(queries, keys, keys, padding)
        plain = MultiHeadAttention.attention_weights(ours, queries, keys, keys)
        odds = plain * torch.where(padding, torch.e, 1.0)[:, None, None]
    torch.testing.assert_close(weights, odds / odds.sum(-1, keepdim=True), rtol=0, atol=1e-6)
    assert abs(float(weights[..., 25:].sum(-1).mean()) - 0.63) < 0.02


@pytest.mark.parametrize("simplex", [None, Shares()], ids=["fused", "map"])
@pytest.mark.parametrize("mode", ["masked", "added"])
@torch.no_grad()
def test_recorded_weights_are_those_that_mix(simplex: nn.Module | None, mode: Any) -> None:
    ours = attention(simplex=simplex, padding_mode=mode, dropout=0.3).eval()
    given = tokens()
    expected = ours(*given, PADDING, (3, 4))
    with recorded(nn.ModuleDict({"attention": ours})) as recording:
        found = ours(*given, padding=PADDING, grid=(3, 4))
        [weights] = recording.take()["attention"]
    values = nn.functional.linear(given[2], ours.in_proj_weight[-D:], ours.in_proj_bias[-D:])
    mixed = weights @ values.unflatten(-1, (H, -1)).transpose(1, 2)
    assert torch.equal(found, expected)
    torch.testing.assert_close(
        ours.out_proj(mixed.transpose(1, 2).flatten(2)), found, rtol=0, atol=1e-6
    )


def test_recording_changes_no_output_in_training() -> None:
    ours = attention(dropout=0.5)
    network = nn.ModuleDict({"attention": ours})
    given = tokens()
    torch.manual_seed(3)
    expected = ours(*given, PADDING)
    torch.manual_seed(3)
    with recorded(network):
        found = ours(*given, PADDING)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("simplex", [None, nn.Softmax(-1)], ids=["fused", "map"])
def test_dropped_weights_are_scaled_so_that_the_mean_stays(simplex: Any) -> None:
    """Of a thousand draws."""

    class Softmax(nn.Module):
        def forward(self, scores: Tensor, padding: Any, grid: Any) -> Tensor:
            return scores.masked_fill(padding[:, None, None], -torch.inf).softmax(-1)

    ours = attention(simplex=simplex and Softmax(), dropout=0.5)
    queries, keys, values = (one.repeat(1000, 1, 1) for one in tokens())
    padding = PADDING.repeat(1000, 1)
    torch.manual_seed(0)
    with torch.no_grad():
        mean = ours(queries, keys, values, padding).view(1000, B, Q, D).mean(0)
        exact = ours.eval()(queries, keys, values, padding)[:B]
    torch.testing.assert_close(mean, exact, rtol=0, atol=0.12)


def test_names_that_are_not_known_are_said() -> None:
    with pytest.raises(LookupError, match="padding_mode must be one of masked, added, got 'none'"):
        MultiHeadAttention(D, H, padding_mode="none")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"heads must divide width \(16\), got 3"):
        MultiHeadAttention(D, 3)
