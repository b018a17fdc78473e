"""Views: what each draw is for, in which order, and that a view depends on its own alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from trainables.data import views
from trainables.data.affine import cut
from trainables.data.colour import brighten, contrast, grey, saturate, turn_hue
from trainables.data.crops import TRIES, overlap, relative_boxes, resized_boxes

KINDS: dict[str, tuple[Callable[..., Tensor], int]] = {
    "published": (partial(views.published, scale=(0.3, 1.0)), views.PUBLISHED),
    "turned": (partial(views.turned, area=(0.6, 1.0)), views.TURNED),
    "contrastive": (views.contrastive, views.CONTRASTIVE),
}


def images(count: int = 3) -> Tensor:
    return torch.rand(count, 3, 24, 32, generator=torch.Generator().manual_seed(0))


def drawn(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", KINDS)
def test_a_view_depends_on_its_image_and_its_own_draws_alone(name: str) -> None:
    make, count = KINDS[name]
    draws = drawn(3, 2, count)
    whole = make(images(), draws, 16)
    assert whole.shape == (3, 2, 3, 16, 16) and not torch.equal(whole[:, 0], whole[:, 1])
    for image in range(3):
        for view in range(2):
            own = draws[image : image + 1, view : view + 1]
            alone = make(images()[image : image + 1], own, 16)
            torch.testing.assert_close(alone[0, 0], whole[image, view], atol=1e-6, rtol=1e-5)
    assert torch.equal(make(images(), draws, 16), whole), "the same draws, the same views"


def test_a_published_view_is_mirrored_cropped_and_coloured_in_this_order() -> None:
    draws, given = drawn(3, 2, views.PUBLISHED), images()
    draws[0, 0, 4 * TRIES], draws[0, 1, 4 * TRIES] = 0.49, 0.5
    found = views.published(given, draws, 16, scale=(0.3, 1.0))
    for image in range(3):
        for view in range(2):
            flip, bright, pale, hue = draws[image, view, 4 * TRIES :].tolist()
            one = given[image : image + 1]
            one = one.flip(-1) if flip < 0.5 else one
            tries = draws[image, view, : 4 * TRIES].view(1, TRIES, 4)
            box = resized_boxes(tries, size=(24, 32), scale=(0.3, 1.0))
            one = cut(one, box, 16)
            one = brighten(one, torch.tensor([0.4 * bright - 0.2]))
            one = saturate(one, torch.tensor([0.9 + 0.1 * pale]))
            one = turn_hue(one, torch.tensor([0.1 * hue - 0.05]))
            torch.testing.assert_close(found[image, view], one[0], atol=2e-5, rtol=1e-4)


def test_published_colours_are_not_cut_off() -> None:
    draws = drawn(3, 2, views.PUBLISHED)
    draws[..., 4 * TRIES + 1] = torch.tensor([0.0, 0.999])
    found = views.published(images(), draws, 16, scale=(0.3, 1.0))
    assert float(found[:, 0].min()) < 0 and float(found[:, 1].max()) > 1


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_a_turned_view_changes_each_colour_half_of_the_time(strength: float) -> None:
    draws, given, start = drawn(3, 2, views.TURNED), images(), 4 * views.RELATIVE_TRIES
    found = views.turned(given, draws, 16, area=(0.6, 1.0), strength=strength)
    for image in range(3):
        for view in range(2):
            own = draws[image, view]
            even = (strength * (2 * own[start:] - 1)).tolist()
            kept = (own[start + 2 : start + 6] < 0.5).tolist()
            tries = own[:start].view(1, views.RELATIVE_TRIES, 4)
            box = relative_boxes(tries, area=(0.6, 1.0), ratio=(0.66, 1.5))
            angles = {"turns": 30 * even[0], "shears": 15 * even[1]}
            given_angles: Any = {name: torch.tensor([value]) for name, value in angles.items()}
            one = cut(given[image : image + 1], box, 16, **given_angles)
            for change, chosen, size, value in (
                (saturate, kept[0], 0.5, even[6]),
                (brighten, kept[1], 0.3, even[7]),
                (contrast, kept[2], 0.5, even[8]),
                (turn_hue, kept[3], 0.03, even[9]),
            ):
                neutral = 1.0 if change in (saturate, contrast) else 0.0
                factor = neutral + size * value * chosen
                one = change(one, torch.tensor([factor]))
            expected = one[0].clamp(0, 1)
            torch.testing.assert_close(found[image, view], expected, atol=2e-5, rtol=1e-4)


def test_without_strength_nothing_but_the_box_is_left() -> None:
    draws = drawn(3, 2, views.TURNED)
    found = views.turned(images(), draws, 16, area=(0.6, 1.0), strength=0.0)
    tries = draws[..., : 4 * views.RELATIVE_TRIES].reshape(6, views.RELATIVE_TRIES, 4)
    box = relative_boxes(tries, area=(0.6, 1.0), ratio=(0.66, 1.5))
    plain = cut(images().repeat_interleave(2, 0), box, 16).unflatten(0, (3, 2))
    torch.testing.assert_close(found, plain)


def test_contrastive_views_are_plain_crops_where_all_is_off() -> None:
    draws, start = drawn(2, 2, views.CONTRASTIVE), 4 * TRIES
    draws[..., start:] = torch.tensor([0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.9, 0.9])
    found = views.contrastive(images(2), draws, 20)
    tries = draws[..., :start].reshape(4, TRIES, 4)
    box = resized_boxes(tries, size=(24, 32), scale=(0.08, 1.0))
    plain = cut(images(2).repeat_interleave(2, 0), box, 20).unflatten(0, (2, 2))
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-4)
    draws[..., start + 6] = 0.1
    grey_ones = grey(plain.flatten(0, 1), torch.ones(4, dtype=torch.bool)).unflatten(0, (2, 2))
    found = views.contrastive(images(2), draws, 20)
    torch.testing.assert_close(found, grey_ones, atol=1e-5, rtol=1e-4)


def test_contrastive_views_of_one_channel_are_those_of_the_image_copied_three_times() -> None:
    draws, given = drawn(2, 4, views.CONTRASTIVE), images(2)[:, :1]
    found = views.contrastive(given, draws, 16)
    copied = views.contrastive(given.expand(-1, 3, -1, -1), draws, 16)
    assert found.shape == (2, 4, 1, 16, 16)
    torch.testing.assert_close(found.expand_as(copied), copied, rtol=0, atol=2e-4)


def test_without_blur_and_flips_the_rest_is_as_it_was() -> None:
    draws, start = drawn(2, 4, views.CONTRASTIVE), 4 * TRIES
    found = views.contrastive(images(2), draws, 16, blurs=False, flips=False)
    draws[..., start], draws[..., start + 7] = 0.5, 0.5
    assert torch.equal(found, views.contrastive(images(2), draws, 16))


def test_contrastive_views_stay_within_0_and_1_and_are_grey_one_in_five() -> None:
    found = views.contrastive(images(1).expand(500, -1, -1, -1), drawn(500, 1, 48), 8)[:, 0]
    assert float(found.min()) >= -1e-6 and float(found.max()) <= 1 + 1e-6
    plain = (found.amax(1) - found.amin(1)).amax((1, 2)) < 1e-6
    assert float(plain.float().mean()) == pytest.approx(0.2, abs=0.05)


def test_views_overlap_as_much_as_they_must() -> None:
    draws, more = drawn(400, 3, views.PUBLISHED), drawn(400, 2, 12, 4 * TRIES, seed=2)
    options: Any = {"scale": (0.1, 0.3)}
    given = images(1).expand(400, -1, -1, -1)
    free = views.overlapping_boxes(draws, more, given, least=0.0, **options)
    bound = views.overlapping_boxes(draws, more, given, least=0.2, **options)
    anchor = free[:, :1].expand(-1, 2, -1)
    before, after = overlap(anchor, free[:, 1:]), overlap(anchor, bound[:, 1:])
    assert torch.equal(free[:, 0], bound[:, 0])
    assert float((before < 0.2).float().mean()) > 0.4
    assert float((after < 0.2).float().mean()) < 0.02
    assert torch.equal(bound[:, 1:][before >= 0.2], free[:, 1:][before >= 0.2]), "as they were"
    plain = views.published(given[:2], draws[:2], 8, **options)
    taken = views.published(given[:2], draws[:2], 8, boxes=free[:2], **options)
    assert torch.equal(plain, taken)


@pytest.mark.parametrize(("frames", "count"), [(2, 2), (5, 2), (24, 2), (4, 3), (3, 3), (3, 1)])
def test_any_different_frames_are_as_likely_in_any_order(frames: int, count: int) -> None:
    # Draws in the middle of what leads to each choice: all choices come once.
    sides = [(torch.arange(frames - view) + 0.5) / (frames - view) for view in range(count)]
    draws = torch.cartesian_prod(*sides).view(-1, count)
    found = views.two_frames(draws, torch.full((len(draws),), frames))
    expected = sorted(itertools.permutations(range(frames), count))
    assert sorted(map(tuple, found.tolist())) == expected


def test_the_smallest_and_the_largest_draws_are_frames_too() -> None:
    draws = torch.tensor([[0.0, 0.0], [1 - 2**-24, 1 - 2**-24]])
    frames = torch.tensor([24, 24])
    assert views.two_frames(draws, frames).tolist() == [[0, 1], [23, 22]]


def test_frames_of_a_clip_depend_on_its_draws_and_its_length_alone() -> None:
    draws, frames = drawn(5, 3), torch.tensor([3, 7, 24, 4, 3])
    whole = views.two_frames(draws, frames)
    for clip in range(5):
        alone = views.two_frames(draws[clip : clip + 1], frames[clip : clip + 1])
        assert torch.equal(whole[clip], alone[0]) and int(whole[clip].max()) < frames[clip]
    with pytest.raises(ValueError, match="frames must be at least the 3 views, got 2"):
        views.two_frames(draws, torch.tensor([3, 7, 2, 4, 3]))
