"""What reading scenes costs: TensorFlow's records, our records, and the store made of them.

Random scenes in the formats of CLEVR with masks (240 × 320) and Tetrominoes (35 × 35), gzip as the
published files are, are read in turn

- by TensorFlow, as the authors' readers do: parsed, and bytes made numbers;
- by ours: checksums, values, pictures cut to size, and label maps in the place of masks;
- from the store, after it was prepared: pictures and labels at random positions, 64 at a time.

Unpacking costs both readers the same; it is measured alone and taken off for the ratio. Processor
seconds on one thread, best of several rounds. Run by `python -m benchmarks.reading`.
"""

from __future__ import annotations

import argparse
import gzip
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.formats import SCHEMAS, Schema, scenes
from trainables.data.scenes.frames import Frame
from trainables.data.scenes.store import open_store
from trainables.data.scenes.wire import RecordFile, batches

_BATCH = 64


@dataclass(frozen=True)
class Case:
    """A set, so many scenes of it, and how it is prepared."""

    name: str
    count: int
    height: int
    frame: Frame


CASES = (
    Case("clevr_with_masks", 48, 240, Frame(128, "centre")),
    Case("tetrominoes", 1024, 35, Frame(35)),
)


def by_tensorflow(path: Path, schema: Schema, height: int) -> Callable[[], int]:
    """Reads a file once, as the authors' readers do; returns the number of scenes."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    width = round(height * schema.aspect[1] / schema.aspect[0])
    entities = schema.entities
    strings = {"image": [height, width, schema.channels], "mask": [entities, height, width, 1]}
    strings |= {name: [entities] for name in schema.codes}
    floats = {
        name: [entities, columns] if columns else [entities]
        for name, columns in schema.numbers.items()
    }
    features = {name: tf.io.FixedLenFeature(shape, tf.string) for name, shape in strings.items()}
    features |= {name: tf.io.FixedLenFeature(shape, tf.float32) for name, shape in floats.items()}

    def decoded(data: Any) -> Any:
        found = tf.io.parse_single_example(data, features)
        for name in strings:
            found[name] = tf.squeeze(tf.io.decode_raw(found[name], tf.uint8), axis=-1)
        return found

    files = tf.data.TFRecordDataset(str(path), compression_type="GZIP")
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    rows = files.with_options(options).map(decoded)
    return lambda: sum(len(row["x"]) > 0 for row in rows)


def unpacked(path: Path, count: int) -> Callable[[], int]:
    """Unpacks a file once, and does nothing with it."""

    def read() -> int:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                pass
        return count

    return read


def by_ours(path: Path, schema: Schema, frame: Frame) -> Callable[[], int]:
    """Reads a file once, to pictures and label maps."""

    def read() -> int:
        with RecordFile(path) as file:
            return sum(len(scenes(schema, found, frame)) for _, _, found in batches(file))

    return read


def from_store(folder: Path) -> Callable[[], int]:
    """Takes every scene of a store once, in a random order."""
    store = open_store(folder)
    [whole] = [split for split in store.splits.values() if len(split)]
    order = np.random.default_rng(0).permutation(len(whole))

    def read() -> int:
        taken = 0
        for start in range(0, len(order), _BATCH):
            positions = order[start : start + _BATCH]
            taken += len(whole.images(positions)) and len(whole.labels(positions))
        return taken

    return read


def measured(readers: dict[str, Callable[[], int]], rounds: int) -> dict[str, float]:
    """Processor seconds of one scene by reader, best of the rounds; the readers take turns."""
    best = dict.fromkeys(readers, float("inf"))
    for _ in range(rounds):
        for name, read in readers.items():
            start = time.process_time()
            count = read()
            best[name] = min(best[name], (time.process_time() - start) / count)
    return best


def written(root: Path, case: Case) -> Path:
    """Scenes of flat patches in the file of a set, repeated from a few: parsing costs the same."""
    from tests.trainables.data.scenes import written as files

    few = [files.scene(case.name, seed, case.height) for seed in range(4)]
    for scene in few:
        rows, columns = (np.arange(side) // 10 * 10 for side in scene["image"].shape[:2])
        scene["image"] = scene["image"][rows][:, columns]
        scene["mask"] = scene["mask"][:, rows][:, :, columns]
    data_set = SCENE_SETS[case.name]
    path = data_set.folder(root) / data_set.forms[0][0]
    return files.write(path, (few[index % 4] for index in range(case.count)))


def report(case: Case, root: Path, rounds: int) -> tuple[float, float]:
    """Prints the figures of a set; returns TensorFlow's cost by ours, and ours by the store's."""
    path, schema = written(root, case), SCHEMAS[case.name]
    frame = case.frame
    folder = SCENE_SETS[case.name].prepare(
        root,
        image_size=frame.image_size,
        crop=frame.crop,
        interpolation=frame.interpolation,
        sizes={"train": case.count, "val": 0, "test": 0},
        progress=lambda done, total: None,
    )
    readers = {
        "unpacking": unpacked(path, case.count),
        "TensorFlow": by_tensorflow(path, schema, case.height),
        "our reader": by_ours(path, schema, frame),
        "the store": from_store(folder),
    }
    found = measured(readers, rounds)
    print(f"{case.name}, {case.count} scenes: processor microseconds a scene")
    for name, seconds in found.items():
        print(f"{name:>12} {1e6 * seconds:10.1f} {1 / seconds:12,.0f} a second")
    whole, ours = found["TensorFlow"], found["our reader"]
    parsed = (whole - found["unpacking"]) / (ours - found["unpacking"])
    gain = ours / found["the store"]
    print(f"TensorFlow takes {parsed:.1f} times as long as our reader without unpacking,")
    print(
        f"{whole / ours:.1f} times with it; our reader takes {gain:.0f} times as long as the store"
    )
    return parsed, gain


def main(rounds: int = 5) -> list[tuple[float, float]]:
    """Prints the figures of all cases; returns the two ratios of each."""
    print(f"load {os.getloadavg()[0]:.1f}, one thread, best of {rounds}")
    return list(_reports(rounds))


def _reports(rounds: int) -> Iterator[tuple[float, float]]:
    for case in CASES:
        with tempfile.TemporaryDirectory() as root:
            yield report(case, Path(root), rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    main(parser.parse_args().rounds)
