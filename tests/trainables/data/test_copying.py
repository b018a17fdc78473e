"""Copies on the own disk of a node: whole or not at all, one for all, refused in a sentence."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.data import files
from tests.trainables.data.scenes.test_writing import written as write_store
from trainables.core.training import ExperimentConfig
from trainables.data.cache import beside
from trainables.data.catalog import MNIST
from trainables.data.copying import copied
from trainables.data.detection.catalog import TINY
from trainables.data.detection.store import open_set
from trainables.data.images import MappedSplit, load
from trainables.data.scenes.left import FILE
from trainables.data.scenes.store import open_store
from trainables.detr.config import Detection
from trainables.osc.config import Representation
from trainables.slots.config import Discovery
from trainables.ssl.config import Pretraining, Segmentation, Supervised
from trainables.synthetic.catalog import MAKERS

NAMES = ["a.npy", "inside/b.npy"]
CODE = """
import sys
from pathlib import Path
from trainables.data.copying import copied
found = copied(Path(sys.argv[1]), ["large.npy"], sys.argv[2])
print((found / "large.npy").stat().st_ino)
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "far" / "set"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 1000)
    (folder / "other").write_text("not asked for")
    return folder


def test_a_copy_has_the_files_that_are_asked_for_and_no_others(
    source: Path, tmp_path: Path
) -> None:
    found = copied(source, NAMES, tmp_path / "near")
    there = {one.relative_to(found).as_posix() for one in found.rglob("*") if one.is_file()}
    assert there == set(NAMES) and found.name == source.name and found != source
    assert all((found / name).read_bytes() == (source / name).read_bytes() for name in NAMES)
    assert copied(source, NAMES, None) == source


def test_it_is_used_again_until_the_set_is_another(source: Path, tmp_path: Path) -> None:
    first = copied(source, NAMES, tmp_path / "near")
    made = (first / "a.npy").stat()
    again = copied(source, NAMES, tmp_path / "near")
    assert again == first and (again / "a.npy").stat() == made
    (source / "a.npy").write_bytes(b"new")
    other = copied(source, NAMES, tmp_path / "near")
    assert other != first and (other / "a.npy").read_bytes() == b"new"


def test_what_was_swept_away_is_copied_again(source: Path, tmp_path: Path) -> None:
    found = copied(source, NAMES, tmp_path / "near")
    (found / NAMES[1]).unlink()
    assert copied(source, NAMES, tmp_path / "near") == found
    assert (found / NAMES[1]).read_bytes() == (source / NAMES[1]).read_bytes()


def test_bytes_that_are_not_those_of_the_set_leave_nothing(source: Path, tmp_path: Path) -> None:
    right = f"sha256:{hashlib.sha256((source / 'a.npy').read_bytes()).hexdigest()}"
    checks = {"a.npy": right, NAMES[1]: "sha256:0"}
    with pytest.raises(ValueError, match=r"b\.npy was changed; delete .*set: it is made again"):
        copied(source, NAMES, tmp_path / "near", checks)
    assert not [one for one in (tmp_path / "near").rglob("*.npy")]
    copied(source, NAMES[:1], tmp_path / "near", checks)


def test_a_disk_without_room_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum((source / name).stat().st_size for name in NAMES)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(free=math.ceil(size * 1.05) - 1)
    )
    with pytest.raises(ValueError, match=r"data.copy_to must be on a disk with .* GB free for a"):
        copied(source, NAMES, tmp_path / "near")
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(free=math.ceil(size * 1.05))
    )
    assert copied(source, NAMES, tmp_path / "near").is_dir()


def test_a_place_that_is_none_is_named(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="data.copy_to must be a folder that can be written"):
        copied(source, NAMES, tmp_path / "file")
    with pytest.raises(LookupError, match=r"none\.npy must be there to be copied"):
        copied(source, ["none.npy"], tmp_path / "near")


@pytest.mark.slow
def test_trials_that_begin_at_once_share_one_copy(tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.mkdir()
    (far / "large.npy").write_bytes(os.urandom(1 << 23))
    program = [sys.executable, "-c", CODE, str(far), str(tmp_path / "near")]
    started = [subprocess.Popen(program, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    inodes = {one.communicate()[0] for one in started}
    assert len(inodes) == 1 and all(one.returncode == 0 for one in started)
    assert len(list((tmp_path / "near").rglob("*.npy"))) == 1


def test_images_are_mapped_from_the_copy_and_are_the_same(tmp_path: Path) -> None:
    files.write_mnist(tmp_path / "mnist")
    far, near = (load(MNIST, root=tmp_path, copy_to=to) for to in (None, str(tmp_path / "near")))
    assert isinstance(far.train, MappedSplit) and isinstance(near.train, MappedSplit)
    mapped: Any = near.train.part.images
    assert str(tmp_path / "near") in str(mapped.filename)
    assert far.fingerprint == near.fingerprint
    places = torch.arange(len(far.train))
    assert torch.equal(far.train.take(places), near.train.take(places))


def test_scenes_are_mapped_from_the_copy_with_what_a_crop_has_left(tmp_path: Path) -> None:
    folder = write_store(tmp_path / "toys")
    np.save(folder / FILE, np.ones((3, 2), bool))
    far, near = open_store(folder), open_store(folder, str(tmp_path / "near"))
    assert near.folder.is_relative_to(tmp_path / "near") and (near.folder / FILE).is_file()
    assert near.folder.name == folder.name and near.fingerprint == far.fingerprint
    places = np.arange(3)
    for split in ("train", "val"):
        one, other = far.splits[split], near.splits[split]
        assert (one.images(places) == other.images(places)).all()


def test_pictures_with_boxes_are_decoded_from_the_copy(tmp_path: Path) -> None:
    MAKERS["tiny"].make(
        tmp_path, scenes=16, image_size=32, seed=0, progress=lambda done, all_: None, rules={}
    )
    far = open_set(TINY, tmp_path, image_size=32)
    near = open_set(TINY, tmp_path, image_size=32, copy_to=str(tmp_path / "near"))
    assert near.fingerprint == far.fingerprint and near.folder == far.folder
    for name, split in near.splits.items():
        own = far.split(name)
        for example in range(len(split)):
            assert split.path(example).is_relative_to(tmp_path / "near")
            assert split.path(example).read_bytes() == own.path(example).read_bytes()


KINDS = (Pretraining, Supervised, Segmentation, Discovery, Representation, Detection)


@pytest.mark.parametrize("kind", KINDS)
def test_where_a_copy_lies_changes_no_run(kind: type[ExperimentConfig]) -> None:
    assert kind().with_values({"data.copy_to": "/scratch"}).digest() == kind().digest()


def test_nothing_is_copied_without_a_place(tmp_path: Path) -> None:
    files.write_mnist(tmp_path / "mnist")
    load(MNIST, root=tmp_path)
    from trainables.data import arrays

    made, _ = arrays.made(MNIST, tmp_path, None)
    assert beside(made, None) is made
