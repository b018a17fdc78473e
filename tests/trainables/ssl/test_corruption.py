"""Accuracy on corrupted images: of the right images, by the right network, in the right form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.runs import EVERYTHING, run
from tests.trainables.ssl.pretrained import loaded
from tests.trainables.ssl.test_measuring import features, voted
from trainables.core.measuring import references
from trainables.core.session import LocalSession
from trainables.data.cifar_c import opened
from trainables.data.corruptions.corrupt import corrupt
from trainables.data.corruptions.severities import NAMES
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.corrupting import Grid, drawn, read_grid
from trainables.ssl.experiment import SupervisedExperiment
from trainables.synthetic.corrupted import write_corrupted

TWO = ("gaussian_noise", "contrast")


def supervised(**values: Any) -> SupervisedExperiment:
    settings = {"images": 300, "corruptions": list(TWO), **values}
    named = {f"evaluation.corruption.{name}": value for name, value in settings.items()}
    experiment = SupervisedExperiment(EVERYTHING.with_values(named))
    experiment.load()
    return experiment.eval()


def corruption(experiment: Any, last: bool = True) -> Any:
    found = [one for one in experiment.evaluations() if one.name == "corruption"]
    with torch.inference_mode():
        return found[0].function(last)


def test_a_classifier_answers_all_corrupted_images() -> None:
    experiment = supervised()
    split, found = experiment._data.val, corruption(experiment).values
    everything, labels = torch.arange(len(split)), split.labels
    for name in TWO:
        shares: list[float] = []
        for severity in range(1, 6):
            draws = drawn(0, name, severity, everything)
            images = corrupt(split.pixels(everything), name, severity, draws)
            with torch.no_grad():
                standard = (images - experiment._data.mean) / experiment._data.deviation
                shares.append(
                    float((experiment.network(standard).argmax(1) == labels).float().mean())
                )
        assert found[name] == pytest.approx(np.mean(shares))
    assert found["accuracy"] == pytest.approx(np.mean([found[name] for name in TWO]))
    assert found["mean_error"] == pytest.approx(1 - found["accuracy"])
    with torch.no_grad():
        clean = experiment.network(split.take(everything)).argmax(1) == labels
    assert found["clean"] == pytest.approx(float(clean.float().mean()))


def test_features_of_corrupted_images_have_clean_neighbours() -> None:
    experiment = loaded("simclr", evaluation__corruption__images=30,
                        evaluation__corruption__corruptions=["fog"])  # fmt: skip
    bank, _ = features(experiment, experiment.learner.student)
    data, labels = experiment.data, experiment.data.train.labels.numpy()
    found = corruption(experiment).values
    positions = torch.arange(len(data.val))
    assert len(positions) <= 30
    pixels = corrupt(data.val.pixels(positions), "fog", 5, drawn(0, "fog", 5, positions))
    with torch.no_grad(), experiment.learner.evaluating():
        queries = experiment.learner.student.embed((pixels - data.mean) / data.deviation).numpy()
    answers = voted(bank, labels, queries, 20, 0.07)
    share = (answers == data.val.labels.numpy()).mean()
    assert found["severity_5"] == pytest.approx(share)


def test_it_is_off_and_leaves_no_trace() -> None:
    for config in (Supervised(), Pretraining()):
        assert "corruption" not in config.canonical().get("evaluation", {})
        other = config.with_values({"evaluation.corruption.table": "imagenet"})
        assert other.canonical() == config.canonical()
    experiment = SupervisedExperiment(EVERYTHING)
    experiment.load()
    assert [one.name for one in experiment.evaluations()] == ["val", "test"]


@pytest.mark.usefixtures("figures")
def test_a_run_reports_it_once_with_its_picture_and_its_table(tmp_path: Path) -> None:
    values = {"evaluation.corruption.images": 40, "evaluation.corruption.corruptions": ["fog"]}
    session = run(EVERYTHING.with_values(values), tmp_path)
    reported = {step for step, found in session.reports.items() if "corruption/fog" in found}
    assert reported == {7}
    grid = read_grid(tmp_path / "files" / "corruption-accuracies.csv")
    assert float(grid.accuracies.mean()) == session.reports[7]["corruption/accuracy"]
    assert (tmp_path / "figures" / "corruption-grid.png").stat().st_size > 5000


def test_blind_rows_are_of_the_same_images(tmp_path: Path) -> None:
    experiment = supervised(images=50)
    rows = references(experiment, experiment.evaluations(), LocalSession(tmp_path))
    found = rows["reference/corruption"]
    assert set(found) == {"majority", "pixels", "untrained"}
    assert set(found["pixels"]) == set(found["majority"]) == set(corruption(experiment).values)
    assert (
        found["majority"]["accuracy"] == found["majority"]["clean"] == pytest.approx(0.1, abs=0.03)
    )
    assert found["pixels"]["clean"] > 0.9 > found["pixels"]["gaussian_noise"] - 0.1


def test_a_reference_is_as_good_as_itself(tmp_path: Path) -> None:
    grid = Grid(TWO, torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5]] * 2, dtype=torch.float64), 0.95)
    grid.write(tmp_path / "accuracies.csv")
    again = read_grid(tmp_path / "accuracies.csv")
    assert again.beside(grid) == {"mce": 1.0, "relative_mce": 1.0}
    found = corruption(supervised(reference=str(tmp_path / "accuracies.csv"))).values
    errors = 1 - np.array([found[name] for name in TWO])
    assert found["mce"] == pytest.approx(np.mean(errors / 0.3))


@pytest.mark.parametrize(
    ("names", "accuracies", "sentence"),
    [
        (TWO[:1], [[0.9, 0.8, 0.7, 0.6, 0.5]], "accuracies of contrast must be there"),
        (TWO, [[1.0] * 5] * 2, "must have errors, or more than .*, under each corruption"),
    ],
)
def test_a_reference_that_is_none_is_said_before_training(
    tmp_path: Path, names: tuple[str, ...], accuracies: list[list[float]], sentence: str
) -> None:
    grid = Grid(names, torch.tensor(accuracies, dtype=torch.float64), 1.0)
    grid.write(tmp_path / "other.csv")
    with pytest.raises(ValueError, match=f"evaluation.corruption.reference, .*{sentence}"):
        supervised(reference=str(tmp_path / "other.csv")).evaluations()
    (tmp_path / "other.csv").write_text("step,loss\n1,2\n")
    with pytest.raises(ValueError, match="reference must be a file of accuracies of all sev"):
        supervised(reference=str(tmp_path / "other.csv")).evaluations()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits of the test split in the form of CIFAR-10-C."""
    test = supervised()._data.test
    everything = torch.arange(len(test))
    return write_corrupted(
        tmp_path_factory.mktemp("digits-c"),
        test.pixels(everything),
        test.labels,
        lambda name, severity: drawn(3, name, severity, everything),
        names=(*TWO, "brightness"),
    )


