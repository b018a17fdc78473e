"""Augmentations against loops over single images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from trainables.core.randomness import uniform
from trainables.data import augment


def images(count: int = 6) -> Tensor:
    """Random images."""
    return torch.rand(count, 2, 8, 8, generator=torch.Generator().manual_seed(0))


def draws(count: int, numbers: int) -> Tensor:
    """Their random numbers."""
    return uniform(0, "augment", 1, torch.arange(count), numbers)


def test_a_shift_is_a_crop_of_the_padded_image() -> None:
    batch, drawn = images(), draws(6, 2)
    moved = augment.shift(batch, drawn, 2, background=-1.0)
    for image, (down, right), found in zip(batch, (drawn * 5).long().tolist(), moved, strict=True):
        padded = functional.pad(image, (2, 2, 2, 2), value=-1.0)
        assert torch.equal(found, padded[:, down : down + 8, right : right + 8])


def test_every_shift_is_as_likely() -> None:
    spot = torch.zeros(9000, 1, 3, 3)
    spot[:, :, 1, 1] = 1
    moved = augment.shift(spot, draws(9000, 2), 1, 0.0)
    assert moved.sum() == 9000
    assert ((moved.sum((0, 1)) - 1000).abs() < 120).all()  # four deviations of a binomial


def test_no_shift_and_no_crop_change_nothing() -> None:
    batch = images()
    assert augment.shift(batch, draws(6, 2), 0, 0.0) is batch
    assert augment.crop(batch, draws(6, 3), 1.0) is batch


def test_a_crop_is_a_bilinear_resize_of_a_square() -> None:
    batch = images(1)
    # Half the side, moved to the upper left corner: every second source pixel, halfway between.
    cut = augment.crop(batch, torch.tensor([[0.0, 0.0, 0.0]]), 0.5)
    expected = functional.interpolate(batch[:, :, :4, :4], scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(cut[..., :7, :7], expected[..., :7, :7])


def test_an_image_is_turned_by_as_many_quarters_as_its_draw_has() -> None:
    given = images(4)
    turned = augment.turn(given, torch.tensor([0.2, 0.25, 0.6, 0.99]))
    expected = [one.rot90(quarters, (1, 2)) for quarters, one in enumerate(given)]
    assert torch.equal(turned, torch.stack(expected))


def test_a_crop_of_everything_is_the_image() -> None:
    batch = images(2)
    drawn = torch.tensor([[1.0, 0.2, 0.9], [1.0, 0.5, 0.0]])
    torch.testing.assert_close(augment.crop(batch, drawn, 0.5), batch)


@pytest.mark.parametrize("what", ["shift", "crop"])
def test_an_image_does_not_feel_its_batch(what: str) -> None:
    def augmented(batch: Tensor, drawn: Tensor) -> Tensor:
        if what == "shift":
            return augment.shift(batch, drawn[:, :2], 2, 0.0)
        return augment.crop(batch, drawn, 0.5)

    batch, drawn = images(), draws(6, 3)
    torch.testing.assert_close(augmented(batch, drawn)[4:], augmented(batch[4:], drawn[4:]))


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_mixed_labels_are_shares_of_two_classes(mixup: float, cutmix: float) -> None:
    labels = torch.arange(6)
    _, soft = augment.mix(images(), labels, 6, mixup=mixup, cutmix=cutmix, seed=1)
    torch.testing.assert_close(soft.sum(1), torch.ones(6))
    assert ((soft > 0).sum(1) <= 2).all() and (soft[labels, labels] > 0).all()


def test_mixup_mixes_images_as_it_mixes_labels() -> None:
    batch, labels = images(), torch.arange(6)
    mixed, soft = augment.mix(batch, labels, 6, mixup=1.0, cutmix=0.0, seed=1)
    torch.testing.assert_close(mixed, torch.einsum("nk,kchw->nchw", soft, batch))


def test_cutmix_pastes_a_box_of_the_share_of_the_label() -> None:
    batch = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 8, 8).contiguous()
    mixed, soft = augment.mix(batch, torch.arange(6), 6, mixup=0.0, cutmix=1.0, seed=3)
    own = (mixed == batch).float().mean((1, 2, 3))
    torch.testing.assert_close(own, soft.diagonal())


@pytest.mark.parametrize("alphas", [(0.4, 0.0), (0.0, 0.3), (0.4, 1.0)])
def test_mixing_is_torchvisions_with_the_global_generator_bit_for_bit(
    alphas: tuple[float, float],
) -> None:
    kinds = [
        kind(alpha=alpha, num_classes=6)
        for kind, alpha in zip((v2.MixUp, v2.CutMix), alphas, strict=True)
        if alpha
    ]
    labels = torch.arange(6)
    for seed in range(30):
        mixed = augment.mix(images(), labels, 6, mixup=alphas[0], cutmix=alphas[1], seed=seed)
        torch.manual_seed(seed)
        expected = kinds[int(torch.randint(len(kinds), ()))](images(), labels)
        assert all(map(torch.equal, mixed, expected))


def test_mixing_repeats_by_its_seed_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = augment.mix(images(), torch.arange(6), 6, mixup=0.4, cutmix=1.0, seed=1)
    again = augment.mix(images(), torch.arange(6), 6, mixup=0.4, cutmix=1.0, seed=1)
    other = augment.mix(images(), torch.arange(6), 6, mixup=0.4, cutmix=1.0, seed=2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first[0], again[0]) and not torch.equal(first[0], other[0])


def test_with_both_on_each_has_its_turn() -> None:
    """MixUp leaves no pixel as it was; CutMix leaves those outside its box."""
    batch = images()
    kept = [
        bool(
            (
                augment.mix(batch, torch.arange(6), 6, mixup=5.0, cutmix=1.0, seed=s)[0] == batch
            ).any()
        )
        for s in range(40)
    ]
    assert 8 < sum(kept) < 32


SIZES = [(1, 28), (3, 32)]


def squares(channels: int, side: int) -> Tensor:
    """Random square images."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(6, channels, side, side, generator=generator)


