"""A real PostgreSQL server on this machine: started in a folder of its own, with a password."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from raysearch.events import database
from tests.raysearch.events.servers import free_port

PASSWORD = "hush/hush"
WHY = "PostgreSQL is not installed (Debian: apt-get install postgresql)"


def programs() -> Path:
    """Where initdb and pg_ctl are; skips the test where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    installed = [Path(found)] if found else []
    installed += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not installed:
        pytest.skip(WHY)
    return installed[-1].parent


class Postgres:
    """A server on a free port; it does not run as root, which PostgreSQL refuses."""

    def __init__(self) -> None:
        self._programs = programs()
        self._folder = Path(tempfile.mkdtemp(prefix="raysearch-postgres-"))
        self._user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        if self._user:
            for path in (self._folder, secret):
                shutil.chown(path, "postgres")
        self.port = free_port()
        owner = "postgres" if self._user else getpass.getuser()
        self.name = f"{owner}:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{self.port}"
        data = ["--pgdata", str(self._folder / "data"), "--username", owner]
        self._do("initdb", [*data, "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync"])
        self.start()

    def start(self) -> None:
        """Starts it and waits until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c max_connections=300 -F"
        options += f" -c unix_socket_directories={self._folder}"
        log = ["--log", str(self._folder / "log.txt"), "--options", options]
        self._do("pg_ctl", ["start", "--wait", "--pgdata", str(self._folder / "data"), *log])

    def stop(self, mode: str = "immediate") -> None:
        """Ends it; `immediate` is as a crash."""
        data = ["--pgdata", str(self._folder / "data")]
        self._do("pg_ctl", ["stop", "--wait", "--mode", mode, *data])

    def close(self) -> None:
        """Ends it and deletes its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, name: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql+psycopg://{self.name}/{name}"

    def create(self) -> str:
        """The address of a new database."""
        name = f"d{uuid.uuid4().hex[:12]}"
        self.sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def sql(self, statement: str, name: str = "postgres") -> list[Any]:
        """What a statement returns."""
        engine = sa.create_engine(self.url(name), poolclass=sa.NullPool)
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            done = connection.execute(sa.text(statement))
            return list(done) if done.returns_rows else []

    def cut(self, url: str, *, holding: bool = False) -> int:
        """Ends all connections to a database, or only those that hold an advisory lock.

        When it returns they are gone, with their locks.
        """
        where = "datname = current_database() AND pid <> pg_backend_pid()"
        if holding:
            where += " AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')"
        query = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {where}"
        return len(self.sql(query, name=str(sa.make_url(url).database)))

    def _do(self, program: str, arguments: Sequence[str]) -> None:
        command = [*self._user, str(self._programs / program), *arguments]
        with (self._folder.parent / f"{self._folder.name}.txt").open("a+") as output:
            done = subprocess.run(command, stdout=output, stderr=output, cwd="/", check=False)
            output.seek(0)
            assert done.returncode == 0, output.read()
        Path(output.name).unlink()


def forget(url: str) -> None:
    """Closes the connections that this process has to a database."""
    opened = database._OPENED.pop(url, None)
    if opened is not None:
        opened._engine.dispose()
