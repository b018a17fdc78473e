"""Event files are read as TensorBoard reads them, while they are written."""

from __future__ import annotations

import math
import os
import random
import struct
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_ndarray

from raysearch.programs.readers.event_files import EventFile, Scalar, masked_crc32c
from raysearch.programs.readers.tensorboard import TensorBoard
from raysearch.programs.readers.watched import Watched

PROTO = "tensorboard.compat.proto"
Event: Any = import_module(f"{PROTO}.event_pb2").Event
Summary: Any = import_module(f"{PROTO}.summary_pb2").Summary
TensorProto: Any = import_module(f"{PROTO}.tensor_pb2").TensorProto
TensorShapeProto: Any = import_module(f"{PROTO}.tensor_shape_pb2").TensorShapeProto
OLD = -1e9


def event(step: int, tag: str, value: float) -> Any:
    return Event(
        wall_time=time.time(),
        step=step,
        summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]),
    )


def written(folder: Path, events: list[Any]) -> Path:
    """An event file with the records of TensorBoard's own writer."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{time.time():.0f}.here.{os.getpid()}.0"
    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        for one in events:
            writer.write(one.SerializeToString())
    return path


def polled(folder: Path, since: float = OLD) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for one in TensorBoard(Watched([folder], list, since)).poll():
        for name, value in one.metrics.items():
            found.setdefault(name, []).append((one.step, value))
    return found


def theirs(path: Path) -> list[tuple[int, str, float]]:
    """The scalars that TensorBoard's own reader finds."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    return [
        (one.step, value.tag, float(make_ndarray(value.tensor)))
        for one in EventFileLoader(str(path)).Load()
        for value in one.summary.value
        if value.metadata.plugin_data.plugin_name == "scalars"
    ]


def test_the_checksum_is_that_of_castagnoli() -> None:
    crc = 0xE3069283  # the published check value, of the digits 1 to 9
    assert masked_crc32c(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.slow
def test_scalars_are_those_of_the_own_reader_of_tensorboard(tmp_path: Path) -> None:
    values = [0.1, -3.0, 1e-30, 7e30, 0.0]
    events = [event(step * 1000, "train/loss", value) for step, value in enumerate(values)]
    events += [
        Event(wall_time=1.0, step=2**40, summary=scalar_pb("new", 0.3)),
        Event(wall_time=1.0, step=3, summary=text_pb("words", "0.5")),
    ]
    path = written(tmp_path, events)
    found = [(one.step, one.tag, one.value) for one in EventFile(path).read()]
    assert found == theirs(path)
    assert len(found) == 6


def test_nan_and_infinities_stay_what_they_are(tmp_path: Path) -> None:
    path = written(tmp_path, [event(0, "a", math.nan), event(1, "a", -math.inf)])
    found = [one.value for one in EventFile(path).read()]
    assert math.isnan(found[0]) and found[1] == -math.inf


NUMBERS = [
    *((kind, 2.5) for kind in (np.float16, np.float32, np.float64)),
    *((kind, 7) for kind in (np.uint8, np.int16, np.int8, np.uint16, np.uint32, np.uint64)),
    *((kind, -7) for kind in (np.int32, np.int64)),
]


@pytest.mark.parametrize(("kind", "value"), NUMBERS)
def test_a_tensor_of_any_number_is_its_number(kind: type, value: float, tmp_path: Path) -> None:
    array = np.array(value, dtype=kind)
    number = {"f": 1, "d": 2, "i": 3, "B": 4, "h": 5, "b": 6, "l": 9, "H": 17, "e": 19, "I": 22}
    tensor = TensorProto(dtype=number.get(array.dtype.char, 23), tensor_content=array.tobytes())
    one = Summary.Value(tag="x", tensor=tensor)
    path = written(tmp_path, [Event(step=1, summary=Summary(value=[one]))])
    assert [each.value for each in EventFile(path).read()] == [value]


LISTED = [
    (TensorProto(dtype="DT_FLOAT", float_val=[-0.5]), -0.5),
    (TensorProto(dtype="DT_DOUBLE", double_val=[-0.5]), -0.5),
    (TensorProto(dtype="DT_INT32", int_val=[-3]), -3.0),
    (TensorProto(dtype="DT_INT64", int64_val=[-3]), -3.0),
    (TensorProto(dtype="DT_HALF", half_val=[0xB800]), -0.5),
    (TensorProto(dtype="DT_BFLOAT16", half_val=[0xBF00]), -0.5),
    (TensorProto(dtype="DT_BOOL", bool_val=[True]), 1.0),
]


@pytest.mark.parametrize(("tensor", "number"), LISTED)
def test_a_tensor_that_lists_its_number_is_that(tensor: Any, number: float, tmp_path: Path) -> None:
    one = Summary.Value(tag="x", tensor=tensor)
    path = written(tmp_path, [Event(step=1, summary=Summary(value=[one]))])
    assert [each.value for each in EventFile(path).read()] == [number]


def test_a_tensor_of_several_numbers_is_none(tmp_path: Path) -> None:
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=2)])
    one = TensorProto(dtype="DT_FLOAT", float_val=[0.5], tensor_shape=shape)
    value = Summary.Value(tag="x", tensor=one)
    path = written(tmp_path, [Event(step=1, summary=Summary(value=[value]))])
    assert EventFile(path).read() == []


