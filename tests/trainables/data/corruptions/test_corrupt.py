"""Corruptions equal those of the published code, draw for draw."""

from __future__ import annotations

import pytest
import torch
from scipy import ndimage, stats

from tests.trainables.data.corruptions.published import PUBLISHED, drawn, picture
from trainables.core.randomness import uniform
from trainables.data.corruptions.blurs import disc, moved, zoomed
from trainables.data.corruptions.corrupt import corrupt
from trainables.data.corruptions.edges import inside, smoothed
from trainables.data.corruptions.noise import normal, poisson
from trainables.data.corruptions.severities import EXTRA, MAIN, NAMES, TABLES
from trainables.data.corruptions.weather import plasma

_BYTES_BETWEEN = {"glass_blur": 1.0, "pixelate": 1.0, "snow": 0.9}
"""Where the published code rounds to bytes on the way: by how much it may differ."""
_RANDOM = [name for name in NAMES if name.endswith(("noise", "blur", "transform"))]


@pytest.mark.parametrize(("table", "name", "severity", "expected"), PUBLISHED)
def test_pixels_are_those_of_the_published_code(
    table: str, name: str, severity: int, expected: tuple[float, ...]
) -> None:
    side = 32 if table == "cifar" else 224
    made = corrupt(picture(side), name, severity, drawn(name, severity), table=table)[0] * 255  # pyright: ignore[reportArgumentType]
    far = side // 32
    places = [(0, 5 * far, 9 * far), (1, 16 * far, 30 * far), (2, 31 * far, 2 * far)]
    found = [float(made[place]) for place in places] + [float(made.mean())]
    assert found == pytest.approx(expected, abs=_BYTES_BETWEEN.get(name, 0.011))


def test_all_but_two_are_published_in_full() -> None:
    assert {name for _, name, _, _ in PUBLISHED} == set(NAMES) - {"frost"}
    assert (len(MAIN), len(EXTRA), len(set(NAMES))) == (15, 4, 19)


@pytest.mark.parametrize("table", list(TABLES))
@pytest.mark.parametrize("name", NAMES)
def test_each_has_five_severities_within_0_and_1(name: str, table: str) -> None:
    images = picture(32).expand(2, -1, -1, -1)
    for severity in range(1, 6):
        made = corrupt(images, name, severity, drawn(name, severity, 2), table=table)  # pyright: ignore[reportArgumentType]
        assert made.dtype == images.dtype and made.shape == images.shape
        assert 0 <= made.min() <= made.max() <= 1
        assert (made - images).abs().max() > 0 or (name, severity, table) == (
            *("glass_blur", 1),
            "cifar",
        )


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_corrupted_the_same_in_any_batch(name: str) -> None:
    images = torch.cat([picture(32), picture(32).flip(3), 1 - picture(32)])

    def of(which: list[int]) -> torch.Tensor:
        places = torch.tensor(which)
        return corrupt(
            images[which], name, 3, lambda what, count: uniform(1, what, 0, places, count)
        )

    torch.testing.assert_close(of([0, 1, 2])[1:], of([1, 2]))


@pytest.mark.parametrize("name", NAMES)
def test_a_grey_image_stays_grey(name: str) -> None:
    grey = picture(32)[:, :1]
    made = corrupt(grey, name, 4, drawn(name, 4))
    assert made.shape == grey.shape
    if name in ("frost", "spatter", "saturate", *_RANDOM):
        return
    three = corrupt(grey.expand(-1, 3, -1, -1), name, 4, drawn(name, 4))
    torch.testing.assert_close(made, three[:, :1], atol=1e-5, rtol=0)


def test_saturation_leaves_one_channel() -> None:
    grey = picture(32)[:, :1]
    torch.testing.assert_close(corrupt(grey, "saturate", 5, drawn("saturate", 5)), grey)


@pytest.mark.parametrize(
    ("name", "severity", "sentence"),
    [
        ("rain", 1, "corruption must be one of gaussian_noise, .* got 'rain'"),
        ("fog", 0, "severity must be 1…5, got 0"),
        ("fog", 6, "severity must be 1…5, got 6"),
    ],
)
def test_what_there_is_not_is_said(name: str, severity: int, sentence: str) -> None:
    with pytest.raises((LookupError, ValueError), match=sentence):
        corrupt(picture(32), name, severity, drawn(name, severity))


