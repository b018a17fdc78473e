"""Counts of spaces, kept from one command to the next while nothing that they rest on changes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from raysearch.errors import RaysearchError
from raysearch.files import write_privately
from raysearch.sweeps.space import Count, Space
from raysearch.sweeps.sweep import Sweep

_FILES = 8
"""Files of counts that are kept: one for each state of the sources that was seen of late."""
_SURROUNDINGS = re.compile(rb"\benviron|\bgetenv")
_INSTALLED = ("site-packages", "dist-packages")
_PYTHON = os.path.dirname(os.__file__) + os.sep


class Reading:
    """Notices which files are read while it is open, those of modules left aside.

    A sweep may take its choices from a file: then that file is among what its count depends on.
    `is_whole` says that no module of people's was loaded before, which may have read any.
    """

    _open: ClassVar[list[Reading]] = []
    _is_hooked: ClassVar[bool] = False

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.is_whole = not any(map(_is_peoples, list(sys.modules.values())))

    def __enter__(self) -> Reading:
        """Begins to notice."""
        if not Reading._is_hooked:
            Reading._is_hooked = True
            sys.addaudithook(_notice)
        Reading._open.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Notices no more."""
        Reading._open.remove(self)

    @classmethod
    def notice(cls, path: object) -> None:
        """Takes in a path that was opened or listed."""
        if cls._open and isinstance(path, (str, bytes, os.PathLike)):
            found = os.path.abspath(os.fsdecode(path))
            if not found.endswith((".py", ".pyc")) and not _is_installed(found):
                for each in cls._open:
                    each.files.add(found)


def _notice(event: str, arguments: tuple[object, ...]) -> None:
    """The audit hook (PEP 578); what Python's import system itself looks at is no reading."""
    if event in ("open", "os.listdir", "os.scandir") and Reading._open:  # pyright: ignore[reportPrivateUsage]
        if "importlib" not in sys._getframe(1).f_code.co_filename:  # pyright: ignore[reportPrivateUsage]
            Reading.notice(arguments[0])


class KeptCounts:
    """The counts of one state of all sources; written to a file of the user's cache folder.

    A count is taken from there only if every module that is loaded and not of Python itself, what
    sweeps read, the versions of Python and of all packages, and a sample of the space are as they
    were when it was counted. A file that is not there, or damaged, means that all are counted.
    """

    def __init__(self, file: Path | None, reading: Reading) -> None:
        self._file = file
        self._reading = reading
        self._known = _read(file) if file is not None else {}
        self._has_news = False

    @classmethod
    def here(cls, reading: Reading) -> KeptCounts:
        """Those of the sources that are loaded now, and of the files that were read so far."""
        folder = cache_folder() if reading.is_whole else None
        state = state_of_sources(reading.files) if folder else None
        return cls(folder / f"{state}.json" if folder and state else None, reading)

    def count(self, name: str, sweep: Sweep, count: Callable[[Sweep], Count]) -> Count:
        """The count of a sweep, from the file or by counting."""
        with Reading() as reading:
            probe = _probe(sweep)
            known = self._known.get(f"{name} {probe}") if probe else None
            found = count(sweep) if known is None else None
        if found is None:
            points, distinct, more_than = known or (None, None, None)
            return Count(points, distinct, sweep.stated, more_than)
        if probe and reading.files <= self._reading.files:
            self._known[f"{name} {probe}"] = (found.points, found.distinct, found.more_than)
            self._has_news = True
        return found

    def write(self) -> None:
        """Keeps what was counted anew, whole or not at all; where that is not possible, nothing."""
        if self._file is None or not self._has_news:
            return
        text = json.dumps(self._known)
        whole = json.dumps({"digest": _digest(text.encode()), "counts": text})
        with suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_privately(self._file, whole)
            _forget_old(self._file.parent)


Numbers = tuple[int | None, int | None, int | None]
"""Points, distinct ones, and more than how many there are."""


