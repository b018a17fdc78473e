"""Networks that go on from checkpoints of earlier runs: whose they are, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.ssl.pretrained import made, moved
from trainables.core import checkpoint
from trainables.core.session import LocalSession
from trainables.layers.backbones import Backbone
from trainables.osc.config import Representation
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment
from trainables.ssl.pretraining import PretrainingExperiment

VIT: dict[str, Any] = {"patch_size": 2, "width": 8, "layers": 2, "heads": 2, "mlp_ratio": 1.0}
RESNET: dict[str, Any] = {"kind": "timm", "name": "test_resnet", "pretrained": True}
LITE: dict[str, Any] = {"kind": "timm", "name": "tf_efficientnet_lite0", "pretrained": True}


def written(
    folder: Path, config: Pretraining | Supervised
) -> tuple[str, PretrainingExperiment | SupervisedExperiment]:
    """A checkpoint of an experiment whose networks all have other weights than at their start."""
    kinds = {Pretraining: PretrainingExperiment, Supervised: SupervisedExperiment}
    experiment = kinds[type(config)].create(config.to_json())
    experiment.load()
    moved(experiment)
    optimizer = experiment.optimizer(experiment.parameter_groups())
    path = folder / "checkpoints" / "step-00000007.pt"
    checkpoint.save(path, checkpoint.Position(7), experiment, optimizer, config)
    return str(path), experiment.eval()


def going_on(file: str, part: str | None = "student", **model: Any) -> dict[str, Any]:
    named = {**VIT, **model} if model.get("kind") != "timm" else model
    found = {f"model.{name}": value for name, value in named.items()}
    return {**found, "model.weights_file": file, "model.weights_part": part}


def supervised(values: dict[str, Any]) -> SupervisedExperiment:
    config = Supervised().with_values(values)
    experiment = SupervisedExperiment.create(config.to_json())
    experiment.load()
    return experiment.eval()


def images(experiment: PretrainingExperiment | SupervisedExperiment) -> torch.Tensor:
    data = experiment.data if isinstance(experiment, PretrainingExperiment) else experiment._data
    return data.val.take(torch.arange(8))


def tuned(config: Pretraining, values: dict[str, Any]) -> PretrainingExperiment:
    experiment = PretrainingExperiment.create(config.with_values(values).to_json())
    experiment.load()
    return experiment.eval()


@pytest.mark.parametrize("part", ["student", "teacher"])
def test_a_classifier_begins_with_the_features_of_the_trial_it_comes_from(
    tmp_path: Path, part: str
) -> None:
    file, there = written(tmp_path, made())
    assert isinstance(there, PretrainingExperiment)
    here = supervised(going_on(file, part, pool="class_token") | {"data.limit": 60})
    with torch.no_grad():
        expected = there.learner.apart()[part].embed(images(there))
        found = here.network.embed(images(here))
    other = {"student": "teacher", "teacher": "student"}[part]
    assert torch.equal(found, expected)
    assert not torch.equal(found, there.learner.apart()[other].embed(images(there)))
    assert float(here.network.head.weight.detach().abs().max()) == 0  # pyright: ignore


def test_student_and_teacher_begin_alike_and_the_head_is_drawn_anew(tmp_path: Path) -> None:
    config = made()
    file, there = written(tmp_path, config)
    assert isinstance(there, PretrainingExperiment)
    here, plain = tuned(config, going_on(file, "teacher")), tuned(config, {})
    expected = there.learner.apart()["teacher"].embed(images(there))
    for one in here.learner.apart().values():
        assert torch.equal(one.embed(images(here)), expected)
    drawn = [one.learner.student.head.state_dict() for one in (here, plain)]
    assert all(torch.equal(value, drawn[1][name]) for name, value in drawn[0].items())


def test_a_classifier_is_gone_on_from_too_and_its_last_layer_is_left(tmp_path: Path) -> None:
    values = {f"model.{name}": value for name, value in VIT.items()}
    file, there = written(tmp_path, Supervised().with_values({**values, "data.limit": 60}))
    assert isinstance(there, SupervisedExperiment)
    here = tuned(made("simclr"), going_on(file))
    assert torch.equal(here.learner.kept.embed(images(here)), there.network.embed(images(there)))


ORIGINS = [
    ("sum", RESNET | {"pretrained": False}),
    pytest.param("sum", LITE, marks=pytest.mark.slow),
    pytest.param("copy3", LITE | {"channel_mode": "copy3"}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("mode", "origin"), ORIGINS)
def test_networks_of_timm_go_on_as_they_were(
    tmp_path: Path, mode: str, origin: dict[str, Any]
) -> None:
    """Drawn ones take standardised images, those that were pretrained normalise as they did."""
    values = {f"model.{name}": value for name, value in origin.items()}
    settings = {**values, "data.limit": 60, "model.image_size": 32}
    file, there = written(tmp_path, Supervised().with_values(settings))
    assert isinstance(there, SupervisedExperiment)
    here = supervised(
        {**settings, "model.pretrained": True, "model.channel_mode": mode}
        | {"model.weights_file": file, "model.weights_part": "student"}
    )
    assert isinstance(here.network, Backbone)
    assert here.network.is_normalising == bool(origin["pretrained"])
    assert torch.equal(here.network.embed(images(here)), there.network.embed(images(there)))


def test_a_chain_goes_on_as_well_and_says_where_it_came_from(tmp_path: Path) -> None:
    config = made("simclr")
    file, _ = written(tmp_path / "first", config)
    second = config.with_values(going_on(file))
    file, there = written(tmp_path / "second", second)
    assert isinstance(there, PretrainingExperiment)
    here = PretrainingExperiment.create(config.with_values(going_on(file)).to_json())
    facts = here.load()
    assert torch.equal(
        here.eval().learner.kept.embed(images(here)), there.learner.kept.embed(images(there))
    )
    assert facts["weights.file"] == "step-00000007.pt" and facts["weights.part"] == "student"
    assert len(str(facts["weights.sha256"])) == 64


def test_a_run_without_steps_probes_what_is_in_a_checkpoint(tmp_path: Path) -> None:
    config = made("simclr", training__steps=0, evaluation__probe__steps=5)
    file, there = written(tmp_path, config)
    assert isinstance(there, PretrainingExperiment)
    session = LocalSession(tmp_path / "run")
    PretrainingExperiment.run(config.with_values(going_on(file)).to_json(), session)
    with torch.inference_mode():
        expected = there.evaluations()[0].function(True).values
    found = {name: session.reports[0][f"val/{name}"] for name in expected}
    assert found == expected and "probe_f1" in found


def test_a_run_that_went_on_is_trained_and_evaluated(tmp_path: Path) -> None:
    config = made("simclr", training__steps=1)
    file, there = written(tmp_path, config)
    assert isinstance(there, PretrainingExperiment)
    own = config.with_values(going_on(file))
    session = LocalSession(tmp_path / "run")
    PretrainingExperiment.run(own.to_json(), session)
    with torch.inference_mode():
        expected = there.evaluations()[0].function(False).values
    rows: Any = session.facts["reference/val"]
    assert rows["untrained"] == expected
    assert session.reports[1]["train/loss"] > 0


def test_the_digest_is_of_the_content_and_not_of_the_place(tmp_path: Path) -> None:
    config = made()
    file, _ = written(tmp_path, config)
    moved_to = tmp_path / "elsewhere.pt"
    shutil.copy(file, moved_to)
    one, other = (config.with_values(going_on(str(path))) for path in (file, moved_to))
    before = one.digest()
    assert before == other.digest() != config.digest()
    assert before != config.with_values(going_on(file, "teacher")).digest()
    moved_to.write_bytes(moved_to.read_bytes() + b" ")
    assert other.digest() != before == one.digest()


def test_a_file_and_a_part_that_are_not_there_change_nothing() -> None:
    void = {"model.kind": "timm", "model.weights_file": "a.pt", "model.weights_part": "teacher"}
    plain = Pretraining().with_values({"model.kind": "timm"})
    assert plain.with_values(void).digest() == plain.digest()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 16}, "model.width must be 8, as in the checkpoint .*, to go on from it, got 16"),
        ({"heads": 1}, "model.heads must be 2, as in the checkpoint .*, got 1"),
        ({"pool": "mean"}, "model.pool must be 'class_token', as in the checkpoint"),
        ({"patch_size": 4}, "model.patch_size must be 2, as in"),
        ({"kind": "timm", "name": "test_resnet", "pretrained": True}, "model.kind must be 'vit', "),
    ],
)
def test_the_setting_that_differs_is_named(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    file, _ = written(tmp_path, made())
    with pytest.raises(ValueError, match=said):
        supervised(going_on(file, "teacher", **change))


def test_images_of_another_side_or_channels_are_named(tmp_path: Path) -> None:
    file, _ = written(tmp_path, made())
    with pytest.raises(ValueError, match="for images of 12 pixels a side.* got one for 8, .*views"):
        tuned(made(views__size=12), going_on(file))
    with pytest.raises(ValueError, match="channels of images of data.name must be 1, .* got 3"):
        SupervisedExperiment.create(
            Supervised().with_values({**going_on(file), "data.name": "cifar10"}).to_json()
        )


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    file, _ = written(tmp_path, made("simclr"))
    with pytest.raises(ValueError, match="part must be 'student' with .*'simclr', which has no te"):
        supervised(going_on(file, "teacher"))
    path = tmp_path / "other.pt"
    torch.save({"weight": torch.ones(1)}, path)
    with pytest.raises(ValueError, match="weights_file must be a checkpoint to go on from: .*othe"):
        supervised(going_on(str(path)))
    state = torch.load(file, weights_only=True)
    torch.save({**state, "experiment": Representation.name}, path)
    with pytest.raises(
        ValueError, match="one of ssl.pretraining or ssl.supervised, got one of osc"
    ):
        supervised(going_on(str(path)))


def test_what_is_not_there_is_said_before_a_run() -> None:
    said = "model.weights_file must be a checkpoint that a run has saved, got 'none.pt': no file"
    assert Supervised().with_values(going_on("none.pt")).missing() == said
    timm = going_on("none.pt", **RESNET)
    assert Supervised().with_values(timm).missing() == said
    with pytest.raises(ValueError, match="model.weights_part must be 'student' or 'teacher' with"):
        Supervised().with_values(going_on("none.pt", None))
    with pytest.raises(ValueError, match="model.weights_part must be null without weights_file"):
        Supervised().with_values({"model.weights_part": "student"})
