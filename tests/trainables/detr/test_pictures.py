"""Figures of a detector: what is taken of a batch, and that each is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.detr.small import provide, values
from trainables.data.detection.batches import IMAGENET_DEVIATION, IMAGENET_MEAN
from trainables.detr.config import Detection
from trainables.detr.experiment import DetectionExperiment
from trainables.detr.pictures import map_curves, shown_of, unstandardized
from trainables.layers.learned_alpha import LearnedAlpha
from trainables.layers.simplex import simplex_map


def test_pixels_are_in_0_to_1_again() -> None:
    pixels = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
    mean, deviation = (
        torch.tensor(one)[:, None, None] for one in (IMAGENET_MEAN, IMAGENET_DEVIATION)
    )
    assert torch.allclose(unstandardized((pixels - mean) / deviation), pixels, atol=1e-6)


def test_padding_is_cut_off_and_maps_lie_on_their_grid() -> None:
    batch = {
        "images": torch.zeros(2, 3, 32, 48),
        "sizes": torch.tensor([[32, 48], [20, 30]]),
        "boxes": torch.rand(2, 3, 4),
        "classes": torch.tensor([[1, 2, 3], [4, 5, 0]]),
        "counts": torch.tensor([3, 2]),
    }
    predictions = (torch.zeros(2, 2, 4, 7), torch.rand(2, 2, 4, 4))
    maps = [torch.arange(2 * 2 * 4 * 6.0).view(2, 2, 4, 6) + layer for layer in range(2)]
    rows, columns = torch.tensor([[0, 1, 2], [3, 1, 0]]), torch.tensor([[2, 0, 1], [1, 0, 0]])
    matched = torch.tensor([[True, True, True], [True, True, False]])
    one = shown_of(batch, 1, predictions, maps, (rows, columns, matched), (2, 3))
    assert one.image.shape == (3, 20, 30) and one.true.classes.tolist() == [4, 5]
    assert torch.equal(one.maps[1, 0, 2], maps[1][1, 0, 2].view(2, 3))
    assert one.queries.tolist() == [3, 1] and one.objects.tolist() == [1, 0]


def test_curves_are_those_of_the_maps_that_are_used() -> None:
    assert map_curves([None, simplex_map("softmax")]) == {}
    learned = LearnedAlpha(5, form="unbounded", generator=torch.Generator())
    learned.raw.data = torch.tensor([1.9, 1.2, 1.7, 3.0, 1.4])
    maps = [
        *(None, simplex_map("tvmax"), simplex_map("entmax15")),
        *(simplex_map("entmax", alpha=1.25), simplex_map("entmax", alpha=learned)),
    ]
    drawn: Any = map_curves(maps)["maps"]
    assert drawn.keywords["alphas"] == pytest.approx([1.0, 1.2, 1.25, 1.5, 1.7, 2.0, 2.05])
    unused = simplex_map("entmax", alpha=LearnedAlpha(2, 1.5, form="unused"))
    assert map_curves([unused]) == {}


@pytest.mark.slow
def test_the_last_evaluation_draws_what_was_found(tmp_path: Path) -> None:
    provide(tmp_path)
    config = Detection().with_values(
        {**values(Detection()), "data.root": str(tmp_path), "cross.map.kind": "sparsemax"}
    )
    experiment = DetectionExperiment.create(config.to_json())
    experiment.load()
    (validation, *_) = experiment.evaluations()
    with torch.inference_mode():
        assert validation.function(False).figures == {}
        figures = validation.function(True).figures
    assert set(figures) == {
        *("detections", "matches", "queries", "precision_recall"),
        *("heads", "maps", "sparsity", "thresholds", "inside", "areas"),
    }
    for name, write in figures.items():
        write(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
