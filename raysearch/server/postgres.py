"""A PostgreSQL server of the service's own: made at first start, listening on this host alone."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from raysearch.errors import UnknownName, Unreachable
from raysearch.files import appearing
from raysearch.server.part import Part, Program
from raysearch.server.state import kept_number, kept_secret

OWNER = "raysearch"
"""Its only user, and the name of the database of the events."""
_SETTINGS = {
    "listen_addresses": "127.0.0.1",  # drivers, MLflow and the gateway all run on the head
    "unix_socket_directories": "",
    "max_connections": "300",
    "password_encryption": "scram-sha-256",
    "cluster_name": "raysearch",
    "log_statement": "none",
    "log_min_error_statement": "panic",  # a statement that failed may hold a secret
}
_STOP_LIMIT = 60.0
INSTALLED = Path("/usr/lib/postgresql")
"""Where Debian keeps its programs, a folder for each version."""


class Postgres:
    """The server of a folder of state: its data, its port, its address with the password."""

    def __init__(self, state: Path) -> None:
        self._state, self.data = state, state / "postgres"
        self.port = 0
        self._folder = -1

    def prepare(self) -> None:
        """Makes the data folder at first use, and ends what an earlier service has left.

        Raises:
            LookupError: PostgreSQL is not installed, or not the version of the data.
        """
        if not self.data.exists():
            self._make()
        self._folder = _opened(self.data)
        self.end()
        self.port = _free_port(kept_number(self._state, "database_port", _unused_port))

    def part(self) -> Part:
        """The server as a part of the service."""
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        program = programs(self._version()) / "postgres"
        command = [str(program), "-D", _place(self._folder), "-p", str(self.port), *settings]
        run = Program(
            command,
            farewell=signal.SIGINT,  # ends connections, then closes in order
            grace=_STOP_LIMIT,
            user=_unprivileged(),
            descriptors=[self._folder],
        )
        return Part("database", run, lambda: answers(self.url("postgres")), self._state, self.end)

    def url(self, name: str = OWNER) -> str:
        """The address of one of its databases, with the password."""
        password = kept_secret(self._state, "database_password")
        return f"postgresql+psycopg://{OWNER}:{password}@127.0.0.1:{self.port}/{name}"

    def end(self) -> None:
        """Ends the server that has this data open, if there is one, and waits until it is gone.

        Raises:
            ConnectionError: it does not end.
        """
        pid = self._running()
        if pid is None:
            return
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + _STOP_LIMIT
        while self._running() == pid:
            if time.monotonic() > deadline:
                raise Unreachable(f"PostgreSQL (process {pid}) on {self.data} does not end")
            time.sleep(0.1)

    def _running(self) -> int | None:
        """The process that has the data open; its file may be left from before a crash."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            is_there = os.path.samefile(f"/proc/{pid}/cwd", self.data)  # it works in its data
        except (OSError, ValueError, IndexError):
            return None
        return pid if is_there else None

    def _version(self) -> str:
        return (self.data / "PG_VERSION").read_text().strip()

    def _make(self) -> None:
        """Fills a folder that takes its place when it is whole: there is no half-made data."""
        with appearing(self.data, under=f"{self.data.name}.partial") as partial:
            self._fill(partial)

    def _fill(self, partial: Path) -> None:
        user, initdb = _unprivileged(), programs() / "initdb"
        partial.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w", prefix="raysearch-") as secret:
            secret.write(kept_secret(self._state, "database_password"))
            secret.flush()
            if user:
                shutil.chown(secret.name, user)
                shutil.chown(partial, user, pwd.getpwnam(user).pw_gid)
            folder = _opened(partial)
            command = [str(initdb), "-D", _place(folder), "--username", OWNER]
            command += ["--auth=scram-sha-256", f"--pwfile={secret.name}", "--encoding=UTF8"]
            command += ["--locale=C"]  # orders names by their bytes, the same on every machine
            done = subprocess.run(
                command,
                cwd="/",
                pass_fds=[folder],
                user=user or None,
                group=pwd.getpwnam(user).pw_gid if user else None,
                extra_groups=[] if user else None,
                capture_output=True,
                text=True,
                check=False,
            )
        os.close(folder)
        if done.returncode:
            raise Unreachable(f"initdb refuses {partial}: {done.stderr.strip()}")


def _opened(folder: Path) -> int:
    """A descriptor of a folder: PostgreSQL's user may not enter those above it, which are ours."""
    return os.open(folder, os.O_PATH | os.O_DIRECTORY)


def _place(folder: int) -> str:
    return f"/proc/self/fd/{folder}"


def programs(version: str = "") -> Path:
    """Where the programs of PostgreSQL are, the newest or those of a major version.

    Raises:
        LookupError: there are none.
    """
    found = sorted(
        INSTALLED.glob("*/bin/initdb"),
        key=lambda path: float(path.parts[-3]),
        reverse=True,
    )
    named = {path.parts[-3]: path for path in found}
    on_path = shutil.which("initdb")
    if version in named:
        return named[version].parent
    if on_path is None and not found:
        raise UnknownName(
            f"PostgreSQL is not installed (no initdb in {INSTALLED}/*/bin or on PATH): install it "
            f"(Debian: apt-get install postgresql), or name a server by --database"
        )
    if version and on_path is None:
        raise UnknownName(
            f"the data were made by PostgreSQL {version}, which is not installed (there is "
            f"{', '.join(named)}): install postgresql-{version}, or restore a backup into a new "
            f"folder of state"
        )
    return (Path(on_path).resolve() if version and on_path else found[0]).parent


def answers(url: str) -> str:
    """Nothing if the database answers; raises what is said otherwise."""
    with psycopg.connect(plain(url), connect_timeout=5) as connection:
        connection.execute("SELECT 1")
    return ""


def plain(url: str) -> str:
    """An address as PostgreSQL's own programs read it, without the name of the driver."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"


def ensure_databases(url: str, names: list[str]) -> None:
    """Creates the databases that are missing on the server of an address.

    Raises:
        ConnectionError: the server cannot be reached, or refuses; says what to do.
    """
    try:
        with psycopg.connect(plain(url), connect_timeout=10, autocommit=True) as connection:
            rows = connection.execute("SELECT datname FROM pg_database").fetchall()
            for name in sorted(set(names) - {str(row[0]) for row in rows}):
                connection.execute(f'CREATE DATABASE "{name}"'.encode())
    except psycopg.errors.InsufficientPrivilege:
        raise Unreachable(
            f"--database: its user may not create databases, so create {' and '.join(names)} "
            f"for it, or give it CREATEDB"
        ) from None
    except psycopg.Error as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise Unreachable(f"--database cannot be used: {reason}") from None


def _unprivileged() -> str:
    """The user that it runs as: PostgreSQL refuses root. Empty if we are nobody special."""
    if os.geteuid() != 0:
        return ""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _free_port(wanted: int) -> int:
    """The port that it had before, so that addresses stay; another one if that is taken now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", wanted))
        except OSError:
            return _unused_port()
    return wanted
