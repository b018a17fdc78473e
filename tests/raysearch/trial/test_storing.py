"""A checkpoint stays what it was when it was reported, whatever a trial does to its files."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysearch.trial.checkpoints import Kept
from raysearch.trial.group.rank import SilentSession
from raysearch.trial.job import Job
from raysearch.trial.lending import is_lent, lent, take_back, take_back_all
from raysearch.trial.messages import checked, receive
from raysearch.trial.session import PipeSession


class Trial:
    """One attempt whose reports are all answered; `messages` is what its search has heard."""

    def __init__(self, root: Path, number: int = 1, reduce: str = "best", **job: Any) -> None:
        self.folder = root / "0000" / f"attempt-{number}"
        self.folder.mkdir(parents=True)
        objectives = [{"name": "score", "direction": "maximize", "reduce": reduce}]
        places = {"root": str(root), "folder": str(self.folder), "objectives": objectives}
        self.job = Job("one", trial=0, attempt=number, experiment="", config={}, **places, **job)
        self.line, theirs = multiprocessing.Pipe()
        self.session = PipeSession(self.job, theirs)

    def report(self, step: int, path: Any, **metrics: float) -> dict[str, Any]:
        self.line.send({"stop": False})
        self.session.report(step, metrics or {"score": float(step)}, path)
        return self.heard()

    def heard(self) -> dict[str, Any]:
        assert self.line.poll(0)
        return receive(self.line)

    def kept(self) -> list[str]:
        """What is kept now, as texts."""
        files = sorted((self.folder / "kept").rglob("*"))
        return [file.read_text() for file in files if file.is_file()]


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_signs_of_life_are_said_as_often_as_they_are_heard(trial: Trial) -> None:
    for _ in range(100_000):
        trial.session.alive()
    assert trial.heard() == {"kind": "alive"} and not trial.line.poll(0)


@pytest.mark.parametrize("name", ["files/val-attention.npz", "notes", "maps.tar.gz", "a/b.bin"])
def test_a_file_of_any_kind_is_an_artifact(trial: Trial, name: str) -> None:
    path = trial.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(range(256)))
    trial.session.artifact(name, path)
    assert checked(trial.heard(), trial.folder.parent) == {
        "kind": "artifact",
        "name": name,
        "path": f"attempt-1/{name}",
    }


def truncate(path: Path) -> None:
    path.write_text("later")


def in_place(path: Path) -> None:
    with path.open("r+") as file:
        file.write("L")


def rename_over(path: Path) -> None:
    path.with_name("new").write_text("later")
    os.replace(path.with_name("new"), path)


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write(" and later")


def unlink(path: Path) -> None:
    path.unlink()


def swallow(path: Path) -> None:
    path.unlink()
    path.mkdir()


WAYS = [truncate, in_place, rename_over, append, unlink, swallow]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["last.pt", "best.ckpt", "model", "resnet50.pt", "epoch=3.pt"])
def test_a_file_whose_name_is_used_again_keeps_what_it_was(
    trial: Trial, name: str, way: Callable[[Path], None]
) -> None:
    path = trial.folder / name
    path.write_text("weights of step 2")
    told = trial.report(2, path)
    way(path)
    assert Path(told["checkpoint"]).read_text() == "weights of step 2"
    assert Path(told["checkpoint"]).name == name
    assert told["sha256"] == hashlib.sha256(b"weights of step 2").hexdigest()
    assert told["bytes"] == 17


@pytest.mark.parametrize("way", [rename_over, unlink, swallow])
@pytest.mark.parametrize("name", ["step-00000002.pt", "2.json", "global_step2.pt", "x-step=2.ckpt"])
def test_a_file_named_by_its_step_is_linked_and_outlives_its_name(
    trial: Trial, name: str, way: Callable[[Path], None]
) -> None:
    path = trial.folder / "checkpoints" / name
    path.parent.mkdir()
    path.write_text("weights of step 2")
    kept = Path(trial.report(2, path)["checkpoint"])
    assert kept.samefile(path)
    way(path)
    trial.report(3, None)
    assert kept.read_text() == "weights of step 2"


@pytest.mark.parametrize("way", [truncate, in_place, append])
def test_a_file_named_by_its_step_may_not_be_written_again(
    trial: Trial, way: Callable[[Path], None]
) -> None:
    path = trial.folder / "step-2.pt"
    path.write_text("weights of step 2")
    trial.report(2, path)
    os.utime(path)
    trial.report(3, None)  # touched, and the same
    way(path)
    with pytest.raises(ValueError, match=rf"checkpoint {path} of step 2 .*must have another one"):
        trial.report(4, None)


def save_folder(folder: Path, text: str) -> Path:
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    (folder / "shards/model.bin").write_text(text)
    return folder


@pytest.mark.parametrize("name", ["last", "checkpoint-2"])
def test_a_folder_is_kept_whole_and_outlives_its_removal(trial: Trial, name: str) -> None:
    path = save_folder(trial.folder / name, "weights of step 2")
    told = trial.report(2, path)
    shutil.rmtree(path)
    kept = Path(told["checkpoint"])
    assert (kept.name, (kept / "shards/model.bin").read_text()) == (name, "weights of step 2")
    assert told["bytes"] == 17


def test_the_last_and_the_best_are_kept_with_what_they_held(trial: Trial) -> None:
    path = trial.folder / "last.pt"
    for step, score in enumerate([0.1, 0.9, 0.5, 0.4], start=1):
        path.write_text(f"weights of step {step}")
        trial.report(step, path, score=score)
    assert trial.kept() == ["weights of step 2", "weights of step 4"]


@pytest.mark.parametrize("reduce", ["last", "mean(2)"])
def test_where_the_last_value_counts_one_checkpoint_is_kept(tmp_path: Path, reduce: str) -> None:
    trial = Trial(tmp_path, reduce=reduce)
    folder = trial.folder / "checkpoints"
    folder.mkdir()
    for step, score in enumerate([0.1, 0.9, 0.5], start=1):
        path = folder / f"{step}.pt"
        path.write_text(f"weights of step {step}")
        trial.report(step, path, score=score)
    assert trial.kept() == ["weights of step 3"]
    assert [file.name for file in folder.iterdir()] == ["3.pt"]


def test_a_score_after_its_checkpoint_decides_what_is_best(trial: Trial) -> None:
    path = trial.folder / "last.pt"
    for step, score in enumerate([0.1, 0.9, 0.5], start=1):
        path.write_text(f"weights of step {step}")
        trial.report(step, path, loss=1.0)
        trial.report(step, None, score=score)
    assert trial.kept() == ["weights of step 2", "weights of step 3"]


def test_what_is_superseded_goes_unless_it_is_in_use(trial: Trial) -> None:
    paths = [trial.folder / name for name in ("a.pt", "b.pt", "c.pt", "d.pt")]
    paths[1].write_text("shown before it is a checkpoint")
    trial.session.artifact("b.pt", paths[1])
    assert trial.heard()["kind"] == "artifact"
    for step, path in enumerate(paths, start=1):
        path.write_text(f"weights of step {step}")
        trial.report(step, path)
        if path.name == "c.pt":
            path.write_text("going on")
    assert sorted(path.name for path in paths if path.exists()) == ["b.pt", "c.pt", "d.pt"]
    assert trial.kept() == ["weights of step 4"]


def test_one_unchanged_file_may_be_the_checkpoint_of_several_steps(trial: Trial) -> None:
    path = trial.folder / "best.pt"
    path.write_text("weights")
    for step in (1, 2, 3, 3):
        trial.report(step, path, score=0.5)
    assert path.exists() and trial.kept() == ["weights", "weights"]


def outside(folder: Path) -> Path:
    return folder.parent / "attempt-2" / "model.pt"


def by_dots(folder: Path) -> Path:
    return folder / ".." / "attempt-2" / "model.pt"


def itself(folder: Path) -> Path:
    return folder


def its_parent(folder: Path) -> Path:
    return folder.parent


def relative(folder: Path) -> str:
    return "output/model.pt"


@pytest.mark.parametrize("where", [outside, by_dots, itself, its_parent, relative])
def test_a_checkpoint_elsewhere_is_refused_before_it_is_reported(
    trial: Trial, where: Callable[[Path], Any]
) -> None:
    path = where(trial.folder)
    if not Path(path).exists() and Path(path).is_absolute():
        Path(path).parent.mkdir()
        Path(path).touch()
    with pytest.raises(
        ValueError, match="checkpoint of step 2 must be .* below session.folder"
    ) as e:
        trial.report(2, path)
    assert str(path) in str(e.value) and trial.line.poll(0) is False


def test_what_is_not_there_is_refused(trial: Trial) -> None:
    os.mkfifo(trial.folder / "pipe")
    (trial.folder / "dangling").symlink_to("nothing")
    for name, why in (("a.pt", "not there"), ("dangling", "not there"), ("pipe", "neither a file")):
        with pytest.raises(ValueError, match=rf"must be written .*{name} is {why}"):
            trial.report(2, trial.folder / name)
    with pytest.raises(TypeError, match="must be the path of a file or folder, got 7"):
        trial.report(2, 7)
    with pytest.raises(ValueError, match="has no NUL"):
        trial.report(2, f"{trial.folder}/a\0b")


def test_a_folder_with_a_link_to_a_folder_is_refused(trial: Trial) -> None:
    path = save_folder(trial.folder / "last", "weights")
    (path / "newest").symlink_to("shards")
    with pytest.raises(ValueError, match="newest is neither a file nor a folder but a link to"):
        trial.report(2, path)
    assert trial.kept() == []


def test_a_path_in_any_form_that_leads_into_the_folder_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    trial = Trial(tmp_path / "runs" / "one")
    path = trial.folder / "model é\n.pt"
    path.write_text("weights")
    (trial.folder / "latest").symlink_to(path.name)
    monkeypatch.chdir(trial.folder)
    forms: list[Any] = [str(path), os.fsencode(path), path.resolve(), path.name, Path("latest")]
    for step, form in enumerate(forms):
        told = trial.report(step, form)
        assert Path(told["checkpoint"]).is_relative_to(trial.folder)
        assert Path(told["checkpoint"]).name in ("model é_.pt", "latest")
        assert Path(told["checkpoint"]).read_text() == "weights"


def test_a_checkpoint_that_is_being_written_is_refused(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread of the trial writes on while the file is read: here after each read."""
    path = trial.folder / "last.pt"
    path.write_bytes(bytes(1000))
    copy = shutil.copyfileobj

    def copy_and_write(one: Any, other: Any, length: int) -> None:
        copy(one, other, length)
        append(path)

    monkeypatch.setattr(shutil, "copyfileobj", copy_and_write)
    with pytest.raises(ValueError, match="last.pt of step 2 is still being written"):
        trial.report(2, path)


