"""Views as they are asked for: sides, numbers, what is void, what is too small."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from trainables.data import multi_crop, views
from trainables.settings.views import Contrastive, MultiCrop, SmallViews


def test_the_defaults_are_those_of_the_originals() -> None:
    large, small, equal = MultiCrop(), SmallViews(), Contrastive()
    assert (large.area, large.values) == ((0.4, 1.0), "official")
    assert (small.number, small.area, small.local) == (8, (0.05, 0.4), "random")
    assert (equal.area, equal.count, equal.values) == ((0.2, 1.0), 2, "cifar")


@pytest.mark.parametrize(
    ("size", "factor", "side"), [(224, 7 / 3, 96), (32, 2.0, 16), (32, 1.0, 32), (28, 1.5, 19)]
)
def test_small_views_have_a_share_of_the_side(size: int, factor: float, side: int) -> None:
    found = MultiCrop(size=size, local_crop_input_factor=factor)
    assert found.small_size == side
    assert found.sides == {"size": size, "local_crop_input_factor": side}


@pytest.mark.parametrize(
    ("local", "number", "void"),
    [
        ("random", 3, set()),
        ("strip_vertical", 3, set()),
        ("five", 5, {"count"}),
        ("ten", 10, {"count"}),
    ],
)
def test_places_say_how_many_views_there_are(local: Any, number: int, void: set[str]) -> None:
    found = SmallViews(count=3, local=local)
    assert (found.number, found.void()) == (number, void)


def test_of_no_small_views_nothing_counts() -> None:
    none = MultiCrop(small=SmallViews(count=0))
    other = MultiCrop(small=SmallViews(count=0, max_area=0.1), local_crop_input_factor=4.0)
    assert none.canonical() == other.canonical() != MultiCrop().canonical()
    assert none.sides == {"size": 32} and none.too_small(32, "a network") is None


@pytest.mark.parametrize(
    ("kind", "at_least"), [(MultiCrop, 0.5), (Contrastive, 0.5), (SmallViews, 0.5)]
)
def test_a_range_is_not_empty(kind: Any, at_least: float) -> None:
    assert kind(min_area=at_least, max_area=at_least).area == (0.5, 0.5)
    with pytest.raises(ValueError, match=r"max_area must be at least min_area \(0\.5\), got 0\.25"):
        kind(min_area=at_least, max_area=0.25)


def test_two_views_are_the_least_that_can_be_compared() -> None:
    with pytest.raises(ValueError, match="count"):
        Contrastive(count=1)


@pytest.mark.parametrize("least", [16, 17, 32])
def test_a_small_view_that_is_too_small_is_said_by_its_factor(least: int) -> None:
    said = MultiCrop().too_small(least, "convnext_atto")
    if least == 16:
        assert said is None
        return
    assert said == (
        f"local_crop_input_factor must be at most {32 / least:g}, so that small views have the "
        f"{least} pixels a side that convnext_atto takes, got 2: 16 pixels"
    )
    as_said = MultiCrop(local_crop_input_factor=float(f"{32 / least:g}"))
    assert as_said.too_small(least, "convnext_atto") is None


@pytest.mark.parametrize("kind", [MultiCrop, Contrastive])
def test_a_large_view_that_is_too_small_is_said_by_its_size(kind: Any) -> None:
    said = kind().too_small(33, "resnet18")
    assert said == "size must be at least the 33 pixels a side that resnet18 takes, got 32"


def test_all_values_are_there() -> None:
    for name in ("official", "notes"):
        found = multi_crop.named(**MultiCrop(values=name, strength=0.5).distortions)
        assert found == multi_crop.named(name, strength=0.5)
    assert multi_crop.named(**Contrastive().distortions) == multi_crop.CIFAR
    given = Contrastive(values="simclr").distortions
    assert given.keys() <= inspect.signature(views.contrastive).parameters.keys()


def test_flips_of_ten_crops_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="flips must be true where small.local is 'ten'"):
        MultiCrop(small=SmallViews(local="ten"), flips=False)


def test_a_blur_that_there_is_not_is_void() -> None:
    assert Contrastive().void() - Contrastive(values="simclr").void() == {"blurs"}
    assert Contrastive(values="simclr").void() == {"strong", "cutout"}
