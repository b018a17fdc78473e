"""What TensorFlow writes is read as TensorFlow reads it, by its published descriptions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.data.scenes.formats import SCHEMAS, scenes
from trainables.data.scenes.frames import Frame
from trainables.data.scenes.wire import RecordFile, batches

COUNT, SIDE = 5, 12

PROGRAM = """
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.trainables.data.scenes import written
from trainables.synthetic.records import write
from trainables.data.scenes.formats import SCHEMAS

def parsed(schema, path, height, width):
    entities = schema.entities
    stacked = [height, width, entities, 1] if schema.mask_is_last else [entities, height, width, 1]
    shapes = {"image": [height, width, schema.channels], "mask": stacked}
    shapes |= {name: [entities] for name in schema.codes}
    floats = {n: [entities, k] if k else [entities] for n, k in schema.numbers.items()}
    features = {n: tf.io.FixedLenFeature(s, tf.string) for n, s in shapes.items()}
    features |= {n: tf.io.FixedLenFeature(s, tf.float32) for n, s in floats.items()}
    rows = []
    for data in tf.data.TFRecordDataset(str(path), compression_type="GZIP"):
        row = tf.io.parse_single_example(data, features)
        for name in shapes:
            row[name] = tf.squeeze(tf.io.decode_raw(row[name], tf.uint8), axis=-1)
        if schema.mask_is_last:
            row["mask"] = tf.transpose(row["mask"], [2, 0, 1, 3])
        rows.append(row)
    return {name: np.stack([row[name].numpy() for row in rows]) for name in rows[0]}

folder, count, side = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for name, schema in SCHEMAS.items():
    given = [written.scene(name, seed, side) for seed in range(count)]
    write(folder / name, given)
    np.savez(folder / f"{name}.npz", **parsed(schema, folder / name, *given[0]["image"].shape[:2]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each set, and what TensorFlow reads in it."""
    folder = tmp_path_factory.mktemp("tensorflow")
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(folder), str(COUNT), str(SIDE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEMAS)
def test_both_read_the_same(folder: Path, name: str) -> None:
    schema = SCHEMAS[name]
    with np.load(folder / f"{name}.npz") as stored:
        expected: dict[str, Any] = dict(stored)
    with RecordFile(folder / name) as file:
        pieces = [scenes(schema, found, Frame(SIDE)) for _, _, found in batches(file)]
    images = np.concatenate([piece.images for piece in pieces])
    labels = np.concatenate([piece.labels for piece in pieces])  # pyright: ignore[reportArgumentType, reportCallIssue]
    masks = Frame(SIDE).nearest(np.moveaxis(expected.pop("mask")[..., 0], 1, 3)).astype(int)
    assert np.array_equal(images, Frame(SIDE).nearest(expected.pop("image")))
    assert np.array_equal(labels, np.maximum(masks.argmax(3) + 1 - schema.num_background, 0))
    assert len(images) == COUNT
    for field, values in expected.items():
        found = np.concatenate([piece.fields[field] for piece in pieces])
        assert np.array_equal(found, values.astype(found.dtype)), field
