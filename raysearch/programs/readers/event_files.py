"""Event files of TensorBoard, in plain Python: records, checksums, scalars.

A record is its length (8 bytes), the masked CRC-32C of those (4), the data, and their masked
CRC-32C; data are a protobuf message `Event` with a `Summary`. The fields are those of event.proto,
summary.proto and tensor.proto of TensorFlow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), bits reversed
_MASK = 0xA282EAD8
_CHECKED = 1 << 14
"""Bytes: longer records, of pictures and histograms, hold no scalars and are not checked."""
_LONGEST = 1 << 26
"""Bytes: no record that anybody reads is longer, but a damaged length is."""


def _table() -> list[int]:
    found = list[int]()
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (_POLYNOMIAL if number & 1 else 0)
        found.append(number)
    return found


_TABLE = _table()


def masked_crc32c(data: bytes) -> int:
    """The CRC-32C of some bytes, rotated and shifted as records have it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


class _DamagedError(Exception):
    """Bytes that are no record, or no message."""


@dataclass(frozen=True)
class Scalar:
    """One value of an event file; `time` in seconds since 1970."""

    time: float
    step: int
    tag: str
    value: float


class EventFile:
    """One event file, read on from where the last read ended.

    A record whose end is not there yet is read later. After a damaged one nothing more is read,
    since nobody knows where the next begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = False
        self.time: float | None = None
        """When it was begun, by its first record."""
        self._place = 0
        self._plugins: dict[str, str] = {}

    def read(self) -> list[Scalar]:
        """The scalars that are new."""
        found = list[Scalar]()
        try:
            for data in self._records():
                found += self._scalars(data)
        except (_DamagedError, ValueError, IndexError, struct.error):
            self.damaged = True
        except OSError:  # it is gone, or on a machine that is
            pass
        return found

    def _records(self) -> Iterator[bytes]:
        if self.damaged or self.path.stat().st_size <= self._place:
            return
        with self.path.open("rb") as file:
            file.seek(self._place)
            while len(head := file.read(12)) == 12:
                length, check = struct.unpack("<QI", head)
                if masked_crc32c(head[:8]) != check or length > _LONGEST:
                    raise _DamagedError
                body = file.read(length + 4)
                if len(body) < length + 4:
                    return
                data = body[:-4]
                if length <= _CHECKED and masked_crc32c(data) != struct.unpack("<I", body[-4:])[0]:
                    raise _DamagedError
                self._place += length + 16
                yield data

    def _scalars(self, data: bytes) -> Iterator[Scalar]:
        time, step, summary = 0.0, 0, b""
        for number, value in _fields(data):
            if number == 1 and isinstance(value, bytes):
                (time,) = struct.unpack("<d", value)
            elif number == 2 and isinstance(value, int):
                step = value - (1 << 64) if value >> 63 else value
            elif number == 5 and isinstance(value, bytes):
                summary = value
        self.time = time if self.time is None else self.time
        for number, value in _fields(summary):
            if number == 1 and isinstance(value, bytes):
                tag, found = self._value(value)
                if found is not None:
                    yield Scalar(time, step, tag, found)

    def _value(self, data: bytes) -> tuple[str, float | None]:
        """The tag of a `Summary.Value`, and its number if it is one."""
        tag, plain, tensor = "", None, b""
        for number, value in _fields(data):
            if not isinstance(value, bytes):
                continue
            if number == 1:
                tag = value.decode(errors="replace")
            elif number == 2:
                (plain,) = struct.unpack("<f", value)
            elif number == 8:
                tensor = value
            elif number == 9:
                self._plugins[tag] = _plugin(value)
        if plain is None and tensor and self._plugins.get(tag, "scalars") == "scalars":
            plain = _number(tensor)
        return tag, plain


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: whole numbers of varints, the bytes of all others."""
    place, end = 0, len(data)
    while place < end:
        key, place = _varint(data, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        if kind == 2:
            length, place = _varint(data, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise _DamagedError
        if place + length > end:
            raise _DamagedError
        yield key >> 3, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place
        shift += 7


def _plugin(metadata: bytes) -> str:
    """The plugin of a `SummaryMetadata`, such as `scalars`, `text` or `hparams`."""
    for number, value in _fields(metadata):
        if number == 1 and isinstance(value, bytes):
            for inner, name in _fields(value):
                if inner == 1 and isinstance(name, bytes):
                    return name.decode(errors="replace")
    return "scalars"


_TYPES = {
    **{1: "f", 2: "d", 3: "i", 4: "B", 5: "h", 6: "b", 9: "q", 10: "?", 19: "e"},
    **{17: "H", 22: "I", 23: "Q"},
}
"""`DataType` → how `struct` names it. bfloat16 (14) is the upper half of a float."""
_LISTS = {5: "f", 6: "d"}
"""Fields of `TensorProto` with packed numbers; those of 7, 10, 11, 16 and 17 are varints."""


def _number(tensor: bytes) -> float | None:
    """The value of a `TensorProto` with one number; None for anything else."""
    kind, content, listed = 0, b"", list[float]()
    for number, value in _fields(tensor):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 2 and isinstance(value, bytes) and _size(value) != 1:
            return None
        elif number == 4 and isinstance(value, bytes):
            content = value
        elif number in _LISTS and isinstance(value, bytes):
            listed += [each for (each,) in struct.iter_unpack("<" + _LISTS[number], value)]
        elif number in (7, 10, 11, 13, 16, 17):
            listed += _whole(value)
    if kind == 14:
        return _bfloat(content, listed)
    form = _TYPES.get(kind)
    if form is None:
        return None
    if len(content) == struct.calcsize(form):
        return float(struct.unpack("<" + form, content)[0])
    if len(listed) != 1:
        return None
    if kind == 19:  # the bits of a half, as a whole number
        return float(struct.unpack("<e", struct.pack("<H", int(listed[0])))[0])
    return float(listed[0])


def _whole(value: int | bytes) -> list[int]:
    """Varints, packed or alone, with their sign."""
    found, place = list[int](), 0
    if isinstance(value, int):
        found = [value]
    else:
        while place < len(value):
            number, place = _varint(value, place)
            found.append(number)
    return [number - (1 << 64) if number >> 63 else number for number in found]


def _bfloat(content: bytes, listed: list[float]) -> float | None:
    if not content and len(listed) == 1:
        content = struct.pack("<H", int(listed[0]))
    return struct.unpack("<f", b"\0\0" + content)[0] if len(content) == 2 else None


def _size(shape: bytes) -> int:
    """How many numbers a `TensorShapeProto` is for."""
    size = 1
    for number, dimension in _fields(shape):
        if number == 2 and isinstance(dimension, bytes):
            lengths = [each for inner, each in _fields(dimension) if inner == 1]
            size *= lengths[0] if lengths and isinstance(lengths[0], int) else 0
    return size
