"""The code of a search is kept whole, without secrets, and damage is found."""

from __future__ import annotations

import io
import json
import os
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from raysearch.events.log import Store
from raysearch.provenance import snapshot
from raysearch.provenance.environment import current_environment, differences, packages
from raysearch.provenance.sources import gather
from raysearch.provenance.working_tree import LARGEST
from raysearch.sweeps.search_spec import CodeState, to_plain
from raysearch.tracking.findings import audit
from tests.raysearch.events import streams

ROOT = Path(__file__).parents[3]


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with an uncommitted change, a new module, and things that are never kept."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "mine.py").write_text("rate = 1\n")
    (folder / ".gitignore").write_text("*.secret.py\nlocal.py\n")
    (folder / "picture.bin").write_bytes(b"\0\1\2")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    (folder / "mine.py").write_text("rate = 2\n")
    (folder / "picture.bin").write_bytes(b"\0\1\3\xff")
    (folder / "new module.py").write_text("new = True\n")
    return folder


def kept(folder: Path, here: Path, **options: Any) -> tuple[CodeState, dict[str, Any]]:
    """What is kept of a folder, in another one, and its manifest."""
    code = snapshot.keep(folder, here, ["mine"], [here / "runs"], 1, **options)
    return code, snapshot.manifest(folder, code.snapshot)


def test_the_working_tree_is_kept_not_the_commit(project: Path, tmp_path: Path) -> None:
    code, said = kept(tmp_path, project)
    [path] = snapshot.unpack(tmp_path, code.snapshot, tmp_path / "there")
    files = {file.name: file.read_text() for file in path.iterdir()}
    assert files == {"mine.py": "rate = 2\n", "new module.py": "new = True\n"}
    assert said["roots"][0]["commit"] == git(project, "rev-parse", "HEAD").strip()
    assert said["roots"][0]["branch"] == "main"


def test_the_diff_makes_the_working_tree_of_the_commit(project: Path, tmp_path: Path) -> None:
    code, _ = kept(tmp_path, project)
    patch = tmp_path / "code" / code.snapshot / "diff.patch"
    git(tmp_path, "clone", "-q", str(project), str(tmp_path / "clone"))
    git(tmp_path / "clone", "apply", "--binary", str(patch))
    for name in ("mine.py", "picture.bin", "new module.py"):
        assert (tmp_path / "clone" / name).read_bytes() == (project / name).read_bytes()


def test_keeping_leaves_the_index_as_it_was(project: Path, tmp_path: Path) -> None:
    status, before = git(project, "status", "--porcelain"), (project / ".git/index").read_bytes()
    kept(tmp_path, project)
    assert (project / ".git/index").read_bytes() == before
    assert git(project, "status", "--porcelain") == status


SECRETS = (".env", ".env.local", "prod.env", "server.pem", "id_rsa", "secrets.py", ".aws/config")


@pytest.mark.parametrize("is_tracked", [False, True])
@pytest.mark.parametrize("name", [*SECRETS, "local.py", "a.secret.py"])
def test_secrets_and_what_git_ignores_are_kept_nowhere(
    project: Path, tmp_path: Path, name: str, is_tracked: bool
) -> None:
    is_ignored = name not in SECRETS
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("x = 1\n")
    if is_tracked and not is_ignored:
        git(project, "add", "-f", name)
        git(project, "commit", "-q", "-m", "a mistake", name)
    (project / name).write_text("password = 'hunter2'\n")
    found = gather(project, ["mine"], [])
    stored = b"".join([*found.files.values(), *found.diffs.values()])
    assert b"hunter2" not in stored and b"new = True" in stored
    assert is_ignored or "secret" in found.left_out[f"0/{name}"]


def test_large_new_files_are_left_out_and_named(project: Path) -> None:
    (project / "fits.py").write_bytes(b"#" * LARGEST)
    (project / "large.py").write_bytes(b"#" * (LARGEST + 1))
    found = gather(project, ["mine"], [])
    assert found.left_out == {"0/large.py": "larger than 1 MiB"}
    assert "0/fits.py" in found.files and b"large.py" not in found.diffs["diff.patch"]


def test_runs_and_environments_are_left_out_although_git_ignores_neither(project: Path) -> None:
    for name in ("runs/one", ".venv/lib", "venv/lib"):
        (project / name).mkdir(parents=True)
        (project / name / "inside.py").write_text("inside = 1\n")
    found = gather(project, ["mine"], [project / "runs"])
    assert b"inside" not in found.diffs["diff.patch"]
    assert sorted(found.files) == ["0/mine.py", "0/new module.py"]


def test_before_the_first_commit_everything_is_in_the_diff(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "mine.py").write_text("rate = 1\n")
    found = gather(tmp_path, ["mine"], [])
    assert found.roots[0]["commit"] == "" and b"+rate = 1" in found.diffs["diff.patch"]


def test_outside_a_repository_python_below_the_folder_is_kept(tmp_path: Path) -> None:
    for name in ("mine.py", "inner/deep.py", "runs/x.py", ".hidden/x.py", "data.yaml", ".env.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    environment = tmp_path / "tools"
    environment.mkdir()
    (environment / "pyvenv.cfg").write_text("")
    (environment / "x.py").write_text("")
    found = gather(tmp_path, ["mine"], [tmp_path / "runs"])
    assert sorted(found.files) == ["0/inner/deep.py", "0/mine.py"]
    assert (found.diffs, found.paths) == ({}, ["0"])


def test_outside_a_repository_a_folder_without_the_sweep_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "diary_of_mine.py").write_text("diary = 1\n")
    found = gather(tmp_path, ["tests.raysearch.searches.sweeps"], [])
    assert "0/tests/raysearch/searches/sweeps.py" in found.files
    assert not any("diary_of_mine" in name for name in found.files)


