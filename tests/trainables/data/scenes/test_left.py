"""Of cropped pictures only the objects that are left count, in stores of any age."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainables.data.scenes import written
from tests.trainables.data.scenes.test_clevr import clevr
from tests.trainables.data.scenes.test_clips import clips
from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.left import FILE, left
from trainables.data.scenes.prepare import prepare
from trainables.data.scenes.store import (
    MANIFEST,
    Scenes,
    Shards,
    Store,
    check,
    open_store,
    positions_with,
)
from trainables.synthetic import clevr as making

NAME, COUNT = "clevr_with_masks", 20
CROPPED = ["centre", "google", "square"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty scenes of 40 × 53 pixels."""
    root = tmp_path_factory.mktemp("data")
    scenes = (making.scene(0, index, image_size=40) for index in range(COUNT))
    file = "clevr_with_masks_train.tfrecords"
    written.write(root / NAME / file, scenes)
    return root


def prepared(root: Path, crop: str) -> Store:
    return open_store(prepare(SCENE_SETS[NAME], root, image_size=32, crop=crop))


def parts(store: Store) -> list[tuple[Scenes, int, Any]]:
    """Each scene: its split, its position, its labels."""
    return [
        (scenes, position, scenes.labels(np.array([position]))[0])
        for scenes in store.splits.values()
        for position in range(len(scenes))
    ]


@pytest.mark.parametrize("crop", CROPPED)
def test_what_counts_is_what_the_labels_show(root: Path, crop: str) -> None:
    store, whole = prepared(root, crop), prepared(root, "whole")
    gone = 0
    for (scenes, at, labels), (before, _, _) in zip(parts(store), parts(whole), strict=True):
        seen = sorted({*labels.ravel().tolist()} - {0})
        visible = scenes.fields["visibility"][at]
        assert np.flatnonzero(visible[1:]).tolist() == [number - 1 for number in seen]
        assert scenes.counts[at] == len(seen) and visible[0] == before.fields["visibility"][at][0]
        gone += int(before.counts[at]) - len(seen)
        assert np.array_equal(scenes.fields["x"][at], before.fields["x"][at])
    assert gone > 0
    assert not store.splits["train"].counts.flags.writeable


def test_scenes_are_chosen_by_what_is_left(root: Path) -> None:
    train = prepared(root, "centre").splits["train"]
    for number in range(11):
        for position in positions_with(train, number, number):
            shown = np.unique(train.labels(np.array([position])))
            assert np.count_nonzero(shown) == number


@pytest.mark.parametrize("crop", ["none", "whole"])
def test_whole_pictures_are_counted_as_their_files_say(root: Path, crop: str) -> None:
    store = prepared(root, crop)
    stored = np.load(store.folder / "field-counts.npy")
    counts = np.concatenate([scenes.counts for scenes in store.splits.values()])
    assert np.array_equal(stored, counts) and not (store.folder / FILE).exists()


def test_a_whole_picture_is_stored_in_its_proportions(root: Path) -> None:
    store = prepared(root, "whole")
    train = store.splits["train"]
    assert store.manifest["image"] == [32, 42, 3]
    assert train.images(np.array([0])).shape == (1, 32, 42, 3)
    assert train.labels(np.array([0])).shape == (1, 32, 42)
    assert store.folder.name == "clevr_with_masks-32-whole-nearest"


def test_a_store_of_earlier_is_counted_when_it_is_opened(root: Path) -> None:
    """Nothing of it changes, and it needs not be prepared again."""
    folder = prepared(root, "google").folder
    (folder / FILE).unlink()  # as it was left by earlier versions
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    counts = open_store(folder).splits["train"].counts
    assert np.array_equal(counts, prepared(root, "google").splits["train"].counts)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after.keys() - before.keys() == {FILE}
    assert all(after[name] == content for name, content in before.items())
    assert list(check(folder)) == []


def test_a_store_that_cannot_be_written_to_is_counted_all_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared(root, "square").folder
    wanted = open_store(folder).splits["train"].counts
    (folder / FILE).unlink()

    def refuse(*paths: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    assert np.array_equal(open_store(folder).splits["train"].counts, wanted)
    assert not (folder / FILE).exists() and not list(folder.glob(".*"))


@pytest.mark.parametrize("kind", ["other", "cut", "empty"])
def test_what_is_kept_and_wrong_is_found(root: Path, tmp_path: Path, kind: str) -> None:
    folder = prepared(root, "centre").folder
    whole = (folder / FILE).read_bytes()
    try:
        if kind == "other":
            np.save(folder / FILE, ~np.load(folder / FILE))
        else:
            (folder / FILE).write_bytes(whole[: len(whole) // 2] if kind == "cut" else b"")
        [sentence] = check(folder)
        assert sentence == f"{folder / FILE} was changed; delete it: it is made again"
        if kind != "other":
            with pytest.raises(ValueError, match="is damaged"):
                open_store(folder)
    finally:
        (folder / FILE).write_bytes(whole)


def test_objects_of_frames_are_counted_in_each_frame(tmp_path: Path) -> None:
    store = open_store(prepare(SCENE_SETS["movi_c"], clips(tmp_path), image_size=8, crop="centre"))
    for scenes, at, labels in parts(store):
        assert scenes.counts[at] == np.count_nonzero(np.unique(labels))


def test_without_labels_all_objects_count(tmp_path: Path) -> None:
    clevr(tmp_path / "clevr", 8, 3)
    folder = prepare(SCENE_SETS["clevr"], tmp_path, image_size=8, crop="square")
    store, stored = open_store(folder), np.load(folder / "field-counts.npy")
    counts = [scenes.counts for scenes in store.splits.values()]
    assert np.concatenate(counts).sum() == stored.sum() and not (folder / FILE).exists()


def test_a_manifest_that_says_nothing_of_a_crop_is_of_whole_pictures(root: Path) -> None:
    folder = prepared(root, "centre").folder
    manifest = (folder / MANIFEST).read_text()
    try:
        (folder / MANIFEST).write_text(json.dumps({**json.loads(manifest), "settings": {}}))
        counts = open_store(folder).splits["train"].counts
        assert np.array_equal(counts, np.load(folder / "field-counts.npy")[: len(counts)])
    finally:
        (folder / MANIFEST).write_text(manifest)


def test_labels_are_looked_at_from_shard_to_shard() -> None:
    labels = np.random.default_rng(0).integers(0, 9, (50, 2, 3), np.uint8)
    shards = Shards(np.split(labels, [7, 8, 30]))
    found = left(shards, 8)
    for scene, own in zip(labels, found, strict=True):
        assert own.tolist() == [number in scene for number in range(1, 9)]
