"""Colours beside TensorFlow's and torchvision's, image by image."""

from __future__ import annotations

import colorsys
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as peer

from trainables.data import colour

PROGRAM = """
import sys
import numpy as np
import tensorflow as tf

given = np.load(sys.argv[1])
image, factors = given["images"].transpose(0, 2, 3, 1), given["factors"]
made = {
    "brighten": lambda x, f: tf.image.adjust_brightness(x, f - 1),
    "contrast": tf.image.adjust_contrast,
    "saturate": tf.image.adjust_saturation,
    "turn_hue": lambda x, f: tf.image.adjust_hue(x, f - 1),
}
for name, make in made.items():
    each = [make(x, float(v)).numpy() for x, v in zip(image, factors)]
    made[name] = np.stack(each).transpose(0, 3, 1, 2)
np.savez(sys.argv[2], **made)
"""


def images(low: float = 0.0, high: float = 1.0) -> Tensor:
    drawn = torch.rand(6, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    drawn[0, :, 0, 0] = 0.5  # grey
    drawn[1, :, 0, 0] = 0.0
    drawn[2, :2, 0, 0] = 0.9  # two largest
    return low + (high - low) * drawn


FACTORS = torch.tensor([0.0, 0.5, 0.9, 1.0, 1.5, 2.0])


@pytest.fixture(scope="module")
def tensorflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """What TensorFlow makes of images in 0…1, and of those that go beyond."""
    folder, found = tmp_path_factory.mktemp("colours"), dict[str, dict[str, np.ndarray]]()
    for name, given in {"inside": images(), "beyond": images(-0.2, 1.2)}.items():
        np.savez(folder / f"{name}.npz", images=given.numpy(), factors=FACTORS.numpy())
        places = [str(folder / f"{name}.npz"), str(folder / f"{name}-made.npz")]
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, *places], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
        with np.load(Path(places[1])) as made:
            found[name] = dict(made)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["inside", "beyond"])
@pytest.mark.parametrize("name", ["brighten", "contrast", "saturate", "turn_hue"])
def test_it_is_what_tensorflow_makes(
    tensorflow: dict[str, dict[str, np.ndarray]], name: str, kind: str
) -> None:
    given = images() if kind == "inside" else images(-0.2, 1.2)
    factors = FACTORS - 1 if name in ("brighten", "turn_hue") else FACTORS
    ours = getattr(colour, name)(given, factors)
    expected = torch.from_numpy(tensorflow[kind][name])
    torch.testing.assert_close(ours, expected, atol=2e-5, rtol=1e-4)


def test_hue_and_saturation_are_those_of_hsv() -> None:
    given = images()
    turned = colour.turn_hue(given, torch.full((6,), 0.3))
    pale = colour.saturate(given, torch.full((6,), 0.4))
    for n, y, x in [(0, 3, 3), (2, 5, 1), (4, 8, 7)]:
        hue, saturation, value = colorsys.rgb_to_hsv(*given[n, :, y, x].tolist())
        moved = colorsys.hsv_to_rgb((hue + 0.3) % 1, saturation, value)
        assert turned[n, :, y, x].tolist() == pytest.approx(moved, abs=1e-5)
        paler = colorsys.hsv_to_rgb(hue, 0.4 * saturation, value)
        assert pale[n, :, y, x].tolist() == pytest.approx(paler, abs=1e-5)


def test_neutral_values_change_nothing() -> None:
    given = images()
    for found in (
        colour.brighten(given, torch.zeros(6)),
        colour.contrast(given, torch.ones(6)),
        colour.saturate(given, torch.ones(6)),
        colour.turn_hue(given, torch.zeros(6)),
        colour.turn_hue(given, torch.ones(6)),
        colour.grey(given, torch.zeros(6, dtype=torch.bool)),
        colour.solarize(given, torch.zeros(6, dtype=torch.bool)),
        colour.blur(given, torch.zeros(6), 5),
    ):
        torch.testing.assert_close(found, given, atol=1e-6, rtol=1e-5)


def test_grey_solarised_and_blurred_images_are_torchvisions() -> None:
    given, half = images(), torch.tensor([True, False] * 3)
    for n, chosen in enumerate(half.tolist()):
        one = given[n]
        grey = peer.rgb_to_grayscale(one, 3) if chosen else one
        torch.testing.assert_close(colour.grey(given, half)[n], grey)
        bright = peer.solarize(one, 0.5) if chosen else one
        torch.testing.assert_close(colour.solarize(given, half)[n], bright)
    deviations = torch.tensor([0.1, 0.5, 1.0, 1.5, 2.0, 0.0])
    found = colour.blur(given, deviations, 5)
    for n, sigma in enumerate(deviations.tolist()[:-1]):
        blurred = peer.gaussian_blur(given[n], [5, 5], [sigma, sigma])
        torch.testing.assert_close(found[n], blurred, atol=1e-5, rtol=1e-4)
    assert torch.equal(found[5], given[5])


def test_each_image_is_changed_by_its_own_factor() -> None:
    given = images()
    whole = colour.saturate(given, FACTORS)
    for n in range(6):
        alone = colour.saturate(given[n : n + 1], FACTORS[n : n + 1])
        assert torch.equal(alone[0], whole[n])
