"""The append-only table of events: the truth of every search."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy import exc as sa_exc
from sqlalchemy import schema as sa_schema

from raysearch.record.bodies import decode, decode_all, encode

_METADATA = sa.MetaData()
_EVENTS = sa.Table(
    "events",
    _METADATA,
    sa.Column("search", sa.String(80), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("trial", sa.Integer, nullable=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
_REQUESTS = sa.Table(
    "requests",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("search", sa.String(80), nullable=False, index=True),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
_CURSORS = sa.Table(
    "cursors",
    _METADATA,
    sa.Column("search", sa.String(80), primary_key=True),
    sa.Column("consumer", sa.String(120), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
)
_BUFFERED = 50
"""Events that wait for a commit at most: reports between checkpoints, which a resume repeats."""
_PAGE = 500
"""Events that are read in one query: a reader holds no long transaction and little memory."""

_PATIENCE = 30.0
"""Seconds to wait for another process that writes."""


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. `time` is in milliseconds since 1970 (UTC), fixed when the event was appended."""

    seq: int
    search: str
    trial: int | None
    kind: str
    time: int
    body: dict[str, Any]


class Store:
    """The database of all searches; any process may read it, one driver a search writes events.

    Raises:
        ValueError: the database cannot be opened, read or written, now or later; names the address.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._engine = _engine(url)
            with self._engine.begin() as connection:
                _create_tables(connection)
                connection.execute(sa.select(sa.func.count()).select_from(_CURSORS))
        except (sa_exc.SQLAlchemyError, OSError, ImportError) as error:
            raise ValueError(
                f"--store {url!r} must be a database that can be written, such as "
                f"sqlite:///runs/raysearch.db: {_reason(error)}"
            ) from None

    @contextmanager
    def _connection(self) -> Generator[sa.Connection]:
        """A short transaction, committed at its end."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa_exc.SQLAlchemyError as error:
            raise ValueError(
                f"--store {self.url!r} cannot be read or written: {_reason(error)}"
            ) from None

    def searches(self) -> list[str]:
        """The names of all searches, oldest first."""
        query = sa.select(_EVENTS.c.search).where(_EVENTS.c.seq == 1)
        with self._connection() as connection:
            return list(connection.scalars(query.order_by(_EVENTS.c.time, _EVENTS.c.search)))

    def exists(self, search: str) -> bool:
        """Whether there is a search of that name."""
        query = sa.select(_EVENTS.c.seq).where(_EVENTS.c.search == search).limit(1)
        with self._connection() as connection:
            return connection.scalar(query) is not None

    def create(self, search: str, spec: Mapping[str, Any]) -> EventLog:
        """Begins a search: its first event, committed. Raises ValueError if the name is in use."""
        if self.exists(search):
            raise ValueError(f"--name {search!r} is in use; choose another name")
        log = EventLog(self, search, 0)
        log.append("created", commit=True, **spec)
        return log

    def log(self, search: str) -> EventLog:
        """The writer of a search, behind its last event: for the driver, which holds the lock."""
        return EventLog(self, search, self._last(search))

    def events(
        self,
        search: str,
        after: int = 0,
        kinds: Iterable[str] | None = None,
        trial: int | None = None,
    ) -> Iterator[Event]:
        """The events of a search in order, those after number `after` and written until now."""
        last = self._last(search)
        where = [_EVENTS.c.search == search, _EVENTS.c.seq <= last]
        if kinds is not None:
            where.append(_EVENTS.c.kind.in_(list(kinds)))
        if trial is not None:
            where.append(_EVENTS.c.trial == trial)
        columns = (_EVENTS.c.seq, _EVENTS.c.trial, _EVENTS.c.kind, _EVENTS.c.time, _EVENTS.c.body)
        query = sa.select(*columns).where(*where).order_by(_EVENTS.c.seq).limit(_PAGE)
        while after < last:
            with self._connection() as connection:
                page = connection.execute(query.where(_EVENTS.c.seq > after)).all()
            try:
                bodies = decode_all([row[4] for row in page])
            except ValueError as error:
                raise ValueError(
                    f"--store {self.url!r} is damaged: search {search!r}, an event between "
                    f"{page[0][0]} and {page[-1][0]}: {error}"
                ) from None
            for row, body in zip(page, bodies, strict=True):
                yield Event(row[0], search, row[1], row[2], row[3], body)
            after = page[-1][0] if len(page) == _PAGE else last

    def lock(self, search: str, folder: Path) -> Lock:
        """The right to drive a search."""
        return Lock(folder)

    def _last(self, search: str) -> int:
        query = sa.select(sa.func.max(_EVENTS.c.seq)).where(_EVENTS.c.search == search)
        with self._connection() as connection:
            return int(connection.scalar(query) or 0)

    def write(self, events: list[Event]) -> None:
        """Writes events in one short transaction."""
        rows = [
            {
                "search": event.search,
                "seq": event.seq,
                "trial": event.trial,
                "kind": event.kind,
                "time": event.time,
                "body": encode(event.body),
            }
            for event in events
        ]
        with self._connection() as connection:
            connection.execute(_EVENTS.insert(), rows)

    def request(self, search: str, body: Mapping[str, Any]) -> int:
        """Leaves a request for the driver of a search; returns its number."""
        with self._connection() as connection:
            values = {"search": search, "time": now(), "body": encode(body)}
            done = connection.execute(_REQUESTS.insert().values(**values))
            assert done.inserted_primary_key is not None
            return int(done.inserted_primary_key[0])

    def requests(self, search: str, after: int = 0) -> list[tuple[int, int, dict[str, Any]]]:
        """The requests (number, time, body) of a search after number `after`."""
        query = (
            sa.select(_REQUESTS.c.id, _REQUESTS.c.time, _REQUESTS.c.body)
            .where(_REQUESTS.c.search == search, _REQUESTS.c.id > after)
            .order_by(_REQUESTS.c.id)
        )
        with self._connection() as connection:
            rows = connection.execute(query).all()
        return [(number, moment, decode(body)) for number, moment, body in rows]

    def cursor(self, search: str, consumer: str) -> int:
        """How far a consumer has read; 0 at first."""
        query = sa.select(_CURSORS.c.seq).where(
            _CURSORS.c.search == search, _CURSORS.c.consumer == consumer
        )
        with self._connection() as connection:
            return int(connection.scalar(query) or 0)

    def set_cursor(self, search: str, consumer: str, seq: int) -> None:
        """Records, durably, how far a consumer has read."""
        where = (_CURSORS.c.search == search) & (_CURSORS.c.consumer == consumer)
        with self._connection() as connection:
            done = connection.execute(_CURSORS.update().where(where).values(seq=seq))
            if done.rowcount == 0:
                values = {"search": search, "consumer": consumer, "seq": seq}
                connection.execute(_CURSORS.insert().values(**values))


