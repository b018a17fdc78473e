"""Files that a program writes to go on from: checkpoints found by a pattern, and a kept folder."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from raysearch.programs.reports import Reports
from raysearch.trial import process_tree

_QUIET = 0.2
"""Seconds without a change after which a file that nobody has open is finished."""
KEPT = "program-kept"
"""Below the folder of a trial: what its attempts share."""


class Checkpoints:
    """The checkpoints that a program writes by itself, the newest finished one at a time.

    One that was written nearer to the report before than to the one that comes is of that step.
    """

    def __init__(self, folder: Path, pattern: str | None) -> None:
        self._folder, self._pattern = folder, pattern
        self._taken = -1

    def look(self, reports: Reports) -> None:
        """Hands over a new one that is of the step that was reported last."""
        found = self._found(wait=False)
        if found is None or reports.step is None:
            return
        path, changed = found
        written = changed / 1e9
        if written - reports.at < time.time() - written:
            self._taken = changed
            reports.hand_over(path)

    def newest(self) -> Path | None:
        """A new one, which is of the step that is reported now."""
        found = self._found(wait=False)
        if found is None:
            return None
        self._taken = found[1]
        return found[0]

    def at_end(self, reports: Reports) -> None:
        """Hands over the last one, once the program has ended."""
        found = self._found(wait=True)
        if found is not None:
            self._taken = found[1]
            reports.hand_over(found[0])

    def _found(self, *, wait: bool) -> tuple[Path, int] | None:
        """The newest file or folder that was not taken yet, if it is finished; when it changed."""
        if not self._pattern:
            return None
        newest, changed = None, self._taken
        for path in self._folder.glob(self._pattern):
            with suppress(OSError):
                at = _changed(path)
                if at > changed:
                    newest, changed = path, at
        if newest is None or not (wait or _is_finished(newest, changed)):
            return None
        return newest, changed


def kept_folder(session: Any, facts: Mapping[str, Any], work: Path) -> None:
    """Links the folder that attempts share into the working folder of this one."""
    if not facts["keep"]:
        return
    folder = Path(session.folder).absolute()
    is_of_search = getattr(session, "job", None) is not None
    shared = (folder.parent if is_of_search else folder) / KEPT / facts["keep"]
    place = work / facts["keep"]
    if place.is_dir() and not place.is_symlink():
        if not shared.exists():
            shutil.copytree(place, shared)  # what the code itself has there
        shutil.rmtree(place)
    shared.mkdir(parents=True, exist_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(shared)


def _changed(path: Path) -> int:
    """When a file, or the last one in a folder, was changed, in nanoseconds since 1970."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return max(file.stat().st_mtime_ns for file in files)


def _is_finished(path: Path, changed: int) -> bool:
    """Whether no process of this trial has it open, and it has not changed for a moment."""
    if time.time_ns() - changed < _QUIET * 1e9:
        return False
    real = path.resolve()
    return not any(
        each == real or real in each.parents
        for pid in process_tree.family(os.getpid())
        if pid != os.getpid()
        for each in _open(pid)
    )


def _open(pid: int) -> list[Path]:
    """The files that a process has open."""
    found: list[Path] = []
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found.append(Path(os.readlink(entry.path)))
    return found
