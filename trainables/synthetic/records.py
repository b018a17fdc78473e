"""Writes scenes as TFRecords of `tf.train.Example`; the one module that imports TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Feature = NDArray[Any] | list[bytes]
"""Values of one feature; their type says how they are stored, see `write`."""
Scene = Mapping[str, Feature]
"""The features of one record, by name."""

_SINGLE = [bytes([value]) for value in range(256)]


def write(path: Path, scenes: Iterable[Scene], *, gzip: bool = True) -> None:
    """Writes one `tf.train.Example` for each scene, as `opened` does."""
    with opened(path, gzip=gzip) as add:
        for scene in scenes:
            add(scene)


@contextmanager
def opened(path: Path, *, gzip: bool = True) -> Generator[Callable[[Scene], None]]:
    """A file, and what adds a `tf.train.Example` of a scene to it, with TensorFlow's own writer.

    Of the features, uint8 arrays become a `bytes_list` of one single-byte string for each value,
    in C order, floating arrays a `float_list`, other integers an `int64_list`, and lists of bytes
    a `bytes_list` of those.

    Raises:
        LookupError: TensorFlow is not installed; names the extra that has it.
    """
    # TensorFlow would say on stderr which instructions it was compiled for.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    tf = _tensorflow()

    def add(scene: Scene) -> None:
        features = {name: _feature(tf, name, scene[name]) for name in scene}
        example = tf.train.Example(features=tf.train.Features(feature=features))
        writer.write(example.SerializeToString())

    options = tf.io.TFRecordOptions(compression_type="GZIP" if gzip else "")
    with tf.io.TFRecordWriter(str(path), options) as writer:
        yield add


def _tensorflow() -> Any:
    try:
        import tensorflow as tf
    except ImportError:
        raise LookupError(
            "a made set is written as TFRecords, by TensorFlow, which is not installed: "
            "pip install 'raysearch[tfrecord]'"
        ) from None
    return tf


def _feature(tf: Any, name: str, values: Feature) -> Any:
    if isinstance(values, list):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if values.dtype == np.uint8:
        single = list(map(_SINGLE.__getitem__, values.tobytes()))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=single))
    if values.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=values.ravel().tolist()))
    if values.dtype.kind == "i":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values.ravel().tolist()))
    raise TypeError(f"{name} must be uint8, floating or a signed integer, got {values.dtype}")
