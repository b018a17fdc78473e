"""The log of an attempt, kept within bounds while processes write to it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

LARGEST = 10 << 20
"""Bytes above which a log is cut."""
HEAD, TAIL = 1 << 20, 4 << 20
"""Bytes that stay of its beginning and of its end."""


class BoundedLog:
    """Cuts the middle out of a log that has grown too large.

    Those that write to it append, so they go on behind the cut: none has to be told. What they
    write in the moment between copy and cut is lost; a line in the log says how much is missing.
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
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND)
        try:
            size = os.fstat(descriptor).st_size
            tail = os.pread(descriptor, TAIL, size - TAIL)
            os.ftruncate(descriptor, HEAD)
            self._cut += size - HEAD - len(tail)
            note = f"\n[{self._cut / 1e6:.1f} MB of output were cut out here]\n"
            os.write(descriptor, note.encode() + tail)
        finally:
            os.close(descriptor)