def test_a_folder_has_severities_in_a_row(folder: Path) -> None:
    files, test = opened(folder), supervised()._data.test
    assert files.labels.tolist() == test.labels.tolist()
    whole = np.load(folder / "contrast.npy")
    assert (whole.shape, whole.dtype) == ((1500, 8, 8, 1), np.uint8)
    at = torch.tensor([7, 2])
    for severity in (1, 5):
        found = files.take("contrast", severity, at)
        made = corrupt(test.pixels(at), "contrast", severity, drawn(3, "contrast", severity, at))
        assert 0 <= float((made - found).min()) + 1e-5 and float((made - found).max()) < 1 / 255
        rows = whole[(severity - 1) * 300 + at.numpy()]
        assert (found[:, 0] * 255).round().byte().tolist() == rows[..., 0].tolist()


def test_files_are_evaluated_on_the_test_split(folder: Path) -> None:
    experiment = supervised(path=str(folder), images=10_000)
    (evaluation,) = [one for one in experiment.evaluations() if one.name == "corruption"]
    assert evaluation.split == "test"
    found, files = corruption(experiment).values, opened(folder)
    with torch.no_grad():
        pixels = torch.cat([files.take("contrast", s, torch.arange(300)) for s in range(1, 6)])
        standard = (pixels - experiment._data.mean) / experiment._data.deviation
        right = experiment.network(standard).argmax(1) == torch.from_numpy(files.labels).repeat(5)
    assert found["contrast"] == pytest.approx(float(right.float().mean()))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"path": "/nowhere"}, "evaluation.corruption.path must be a folder .* labels.npy, got"),
        ({"reference": "/nowhere"}, "evaluation.corruption.reference must be a file"),
    ],
)
def test_what_is_not_there_is_said_before_a_run(values: dict[str, Any], sentence: str) -> None:
    named = {f"evaluation.corruption.{name}": value for name, value in values.items()}
    assert Supervised().with_values(named).missing() is None
    config = Pretraining().with_values({"data.name": "digits", "views.size": 8,
        "model.patch_size": 2, "views.local_crop_input_factor": 2.0,
        "evaluation.corruption.images": 5, **named})  # fmt: skip
    with pytest.raises(ValueError, match=sentence):
        raise ValueError(config.missing())


