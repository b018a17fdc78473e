"""Pictures of probes: a curve for each that was fitted, with or without a part held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.figures.probes import answer_curves, probe_losses
from trainables.metrics.binary import curves
from trainables.metrics.probe import Probe, fit_probe


def near(path: Path, shade: tuple[int, int, int]) -> np.ndarray:
    """Where about this colour is, [height, width]."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return np.abs(pixels - shade).max(-1) < 10


def probe(weight: float, *, stops_early: bool) -> Probe:
    random = torch.Generator().manual_seed(0)
    features, targets = torch.randn(60, 4, generator=random), torch.rand(60, 3, generator=random)
    return fit_probe(
        features,
        targets < 0.3,
        generator=random,
        steps=30,
        positive_weight=weight,
        stops_early=stops_early,
    )


@pytest.mark.parametrize("stops_early", [True, False])
def test_probes_have_their_losses_with_and_without_images_held_out(
    tmp_path: Path, stops_early: bool
) -> None:
    fitted = {str(weight): probe(weight, stops_early=stops_early) for weight in (1.0, 3.0)}
    probe_losses(tmp_path / "a.png", fitted, title="a")
    for shade in ((0, 114, 178), (213, 94, 0)):
        found = near(tmp_path / "a.png", shade)
        assert found[:, :480].sum() > 100 and found[:, 520:1000].sum() > 50


def test_perfect_answers_go_through_the_corner(tmp_path: Path) -> None:
    """The curve of precision lies at the top, that of random answers far below it."""
    random = torch.Generator().manual_seed(0)
    targets = torch.rand(4000, generator=random) < 0.2
    answers = {
        "perfect": curves(targets.float() + 0.1 * torch.rand(4000, generator=random), targets),
        "random": curves(torch.rand(4000, generator=random), targets),
    }
    answer_curves(tmp_path / "a.png", answers, title="a")
    perfect, chance = (near(tmp_path / "a.png", shade) for shade in ((0, 114, 178), (213, 94, 0)))
    left = slice(60, 550)
    assert perfect[:60, left].sum() > 300
    assert chance[300:, left].sum() > 300
