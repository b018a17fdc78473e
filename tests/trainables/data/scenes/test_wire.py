"""Record files are read whole or refused, with file and number of the record."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.trainables.data.scenes import written
from trainables.data.scenes import wire
from trainables.data.scenes.wire import RecordFile

LENGTHS = (100, 100, 5000, 4, 4, 100)


def contents() -> list[bytes]:
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, length, np.uint8).tobytes() for length in LENGTHS]


def plain() -> bytes:
    return b"".join(map(written.record, contents()))


def read(path: Path, data: bytes, skip: int = 0) -> list[bytes]:
    path.write_bytes(data)
    with RecordFile(path) as file:
        return [record.tobytes() for record in file.records(skip)]


@pytest.mark.parametrize(
    "form",
    [
        lambda data: data,
        gzip.compress,
        lambda data: gzip.compress(data[:150]) + gzip.compress(data[150:]),
        lambda data: gzip.compress(data) + gzip.compress(b""),
    ],
    ids=["plain", "gzip", "several members", "an empty member"],
)
def test_all_records_are_read(tmp_path: Path, form: object) -> None:
    assert read(tmp_path / "r", form(plain())) == contents()  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("skip", [0, 1, 2, 3, 6, 7])
def test_the_first_can_be_skipped(tmp_path: Path, skip: int) -> None:
    assert read(tmp_path / "r", plain(), skip) == contents()[skip:]


def test_a_file_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    many = [draw.integers(0, 3, 700_000, np.uint8).tobytes() for _ in range(9)]
    data = gzip.compress(b"".join(map(written.record, many)), 1)
    assert read(tmp_path / "r", data) == many


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    assert read(tmp_path / "r", b"") == [] and read(tmp_path / "r", gzip.compress(b"")) == []


def test_a_record_without_bytes_is_one(tmp_path: Path) -> None:
    data = written.record(b"") + written.record(b"abc") + written.record(b"next")
    assert read(tmp_path / "r", data) == [b"", b"abc", b"next"]


@pytest.mark.parametrize(
    ("place", "number"),
    [(20, 0), (112, 0), (130, 1), (2000, 2), (len(plain()) - 1, 5)],
)
def test_a_flipped_bit_is_found(tmp_path: Path, place: int, number: int) -> None:
    data = bytearray(plain())
    data[place] ^= 4
    with pytest.raises(ValueError, match=f"r is damaged: record {number} has a wrong checksum"):
        read(tmp_path / "r", bytes(data))


def test_a_wrong_length_is_found(tmp_path: Path) -> None:
    data = bytearray(plain())
    data[116] ^= 1
    with pytest.raises(ValueError, match="r is damaged: the length of record 1 has a wrong"):
        read(tmp_path / "r", bytes(data))


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, packed: bool) -> None:
    data = b"Not a file of records, but a text that somebody wrote." * 9
    with pytest.raises(ValueError, match="r is no TFRecord file: the length of record 0"):
        read(tmp_path / "r", gzip.compress(data) if packed else data)


@pytest.mark.parametrize(("end", "number"), [(5, 0), (60, 0), (117, 1), (300, 2), (-1, 5)])
def test_a_truncated_file_is_refused(tmp_path: Path, end: int, number: int) -> None:
    words = f"r is truncated: it ends within record {number}"
    with pytest.raises(ValueError, match=words):
        read(tmp_path / "r", plain()[:end])
    with pytest.raises(ValueError, match=words):
        read(tmp_path / "r", gzip.compress(plain()[:end]))


def test_a_truncated_archive_is_refused_even_between_records(tmp_path: Path) -> None:
    data = gzip.compress(plain(), 0)
    with pytest.raises(ValueError, match="damaged or truncated at record 6: the gzip stream"):
        read(tmp_path / "r", data[:-8])


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(plain(), 0))
    data[-6] ^= 1  # its own checksum
    with pytest.raises(ValueError, match="damaged or truncated at record .*incorrect data check"):
        read(tmp_path / "r", bytes(data))


def test_a_record_that_is_no_example_is_named(tmp_path: Path) -> None:
    good = written.example({"x": np.array([1.0])})
    path = tmp_path / "r"
    path.write_bytes(b"".join(map(written.record, [good, good, b"\xff" * 30])))
    with pytest.raises(ValueError, match="r: record 2 is no tf.train.Example"):
        list(wire.examples(path))
    with RecordFile(path) as file, pytest.raises(ValueError, match="r: record 2 is no"):
        list(wire.batches(file))


def test_the_checksum_is_that_of_the_whole_file_however_much_was_read(tmp_path: Path) -> None:
    data = gzip.compress(plain()) + b"trailing bytes" * 200_000
    (tmp_path / "r").write_bytes(data)
    told: list[int] = []
    with RecordFile(tmp_path / "r", told.append, hashes=True) as file:
        next(file.records())
        assert file.checksum() == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert sum(told) == len(data) and len(told) > 1
