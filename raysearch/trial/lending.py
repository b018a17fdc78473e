"""The checkpoint that an attempt goes on from: a copy, since what was reported stays as it is."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from raysearch.files import appearing
from raysearch.integrity import members
from raysearch.trial.checkpoints import COPY, remove

_CHUNK = 1 << 20
_FICLONE = 0x40049409
"""From linux/fs.h: the same blocks under another name, on file systems that copy on write."""
_LOCK = f"{COPY}.lock"


def lent(path: Path, folder: Path) -> Path:
    """A copy of a checkpoint, under its own name in the folder of an attempt.

    The experiment may write to it: a link would change what was kept. All workers of a group have
    the same one, which is made once, by the first that asks.
    """
    place = folder / COPY / path.name
    place.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder / _LOCK):
        if not place.exists():
            with appearing(place) as partial:
                _copy(path, partial)
    return place


def is_lent(path: Path, folder: Path) -> bool:
    """Whether a path lies where the copy does: it is gone when the attempt ends."""
    return path.is_relative_to(folder / COPY)


def take_back(folder: Path) -> None:
    """Deletes the copy of an attempt."""
    remove([folder / COPY, folder / _LOCK], folder)


def take_back_all(root: Path, trial: int) -> None:
    """Deletes the copies that attempts of a trial left which were ended with their host."""
    for place in (root / f"{trial:04d}").glob(f"*/{COPY}"):
        remove([place, place.with_name(_LOCK)], root)


def copy_file(source: Path, target: Path) -> None:
    """The content and its time of change, by which it is known again; by reference if possible."""
    with source.open("rb") as one, target.open("xb") as other:
        try:
            fcntl.ioctl(other.fileno(), _FICLONE, one.fileno())
        except OSError:
            shutil.copyfileobj(one, other, _CHUNK)
        found = os.stat(one.fileno())
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _copy(source: Path, target: Path) -> None:
    if not source.is_dir():
        copy_file(source, target)
        return
    target.mkdir()
    for name, is_file in members(source):
        copy_file(source / name, target / name) if is_file else (target / name).mkdir()


@contextmanager
def _alone(lock: Path) -> Generator[None]:
    """One worker at a time, where the file system knows locks."""
    with lock.open("w") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