@settings(deadline=None, max_examples=25)
@given(
    st.text(min_size=1, max_size=90).filter(lambda name: name not in (".", "..")),
    st.integers(0, 2**63 - 2),
    st.booleans(),
)
def test_any_name_is_kept_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, step: int, is_folder: bool
) -> None:
    root = tmp_path_factory.mktemp("one").resolve()
    trial = Trial(root)
    path = trial.folder / name.replace("/", "|")
    try:
        path.mkdir() if is_folder else path.write_text("weights")
    except (ValueError, OSError):  # no file system takes it
        with pytest.raises((ValueError, TypeError, OSError)):
            trial.report(step, path)
        return
    told = trial.report(step, path)
    kept = Path(told["checkpoint"])
    assert kept.exists() and kept.parent.parent == trial.folder / "kept"
    assert json.dumps(told, ensure_ascii=False).encode() and kept.name.isprintable()
    trial.report(step, path)
    trial.report(step + 1, path)


# Going on


def left(folder: Path, *steps: int) -> list[dict[str, Any]]:
    """Checkpoints of an attempt before, as a job has them."""
    found: list[dict[str, Any]] = []
    for step in steps:
        path = folder / f"0000/attempt-1/kept/{step:08d}/last.pt"
        path.parent.mkdir(parents=True)
        path.write_text(f"weights of step {step}")
        sha = hashlib.sha256(path.read_bytes()).hexdigest()
        kept = Kept(step, str(path), float(-step), path.stat().st_size, sha)
        found.append(kept.below(folder))
    return found


