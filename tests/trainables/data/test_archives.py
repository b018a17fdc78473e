"""Archives: what is in them comes out, below their folder, or nothing does."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from trainables.data.archives import is_archive, unpack


def tar(path: Path, entry: tarfile.TarInfo, packing: str = "w:gz") -> None:
    with tarfile.open(path, packing) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        good = tarfile.TarInfo("in/good.txt")
        good.size = 4
        archive.addfile(good, io.BytesIO(b"good"))
        archive.addfile(entry, io.BytesIO(bytes(entry.size)))


def member(name: str, **fields: object) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(entry, key, value)
    return entry


BAD: dict[str, Callable[[Path], tarfile.TarInfo]] = {
    "parent": lambda out: member("../out.txt", size=3),
    "parent inside": lambda out: member("in/../../out.txt", size=3),
    "absolute": lambda out: member(str(out), size=3),
    "symbolic link": lambda out: member("in/link", type=tarfile.SYMTYPE, linkname=str(out.parent)),
    "hard link": lambda out: member("in/link", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "device": lambda out: member("in/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    "pipe": lambda out: member("in/pipe", type=tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_tar_that_reaches_outside_is_refused_whole(tmp_path: Path, kind: str) -> None:
    path, out = tmp_path / "a.tar.gz", tmp_path / "out.txt"
    tar(path, BAD[kind](out))
    with pytest.raises(
        ValueError, match="a.tar.gz must (not write outside|hold files and folders)"
    ):
        unpack(path, tmp_path / "deep" / "target")
    assert not out.exists() and list((tmp_path / "deep").iterdir()) == []


@pytest.mark.parametrize("name", ["../out.txt", "in/../../out.txt", "/tmp/out.txt", "..\\out.txt"])
def test_a_zip_that_reaches_outside_is_refused_whole(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("good.txt", "good")
        archive.writestr(name, "bad")
    with pytest.raises(ValueError, match="a.zip must not write outside its folder"):
        unpack(tmp_path / "a.zip", tmp_path / "deep" / "target")
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc")
    with pytest.raises(ValueError, match="its entry 'link' is a link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "target")


@pytest.mark.parametrize("packing", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_what_is_in_it_comes_out(tmp_path: Path, packing: str) -> None:
    path = tmp_path / "archive"
    if packing == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("in/good.txt", "good")
    else:
        tar(path, member("in/empty", type=tarfile.DIRTYPE), packing)
    assert is_archive(path)
    unpack(path, tmp_path / "target")
    assert (tmp_path / "target/in/good.txt").read_text() == "good"


def test_a_program_in_it_is_none_any_more(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", member("run", size=3, mode=0o6777))
    unpack(tmp_path / "a.tar", tmp_path / "target")
    assert (tmp_path / "target/run").stat().st_mode & 0o7022 == 0


def test_damage_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar.gz", member("big", size=100_000))
    raw = (tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ValueError, match="a.tar.gz cannot be unpacked"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar.gz", member("x", size=1))
    (tmp_path / "target").mkdir()
    with pytest.raises(ValueError, match="target must not be there yet"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "target")
