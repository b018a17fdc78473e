"""Views of images and draws of queries: functions of seed, step and place."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from trainables.data.crops import TRIES, overlap
from trainables.data.views import PUBLISHED
from trainables.osc import views
from trainables.osc.config import Representation
from trainables.osc.model import RepresentationModel
from trainables.settings.crops import ContrastiveCrops, PublishedCrops, SmallCrops, TurnedCrops

IMAGES = torch.rand(4, 3, 24, 32, generator=torch.Generator().manual_seed(0))
PLACES = torch.tensor([5, 0, 9, 2])
KINDS = [
    PublishedCrops(size=16),
    PublishedCrops(size=16, min_overlap=0.5),
    TurnedCrops(size=16),
    ContrastiveCrops(size=16),
]


@pytest.mark.parametrize("settings", KINDS, ids=lambda one: f"{one.kind}")
def test_a_view_depends_on_seed_step_place_and_image_alone(settings: PublishedCrops) -> None:
    make = partial(views.large, settings=settings, purpose="train")
    whole = make(IMAGES, seed=1, step=3, places=PLACES)
    assert whole.shape == (4, 2, 3, 16, 16)
    part = make(IMAGES[2:3], seed=1, step=3, places=PLACES[2:3])
    torch.testing.assert_close(part, whole[2:3], rtol=0, atol=1e-6)
    for other in (
        make(IMAGES, seed=2, step=3, places=PLACES),
        make(IMAGES, seed=1, step=4, places=PLACES),
        make(IMAGES, seed=1, step=3, places=PLACES + 1),
    ):
        assert not torch.allclose(other, whole)
    assert not torch.allclose(whole[:, 0], whole[:, 1])


def test_small_views_are_others_than_large_ones() -> None:
    small = views.small(IMAGES, SmallCrops(count=3, size=8), 1, "train", 3, PLACES)
    assert small.shape == (4, 3, 3, 8, 8) and not torch.allclose(small[:, 0], small[:, 1])


@pytest.mark.parametrize("least", [0.3, 0.6])
def test_an_overlap_that_is_asked_for_is_reached(least: float) -> None:
    images, draw = IMAGES[:1].expand(200, -1, -1, -1), torch.Generator().manual_seed(0)
    settings = PublishedCrops(size=8, min_area=0.1, min_overlap=least)
    draws = torch.rand(200, 2, PUBLISHED, generator=draw)
    more = torch.rand(200, views.CANDIDATES * 4 * TRIES, generator=draw)
    boxes = views.overlapping(images, settings, draws, more)
    reached = overlap(boxes[:, 0], boxes[:, 1]) >= least
    by_chance = views.overlapping(images, settings.with_values({"min_overlap": 0.0}), draws, more)
    assert float(reached.float().mean()) > 0.75
    assert float((overlap(by_chance[:, 0], by_chance[:, 1]) >= least).float().mean()) < 0.7


def test_the_middle_is_the_largest_square() -> None:
    assert torch.equal(views.middle(IMAGES, 24), IMAGES[:, :, :, 4:28])
    halved = views.middle(IMAGES, 12)
    expected = IMAGES[:, :, :, 4:28].unflatten(2, (12, 2)).unflatten(4, (12, 2)).mean((3, 5))
    torch.testing.assert_close(halved, expected)


def test_labels_are_cut_as_their_images_and_never_mixed() -> None:
    labels = torch.arange(24 * 32).view(1, 24, 32)
    assert torch.equal(views.middle_labels(labels, 24), labels[:, :, 4:28])
    picked = views.middle_labels(labels, 8)
    assert torch.equal(picked, labels[:, 1::3, 5:28:3])


@pytest.mark.parametrize(
    ("queries", "objects", "expected"),
    [
        ("learned", "slot_attention", {}),
        ("normal", "slot_attention", {"noise": (4, 2, 5, 16)}),
        ("sampled", "slot_attention", {"noise": (4, 2, 5, 16), "choices": (4, 2, 5)}),
        ("patch", "slot_attention", {"choices": (4, 2, 5)}),
        ("kmeans", "slot_attention", {"choices": (4, 2, 16)}),
    ],
)
def test_queries_are_given_what_they_are_made_of(
    queries: str, objects: str, expected: dict[str, tuple[int, ...]]
) -> None:
    config = Representation().with_values(
        {"queries.kind": queries, "objects.kind": objects, "views.size": 16}
        | {"backbone.width": 16, "backbone.patch_size": 4, "backbone.layers": 1}
    )
    model = RepresentationModel(config)
    found = views.query_draws(model, 16, 5, 0, "train", 1, PLACES, 2)
    assert {name: tuple(one.shape) for name, one in found.items()} == expected
    for one in found.values():  # another image and another view have draws of their own
        assert not torch.equal(one[0], one[1]) and not torch.equal(one[:, 0], one[:, 1])
