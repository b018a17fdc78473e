"""The address of MLflow, checked, and its client, made quiet and quick to give up."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from raysearch.errors import BadSetting
from raysearch.events.database import need_driver
from raysearch.files import make_folder
from raysearch.passwords import hidden, without_password
from raysearch.sqlite_files import sqlite_file
from raysearch.tracking.mlflow.admission import check_admission
from raysearch.tracking.mlflow.database import mlflow_address, ready

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SMALLEST = 512
"""Bytes of the smallest database of SQLite that has anything in it."""

NOWHERE = "none"
"""The address that stands for no MLflow at all."""

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Set before MLflow is imported: by itself it retries for minutes and reports home."""


def server_environment() -> dict[str, str]:
    """What `mlflow server` needs to stay small: no telemetry, no job executors."""
    return {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def check_tracking(uri: str) -> None:
    """Refuses an address that MLflow could never write to; a server that is down is none of those.

    Raises:
        ValueError: one sentence with the address and what is allowed.
    """
    if uri == NOWHERE:
        return
    if uri.startswith(("http://", "https://")):
        if not _names_a_host(uri):
            raise BadSetting(
                f"--tracking-uri must name a host, as http://head:5000, got {hidden(uri)!r}"
            )
        check_admission(uri)
        return
    if not re.match(r"(sqlite|postgresql|mysql|mssql)(\+\w+)?://.", uri):
        raise BadSetting(
            f"--tracking-uri must be the address of an MLflow server (http://…) or of a database "
            f"(sqlite:////absolute/path, postgresql://…), or 'none', got {hidden(uri)!r}"
        )
    try:
        need_driver(uri, f"--tracking-uri {hidden(uri)!r}")
        database = sa.create_engine(uri).url.database
    except BadSetting:
        raise
    except (sa_exc.SQLAlchemyError, ImportError, ValueError) as error:
        raise BadSetting(
            f"--tracking-uri {hidden(uri)!r} cannot be used: {hidden(str(error))}"
        ) from None
    if sa.make_url(uri).get_backend_name() == "sqlite":
        problem = _problem_of(Path(database or ""))
        if problem:
            raise BadSetting(f"--tracking-uri {uri!r} cannot be written: {problem}")


def _names_a_host(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


def _problem_of(file: Path) -> str:
    """Why there cannot be an SQLite database here; empty if there can."""
    if str(file) in (".", ":memory:"):
        return "it names no file"
    try:
        make_folder(file.parent)
    except OSError as error:
        return f"{file.parent}: {error.strerror}"
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        return f"no permission for {file}"
    if file.exists() and not _is_sqlite(file):
        return f"{file} is not an SQLite database"
    return ""


def _is_sqlite(file: Path) -> bool:
    """As SQLite says. Closing a file that was opened otherwise would end the locks that other
    connections of this process have on it; what else is wrong with it is said where it is used.
    """
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            opened.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode != sqlite3.SQLITE_NOTADB
    return file.stat().st_size == 0 or file.stat().st_size >= _SMALLEST


def quieten() -> None:
    """Sets what MLflow reads when it is imported."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Whoever writes says what the database refuses, in a sentence; MLflow would add its traceback.
    logging.getLogger("mlflow.store.db").setLevel(logging.CRITICAL)


def client_of(uri: str) -> MlflowClient:
    """MLflow's client for an address, with short timeouts; makes a database that is not there.

    Raises:
        ValueError: the address is `none`. OSError, sqlalchemy.exc.SQLAlchemyError,
            mlflow.exceptions.MlflowException: its database in a file cannot be made.
    """
    if uri == NOWHERE:
        raise BadSetting("this search is not in MLflow: its --tracking-uri is 'none'")
    quieten()
    from mlflow import MlflowClient

    file = sqlite_file(uri)
    if file is None:
        return MlflowClient(tracking_uri=uri)
    ready(file)
    return MlflowClient(tracking_uri=mlflow_address(file))


def consumer(uri: str, store: str) -> str:
    """The name under which the cursor of an address is kept in a store.

    Where both are files of one folder it is the same wherever that folder is moved or copied to.
    """
    file, beside = sqlite_file(uri), sqlite_file(store)
    if file is not None and beside is not None and file.parent == beside.parent:
        return f"mlflow:{_digest(file.name)}"
    return f"mlflow:{_digest(without_password(uri))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
