"""Shared memory and semaphores that an attempt made in /dev/shm, and their removal."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

FOLDER = Path("/dev/shm")
_NAMED = re.compile(r"(?:torch_|sem\.loky-|joblib_memmapping_folder_|__KMP_REGISTERED_LIB_)(\d+)")
"""What libraries make under the id of their process: some let go of it before they remove it."""

Entry = tuple[str, int]
"""An entry's name and inode: a name that was removed and made again is another entry."""


class Made:
    """The entries that one attempt has made, as far as they were seen.

    An entry is its own if it was not there before the attempt, belongs to our user, and a process
    of the attempt had it mapped or open, or is named in it. One that a process outside has mapped
    or open as well is left to that one.
    """

    def __init__(self) -> None:
        self._before = set(_entries())
        self._seen: set[Entry] = set()
        self._pids: set[int] = set()

    def look(self, pids: Iterable[int]) -> None:
        """Looks at what these processes of the attempt have mapped and open."""
        new = _entries() - self._before
        for pid in pids:
            self._pids.add(pid)
            if new - self._seen:
                self._seen |= _used(pid, new)

    def remove(self) -> list[str]:
        """Removes what the attempt made; its processes must be gone. Returns the names."""
        there = _entries()
        made = there & (self._seen | {each for each in there - self._before if self._named(each)})
        if not made:
            return []
        for pid in os.listdir("/proc"):
            if pid.isdecimal():
                made -= _used(int(pid), made)
        for name, _ in made:
            with suppress(OSError):
                if (FOLDER / name).is_dir():
                    shutil.rmtree(FOLDER / name)
                else:
                    (FOLDER / name).unlink()
        return sorted(name for name, _ in made)

    def _named(self, entry: Entry) -> bool:
        match = _NAMED.match(entry[0])
        return match is not None and int(match[1]) in self._pids


def _entries() -> set[Entry]:
    """What of our user's is there."""
    found: set[Entry] = set()
    with suppress(OSError), os.scandir(FOLDER) as entries:
        for entry in entries:
            with suppress(OSError):
                stat = entry.stat(follow_symlinks=False)
                if stat.st_uid == os.geteuid() and not entry.is_symlink():
                    found.add((entry.name, stat.st_ino))
    return found


def _used(pid: int, entries: Collection[Entry]) -> set[Entry]:
    """Which of these entries a process has mapped or open.

    By inode: the maps call a semaphore by the name under which the C library made it.
    """
    found: set[int] = set()
    with suppress(OSError), open(f"/proc/{pid}/maps", errors="replace") as lines:
        found.update(int(line.split(None, 5)[4]) for line in lines if f" {FOLDER}/" in line)
    with suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                file = f"/proc/{pid}/fd/{descriptor}"
                if os.readlink(file).startswith(f"{FOLDER}/"):
                    found.add(os.stat(file).st_ino)
    return {entry for entry in entries if entry[1] in found}
