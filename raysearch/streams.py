"""Standard output and error that never fail: closed, full, broken, or of few letters."""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from contextlib import suppress
from typing import IO, Any

from raysearch.texts import encodable

_SPELLINGS = {"…": "...", "±": "+-", "–": "-", "→": "->", "↑": "^", "↓": "v", "✓": "ok", "×": "x"}
"""How letters that we write are spelt where the terminal has none for them."""
_ERRORS = "raysearch.spelt"


class Forgiving(io.RawIOBase):
    """A descriptor to which one can always write: what it does not take is lost.

    `lost` is the first error; after it the descriptor leads nowhere, so that nothing else that
    writes to it (a library in C, a child) meets the error either.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Writes all of it, or loses it."""
        rest = memoryview(data).cast("B")
        count = len(rest)
        while len(rest) and self.lost is None:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # another program has made the terminal non-blocking
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.lost = error
                _lead_nowhere(self._descriptor)
        return count

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Always."""
        return True


def open_streams() -> None:
    """Makes the standard streams of this process such that no command fails by them.

    One that is closed leads nowhere: otherwise the next file, such as a database, would get its
    descriptor, and be written to by whatever prints. Letters that cannot be encoded are spelt out.
    Streams that were put in the place of the real ones are left alone.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            _lead_nowhere(descriptor)
    codecs.register_error(_ERRORS, _spelt)
    if sys.stdin is None:
        sys.stdin = open(0)  # noqa: SIM115 (lives as long as we do)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _forgiving(sys.stdout, 1)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _forgiving(sys.stderr, 2)


def lost_output() -> OSError | None:
    """Why standard output did not take all that was written to it; None if it did, so far."""
    with suppress(AttributeError):
        sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.lost if isinstance(raw, Forgiving) else None


def _forgiving(stream: IO[str] | None, descriptor: int) -> io.TextIOWrapper:
    given = getattr(stream, "errors", "strict") or "strict"
    buffer = io.BufferedWriter(Forgiving(descriptor))
    return io.TextIOWrapper(
        buffer,
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors=_ERRORS if given in ("strict", "surrogateescape", "backslashreplace") else given,
        line_buffering=descriptor == 2 or os.isatty(descriptor),
        write_through=descriptor == 2,
    )


def _lead_nowhere(descriptor: int) -> None:
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere == descriptor:
            os.set_inheritable(descriptor, True)  # of a child too it is not the next file's
        else:
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def _spelt(error: UnicodeError) -> tuple[str, int]:
    """Letters that an encoding does not have: our own by similar ones, others by their numbers."""
    assert isinstance(error, UnicodeEncodeError)
    letters = error.object[error.start : error.end]
    spelt = (_SPELLINGS.get(letter, encodable(letter)) for letter in letters)
    text = "".join(spelt).encode("ascii", "backslashreplace").decode("ascii")
    return text, error.end
