"""A damaged store is said to be one, in a sentence, and nothing of it is overwritten."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raysearch import verbs
from raysearch.audit import audit_search
from raysearch.cli.application import app
from raysearch.driver.search import resume
from raysearch.errors import RaysearchError, WrongState
from raysearch.events.encoding import decode, encode
from raysearch.events.log import Store
from raysearch.events.schema import Described
from raysearch.results import opening
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.sweeps.search_spec import UNKNOWN
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact

NAMES = ("one", "two", "three")
READ = (["list"], ["list", "--json"], ["status", "one"], ["results", "two"], ["best", "three"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a store of three searches."""
    settings = Settings.locate(tmp_path_factory.mktemp("whole"))
    store = Store(settings.store)
    for name in NAMES:
        with store.lock(name, settings.folder(name)):
            streams.search(store, name, settings.folder(name))
    return (settings.runs / "raysearch.db").read_bytes()


def put(folder: Path, content: bytes) -> Settings:
    """A store with this content, in a folder where searches were."""
    settings = Settings.locate(folder)
    (settings.folder("one")).mkdir(parents=True, exist_ok=True)
    (settings.folder("one") / "lock").touch()
    (settings.runs / "raysearch.db").write_bytes(content)
    return settings


def change(settings: Settings, statement: str) -> None:
    with closing(sqlite3.connect(settings.runs / "raysearch.db")) as connection:
        connection.execute(statement)
        connection.commit()


def states(settings: Settings) -> dict[str, str]:
    return {view.search: view.state for view in verbs.searches(settings)}


def test_a_copy_of_the_file_alone_is_whole_when_a_lock_was_given_back(
    tmp_path: Path, whole: bytes
) -> None:
    store = Store(put(tmp_path, whole).store, is_new=False)
    assert store.searches() == list(NAMES) and store.damage() == []
    assert SearchView.read(store, "two").state == "finished"


@pytest.mark.parametrize(
    ("kind", "field", "value", "words"),
    [
        ("report", '$.metrics."val/top1"', '"high"', "metrics must be a mapping of which each is"),
        ("report", "$.step", "1.5", "step must be a whole number, got 1.5"),
        ("report", "$.values", "[[1]]", "values must be a list of which each is a number or null"),
        ("asked", "$.config", "[]", "config must be a mapping, got"),
        ("asked", "$.params", '"x"', "params must be a mapping, got"),
        ("told", "$.state", '"won"', "state must be one of complete, pruned, failed, infeasible"),
        ("told", "$.values", "1", "values must be a list"),
        ("described", "$.facts", "null", "facts must be a mapping"),
    ],
)
def test_a_field_of_another_type_is_found_and_named_by_check(
    tmp_path: Path, whole: bytes, kind: str, field: str, value: str, words: str
) -> None:
    settings = put(tmp_path, whole)
    where = f"search = 'two' AND kind = '{kind}'"
    first = f"(SELECT min(seq) FROM events WHERE {where})"
    new = f"json_set(body, '{field}', json('{value}'))"
    change(settings, f"UPDATE events SET body = {new} WHERE {where} AND seq = {first}")
    assert states(settings) == {"one": "finished", "two": "damaged", "three": "finished"}
    (found,) = audit_search(Store(settings.store), "two", settings)
    assert found.where == "events" and f"({kind}) of search 'two'" in found.what
    assert words in found.what
    for verb in ("check", "report", "results"):
        done = CliRunner().invoke(app, [verb, "two", "--runs", str(tmp_path)])
        assert done.exit_code == (1 if verb == "check" else 2), done.output


@pytest.mark.parametrize(
    "change_to",
    ["'{'", "'[1]'", "'{}'", "'null'", "NULL || x'ff'", "x'ff00'", "'{\"state\": 1}'"],
)
def test_one_damaged_body_takes_no_other_search_away(
    tmp_path: Path, whole: bytes, change_to: str
) -> None:
    settings = put(tmp_path, whole)
    change(settings, f"UPDATE events SET body = ifnull({change_to}, '') WHERE search = 'two'")
    assert states(settings) == {"one": "finished", "two": "damaged", "three": "finished"}
    with pytest.raises(WrongState, match="'two'.* is damaged|damaged.*'two'"):
        opening.view_of("two", settings)
    listed = CliRunner().invoke(app, ["list", "--json", "--runs", str(tmp_path)])
    assert listed.exit_code == 0 and "damaged" in listed.stdout


def test_a_search_without_its_first_event_is_damaged(tmp_path: Path, whole: bytes) -> None:
    settings = put(tmp_path, whole)
    change(settings, "DELETE FROM events WHERE search = 'two' AND seq = 1")
    with pytest.raises(WrongState, match="its first event is not there"):
        opening.view_of("two", settings)
    with pytest.raises(WrongState, match="its first event is not there"):
        resume("two", settings)


