"""Records as TensorFlow itself parses them, equal to the scenes they were written from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.synthetic import records
from trainables.synthetic.movi import SHARES
from trainables.synthetic.sets import MADE
from trainables.synthetic.splits import counts
from trainables.synthetic.writing import write_set

FILES = {
    "clevr_with_masks": ("clevr_with_masks_train.tfrecords", 32),
    "tetrominoes": ("tetrominoes_train.tfrecords", 35),
    "multi_dsprites_binarized": ("multi_dsprites_binarized.tfrecords", 32),
    "multi_dsprites_colored_on_grayscale": ("multi_dsprites_colored_on_grayscale.tfrecords", 32),
    "multi_dsprites_colored_on_colored": ("multi_dsprites_colored_on_colored.tfrecords", 32),
    "objects_room_train": ("objects_room_train.tfrecords", 32),
    "objects_room_six_objects": ("objects_room_test_six_objects.tfrecords", 32),
    "objects_room_empty_room": ("objects_room_test_empty_room.tfrecords", 32),
    "objects_room_identical_color": ("objects_room_test_identical_color.tfrecords", 32),
}


def parsed(path: Path, example: dict, *, gzip: bool) -> list[dict[str, Any]]:
    """What TensorFlow reads of a file, with the shapes and types of an example scene."""
    import tensorflow as tf

    kinds = {"u": tf.string, "f": tf.float32, "i": tf.int64}
    described = {
        name: tf.io.FixedLenFeature([len(values)], tf.string)
        if isinstance(values, list)
        else tf.io.FixedLenFeature(values.shape, kinds[values.dtype.kind])
        for name, values in example.items()
    }
    found: list[dict[str, Any]] = []
    for record in tf.data.TFRecordDataset(str(path), "GZIP" if gzip else None):
        features = tf.io.parse_single_example(record, described)
        for name, values in example.items():
            if not isinstance(values, list) and values.dtype == np.uint8:
                features[name] = tf.io.decode_raw(features[name], tf.uint8)[..., 0]
        found.append({name: values.numpy() for name, values in features.items()})
    return found


def same(found: dict, expected: dict) -> None:
    """Raises AssertionError unless all features are equal."""
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.slow
def test_tensorflow_reads_from_each_set_what_was_made(tmp_path: Path) -> None:
    for name, (file, size) in FILES.items():
        folder = write_set(name, tmp_path / name, scenes=2, image_size=size, seed=5)
        made = MADE[name]
        expected = [made.scene(5, i, image_size=size, **made.fixed) for i in range(2)]
        found = parsed(folder / file, expected[0], gzip=True)
        assert len(found) == 2
        for one, other in zip(found, expected, strict=True):
            same(one, other)
        assert {each.name for each in folder.iterdir()} == {file, "made.json"}
    folder = write_set("movi_c", tmp_path / "movi", scenes=4, image_size=16, seed=5, frames=2)
    numbers = iter(range(4))
    for split, count in counts(4, SHARES).items():
        shards = sorted(folder.glob(f"movi_c-{split}.tfrecord-*-of-0000{min(count, 2)}"))
        assert len(shards) == min(count, 2)
        for shard in shards:
            made = MADE["movi_c"].scene(5, next(numbers), image_size=16, variant="c", frames=2)
            (found,) = parsed(shard, dict(made), gzip=False)
            same(found, dict(made))


def test_a_feature_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="x must be uint8, floating or a signed integer, got bool"):
        records._feature(None, "x", np.ones(3, dtype=bool))


def test_without_tensorflow_one_sentence_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(LookupError, match=r"by TensorFlow.*pip install 'raysearch\[tfrecord\]'"):
        records.write(tmp_path / "scenes.tfrecords", [])
    assert not list(tmp_path.iterdir())
