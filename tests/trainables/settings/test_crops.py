"""Views of images, as they are asked for."""

from __future__ import annotations

import pytest

from trainables.settings.crops import ContrastiveCrops, PublishedCrops, SmallCrops, TurnedCrops


def test_the_defaults_are_the_published_ones() -> None:
    published, turned, small = PublishedCrops(), TurnedCrops(), SmallCrops()
    assert (published.size, published.area) == (128, (0.3, 1.0))
    assert (turned.size, turned.area, turned.strength) == (224, (0.6, 1.0), 1.0)
    assert (small.count, small.size, small.area, small.strength) == (4, 96, (0.08, 0.25), 0.5)


@pytest.mark.parametrize("kind", [PublishedCrops, TurnedCrops, ContrastiveCrops, SmallCrops])
def test_a_range_is_not_empty(kind: type[PublishedCrops]) -> None:
    assert kind(min_area=0.5, max_area=0.5).area == (0.5, 0.5)
    with pytest.raises(ValueError, match=r"max_area must be at least min_area \(0\.5\), got 0\.25"):
        kind(min_area=0.5, max_area=0.25)


def test_an_overlap_that_nobody_asks_for_is_void() -> None:
    assert PublishedCrops().void() == {"min_overlap"}
    assert PublishedCrops(min_overlap=0.1).void() == frozenset()


def test_of_no_small_crops_nothing_counts_but_their_number() -> None:
    assert SmallCrops(count=0).canonical() == SmallCrops(count=0, size=64).canonical()
    assert SmallCrops().canonical() != SmallCrops(size=64).canonical()
