"""Maps of vision transformers trained here: those of the network that one goes on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.ssl import small
from trainables.core.session import LocalSession
from trainables.core.training import ExperimentConfig
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment
from trainables.ssl.own_maps import OwnMaps, network_of
from trainables.ssl.pretraining import PretrainingExperiment

SHORT = {"training.steps": 1, "training.batch_size": 8}
STATISTICS = {"mean": torch.tensor([0.4, 0.5, 0.6]), "deviation": torch.tensor([0.2, 0.3, 0.1])}


def trained(kind: Any, config: ExperimentConfig, folder: Path) -> Path:
    session = LocalSession(folder)
    kind.run(config.with_values(SHORT).to_json(), session)
    return session.checkpoints[1]


def images() -> Tensor:
    return torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    start = Pretraining()
    config = start.with_values(small.values(start) | {"method.momentum": 0.5})
    return trained(PretrainingExperiment, config, tmp_path_factory.mktemp("pretrained"))


def test_it_is_the_teacher_that_moves(pretrained: Path) -> None:
    state = torch.load(pretrained, weights_only=True)["model"]
    found = network_of(pretrained).state_dict()
    for name, one in found.items():
        assert torch.equal(one, state[f"learner.teacher.network.backbone.{name}"])
    assert not torch.equal(
        found["patches.weight"], state["learner.student.backbone.patches.weight"]
    )


def test_maps_are_the_patches_of_standardised_grey_images(pretrained: Path) -> None:
    maps = OwnMaps(pretrained, image_size=(8, 12), **STATISTICS)
    mean, deviation = (one[:, None, None] for one in STATISTICS.values())
    seen = ((images() - mean) / deviation).mean(1, keepdim=True)
    tokens = network_of(pretrained).tokens(seen)[:, 1:]
    assert maps.shape[:3] == (4, 6, 8)
    torch.testing.assert_close(maps(images())[1, :, 2, 5], tokens[1, 2 * 6 + 5])
    maps.forget()
    assert maps(images()).shape == (2, 8, 4, 6)


def test_reading_one_leaves_the_random_numbers_as_they_were(pretrained: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    network_of(pretrained)
    assert torch.rand(1) == expected


def test_other_files_are_refused(pretrained: Path, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="checkpoint must be a file, and there is none at"):
        network_of(tmp_path / "none.pt")
    with pytest.raises(ValueError, match=r"multiple of the side of patches \(2\), got 8 × 11"):
        OwnMaps(pretrained, image_size=(8, 11), **STATISTICS)


@pytest.mark.slow
def test_a_network_of_timm_is_refused(tmp_path: Path) -> None:
    config = Supervised().with_values(
        {"model.kind": "timm", "model.name": "test_resnet", "model.image_size": 32}
    )
    file = trained(SupervisedExperiment, config, tmp_path / "supervised")
    with pytest.raises(ValueError, match=r"must be of a vision transformer \(model.kind 'vit'\)"):
        network_of(file)
