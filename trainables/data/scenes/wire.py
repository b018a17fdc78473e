"""Reads TFRecords of `tf.train.Example` without TensorFlow: values are sliced from the wire.

A record file, plain or gzip as a whole, holds for each record its length (8 bytes), the masked
CRC-32C of the length (4), the record, and the masked CRC-32C of the record (4). A list of
single-byte strings is on the wire the bytes (tag, 1, value) over and over, so that its values are
every third byte.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from trainables.data.scenes.checksums import crc32c, masked, unmasked
from trainables.data.scenes.examples import Layout, Lines, Values, alike, parse

Record = NDArray[np.uint8]

_HEAD, _TAIL = 12, 4
_PIECE = 1 << 20  # bytes that are read, or unpacked, at once
_PACKED = 1 << 16  # of a gzip file: what is left of it is copied with each piece
_TOGETHER = 1 << 21  # bytes whose records are looked at together
_LONGEST = 1 << 31  # bytes: a longer record is a foreign file
_GZIP = 16 + zlib.MAX_WBITS


class RecordFile:
    """A TFRecord file that is read once, from its first byte to its last.

    `progress(bytes)` is told how many bytes were read since it was last told. Records are numbered
    from 0; `count` of them were read or skipped. Only if it `hashes` there is a checksum of the
    whole.

    Raises:
        ValueError: the file is truncated, damaged or of another kind; names file and record.
        OSError: it cannot be read.
    """

    def __init__(
        self, path: Path, progress: Callable[[int], None] | None = None, *, hashes: bool = False
    ) -> None:
        self.path = path
        self.count = 0
        self._progress = progress
        self._digest = hashlib.sha256() if hashes else None
        self._broken: Exception | None = None
        self._file: IO[bytes] = path.open("rb")
        self._buffer = memoryview(b"")
        self._pieces = self._unpacked()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def records(self, skip: int = 0) -> Iterator[Record]:
        """The records after the first `skip`, one by one; see `runs`."""
        for _, lines in self.runs(skip):
            yield from lines

    def runs(self, skip: int = 0) -> Iterator[tuple[int, Lines]]:
        """The records after the first `skip`: number of the first, and all of one length in a row.

        The checksums of those that are skipped are not looked at. What is given out is a view of
        what was read: it stays as it is, but keeps some megabytes alive.
        """
        number = 0
        while self._has(_HEAD, number):
            length = self._length(number)
            if not self._has(_HEAD + length + _TAIL, number):
                raise self._truncated(number)
            run = self._run(_HEAD + length + _TAIL)
            lines = np.frombuffer(self._buffer, np.uint8, run * (_HEAD + length + _TAIL))
            lines = lines.reshape(run, -1)
            seen = min(max(skip - number, 0), run)
            if seen < run:
                self._check(lines[seen:], number + seen)
                yield number + seen, lines[seen:, _HEAD:-_TAIL]
            self._buffer = self._buffer[lines.size :]
            number += run
            self.count = number

    def checksum(self) -> str:
        """SHA-256 of the whole file as it is on the disk; reads what was not read yet.

        Raises:
            ValueError: the file does not hash what it reads.
        """
        while self._read():
            pass
        if self._digest is None:
            raise ValueError("hashes must be True for a checksum, got False")
        return f"sha256:{self._digest.hexdigest()}"

    def _length(self, number: int) -> int:
        head = np.frombuffer(self._buffer, np.uint8, _HEAD)
        length, stored = int(head[:8].view("<u8")[0]), int(head[8:].view("<u4")[0])
        if masked(int(crc32c(head[None, :8])[0])) == stored and length < _LONGEST:
            return length
        what = "is no TFRecord file" if number == 0 else "is damaged"
        raise ValueError(f"{self.path} {what}: the length of record {number} has a wrong checksum")

    def _run(self, size: int) -> int:
        """How many whole records at the start of the buffer have the head of the first."""
        count = len(self._buffer) // size
        heads = np.frombuffer(self._buffer, np.uint8, count * size).reshape(count, size)[:, :_HEAD]
        other = np.flatnonzero((heads != heads[0]).any(axis=1))
        return int(other[0]) if len(other) else count

    def _check(self, lines: Lines, number: int) -> None:
        stored = unmasked(np.ascontiguousarray(lines[:, -_TAIL:]).view("<u4")[:, 0])
        wrong = np.flatnonzero(crc32c(lines[:, _HEAD:-_TAIL]) != stored)
        if len(wrong):
            raise ValueError(
                f"{self.path} is damaged: record {number + int(wrong[0])} has a wrong checksum"
            )

    def _has(self, size: int, number: int) -> bool:
        """Whether so many bytes are left; reads until they are in the buffer.

        Raises ValueError if some are left and the file ends among them.
        """
        if len(self._buffer) >= size:
            return True
        have = len(self._buffer)
        buffer = memoryview(np.empty(max(_TOGETHER, size + 2 * _PIECE), np.uint8).data)
        buffer[:have] = self._buffer
        while have + _PIECE <= len(buffer):
            piece = self._next()
            if not piece:
                break
            buffer[have : have + len(piece)] = piece
            have += len(piece)
        self._buffer = buffer[:have]
        if have < size and self._broken is not None:
            raise ValueError(
                f"{self.path} is damaged or truncated at record {number}: {self._broken}"
            )
        if 0 < have < size:
            raise self._truncated(number)
        return have >= size

    def _next(self) -> bytes:
        """The next bytes; none at the end, and none where the gzip stream is broken."""
        try:
            return next(self._pieces, b"")
        except (zlib.error, EOFError) as error:
            self._broken = error  # what came before it is still good
            return b""

    def _truncated(self, number: int) -> ValueError:
        return ValueError(f"{self.path} is truncated: it ends within record {number}")

    def _read(self, size: int = _PIECE) -> bytes:
        piece = self._file.read(size)
        if self._digest is not None:
            self._digest.update(piece)
        if self._progress and piece:
            self._progress(len(piece))
        return piece

    def _unpacked(self) -> Iterator[bytes]:
        """The bytes of the file, unpacked if it is gzip, of several members too."""
        packed = self._read(_PACKED)
        if packed[:2] != b"\x1f\x8b" or _is_head(packed[:_HEAD]):
            while packed:
                yield packed
                packed = self._read()
            return
        member = zlib.decompressobj(_GZIP)
        while packed:
            piece = member.decompress(packed, _PIECE)
            if piece:
                yield piece
            packed = member.unconsumed_tail or (b"" if member.eof else self._read(_PACKED))
            if member.eof:
                packed = member.unused_data or self._read(_PACKED)
                member = zlib.decompressobj(_GZIP) if packed else member
        while not member.eof:  # what it keeps back if the limit was met at the very end
            piece = member.decompress(b"", _PIECE)
            if not piece and not member.eof:
                raise EOFError("the gzip stream breaks off")
            yield piece


def _is_head(head: bytes) -> bool:
    found = np.frombuffer(head, np.uint8)
    if len(found) < _HEAD:
        return False
    return masked(int(crc32c(found[None, :8])[0])) == int(found[8:].view("<u4")[0])


def examples(path: Path) -> Iterator[dict[str, Values]]:
    """The features of each record of a file, by name; as `trainables.data.scenes.examples`.

    Raises:
        ValueError: a damaged file or record; names file and number.
    """
    with RecordFile(path) as file:
        for number, record in enumerate(file.records()):
            with named(path, number):
                found = parse(record)
            yield found


def batches(file: RecordFile, skip: int = 0) -> Iterator[tuple[int, int, Mapping[str, Values]]]:
    """Records in a row with features [R, n]: number of the first, how many, features by name.

    Raises:
        ValueError: as `examples`.
    """
    known: list[Layout] = []
    for number, lines in file.runs(skip):
        groups = alike(lines, known)
        while True:
            with named(file.path, number):
                group = next(groups, None)
            if group is None:
                break
            count, features = group
            yield number, count, features
            number += count


@contextmanager
def named(path: Path, number: int) -> Generator[None]:
    """Puts file and record before the words of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: record {number} {error}") from None