def going_on(folder: Path, kept: list[dict[str, Any]], **job: Any) -> Trial:
    return Trial(folder, 2, kept=kept, restored=kept[-1]["path"], **job)


def read(session: PipeSession) -> str:
    restored = session.restored()
    assert restored is not None
    return restored.read_text()


def test_an_intact_checkpoint_is_gone_on_from_without_a_word(tmp_path: Path) -> None:
    trial = going_on(tmp_path, left(tmp_path, 2, 6))
    assert read(trial.session) == "weights of step 6"
    assert not trial.line.poll(0)


@pytest.mark.parametrize("way", [truncate, in_place, unlink])
def test_a_damaged_one_gives_way_to_the_older_one_and_that_to_the_start(
    tmp_path: Path, way: Callable[[Path], None]
) -> None:
    kept = left(tmp_path, 2, 6)
    way(Path(kept[1]["path"]))
    trial = going_on(tmp_path, kept)
    assert read(trial.session) == "weights of step 2"
    told = trial.heard()
    assert (told["kind"], told["path"]) == ("damaged", kept[1]["path"]) and told["what"]
    assert read(trial.session) == "weights of step 2" and not trial.line.poll(0)
    way(Path(kept[0]["path"]))
    again = Trial(tmp_path, 3, kept=kept, restored=kept[1]["path"])
    assert again.session.restored() is None
    assert [again.heard()["path"] for _ in kept] == [kept[1]["path"], kept[0]["path"]]
    assert SilentSession(again.job).restored() is None


