"""The package of a working tree: what is in it, what is refused, where it may write."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from raysearch.errors import BadSetting
from raysearch.provenance import archive
from raysearch.provenance.archive import pack
from raysearch.provenance.origin import GIT_STATE, git_state
from raysearch.provenance.unarchive import unpack


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def git(folder: Path, *arguments: str) -> None:
    named = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", str(folder), *named, *arguments], check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with a tracked, a new, an ignored, a deleted file and a folder of runs."""
    folder = tmp_path / "tree"
    write(folder, a_py="a = 1", gone_py="", package__b_py="b = 1")
    (folder / ".gitignore").write_text("big\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    (folder / "gone.py").unlink()
    write(folder, new_py="new = 1", big__data="x" * 1000, runs__one__log="x")
    return folder


def test_what_git_tracks_and_what_is_new_is_packed_and_nothing_else(tree: Path) -> None:
    assert pack(tree).names == {".gitignore", "a.py", "package/b.py", "new.py"}


def test_what_promises_a_secret_is_sent_only_if_git_tracks_it(tree: Path, tmp_path: Path) -> None:
    write(tree, **{".env": "KEY=1", "keys__id_rsa": "x"})
    assert not {".env", "keys/id_rsa"} & pack(tree).names
    write(tmp_path / "plain", **{".env": "KEY=1", "a_py": ""})
    assert pack(tmp_path / "plain").names == {"a.py"}
    git(tree, "add", ".env")
    assert ".env" in pack(tree).names


def test_the_same_files_are_the_same_package_wherever_and_whenever(tree: Path) -> None:
    first = pack(tree)
    for path in tree.rglob("*.py"):
        path.touch()
    assert pack(tree.rename(tree.with_name("moved"))) == first


def test_a_package_says_what_git_said_where_it_was_made(tree: Path, tmp_path: Path) -> None:
    unpack(pack(tree).content, tmp_path / "there")
    assert git_state(tmp_path / "there") == git_state(tree)
    assert len(json.loads((tmp_path / "there" / GIT_STATE).read_text())["commit"]) == 40


def test_without_a_repository_all_is_packed_but_what_is_no_code(tmp_path: Path) -> None:
    write(tmp_path, a_py="", runs__x="", **{".venv__x": "", "p____pycache__x": "", "p__c_py": ""})
    (tmp_path / "p" / "__pycache__").mkdir(exist_ok=True)
    (tmp_path / "p" / "__pycache__" / "c.pyc").write_text("")
    assert {"a.py", "p/c.py"} <= pack(tmp_path).names
    assert not [name for name in pack(tmp_path).names if "runs" in name or "venv" in name]
    assert "p/__pycache__/c.pyc" not in pack(tmp_path).names


def test_what_was_packed_comes_out_as_it_was(tree: Path, tmp_path: Path) -> None:
    (tree / "tool.sh").write_text("#!/bin/sh\n")
    (tree / "tool.sh").chmod(0o755)
    unpack(pack(tree).content, tmp_path / "there")
    assert (tmp_path / "there" / "package" / "b.py").read_text() == "b = 1"
    assert (tmp_path / "there" / "tool.sh").stat().st_mode & 0o777 == 0o755


def test_a_tree_that_is_too_large_is_refused_naming_the_largest(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tree, large_py="x" * 2000)
    monkeypatch.setattr(archive, "LIMIT", sum(map(len, ("a = 1", "b = 1", "new = 1", "big\n"))))
    with pytest.raises(ValueError, match=r"at most 0 MiB .*the largest large.py .*have git ignore"):
        pack(tree)
    (tree / "large.py").unlink()
    assert pack(tree).names


def test_a_link_out_of_the_tree_is_refused(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tree / "leak").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="leak is a link out of .*secret"):
        pack(tree)


def test_a_link_to_a_folder_out_of_the_tree_is_refused_without_a_repository(tmp_path: Path) -> None:
    write(tmp_path, tree__a_py="", other__b="")
    (tmp_path / "tree" / "data").symlink_to(tmp_path / "other")
    with pytest.raises(ValueError, match="data is a link out of"):
        pack(tmp_path / "tree")


def test_a_link_to_nothing_is_refused(tree: Path) -> None:
    (tree / "broken").symlink_to(tree / "nowhere")
    with pytest.raises(ValueError, match="broken is a link to nothing"):
        pack(tree)


def test_links_within_the_tree_are_packed_as_what_they_point_to(tree: Path, tmp_path: Path) -> None:
    (tree / "same.py").symlink_to("a.py")
    (tree / "folder").symlink_to("package")
    (tree / "package" / "round").symlink_to("..")  # must not go round for ever
    unpack(pack(tree).content, tmp_path / "there")
    assert (tmp_path / "there" / "same.py").read_text() == "a = 1"
    assert (tmp_path / "there" / "folder" / "b.py").read_text() == "b = 1"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..\\x", ""])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("placeholder"), "x")
    content = buffer.getvalue().replace(b"placeholder", name.encode().ljust(11, b"/")[:11])
    with pytest.raises(ValueError, match="plain files below its folder|cannot be unpacked"):
        unpack(content, tmp_path / "there")
    assert not (tmp_path / "x").exists()


def test_a_link_in_a_package_is_refused(tmp_path: Path) -> None:
    buffer, entry = io.BytesIO(), zipfile.ZipInfo("link")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(ValueError, match="plain files below its folder, got 'link'"):
        unpack(buffer.getvalue(), tmp_path)


def test_a_package_that_grows_too_large_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("zeros", "w") as file:
            for _ in range(102):
                file.write(bytes(1 << 20))
    assert len(buffer.getvalue()) < 1 << 20
    with pytest.raises(ValueError, match="at most 100 MiB"):
        unpack(buffer.getvalue(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_no_zip_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the package cannot be unpacked"):
        unpack(b"hello", tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "\xff"])
def test_a_state_that_is_none_is_refused_where_it_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / GIT_STATE).write_bytes(text.encode("latin-1"))
    with pytest.raises(BadSetting, match=f"{GIT_STATE} must be as it was sent"):
        git_state(tmp_path)