@dataclass
class EventLog:
    """The writer of a search. Events are numbered when appended, and committed in groups.

    `listeners` hear each event after it was appended, in the thread that appended it.
    """

    store: Store
    search: str
    last: int
    listeners: list[Callable[[Event], None]] = field(default_factory=list[Callable[[Event], None]])
    _buffer: list[Event] = field(default_factory=list[Event])
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def append(
        self, kind: str, trial: int | None = None, /, *, commit: bool = False, **body: Any
    ) -> Event:
        """Appends an event; with `commit` it is durable, with all before it, when this returns."""
        with self._lock:
            self.last += 1
            event = Event(self.last, self.search, trial, kind, now(), body)
            self._buffer.append(event)
            if commit or len(self._buffer) >= _BUFFERED:
                self.flush()
        for listener in self.listeners:
            listener(event)
        return event

    def flush(self) -> None:
        """Commits what was appended."""
        with self._lock:
            if self._buffer:
                self.store.write(self._buffer)
                self._buffer = []

    def close(self) -> None:
        """Commits what was appended; the log is not used after it."""
        self.flush()


class SearchIsRunning(ValueError):
    """The search is being driven by another process, which is named."""


class Lock:
    """The right to drive a search: a lock on the file `lock` in its folder.

    The kernel frees it when its holder ends, however that ends; processes that the holder starts do
    not inherit it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = Path(folder) / "lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Takes the lock. Raises SearchIsRunning naming the holder."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not _taken(descriptor):
            os.close(descriptor)
            holder = self._read()
            raise SearchIsRunning(
                f"search {self._path.parent.name!r} is being driven by process "
                f"{holder.get('pid', '?')} on {holder.get('host', '?')} since "
                f"{holder.get('since', '?')}; wait for it, or end it by `raysearch stop "
                f"{self._path.parent.name}`"
            ) from None
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime())
        record = {"host": socket.gethostname(), "pid": os.getpid(), "since": since}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(record).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Gives the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def check(self) -> None:
        """Nothing."""

    def holder(self) -> dict[str, Any] | None:
        """Who drives the search now (`host`, `pid`, `since`), or None."""
        if not self._path.exists():
            return None
        descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
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


def _taken(descriptor: int) -> bool:
    """Whether the lock was to be had: whoever only looks (`holder`) has it for an instant."""
    for pause in (0.01, 0.02, 0.05, 0.1, 0.2, 0.0):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return True
    return False


def now() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def _reason(error: BaseException) -> str:
    return (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0]


def _create_tables(connection: sa.Connection) -> None:
    """Creates what is missing; another process may do the same at the same moment."""
    for table in _METADATA.sorted_tables:
        connection.execute(sa_schema.CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(sa_schema.CreateIndex(index, if_not_exists=True))


def _engine(url: str) -> sa.Engine:
    address = sa.make_url(url)
    if address.get_backend_name() != "sqlite":
        return sa.create_engine(url)
    if address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": _PATIENCE, "check_same_thread": False})

    sa_event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: Any, record: Any) -> None:
    """Readers beside a writer. The switch to it, alone of all, does not wait for others itself."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous=NORMAL")
