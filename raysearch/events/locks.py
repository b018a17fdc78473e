"""The right to drive a search: held by one process, freed however that process ends."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import socket
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from raysearch.errors import BadSetting, WrongState
from raysearch.events.database import HOLDERS, PATIENCE, Database, passes, reason
from raysearch.files import make_folder, private
from raysearch.passwords import hidden

_TAKE = sa.text("SELECT pg_try_advisory_lock(:key)")
_UNLOCK = sa.text("SELECT pg_advisory_unlock_all()")
_BACKEND = sa.text("SELECT pg_backend_pid()")
_HELD = """
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND classid::bigint = :high AND objid::bigint = :low
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
"""The server's own record of a lock: one row while it is held."""
_MINE = sa.text(f"SELECT count(*) FROM ({_HELD}) AS held WHERE pid = pg_backend_pid()")
_HOLDER = sa.text(
    f"SELECT host, holders.pid, since FROM ({_HELD}) AS held LEFT JOIN holders "
    "ON holders.search = :search AND holders.backend = held.pid"
)
"""Whoever holds it, by name once it has signed."""


_REFUSALS = 30
"""So often it is seen with another driver until that one is believed: it may be just ending."""
_LOOKERS = 30.0
"""Seconds for which those who only look are waited for."""
LOCK = "lock"
"""The file in the folder of a search by which it is known as one."""


class SearchIsRunning(WrongState):
    """The search is being driven by another process, which is named."""


class Lock(ABC):
    """The right to drive a search; a context manager.

    The processes that its holder starts do not inherit it.
    """

    def __init__(self, search: str) -> None:
        self.search = search

    @abstractmethod
    def acquire(self) -> None:
        """Takes the lock. Raises SearchIsRunning naming the holder."""

    @abstractmethod
    def release(self) -> None:
        """Gives the lock back."""

    @abstractmethod
    def check(self) -> None:
        """Raises ValueError if the lock was lost: whoever held it must write nothing more."""

    @abstractmethod
    def holder(self) -> dict[str, Any] | None:
        """Who drives the search now (`host`, `pid`, `since`), or None; keeps nobody out."""

    def refused(self, holder: dict[str, Any]) -> SearchIsRunning:
        """The sentence for a second driver."""
        return SearchIsRunning(
            f"search {self.search!r} is being driven by process {holder.get('pid', '?')} on "
            f"{holder.get('host', '?')} since {holder.get('since', '?')}; wait for it, or end it "
            f"by `raysearch stop {self.search}`"
        )

    def __enter__(self) -> Lock:
        """Takes the lock."""
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Gives it back."""
        self.release()


class FileLock(Lock):
    """A lock on the file `lock` in the folder of a search, for drivers that share that folder.

    The kernel frees it when its holder ends.
    """

    def __init__(self, folder: Path, last: Callable[[], None] | None = None) -> None:
        """A lock whose holder calls `last` before it gives it back."""
        super().__init__(Path(folder).name)
        self._path, self._last = Path(folder) / LOCK, last
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Takes the lock. Raises SearchIsRunning naming the holder."""
        while True:
            make_folder(self._path.parent)
            private(self._path)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not _taken(descriptor):
                os.close(descriptor)
                raise self.refused(self._read())
            if _is_at(descriptor, self._path):
                break
            os.close(descriptor)  # its holder deleted it, with its search
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_here()).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Gives the lock back."""
        if self._descriptor is not None:
            try:
                if self._last is not None:
                    self._last()
            finally:
                os.close(self._descriptor)
                self._descriptor = None

    def check(self) -> None:
        """Nothing: the kernel takes no lock away."""

    def holder(self) -> dict[str, Any] | None:
        """Who drives the search now (`host`, `pid`, `since`), or None."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._read()
        finally:
            os.close(descriptor)
        return None

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads(self._path.read_text())
        except (OSError, json.JSONDecodeError):
            return {}


