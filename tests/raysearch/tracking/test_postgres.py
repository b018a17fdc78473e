"""Events on a PostgreSQL server: one driver, nothing lost and nothing doubled when it goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event as sa_event

from raysearch.events import database
from raysearch.events.encoding import encode
from raysearch.events.log import SearchIsRunning, Store
from raysearch.events.schema import Reported
from raysearch.passwords import hidden, without_password
from raysearch.results.view import SearchView
from raysearch.sweeps.search_spec import UNKNOWN
from raysearch.tracking.consumer import delete, sync
from raysearch.tracking.findings import audit
from raysearch.tracking.mlflow.address import client_of
from tests.raysearch.events import streams
from tests.raysearch.events.facts import some
from tests.raysearch.events.postgres import PASSWORD, Postgres

ROOT = Path(__file__).parents[3]
HOLD = (
    "import subprocess, sys, time; from pathlib import Path\n"
    "from raysearch.events.log import Store\n"
    "Store(sys.argv[1]).lock('one', Path('/nowhere')).acquire()\n"
    "child = subprocess.Popen(['sleep', '3000'], close_fds=False)\n"
    "print(child.pid, flush=True); time.sleep(3000)"
)


@pytest.fixture
def store(on_server: str) -> Store:
    return Store(on_server)


@contextmanager
def another_driver(url: str) -> Generator[subprocess.Popen[str]]:
    """A process that holds the lock of search `one`, and has a child."""
    command = [sys.executable, "-c", HOLD, url]
    driver = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    child = int(driver.stdout.readline())
    try:
        yield driver
    finally:
        os.kill(child, signal.SIGKILL)
        driver.kill()
        driver.wait()
        driver.stdout.close()


def lock_of(store: Store, name: str = "one") -> Any:
    return store.lock(name, Path("/nowhere"))


def steps(store: Store) -> list[int]:
    return [
        event.body.plain()["step"] for event in Store(store.url).events("one", kinds=[Reported])
    ]


# The lock


def test_a_second_driver_is_refused_and_told_who_drives(store: Store) -> None:
    with lock_of(store):
        with pytest.raises(
            SearchIsRunning, match=f"'one' is being driven by process {os.getpid()}"
        ):
            lock_of(Store(store.url)).acquire()
        holder = lock_of(store).holder()
        assert holder["pid"] == os.getpid() and holder["host"] and holder["since"]
        with lock_of(store, "two"):
            pass
    assert lock_of(store).holder() is None
    with lock_of(store):
        pass


@pytest.mark.slow
def test_a_killed_driver_frees_its_lock_although_its_child_lives_on(store: Store) -> None:
    with another_driver(store.url) as driver:
        with pytest.raises(SearchIsRunning, match=f"process {driver.pid} on "):
            lock_of(store).acquire()
        driver.kill()
        driver.wait()
        deadline = time.monotonic() + 900
        while lock_of(store).holder() is not None:
            assert time.monotonic() < deadline
        with lock_of(store):
            pass


def test_whoever_looks_at_the_lock_never_keeps_a_driver_out(store: Store) -> None:
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            lock_of(store).holder()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(10):
            with lock_of(store):
                pass
    finally:
        ended.set()
        thread.join()


def test_a_driver_whose_connection_was_cut_goes_on_if_nobody_else_drove(
    store: Store, postgres: Postgres
) -> None:
    with lock_of(store) as lock:
        log = store.create("one", UNKNOWN)
        assert postgres.cut(store.url, holding=True) == 1
        assert lock_of(store).holder() is None
        lock.check()
        assert lock_of(store).holder()["pid"] == os.getpid()
        assert log.append(some("report", step=1), 0, commit=True).seq == 2


@pytest.mark.slow
def test_a_driver_whose_lock_another_one_took_stops_and_writes_nothing_more(
    store: Store, postgres: Postgres
) -> None:
    with lock_of(store) as lock:
        log = store.create("one", UNKNOWN)
        postgres.cut(store.url, holding=True)
        with another_driver(store.url):
            with pytest.raises(ValueError, match="'one' was lost .*another process took it"):
                log.append(some("report", step=1), 0, commit=True)
            with pytest.raises(ValueError, match="'one' was lost .*another process took it"):
                lock.check()
        with pytest.raises(ValueError, match="another process took it"):  # it ended: no way back
            lock.check()
    assert steps(store) == []


def test_a_driver_that_lost_its_lock_holds_nobody_up(store: Store, postgres: Postgres) -> None:
    with lock_of(store) as lock:
        postgres.cut(store.url, holding=True)
        with lock_of(Store(store.url)):
            with pytest.raises(ValueError, match="was lost"):
                lock.check()
        lock.release()
        with lock_of(Store(store.url)):
            pass


# Connections that are cut


def test_readers_and_writers_go_on_after_their_connections_were_cut(
    store: Store, postgres: Postgres
) -> None:
    log = store.create("one", UNKNOWN)
    for step in range(20):
        log.append(some("report", step=step), 0, commit=True)
        if step % 5 == 0:
            postgres.cut(store.url)
    assert steps(store) == list(range(20))


@contextmanager
def lost(store: Store, postgres: Postgres, when: str) -> Generator[list[int]]:
    """Cuts the connection once, just before a commit or just after it, before its answer."""
    engine, count = store._database._engine, list[int]()
    commit = engine.dialect.do_commit

    def do_commit(dbapi_connection: Any) -> None:
        if count:
            commit(dbapi_connection)
            return
        count.append(1)
        if when == "after":
            commit(dbapi_connection)
        postgres.cut(store.url)
        dbapi_connection.execute("SELECT 1")  # as the commit would: it finds it closed

    engine.dialect.do_commit = do_commit
    try:
        yield count
    finally:
        engine.dialect.do_commit = commit


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_whose_answer_was_lost_is_there_once(
    store: Store, postgres: Postgres, when: str
) -> None:
    log = store.create("one", UNKNOWN)
    with lost(store, postgres, when) as count:
        log.append(some("report", step=0), 0)
        log.append(some("report", step=1), 0, commit=True)
    assert count == [1] and steps(store) == [0, 1]
    log.append(some("report", step=2), 0, commit=True)
    assert [event.seq for event in store.events("one")] == [1, 2, 3, 4]


@pytest.mark.parametrize("when", ["before", "after"])
def test_requests_and_cursors_are_there_once(store: Store, postgres: Postgres, when: str) -> None:
    with lost(store, postgres, when):
        number = store.request("one", {"action": "stop"})
    assert [found for found, _, _ in store.requests("one")] == [number]
    with lost(store, postgres, when):
        store.set_cursor("one", "mlflow", 7)
    assert store.cursor("one", "mlflow") == 7


def test_a_commit_that_is_still_under_way_is_waited_for(store: Store) -> None:
    log = store.create("one", UNKNOWN)
    other = sa.create_engine(store.url, poolclass=sa.NullPool).connect()
    log.append(some("report", step=0), 0)
    first = log._buffer[0]
    row = {"search": "one", "seq": 2, "trial": 0, "kind": "report", "time": first.time}
    row["body"] = encode(first.body.plain())
    other.execute(database.EVENTS.insert(), [row])  # the first try, whose connection was lost
    writer = threading.Thread(target=log.flush)
    writer.start()
    time.sleep(0.2)
    assert writer.is_alive()
    other.commit()
    writer.join()
    other.close()
    assert steps(store) == [0]


def test_events_of_another_writer_are_never_taken_for_ones_own(store: Store) -> None:
    log = store.create("one", UNKNOWN)
    store.log("one").append(some("report", step=7), 0, commit=True)
    with pytest.raises(ValueError, match="another process wrote event 2 of search 'one'"):
        log.append(some("report", step=1), 0, commit=True)
    assert steps(store) == [7]


@pytest.mark.slow
def test_a_server_that_restarts_loses_nothing_and_ends_no_driver(
    store: Store, postgres: Postgres
) -> None:
    with lock_of(store) as lock:
        log = store.create("one", UNKNOWN)
        log.append(some("report", step=0), 0, commit=True)
        postgres.stop()
        restart = threading.Timer(1.0, postgres.start)
        restart.start()
        log.append(some("report", step=1), 0, commit=True)
        restart.join()
        lock.check()
        log.append(some("report", step=2), 0, commit=True)
        assert lock_of(store).holder()["pid"] == os.getpid()
    assert steps(store) == [0, 1, 2]


@pytest.mark.slow
def test_a_server_that_stays_away_is_named_in_one_sentence(
    store: Store, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = store.create("one", UNKNOWN)
    with lock_of(store) as lock:
        postgres.stop()
        monkeypatch.setattr(database, "PATIENCE", 0.5)
        monkeypatch.setattr("raysearch.events.locks.PATIENCE", 0.5)
        try:
            for use in (
                store.searches,
                lock.check,
                lambda: log.append(some("told"), 0, commit=True),
            ):
                with pytest.raises(ValueError, match="--store 'postgresql.*refused") as caught:
                    use()
                assert PASSWORD not in str(caught.value) and "hush" not in str(caught.value)
        finally:
            postgres.start()
        log.flush()
    assert [event.kind for event in store.events("one")] == ["created", "told"]


def test_requests_that_are_left_at_once_are_seen_in_the_order_of_their_numbers(
    store: Store,
) -> None:
    """A driver that saw a number never misses a lower one that is committed after it."""
    seen, ended = list[int](), threading.Event()

    def ask(who: int) -> None:
        for number in range(10):
            store.request("one", {"who": who, "number": number})

    def listen() -> None:
        while not ended.is_set() or store.requests("one", max(seen, default=0)):
            seen.extend(n for n, _, _ in store.requests("one", max(seen, default=0)))

    threads = [threading.Thread(target=ask, args=(who,)) for who in range(4)]
    listener = threading.Thread(target=listen)
    for thread in (listener, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    listener.join()
    assert len(seen) == 40


# Passwords


def test_a_refused_password_is_not_shown(on_server: str) -> None:
    wrong = on_server.replace("hush%2Fhush", "secret%2Fsecret")
    with pytest.raises(ValueError, match=r":\*\*\*@127.0.0.1:.*authentication failed") as caught:
        Store(wrong)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown", "kept"),
    [
        ("sqlite:////runs/a.db", "sqlite:////runs/a.db", "sqlite:////runs/a.db"),
        ("postgresql://me:pw@head/x", "postgresql://me:***@head/x", "postgresql://me@head/x"),
        ("postgresql://me:p@w/:x@head/x", "postgresql://me:***@head/x", "postgresql://me@head/x"),
        ("postgresql://head:5432/x", "postgresql://head:5432/x", "postgresql://head:5432/x"),
        ("postgresql://h/x?password=pw&a=1", "postgresql://h/x?password=***&a=1", None),
        ("http://me:pw@head:5000", "http://me:***@head:5000", "http://me@head:5000"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str, kept: str | None) -> None:
    assert hidden(url) == shown
    assert hidden(f"cannot reach {url} now") == f"cannot reach {shown} now"
    assert kept is None or without_password(url) == kept


def test_the_pool_is_shared_by_all_stores_of_an_address(on_server: str, postgres: Postgres) -> None:
    opened = list[Any]()
    sa_event.listen(Store(on_server)._database._engine, "connect", lambda *_: opened.append(1))
    for _ in range(20):
        Store(on_server).searches()
    assert opened == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_mlflow_itself_may_be_on_postgresql(
    store: Store, postgres: Postgres, tmp_path: Path
) -> None:
    streams.search(store, "one", tmp_path / "one")
    uri = postgres.create()
    assert sync(store, "one", uri, tmp_path / "one") > 0
    found = audit(store, "one", tmp_path / "one", uri, [])
    assert [str(one) for one in found if one.where != "study"] == []
    delete(SearchView.read(store, "one"), uri)
    assert client_of(uri).get_experiment_by_name("ssl/by_hand") is None
