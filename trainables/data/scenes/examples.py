"""`tf.train.Example` from its bytes: lists of numbers and of single bytes as arrays, at once.

On the wire an Example is `1: Features`, Features are `1: entry` for each feature, an entry is
`1: name, 2: Feature`, a Feature is `1: BytesList`, `2: FloatList` or `3: Int64List`, and each list
is `1: value` over and over, or for numbers once with all of them packed.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Values = NDArray[Any] | list[bytes]
"""Of single-byte strings: uint8. Of numbers: float32 or int64. Of other strings: a list.

Arrays of bytes are views of the record, every third byte of it.
"""
Lines = NDArray[np.uint8]
"""Records of one length [R, L]."""

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # kinds of fields on the wire
_STRING, _FLOAT, _NUMBER = 0x0A, 0x0D, 0x08  # field 1: bytes or packed, four bytes, varint
_STRINGS, _FLOATS, _NUMBERS = 1, 2, 3  # the lists of a feature
_ALL = (1 << 64) - 1
_PIECE = 1 << 17  # bytes that are compared at once
_KNOWN = 4  # layouts that are remembered: a writer puts features in one order, or in any


@dataclass(frozen=True)
class Span:
    """Where a list lies in a record, its number in the feature, and the bytes of an element.

    With a `stride` each element is that many bytes, of which the last `width` are its value;
    without, the list has to be walked.
    """

    number: int
    start: int
    end: int
    stride: int = 0
    width: int = 0


def parse(record: Bytes, names: Collection[str] | None = None) -> dict[str, Values]:
    """The features of an Example with these names (None: all), in the order of the wire.

    Raises:
        ValueError: the bytes are no Example; a predicate without subject: "is no …".
    """
    return {
        name: _value(record, span)
        for name, span in spans(record).items()
        if names is None or name in names
    }


def spans(record: Bytes) -> dict[str, Span]:
    """Where the features of an Example lie, by name. Raises as `parse`."""
    data = memoryview(record.data)
    found: dict[str, Span] = {}
    try:
        for field, start, end in _fields(data, 0, len(data)):
            if field != 1:
                continue
            for _, first, last in _fields(data, start, end):
                name, span = _entry(data, first, last)
                found[name] = span
    except (ValueError, IndexError) as error:
        raise ValueError(f"is no tf.train.Example ({error})") from None
    return found


def taken(lines: Lines, span: Span) -> NDArray[Any]:
    """The values [R, n] at a span with a stride, in several records."""
    count = (span.end - span.start) // span.stride
    cells = lines[:, span.start : span.end].reshape(len(lines), count, span.stride)
    if span.number == _STRINGS:
        return cells[:, :, -1]
    return np.ascontiguousarray(cells[:, :, -span.width :]).view("<f4")[:, :, 0]


class Layout:
    """Where the features of a record lie, and which other records have them at the same places."""

    def __init__(self, record: Bytes) -> None:
        self.spans = spans(record)
        self._record = record.copy()  # what was read is not kept alive
        free = np.zeros(len(record), bool)
        for span in self.spans.values():
            free[span.start : span.end] = bool(span.stride)
        self._tagged = [span for span in self.spans.values() if span.stride > span.width]
        self._fixed = np.flatnonzero(~free)
        self._wanted = record[self._fixed]

    def fits(self, lines: Lines) -> int:
        """How many of the first records have this layout, and equal values where none is free."""
        if lines.shape[1] != len(self._record):
            return 0
        other = np.flatnonzero((lines[:, self._fixed] != self._wanted).any(axis=1))
        count = int(other[0]) if len(other) else len(lines)
        for span in self._tagged:
            count = _tagged_as(lines[:count, span.start : span.end], span)
        return count

    def features(self, lines: Lines) -> dict[str, Values]:
        """Values [R, n] by name, of records with this layout; other strings once for all."""
        found: dict[str, Values] = {}
        for name, span in self.spans.items():
            if span.stride:
                found[name] = taken(lines, span)
                continue
            same = _value(self._record, span)
            repeated = same if isinstance(same, list) else np.tile(same, (len(lines), 1))
            found[name] = repeated
        return found


def alike(lines: Lines, known: list[Layout]) -> Iterator[tuple[int, Mapping[str, Values]]]:
    """Records in runs with the same layout: how many, and their features [R, n] by name.

    `known` are layouts seen before, the last one first; new ones are put in.

    Raises:
        ValueError: as `parse`; the records before it were given out.
    """
    start = 0
    while start < len(lines):
        for place, layout in enumerate(known):
            count = layout.fits(lines[start:])
            if count:
                known.insert(0, known.pop(place))
                break
        else:
            layout = Layout(lines[start])
            count = layout.fits(lines[start:])
            known.insert(0, layout)
            del known[_KNOWN:]
        yield count, layout.features(lines[start : start + count])
        start += count


def _value(record: Bytes, span: Span) -> Values:
    if span.stride:
        return taken(record[None], span)[0]
    data = memoryview(record.data)
    pieces = _fields(data, span.start, span.end)
    if span.number == _STRINGS:
        return [bytes(data[first:last]) for _, first, last in pieces]
    if span.number == _FLOATS:
        joined = b"".join(bytes(data[first:last]) for _, first, last in pieces)
        return np.frombuffer(joined, "<f4")
    values = [value for _, first, last in pieces for value in _varints(data, first, last)]
    return np.array(values, np.uint64).view(np.int64)


def _entry(data: memoryview, start: int, end: int) -> tuple[str, Span]:
    name, span = "", Span(_STRINGS, start, start)
    for field, first, last in _fields(data, start, end):
        if field == 1:
            name = str(data[first:last], "utf-8")
        elif field == 2:
            for number, inner, outer in _fields(data, first, last):
                span = _span(data, number, inner, outer)
    return name, span


def _span(data: memoryview, number: int, start: int, end: int) -> Span:
    if number == _STRINGS and (end - start) % 3 == 0 and end > start:
        single = Span(number, start, end, 3, 1)
        if _tagged_as(np.frombuffer(data[start:end], np.uint8)[None], single):
            return single
    elif number == _FLOATS and end > start:
        if data[start] == _STRING:
            size, first = _varint(data, start + 1)
            if first + size == end and size % 4 == 0:
                return Span(number, first, end, 4, 4)
        elif (end - start) % 5 == 0:
            apart = Span(number, start, end, 5, 4)
            if _tagged_as(np.frombuffer(data[start:end], np.uint8)[None], apart):
                return apart
    return Span(number, start, end)


def _tagged_as(lines: Lines, span: Span) -> int:
    """In how many of the first rows each element begins with the tags that it should.

    It is looked at in pieces that stay in the cache, by comparing bytes with bytes.
    """
    count, length = lines.shape
    columns = _PIECE - _PIECE % span.stride
    for start in range(0, length, columns):
        width = min(columns, length - start)
        together = max(1, _PIECE // width)
        mask, wanted = _pattern(span.number, span.width, width, together)
        room = np.empty((together, width), np.uint8)
        for row in range(0, count, together):
            rows = lines[row : min(count, row + together), start : start + width]
            here = np.bitwise_and(rows, mask, out=room[: len(rows)])
            if here.tobytes() != wanted[: here.size]:
                alone = wanted[:width]
                count = row + [line.tobytes() == alone for line in here].index(False)
                break
    return count


@functools.lru_cache(maxsize=64)
def _pattern(number: int, width: int, length: int, rows: int) -> tuple[Bytes, bytes]:
    """Which bits of a row of elements are tags, and what they should be, in all of some rows."""
    tags = [_STRING, 1] if number == _STRINGS else [_FLOAT]
    repeats = length // (len(tags) + width)
    mask = np.array(([255] * len(tags) + [0] * width) * repeats, np.uint8)
    return mask, bytes((tags + [0] * width) * repeats * rows)


def _varints(data: memoryview, start: int, end: int) -> Iterator[int]:
    while start < end:
        value, start = _varint(data, start)
        yield value


def _fields(data: memoryview, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field between two positions."""
    while position < end:
        tag, position = _varint(data, position)
        kind, size = tag & 7, 0
        if kind == _BYTES:
            size, position = _varint(data, position)
        elif kind == _FOUR:
            size = 4
        elif kind == _EIGHT:
            size = 8
        elif kind == _VARINT:
            _, after = _varint(data, position)
            size = after - position
        else:
            raise ValueError(f"a field of kind {kind}")
        if position + size > end:
            raise ValueError("a field ends outside of what holds it")
        yield tag >> 3, position, position + size
        position += size


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    byte = data[position]
    if byte < 128:
        return byte, position + 1
    value, shift = byte & 127, 7
    while True:
        position += 1
        byte = data[position]
        value |= (byte & 127) << shift
        if byte < 128:
            return value & _ALL, position + 1
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
