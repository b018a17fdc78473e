"""Strong augmentation against torchvision's, image by image, on equal parameters."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from trainables.core.randomness import uniform
from trainables.data import image_operations, strong_augment
from trainables.data.image_operations import OPERATIONS, SIGNED, changed, value
from trainables.data.policies import POLICIES

BYTEWISE = ("posterize", "equalize")
SIZE = (20, 23)


def theirs(name: str) -> str:
    """An operation as torchvision calls it."""
    return "".join(part.capitalize() for part in name.split("_"))


def pictures(count: int, channels: int = 3) -> Tensor:
    """Random images of 255ths, 0…1."""
    made = torch.rand(count, channels, *SIZE, generator=torch.Generator().manual_seed(1))
    return (made * 200 + 20).round() / 255


def draws(count: int, number: int) -> Tensor:
    """Their draws."""
    return uniform(0, "strong", 1, torch.arange(count), number)


def applied(image: Tensor, name: str, amount: float, fill: float, resampling: str) -> Tensor:
    """What torchvision makes of one image [C, H, W]; on bytes where ours works on them."""
    transform: Any = v2.RandAugment()
    given = (image * 255).round().to(torch.uint8) if name in BYTEWISE else image
    mode = InterpolationMode(resampling)
    filled: Any = {torch.Tensor: [fill]}
    done = transform._apply_image_or_video_transform(given, theirs(name), amount, mode, filled)
    return done.float() / 255 if name in BYTEWISE else done


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_torchvisions(name: str, channels: int) -> None:
    batch = pictures(3, channels)
    for amount, resampling in itertools.product((0.3, -0.3, 1.0), ("nearest", "bilinear")):
        size = value(name, abs(amount), SIZE)
        own = math.copysign(size, amount) if name in SIGNED else size
        mode: Any = resampling
        numbers = torch.tensor([0, -1, 0])
        found = changed(batch, numbers, [(name, own)], fill=0.25, resampling=mode)
        assert torch.equal(found[1], batch[1])
        for place in (0, 2):
            expected = applied(batch[place], name, own, 0.25, resampling)
            torch.testing.assert_close(found[place], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_on_numbers_is_within_a_byte_of_that_on_bytes(name: str) -> None:
    batch = pictures(2)
    own = value(name, 0.37, SIZE)
    found = changed(batch, torch.tensor([0, 0]), [(name, own)], fill=0.0)
    transform: Any = v2.RandAugment()
    whole = (batch * 255).round().to(torch.uint8)
    mode = InterpolationMode.NEAREST
    done = transform._apply_image_or_video_transform(whole, theirs(name), own, mode, {Tensor: 0.0})
    # Bytes cut off what is behind the point; of `sharpness` the blurred ones are rounded besides.
    assert ((255 * found - done.float()).abs() < (1.51 if name == "sharpness" else 1.01)).all()


@pytest.mark.parametrize(
    ("space", "bins", "given"),
    [(v2.RandAugment, 31, {}), (v2.AugMix, 10, {"farthest": 1 / 3, "bits": 4})],
)
def test_operations_are_as_strong_as_torchvisions(space: Any, bins: int, given: Any) -> None:
    height, width = SIZE
    for name in OPERATIONS:
        if theirs(name) not in space._AUGMENTATION_SPACE:
            continue
        levels, is_signed = space._AUGMENTATION_SPACE[theirs(name)]
        assert is_signed == (name in SIGNED)
        expected = levels(bins, height, width)
        if expected is None:
            continue
        found = [value(name, level / (bins - 1), SIZE, **given) for level in range(bins)]
        if name.startswith("translate"):
            expected = expected.int()
        torch.testing.assert_close(torch.tensor(found), expected.float(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "policy"),
    [("cifar10", v2.AutoAugmentPolicy.CIFAR10), ("imagenet", v2.AutoAugmentPolicy.IMAGENET)],
)
def test_the_policies_are_the_published_ones(name: str, policy: Any) -> None:
    published: Any = v2.AutoAugment(policy)
    ours = [tuple((theirs(one), rate, how) for one, rate, how in pair) for pair in POLICIES[name]]
    assert ours == [
        tuple((one, rate, how or 0) for one, rate, how in pair) for pair in published._policies
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_rand_augment_is_its_operations_in_a_row(channels: int) -> None:
    batch, drawn = pictures(24, channels), draws(24, 4)
    found = strong_augment.rand_augment(batch, drawn, magnitude=12)
    names = OPERATIONS[:-1]
    assert len(names) == len(v2.RandAugment._AUGMENTATION_SPACE) == 14
    for image, row, made in zip(batch, drawn.tolist(), found, strict=True):
        for which, way in pairs(row):
            name = names[int(14 * which)]
            own = value(name, 12 / 30, SIZE) * (-1 if name in SIGNED and way < 0.5 else 1)
            image = applied(image, name, own, 0.5, "nearest")
        torch.testing.assert_close(made, image, rtol=0, atol=1e-5)


def pairs(row: list[float]) -> list[tuple[float, float]]:
    """Neighbours, two by two."""
    return list(zip(row[::2], row[1::2], strict=True))


@pytest.mark.parametrize("policy", ["cifar10", "imagenet"])
def test_auto_augment_does_what_its_pair_says(policy: str) -> None:
    batch, drawn = pictures(40), draws(40, strong_augment.AUTO_AUGMENT)
    found = strong_augment.auto_augment(batch, drawn, policy=policy)
    done = 0
    for image, row, made in zip(batch, drawn.tolist(), found, strict=True):
        pair = POLICIES[policy][int(25 * row[0])]
        for (name, rate, how), (whether, way) in zip(pair, pairs(row[1:]), strict=True):
            if whether >= rate:
                continue
            own = value(name, how / 9, SIZE) * (-1 if name in SIGNED and way < 0.5 else 1)
            image, done = applied(image, name, own, 0.5, "nearest"), done + 1
        torch.testing.assert_close(made, image, rtol=0, atol=1e-5)
    assert 20 < done < 80


@pytest.mark.parametrize("all_operations", [False, True])
def test_aug_mix_is_a_mixture_of_chains(all_operations: bool) -> None:
    chains, severity = 2, 4
    batch, drawn = pictures(8), draws(8, strong_augment.aug_mix_draws(2))
    found = strong_augment.aug_mix(
        batch, drawn, severity=severity, chains=chains, all_operations=all_operations
    )
    names = [*image_operations.SHAPES, *image_operations.TONES]
    names += image_operations.COLOURS if all_operations else ()
    for image, row, made in zip(batch, drawn.tolist(), found, strict=True):
        own = [row[1 + 11 * chain : 12 + 11 * chain] for chain in range(chains)]
        weights = [-math.log1p(-one[0]) for one in own]
        expected = (1 - row[0]) * image
        for weight, numbers in zip(weights, own, strict=True):
            chained = image
            for step in range(1 + int(3 * numbers[1])):
                which, level, way = numbers[2 + 3 * step : 5 + 3 * step]
                name = names[int(which * len(names))]
                strength = int(severity * level) / 9
                amount = value(name, strength, SIZE, farthest=1 / 3, bits=4)
                amount *= -1 if name in SIGNED and way < 0.5 else 1
                chained = applied(chained, name, amount, 0.0, "bilinear")
            expected = expected + row[0] * weight / sum(weights) * chained
        torch.testing.assert_close(made, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["rand_augment", "auto_augment", "aug_mix"])
def test_an_image_alone_is_the_image_in_its_batch(name: str) -> None:
    batch = pictures(6)
    made: Any = getattr(strong_augment, name)
    drawn = draws(6, {"auto_augment": 5, "rand_augment": 4}.get(name, 34))
    whole = made(batch, drawn)
    assert torch.equal(
        whole, torch.cat([made(batch[k : k + 1], drawn[k : k + 1]) for k in range(6)])
    )
    assert whole.min() >= 0 and whole.max() <= 1


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(LookupError, match="policy must be one of cifar10, imagenet, got 'svhn'"):
        strong_augment.auto_augment(pictures(1), draws(1, 5), policy="svhn")
    with pytest.raises(LookupError, match="operation must be one of identity, shear_x.*'blur'"):
        value("blur", 0.5, SIZE)