def cache_folder() -> Path | None:
    """`raysearch/counts` below `$XDG_CACHE_HOME` or `~/.cache`; None where there is no home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
    except RuntimeError:
        return None
    return base / "raysearch" / "counts"


def state_of_sources(files: set[str]) -> str | None:
    """A hash of all that decides what sweeps there are and how many points they have.

    None if a file changed after this process began: what was loaded is then not known for sure.
    """
    began, state = _began(), hashlib.sha256()
    state.update(repr((sys.version, sys.executable)).encode())
    asks_for_surroundings = False
    try:
        for name, module in sorted(sys.modules.items()):
            path = _source_of(module)
            if path is None:
                continue
            is_ours = not _is_installed(path)
            told, text = _state_of(path, began, whole=is_ours)
            state.update(f"{name} {told}\n".encode())
            asks = _is_peoples(module) and _SURROUNDINGS.search(text) is not None
            asks_for_surroundings |= asks
        for path in sorted(files):
            told = _state_of_read(path, began)
            state.update(f"{path} {told}\n".encode("utf-8", "backslashreplace"))
    except (OSError, _TooNew):
        return None
    if asks_for_surroundings:
        state.update(repr(sorted(os.environ.items())).encode("utf-8", "backslashreplace"))
    return state.hexdigest()[:32]


class _TooNew(Exception):
    """A file was written after this process had begun."""


def _state_of(path: str, began: float, *, whole: bool = True) -> tuple[str, bytes]:
    """What tells a file from another or changed one, and, unless it is installed, its content.

    The time is in it since Python itself goes by it: it may run the compiled form of an older text.
    """
    stat = os.stat(path)
    if stat.st_mtime > began:
        raise _TooNew
    content = Path(path).read_bytes() if whole else b""
    return f"{path} {stat.st_mtime_ns} {stat.st_size} {_digest(content)}", content


def _state_of_read(path: str, began: float) -> str:
    """The same of what was read: of a folder the names in it; what is not there may come."""
    if os.path.isdir(path):
        return repr(sorted(os.listdir(path)))
    return _state_of(path, began)[0] if os.path.exists(path) else "not there"


def _source_of(module: ModuleType) -> str | None:
    """The file of a module that is not of Python itself."""
    path: Any = getattr(module, "__file__", None)
    if not isinstance(path, str):
        return None
    is_pythons = path.startswith(_PYTHON) and not _is_installed(path)
    return None if is_pythons or module.__name__ == "__main__" else path


def _is_peoples(module: ModuleType) -> bool:
    """Whether it is neither Python's nor installed, nor of the service itself."""
    path, name = _source_of(module), str(getattr(module, "__name__", ""))
    is_own = name.partition(".")[0] == "raysearch"
    return path is not None and not is_own and not _is_installed(path)


def _is_installed(path: str) -> bool:
    """Whether it belongs to a package that was installed, or lies in an archive of Python's."""
    return any(part in path for part in _INSTALLED) or path.endswith(".zip")


def _began() -> float:
    """When this process began, in seconds since 1970; before all time where that is not known.

    To a tick of the kernel's clock, rounded up: by then no module of ours can have been loaded.
    """
    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
        ticks = int(fields.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return float("-inf")
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - (ticks + 1) / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def _probe(sweep: Sweep) -> str:
    """A hash of one point of a space, and of what it was drawn from; empty if there is none."""
    try:
        point = Space(sweep).sample(random.Random(0))
    except RaysearchError:
        return ""
    ranges = {name: each.to_json() for name, each in point.distributions.items()}
    seen = [sweep.reference, point.params, ranges, point.digest, point.seed]
    return _digest(json.dumps(seen, sort_keys=True, default=repr).encode())[:16]


def _read(file: Path) -> dict[str, Numbers]:
    """What is kept in a file; nothing if that is not, to the letter, what was written."""
    try:
        whole: Any = json.loads(file.read_bytes())
        if whole["digest"] != _digest(whole["counts"].encode()):
            return {}
        counts: dict[str, list[int | None]] = json.loads(whole["counts"])
        os.utime(file)
        return {key: (points, distinct, more) for key, (points, distinct, more) in counts.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _forget_old(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[_FILES:]:
        file.unlink(missing_ok=True)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
