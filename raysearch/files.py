"""Files of the runs: how they appear, and who may read them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

_GROUP, _OTHERS = 0o020, 0o002
"""The bits of a umask that keep a group and everybody else from writing."""


def allowed(umask: int) -> int:
    """The permissions of what is made under a umask, as bits of a folder.

    Its owner alone may read it: the usual 022 lets everybody read, and says so of all files of a
    machine. Whom the umask lets write, it means: 002 shares with the group, 000 with everybody.
    """
    group = 0 if umask & _GROUP else 0o070
    others = 0 if umask & _OTHERS else 0o007
    return (0o700 | group | others) & ~umask


def make_folder(folder: Path) -> bool:
    """Makes a folder that others cannot read (`allowed`); one that is there stays as it is.

    Returns whether it was made now.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return False
    folder.chmod(allowed(_umask()))
    return True


def private(file: Path) -> None:
    """Makes an empty file that others cannot read; one that is there stays as it is."""
    with suppress(FileExistsError):
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, allowed(_umask()) & 0o666)
        finally:
            os.close(descriptor)


@contextmanager
def appearing(
    place: Path, *, prefix: str = ".partial-", under: str | None = None, keeps: bool = False
) -> Generator[Path]:
    """A name for a file or folder, which takes its place when the block ends well, or not at all.

    It is in a folder beside the place that nobody else has, or has the name `under`: then it takes
    that of a process that was killed. What is at the place by then goes, or stays if it `keeps` it.
    """
    if under is None:
        own = Path(tempfile.mkdtemp(prefix=prefix, dir=place.parent))
    else:
        own = place.with_name(under)
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir(parents=True)
    try:
        yield own / place.name
        if not (keeps and place.exists()):
            _replace(own / place.name, place)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _replace(fresh: Path, place: Path) -> None:
    """Puts what is fresh where something may be; a folder is put back if this fails."""
    if not (fresh.is_dir() and place.exists()):
        os.replace(fresh, place)
        return
    old = fresh.with_name(f"{fresh.name}-old")
    os.replace(place, old)
    try:
        os.replace(fresh, place)
    except OSError:
        if not place.exists():
            os.replace(old, place)
        raise


def write_privately(path: Path, text: str) -> None:
    """Writes a file that nobody else may read, at no moment; it appears whole, and on the disk."""
    with appearing(path) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def full_disk(where: object = None) -> str:
    """The sentence for a disk without room."""
    at = f" for {where}" if where else ""
    return f"no space is left on the disk{at}: make some, and give the same command again"


def _umask() -> int:
    """The umask of this process: the system call would change it for all threads at once."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    found = os.umask(0o077)
    os.umask(found)
    return found
