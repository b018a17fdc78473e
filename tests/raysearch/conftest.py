"""One MLflow database for all tests of the room: its first use takes seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raysearch.events.log import Store
from tests.raysearch.events.postgres import Postgres, forget
from tests.raysearch.events.servers import free_port

CODE = (
    "from raysearch.tracking.mlflow.address import client_of; client_of({!r}).search_experiments()"
)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database with all its tables."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    code = CODE.format(f"sqlite:///{path}")
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ, capture_output=True)
    return path


@pytest.fixture
def tracking(migrated: Path, tmp_path: Path) -> str:
    """The address of a fresh MLflow database."""
    shutil.copy(migrated, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def unused_port() -> int:
    """A port on this machine that nobody listens on."""
    return free_port()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; the test is skipped where none is installed."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def on_server(postgres: Postgres) -> Iterator[str]:
    """The address of a new PostgreSQL database."""
    url = postgres.create()
    yield url
    forget(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A new store of each kind."""
    if request.param == "sqlite":
        return Store(f"sqlite:///{tmp_path / 'events.db'}")
    return Store(request.getfixturevalue("on_server"))
