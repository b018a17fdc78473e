"""One MLflow database for all tests of the room: its first use takes seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.raysearch.record.servers import free_port

CODE = "from raysearch.record.address import client_of; client_of({!r}).search_experiments()"


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
