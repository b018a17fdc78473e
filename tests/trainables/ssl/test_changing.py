"""Whether answers stay as images change: of the right images, by those who are asked."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainables.runs import EVERYTHING, run
from tests.trainables.ssl.pretrained import loaded, made
from tests.trainables.ssl.test_measuring import features, voted
from trainables.core.measuring import references
from trainables.core.randomness import uniform
from trainables.core.session import LocalSession
from trainables.data.natural import changed
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment
from trainables.synthetic.thermal import write_thermal

SEA: dict[str, Any] = {
    "data.name": "boxes",
    "data.image_size": 16,
    "data.channels": 1,
    "data.thermal.scale": "window",
    "data.boxes.min_crop_size": 1,
    "data.boxes.classes": ["FAR_AWAY_OBJECT", "MARITIME_VEHICLE", "SAILING_BOAT"],
    "data.boxes.sequence_pattern": r"Trip_\d+_Seq_\d+",
    "data.boxes.val_share": 0.3,
    "model.patch_size": 4,
}


def natural(experiment: Any) -> Any:
    found = [one for one in experiment.evaluations() if one.name == "natural"]
    with torch.inference_mode():
        return found[0].function(True)


def test_a_classifier_answers_changed_images() -> None:
    values = {"images": 300, "translation": [0.1, 0.3], "brightness": [0.2]}
    experiment = SupervisedExperiment(
        EVERYTHING.with_values({f"evaluation.natural.{k}": v for k, v in values.items()})
    )
    experiment.load()
    experiment.eval()
    found, data = natural(experiment).values, experiment._data
    positions = torch.arange(len(data.val))

    def answers(pixels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return experiment.network((pixels - data.mean) / data.deviation).argmax(1)

    pixels = data.val.pixels(positions)
    before, labels = answers(pixels), data.val.labels
    shares: dict[str, list[float]] = {"right": [], "same": []}
    for number, strength in enumerate((0.1, 0.3), 1):
        draws = uniform(0, "natural translation", 0, positions, 1)[:, 0]
        after = answers(changed(pixels, "translation", strength, draws))
        for name, other in (("right", labels), ("same", before)):
            shares[name].append(float((after == other).double().mean()))
            assert found[f"translation_{name}_{number}"] == pytest.approx(shares[name][-1])
    for name, own in shares.items():
        assert found[f"translation_{name}"] == pytest.approx(sum(own) / 2)
        both = (found[f"translation_{name}"] + found[f"brightness_{name}"]) / 2
        assert found[name] == pytest.approx(both)
    assert not any("hue" in name or "saturation" in name for name in found)


def test_neighbours_a_probe_and_a_classifier_answer() -> None:
    experiment = loaded(
        "cross_entropy",
        evaluation__natural__images=30,
        evaluation__natural__translation=[0.2],
        evaluation__natural__brightness=[],
        evaluation__probe__steps=20,
    )
    found, data = natural(experiment).values, experiment.data
    positions = torch.arange(len(data.val))
    draws = uniform(0, "natural translation", 0, positions, 1)[:, 0]
    pixels = changed(data.val.pixels(positions), "translation", 0.2, draws)
    seen = (pixels - data.mean) / data.deviation
    bank, _ = features(experiment, experiment.learner.student)
    with torch.no_grad(), experiment.learner.evaluating():
        queries = experiment.learner.student.embed(seen).numpy()
        said = experiment.learner.classes_of(seen)
    assert said is not None
    voters = voted(bank, data.train.labels.numpy(), queries, 20, 0.07)
    assert found["right"] == pytest.approx((voters == data.val.labels.numpy()).mean())
    own = (said.argmax(1) == data.val.labels).double().mean()
    assert found["classifier/right"] == pytest.approx(float(own))
    experiment_val = [one for one in experiment.evaluations() if one.name == "val"][0]
    with torch.inference_mode():
        val = experiment_val.function(True).values
    assert found["probe/clean"] == pytest.approx(val["probe"])
    assert found["clean"] == pytest.approx(val["knn"])


def test_frames_of_the_sea_are_neighbours(tmp_path: Path) -> None:
    write_thermal(tmp_path / "sea", share=0.04, size=(48, 64), frames=4)
    values = {
        **SEA,
        "data.root": str(tmp_path),
        "data.path": str(tmp_path / "sea" / "boxes.json"),
        "evaluation.natural.images": 1000,
        "evaluation.natural.frames": 1,
        "evaluation.natural.translation": [],
        "evaluation.natural.brightness": [],
    }
    experiment = SupervisedExperiment(Supervised().with_values(values))
    experiment.load()
    experiment.eval()
    found = natural(experiment).values
    split = experiment._data.val
    with torch.no_grad():
        right = experiment.network(split.take(torch.arange(len(split)))).argmax(1) == split.labels
    # Four frames by two eyes in the order of their files: 1000_l, 1000_r, 1001_l, …
    frames = right.view(-1, 4, 2)
    around = torch.stack([frames[:, max(0, k - 1) : k + 2].all(1) for k in range(4)], 1)
    assert found["frames_anchors"] == len(split)
    assert found["frames_right"] == pytest.approx(float(around.double().mean()))
    assert found["frames_clean"] == pytest.approx(float(right.double().mean()))


def test_it_is_off_and_leaves_no_trace() -> None:
    for config in (Supervised(), Pretraining()):
        assert "natural" not in config.canonical().get("evaluation", {})
        other = config.with_values({"evaluation.natural.translation": [0.1]})
        assert other.digest() == config.digest()
        grey = config.with_values({"evaluation.natural.images": 9})
        turned = grey.with_values({"evaluation.natural.hue": [0.3]})
        assert grey.digest() == turned.digest() != config.digest()


@pytest.mark.usefixtures("figures")
def test_a_run_reports_it_once_with_picture_table_and_blind_rows(tmp_path: Path) -> None:
    config = EVERYTHING.with_values({"evaluation.natural.images": 40})
    session = run(config, tmp_path)
    assert {step for step, one in session.reports.items() if "natural/right" in one} == {7}
    written = (tmp_path / "files" / "natural-changes.csv").read_text()
    lines = list(csv.DictReader(written.splitlines()))
    assert [float(one["strength"]) for one in lines] == [0, 0.05, 0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.4]
    assert float(lines[2]["right"]) == session.reports[7]["natural/translation_right_2"]
    assert (tmp_path / "figures" / "natural-changes.png").stat().st_size > 5000
    experiment = SupervisedExperiment(config)
    experiment.load()
    rows = references(experiment, experiment.evaluations(), LocalSession(tmp_path / "rows"))
    found = rows["reference/natural"]
    assert set(found) == {"majority", "pixels", "untrained"}
    assert set(found["majority"]) == set(found["pixels"]) == set(found["untrained"])
    assert found["majority"]["same"] == 1 and found["pixels"]["clean"] > 0.85


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"images": 5, "frames": 1}, "frames must be 0 with data.name 'digits', whose images have"),
        ({"images": 5, "translation": [], "brightness": []}, "translation must have a strength"),
        ({"translation": [0.2, 0.1]}, r"translation must rise from one to the next, got \[0.2, 0."),
    ],
)
def test_what_cannot_be_measured_is_refused(values: dict[str, Any], sentence: str) -> None:
    named = {f"evaluation.natural.{name}": value for name, value in values.items()}
    with pytest.raises(ValueError, match=f"evaluation.natural.{sentence}"):
        Supervised().with_values(named)


def test_metrics_that_no_run_reports_are_said() -> None:
    config = Supervised().with_values({"evaluation.natural.images": 5})
    assert config.unreported("natural/right") is None
    assert config.unreported("natural/translation_right_4") is None
    assert "lists 4" in (config.unreported("natural/translation_right_5") or "")
    assert "needs images of 3 channels" in (config.unreported("natural/hue_right") or "")
    assert "evaluation.natural.frames" in (config.unreported("natural/frames_right") or "")
    assert "evaluation.natural.images" in (Supervised().unreported("natural/right") or "")


@pytest.mark.parametrize(
    ("method", "probe", "wanted"),
    [
        ("simclr", 0, {"right"}),
        ("simclr", 5, {"right", "probe/right"}),
        ("cross_entropy", 5, {"right", "probe/right", "classifier/right"}),
        ("dino", 0, {"right"}),
    ],
)
def test_who_answers_may_be_optimised_and_nobody_else(
    method: str, probe: int, wanted: set[str]
) -> None:
    values: dict[str, Any] = {"evaluation__natural__images": 9, "evaluation__probe__steps": probe}
    config = made(method, **values)
    every = {"right", "probe/right", "classifier/right"}
    assert {one for one in every if config.unreported(f"natural/{one}") is None} == wanted


def test_a_classifier_alone_answers_without_a_name() -> None:
    config = Supervised().with_values({"evaluation.natural.images": 5})
    for who in ("probe", "classifier"):
        assert "classifier" in (config.unreported(f"natural/{who}/right") or "")


def test_frames_of_masks_have_the_empty_ones_between_and_keep_to_their_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five frames the third is empty, so that the second and the fourth are no neighbours."""
    monkeypatch.chdir(tmp_path)
    for kind in ("images", "masks"):
        (tmp_path / "sea" / kind).mkdir(parents=True)
    for sequence in range(20):
        for frame in range(5):
            image, mask = np.full((24, 32), 60 + frame, np.uint8), np.zeros((24, 32), np.uint8)
            mask[4:16, 4:16] = 0 if frame == 2 else 3 + sequence % 2
            for kind, pixels in (("images", image + 40 * mask), ("masks", mask)):
                name = f"{1000 * sequence}_{frame:06d}.png"
                Image.fromarray(pixels).save(tmp_path / "sea" / kind / name)
    values = {
        "data": {"name": "boxes", "path": "sea", "root": "kept", "image_size": 8, "channels": 1,
                 "boxes": {"min_crop_size": 1, "time_gap": 5, "val_share": 0.3}},
        "evaluation": {"natural": {"images": 1000, "frames": 1}},
    }  # fmt: skip
    experiment = SupervisedExperiment(Supervised.model_validate(values))
    experiment.load()
    found = [one for one in experiment.evaluations() if one.name == "natural"][0]
    pairs: Any = found.function.__self__._pairs  # pyright: ignore[reportFunctionMemberAccess]
    assert len(pairs.anchors) == len(experiment.data.val) > 10
    assert (pairs.anchors // 2 == pairs.neighbours // 2).all()  # 0 with 1, and 3 with 4
    assert not (tmp_path / "data").exists() and (tmp_path / "kept").exists()
