"""Digits on a grid: real ones, the same in all frames of a clip, others in each split."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from trainables.data.digits import divided
from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.store import Store, open_store
from trainables.settings.scenes import Scenes
from trainables.synthetic import digit_grids
from trainables.synthetic.catalog import MAKERS
from trainables.synthetic.splits import split_of

LOADED: Any = load_digits(return_X_y=True)
PIXELS, CLASSES = LOADED[0].astype(int), LOADED[1]


def pictures(clip: Any, name: str) -> np.ndarray:
    """The frames of a clip [F, S, S] or [F, S, S, 3]."""
    return np.stack([np.array(Image.open(io.BytesIO(each))) for each in clip[name]])


def found(index: int, **rules: Any) -> list[list[int]]:
    """For each frame the numbers in scikit-learn's file of the objects, as their cells show them.

    A digit of 8 pixels, enlarged twice, is alone in its cell of 18; white ink is 255 · value / 16.
    """
    clip = digit_grids.clip(0, index, image_size=54, **rules)
    places = clip["instances/image_positions"]
    seen = []
    for frame, video in enumerate(pictures(clip, "video")):
        tops = np.rint(np.asarray(places)[:, frame] * 54 - 8).astype(int)
        digits = [video[y : y + 16 : 2, x : x + 16 : 2].max(-1) for x, y in tops]
        ink = np.rint(np.stack(digits) / 255 * 16).astype(int).reshape(len(tops), 64)
        seen.append([int(np.flatnonzero((PIXELS == each).all(1))[0]) for each in ink])
    return seen


@pytest.mark.parametrize("index", [0, 1, 2, 13])
def test_each_cell_shows_a_real_digit_of_the_split_in_all_frames(index: int) -> None:
    splits: dict[str, Any] = dict(
        zip(digit_grids.SPLITS, divided(CLASSES, 0).values(), strict=True)
    )
    first, *others = found(index, frames=3)
    assert others == [first, first] and 2 <= len(set(first)) == len(first) <= 6
    assert set(first) <= set(splits[split_of(index)])
    clip = digit_grids.clip(0, index, image_size=54, frames=3)
    assert np.array_equal(clip["instances/category"], CLASSES[first])


@pytest.mark.parametrize("tinted", [False, True])
def test_a_label_is_where_the_same_ink_is_in_each_frame(tinted: bool) -> None:
    clip = digit_grids.clip(1, 0, image_size=48, frames=4, least=6, tinted=tinted)
    video, labels = pictures(clip, "video"), pictures(clip, "segmentations")
    assert np.array_equal(labels > 0, video.any(-1)) and labels.max() == 6
    for number in range(1, 7):
        ink = [frame[label == number] for frame, label in zip(video, labels, strict=True)]
        assert all(np.array_equal(ink[0], other) for other in ink[1:])
    assert (np.ptp(video, axis=-1).max() > 0) == tinted


def test_no_two_objects_share_a_cell_and_no_two_frames_an_arrangement() -> None:
    for index in range(20):
        clip = digit_grids.clip(0, index, image_size=24, frames=9, least=1, most=9)
        places = np.asarray(clip["instances/image_positions"])  # [O, F, 2]
        cells = np.rint(places * 6).astype(int) @ [1, 6]
        assert all(len(set(frame)) == len(frame) for frame in cells.T.tolist())
        assert len({tuple(frame) for frame in cells.T.tolist()}) == 9


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Of 12 clips, made and prepared."""
    folder = tmp_path_factory.mktemp("digits")
    options: Any = {"image_size": 48, "progress": lambda done, total: None}
    MAKERS["digit_grids"].make(folder, scenes=12, seed=0, rules={}, **options)
    SCENE_SETS["digit_grids"].prepare(folder, made=True, **options)
    found = Scenes(name="digit_grids", made=True, image_size=48, root=str(folder))
    return open_store(found.folder())


@pytest.mark.slow  # TensorFlow's import
def test_the_store_has_the_clips_of_each_split(store: Store) -> None:
    clips = {
        split: [i for i in range(12) if split_of(i) == name]
        for split, name in zip(("train", "val", "test"), digit_grids.SPLITS, strict=True)
    }
    assert list(map(len, clips.values())) == [9, 2, 1]
    number = 0
    for split, indices in clips.items():
        scenes = store.splits[split]
        assert len(scenes) == 2 * len(indices)
        for place, index in enumerate(indices):
            clip, both = digit_grids.clip(0, index, image_size=48), np.arange(2) + 2 * place
            assert np.array_equal(scenes.images(both), pictures(clip, "video"))
            assert np.array_equal(scenes.labels(both), pictures(clip, "segmentations"))
            assert scenes.fields["clip"][both].tolist() == [number, number]
            assert scenes.fields["frame"][both].tolist() == [0, 1]
            number += 1


@pytest.mark.slow
def test_the_store_says_which_digit_each_entity_is(store: Store) -> None:
    clip, scenes = digit_grids.clip(0, 0, image_size=48), store.splits["train"]
    classes = np.asarray(clip["instances/category"])
    expected = np.zeros(1 + digit_grids.CELLS, int)
    expected[1 : 1 + len(classes)] = 1 + classes
    assert (scenes.fields["digit"][:2] == expected).all()
    visible = np.arange(1 + digit_grids.CELLS) <= len(classes)
    assert (scenes.fields["visibility"][:2] == visible).all()
    assert scenes.counts[:2].tolist() == [len(classes)] * 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image_size": 23}, "image_size must be a multiple of 3 and at least 24 for .* got 23"),
        ({"image_size": 25}, "image_size must be a multiple of 3 and at least 24 for .* got 25"),
        ({"least": 0}, "least and most must be 1 ≤ least ≤ most ≤ 9, got 0, 6"),
        ({"least": 7}, "least and most must be 1 ≤ least ≤ most ≤ 9, got 7, 6"),
        ({"most": 10}, "least and most must be 1 ≤ least ≤ most ≤ 9, got 2, 10"),
        ({"frames": 0}, "frames must be 1…9, got 0"),
        ({"frames": 10}, "frames must be 1…9, got 10"),
    ],
)
def test_what_a_grid_cannot_have_is_refused(options: dict[str, Any], said: str) -> None:
    digit_grids.clip(0, 0, image_size=24)
    wrong: dict[str, Any] = {"image_size": 24, **options}
    with pytest.raises(ValueError, match=said):
        digit_grids.clip(0, 0, **wrong)