def test_a_file_that_grows_byte_by_byte_is_read_once_and_whole(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole", [event(step, "a", step / 4) for step in range(5)])
    data, path = whole.read_bytes(), tmp_path / "growing.tfevents.1"
    file, found = EventFile(path), list[Scalar]()
    assert file.read() == []  # it is not there yet
    with path.open("wb", buffering=0) as target:
        for place in range(len(data)):
            target.write(data[place : place + 1])
            found += file.read()
    assert [(one.step, one.value) for one in found] == [(step, step / 4) for step in range(5)]


def test_after_a_damaged_record_nothing_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, [event(step, "a", 1.0) for step in range(4)])
    data = bytearray(path.read_bytes())
    data[-30] ^= 1  # in the last record
    path.write_bytes(data)
    file = EventFile(path)
    assert [one.step for one in file.read()] == [0, 1, 2]
    assert file.damaged


def test_no_bytes_make_the_reader_raise(tmp_path: Path) -> None:
    draws = random.Random(0)
    path = tmp_path / "x.tfevents.1"
    for _ in range(100):
        body = draws.randbytes(draws.randrange(60))
        head = struct.pack("<Q", len(body))
        record = head + struct.pack("<I", masked_crc32c(head)) + body
        path.write_bytes(record + struct.pack("<I", masked_crc32c(body)) + draws.randbytes(9))
        EventFile(path).read()


def test_a_second_folder_has_its_name_before_what_the_first_also_has(tmp_path: Path) -> None:
    written(tmp_path / "runs/a", [event(1, "loss", 1.0)])
    written(tmp_path / "runs/b", [event(1, "loss", 2.0), event(1, "acc", 3.0)])
    written(tmp_path / "runs/a/deep", [event(1, "loss", 4.0)])
    found = {name: value for name, ((_, value),) in polled(tmp_path).items()}
    assert found == {"loss": 1.0, "b/loss": 2.0, "acc": 3.0, "deep/loss": 4.0}


def test_folders_of_add_scalars_and_of_keras_are_parts_of_the_names(tmp_path: Path) -> None:
    written(tmp_path / "run_loss_a", [event(0, "run/loss", 1.0)])
    written(tmp_path / "logs/validation", [event(0, "epoch_loss", 2.0)])
    written(tmp_path / "logs/train", [event(0, "epoch_loss", 3.0)])
    assert set(polled(tmp_path)) == {"run/loss/a", "validation/epoch_loss", "train/epoch_loss"}


def test_what_was_written_before_the_program_began_is_not_its_own(tmp_path: Path) -> None:
    written(tmp_path / "old", [event(0, "a", 1.0)])
    time.sleep(0.02)
    assert polled(tmp_path, since=time.time() + 1.0) == {}
    assert polled(tmp_path, since=time.time() - 1.0) == {"a": [(0, 1.0)]}


def test_a_file_elsewhere_is_found_while_a_process_holds_it_open(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    path = written(tmp_path / "there", [event(0, "a", 1.0)])
    reader = TensorBoard(Watched([tmp_path / "here"], lambda: [os.getpid(), 2**22 + 1], OLD))
    assert reader.poll() == []
    with path.open("ab"):
        assert [one.metrics for one in reader.poll(last=True)] == [{"a": 1.0}]


@pytest.mark.slow
def test_files_of_torch_and_tensorboardx_are_read_as_by_tensorboard(tmp_path: Path) -> None:
    import tensorboardX
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    for kind in (SummaryWriter, tensorboardX.SummaryWriter):
        folder = tmp_path / kind.__module__
        with kind(str(folder)) as writer:
            for step in range(20):
                writer.add_scalar("train/loss", 1 / (step + 1), step)
                writer.add_scalars("split", {"train": step, "val": -step}, step)
            writer.add_histogram("weights", np.arange(9.0), 1)
            writer.add_text("words", "0.5", 1)
            writer.add_hparams({"lr": 0.1}, {"final": 0.5})
        own = EventAccumulator(str(folder)).Reload()
        tags: dict[str, Any] = own.Tags()
        named = {tag: [(e.step, e.value) for e in own.Scalars(tag)] for tag in tags["scalars"]}
        named |= {
            tag: [(e.step, float(make_ndarray(e.tensor_proto))) for e in own.Tensors(tag)]
            for tag in tags["tensors"]
            if own.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
        }
        found = polled(folder)
        assert named["train/loss"] == found["train/loss"]
        assert found["split/train"][19] == (19, 19.0) and found["split/val"][19] == (19, -19.0)
        assert found["final"] == [(0, 0.5)]
        assert set(found) == {"train/loss", "split/train", "split/val", "final"}


@pytest.mark.slow
def test_files_of_tensorflow_are_read(tmp_path: Path) -> None:
    import tensorflow as tf

    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        for step in range(3):
            tf.summary.scalar("loss", 0.5**step, step)
            tf.summary.histogram("weights", [1.0, 2.0], step)
            tf.summary.image("picture", tf.zeros([1, 2, 2, 3]), step)
    assert polled(tmp_path) == {"loss": [(0, 1.0), (1, 0.5), (2, 0.25)]}


def test_a_linked_folder_is_read_only_if_it_is_its_own(tmp_path: Path) -> None:
    written(tmp_path / "kept", [event(0, "a", 1.0)])
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "out").symlink_to(tmp_path / "kept")
    assert polled(tmp_path / "work") == {}
    own = [tmp_path / "work", tmp_path / "work" / "out"]
    assert [one.metrics for one in TensorBoard(Watched(own, list, OLD)).poll()] == [{"a": 1.0}]
