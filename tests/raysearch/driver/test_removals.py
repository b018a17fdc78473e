"""What goes of a trial's checkpoints, and what never does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raysearch.driver.quota import finish_removals, keep_quota
from raysearch.results.forecast import disk_used
from raysearch.tracking.findings import _check_checkpoints
from raysearch.trial.checkpoints import remove
from raysearch.trial.job import Job
from raysearch.trial.storage import Storage
from tests.raysearch.driver.stage import Stage
from tests.raysearch.driver.test_limits import filled
from tests.raysearch.events.facts import fact
from tests.raysearch.searches.sweeps import chain_grid


def save(job: Job, name: str) -> tuple[Path, dict[str, Any]]:
    """A checkpoint as a trial's process keeps it, and what its report says of it: 1000 bytes."""
    path = Path(job.folder) / name
    path.mkdir(parents=True)
    (path / "model.bin").write_bytes(bytes(1000))
    kept = Storage(job).store(2, path)
    assert kept is not None
    return path, {"checkpoint": kept.path, **kept.facts()}


@pytest.mark.parametrize("name", ["last", "step-2"])
def test_folders_count_and_go_with_all_that_was_reported_of_them(tmp_path: Path, name: str) -> None:
    stage = Stage(tmp_path, chain_grid)
    for score in (0.1, 0.9, 0.5):
        job = stage.start()
        path, said = save(job, name)
        if score == 0.5:
            (path / "notes.txt").touch()
        metrics = {"val/score": score, "progress/epochs": 2.0}
        stage.say(job, kind="report", step=2, metrics=metrics, **said)
        remove(stage.end(job, "complete") or [], tmp_path)
        assert path.exists() is (score == 0.5)  # then something else is there
    assert disk_used(stage.view()) == 3000
    keep_quota(stage.view(), stage.folder, stage.log, 2500)
    there = sorted(path.parts[-6] for path in tmp_path.glob("*/attempt-1/kept/*/*/model.bin"))
    assert there == ["0000", "0001"] and disk_used(stage.view()) == 2000


def test_a_running_trial_counts_what_it_has_copied_too(tmp_path: Path) -> None:
    stage = Stage(tmp_path, chain_grid)
    for name, bytes_there in (("last", 3000), ("step-2", 2000)):
        job = stage.start()
        before = disk_used(stage.view())
        metrics = {"val/score": 0.5, "progress/epochs": 2.0}
        stage.say(job, kind="report", step=2, metrics=metrics, **save(job, name)[1])
        assert disk_used(stage.view()) - before == bytes_there


@pytest.mark.parametrize("path", ["0000/attempt-1", "0000", "../mine", "/etc", ".", "0001/x"])
def test_a_path_that_is_no_checkpoint_is_never_deleted(tmp_path: Path, path: str) -> None:
    """As an earlier version, or another hand, may have written it into the events."""
    for name in ("one", "mine"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    stage = filled(tmp_path / "runs/one")
    (stage.folder / "0001/x").mkdir()
    kept = {"step": 3, "path": path, "value": 1.0}
    stage.log.append(fact("checkpoint", **kept), 3, commit=True)
    before = sorted(stage.folder.rglob("*"))
    keep_quota(stage.view(), stage.folder, stage.log, 4500)
    gone = {str(one.relative_to(stage.folder)) for one in before if not one.exists()}
    assert gone == {"0003/attempt-1/checkpoints/2.pt"} and (tmp_path / "runs/mine").exists()


def test_what_lies_behind_a_link_is_left_alone(tmp_path: Path) -> None:
    """Somebody's `checkpoints` on a larger disk, with the checkpoints of others."""
    for name in ("one", "disk"):
        (tmp_path / name).mkdir()
    stage = Stage(tmp_path / "one", chain_grid)
    (tmp_path / "disk/theirs.pt").touch()
    job = stage.start()
    Path(job.folder).mkdir(parents=True)
    (Path(job.folder) / "checkpoints").symlink_to(tmp_path / "disk")
    stage.report(job, 2, 0.5)
    for _ in range(2):
        remove(stage.end(job, "exception") or [], stage.folder)
        job = stage.start() if stage.view().trials[0].state != "failed" else job
    finish_removals(stage.view(), stage.folder)
    assert stage.view().trials[0].state == "failed"
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == ["2.pt", "theirs.pt"]


def test_what_was_never_reported_stays_with_a_completed_trial(tmp_path: Path) -> None:
    stage = Stage(tmp_path, chain_grid)
    job = stage.start()
    folder = Path(job.folder) / "checkpoints"
    stage.report(job, 2, 0.9)
    stage.report(job, 4, 0.1)
    (folder / "vocabulary.json").touch()
    (folder / "figure.png").touch()
    stage.say(job, kind="artifact", name="figure.png", path=str(folder / "figure.png"))
    stage.report(job, 6, 0.2)
    remove(stage.end(job, "complete") or [], tmp_path)
    mine = ["figure.png", "vocabulary.json"]
    assert sorted(path.name for path in folder.iterdir()) == ["2.pt", "6.pt", *mine]
    stage.log.append(fact("removed", path="", reason="for room"), 0, commit=True)
    finish_removals(stage.view(), stage.folder)
    assert sorted(path.name for path in folder.iterdir()) == mine
    assert _check_checkpoints(stage.view(), stage.view().trials[0], tmp_path) == []
