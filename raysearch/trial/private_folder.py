"""The private folder of a driver's own Ray: short, mode 0700, and known when its driver is gone."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from raysearch.errors import BadSetting

FOLDER = "RAYSEARCH_RAY"
"""Environment variable with the private folder of the driver: every process of its Ray has it."""
PREFIX = "rs-ray-"
_OWNER = "owner"
_LONGEST = 40
"""Bytes of its path: Ray adds 67 for its sockets (`/0/session_<date>_<process>/sockets/
plasma_store`), and the path of a socket has 107 at most."""
_HOUR = 3600.0


class PrivateFolder:
    """A folder that exists while the block runs; the lock on its file `owner` says that it does.

    The kernel frees the lock when the driver ends, however it ends: what holds none is left over.
    """

    def __init__(self) -> None:
        self.path = _made(PREFIX, _places(), _LONGEST)
        self._descriptor = os.open(self.path / _OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        said = {"pid": os.getpid(), "since": time.time()}
        os.pwrite(self._descriptor, json.dumps(said).encode(), 0)

    def __enter__(self) -> Path:
        """The folder."""
        return self.path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Removes it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._descriptor)

    @staticmethod
    def left() -> Iterator[Path]:
        """The folders of this user's drivers that are gone."""
        for place in _places():
            for folder in place.glob(f"{PREFIX}*"):
                if _is_left(folder):
                    yield folder


def socket_folder() -> Path:
    """A new folder for the sockets of a trial's processes, which TMPDIR may be too long for.

    It is in the private folder of the driver if this process is of its Ray, and goes with that.

    Raises:
        BadSetting: there is no place for it.
    """
    return _made(f"pymp-{os.getpid()}-", _socket_places(), 2 * _LONGEST)


def remove_sockets(process: int) -> None:
    """Removes such folders of a process, once it is gone."""
    for place in _socket_places():
        for folder in place.glob(f"pymp-{process}-*"):
            shutil.rmtree(folder, ignore_errors=True)


def _socket_places() -> list[Path]:
    own = os.environ.get(FOLDER)
    return [*([Path(own)] if own else []), *_places()]


def _made(prefix: str, places: Sequence[Path], longest: int) -> Path:
    more = len(f"/{prefix}xxxxxxxx")
    for place in places:
        if len(os.fsencode(place)) + more <= longest:
            with suppress(OSError):
                return Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    raise BadSetting(
        f"TMPDIR must be a folder that can be written with a path of at most {longest - more} "
        f"characters, for the sockets of Ray; none of {', '.join(map(str, places))} is"
    )


def _places() -> list[Path]:
    """Where it may be: as the user says, if that is short enough; else where there is room."""
    said = (os.environ.get("TMPDIR"), "/tmp", "/var/tmp", os.environ.get("XDG_RUNTIME_DIR"))
    places = [Path(place).absolute() for place in said if place]
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def _is_left(folder: Path) -> bool:
    """Whether a folder is this user's, and its driver is gone. Nobody else's is ever touched."""
    with suppress(OSError):
        status = folder.lstat()
        if folder.is_symlink() or status.st_uid != os.getuid():
            return False
        if not (folder / _OWNER).exists():  # killed before it signed, or about to sign
            return not any(folder.iterdir()) and time.time() - status.st_mtime > _HOUR
        descriptor = os.open(folder / _OWNER, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True
    return False
