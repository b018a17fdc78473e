"""Evaluations without training: what training reported, and refusals of what does not fit."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables import runs
from tests.trainables.runs import EVERYTHING
from trainables.core import checkpoint
from trainables.core.session import LocalSession
from trainables.ssl.config import Supervised
from trainables.ssl.experiment import SupervisedExperiment

ONLY = "of a trained network only settings of evaluations may differ"


class Other(SupervisedExperiment):
    """The same under another name."""

    class config_class(Supervised):  # noqa: N801 (a class, as the base class names it)
        name = "ssl.other"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> LocalSession:
    return runs.run(EVERYTHING, tmp_path_factory.mktemp("trained"))


def evaluate(config: Supervised, folder: Path, path: Path | None, split: str = "val") -> Any:
    session = LocalSession(folder, path)
    SupervisedExperiment.evaluate(config.to_json(), session, split)
    return session


def as_format_1(path: Path, folder: Path) -> Path:
    """The checkpoint as an earlier version wrote it."""
    state = torch.load(path, weights_only=True)
    del state["experiment"], state["config"]
    torch.save(state | {"format": 1}, folder / "old.pt")
    return folder / "old.pt"


@pytest.mark.parametrize("step", [6, 7])
def test_it_reports_what_training_reported_at_that_step(
    trained: LocalSession, tmp_path: Path, step: int
) -> None:
    found = evaluate(EVERYTHING, tmp_path, trained.checkpoints[step]).reports
    said = {k: v for k, v in trained.reports[step].items() if not k.startswith("train/")}
    assert list(found) == [step] and said.items() <= found[step].items()


@pytest.mark.usefixtures("figures")
@pytest.mark.parametrize(
    ("split", "names"), [("val", {"val"}), ("test", {"test"}), ("all", {"val", "test"})]
)
def test_a_split_is_chosen(
    trained: LocalSession, tmp_path: Path, split: str, names: set[str]
) -> None:
    session = evaluate(EVERYTHING, tmp_path, trained.checkpoints[7], split)
    assert {name.partition("/")[0] for name in session.reports[7]} == {"progress", *names}
    drawn = ("confusion", "reliability", "wrong")
    assert set(session.artifacts) == {
        f"figures/{name}-{figure}.png" for name in names for figure in drawn
    }


def test_the_test_split_scores_as_at_the_end_of_a_search(
    trained: LocalSession, tmp_path: Path
) -> None:
    tested = LocalSession(tmp_path / "tested", trained.checkpoints[7])
    SupervisedExperiment.test(EVERYTHING.to_json(), tested)
    found = evaluate(EVERYTHING, tmp_path, trained.checkpoints[7], "test").reports[7]
    assert tested.reports[7].items() <= found.items()


def test_it_saves_nothing_and_leaves_the_checkpoint_as_it_was(
    trained: LocalSession, tmp_path: Path
) -> None:
    path = trained.checkpoints[7]
    before = path.read_bytes(), sorted(trained.folder.rglob("*"))
    session = evaluate(EVERYTHING, tmp_path, path)
    assert (path.read_bytes(), sorted(trained.folder.rglob("*"))) == before
    assert session.checkpoints == {} and not list(tmp_path.rglob("*.pt"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model.layers": 3}, "model.layers must be 2, as in the checkpoint"),
        ({"optimizer.kind": "sgd"}, "optimizer.kind must be 'adamw', as in the checkpoint"),
        ({"data.split_seed": 1}, "data.split_seed must be 0, as in the checkpoint"),
        ({"training.seed": 1}, "training.seed must be 0, as in the checkpoint"),
        ({"training.steps": 8}, "training.steps must be 7, as in the checkpoint"),
    ],
)
def test_a_value_that_training_depends_on_is_refused(
    trained: LocalSession, tmp_path: Path, values: dict[str, Any], words: str
) -> None:
    other, path = EVERYTHING.with_values(values), trained.checkpoints[7]
    sentence = f"{words} {path}, got {next(iter(values.values()))!r}; {ONLY}"
    for attempt in (
        lambda: evaluate(other, tmp_path, path),
        lambda: SupervisedExperiment.trained(path, values),
    ):
        with pytest.raises(ValueError) as error:
            attempt()
        assert str(error.value) == sentence
    assert not list(tmp_path.iterdir())


def test_how_often_one_looked_may_differ(trained: LocalSession, tmp_path: Path) -> None:
    other = EVERYTHING.with_values({"training.log_every": 5, "training.save_every": 5})
    assert evaluate(other, tmp_path, trained.checkpoints[7]).reports


def test_the_configuration_comes_out_of_the_checkpoint(trained: LocalSession) -> None:
    found = SupervisedExperiment.trained(trained.checkpoints[7], {"evaluation.noise": 0.5})
    assert found == EVERYTHING.with_values({"evaluation.noise": 0.5}).to_json()


def test_another_experiment_is_refused(trained: LocalSession) -> None:
    with pytest.raises(ValueError, match=r"must be a checkpoint of ssl.other, got one of ssl.supe"):
        Other.trained(trained.checkpoints[7], {})


def test_without_a_checkpoint_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="networks are evaluated from a checkpoint, and there is none"
    ):
        evaluate(EVERYTHING, tmp_path, None)


def test_an_unknown_split_is_refused(trained: LocalSession, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split must be val, test or all, got 'train'"):
        evaluate(EVERYTHING, tmp_path, trained.checkpoints[7], "train")


def test_a_file_of_format_1_is_evaluated_with_a_configuration_from_elsewhere(
    trained: LocalSession, tmp_path: Path
) -> None:
    old, new = as_format_1(trained.checkpoints[7], tmp_path), trained.checkpoints[7]
    found = [evaluate(EVERYTHING, tmp_path, path).reports for path in (old, new)]
    assert found[0] == found[1]
    assert checkpoint.fingerprint(old) == checkpoint.fingerprint(new)
    with pytest.raises(ValueError, match=f"{old} does not hold its configuration, since an earl"):
        SupervisedExperiment.trained(old, {})


def test_tensors_that_do_not_fit_are_named_with_both_shapes(
    trained: LocalSession, tmp_path: Path
) -> None:
    old = as_format_1(trained.checkpoints[7], tmp_path)
    wider = EVERYTHING.with_values({"model.width": 16})
    with pytest.raises(ValueError) as error:
        evaluate(wider, tmp_path, old)
    assert str(error.value) == (
        f"{old} is a checkpoint of another model: network.class_token is float32 [1, 1, 8] in it "
        f"and float32 [1, 1, 16] here; {ONLY}"
    )


class Payload:
    """What a pickle can do to who loads it."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("was-run",)


