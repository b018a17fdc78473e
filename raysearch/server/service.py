"""The service of a head node: database, MLflow, gateway and broker, begun, kept up and ended."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from sqlalchemy.engine import make_url

from raysearch.errors import BadSetting, Unreachable
from raysearch.events.log import Store
from raysearch.files import make_folder
from raysearch.passwords import hidden
from raysearch.server import broker_process, ray_head
from raysearch.server.external_part import Outside
from raysearch.server.mlflow_server import USER, TrackingServer, databases, reachable
from raysearch.server.part import Part, Program, end_marked, mark_of
from raysearch.server.postgres import OWNER, Postgres, answers, ensure_databases
from raysearch.server.state import ServiceState, ensure_token

_START_LIMIT = 300.0
_ORDER = ("database", "mlflow", "ray", "gateway", "broker")
_NOT_YET = {"state": "starting", "reason": ""}


@dataclass(frozen=True)
class Options:
    """What `raysearch serve` was asked for; `database` and `artifacts` are empty by default."""

    runs: Path
    state: Path
    host: str
    port: int
    mlflow_port: int
    database: str = field(default="", repr=False)
    artifacts: str = ""
    ray_address: str = "auto"
    user_limit: int | None = None
    only_database: bool = False


class Service:
    """All parts; `tell` is called with each line that a person may want to read."""

    def __init__(self, options: Options, tell: Callable[[str], None]) -> None:
        self.options, self._tell = options, tell
        self._parts: list[Part | Outside] = []
        self._public: dict[str, Any] | None = None
        self._publishing = threading.RLock()

    def run(self) -> None:
        """Begins all parts, keeps them up until SIGINT or SIGTERM, and ends them in turn.

        Raises:
            ConnectionError: a part does not come up, or another service has this state.
            LookupError: PostgreSQL is not installed. ValueError: a bad option.
        """
        state = self.options.state
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.chmod(0o700)
        with _alone(state), _told_to_end():
            try:
                self._begin_database_alone() if self.options.only_database else self._begin()
                threading.Event().wait()
            except KeyboardInterrupt:
                self._tell("ending")
            finally:
                self._end()

    def _begin(self) -> None:
        options = self.options
        _require_client_of(options.artifacts)
        make_folder(options.runs)
        ensure_token()
        ray, dashboard = self._find_ray()
        url = self._begin_database()
        tracking = self._tracking(url)
        for option, port in (("--mlflow-port", options.mlflow_port), ("--port", options.port)):
            _require_free(option, options.host, port)
        self._start(tracking.part())
        self._public = {
            "pid": os.getpid(),
            "address": f"http://{_name_of(options.host)}:{options.port}",
            "runs": str(options.runs),
            "store": url,
            "tracking_uri": tracking.uri,
            "tracking_user": USER,
            "tracking_password": tracking.password,
            "ray_address": ray,
            "dashboard": dashboard,
            "options": {
                "user_limit": options.user_limit,
                "ray_token": os.environ.get("RAY_AUTH_MODE") != "disabled",
            },
        }
        self._publish()
        if ray:
            self._start(Outside("ray", lambda: ray_head.answers(ray)))
        for part in self._own_parts(tracking):
            self._start(part)
        self._tell(f"raysearch on {self._public['address']}, MLflow on {tracking.uri}")
        self._tell(f"user {USER}; its password is in {options.state / 'service.json'}")

    def _begin_database_alone(self) -> None:
        """For a restore: no database is made, and nobody else comes in between."""
        if self.options.database:
            raise BadSetting("--only-database runs a database of its own: leave out --database")
        own = Postgres(self.options.state)
        own.prepare()
        end_marked(mark_of(self.options.state))
        self._start(own.part())
        self._tell(f"PostgreSQL on 127.0.0.1:{own.port}, user {OWNER}")

    def _find_ray(self) -> tuple[str, str]:
        asked = self.options.ray_address
        os.environ.pop("RAY_ADDRESS", None)  # it would overrule the address that is found here
        if asked == ray_head.NONE:
            return "", ""
        if os.environ.get("RAY_AUTH_MODE") == "disabled":
            self._tell("WARNING: RAY_AUTH_MODE=disabled: whoever reaches Ray may run anything")
        else:
            os.environ["RAY_AUTH_MODE"] = "token"
        return ray_head.find(asked)

    def _begin_database(self) -> str:
        """Begins our own database, or looks at the one that was named; returns its address."""
        state, given = self.options.state, self.options.database
        if given:
            url = _complete(given)
            part, server = Outside("database", lambda: answers(url)), url
        else:
            own = Postgres(state)
            own.prepare()  # ends a database that is still there in order, before the rest is killed
            url, part, server = own.url(OWNER), own.part(), own.url("postgres")
        end_marked(mark_of(state))  # what a service that was killed has left
        self._start(part)
        ensure_databases(server, [str(make_url(one).database) for one in databases(url)])
        Store(url)  # makes its tables
        return url

    def _tracking(self, url: str) -> TrackingServer:
        options = self.options
        place = options.artifacts or str(options.runs / "mlartifacts")
        return TrackingServer(options.state, options.host, options.mlflow_port, url, place)

    def _own_parts(self, tracking: TrackingServer) -> list[Part]:
        options, address = self.options, reachable(self.options.host)
        state, port = str(options.state), str(options.port)
        gateway = Program(
            [
                *_module("raysearch.server.gateway"),
                "--state",
                state,
                "--host",
                options.host,
                "--port",
                port,
            ],
            {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": tracking.password},
        )
        health = f"http://{address}:{options.port}/health"
        parts = [Part("gateway", gateway, lambda: gateway_answers(health), options.state)]
        if self._public and self._public["ray_address"]:
            broker = Program([*_module("raysearch.server.broker_process"), state])
            parts.append(
                Part(
                    "broker",
                    broker,
                    lambda: broker_process.answers(options.state),
                    options.state,
                    lambda: broker_process.forget(options.state),
                )
            )
        return parts

    def _start(self, part: Part | Outside) -> None:
        self._parts.append(part)
        part.listeners.append(lambda: self._hear(part))
        part.start(_START_LIMIT)

    def _hear(self, part: Part | Outside) -> None:
        """Says and writes how a part is now."""
        status = part.status()
        is_down = status["state"] == "down"
        why = f": {hidden(status['reason'])}" if is_down and status["reason"] else ""
        self._tell(f"{datetime.now():%Y-%m-%d %H:%M:%S} {part.name} is {status['state']}{why}")
        self._publish()

    def _publish(self) -> None:
        """Writes what is so now, for all on the head to read."""
        with self._publishing:
            if self._public is not None:
                parts = {name: dict(_NOT_YET) for name in self._expected()}
                parts |= {part.name: part.status() for part in self._parts}
                ServiceState(**self._public, parts=parts).write(self.options.state)

    def _expected(self) -> list[str]:
        beside = ("ray", "broker") if self._public and self._public["ray_address"] else ()
        return [name for name in _ORDER if name in ("database", "mlflow", "gateway", *beside)]

    def _end(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with self._publishing:
            self._public = None
            ServiceState.remove(self.options.state)
        for part in reversed(self._parts):
            part.stop()


def gateway_answers(health: str) -> str:
    """Nothing if the gateway answers, whatever it says of the other parts."""
    response = requests.get(health, timeout=5)
    return "" if "ok" in response.json() else f"it answers with status {response.status_code}"


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


@contextmanager
def _alone(state: Path) -> Generator[None]:
    """Holds the folder of state; its process alone does, and no longer than it lives."""
    lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(lock, 20).decode().strip()
            raise Unreachable(
                f"a service already runs on {state}, as process {pid}: end it by `kill {pid}`, or "
                f"give another --state, --port and --mlflow-port"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        yield
    finally:
        os.close(lock)


@contextmanager
def _told_to_end() -> Generator[None]:
    """Lets SIGTERM do as Ctrl-C does."""
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    for one in before:
        signal.signal(one, signal.default_int_handler)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _complete(database: str) -> str:
    """The address of an existing database with driver and password, as its readers need it."""
    try:
        address = make_url(database)
    except Exception:
        address = None
    if address is None or address.get_backend_name() != "postgresql" or not address.database:
        raise BadSetting(
            "--database must be the address of a PostgreSQL database: "
            "postgresql://USER@HOST:PORT/NAME, with the password in PGPASSWORD"
        )
    password = address.password or os.environ.get("PGPASSWORD")
    whole = address.set(drivername="postgresql+psycopg", password=password)
    return whole.render_as_string(hide_password=False)


def _require_client_of(artifacts: str) -> None:
    if artifacts.startswith("s3://") and importlib.util.find_spec("boto3") is None:
        raise BadSetting(
            f"--artifacts {artifacts} needs the package boto3 on the head: pip install boto3"
        )


def _require_free(option: str, host: str, port: int) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise Unreachable(
                f"{option} {port} on {host} cannot be listened on: {error.strerror}"
            ) from None


def _name_of(host: str) -> str:
    """The host as other machines may call it: by its name, if that is known here."""
    if host not in ("0.0.0.0", ""):
        return host
    with suppress(OSError):
        name = socket.gethostname()
        socket.gethostbyname(name)
        return name
    return "127.0.0.1"
