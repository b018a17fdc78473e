"""Files of some names that a program writes: below its folder, or held open by a process of it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

_SELDOM = 20
"""A walk through a large folder waits for so many times as long as the last one took."""
_OPEN = Path("/proc")


class Watched:
    """The files of some names that a program writes, found again and again.

    Args:
        folders: its working folder, and others of its own. Links in them are not followed: what
            lies there is not its own.
        pids: the processes of the program that live now.
        since: files that nobody wrote to since this time (seconds since 1970) are not its own.
        every: seconds between two walks through the folder.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        pids: Callable[[], list[int]],
        since: float,
        every: float = 0.2,
    ) -> None:
        self.folders, self.since = list(folders), since
        self._pids, self._every = pids, every
        self._next = 0.0
        self._found: dict[Path, None] = {}
        self._names = list[re.Pattern[str]]()

    def files(self, name: re.Pattern[str], now: bool = False) -> list[Path]:
        """The files of that name, in the order in which they were found; none is lost again.

        `now`: walk through the folder, however short ago the last walk was.
        """
        if name not in self._names:
            self._names.append(name)
            now = True
        if now:
            self._next = 0.0
        self._look()
        return [path for path in self._found if name.fullmatch(path.name)]

    def _look(self) -> None:
        began = time.monotonic()
        if began < self._next:
            return
        for path in sorted({*self._below(), *self._held()}, key=_age):
            if path not in self._found and _written(path) >= self.since - 1.0:
                self._found[path] = None
        took = time.monotonic() - began
        self._next = began + max(self._every, _SELDOM * took)

    def _below(self) -> Iterator[Path]:
        for top in self.folders:
            for folder, _, names in os.walk(top):
                yield from (Path(folder, name) for name in names if self._is_wanted(name))

    def _held(self) -> Iterator[Path]:
        """What its processes hold open for writing or reading, wherever it lies."""
        for pid in self._pids():
            with suppress(OSError):
                for descriptor in os.scandir(_OPEN / str(pid) / "fd"):
                    with suppress(OSError):
                        path = os.readlink(descriptor.path)
                        if path.startswith("/") and self._is_wanted(os.path.basename(path)):
                            yield Path(path)

    def _is_wanted(self, name: str) -> bool:
        return any(pattern.fullmatch(name) for pattern in self._names)


def _written(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _age(path: Path) -> tuple[float, str]:
    """Orders files that are found together: that of which the inode is older comes first."""
    with suppress(OSError):
        return min(path.stat().st_ctime, path.stat().st_mtime), str(path)
    return 0.0, str(path)