def test_images_are_squares_of_one_or_three_channels() -> None:
    with pytest.raises(ValueError, match=r"squares of one or three .* got \[1, 3, 32, 16\]"):
        corrupt(picture(32)[..., :16], "fog", 1, drawn("fog", 1))
    with pytest.raises(LookupError, match="table must be one of cifar, imagenet, got 'tiny'"):
        corrupt(picture(32), "fog", 1, drawn("fog", 1), table="tiny")  # pyright: ignore[reportArgumentType]


def test_photons_are_those_of_the_inverse_distribution() -> None:
    means = torch.tensor([0.0, 0.03, 1.0, 7.5, 120.0, 500.0]).repeat_interleave(500)
    draws = uniform(3, "photons", 0, torch.arange(1), len(means))[0]
    expected = stats.poisson.ppf(draws.double().numpy() + 2.0**-25, means.double().numpy())
    assert poisson(means, draws).tolist() == expected.clip(0).tolist()


def test_normal_numbers_are_those_of_the_inverse_distribution() -> None:
    draws = torch.tensor([0.0, 0.25, 0.5, 1 - 2.0**-24])
    expected = stats.norm.ppf(draws.double().numpy() + 2.0**-25)
    assert normal(draws).tolist() == pytest.approx(expected.tolist(), abs=1e-9)


@pytest.mark.parametrize(("edge", "name"), [("nearest", "nearest"), ("reflect", "reflect")])
def test_a_gaussian_is_that_of_scipy(edge: str, name: str) -> None:
    image = picture(32)[0, 0].double()
    expected = ndimage.gaussian_filter(image.numpy(), 2.3, mode=name)
    found = smoothed(image[None, None], 2.3, edge)[0, 0]  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(found, torch.from_numpy(expected))


def test_beyond_the_edge_of_a_line() -> None:
    places = torch.arange(-3, 7)
    letters = {
        edge: [*map("abcd".__getitem__, inside(places, 4, edge).tolist())]
        for edge in ("nearest", "mirror", "reflect")
    }  # pyright: ignore[reportArgumentType]
    assert "".join(letters["nearest"]) == "aaaabcdddd"
    assert "".join(letters["mirror"]) == "dcbabcdcba"
    assert "".join(letters["reflect"]) == "cbaabcddcb"


@pytest.mark.parametrize(("radius", "side"), [(0.3, 3), (1.5, 5), (6, 15), (10, 21)])
def test_a_lens_keeps_the_light(radius: float, side: int) -> None:
    kernel = disc(radius, 0.5)
    assert kernel.shape == (side, side)
    assert float(kernel.sum()) == pytest.approx(1, abs=0.02 if radius > 8 else 1e-12)
    torch.testing.assert_close(kernel, kernel.T)


def test_motion_to_the_right_looks_at_what_was_there() -> None:
    line = torch.zeros(1, 1, 1, 9)
    line[..., 6] = 1
    weights = torch.exp(-0.5 * torch.arange(7.0) ** 2)
    found = moved(line, torch.zeros(1, dtype=torch.float64), 3, 1.0)[0, 0, 0]
    torch.testing.assert_close(found[:7], (weights / weights.sum()).flip(0))


def test_a_zoom_keeps_the_middle_and_a_line() -> None:
    ramp = torch.linspace(0, 1, 32).expand(1, 1, 32, 32)
    found = zoomed(ramp, 1.25)
    torch.testing.assert_close(found.mean(), ramp.mean())
    bends = found.diff(dim=3).diff(dim=3).abs().max()
    assert float(bends) < 1e-5
    torch.testing.assert_close(zoomed(ramp, 1.0), ramp)


def test_clouds_go_from_0_to_1_and_are_smoother_with_decay() -> None:
    draws = uniform(1, "clouds", 0, torch.arange(4), 32 * 32 - 1)
    rough, smooth = plasma(draws, 32, 1.5), plasma(draws, 32, 3.0)
    assert smooth.amin((1, 2)).tolist() == [0.0] * 4
    assert smooth.amax((1, 2)).tolist() == [1.0] * 4
    assert (smooth.diff(dim=1).abs().mean() < 0.7 * rough.diff(dim=1).abs().mean()).item()