@pytest.mark.parametrize(("channels", "side"), SIZES)
def test_a_shift_of_larger_images_brings_in_the_background_of_each_channel(
    channels: int, side: int
) -> None:
    batch, drawn = squares(channels, side), draws(6, 2)
    background = -1.0 - torch.arange(channels)[:, None, None]
    moved = augment.shift(batch, drawn, 4, background)
    for image, (down, right), found in zip(batch, (drawn * 9).long().tolist(), moved, strict=True):
        padded = background.expand(channels, side + 8, side + 8).clone()
        padded[:, 4:-4, 4:-4] = image
        assert torch.equal(found, padded[:, down : down + side, right : right + side])


@pytest.mark.parametrize(("channels", "side"), SIZES)
def test_a_crop_of_larger_images_is_a_bilinear_resize(channels: int, side: int) -> None:
    batch = squares(channels, side)[:1]
    cut = augment.crop(batch, torch.tensor([[0.0, 0.0, 0.0]]), 0.5)
    corner = batch[:, :, : side // 2, : side // 2]
    expected = functional.interpolate(corner, scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(cut[..., :-1, :-1], expected[..., :-1, :-1])


@pytest.mark.parametrize(("channels", "side"), SIZES)
def test_a_flip_mirrors_those_whose_draw_is_below_one_half(channels: int, side: int) -> None:
    batch = squares(channels, side)
    drawn = torch.tensor([0.0, 0.5, 0.49, 0.99, 0.2, 0.7])
    found = augment.flip(batch, drawn)
    for image, draw, one in zip(batch, drawn.tolist(), found, strict=True):
        expected = torch.stack([row.flip(0) for row in image.flatten(0, 1)]).view_as(image)
        assert torch.equal(one, expected if draw < 0.5 else image)