class ServerLock(Lock):
    """A PostgreSQL advisory lock on a connection of its own, for drivers anywhere.

    The server frees it when that connection dies. Beside it stands a row that names the holder,
    with a token: events are written only while the token is the holder's own (`fence`), so that a
    driver which has lost the lock without knowing it writes nothing beside the next one. A lost
    connection does not end a driver as long as nobody else drove in between: `check` takes the lock
    again, and the token tells.
    """

    def __init__(self, database: Database, search: str, held: dict[str, ServerLock]) -> None:
        """A lock that lists itself in `held` while it is held."""
        super().__init__(search)
        self._database, self._held = database, held
        self._connection: sa.Connection | None = None
        self._token = ""
        digest = hashlib.sha256(f"raysearch:{search}".encode()).digest()
        self._number = int.from_bytes(digest[:8], signed=True)
        self._key = {"high": int.from_bytes(digest[:4]), "low": int.from_bytes(digest[4:8])}

    def acquire(self) -> None:
        """Takes the lock. Raises SearchIsRunning naming the holder."""
        self._token = uuid.uuid4().hex
        try:
            if self._take():
                self._sign()
                self._held[self.search] = self
                return
            holder = self._named()
        except sa_exc.SQLAlchemyError as error:
            self.release()
            raise BadSetting(self._sentence("cannot be taken", reason(error))) from None
        self.release()
        raise self.refused(holder)

    def release(self) -> None:
        """Gives the lock back."""
        if self._held.get(self.search) is self:
            del self._held[self.search]
        self._token = ""
        self._drop()

    def fence(self, connection: sa.Connection) -> None:
        """Lets a transaction write only if nobody else takes this lock until its end.

        Raises:
            ValueError: another process took the lock, or the search was deleted.
        """
        query = sa.select(HOLDERS.c.token).where(HOLDERS.c.search == self.search)
        if connection.scalar(query.with_for_update(read=True)) != self._token:
            raise self._lost("another process took it")

    def check(self) -> None:
        """Takes the lock again if its connection died and nobody else drove in between.

        Raises:
            ValueError: somebody did, or the server does not answer for `PATIENCE`.
        """
        deadline, problem = time.monotonic() + PATIENCE, ""
        while time.monotonic() < deadline:
            try:
                if self._connection is not None and self._is_mine(self._connection):
                    return
                self._drop()
                if not self._is_signed():
                    raise self._lost("another process took it")
                if self._take() and self._sign_again():
                    return
                problem = "the server keeps it for a connection that was cut"
            except sa_exc.DBAPIError as error:
                self._drop()
                problem = reason(error)
                if not passes(error):
                    break
            time.sleep(0.2)
        raise self._lost(problem)

    def holder(self) -> dict[str, Any] | None:
        """Who drives the search now (`host`, `pid`, `since`), or None."""
        values = {**self._key, "search": self.search}
        try:
            row = self._database.run(
                lambda connection: connection.execute(_HOLDER, values).mappings().first()
            )
        except sa_exc.SQLAlchemyError as error:
            raise BadSetting(self._sentence("cannot be looked at", reason(error))) from None
        return (
            None
            if row is None
            else {name: value for name, value in row.items() if value is not None}
        )

    def _take(self) -> bool:
        """Takes the lock on a new connection, which is kept only with it."""
        self._connection = self._database.own_connection()
        taken = self._connection.scalar(_TAKE, {"key": self._number})
        if not taken:
            self._drop()
        return bool(taken)

    def _sign(self) -> None:
        """Says who holds it, in the place of whoever held it before."""
        assert self._connection is not None
        row = {**_here(), "token": self._token, "backend": self._backend()}
        mine = HOLDERS.c.search == self.search
        if not self._connection.execute(HOLDERS.update().where(mine).values(**row)).rowcount:
            self._connection.execute(HOLDERS.insert().values(search=self.search, **row))

    def _sign_again(self) -> bool:
        """Says on which connection it is held now; False if somebody else signed."""
        assert self._connection is not None
        mine = (HOLDERS.c.search == self.search) & (HOLDERS.c.token == self._token)
        change = HOLDERS.update().where(mine).values(backend=self._backend())
        return self._connection.execute(change).rowcount == 1

    def _is_signed(self) -> bool:
        query = sa.select(HOLDERS.c.token).where(HOLDERS.c.search == self.search)
        return self._database.run(lambda connection: connection.scalar(query)) == self._token

    def _backend(self) -> int:
        assert self._connection is not None
        return int(self._connection.scalar(_BACKEND) or 0)

    def _is_mine(self, connection: sa.Connection) -> bool:
        """Whether this very connection still holds it: SQLAlchemy opens a lost one anew."""
        return bool(connection.scalar(_MINE, self._key))

    def _named(self) -> dict[str, Any]:
        """Who holds it; whoever took it signs a moment later."""
        holder: dict[str, Any] = {}
        for pause in (0.0, 0.05, 0.2, 0.5):
            time.sleep(pause)
            holder = self.holder() or {}
            if holder:
                break
        return holder

    def _sentence(self, what: str, why: str) -> str:
        store = hidden(self._database.url)
        return f"the right to drive search {self.search!r} {what} at --store {store!r}: {why}"

    def _lost(self, why: str) -> ValueError:
        return BadSetting(self._sentence("was lost", why))

    def _drop(self) -> None:
        """Ends the connection, and with it the lock; unlocks first: a server ends when it likes."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if not connection.invalidated:
            with suppress(sa_exc.SQLAlchemyError):
                connection.execute(_UNLOCK)
        with suppress(sa_exc.SQLAlchemyError):
            connection.close()


def claim(folder: Path) -> None:
    """Makes the folder of a new search, with its lock, if there is none.

    Raises:
        WrongState: there is something that is no folder of a search, and not empty.
    """
    is_ours = (folder / LOCK).is_file() or (folder.is_dir() and not any(folder.iterdir()))
    if os.path.lexists(folder) and not is_ours:
        raise WrongState(
            f"--name {folder.name!r} cannot be used: {folder} is there, and is no folder of a "
            f"search; choose another name"
        )
    make_folder(folder)
    private(folder / LOCK)


def _taken(descriptor: int) -> bool:
    """Whether the lock was to be had.

    Whoever only looks (`holder`) shares it for an instant, as often as there are lookers: that is
    waited for, since a driver does not share it.
    """
    refusals, deadline = 0, time.monotonic() + _LOOKERS
    while refusals < _REFUSALS and time.monotonic() < deadline:
        if _locked(descriptor, fcntl.LOCK_EX):
            return True
        if _locked(descriptor, fcntl.LOCK_SH):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        else:
            refusals += 1
        time.sleep(random.uniform(0.0, 0.02))
    return False


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether a file that is open is still the one at a path."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _here() -> dict[str, Any]:
    """This process, as a second driver is told of it."""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime())
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": since}
