"""Strong augmentation in runs: what is asked for is done, and what is not changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.trainables.ssl.pretrained import loaded as pretraining
from tests.trainables.ssl.test_experiment import loaded as classifying
from trainables.core.randomness import uniform
from trainables.data import erasing, strong_augment
from trainables.ssl.config import Pretraining, Supervised

STRONG: dict[str, dict[str, Any]] = {
    "rand_augment": {"operations": 3, "magnitude": 12},
    "auto_augment": {"policy": "imagenet"},
    "aug_mix": {"severity": 5, "chains": 2},
}
NUMBERS = {"rand_augment": 6, "auto_augment": 5, "aug_mix": 23}
ALL: dict[str, Any] = {"strong.kind": "rand_augment", "erasing.rate": 0.5, "cutout": 3}


def done(kind: str, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """What the shared function makes of images."""
    values = {name: value for name, value in STRONG[kind].items() if name != "operations"}
    return getattr(strong_augment, kind)(images, draws, **values)


@pytest.mark.parametrize("kind", list(STRONG))
def test_views_are_augmented_by_draws_of_their_own(kind: str) -> None:
    own: dict[str, Any] = {f"views__strong__{name}": value for name, value in STRONG[kind].items()}
    plain, strong = pretraining(), pretraining(views__strong__kind=kind, **own)
    places = torch.arange(8)
    before, after = plain.batch(2), strong.batch(2)
    mean, deviation = plain.data.mean, plain.data.deviation
    for name in ("large_views", "small_views"):
        pixels = before[name] * deviation + mean
        views = pixels.shape[1]
        draws = uniform(0, f"train {name} {kind}", 2, places, views * NUMBERS[kind])
        expected = done(kind, pixels.flatten(0, 1), draws.reshape(8 * views, -1))
        found = (after[name] * deviation + mean).flatten(0, 1)
        # Two roundings to bytes may fall apart where one number is 1e-7 beside the other.
        close = (found - expected).abs() < 1e-5
        assert close.float().mean() > 0.99


@pytest.mark.parametrize("kind", list(STRONG))
def test_images_with_labels_are_augmented(kind: str) -> None:
    own = {f"augmentation__strong__{name}": value for name, value in STRONG[kind].items()}
    plain, strong = classifying(), classifying(augmentation__strong__kind=kind, **own)
    mean, deviation = plain._data.mean, plain._data.deviation
    pixels = plain.batch(3)["images"] * deviation + mean
    draws = uniform(0, f"train {kind}", 3, torch.arange(16), NUMBERS[kind])
    found = strong.batch(3)["images"] * deviation + mean
    assert ((found - done(kind, pixels, draws)).abs() < 1e-5).float().mean() > 0.99


def test_what_is_covered_is_the_mean() -> None:
    values = {"augmentation__erasing__rate": 0.5, "augmentation__cutout": 3}
    plain, covered = classifying().batch(1), classifying(**values).batch(1)
    places = torch.arange(16)
    expected = erasing.erase(
        plain["images"], uniform(0, "train erasing", 1, places, erasing.ERASE), rate=0.5
    )
    expected = erasing.cutout(expected, uniform(0, "train cutout", 1, places, 2), side=3)
    assert torch.equal(covered["images"], expected)
    views = pretraining(views__cutout=3, views__erasing__rate=1.0).batch(1)
    for name in ("large_views", "small_views"):
        share = (views[name] == 0).flatten(2).float().mean(2)
        assert share.min() >= 4 / 64 and share.max() < 1  # at least a quarter of a square


@pytest.mark.parametrize("kind", ["dino", "supcon"])
def test_a_share_is_what_the_whole_batch_has_at_its_places(kind: str) -> None:
    values = {f"views__{path.replace('.', '__')}": value for path, value in ALL.items()}
    experiment, places = pretraining(kind, **values), torch.tensor([4, 1])
    whole, part = experiment.batch(2), experiment.share(2, places)
    for name, one in part.items():
        torch.testing.assert_close(one, whole[name][places], rtol=0, atol=1e-6)


def test_a_share_of_mixed_images_is_what_the_whole_batch_has() -> None:
    values = {f"augmentation__{path.replace('.', '__')}": value for path, value in ALL.items()}
    experiment, places = classifying(**values, augmentation__mixup=0.8), torch.tensor([0, 7])
    whole, part = experiment.batch(2), experiment.share(2, places)
    for name, one in part.items():
        torch.testing.assert_close(one, whole[name][places], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("start", "digest"),
    [
        (Pretraining(), "41fdf0cccf3382ba"),
        (
            Pretraining().with_values({"views.kind": "contrastive", "method.kind": "simclr"}),
            "684a3ae47d30521f",
        ),
        (
            Pretraining().with_values({"views.values": "notes", "views.infrared.noise": 0.1}),
            "eb49ff9958d535be",
        ),
        (Supervised().with_values({"augmentation.mixup": 0.8}), "48d67865f18c52f5"),
    ],
)
def test_what_is_off_changes_no_digest_and_what_is_on_does(start: Any, digest: str) -> None:
    part = "views" if isinstance(start, Pretraining) else "augmentation"
    off = {f"{part}.erasing.min_area": 0.1, f"{part}.strong.kind": "none", f"{part}.cutout": 0}
    assert start.digest() == start.with_values(off).digest() == digest
    for path, value in ALL.items():
        assert start.with_values({f"{part}.{path}": value}).digest() != digest


@pytest.mark.parametrize(
    ("start", "edge", "said"),
    [
        (
            Pretraining(),
            {"views.cutout": 16},
            r"views.cutout must be below the side of images \(16 pixels, by "
            r"local_crop_input_factor\), got 16",
        ),
        (
            Pretraining().with_values({"views.kind": "contrastive", "method.kind": "simclr"}),
            {"views.cutout": 32},
            r"views.cutout must be below the side of images \(32 pixels, by size\), got 32",
        ),
        (
            Supervised(),
            {"augmentation.cutout": 8},
            r"augmentation.cutout must be below .* \(8 pixels, by data.name 'digits'\), got 8",
        ),
        (
            Supervised(),
            {"augmentation.erasing.max_area": 0.01},
            r"augmentation.erasing.max_area must be at least min_area \(0.02\), got 0.01",
        ),
    ],
)
def test_what_does_not_fit_is_refused(start: Any, edge: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        start.with_values(edge)
    if "cutout" in next(iter(edge)):
        start.with_values({path: value - 1 for path, value in edge.items()})
