"""Networks of timm in a run: what learns, what stays, what is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables import runs
from trainables.core import checkpoint
from trainables.core.checkpoint import Saved
from trainables.layers.backbones import Backbone
from trainables.ssl.config import Supervised
from trainables.ssl.experiment import SupervisedExperiment

OPTIMISERS = ["adamw", "sgd", "lars", "sam"]


def config(**values: Any) -> Supervised:
    """Two epochs' worth of nothing: three steps of a small network of timm."""
    settings = {"model.kind": "timm", "model.name": "test_resnet", "training.steps": 3}
    given = {name.replace("__", "."): value for name, value in values.items()}
    return Supervised().with_values({**settings, **given})


def trained(settings: Supervised, folder: Path) -> Saved:
    """The checkpoint behind the last step."""
    session = runs.run(settings, folder)
    return checkpoint.read(session.checkpoints[3])


def moved(settings: Supervised, saved: Saved) -> set[str]:
    """The tensors that differ from those at the start."""
    start = SupervisedExperiment.create(settings.to_json()).state_dict()
    return {name for name, value in start.items() if not torch.equal(value, saved.model[name])}


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_of_a_frozen_network_only_the_last_layer_moves(tmp_path: Path, optimiser: str) -> None:
    settings = config(model__frozen=True, optimizer__kind=optimiser)
    saved = trained(settings, tmp_path)
    assert moved(settings, saved) == {"network.head.weight", "network.head.bias"}
    assert len(saved.optimizer["state"]) == 2


def test_of_one_that_is_not_frozen_all_moves(tmp_path: Path) -> None:
    settings = config()
    saved = trained(settings, tmp_path)
    stay = saved.model.keys() - moved(settings, saved)
    assert stay == {"network.scale", "network.offset"}


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_resumed_equals_uninterrupted(tmp_path: Path, optimiser: str) -> None:
    values = {"training__save_every": 1, "optimizer__kind": optimiser, "model__drop_path": 0.3}
    settings = config(**values)
    whole = runs.run(settings, tmp_path / "whole")
    rest = runs.run(settings, tmp_path / "rest", whole.checkpoints[1])
    prints = [checkpoint.fingerprint(one.checkpoints[3]) for one in (whole, rest)]
    assert prints[0] == prints[1]


@pytest.mark.slow
def test_a_pretrained_network_sees_pixels_normalised_its_way() -> None:
    values = {"model__name": "tf_efficientnet_lite0", "model__pretrained": True}
    experiment = SupervisedExperiment.create(config(**values).to_json())
    facts, seen, network = experiment.load(), list[Tensor](), experiment.eval().network
    assert isinstance(network, Backbone)
    network.body.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    images = experiment._data.val.take(torch.arange(16))
    network(images)
    pixels = images * experiment._data.deviation + experiment._data.mean
    assert 0 == pixels.min() and pixels.max() <= 1
    torch.testing.assert_close(seen[0], pixels * 2 - 1, rtol=1e-5, atol=1e-6)
    assert facts["weights.file"] == "efficientnet-lite0-57934424.pth"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"model__name": "resnet81"}, "^model.name must be a network of timm"),
        ({"model__pretrained": True}, "^.?model.pretrained must be false for test_resnet unless"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_built(
    values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((LookupError, ValueError), match=sentence), torch.device("meta"):
        SupervisedExperiment.create(config(**values).to_json())


def test_weights_that_are_not_there_are_missed_before_anything_runs() -> None:
    assert config(model__name="resnet18").missing() is None
    sentence = config(model__name="resnet18", model__pretrained=True).missing()
    assert sentence and sentence.startswith("model.pretrained must be false for resnet18 unless")
    assert config(model__name="tf_efficientnet_lite0", model__pretrained=True).missing() is None
