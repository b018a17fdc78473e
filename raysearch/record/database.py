"""The database below the events: its tables, its connections, transactions that are tried again."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy import exc as sa_exc
from sqlalchemy import schema as sa_schema

from raysearch.record.passwords import hidden

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

PATIENCE = 30.0
"""Seconds to wait for another process that writes, or for a server that went away."""
_PAUSES = (0.0, 0.1, 0.3, 1.0)
"""Seconds before a transaction is tried again; the last one again and again."""
_GONE = re.compile("57P0[1-5]|08...|40001|40P01|55P03|53300")
"""SQLSTATEs that pass: server shut down or starting, connection lost, deadlock, no room."""
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
    """Connections to one database, with all tables; `url` is its address, with the password."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._away_since: float | None = None
        self._engine = _engine(url)
        self.is_server = self._engine.dialect.name != "sqlite"
        with self._engine.begin() as connection:
            _create_tables(connection)
            connection.execute(sa.select(sa.func.count()).select_from(CURSORS))

    @classmethod
    def open(cls, url: str) -> Database:
        """The database at an address; a server's is opened once a process, and its pool shared."""
        if url.startswith("sqlite"):
            return cls(url)
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
    return hidden((text.splitlines() or [type(error).__name__])[0])


def _create_tables(connection: sa.Connection) -> None:
    """Creates what is missing; another process may do the same at the same moment."""
    if connection.dialect.name == "postgresql":
        if set(_METADATA.tables) <= set(sa.inspect(connection).get_table_names()):
            return  # whoever may only read or write rows needs no right to create
        serialise(connection, "tables")
    for table in _METADATA.sorted_tables:
        connection.execute(sa_schema.CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(sa_schema.CreateIndex(index, if_not_exists=True))


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
        return sa.create_engine(address, connect_args=_connecting(address))
    if address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": PATIENCE, "check_same_thread": False})
    sa_event.listen(engine, "connect", _prepare)
    return engine


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