def test_what_was_imported_from_a_folder_inside_is_found_there_again(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "mine.py").write_text("")
    (tmp_path / "other.py").write_text("")
    found = gather(tmp_path / "work", ["mine"], [])
    assert (found.paths, sorted(found.files)) == (["0/work"], ["0/other.py", "0/work/mine.py"])


def test_the_same_code_is_kept_once(project: Path, tmp_path: Path) -> None:
    first, _ = kept(tmp_path, project)
    again, _ = kept(tmp_path, project, known=first)
    assert again == first and len(list((tmp_path / "code").iterdir())) == 1


def test_a_commit_of_what_was_kept_is_no_other_code(project: Path, tmp_path: Path) -> None:
    first, _ = kept(tmp_path, project)
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "two")
    assert kept(tmp_path, project, known=first)[0] == first


def test_other_code_is_another_snapshot_and_named(project: Path, tmp_path: Path) -> None:
    first, _ = kept(tmp_path, project)
    (project / "mine.py").write_text("rate = 3\n")
    other, _ = kept(tmp_path, project, known=first)
    assert other.source != first.source and other.versions == first.versions
    assert snapshot.changed(tmp_path, first.snapshot, other.snapshot) == "mine.py"


@pytest.mark.parametrize("name", ["source.zip", "diff.patch", "versions.json", "manifest.json"])
@pytest.mark.parametrize("how", ["is missing", "was changed"])
def test_check_finds_a_damaged_snapshot(project: Path, tmp_path: Path, name: str, how: str) -> None:
    store, folder = Store(f"sqlite:///{tmp_path / 'raysearch.db'}"), tmp_path / "runs" / "one"
    code, _ = kept(folder, project)
    store.create("one", streams.spec(search="one", code=to_plain(code)))
    assert audit(store, "one", folder, "none", []) == []
    file = folder / "code" / code.snapshot / name
    file.unlink() if how == "is missing" else file.write_bytes(file.read_bytes() + b" ")
    found = [str(one) for one in audit(store, "one", folder, "none", [])]
    assert found == [f"search: code: {code.snapshot}: {name} {how}"]
    with pytest.raises(ValueError, match=f"is damaged: {name} {how}"):
        snapshot.unpack(folder, code.snapshot, tmp_path / "there")


def test_a_damaged_snapshot_is_kept_anew(project: Path, tmp_path: Path) -> None:
    first, _ = kept(tmp_path, project)
    (tmp_path / "code" / first.snapshot / "source.zip").unlink()
    assert kept(tmp_path, project, known=first)[0] == first
    assert snapshot.damage(tmp_path, first.snapshot) == []


def test_the_archive_depends_on_contents_alone(project: Path, tmp_path: Path) -> None:
    first, _ = kept(tmp_path, project)
    os.utime(project / "mine.py", (1, 1))
    time.sleep(0.01)
    assert kept(tmp_path / "other", project)[0] == first
    archive = (tmp_path / "code" / first.snapshot / "source.zip").read_bytes()
    assert zipfile.ZipFile(io.BytesIO(archive)).testzip() is None


def test_packages_are_those_of_importlib() -> None:
    from importlib.metadata import version

    found = packages()
    for name in ("torch", "ray", "optuna", "scikit-learn", "typing-extensions"):
        assert found[name] == version(name)


def test_only_listed_variables_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    found = current_environment(2)
    assert found["environment"]["PYTHONHASHSEED"] == "7" and found["threads"] == 2
    assert "hunter2" not in json.dumps(found)


def test_differences_name_what_is_another_then_and_now() -> None:
    then = {"python": "3.11.1", "threads": 2, "packages": {"torch": "2.1", "old": "1"}}
    now = {"python": "3.11.1", "threads": 4, "packages": {"torch": "2.2", "old": "1", "new": "3"}}
    expected = [("threads", "2", "4"), ("new", "absent", "3"), ("torch", "2.1", "2.2")]
    assert differences(then, now) == expected


def test_keeping_asks_git_as_often_for_many_files_as_for_few_and_reads_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, opened = list[str](), list[Path]()
    ask, read = subprocess.run, Path.read_bytes

    def counted_ask(command: list[str], **options: Any) -> Any:
        asked.append(" ".join(command))
        return ask(command, **options)

    def counted_read(path: Path) -> bytes:
        opened.append(path)
        return read(path)

    counts = list[int]()
    for number in (1, 200):
        folder = tmp_path / str(number)
        folder.mkdir()
        for each in range(number):
            (folder / f"a{each}.py").write_text(f"x = {each}")
        ask(["git", "init", "-q", str(folder)], check=True)
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "run", counted_ask)
            patch.setattr(Path, "read_bytes", counted_read)
            snapshot.keep(tmp_path / f"kept-{number}", folder, ["a0"], [], 1)
        ours = [path for path in opened if path.is_relative_to(folder)]
        assert sorted(ours) == sorted(folder.glob("*.py"))
        counts.append(len([each for each in asked if each.startswith("git ")]))
        asked.clear()
        opened.clear()
    assert counts[0] == counts[1] > 0
