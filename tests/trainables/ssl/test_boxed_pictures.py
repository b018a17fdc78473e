"""What a network looks at in boxes lies where the boxes are, beside that of whole pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.trainables.ssl.pretrained import loaded, made
from trainables.layers.last_maps import map_and_gradient
from trainables.metrics.grad_cam import grad_cam
from trainables.ssl.features import BANK, Features
from trainables.ssl.pictures import Pictures
from trainables.ssl.pretraining import PretrainingExperiment
from trainables.synthetic.thermal import write_thermal


@pytest.fixture(scope="module")
def sea(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_thermal(tmp_path_factory.mktemp("sea"), share=0.02, size=(48, 64))


def values(sea: Path) -> dict[str, Any]:
    return {
        "data__name": "boxes",
        "data__path": str(sea / "samples.json"),
        "data__root": str(sea.parent / "root"),
        "data__limit": None,
        "data__channels": 1,
        "data__image_size": 16,
        "data__boxes__min_crop_size": 1,
        "views__size": 16,
    }


def test_maps_of_boxes_and_of_whole_pictures_are_those_of_the_network(sea: Path) -> None:
    """Both seen by hand, towards the mean of the bank's features of the class of the box."""
    experiment = loaded("simclr", **values(sea)).eval()
    features = Features(experiment)
    with torch.inference_mode():
        draw: Any = Pictures(experiment, features).draw(True).figures["boxes"]
        bank = features.of(experiment.learner.kept, BANK).clone()
    given, backbone = draw.keywords, experiment.learner.kept.backbone
    named = {row.name: row for row in given["rows"]}
    assert list(named) == [
        "Grad-CAM, box", "Grad-CAM, picture", "attention, box", "attention, picture",
    ]  # fmt: skip
    labels = [experiment.facts.classes.index(name) for name in given["names"]]
    known = features.labels(BANK)
    goals = torch.stack([bank[known == one].mean(0) for one in labels])
    wholes = torch.stack(
        [
            functional.interpolate(one[None], (16, 16), mode="bilinear", antialias=True)[0]
            for one in given["pictures"]
        ]
    )
    wholes = (wholes - experiment.data.mean) / experiment.data.deviation
    maps = grad_cam(
        *map_and_gradient(backbone, wholes, lambda one: torch.cosine_similarity(one, goals))
    )
    torch.testing.assert_close(named["Grad-CAM, picture"].maps, maps, rtol=1e-4, atol=1e-7)
    assert named["Grad-CAM, picture"].seen is None
    assert named["attention, box"].seen == given["boxes"]  # without context, warped


def test_they_are_written_and_a_network_without_tokens_has_no_attention(
    sea: Path, tmp_path: Path
) -> None:
    convolutions = {"model.kind": "timm", "model.name": "test_resnet", "views.size": 32}
    config = made("simclr", **values(sea)).with_values(convolutions)
    experiment = PretrainingExperiment.create(config.to_json()).eval()
    experiment.load()
    with torch.inference_mode():
        figures: Any = Pictures(experiment, Features(experiment)).draw(True).figures
    assert [row.name for row in figures["boxes"].keywords["rows"]] == [
        "Grad-CAM, box", "Grad-CAM, picture",
    ]  # fmt: skip
    figures["boxes"](tmp_path / "boxes.png")
    assert (tmp_path / "boxes.png").stat().st_size > 1000


def test_how_many_boxes_are_drawn_counts_only_where_there_are_boxes(sea: Path) -> None:
    for config, counts in ((made("simclr"), False), (made("simclr", **values(sea)), True)):
        other = config.with_values({"evaluation.figures.boxes": 3})
        assert (config.digest() != other.digest()) == counts