def test_a_corruption_without_a_file_is_said(folder: Path) -> None:
    named = {"images": 5, "path": str(folder)}
    config = Supervised().with_values({f"evaluation.corruption.{k}": v for k, v in named.items()})
    assert f"with {NAMES[1]}.npy, got" in str(config.missing())
    with pytest.raises(LookupError, match=r"fog.npy must be the images corrupted by fog"):
        opened(folder).take("fog", 1, torch.arange(1))
    with pytest.raises(ValueError, match="severity must be 1…5, got 6"):
        opened(folder).take("contrast", 6, torch.arange(1))


@pytest.mark.parametrize(("listed", "said"), [([], r"\[\]"), (["fog", "fog"], "'fog', 'fog'")])
def test_corruptions_are_listed_once(listed: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=f"corruption.corruptions must be null for all.*{said}"):
        Supervised().with_values({"evaluation.corruption.corruptions": listed})


def test_a_metric_that_no_run_reports_is_said() -> None:
    off = Supervised()
    assert "evaluation.corruption.images of at least 1" in str(off.unreported("corruption/fog"))
    on = off.with_values({"evaluation.corruption.images": 5})
    assert on.unreported("corruption/fog") is None
    files = on.with_values({"evaluation.corruption.path": "/some"})
    assert "is of the test split" in str(files.unreported("corruption/fog"))


@pytest.mark.parametrize(
    ("values", "metric", "sentence"),
    [
        ({}, "mce", "errors to be put beside; take evaluation.corruption.reference"),
        ({}, "relative_mce", "errors to be put beside; take evaluation.corruption.reference"),
        ({"reference": "a.csv"}, "mce", None),
        ({"reference": "a.csv"}, "relative_mce", None),
        (
            {"corruptions": ["frost"]},
            "fog",
            "that corruption; list it in evaluation.corruption.corruptions, or leave that null",
        ),
        ({"corruptions": ["fog"]}, "fog", None),
        ({"corruptions": ["fog"]}, "mean_error", None),
        (
            {"corruptions": ["spatter"]},
            "mean_error",
            "a main corruption, such as gaussian_noise; list one in evaluation.corruption.corru",
        ),
        ({"corruptions": ["spatter"]}, "severity_3", None),
        ({}, "accuracy", None),
    ],
)
@pytest.mark.parametrize("kind", [Supervised, Pretraining])
def test_values_of_what_is_not_measured_are_said(
    kind: type[Supervised | Pretraining],
    values: dict[str, Any],
    metric: str,
    sentence: str | None,
) -> None:
    given = {f"evaluation.corruption.{name}": value for name, value in values.items()}
    config = kind().with_values({"evaluation.corruption.images": 5, **given})
    said = config.unreported(f"corruption/{metric}")
    start = f"metric corruption/{metric} needs {sentence}"
    assert said is None if sentence is None else str(said).startswith(start)


def test_labels_of_another_split_are_refused(folder: Path, tmp_path: Path) -> None:
    labels = np.load(folder / "labels.npy")
    np.save(tmp_path / "labels.npy", labels.reshape(5, -1)[:, ::-1].reshape(-1))
    with pytest.raises(ValueError, match="path must hold corrupted images of the test split"):
        supervised(path=str(tmp_path)).evaluations()
    np.save(tmp_path / "labels.npy", np.sort(labels))
    with pytest.raises(ValueError, match="labels of the test split five times in a row"):
        opened(tmp_path)


def test_images_of_another_shape_are_refused(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.load(folder / "labels.npy"))
    for name in TWO:
        np.save(tmp_path / f"{name}.npy", np.zeros((1500, 4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r"must hold images \[1, 8, 8\], got \[3, 4, 4\] of gauss"):
        supervised(path=str(tmp_path)).evaluations()
    np.save(tmp_path / "contrast.npy", np.zeros((300, 8, 8, 1), np.uint8))
    with pytest.raises(ValueError, match=r"must hold bytes \[1500, S, S, C\].*\[300, 8, 8, 1\]"):
        opened(tmp_path).take("contrast", 1, torch.arange(1))
