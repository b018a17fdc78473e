"""What a program writes: into the log of its attempt, read by patterns, and its end kept."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import deque
from contextlib import suppress

from raysearch.programs.readers.pattern import Patterns

_CHUNK = 1 << 16
_KEPT = 200
"""Lines of its end."""
_LONGEST_LINE = 1 << 16
_TRACEBACK = "Traceback (most recent call last):"
_OF_LAUNCHERS = ("torch/distributed/elastic", "torch/distributed/run.py", "ChildFailedError")
"""Tracebacks of torchrun itself say nothing of why a process of it failed."""
_RANK = re.compile(r"\[rank\d+\]:")
_RAISED = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Warning|Iteration)?(:|$)")


class Output:
    """Reads a pipe in a thread until it is closed, and passes it on to this process's output."""

    def __init__(self, pipe: int, patterns: Patterns) -> None:
        self._pipe, self._patterns = pipe, patterns
        self.lines: deque[str] = deque(maxlen=_KEPT)
        self.reports: deque[tuple[float, int | None, dict[str, float]]] = deque()
        self.count = 0
        self._rest = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self, limit: float) -> None:
        """Waits for the end of the pipe, which a process that lives on may hold open."""
        self._thread.join(limit)

    def _run(self) -> None:
        with suppress(OSError):
            while chunk := os.read(self._pipe, _CHUNK):
                self.count += len(chunk)
                self._pass_on(chunk)
                self._take(chunk)
        self._take(b"\n")

    def _pass_on(self, chunk: bytes) -> None:
        while chunk:
            try:
                chunk = chunk[os.write(1, chunk) :]
            except OSError:  # a full disk: what it says is still read
                time.sleep(0.01)
                return

    def _take(self, chunk: bytes) -> None:
        *lines, self._rest = re.split(rb"[\r\n]+", self._rest + chunk)
        self._rest = self._rest[-_LONGEST_LINE:]
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text:
                self.lines.append(text[:_LONGEST_LINE])
                now = time.time()
                self.reports.extend((now, *found) for found in self._patterns.read(text))


def traceback_in(lines: list[str], rank: int | None = None) -> tuple[str, str]:
    """The last traceback of Python in lines, with what it was raised from; and its last line.

    Both are empty where there is none. Of several processes that of this `rank` comes first: the
    others fail because it did.
    """
    starts = [number for number, line in enumerate(lines) if line.lstrip().endswith(_TRACEBACK)]
    starts.sort(key=lambda start: lines[start].startswith(f"[rank{rank}]:"))
    for start in reversed(starts):
        prefix = lines[start][: lines[start].index(_TRACEBACK)]
        process = _RANK.match(prefix)
        taken = [lines[start][len(prefix) :]]
        for line in lines[start + 1 :]:
            if process and not line.startswith(process[0]):  # another one wrote meanwhile
                continue
            own = line[len(prefix) :] if line.startswith(prefix) else line
            taken.append(own)
            if not own.startswith((" ", "\t")) and _RAISED.match(own):
                text = "\n".join(taken)
                if not any(word in text for word in _OF_LAUNCHERS):
                    return text, own
                break
    return "", ""
