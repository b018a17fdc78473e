"""The table of events: what is committed stays, what is read is what was written, one driver."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from raysearch.events import locks
from raysearch.events.database import Database
from raysearch.events.encoding import decode, decode_all, encode
from raysearch.events.locks import FileLock
from raysearch.events.log import Event, SearchIsRunning, Store
from raysearch.events.schema import Asked, Described, Failed, Reported
from raysearch.sweeps.search_spec import UNKNOWN
from tests.raysearch.events.facts import fact, some
from tests.raysearch.odd import ODD

ROOT = Path(__file__).parents[3]


def test_a_body_comes_back_as_it_was(store: Store) -> None:
    log = store.create("one", UNKNOWN)
    body = {"a": [1, 2.5, None, True], "b": {"text": "ü\n\"'"}, "tiny": 5e-324, "pi": math.pi}
    body |= {"most": 2**63 - 1, "more": 2**63, "least": -(2**70), "long": 0.1234567890123456789}
    log.append(Described(body), 3, commit=True)
    event = list(store.events("one"))[-1]
    assert (event.seq, event.trial, event.body) == (2, 3, Described(body))
    assert event.kind == "described" and event.body.plain() == {"facts": body}


def test_numbers_that_json_lacks_come_back_exactly(store: Store) -> None:
    log = store.create("one", UNKNOWN)
    log.append(fact("described", facts={"a": math.inf, "b": [-math.inf, math.nan]}), 0, commit=True)
    metrics = list(store.events("one"))[-1].body.plain()["facts"]
    assert metrics["a"] == math.inf and metrics["b"][0] == -math.inf
    assert math.isnan(metrics["b"][1])


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_any_text_comes_back_exactly(text: str, store: Store) -> None:
    body = {"a": text, text: [text, {"b": text}], "c": 2**70}
    store.create("one", UNKNOWN).append(fact("described", facts=body), 3, commit=True)
    assert list(store.events("one"))[-1].body == Described(body)
    assert decode_all([encode(body), encode({})]) == [body, {}] and decode(encode(body)) == body


def test_a_body_that_is_no_json_is_still_refused() -> None:
    for text in ("{", '{"a": nan}', '{"a": "\\ud83d"} x', "[1,]"):
        with pytest.raises(ValueError):
            decode(text)


@pytest.mark.parametrize(
    "word", ["__nan__", "__int:5__", "___inf__", "____-inf__", "__nan", "nan", "_"]
)
@pytest.mark.parametrize("beside", [math.inf, 1.0])
def test_a_text_that_looks_like_such_a_number_stays_a_text(word: str, beside: float) -> None:
    body = {"a": word, "b": [word, {"c": word}], "d": beside}
    assert decode(encode(body)) == body
    assert decode_all([encode(body), encode({})]) == [body, {}]


def test_a_body_may_have_the_words_of_the_table(store: Store) -> None:
    log = store.create("one", UNKNOWN)
    log.append(fact("failed", kind="exit", message="x"), 1, commit=True)
    event = list(store.events("one"))[-1]
    assert (event.kind, event.trial) == ("failed", 1)
    assert event.body == Failed("exit", "x") and event.body.plain()["kind"] == "exit"


def test_events_are_numbered_in_order_and_filtered(store: Store) -> None:
    log = store.create("one", UNKNOWN)
    for number in range(5):
        log.append(some("asked" if number % 2 else "told"), number)
    log.flush()
    assert [event.seq for event in store.events("one")] == [1, 2, 3, 4, 5, 6]
    assert [event.trial for event in store.events("one", kinds=[Asked])] == [1, 3]
    assert [event.seq for event in store.events("one", after=4)] == [5, 6]
    assert [event.kind for event in store.events("one", trial=2)] == ["told"]


def test_what_is_not_committed_is_not_read_and_a_commit_takes_all_before_it(store: Store) -> None:
    log = store.create("one", UNKNOWN)
    log.append(some("report"), 0)
    assert len(list(store.events("one"))) == 1
    log.append(some("told"), 0, commit=True)
    assert [event.kind for event in store.events("one")] == ["created", "report", "told"]


def test_fifty_waiting_events_are_committed_by_themselves(store: Store) -> None:
    log = store.create("one", UNKNOWN)
    for _ in range(49):
        log.append(some("report"), 0)
    assert len(list(store.events("one"))) == 1
    log.append(some("report"), 0)
    assert len(list(store.events("one"))) == 51


def test_listeners_hear_each_event_once(store: Store) -> None:
    log, heard = store.create("one", UNKNOWN), list[Event]()
    log.listeners.append(heard.append)
    written = [log.append(some("report"), number) for number in range(3)]
    assert heard == written


def test_a_writer_goes_on_behind_the_last_event(store: Store) -> None:
    store.create("one", UNKNOWN).append(some("asked"), 0, commit=True)
    assert store.log("one").append(some("told"), 0, commit=True).seq == 3


def test_a_name_is_used_once(store: Store) -> None:
    store.create("one", UNKNOWN)
    with pytest.raises(ValueError, match="'one' is in use"):
        store.create("one", UNKNOWN)
    assert store.searches() == ["one"]
    assert not store.exists("two")


def test_threads_that_append_at_once_leave_no_gap(store: Store) -> None:
    log = store.create("one", UNKNOWN)

    def work(number: int) -> None:
        for step in range(100):
            log.append(some("report", step=step), number, commit=step % 10 == 0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.flush()
    assert [event.seq for event in store.events("one")] == list(range(1, 402))


def test_readers_see_whole_events_while_a_driver_writes(store: Store) -> None:
    log, counts = store.create("one", UNKNOWN), list[int]()
    other = Store(store.url)
    for step in range(100):
        log.append(some("report", step=step), 0, commit=True)
        if step % 20 == 0:
            counts.append(len(list(other.events("one"))))
    assert counts == [2, 22, 42, 62, 82]


@pytest.mark.slow
def test_a_sigkill_loses_only_what_was_not_committed(store: Store) -> None:
    url = store.url
    code = (
        "import os, signal; from raysearch.events.log import Store\n"
        "from raysearch.events.schema import Reported\n"
        "from raysearch.sweeps.search_spec import UNKNOWN\n"
        f"log = Store({url!r}).create('one', UNKNOWN)\n"
        "for step in range(10): log.append(Reported(step, {}), 0, commit=step == 6)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    steps = [event.body.plain()["step"] for event in Store(url).events("one", kinds=[Reported])]
    assert steps == list(range(7))


def test_requests_wait_for_the_driver_in_order(store: Store) -> None:
    first = store.request("one", {"action": "stop", "trial": 3})
    second = store.request("one", {"action": "stop", "trial": None})
    store.request("two", {"action": "stop", "trial": None})
    assert [number for number, _, _ in store.requests("one")] == [first, second]
    assert store.requests("one", after=first)[0][2] == {"action": "stop", "trial": None}
    _sql(store, f"UPDATE requests SET body = '{{' WHERE id = {first}")
    assert [number for number, _, _ in store.requests("one")] == [second]


def test_a_cursor_stays_where_it_was_set(store: Store) -> None:
    assert store.cursor("one", "mlflow") == 0
    for seq in (5, 9):
        store.set_cursor("one", "mlflow", seq)
    assert Store(store.url).cursor("one", "mlflow") == 9
    assert store.cursor("one", "other") == 0


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////proc/none/a.db", "oracle://x"])
def test_an_address_that_cannot_be_written_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="--store") as caught:
        Store(url)
    assert repr(url) in str(caught.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("these are notes, not a database, and long enough to be seen as none" * 20)
    with pytest.raises(ValueError, match="notes.db"):
        Store(f"sqlite:///{file}")


def test_a_store_that_breaks_later_is_named(store: Store) -> None:
    log = store.create("one", UNKNOWN)
    for _ in range(600):
        log.append(some("report"), 0)
    log.flush()
    _sql(store, "UPDATE events SET body = '{' WHERE seq = 550")
    with pytest.raises(ValueError, match="--store .*damaged: event 550 of search 'one'"):
        list(store.events("one"))
    _sql(store, "DROP TABLE events")
    for use in (
        store.searches,
        lambda: store.exists("one"),
        lambda: list(store.events("one")),
        lambda: log.append(some("report"), 0, commit=True),
    ):
        with pytest.raises(ValueError, match="cannot be read or written: .*events"):
            use()


def _sql(store: Store, statement: str) -> None:
    store._database.run(lambda connection: connection.execute(sa.text(statement)))


def test_reading_ends_where_the_table_ended_when_it_began(store: Store) -> None:
    log = store.create("one", UNKNOWN)
    for _ in range(1200):
        log.append(some("report"), 0)
    log.flush()
    numbers = list[int]()
    for event in store.events("one"):
        numbers.append(event.seq)
        log.append(some("report"), 0, commit=event.seq % 100 == 0)
    assert numbers == list(range(1, 1202))
    assert [event.seq for event in store.events("one", after=2000)][:2] == [2001, 2002]


def test_whoever_looks_at_the_lock_never_keeps_a_driver_out(tmp_path: Path) -> None:
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            FileLock(tmp_path).holder()

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(40):
            with FileLock(tmp_path):
                pass
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_a_second_driver_is_refused_and_told_who_drives(tmp_path: Path) -> None:
    with FileLock(tmp_path / "one"):
        with pytest.raises(SearchIsRunning, match=f"process {os.getpid()} on "):
            FileLock(tmp_path / "one").acquire()
        holder = FileLock(tmp_path / "one").holder()
        assert holder is not None and holder["pid"] == os.getpid()
    assert FileLock(tmp_path / "one").holder() is None
    with FileLock(tmp_path / "one"):
        pass


def test_the_lock_of_a_search_that_is_deleted_meanwhile_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, tries = FileLock(tmp_path), list[int]()
    first.acquire()

    def deleted(descriptor: int) -> bool:
        tries.append(descriptor)
        if len(tries) == 1:
            (tmp_path / "lock").unlink()
            first.release()
        return True

    monkeypatch.setattr(locks, "_taken", deleted)
    with FileLock(tmp_path):
        assert len(tries) == 2 and "pid" in json.loads((tmp_path / "lock").read_text())


@pytest.mark.slow
def test_a_killed_driver_frees_its_lock_although_its_child_lives_on(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; from raysearch.events.locks import FileLock\n"
        f"FileLock(__import__('pathlib').Path({str(tmp_path)!r}) / 'one').acquire()\n"
        "child = subprocess.Popen(['sleep', '3000'], close_fds=False)\n"
        "print(child.pid, flush=True); time.sleep(3000)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    with pytest.raises(SearchIsRunning, match=str(holder.pid)):
        FileLock(tmp_path / "one").acquire()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    FileLock(tmp_path / "one").acquire()
    os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_open_a_new_store_at_once_all_succeed(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url, failed = f"sqlite:///{tmp_path / 'new.db'}", list[Exception]()
    if kind == "postgresql":
        url = request.getfixturevalue("on_server")
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        try:
            Database(url)._engine.dispose()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
