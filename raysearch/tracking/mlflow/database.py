"""MLflow's database in a file: made whole or not at all, its artifacts beside it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

from raysearch.files import make_folder, private
from raysearch.sqlite_files import sqlite_address

ARTIFACTS = "mlartifacts"
"""The folder of artifacts, beside the database."""
BESIDE = "raysearch.artifacts"
"""A tag of experiments whose artifacts lie beside the database, wherever both are moved."""
_MAKING = ".mlflow-making-"
_FORGOTTEN = 3600.0
"""Seconds after which a folder in which tables were made is that of a killed process."""
_PATIENCE = 20.0


def ready(file: Path) -> None:
    """Makes the database if there is none, or one whose making was killed; follows a move.

    MLflow makes its tables in hundreds of statements, each of them for good: it cannot go on with
    what a killed process has left. So they are made under another name.

    Raises:
        OSError, mlflow.exceptions.MlflowException, sqlalchemy.exc.SQLAlchemyError: it cannot be
            made.
    """
    if file.exists() and _is_half_made(file):
        for one in (file, Path(f"{file}-journal"), Path(f"{file}-wal"), Path(f"{file}-shm")):
            one.unlink(missing_ok=True)
    if not file.exists():
        _make(file)
        return
    with suppress(sqlite3.Error):  # MLflow meets the same, and says it
        _follow(file)


def _make(file: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    make_folder(file.parent)
    _sweep(file.parent)
    folder = Path(tempfile.mkdtemp(prefix=_MAKING, dir=file.parent))
    try:
        made = folder / file.name
        private(made)
        store = SqlAlchemyStore(mlflow_address(made), artifacts_of(file).as_uri())
        store.engine.dispose()
        with suppress(FileExistsError):  # another process was faster
            os.link(made, file)
            for engine in SqlAlchemyStore._engine_map.values():  # pyright: ignore[reportPrivateUsage]
                engine.dispose()  # one of this process may still hold a file that was removed
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_MAKING}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _FORGOTTEN:
                shutil.rmtree(folder, ignore_errors=True)


def mlflow_address(file: Path) -> str:
    """The address of an SQLite database for MLflow, which makes the folders that it reads there.

    It reads them unquoted: where anything is quoted the driver is named, and it makes none.
    """
    address = sqlite_address(file)
    is_plain = address == f"sqlite:///{file}"
    return address if is_plain else address.replace("sqlite:", "sqlite+pysqlite:", 1)


def artifacts_of(file: Path) -> Path:
    """The folder of artifacts beside a database."""
    return file.parent / ARTIFACTS


def _is_half_made(file: Path) -> bool:
    """Whether somebody began to make MLflow's tables here and was killed: it holds nothing.

    A whole one, an older MLflow's too, has at least a row for its default experiment.
    """
    from mlflow.store.db import utils
    from mlflow.store.tracking.dbmodels.models import SqlExperiment

    if file.stat().st_size == 0:
        return True
    known = set(SqlExperiment.metadata.tables)
    try:
        with closing(_open(file)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {str(name) for (name,) in rows if not str(name).startswith("sqlite_")}
            if "alembic_version" in tables:
                (version,) = connection.execute("SELECT max(version_num) FROM alembic_version")
                if version[0] == utils._get_latest_schema_revision():  # pyright: ignore
                    return False
            filled = any(_has_rows(connection, name) for name in tables - _SEEDED)
            return bool(tables & known) and not filled
    except sqlite3.Error:
        return False  # damaged, or no database: nothing is known of what it holds


_SEEDED = {"alembic_version", "workspaces"}
"""Tables that have rows before anything is kept."""


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(f'SELECT 1 FROM "{table}" LIMIT 1').fetchone() is not None


def _follow(file: Path) -> None:
    """Artifacts lie beside the database, also where both were copied or moved to."""
    here = artifacts_of(file).as_uri()
    query = (
        "SELECT e.experiment_id, e.artifact_location, max(t.key = ?), "
        "max(t.key = 'mlflow.experiment.primaryMetric.name') FROM experiments e "
        "JOIN experiment_tags t ON t.experiment_id = e.experiment_id GROUP BY e.experiment_id"
    )
    with closing(_open(file)) as connection:
        for number, there, is_beside, is_ours in connection.execute(query, (BESIDE,)).fetchall():
            if there == here or not (is_beside or (is_ours and _was_beside(file, there))):
                continue
            if _same(there, artifacts_of(file)):
                continue  # the same folder by another name
            connection.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
                (here, number),
            )
            connection.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
                "WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
                (here, len(there) + 1, number, len(there) + 1, f"{there}/"),
            )
        connection.commit()


def _was_beside(file: Path, there: str) -> bool:
    """Whether artifacts that are elsewhere were beside this database before it was copied or moved.

    For experiments that have no tag which says so: it was copied from a folder that has such a
    database, or moved from one that has no artifacts any more.
    """
    place = _path(there)
    if place is None or place.name != ARTIFACTS:
        return False
    return not place.exists() or (place.parent / file.name).exists()


def _same(there: str, here: Path) -> bool:
    place = _path(there)
    with suppress(OSError):
        return place is not None and place.parent.samefile(here.parent)
    return False


def _path(location: str) -> Path | None:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(location)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=_PATIENCE)
