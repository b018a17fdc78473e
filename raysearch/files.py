"""Files of the runs: addresses of SQLite databases, and who may read what is made."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_GROUP, _OTHERS = 0o020, 0o002
"""The bits of a umask that keep a group and everybody else from writing."""


def sqlite_address(file: Path) -> str:
    """The address of an SQLite database: `sqlite:////absolute/what%3F/raysearch.db`."""
    import sqlalchemy as sa

    return sa.URL.create("sqlite", database=str(file)).render_as_string()


def sqlite_file(address: str) -> Path | None:
    """The file of an SQLite database; None if it has none, or is another kind of database."""
    import sqlalchemy as sa
    from sqlalchemy import exc as sa_exc

    try:
        url = sa.make_url(address)
    except (sa_exc.ArgumentError, ValueError):
        return None
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return None if url.query else Path(str(url.database))


def absolute(address: str) -> str:
    """An address whose SQLite file does not depend on the current folder; others as they are."""
    file = sqlite_file(address)
    return address if file is None or file.is_absolute() else sqlite_address(file.absolute())


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
