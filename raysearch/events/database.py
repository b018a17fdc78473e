"""The database below the events: its tables, its connections, transactions that are tried again."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy import exc as sa_exc
from sqlalchemy import schema as sa_schema

from raysearch.errors import WrongState
from raysearch.extras import require
from raysearch.files import make_folder, private
from raysearch.passwords import hidden
from raysearch.sqlite_files import sqlite_file
from raysearch.sweeps.search_spec import FORMAT
from raysearch.version import newer, version

_METADATA = sa.MetaData()
EVENTS = sa.Table(
    "events",
    _METADATA,
    sa.Column("search", sa.String(80), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("trial", sa.Integer, nullable=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
REQUESTS = sa.Table(
    "requests",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("search", sa.String(80), nullable=False, index=True),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
CURSORS = sa.Table(
    "cursors",
    _METADATA,
    sa.Column("search", sa.String(80), primary_key=True),
    sa.Column("consumer", sa.String(120), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
)
HOLDERS = sa.Table(
    "holders",
    _METADATA,
    sa.Column("search", sa.String(80), primary_key=True),
    sa.Column("token", sa.String(32), nullable=False),
    sa.Column("backend", sa.BigInteger, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("since", sa.Text, nullable=False),
)
"""Who drives a search, where the database is a server: `token` is new each time that the right is
taken, `backend` the server's process whose connection holds it."""
FORMATS = sa.Table(
    "formats",
    _METADATA,
    sa.Column("format", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("raysearch", sa.Text, nullable=False),
)
"""The formats in which events were written here, and the first version that wrote each; what
earlier versions wrote, format 1, is not among them."""
_LATER = {HOLDERS.name, FORMATS.name}
"""Tables that stores of earlier versions lack: they are read without them."""

PATIENCE = 30.0
"""Seconds to wait for another process that writes, or for a server that went away."""
_PAUSES = (0.0, 0.1, 0.3, 1.0)
"""Seconds before a transaction is tried again; the last one again and again."""
_GONE = re.compile("57P0[1-5]|08...|40001|40P01|55P03|53300")
"""SQLSTATEs that pass: server shut down or starting, connection lost, deadlock, no room."""
_DISK_FULL = "53100"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_ROOM = 1 << 20
"""Bytes of free disk below which an error of its file says that SQLite found no room."""
_TRIES, _SHOWN = 10, 300
_CONNECTING = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "application_name": "raysearch",
    # The server, too, sees within half a minute that a host is gone, and frees what it held.
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}
_OPENED: dict[str, Database] = {}
_OPENING = threading.Lock()

T = TypeVar("T")


