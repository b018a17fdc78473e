"""Clips become scenes, one a frame; only what is kept is read, and it is checked."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.scenes import written
from tests.trainables.data.scenes.test_writing import files
from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.choosing import clips as frames_of
from trainables.data.scenes.clips import ClipScenes
from trainables.data.scenes.frames import Frame
from trainables.data.scenes.prepare import prepare
from trainables.data.scenes.store import open_store

SIDE, FRAMES = 16, 3


def png(array: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def arrays(seed: int) -> tuple[Any, Any, Any]:
    """Video [F, S, S, 3], labels [F, S, S], places [O, F, 2] of 3 + seed % 4 objects."""
    draw, objects = np.random.default_rng(seed), 3 + seed % 4
    video = draw.integers(0, 256, (FRAMES, SIDE, SIDE, 3), np.uint8)
    labels = draw.integers(0, objects + 1, (FRAMES, SIDE, SIDE), np.uint8)
    return video, labels, draw.random((objects, FRAMES, 2), np.float32)


def clip(seed: int, **other: Any) -> dict[str, Any]:
    video, labels, places = arrays(seed)
    return {
        "video": [png(frame) for frame in video],
        "segmentations": [png(frame) for frame in labels],
        "metadata/num_instances": np.array([len(places)]),
        "instances/image_positions": places,
        "forward_flow": np.arange(2000),
        "background": [b"a photograph"],
        **other,
    }


def clips(root: Path, **splits: list[int]) -> Path:
    """The record files of a set, each split in two shards."""
    given = splits or {"train": [0, 1, 2], "validation": [3], "test": [4]}
    for split, seeds in given.items():
        for shard in (0, 1):
            name = f"movi_c-{split}.tfrecord-{shard:05d}-of-00002"
            path = root / "movi_c" / name
            written.write(path, [clip(seed) for seed in seeds[shard::2]], packed=False)
    return root


def prepared(root: Path, **options: Any) -> Any:
    return open_store(prepare(SCENE_SETS["movi_c"], root, image_size=SIDE, **options))


def test_frames_of_a_clip_follow_one_another_in_its_split(tmp_path: Path) -> None:
    store = prepared(clips(tmp_path))
    assert {name: len(split) for name, split in store.splits.items()} == {
        "train": 9,
        "val": 3,
        "test": 3,
    }
    for split, first, seed in (("train", 0, 0), ("train", 3, 2), ("train", 6, 1), ("test", 0, 4)):
        video, labels, places = arrays(seed)
        scenes, positions = store.splits[split], np.arange(first, first + FRAMES)
        assert np.array_equal(scenes.images(positions), video)
        assert np.array_equal(scenes.labels(positions), labels)
        found = scenes.fields["image_positions"][positions]
        assert np.array_equal(found[:, : len(places)], places.swapaxes(0, 1))
        assert found.shape == (FRAMES, 10, 2) and not found[:, len(places) :].any()
        assert (scenes.counts[positions] == len(places)).all()
        assert scenes.fields["frame"][positions].tolist() == [0, 1, 2]
    assert store.splits["train"].fields["clip"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_frames_of_a_clip_are_taken_together(tmp_path: Path) -> None:
    store = prepared(clips(tmp_path))
    train = store.splits["train"]
    assert frames_of(train, np.array([7, 3, 8, 4, 6, 5])).tolist() == [[3, 4, 5], [6, 7, 8]]
    assert frames_of(store.splits["val"], np.arange(FRAMES)).tolist() == [[0, 1, 2]]
    with pytest.raises(ValueError, match=r"clips must have equally many frames, .* got \[2, 3\]"):
        frames_of(train, np.arange(5))
    with pytest.raises(ValueError, match=r"at least 2, got \[1\]"):
        frames_of(train, np.array([0, 3]))


def test_pictures_are_resized(tmp_path: Path) -> None:
    clips(tmp_path)
    store = open_store(prepare(SCENE_SETS["movi_c"], tmp_path, image_size=8))
    video, labels, _ = arrays(0)
    found = store.splits["train"]
    assert np.array_equal(found.images(np.array([0]))[0], video[0, ::2, ::2])
    assert np.array_equal(found.labels(np.array([0]))[0], labels[0, ::2, ::2])


def test_the_test_may_be_left_out(tmp_path: Path) -> None:
    store = prepared(clips(tmp_path, train=[0, 1], validation=[2]))
    assert len(store.splits["test"]) == 0 and len(store.splits["val"]) == 3


def test_so_many_clips_are_taken_as_were_told(tmp_path: Path) -> None:
    store = prepared(clips(tmp_path), sizes={"train": 2, "val": 1, "test": 0})
    assert len(store.splits["train"]) == 6 and len(store.splits["test"]) == 0
    assert len(store.manifest["sources"]) == 6


def test_more_clips_than_there_are_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="train must be at most the clips of its files, 3, got 4"):
        prepared(clips(tmp_path), sizes={"train": 4, "val": 1, "test": 0})


@pytest.mark.parametrize("skip", [0, 1, 3, 4, 11, 15])
def test_the_first_frames_can_be_skipped(tmp_path: Path, skip: int) -> None:
    paths = SCENE_SETS["movi_c"].found(clips(tmp_path) / "movi_c")
    source = ClipScenes("movi_c", paths, Frame(SIDE), {}, lambda amount: None)
    pieces = list(source.pieces(skip))
    assert sum(map(len, pieces)) == 15 - skip
    assert source.splits(15) == {"train": (0, 9), "val": (9, 12), "test": (12, 15)}
    if skip == 4:
        assert np.array_equal(pieces[0].images, arrays(2)[0][1:])


def test_shards_that_end_within_clips_are_gone_on_with(tmp_path: Path) -> None:
    from trainables.data.scenes.writing import StoreWriter

    whole = prepare(SCENE_SETS["movi_c"], clips(tmp_path), image_size=SIDE, shard_bytes=3100)
    assert open_store(whole).manifest["shards"] == [4, 4, 4, 3]
    assert StoreWriter(whole, {}).done == 0 and files(whole)


WRONG = [
    ({"metadata/num_instances": np.array([11])}, "must have 0…10 instances, got 11"),
    ({"metadata/num_instances": np.array([2])}, "must have labels 0…2, got 3"),
    ({"metadata/num_instances": np.array([3, 3])}, "one whole number 'metadata/num_instances'"),
    ({"instances/image_positions": np.zeros(5)}, "must be of 18 values, got 5"),
    ({"segmentations": [b"text"] * FRAMES}, "holds a picture that cannot be read"),
    ({"segmentations": [png(arrays(0)[0][0])] * FRAMES}, "must have one channel, and is RGB"),
    ({"segmentations": [png(arrays(0)[1][0])]}, "has 3 pictures and 1 segmentations"),
    ({"video": np.zeros(3, np.int64)}, "has no list of pictures 'video'"),
    ({"video": [png(np.zeros((8, 8, 3), np.uint8))] * FRAMES}, r"has pictures \(8, 8\) and labels"),
]


@pytest.mark.parametrize(("other", "words"), WRONG)
def test_a_wrong_record_is_named(tmp_path: Path, other: dict[str, Any], words: str) -> None:
    clips(tmp_path)
    path = tmp_path / "movi_c/movi_c-train.tfrecord-00000-of-00002"
    written.write(path, [clip(0), clip(0, **other)], packed=False)
    with pytest.raises(ValueError, match=f"{path}: record 1 .*{words}"):
        prepared(tmp_path)


def test_categories_are_counted_from_one(tmp_path: Path) -> None:
    path = tmp_path / "digit_grids-train.tfrecord-00000-of-00001"
    written.write(path, [clip(0, **{"instances/category": np.array([9, 0, 4])})], packed=False)
    [piece] = ClipScenes("digit_grids", [path], Frame(SIDE), {}, lambda amount: None).pieces(0)
    assert piece.fields["digit"].tolist() == [[0, 10, 1, 5, 0, 0, 0, 0, 0, 0]] * FRAMES
    _, labels, _ = arrays(0)
    seen = [np.isin(range(10), frame) for frame in labels]
    assert np.array_equal(piece.fields["visibility"], seen)


@pytest.mark.parametrize(
    ("categories", "said"),
    [
        (np.array([9, 0]), "'instances/category' that must be of 3 whole numbers, got 2 values"),
        (np.array([9.0, 0, 1]), "'instances/category' that must be of 3 whole numbers, got 3"),
        (np.array([9, -1, 1]), "must have categories 0…254, got -1 … 9"),
        (np.array([9, 255, 1]), "must have categories 0…254, got 1 … 255"),
    ],
)
def test_a_category_for_each_instance_is_needed(tmp_path: Path, categories: Any, said: str) -> None:
    path = tmp_path / "digit_grids-train.tfrecord-00000-of-00001"
    written.write(path, [clip(0, **{"instances/category": categories})], packed=False)
    with pytest.raises(ValueError, match=said):
        list(ClipScenes("digit_grids", [path], Frame(SIDE), {}, lambda amount: None).pieces(0))
