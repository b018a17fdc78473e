"""The log of an attempt, kept within bounds while processes write to it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

LARGEST = 10 << 20
"""Bytes above which a log is cut."""
HEAD, TAIL = 1 << 20, 4 << 20
"""Bytes that stay of its beginning and of its end."""

_PIECE = 1 << 18


class BoundedLog:
    """Cuts the middle out of a log that has grown too large.

    Those that write to it append, so they go on behind the cut: none has to be told. What comes
    while the end is moved forward is moved too; only what comes in the moment between the last look
    and the cut is lost. A line in the log says how much is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cut = 0

    def look(self) -> None:
        """Cuts the log if it is due. A log that cannot be cut, on a full disk, stays as it is."""
        with suppress(OSError):
            if os.stat(self._path).st_size > LARGEST:
                self._shorten()

    def _shorten(self) -> None:
        descriptor = os.open(self._path, os.O_RDWR)
        try:
            start = os.fstat(descriptor).st_size - TAIL
            self._cut += start - HEAD
            note = f"\n[{self._cut / 1e6:.1f} MB of output were cut out here]\n".encode()
            end = HEAD + os.pwrite(descriptor, note, HEAD)
            last = start + 2 * TAIL  # some write faster than anybody moves
            while start < last and (moved := os.pread(descriptor, _PIECE, start)):
                start += len(moved)
                end += os.pwrite(descriptor, moved, end)
            os.ftruncate(descriptor, end)
        finally:
            os.close(descriptor)
