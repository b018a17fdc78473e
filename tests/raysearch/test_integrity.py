"""The digest of a checkpoint: no change of a file or a folder goes unseen."""

from __future__ import annotations

import hashlib
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysearch.integrity import damage, digest, size_of

CONTENT = bytes(range(256)) * 9


def saved(folder: Path) -> Path:
    """A checkpoint as libraries write them into a folder."""
    (folder / "shards/empty").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    for number in range(3):
        (folder / f"shards/{number}.bin").write_bytes(CONTENT[number:])
    return folder


def test_the_digest_of_a_file_is_its_size_and_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    assert digest(tmp_path / "a") == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def test_equal_folders_have_equal_digests_wherever_they_lie(tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one"), saved(tmp_path / "other")
    assert digest(one) == digest(other)
    assert digest(one).bytes == size_of(one) == 2 + 3 * len(CONTENT) - 3


@pytest.mark.parametrize("seed", range(40))
def test_a_single_flipped_bit_is_seen(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    folder = saved(tmp_path / "one")
    known = digest(folder)
    file = draw.choice([path for path in sorted(folder.rglob("*")) if path.is_file()])
    content = bytearray(file.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    times = file.stat()
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert damage(folder, *known) == "was changed after it was reported: its SHA-256 is another"


def rename(folder: Path) -> None:
    (folder / "config.json").rename(folder / "Config.json")


def swap(folder: Path) -> None:
    one, other = folder / "shards/0.bin", folder / "shards/1.bin"
    texts = one.read_bytes(), other.read_bytes()
    one.write_bytes(texts[1])
    other.write_bytes(texts[0])


def move_between(folder: Path) -> None:
    (folder / "shards/0.bin").write_bytes(CONTENT + b"{")
    (folder / "config.json").write_text("}")


def drop_empty(folder: Path) -> None:
    (folder / "shards/empty").rmdir()


def add_empty(folder: Path) -> None:
    (folder / "more").touch()


def cut(folder: Path) -> None:
    os.truncate(folder / "shards/2.bin", 0)


def take_away(folder: Path) -> None:
    (folder / "shards/2.bin").unlink()


def become_a_file(folder: Path) -> None:
    folder.rename(folder.with_name("gone"))
    folder.write_bytes(b"x" * size_of(folder.with_name("gone")))


def link(folder: Path) -> None:
    (folder / "latest").symlink_to("shards")


CHANGES = [rename, swap, move_between, drop_empty, add_empty, cut, take_away, become_a_file, link]


@pytest.mark.parametrize("change", CHANGES)
def test_every_other_change_of_a_folder_is_seen(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = saved(tmp_path / "one")
    known = digest(folder)
    assert damage(folder, *known) == ""
    change(folder)
    assert damage(folder, *known) != ""


def test_what_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.pt"
    assert damage(file, 3, None) == "is gone"
    file.write_bytes(b"")
    assert damage(file, 3, None) == "has 0 bytes, it had 3 when it was reported"
    file.write_bytes(b"abc")
    assert damage(file, 3, None) == damage(file, None, None) == ""
    with socket.socket(socket.AF_UNIX) as bound:
        monkeypatch.chdir(tmp_path)  # a socket's address may not be long
        (tmp_path / "b").mkdir()
        bound.bind("b/s")
        assert "b/s is neither a file nor a folder but a socket" in damage(tmp_path / "b", 0, "")


@settings(deadline=None, max_examples=25)
@given(st.dictionaries(st.text("ab/\0", min_size=1, max_size=4), st.binary(max_size=3), max_size=4))
def test_two_folders_of_one_digest_are_equal(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    """By the digest of the listing, which has each name and content exactly once."""
    folder = tmp_path_factory.mktemp("one")
    written: dict[str, bytes] = {}
    for name, content in files.items():
        path = folder / name.replace("/", "_").replace("\0", "-")
        path.write_bytes(content)
        written[path.name] = content
    listing = b"".join(
        b"\0".join(
            [name.encode(), str(len(c)).encode(), hashlib.sha256(c).hexdigest().encode(), b""]
        )
        for name, c in sorted(written.items())
    )
    assert digest(folder).sha256 == hashlib.sha256(listing).hexdigest()
