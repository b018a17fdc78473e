"""The network of object discovery: sizes as published, and what slots may not depend on."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from trainables.slots.autoencoder import Autoencoder
from trainables.slots.config import Discovery

SMALL: dict[str, Any] = {
    "data.image_size": 16,
    "encoder.channels": 4,
    "slots.width": 8,
    "slots.mlp_width": 8,
    "decoder.channels": 4,
}


def autoencoder(**values: Any) -> Autoencoder:
    """A network; a double underscore is a dot."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    config = Discovery().with_values(named)
    torch.manual_seed(0)
    return Autoencoder(
        image_size=config.data.image_size,
        encoder=config.encoder,
        slots=config.slots,
        decoder=config.decoder,
    )


def small(**values: Any) -> Autoencoder:
    """A small one."""
    return autoencoder(
        **{**{name.replace(".", "__"): one for name, one in SMALL.items()}, **values}
    )


def drawn(*shape: int, seed: int = 1) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("kind", "side", "channels", "number"),
    [
        ("expanding", 128, 64, 890_308),
        ("up_convolve", 128, 64, 787_844),
        ("stationary", 35, 64, 685_380),
        ("stationary", 35, 32, 235_812),
    ],
)
def test_networks_have_as_many_parameters_as_the_original(
    kind: str, side: int, channels: int, number: int
) -> None:
    with torch.device("meta"):
        made = autoencoder(
            decoder__kind=kind,
            data__image_size=side,
            encoder__channels=channels,
            decoder__channels=channels,
        )
    assert sum(parameter.numel() for parameter in made.parameters()) == number


@pytest.mark.parametrize("kind", ["expanding", "stationary", "up_convolve"])
def test_the_reconstruction_is_what_slots_draw_weighed_by_masks(kind: str) -> None:
    seen = small(decoder__kind=kind)(drawn(2, 3, 16, 16), drawn(2, 5, 8))
    whole = torch.einsum("bkchw,bkhw->bchw", seen.images, seen.masks)
    assert torch.allclose(seen.reconstruction, whole, atol=1e-6)
    assert torch.allclose(seen.masks.sum(1), torch.ones(2, 16, 16), atol=1e-6)


def test_slots_in_another_order_draw_the_same_image() -> None:
    made, images, noise = small(), drawn(2, 3, 16, 16), drawn(2, 5, 8)
    seen, turned = made(images, noise), made(images, noise.flip(1))
    assert torch.allclose(seen.reconstruction, turned.reconstruction, atol=1e-5)
    assert torch.allclose(seen.masks, turned.masks.flip(1), atol=1e-5)


@pytest.mark.parametrize("slots", [1, 4, 9])
def test_there_are_as_many_slots_as_noise_is_given_for(slots: int) -> None:
    seen = small()(drawn(2, 3, 16, 16), drawn(2, slots, 8))
    assert seen.masks.shape == (2, slots, 16, 16)
    assert seen.attention.shape == (2, slots, 256)


def test_iterations_are_those_of_the_call() -> None:
    made, images, noise = small(slots__iterations=2), drawn(1, 3, 16, 16), drawn(1, 3, 8)
    assert torch.equal(made(images, noise).slots, made(images, noise, iterations=2).slots)
    assert not torch.allclose(made(images, noise).slots, made(images, noise, iterations=3).slots)


def test_a_halved_encoder_attends_on_the_smaller_grid() -> None:
    made = small(encoder__halvings=2)
    assert made.encoder.grid == (4, 4)
    assert made(drawn(1, 3, 16, 16), drawn(1, 3, 8)).attention.shape == (1, 3, 16)


def test_it_can_be_copied_and_pickled_behind_a_step() -> None:
    made, images, noise = small(), drawn(1, 3, 16, 16), drawn(1, 3, 8)
    made(images, noise).reconstruction.sum().backward()
    for twin in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert torch.equal(twin(images, noise).masks, made(images, noise).masks)
