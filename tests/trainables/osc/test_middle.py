"""Pictures that are no squares: networks are measured by what is in the square in their middle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainables.osc import small
from trainables.data.scenes.catalog import store_folder
from trainables.data.scenes.formats import Piece
from trainables.data.scenes.writing import StoreWriter
from trainables.osc.config import Representation
from trainables.osc.experiment import RepresentationExperiment
from trainables.osc.measuring import Measuring
from trainables.osc.targets import targets
from trainables.osc.views import seen_in_middle

SIDE, WIDE, SCENES = 16, 24, 12
CODES = ("size", "color", "material", "shape")


def store(root: Path) -> None:
    """Scenes of two objects, of which the second is at the right edge, outside of the middle."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 255, (SCENES, SIDE, WIDE, 3), np.uint8)
    labels = np.zeros((SCENES, SIDE, WIDE), np.uint8)
    labels[:, 4:8, 8:12], labels[:, 4:8, 21:] = 1, 2
    codes = np.zeros((SCENES, 3), np.uint8)
    codes[:, 1:] = 1, 2
    fields = {name: codes for name in CODES} | {
        "visibility": np.ones((SCENES, 3), np.bool_),
        "counts": np.full(SCENES, 2, np.uint8),
    }
    settings = {"image_size": SIDE, "crop": "whole", "interpolation": "bilinear"}
    folder = store_folder(root, "clevr_with_masks", made=True, **settings)  # pyright: ignore[reportArgumentType]
    writer = StoreWriter(folder, {"name": "clevr_with_masks", **settings})
    writer.add(Piece(images, labels, fields))
    splits = {"train": (0, 4), "val": (4, 8), "test": (8, 12)}
    facts = {"settings": settings, "sources": {}, "num_background": 1}
    writer.finish(lambda _: splits, lambda: facts)


@pytest.fixture
def experiment(tmp_path: Path) -> RepresentationExperiment:
    """Of whole pictures."""
    store(tmp_path)
    values = small.values(Representation()) | {
        "data.crop": "whole",
        "data.interpolation": "bilinear",
        "data.root": str(tmp_path),
        "training.batch_size": 2,
    }
    found = RepresentationExperiment.create(Representation().with_values(values).to_json())
    found.load()
    return found


def test_an_object_counts_if_the_middle_has_a_pixel_of_it() -> None:
    labels = torch.zeros(2, 4, 8, dtype=torch.uint8)
    labels[0, 0, 1], labels[0, 3, 5], labels[1, 2, 2] = 1, 3, 2
    expected = torch.tensor([[False, False, True], [False, True, False]])
    assert torch.equal(seen_in_middle(labels, 3), expected)


def test_questions_are_about_what_the_middle_has(experiment: RepresentationExperiment) -> None:
    asked = targets(experiment.store, "val", np.arange(4))
    assert asked.counts.tolist() == [1, 1, 1, 1]
    assert asked.properties["color"][0].tolist() == [True] + [False] * 7


def test_the_records_count_what_the_middle_has(experiment: RepresentationExperiment) -> None:
    with torch.inference_mode():
        measuring = Measuring(experiment.eval())
        [look] = measuring.looks("val", np.arange(4))
        assert measuring._scores("val", look)["objects"].tolist() == [1, 1, 1, 1]
