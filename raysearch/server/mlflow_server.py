"""MLflow's server with a user and a password, on the service's database."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import requests
from sqlalchemy.engine import make_url

from raysearch.files import write_privately
from raysearch.server.part import Part, Program
from raysearch.server.state import kept_secret
from raysearch.tracking.consumer import server_environment

USER = "raysearch"
_WORKERS = 2
_REMEMBER = 60
"""Seconds for which a worker believes a password that it has checked: a check takes 0.1 s."""
_TIMEOUT = 5.0


@dataclass(frozen=True)
class TrackingServer:
    """Where it listens, the address of the service's database, and where artifacts go."""

    state: Path
    host: str
    port: int
    database: str = field(repr=False)
    artifacts: str

    @property
    def uri(self) -> str:
        """Its address, as processes on this host reach it."""
        return f"http://{reachable(self.host)}:{self.port}"

    @property
    def password(self) -> str:
        """The password of its user, made at the first start."""
        return kept_secret(self.state, "tracking_password")

    def part(self) -> Part:
        """The server as a part of the service."""
        command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth"]
        command += ["--host", self.host, "--port", str(self.port), "--workers", str(_WORKERS)]
        command += ["--artifacts-destination", self.artifacts]
        command += ["--uvicorn-opts=--no-access-log"]
        if self.host not in ("127.0.0.1", "localhost"):
            # It would refuse names of this host that it cannot know. What the list is against, a
            # foreign page that speaks to it from within a browser, has no password.
            command += ["--allowed-hosts", "*"]
        return Part("mlflow", Program(command, self._environment()), self._answers, self.state)

    def _environment(self) -> dict[str, str]:
        """Everything secret: a command line can be read by everybody on the host."""
        settings = self.state / "mlflow-auth.ini"
        write_privately(settings, _settings(databases(self.database)[2]))
        return {
            **server_environment(),
            "PGPASSWORD": str(make_url(self.database).password or os.environ.get("PGPASSWORD", "")),
            "MLFLOW_BACKEND_STORE_URI": bare(databases(self.database)[1]),
            "MLFLOW_AUTH_CONFIG_PATH": str(settings),
            "MLFLOW_AUTH_ADMIN_USERNAME": USER,
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": kept_secret(self.state, "tracking_cookies"),
        }

    def _answers(self) -> str:
        return answers(self.uri, USER, self.password)


def reachable(host: str) -> str:
    """A host that one can connect to, for one that is listened on."""
    return "127.0.0.1" if host in ("0.0.0.0", "", "::") else host


def databases(url: str) -> list[str]:
    """The addresses of three databases: of the events, of MLflow's runs, of MLflow's users."""
    address = make_url(url)
    names = [f"{address.database}{end}" for end in ("", "_mlflow", "_mlflow_users")]
    return [address.set(database=one).render_as_string(hide_password=False) for one in names]


def bare(url: str) -> str:
    """An address without its password, which is given by `PGPASSWORD`: logs show addresses."""
    address = make_url(url)
    return address._replace(password=None).render_as_string(hide_password=False)


def answers(uri: str, user: str, password: str) -> str:
    """Nothing if it answers, knows the password, and its database is there; else what is wrong."""
    response = requests.get(
        f"{uri}/api/2.0/mlflow/experiments/get?experiment_id=0",
        auth=(user, password),
        timeout=_TIMEOUT,
    )
    if response.status_code == 401:
        return f"MLflow refuses the password of {user!r} that secrets.json holds"
    if response.status_code >= 500:
        return f"MLflow answers with status {response.status_code}: {response.text[:200]}"
    return ""


def _settings(url: str) -> str:
    """Other users that are made later may look at everything, and change what they make."""
    return (
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = {bare(url).replace('%', '%%')}\n"
        f"admin_username = {USER}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        f"auth_cache_ttl_seconds = {_REMEMBER}\n"
    )