@pytest.mark.parametrize("kind", ["absent", "folder", "text", "tensor", "cut", "pickle"])
def test_a_file_of_another_kind_is_refused_and_runs_nothing(
    trained: LocalSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file.pt"
    if kind == "folder":
        path.mkdir()
    elif kind == "tensor":
        torch.save(torch.zeros(3), path)
    elif kind != "absent":
        whole = trained.checkpoints[7].read_bytes()
        data = {"text": b"step 7", "cut": whole[: len(whole) // 2]}
        path.write_bytes(data.get(kind) or pickle.dumps({"format": 2, "step": Payload()}))
    with pytest.raises(ValueError, match=rf"{path} must be a checkpoint(:| that a run has saved)"):
        SupervisedExperiment.trained(path, {})
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ({}, {"evaluation.noise": 0.5}, None),
        ({}, {"training.log_every": 3}, None),
        ({}, {"model.layers": 1}, ("model.layers", 2, 1)),
        ({"model.layers": 1}, {"model.layers": 1, "model.drop_path": 0.5}, None),
        ({}, {"training.seed": 4}, ("training.seed", 0, 4)),
        ({"optimizer.kind": "sgd"}, {}, ("optimizer.kind", "sgd", "adamw")),
        (
            {"schedule.kind": "constant"},
            {"schedule.kind": "constant", "optimizer.lr": 0.5},
            ("optimizer.lr", 0.001, 0.5),
        ),
    ],
)
def test_the_first_difference_is_one_that_training_depends_on(
    one: dict[str, Any], other: dict[str, Any], difference: Any
) -> None:
    configs = [Supervised().with_values(values) for values in (one, other)]
    assert configs[0].first_difference(configs[1]) == difference
