"""The append-only table of events: the truth of every search."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from raysearch.errors import BadSetting, RaysearchError, WrongState
from raysearch.events.database import (
    CURSORS,
    EVENTS,
    HOLDERS,
    REQUESTS,
    Database,
    is_damage,
    is_full,
    reason,
    serialise,
    state_format,
)
from raysearch.events.encoding import decode, decode_all, encode
from raysearch.events.locks import FileLock, Lock, SearchIsRunning, ServerLock
from raysearch.events.reading import fact_of
from raysearch.events.schema import Created, Fact, Renamed, Unknown
from raysearch.files import full_disk
from raysearch.passwords import hidden
from raysearch.sweeps.search_spec import SearchSpec

__all__ = ["Event", "EventLog", "Lock", "SearchIsRunning", "Store", "now"]

T = TypeVar("T")

_BUFFERED = 50
"""Events that wait for a commit at most: reports between checkpoints, which a resume repeats."""
_PAGE = 2000
"""Events that are read in one query: a reader holds no long transaction and little memory."""


class Event(NamedTuple):
    """One fact. `time` is in milliseconds since 1970 (UTC), fixed when the event was appended."""

    seq: int
    search: str
    trial: int | None
    time: int
    body: Fact

    @property
    def kind(self) -> str:
        """The kind of its body, as it is written."""
        return self.body.kind


class Store:
    """The database of all searches; any process may read it, one driver a search writes events.

    On PostgreSQL a server that restarts or a connection that is cut is waited for; what was written
    then is there once, whether its answer was lost or not.

    With `is_new` False a file is only read, and must be a store already.

    Raises:
        ValueError: the database cannot be opened, read or written, now or later; names the address
            without its password.
    """

    def __init__(self, url: str, *, is_new: bool = True) -> None:
        self.url = url
        self._held: dict[str, ServerLock] = {}
        self._has_stated = False
        try:
            self._database = Database.open(url, is_new=is_new)
        except (sa_exc.SQLAlchemyError, OSError, ImportError) as error:
            if is_full(error, url):
                raise WrongState(full_disk(hidden(url))) from None
            if is_damage(error):
                raise self._hurt(error) from None
            raise BadSetting(
                f"--store {hidden(url)!r} must be a database that can be written, such as "
                f"sqlite:///runs/raysearch.db or postgresql+psycopg://user@host/name: "
                f"{reason(error)}"
            ) from None

    def _run(self, work: Callable[[sa.Connection], T]) -> T:
        """A short transaction, committed at its end; it may be run again if that was not seen."""
        try:
            return self._database.run(work)
        except sa_exc.SQLAlchemyError as error:
            raise self._failed(error) from None

    def _failed(self, error: sa_exc.SQLAlchemyError) -> RaysearchError:
        if is_full(error, self.url):
            return WrongState(full_disk(hidden(self.url)))
        return self._hurt(error) if is_damage(error) else self._refused(reason(error))

    def _hurt(self, error: BaseException) -> WrongState:
        return WrongState(
            f"--store {hidden(self.url)!r} is damaged, or no database: {reason(error)}; put a copy "
            f"of it in its place"
        )

    def _refused(self, why: str) -> RaysearchError:
        return BadSetting(f"--store {hidden(self.url)!r} cannot be read or written: {why}")

    def fold(self) -> None:
        """Lets a copy of the file alone be a whole store; SQLite keeps the latest beside it."""
        self._database.fold()

    def damage(self) -> list[str]:
        """What is wrong with the file of the store, as SQLite finds it."""
        try:
            return self._database.damage()
        except sa_exc.SQLAlchemyError as error:
            return [reason(error)]

    def searches(self) -> list[str]:
        """The names of all searches, oldest first."""
        query = sa.select(EVENTS.c.search).where(EVENTS.c.seq == 1)
        query = query.order_by(EVENTS.c.time, EVENTS.c.search)
        return self._run(lambda connection: list(connection.scalars(query)))

    def exists(self, search: str) -> bool:
        """Whether there is a search of that name."""
        query = sa.select(EVENTS.c.seq).where(EVENTS.c.search == search).limit(1)
        return self._run(lambda connection: connection.scalar(query)) is not None

    def create(self, search: str, spec: SearchSpec) -> EventLog:
        """Begins a search: its first event, committed. Raises ValueError if the name is in use."""
        if self.exists(search):
            raise BadSetting(f"--name {search!r} is in use; choose another name")
        log = EventLog(self, search, 0)
        log.append(Created(spec.to_body()), commit=True)
        return log

    def log(self, search: str) -> EventLog:
        """The writer of a search, behind its last event: for the driver, which holds the lock."""
        return EventLog(self, search, self._last(search))

    def events(
        self,
        search: str,
        after: int = 0,
        kinds: Iterable[type[Fact]] | None = None,
        trial: int | None = None,
        page: int = _PAGE,
    ) -> Iterator[Event]:
        """The events of a search in order, those after number `after` and written until now.

        So many are read at a time: whoever wants only a few says so by `page`.
        """
        last = self._last(search)
        where = [EVENTS.c.search == search, EVENTS.c.seq <= last]
        if kinds is not None:
            where.append(EVENTS.c.kind.in_([each.kind for each in kinds]))
        if trial is not None:
            where.append(EVENTS.c.trial == trial)
        columns = (EVENTS.c.seq, EVENTS.c.trial, EVENTS.c.kind, EVENTS.c.time, EVENTS.c.body)
        query = sa.select(*columns).where(*where).order_by(EVENTS.c.seq).limit(page)
        while after < last:
            rows = self._page(query.where(EVENTS.c.seq > after))
            try:
                bodies = decode_all([row[4] for row in rows])
            except (ValueError, TypeError):
                bodies = list(self._bodies(search, rows))
            for row, body in zip(rows, bodies, strict=True):
                seq, about, kind, time, _ = row
                if not _is_event(about, kind, time, body):
                    raise self._damaged(search, seq, "it is none of a search")
                try:
                    fact = fact_of(kind, body)
                except ValueError as error:
                    raise self._damaged(search, f"{seq} ({kind})", str(error)) from None
                yield Event(seq, search, about, time, fact)
            after = rows[-1][0] if len(rows) == page else last

    def readable(self, search: str) -> Iterator[Event]:
        """The events of a damaged search, one by one; what cannot be read says nothing.

        Those of which not even the rest can be read are passed over.
        """
        columns = (EVENTS.c.trial, EVENTS.c.kind, EVENTS.c.time)
        numbers = sa.select(EVENTS.c.seq).where(EVENTS.c.search == search).order_by(EVENTS.c.seq)
        for (seq,) in self._page(numbers):
            here = (EVENTS.c.search == search, EVENTS.c.seq == seq)
            body: dict[str, Any] | None = None
            with suppress(ValueError, TypeError):
                body = decode(self._page(sa.select(EVENTS.c.body).where(*here))[0][0])
            with suppress(ValueError, IndexError):
                about, kind, time = self._page(sa.select(*columns).where(*here))[0]
                if _is_event(about, kind, time, {}):
                    fact: Fact = Unknown(kind, {})
                    with suppress(ValueError):
                        fact = fact_of(kind, body) if type(body) is dict else fact
                    yield Event(seq, search, about, time, fact)

    def _bodies(self, search: str, page: Sequence[Any]) -> Iterator[dict[str, Any]]:
        """One by one, to name the one that cannot be read."""
        for row in page:
            try:
                yield decode(row[4])
            except (ValueError, TypeError) as error:
                raise self._damaged(search, row[0], str(error)) from None

    def _damaged(self, search: str, seq: object, why: str) -> WrongState:
        return WrongState(
            f"--store {hidden(self.url)!r} is damaged: event {seq} of search {search!r} cannot be "
            f"read: {why}"
        )

    def _page(self, query: sa.Executable) -> Sequence[Any]:
        return self._run(lambda connection: connection.execute(query).all())

    def lock(self, search: str, folder: Path) -> Lock:
        """The right to drive a search: of the server's, or of whoever shares its folder."""
        if self._database.is_server:
            return ServerLock(self._database, search, self._held)
        return FileLock(folder, self.fold)

    def _last(self, search: str) -> int:
        query = sa.select(sa.func.max(EVENTS.c.seq)).where(EVENTS.c.search == search)
        last = self._run(lambda connection: connection.scalar(query)) or 0
        if not isinstance(last, int):
            raise self._damaged(search, last, "it has no number")
        return last

    def write(self, events: list[Event]) -> None:
        """Writes events in one short transaction; those that are there already are no error.

        Raises:
            ValueError: others are there under these numbers, or the lock of the search was lost.
        """
        rows, lock = [_row(event) for event in events], self._held.get(events[0].search)

        def work(connection: sa.Connection) -> None:
            if lock is not None:
                lock.fence(connection)
            if not self._has_stated:
                state_format(connection)
            connection.execute(EVENTS.insert(), rows)

        def repair(connection: sa.Connection) -> list[int]:
            """The numbers under which something else is; otherwise writes what is missing."""
            known = _known(connection, rows)
            other = [row["seq"] for row in rows if known.get(row["seq"], row) != row]
            missing = [row for row in rows if row["seq"] not in known]
            if missing and not other:
                if lock is not None:
                    lock.fence(connection)
                connection.execute(EVENTS.insert(), missing)
            return other

        try:
            self._database.run(work)
            self._has_stated = True
            return
        except sa_exc.IntegrityError:  # they were written, and only the answer was lost
            taken = self._run(repair)
        except sa_exc.SQLAlchemyError as error:
            raise self._failed(error) from None
        if taken:
            name = events[0].search
            raise self._refused(f"another process wrote event {taken[0]} of search {name!r}")

    def delete(self, search: str) -> None:
        """Deletes all that is known of a search, in one transaction; its name is free then."""

        def work(connection: sa.Connection) -> None:
            held = (HOLDERS,) if self._database.is_server else ()
            for table in (EVENTS, REQUESTS, CURSORS, *held):
                connection.execute(table.delete().where(table.c.search == search))

        self._run(work)

    def rename(self, search: str, name: str, folder: Path) -> None:
        """Gives a search, whose lock the caller holds, another name, with an event that says so.

        All in one transaction. `folder` is where it lies from now on.

        Raises:
            ValueError: a search has that name.
        """
        lock = self._held.get(search)
        fact = Renamed(name, search, str(folder))

        def work(connection: sa.Connection) -> bool:
            if lock is not None:
                lock.fence(connection)
            count = sa.select(sa.func.max(EVENTS.c.seq))
            if connection.scalar(count.where(EVENTS.c.search == name)) is not None:
                return False
            last = int(connection.scalar(count.where(EVENTS.c.search == search)) or 0)
            for table in (EVENTS, REQUESTS, CURSORS):
                change = table.update().where(table.c.search == search).values(search=name)
                connection.execute(change)
            event = Event(last + 1, name, None, now(), fact)
            connection.execute(EVENTS.insert(), [_row(event)])
            return True

        if not self._run(work):
            raise BadSetting(f"a search is named {name!r} already; choose another name")

    def name_now(self, former: str, since: int = 0) -> str | None:
        """What a search that had a name, at a time or later (ms since 1970), is called now.

        None: none was renamed since.
        """
        is_rename = (EVENTS.c.kind == Renamed.kind) & (EVENTS.c.time >= since)
        query = (
            sa.select(EVENTS.c.search, EVENTS.c.body)
            .where(is_rename)
            .order_by(EVENTS.c.time.desc())
        )
        rows = self._run(lambda connection: connection.execute(query).all())
        named = ((str(search), decode(body)) for search, body in rows)
        return next((search for search, body in named if body["former"] == former), None)

    def request(self, search: str, body: Mapping[str, Any]) -> int:
        """Leaves a request for the driver of a search; returns its number."""
        values = {"search": search, "time": now(), "body": encode(body)}

        def work(connection: sa.Connection) -> int:
            serialise(connection, "requests")  # whoever has the next number commits later
            same = [REQUESTS.c[name] == value for name, value in values.items()]
            known = connection.scalar(sa.select(REQUESTS.c.id).where(*same))
            if known is not None:  # left before, and only the answer was lost
                return int(known)
            done = connection.execute(REQUESTS.insert().values(**values))
            assert done.inserted_primary_key is not None
            return int(done.inserted_primary_key[0])

        return self._run(work)

    def requests(self, search: str, after: int = 0) -> list[tuple[int, int, dict[str, Any]]]:
        """The requests (number, time, body) of a search after number `after`.

        One that is damaged asks for nothing.
        """
        query = (
            sa.select(REQUESTS.c.id, REQUESTS.c.time, REQUESTS.c.body)
            .where(REQUESTS.c.search == search, REQUESTS.c.id > after)
            .order_by(REQUESTS.c.id)
        )
        found: list[tuple[int, int, dict[str, Any]]] = []
        for number, moment, body in self._page(query):
            with suppress(ValueError, TypeError):
                found.append((number, moment, decode(body)))
        return found

    def cursor(self, search: str, consumer: str) -> int:
        """How far a consumer has read; 0 at first."""
        query = sa.select(CURSORS.c.seq).where(
            CURSORS.c.search == search, CURSORS.c.consumer == consumer
        )
        return int(self._run(lambda connection: connection.scalar(query)) or 0)

    def set_cursor(self, search: str, consumer: str, seq: int) -> None:
        """Records, durably, how far a consumer has read."""
        where = (CURSORS.c.search == search) & (CURSORS.c.consumer == consumer)

        def work(connection: sa.Connection) -> None:
            done = connection.execute(CURSORS.update().where(where).values(seq=seq))
            if done.rowcount == 0:
                values = {"search": search, "consumer": consumer, "seq": seq}
                connection.execute(CURSORS.insert().values(**values))

        self._run(work)


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

    def append(self, fact: Fact, trial: int | None = None, *, commit: bool = False) -> Event:
        """Appends an event; with `commit` it is durable, with all before it, when this returns."""
        with self._lock:
            self.last += 1
            event = Event(self.last, self.search, trial, now(), fact)
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


def now() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def _is_event(trial: object, kind: object, time: object, body: object) -> bool:
    """Whether what a damaged file may hold in any column is an event."""
    is_of_a_search = type(kind) is str and type(time) is int and type(body) is dict
    return is_of_a_search and (trial is None or type(trial) is int)


def _row(event: Event) -> dict[str, Any]:
    return {
        "search": event.search,
        "seq": event.seq,
        "trial": event.trial,
        "kind": event.kind,
        "time": event.time,
        "body": encode(event.body.plain()),
    }


def _known(connection: sa.Connection, rows: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """What is written under the numbers of these rows."""
    where = (
        EVENTS.c.search == rows[0]["search"],
        EVENTS.c.seq >= rows[0]["seq"],
        EVENTS.c.seq <= rows[-1]["seq"],
    )
    found = connection.execute(sa.select(EVENTS).where(*where)).mappings()
    return {row["seq"]: dict(row) for row in found}
