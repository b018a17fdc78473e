"""What an infrared camera adds, by closed forms."""

from __future__ import annotations

import pytest
import torch

from trainables.core.randomness import uniform
from trainables.data.infrared import with_noise, with_shift
from trainables.settings.views import Contrastive, Infrared, MultiCrop
from trainables.ssl import views

PLACES = torch.arange(3)


def test_noise_has_its_deviation() -> None:
    flat = torch.full((3, 4, 1, 20, 20), 0.5)
    found = with_noise(flat, uniform(1, "noise", 0, PLACES, 1600), 0.05)
    assert float(found.std()) == pytest.approx(0.05, rel=0.05)
    assert float(found.mean()) == pytest.approx(0.5, abs=0.003)
    assert (with_noise(flat, torch.full((3, 1600), 0.5), 0.05) - flat).abs().max() < 1e-6


def test_a_shift_is_one_number_a_view() -> None:
    flat = torch.full((1, 3, 2, 4, 4), 0.9)
    found = with_shift(flat, torch.tensor([[0.0, 0.5, 0.75]]), 0.4)
    assert found.amin((2, 3, 4))[0].tolist() == pytest.approx([0.5, 0.9, 1.0])
    assert torch.equal(found.amin((2, 3, 4)), found.amax((2, 3, 4)))


@pytest.mark.parametrize("settings", [MultiCrop(size=8, min_area=0.9), Contrastive(size=8)])
def test_views_of_a_run_are_those_with_both_added(settings: MultiCrop | Contrastive) -> None:
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    plain = views.cut(images, settings, 5, "train", 2, PLACES)
    camera = settings.with_values({"infrared.noise": 0.1, "infrared.shift": 0.2})
    found = views.cut(images, camera, 5, "train", 2, PLACES)
    assert found.keys() == plain.keys()
    for name, one in plain.items():
        shift = uniform(5, f"train {name} shift", 2, PLACES, one.shape[1])
        noise = uniform(5, f"train {name} noise", 2, PLACES, one[0].numel())
        expected = with_noise(with_shift(one, shift, 0.2), noise, 0.1)
        torch.testing.assert_close(found[name], expected)
    later = views.cut(images[1:], camera, 5, "train", 2, PLACES[1:])
    torch.testing.assert_close(later["large_views"], found["large_views"][1:])


@pytest.mark.parametrize("kind", [MultiCrop, Contrastive])
def test_what_is_not_added_is_void(kind: type[MultiCrop] | type[Contrastive]) -> None:
    assert "infrared" not in kind().canonical()
    assert kind(infrared=Infrared(shift=0.1)).canonical()["infrared"] == {"shift": 0.1}
