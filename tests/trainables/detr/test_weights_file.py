"""Detectors that begin from published weights, and are evaluated without having learned."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.detr.published import published
from tests.trainables.detr.small import provide, values
from trainables.core.session import LocalSession
from trainables.detr.config import Detection
from trainables.detr.experiment import DetectionExperiment
from trainables.layers.learned_alpha import LearnedAlpha

NORMS = ("post", "pre")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    provide(folder)
    return folder


def small(**others: Any) -> Detection:
    settings = {**values(Detection()), "transformer.norm": "post", "training.batch_size": 8}
    settings |= {"training.num_micro_batches": 1, "evaluation.pictures": 0}
    return Detection().with_values(
        settings | {name.replace("__", "."): value for name, value in others.items()}
    )


def drawn(config: Detection) -> DetectionExperiment:
    return DetectionExperiment.create(config.to_json())


def written(folder: Path, config: Detection) -> tuple[str, DetectionExperiment]:
    """A file of another detector with these settings, and that detector."""
    other = drawn(config.with_seed(7))
    state = {"model": published(other.network), "args": argparse.Namespace(lr=1e-4), "epoch": 3}
    torch.save(state, folder / "detr-e632da11.pth")
    return str(folder / "detr-e632da11.pth"), other


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("positions", ["sine", "learned"])
def test_a_detector_begins_from_the_tensors_of_a_file(
    tmp_path: Path, norm: str, positions: str
) -> None:
    config = small(transformer__norm=norm, transformer__positions=positions)
    file, other = written(tmp_path, config)
    found = drawn(config.with_values({"weights_file": file})).state_dict()
    assert found.keys() == other.state_dict().keys()
    assert all(torch.equal(found[name], one) for name, one in other.state_dict().items())


def test_what_a_map_learns_is_not_published_and_starts_as_it_does(tmp_path: Path) -> None:
    file, other = written(tmp_path, small())
    config = small(cross__map__kind="entmax", cross__map__alpha=1.3, weights_file=file)
    found, expected = drawn(config).state_dict(), other.state_dict()
    rest = [name for name in found if name.startswith("network.") and name not in expected]
    assert len(rest) == 2 and all(name.endswith(".simplex.alpha.raw") for name in rest)
    assert all(torch.equal(found[name], one) for name, one in expected.items())
    alphas = [one.alpha for one in drawn(config).modules() if isinstance(one, LearnedAlpha)]
    assert torch.cat(alphas).tolist() == pytest.approx([1.3] * 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_queries": 9}, "num_queries must be that of the weights, 5, to load them, got 9"),
        ({"transformer.width": 32}, "width must be that of the weights, 16, to load them, got 32"),
        ({"transformer.encoder_layers": 2}, "encoder_layers must be that of the weights, 1, to"),
        ({"transformer.decoder_layers": 3}, "decoder_layers must be that of the weights, 2, to"),
        ({"transformer.norm": "pre"}, "norm must be that of the weights, post, to load them, got"),
        ({"transformer.positions": "learned"}, "positions must be that of the weights, sine, to"),
        ({"transformer.mlp_ratio": 4.0}, "mlp_ratio must be that of the weights, 2.0, to load"),
        (
            {"data.name": "garments_boxes"},
            "num_classes must be that of the weights, 91, to load them",
        ),
        ({"backbone.name": "resnet18"}, "got none for backbone.* is the backbone that of the wei"),
    ],
)
def test_the_setting_that_does_not_fit_is_named(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    file, _ = written(tmp_path, small())
    with pytest.raises(
        ValueError, match=f"weights_file must fit the network, got {file}: .*{said}"
    ):
        drawn(small(weights_file=file).with_values(change))


def test_a_file_of_another_kind_is_said(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    path.write_text("no weights")
    with pytest.raises(ValueError, match=f"weights_file must hold tensors by name, got {path}$"):
        drawn(small(weights_file=str(path)))
    torch.save({"fc.weight": torch.ones(1)}, path)
    with pytest.raises(ValueError, match="got none for query_embed.weight$"):
        drawn(small(weights_file=str(path)))


def test_a_file_that_is_not_there_is_said_before_a_run(root: Path) -> None:
    config = small(data__root=str(root), weights_file="none.pth")
    assert config.missing() == (
        "weights_file must be a file with weights of a detector, got 'none.pth'; those of "
        "github.com/facebookresearch/detr are published"
    )


def test_the_file_is_in_the_digest_and_voids_what_it_replaces() -> None:
    plain, own = small(), small(weights_file="a.pth")
    assert "weights_file" not in plain.canonical() and plain.digest() != own.digest()
    assert own.digest() != small(weights_file="b.pth").digest()
    assert own.digest() == small(weights_file="a.pth", backbone__pretrained=True).digest()
    assert plain.digest() != small(backbone__pretrained=True).digest()


def run(config: Detection, folder: Path, restored: Path | None = None) -> LocalSession:
    session = LocalSession(folder, restored)
    DetectionExperiment.run(config.to_json(), session)
    return session


@pytest.mark.parametrize("backbone_lr", [0.0, 1e-5])
def test_published_weights_are_evaluated_without_a_step_and_fine_tuned_with_one(
    root: Path, tmp_path: Path, backbone_lr: float
) -> None:
    config = small(data__root=str(root), training__steps=0, optimizer__backbone_lr=backbone_lr)
    config = config.with_values({"evaluation.images": 3})
    file, other = written(tmp_path, config)
    own = config.with_values({"weights_file": file})
    session = run(own, tmp_path / "own")
    other.load()
    other.eval()
    with torch.inference_mode():
        expected = other.evaluations()[0].function(True).values
    assert {f"val/{name}": one for name, one in expected.items()}.items() <= (
        session.reports[0].items()
    )
    assert session.facts["weights.file"] == "detr-e632da11.pth"
    assert len(str(session.facts["weights.sha256"])) == 64
    saved: Any = torch.load(session.checkpoints[0], weights_only=True)["model"]
    assert any("backbone" in name for name in saved) == (backbone_lr > 0)

    evaluated = LocalSession(tmp_path / "evaluated", session.checkpoints[0])
    settings: dict[str, Any] = {"evaluation.sparsity.protocol": "rows_a"}
    found = DetectionExperiment.trained(session.checkpoints[0], settings)
    DetectionExperiment.evaluate(found, evaluated)
    assert evaluated.reports[0]["val/mAP"] == session.reports[0]["val/mAP"]
    assert evaluated.reports[0]["val/gini"] != session.reports[0]["val/gini"]

    tuned = run(own.with_values({"training.steps": 1}), tmp_path / "tuned")
    assert tuned.facts["reference/val"]["untrained"]["loss"] == expected["loss"]  # pyright: ignore
    assert tuned.reports[1]["val/loss"] != expected["loss"]