def test_a_checkpoint_that_is_to_be_evaluated_has_no_other(tmp_path: Path) -> None:
    kept = left(tmp_path, 2, 6)
    truncate(Path(kept[1]["path"]))
    trial = going_on(tmp_path, kept, purpose="test")
    with pytest.raises(ValueError, match=r"00000006/last.pt has 5 bytes, it had 17"):
        trial.session.restored()


def test_what_an_earlier_version_left_is_taken_by_its_being_there(tmp_path: Path) -> None:
    path = tmp_path / "0000/attempt-1/checkpoints/step-2.pt"
    path.parent.mkdir(parents=True)
    path.write_text("weights")
    kept = [{"step": 2, "path": str(path), "value": 0.5}]
    trial = going_on(tmp_path, kept)
    assert read(trial.session) == "weights"
    mine = trial.folder / "last.pt"
    mine.write_text("new")
    trial.report(4, mine, score=0.9)
    assert not path.exists() and path.parent.exists() and trial.kept() == ["new"]


@pytest.mark.parametrize("way", [truncate, in_place, rename_over, append, unlink])
@pytest.mark.parametrize("purpose", ["run", "test", "evaluate"])
def test_what_is_gone_on_from_may_be_written_to(
    tmp_path: Path, way: Callable[[Path], None], purpose: str
) -> None:
    kept = left(tmp_path, 2)
    trial = going_on(tmp_path, kept, purpose=purpose)
    restored = trial.session.restored()
    assert restored is not None and restored.name == "last.pt"
    assert restored == SilentSession(trial.job).restored()
    way(restored)
    assert Path(kept[0]["path"]).read_text() == "weights of step 2"
    take_back(trial.folder)
    assert not list(trial.folder.glob("restored*")) and len(list(tmp_path.rglob("last.pt"))) == 1


def test_what_is_gone_on_from_may_be_reported_again_and_again(tmp_path: Path) -> None:
    trial = going_on(tmp_path, left(tmp_path, 2))
    restored = trial.session.restored()
    assert restored is not None
    for step, score in ((4, 0.9), (5, 0.1)):
        restored.write_text(f"weights of step {step}")
        told = trial.report(step, restored, score=score)
        assert told.get("source") is None and "copied" not in told
    trial.session.artifact(restored.name, restored)
    shown = Path(trial.heard()["path"])
    take_back(trial.folder)
    assert trial.kept() == ["weights of step 4", "weights of step 5"] and shown.exists()


def test_a_folder_is_lent_as_a_whole_and_left_copies_go(tmp_path: Path) -> None:
    saved, folder = tmp_path / "0000/attempt-1/kept/00000002/model", tmp_path / "0000/attempt-2"
    (saved / "part").mkdir(parents=True)
    (saved / "part/weights").write_text("two")
    folder.mkdir()
    copy = lent(saved, folder)
    (copy / "part/weights").write_text("three")
    assert (saved / "part/weights").read_text() == "two" and is_lent(copy, folder)
    take_back_all(tmp_path, 0)
    assert saved.exists() and not any(folder.iterdir())
