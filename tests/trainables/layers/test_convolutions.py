"""The encoder: against its layers, one after the other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.convolutions import Encoder, glorot


def encoder(**settings: Any) -> Encoder:
    """A small one."""
    torch.manual_seed(0)
    values: dict[str, Any] = {"image_size": 9, "channels": 4, "layers": 3, **settings}
    return Encoder(**values)


def images(size: int = 9) -> Tensor:
    """Two images."""
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_tokens_are_convolutions_positions_norm_and_mlp_row_after_row() -> None:
    made = encoder(halvings=1, layers=2)
    first, second = made.convolutions
    assert isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)
    maps = functional.conv2d(images(), first.weight, padding=2).relu()
    maps = made.positions(functional.conv2d(maps, second.weight, stride=2, padding=2).relu())
    assert made.grid == (5, 5)
    token = functional.layer_norm(maps[1, :, 3, 2], (4,), eps=1e-3)
    token = made.mlp[2].weight @ (made.mlp[0].weight @ token).relu()  # pyright: ignore
    assert torch.allclose(made(images())[1, 3 * 5 + 2], token, atol=1e-6)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_the_layout_of_memory_changes_no_token(memory: torch.memory_format) -> None:
    made = encoder()
    expected = made(images())
    found = made.to(memory_format=memory)(images().contiguous(memory_format=memory))
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("halvings", "side"), [(0, 9), (1, 5), (2, 3)])
def test_a_stride_of_2_leaves_half_of_a_side_rounded_up(halvings: int, side: int) -> None:
    made = encoder(halvings=halvings)
    assert made.grid == (side, side)
    assert made(images()).shape == (2, side * side, 4)


@pytest.mark.parametrize("combines", ["add", "concatenate"])
@pytest.mark.parametrize("learned_width", [0, 2])
def test_tokens_know_where_they_are(combines: str, learned_width: int) -> None:
    made = encoder(combines=combines, learned_width=learned_width)
    tokens = made(torch.zeros(1, 3, 9, 9))[0]
    assert len(tokens.unique(dim=0)) == 81


def test_that_of_set_prediction_has_as_many_parameters_as_published() -> None:
    made = Encoder(image_size=128, halvings=2)
    # 380,755 in all, less Slot Attention (54,336) and the MLP of properties (5,395).
    assert sum(parameter.numel() for parameter in made.parameters()) == 380_755 - 54_336 - 5_395


def test_glorot_weights_fill_their_bound_and_biases_are_0() -> None:
    torch.manual_seed(0)
    layer = glorot(nn.Conv2d(20, 30, 5))
    bound = (6 / (25 * (20 + 30))) ** 0.5
    assert 0.99 * bound < float(layer.weight.detach().abs().max()) <= bound
    assert layer.bias is not None and not layer.bias.any()


def test_there_must_be_layers_to_halve() -> None:
    assert encoder(layers=3, halvings=2).grid == (3, 3)
    with pytest.raises(ValueError, match=r"halvings must be below layers \(3\), got 3"):
        encoder(layers=3, halvings=3)


def test_a_kernel_must_have_a_middle() -> None:
    with pytest.raises(ValueError, match="kernel_size must be odd, got 4"):
        encoder(kernel_size=4)
