"""DINOSAUR's networks: their size, what they reconstruct, and how far off it is."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.layers.patches import Shape
from trainables.slots.config import Dinosaur
from trainables.slots.dinosaur_model import DinosaurNetwork, Parted, distances

SMALL = {"slots.width": 8, "slots.mlp_width": 8, "slots.num_slots": 3}
KINDS = ("mlp", "autoregressive", "slot_mixer", "broadcast")


def network(shape: Shape, **values: Any) -> DinosaurNetwork:
    """A network by its configuration; a double underscore is a dot."""
    config = Dinosaur().with_values({key.replace("__", "."): one for key, one in values.items()})
    torch.manual_seed(0)
    return DinosaurNetwork(
        shape=shape,
        slots=config.slots,
        decoder=config.decoder,
        normalizes_target=config.normalizes_target,
    )


def small(kind: str, **values: Any) -> DinosaurNetwork:
    """A small network for 2 × 3 patches."""
    return network(Shape(2, 3, 16, 1), decoder__kind=kind, **SMALL, **values)


def given(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features [2, 6, 16] and noise [2, 3, 8]."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(2, 6, 16, generator=draw), torch.randn(2, 3, 8, generator=draw)


@pytest.mark.parametrize(("side", "parameters"), [(28, 4_091_393), (16, 4_023_809)])
def test_there_are_as_many_parameters_as_published(side: int, parameters: int) -> None:
    with torch.device("meta"):
        found = network(Shape(side, side, 768, 12))
    assert sum(each.numel() for each in found.parameters()) == parameters


@pytest.mark.parametrize("kind", KINDS)
def test_masks_add_up_to_1_with_any_number_of_slots(kind: str) -> None:
    features, noise = given()
    for noises in (noise, torch.cat([noise, noise], 1)):
        parted = small(kind)(features, noises)
        assert parted.masks.shape == (2, noises.shape[1], 6)
        torch.testing.assert_close(parted.masks.sum(1), torch.ones(2, 6))


@pytest.mark.parametrize("kind", KINDS)
def test_what_becomes_of_an_image_depends_on_no_other(kind: str) -> None:
    (features, noise), model = given(), small(kind)
    together, alone = model(features, noise), model(features[1:], noise[1:])
    torch.testing.assert_close(together.reconstruction[1:], alone.reconstruction)


def test_without_masks_of_its_own_a_decoder_has_those_of_attention() -> None:
    parted = small("autoregressive")(*given())
    assert torch.equal(parted.masks, parted.attention)
    parted = small("autoregressive", decoder__masks="decoder")(*given())
    assert not torch.equal(parted.masks, parted.attention)


def test_a_normalised_target_has_mean_0_and_variance_1_in_each_patch() -> None:
    target = small("mlp", normalizes_target=True)(*given()).target
    torch.testing.assert_close(target.mean(-1), torch.zeros(2, 6), rtol=0, atol=1e-6)
    torch.testing.assert_close(target.var(-1, correction=0), torch.ones(2, 6), rtol=0, atol=1e-4)
    assert torch.equal(small("mlp")(*given()).target, given()[0])


def test_learned_slots_need_no_noise() -> None:
    model = small("mlp", slots__prior="learned", evaluation__more__num_slots=None)
    assert model(given()[0], None).masks.shape == (2, 3, 6)


@pytest.mark.parametrize("kind", ["mse", "l1", "cosine"])
def test_distances_of_each_image_have_the_mean_that_torch_computes(
    kind: Literal["mse", "l1", "cosine"],
) -> None:
    target, found = given()[0], given(1)[0]
    empty = torch.empty(0)
    measured = distances(Parted(target, found, empty, empty, empty), kind)
    cosines = torch.ones(12)
    expected = {
        "mse": functional.mse_loss(found, target),
        "l1": functional.l1_loss(found, target),
        "cosine": functional.cosine_embedding_loss(
            found.flatten(0, 1), target.flatten(0, 1), cosines
        ),
    }[kind]
    assert measured.shape == (2,)
    torch.testing.assert_close(measured.mean(), expected)


@pytest.mark.parametrize(
    ("kind", "width"),
    [("autoregressive", r"the width of tokens \(16\)"), ("slot_mixer", r"slots.width \(8\)")],
)
def test_heads_that_divide_no_width_are_named(kind: str, width: str) -> None:
    sentence = rf"decoder.heads must divide {width}, got 3"
    with pytest.raises(ValueError, match=sentence):
        small(kind, decoder__heads=3)
