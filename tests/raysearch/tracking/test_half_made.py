"""MLflow's database is whole or made anew, wherever whoever made it was killed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from raysearch.sqlite_files import sqlite_address
from raysearch.tracking.mlflow.address import client_of
from raysearch.tracking.mlflow.database import mlflow_address, ready

pytestmark = pytest.mark.slow


class Killed(BaseException):
    """Stands for a kill: nothing that MLflow does on an error is done."""


def copies(folder: Path, every: int) -> list[Path]:
    """The database as a kill would leave it behind each such statement that makes its tables."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    file, found, count = folder / "making.db", list[Path](), 0

    def keep(*_: object) -> None:
        nonlocal count
        count += 1
        if count % every == 0 and file.exists():
            found.append(folder / f"{count:04d}.db")
            for end in ("", "-journal"):  # what is not committed is rolled back by its journal
                if Path(f"{file}{end}").exists():
                    shutil.copy(f"{file}{end}", f"{found[-1]}{end}")

    event.listen(sa.Engine, "after_cursor_execute", keep)
    try:
        SqlAlchemyStore(mlflow_address(file), folder.as_uri()).engine.dispose()
    finally:
        event.remove(sa.Engine, "after_cursor_execute", keep)
    assert count > 500
    return found


def schema(file: Path) -> set[tuple[str, ...]]:
    """All tables and indices, and which revision of MLflow's it is."""
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT name, tbl_name FROM sqlite_master").fetchall()
        return {*found, *connection.execute("SELECT version_num FROM alembic_version").fetchall()}


@pytest.mark.timeout(600)
def test_a_database_that_was_half_made_is_made_anew(
    tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(file: Path) -> None:
        shutil.copy(migrated, file)

    monkeypatch.setattr("raysearch.tracking.mlflow.database._make", make)  # seconds each
    half = copies(tmp_path, 29)
    assert len(half) > 15
    for file in half:
        ready(file)
        assert schema(file) == schema(migrated), file.name


def test_whoever_is_killed_while_it_is_made_leaves_none(tmp_path: Path, migrated: Path) -> None:
    count = 0

    def die(*_: object) -> None:
        nonlocal count
        count += 1
        if count == 200:
            raise Killed

    file = tmp_path / "mlflow.db"
    event.listen(sa.Engine, "after_cursor_execute", die)
    with pytest.raises(Killed):
        ready(file)
    event.remove(sa.Engine, "after_cursor_execute", die)
    assert not file.exists()
    ready(file)
    assert schema(file) == schema(migrated) and os.listdir(tmp_path) == ["mlflow.db"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_older_database_with_a_run_is_left_as_it_is(tmp_path: Path, tracking: str) -> None:
    file = tmp_path / "mlflow.db"
    client_of(tracking).create_run("0")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'bd07f7e963c5'")
        connection.commit()
    before = file.read_bytes()
    ready(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("table", ["studies", "events"])
def test_the_database_of_something_else_is_left_as_it_is(tmp_path: Path, table: str) -> None:
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"CREATE TABLE {table} (name TEXT)")
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.commit()
    before = file.read_bytes()
    ready(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["what?", "a%20b", "%2F", "a#1", "it's", "new\nline", 'q"uote'])
def test_the_name_of_a_folder_is_no_part_of_an_address(
    tmp_path: Path, migrated: Path, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(migrated, folder / "mlflow.db")
    client = client_of(sqlite_address(folder / "mlflow.db"))
    number = client.create_experiment("one", (folder / "mlartifacts").as_uri())
    run = client.create_run(number).info.run_id
    client.log_dict(run, {"a": 1}, "deep er/config.json")
    assert [one.path for one in client.list_artifacts(run, "deep er")] == ["deep er/config.json"]
    assert len(list((folder / "mlartifacts").rglob("config.json"))) == 1
    assert os.listdir(tmp_path) == [name]