class Database:
    """Connections to one database, with all tables; `url` is its address, with the password.

    With `is_new` a file that is not there is made; otherwise nothing is written to it.

    Raises:
        WrongState: the file is damaged, or that of something else.
    """

    def __init__(self, url: str, *, is_new: bool = True) -> None:
        self.url = url
        self._away_since: float | None = None
        file = sqlite_file(url)
        if file is not None:
            _refuse_empty(file, is_new=is_new)
        self._engine = _engine(url)
        self.is_server = self._engine.dialect.name != "sqlite"
        with self._engine.begin() as connection:
            if not self.is_server:
                _refuse_another(connection, is_new=is_new)
            if self.is_server or is_new:
                _create_tables(connection)
            _refuse_newer(connection)
            connection.execute(sa.select(sa.func.count()).select_from(CURSORS))

    @classmethod
    def open(cls, url: str, *, is_new: bool = True) -> Database:
        """The database at an address; a server's is opened once a process, and its pool shared."""
        if url.startswith("sqlite"):
            return cls(url, is_new=is_new)
        with _OPENING:
            if url not in _OPENED:
                _OPENED[url] = cls(url)
            return _OPENED[url]

    def run(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` returns after one short transaction, committed.

        A transaction whose connection was lost is tried again, so `work` must do no harm when what
        it did before was committed and only the answer lost.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: what the database says, after `PATIENCE` if it may pass.
        """
        tries = 0
        while True:
            try:
                with self._engine.begin() as connection:
                    done = work(connection)
                self._away_since = None
                return done
            except sa_exc.DBAPIError as error:
                if not (self.is_server and passes(error)) or self._is_away():
                    raise
            time.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1

    def fold(self) -> None:
        """Lets the file alone be the whole database, without the log beside it.

        As far as no other process is just reading; it does no harm, and never fails.
        """
        if self.is_server:
            return
        with suppress(sa_exc.SQLAlchemyError), self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def damage(self) -> list[str]:
        """What SQLite finds wrong with its file, page by page; nothing of a server's."""
        if self.is_server:
            return []
        with self._engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(10)").scalars().all()
        return [str(one) for one in found if one != "ok"]

    def _is_away(self) -> bool:
        """Whether it has not answered for `PATIENCE`: nobody waits for that time twice."""
        since = self._away_since = self._away_since or time.monotonic()
        return time.monotonic() > since + PATIENCE

    def own_connection(self) -> sa.Connection:
        """A connection beside the pool, on which each statement is a transaction."""
        engine = sa.create_engine(
            self._engine.url, poolclass=sa.NullPool, connect_args=_connecting(self._engine.url)
        )
        return engine.execution_options(isolation_level="AUTOCOMMIT").connect()


def passes(error: sa_exc.DBAPIError) -> bool:
    """Whether it may work a moment later: a server that restarts, a connection that was cut."""
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return bool(_GONE.fullmatch(state))
    return error.connection_invalidated or isinstance(error, sa_exc.OperationalError)


def reason(error: BaseException) -> str:
    """The first line of what a database says, without passwords."""
    text = str(getattr(error, "orig", None) or error)
    return hidden((text.splitlines() or [type(error).__name__])[0])[:_SHOWN]


def is_full(error: BaseException, url: str) -> bool:
    """Whether a database could not be written because a disk has no room."""
    found = getattr(error, "orig", None) or error
    code, state = getattr(found, "sqlite_errorcode", 0), getattr(found, "sqlstate", None)
    if code == sqlite3.SQLITE_FULL or state == _DISK_FULL:
        return True
    if isinstance(found, OSError):
        return found.errno in (errno.ENOSPC, errno.EDQUOT)
    file = sqlite_file(url)
    if code & 0xFF not in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) or file is None:
        return False
    with suppress(OSError):  # the log beside a database has no error of its own for that
        disk = os.statvfs(file.parent)
        return disk.f_bavail * disk.f_frsize < _ROOM
    return False


def is_damage(error: BaseException) -> bool:
    """Whether what is read is no SQLite database, or not as it was written."""
    found = getattr(error, "orig", None) or error
    code = getattr(found, "sqlite_errorcode", 0) & 0xFF
    return code in _DAMAGED or "Could not decode to UTF-8" in str(found)


def _refuse_empty(file: Path, *, is_new: bool) -> None:
    """Refuses a file without a byte where searches were: SQLite would take it for a new one.

    Whoever makes a store makes folders of searches after it: they are looked for first.
    """
    for _ in range(_TRIES):
        is_used = any(file.parent.glob("*/lock")) or _size(Path(f"{file}-wal")) > 0
        if _size(file) != 0 or (is_new and not is_used):
            return
        time.sleep(0.1)  # somebody may be just making it
    raise WrongState(
        f"--store {file} is damaged: it is empty (0 bytes); put a copy of it in its place, or "
        f"remove it to begin anew"
    )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1


def _refuse_another(connection: sa.Connection, *, is_new: bool) -> None:
    """Refuses a database of something else, and one without a table of ours to be read."""
    tables = {str(name) for name in sa.inspect(connection).get_table_names()}
    missing = sorted(set(_METADATA.tables) - tables)
    missing = [name for name in missing if name not in _LATER]
    if missing and not is_new:
        raise WrongState(
            f"--store {connection.engine.url.database} is damaged, or no store of raysearch: it "
            f"has no table {missing[0]!r}"
        )
    if tables and not tables & set(_METADATA.tables):
        raise WrongState(
            f"--store {connection.engine.url.database} is the database of something else: it has "
            f"a table {min(tables)!r}; name another file"
        )


def _create_tables(connection: sa.Connection) -> None:
    """Creates what is missing; another process may do the same at the same moment."""
    if connection.dialect.name == "postgresql":
        missing = set(_METADATA.tables) - set(sa.inspect(connection).get_table_names())
        if missing <= {FORMATS.name}:
            return  # whoever may only read or write rows needs no right to create
        serialise(connection, "tables")
    for table in _METADATA.sorted_tables:
        connection.execute(sa_schema.CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(sa_schema.CreateIndex(index, if_not_exists=True))


def _refuse_newer(connection: sa.Connection) -> None:
    """Refuses a database in which a newer raysearch has written."""
    if not sa.inspect(connection).has_table(FORMATS.name):
        return
    query = sa.select(FORMATS).order_by(FORMATS.c.format.desc()).limit(1)
    row = connection.execute(query).first()
    if row is not None and row.format > FORMAT:
        raise WrongState(
            f"--store {hidden(str(connection.engine.url))!r} was written by "
            f"{newer(row.raysearch, row.format, FORMAT)}; install that one or a later one, or name "
            f"another store"
        )


def state_format(connection: sa.Connection) -> None:
    """States that events are written in this format, in the transaction that writes them.

    Where nobody may create the table in which it is stated, `created` alone states it.
    """
    row = {"format": FORMAT, "raysearch": version()}
    insert = sa.text(
        f"INSERT INTO {FORMATS.name} VALUES (:format, :raysearch) ON CONFLICT DO NOTHING"
    )
    if connection.dialect.name == "sqlite":
        connection.execute(sa_schema.CreateTable(FORMATS, if_not_exists=True))
        connection.execute(insert, row)
        return
    with suppress(sa_exc.DBAPIError), connection.begin_nested():
        if not sa.inspect(connection).has_table(FORMATS.name):
            serialise(connection, "tables")
            connection.execute(sa_schema.CreateTable(FORMATS, if_not_exists=True))
        connection.execute(insert, row)


def serialise(connection: sa.Connection, what: str) -> None:
    """Lets one transaction after the other go on from here; SQLite does so by itself."""
    if connection.dialect.name == "postgresql":
        key = sa.func.hashtext(f"raysearch {what}")
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key, 0)))


def _engine(url: str) -> sa.Engine:
    address = sa.make_url(url)
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise sa_exc.ArgumentError("events are held by SQLite or PostgreSQL only")
    if address.get_backend_name() != "sqlite":
        need_driver(url, f"--store {hidden(url)!r}")
        return sa.create_engine(address, connect_args=_connecting(address))
    file = sqlite_file(url)
    if file is not None:
        make_folder(file.parent)
        private(file)
    engine = sa.create_engine(url, connect_args={"timeout": PATIENCE, "check_same_thread": False})
    sa_event.listen(engine, "connect", _prepare)
    return engine


def need_driver(url: str, what: str) -> None:
    """Refuses an address of PostgreSQL where its driver is not installed; `what` names it.

    Raises:
        ValueError: names the extra that has it.
    """
    if sa.make_url(url).get_driver_name() == "psycopg":
        require("postgres", what)


def _connecting(address: sa.URL) -> dict[str, Any]:
    """Arguments of psycopg, but those that the address has itself."""
    if address.get_driver_name() != "psycopg":
        return {}
    return {name: value for name, value in _CONNECTING.items() if name not in address.query}


def _prepare(connection: Any, record: Any) -> None:
    """Readers beside a writer. The switch to it, alone of all, does not wait for others itself."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous=NORMAL")
