"""Private folders: short, for their owner alone, and removed when their owner is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from raysearch.trial.private_folder import FOLDER, PREFIX, PrivateFolder, socket_folder

KILLED = """
import os, signal
from raysearch.trial.private_folder import PrivateFolder
folder = PrivateFolder()
(folder.path / "socket").touch()
print(folder.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
LONG = "scratch/groups/vision/people/somebody/slurm_jobdir/1355700/tmp.t0016/node-local-storage"


def of_a_killed_process() -> Path:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return Path(done.stdout.strip())


def test_it_is_there_for_its_owner_alone_and_then_gone() -> None:
    with PrivateFolder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder not in PrivateFolder.left()
    assert not folder.exists()


def test_what_a_killed_process_has_left_is_known_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    left = of_a_killed_process()
    with PrivateFolder() as living:
        found = list(PrivateFolder.left())
        assert left in found and living not in found
    (left / "socket").unlink()
    (left / "owner").unlink()
    left.rmdir()


def test_what_is_not_signed_is_nobodys_to_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    theirs, linked = tmp_path / f"{PREFIX}theirs", tmp_path / f"{PREFIX}linked"
    theirs.mkdir()
    (theirs / "work").touch()
    (tmp_path / "real").mkdir()
    (tmp_path / "real/owner").touch()
    linked.symlink_to(tmp_path / "real")
    assert not {theirs, linked} & set(PrivateFolder.left())


@pytest.mark.parametrize("name", [LONG, "what?a%20b%2F", "é" * 30])
def test_its_path_is_short_wherever_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir(parents=True)
    for place in (tmp_path / name, tmp_path / "not there"):
        monkeypatch.setenv("TMPDIR", str(place))
        with PrivateFolder() as folder:
            assert len(os.fsencode(folder)) <= 40


def test_a_short_tmpdir_is_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with PrivateFolder() as outer:
        monkeypatch.setenv("TMPDIR", str(outer))
        with PrivateFolder() as folder:
            assert folder.parent == outer


def test_sockets_have_a_short_path_and_go_with_the_folder_of_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LONG).mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(tmp_path / LONG))
    with PrivateFolder() as folder:
        monkeypatch.setenv(FOLDER, str(folder))
        assert socket_folder().parent == folder
    elsewhere = socket_folder()  # that driver is gone
    assert len(os.fsencode(elsewhere)) <= 80
    elsewhere.rmdir()
