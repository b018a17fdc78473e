"""The arrays made of a set: exact, made once, whole or not there, mapped read-only."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.data.cache import Cached, cached, identity
from trainables.data.parts import Part

SHAPE = (2, 5, 4)


def pieces(seed: int = 0) -> Iterator[tuple[Any, Any]]:
    for size in (3, 1, 7):
        draw = np.random.RandomState(seed + size)
        yield draw.randint(0, 256, (size, *SHAPE)).astype(np.uint8), np.arange(size) % 3


def make(root: Path, parts: list[Part] | None = None, print_: str = "abc") -> Cached:
    given = parts or [Part("train", SHAPE, pieces()), Part("test", SHAPE, pieces(9))]
    return cached(root, "toys", print_, 3, lambda: given)


def test_it_holds_what_the_pieces_held(tmp_path: Path) -> None:
    found = make(tmp_path).parts["train"]
    images, labels = (np.concatenate(one) for one in zip(*pieces(), strict=True))
    assert np.array_equal(found.images, images) and np.array_equal(found.labels, labels)
    numbers = images.astype(np.int64).reshape(11, 2, -1)
    assert np.array_equal(found.sums, np.stack([numbers.sum(2), (numbers**2).sum(2)], 2))


def test_the_fingerprint_is_the_hash_of_pixels_and_labels(tmp_path: Path) -> None:
    digest = hashlib.sha256()
    for seed in (0, 9):
        images, labels = (np.concatenate(one) for one in zip(*pieces(seed), strict=True))
        digest.update(images.tobytes() + labels.astype(np.int64).tobytes())
    assert make(tmp_path).fingerprint == digest.hexdigest()[:16]


def test_it_is_made_once_and_mapped_after_that(tmp_path: Path) -> None:
    first = make(tmp_path)
    again = cached(tmp_path, "toys", "abc", 3, lambda: pytest.fail("made twice"))
    assert isinstance(again.parts["train"].images, np.memmap)
    assert not again.parts["train"].images.flags.writeable
    assert again.fingerprint == first.fingerprint


def test_another_identity_is_another_folder(tmp_path: Path) -> None:
    assert make(tmp_path, print_="abc").folder != make(tmp_path, print_="abd").folder


def test_the_identity_sees_each_file_and_fact(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    first = identity([path], 32)
    assert first == identity([path], 32) != identity([path], 64)
    os.utime(path, ns=(1, 1))
    assert identity([path], 32) != first
    assert identity([path, path], 32) != identity([path], 32)


def test_what_fails_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[Any, Any]]:
        yield from pieces()
        raise ValueError("image 12 is broken")

    with pytest.raises(ValueError, match="image 12 is broken"):
        make(tmp_path, [Part("train", SHAPE, broken())])
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".toys.lock"]
    assert len(make(tmp_path).parts["train"].labels) == 11


def test_what_a_killed_process_left_is_made_anew(tmp_path: Path) -> None:
    whole = make(tmp_path)
    (whole.folder / "manifest.json").unlink()
    (tmp_path / "cache" / ".toys-abc.unfinished").mkdir()
    (tmp_path / "cache" / ".toys-abc.unfinished" / "train-images.npy").write_bytes(b"half")
    assert make(tmp_path).fingerprint == whole.fingerprint
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [
        ".toys.lock",
        "toys-abc",
    ]


@pytest.mark.parametrize(
    ("labels", "words"), [([0, 3], "must be 0…2, got 0…3"), ([], "must hold images")]
)
def test_labels_out_of_range_and_no_images_are_refused(
    tmp_path: Path, labels: list[int], words: str
) -> None:
    images = np.zeros((len(labels), *SHAPE), np.uint8)
    with pytest.raises(ValueError, match=words):
        make(tmp_path, [Part("train", SHAPE, [(images, np.array(labels))])])


def test_a_root_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="data.root must be a folder that can be written"):
        make(tmp_path / "file")


@pytest.mark.parametrize("damage", ["short", "gone", "shape"])
def test_damaged_arrays_are_named(tmp_path: Path, damage: str) -> None:
    path = make(tmp_path).folder / "train-images.npy"
    if damage == "gone":
        path.unlink()
    elif damage == "short":
        path.write_bytes(path.read_bytes()[:-50])
    else:
        np.save(path, np.zeros((10, *SHAPE), np.uint8))
    with pytest.raises(ValueError, match="toys-abc is damaged .* delete it: it is made again"):
        make(tmp_path)


def _racer(root: str, line: Any) -> None:
    def count() -> list[Part]:
        with open(f"{root}/made", "a") as file:
            file.write(f"{os.getpid()}\n")
        return [Part("train", SHAPE, pieces())]

    line.wait()
    found = cached(Path(root), "toys", "abc", 3, count)
    assert len(found.parts["train"].labels) == 11


@pytest.mark.slow
def test_of_four_processes_one_makes_it_and_all_have_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    line = context.Barrier(4)
    racers = [context.Process(target=_racer, args=(str(tmp_path), line)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0, 0, 0, 0]
    assert len((tmp_path / "made").read_text().splitlines()) == 1


def test_the_manifest_has_the_checksum_of_each_file(tmp_path: Path) -> None:
    folder = make(tmp_path).folder
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert files.keys() == {path.name for path in folder.glob("*.npy")}
    for name, checksum in files.items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert checksum == f"sha256:{found}"