@pytest.mark.parametrize("body", ["'{'", "'{}'", "cast(x'ff00' AS TEXT)"])
@pytest.mark.parametrize("seq", [1, 3, 12])
def test_a_damaged_search_can_be_deleted_as_far_as_it_can_be_read(
    tmp_path: Path, whole: bytes, seq: int, body: str
) -> None:
    settings = put(tmp_path, whole)
    change(settings, f"UPDATE events SET body = {body} WHERE search = 'two' AND seq = {seq}")
    folder = settings.folder("two") / "0003"
    folder.mkdir(parents=True)
    if seq == 1:
        with pytest.raises(WrongState, match="which runs in MLflow .* by --tracking-uri none"):
            verbs.delete("two", settings)
    done = CliRunner().invoke(
        app, ["delete", "two", "--yes", "--runs", str(tmp_path), "--tracking-uri", "none"]
    )
    assert done.exit_code == 0 and list(states(settings)) == ["one", "three"], done.output
    assert not folder.parent.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"these are notes, and no database of anything", "file is not a database"),
        (b"SQLite format 3\0" + b"\0" * 5000, "damaged, or no"),
    ],
)
@pytest.mark.parametrize("is_new", [True, False])
def test_what_is_no_store_is_said_to_be_none_and_stays_as_it_is(
    tmp_path: Path, content: bytes, said: str, is_new: bool
) -> None:
    settings = put(tmp_path, content)
    with pytest.raises(WrongState, match=said):
        Store(settings.store, is_new=is_new)
    assert (tmp_path / "raysearch.db").read_bytes() == content


def test_an_empty_file_where_no_search_was_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "raysearch.db").touch()
    assert Store(Settings.locate(tmp_path).store).searches() == []


def test_the_database_of_something_else_gets_no_tables_of_ours(tmp_path: Path) -> None:
    settings = Settings.locate(tmp_path)
    change(settings, "CREATE TABLE studies (name TEXT)")
    with pytest.raises(WrongState, match="the database of something else: .* 'studies'"):
        Store(settings.store)
    with pytest.raises(WrongState, match="no store of raysearch: it has no table 'cursors'"):
        opening.store_of(settings)


@pytest.mark.parametrize("seed", range(12))
def test_wherever_a_file_is_damaged_commands_work_or_say_so_and_change_nothing(
    tmp_path: Path, whole: bytes, seed: int
) -> None:
    rng, content = random.Random(seed), bytearray(whole)
    place = rng.randrange(len(content) - 4096)
    if seed % 4 == 0:
        del content[place:]
    elif seed % 4 == 1:
        content[place] ^= 1 << rng.randrange(8)
    elif seed % 4 == 2:
        page = place // 4096 * 4096
        content[page : page + 4096] = rng.randbytes(4096)
    else:
        content[place : place + 8] = rng.randbytes(8)
    put(tmp_path, bytes(content))
    for command in READ:
        done = CliRunner().invoke(app, [*command, "--runs", str(tmp_path)])
        assert done.exit_code in (0, 2), (command, done.exception)
        assert done.exit_code == 0 or done.stderr.startswith("error: ")
    assert (tmp_path / "raysearch.db").read_bytes() == content


def test_check_finds_a_page_that_nobody_reads(tmp_path: Path, whole: bytes) -> None:
    settings = put(tmp_path, whole)
    change(settings, "CREATE INDEX other ON events (time)")
    change(settings, "PRAGMA writable_schema = ON")
    with closing(sqlite3.connect(settings.runs / "raysearch.db")) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'other'"
        ).fetchone()
    content = bytearray((settings.runs / "raysearch.db").read_bytes())
    content[(root - 1) * 4096 : root * 4096] = bytes(4096)
    (settings.runs / "raysearch.db").write_bytes(content)
    assert Store(settings.store, is_new=False).damage() != []


def test_a_full_disk_while_the_store_is_written_is_the_sentence_of_one_before(
    tmp_path: Path,
) -> None:
    store = Store(Settings.locate(tmp_path).store)
    log = store.create("one", UNKNOWN)
    with store._database._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 20")
    with pytest.raises(
        RaysearchError, match="^no space is left on the disk for .*: make some, and"
    ):
        log.append(fact("noted", notes="x" * 200_000), commit=True)


@pytest.mark.parametrize(
    "text",
    ["a\udcff.png", "\ud800", "😀", "\\udcff", "__text:\\udcff__", "_\udcff__", "a\0b", "__nan__"],
)
def test_a_text_of_any_kind_comes_back_from_every_store(store: Store, text: str) -> None:
    body = {"text": text, "keys": {text: [text]}, "big": 2**70}
    assert decode(encode(body)) == body
    store.create("one", UNKNOWN).append(fact("described", facts=body), 0, commit=True)
    store.request("one", {"text": text})
    assert list(store.events("one"))[-1].body == Described(body)
    assert store.requests("one")[0][2] == {"text": text}
