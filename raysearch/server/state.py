"""The state of a running service for all on the head: its addresses, passwords and parts."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from raysearch.errors import UnknownName
from raysearch.files import write_privately

PORT = 8267
"""Where the service listens unless `--port` says otherwise."""
_FILE, _SECRETS = "service.json", "secrets.json"


@dataclass(frozen=True)
class ServiceState:
    """A running service; `store` and `tracking_password` are secrets of the head.

    `ray_address` and `dashboard` are empty for a head without Ray. `parts` has for each part its
    state (`starting`, `up`, `down`), the process, how often it was started again, and why.
    """

    pid: int
    address: str
    runs: str
    store: str = field(repr=False)
    tracking_uri: str
    tracking_user: str
    tracking_password: str = field(repr=False)
    ray_address: str = ""
    dashboard: str = ""
    parts: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def read(cls, state: Path) -> ServiceState:
        """The service of a folder of state.

        Raises:
            LookupError: there is none, or its process is gone.
        """
        try:
            content = json.loads((state / _FILE).read_text())
        except FileNotFoundError:
            raise UnknownName(
                f"no service runs on {state}: start one by `raysearch serve --state {state}`"
            ) from None
        found = cls(**{one.name: content[one.name] for one in fields(cls)})
        if not _is_alive(found.pid):
            raise UnknownName(
                f"the service of {state} (process {found.pid}) is gone: start it again by "
                f"`raysearch serve --state {state}`"
            )
        return found

    def write(self, state: Path) -> None:
        """Writes it for the owner's eyes alone; a reader sees the old one or the new one, whole."""
        write_privately(state / _FILE, json.dumps(asdict(self), indent=2) + "\n")

    def use_token(self) -> None:
        """Has Ray asked with our token in this process, unless the service was begun without.

        That is said in `options`: neither Ray's own default nor what is exported here decides.
        """
        os.environ["RAY_AUTH_MODE"] = "token" if self.options.get("ray_token", True) else "disabled"

    @staticmethod
    def remove(state: Path) -> None:
        """The service has ended."""
        (state / _FILE).unlink(missing_ok=True)


def default_state() -> Path:
    """Where the state lies unless `--state` or `RAYSEARCH_STATE` says otherwise."""
    return Path(os.environ.get("RAYSEARCH_STATE") or Path.home() / ".raysearch").absolute()


def token() -> str:
    """The one secret of Ray and of the service, found as Ray finds it.

    Raises:
        LookupError: there is none; says how to make one.
    """
    if given := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return given
    path = token_file()
    found = path.read_text(errors="replace").strip() if path.is_file() else ""
    if not found:
        raise UnknownName(
            f"there is no token in {path}: copy that file from the head, or make one on the head "
            f"by `ray get-auth-token --generate`"
        )
    return found


def token_file() -> Path:
    """The file that Ray reads its token from, there or not."""
    given = os.environ.get("RAY_AUTH_TOKEN_PATH", "").strip()
    return Path(given) if given else Path.home() / ".ray" / "auth_token"


def ensure_token() -> str:
    """The token, made if there is none, as `ray get-auth-token --generate` makes one."""
    try:
        return token()
    except UnknownName:
        made, path = secrets.token_hex(32), token_file()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_privately(path, made)
        return made


def kept_secret(state: Path, name: str) -> str:
    """A secret of this service, made at its first use: letters and digits that fit any address."""
    return str(_kept(state, name, lambda: secrets.token_hex(24)))


def kept_number(state: Path, name: str, make: Callable[[], int]) -> int:
    """A number that stays as it was made at its first use, such as a port."""
    return int(_kept(state, name, make))


def _kept(state: Path, name: str, make: Callable[[], str | int]) -> str | int:
    path = state / _SECRETS
    known: dict[str, str | int] = json.loads(path.read_text()) if path.exists() else {}
    if name not in known:
        known[name] = make()
        write_privately(path, json.dumps(known, indent=2) + "\n")
    return known[name]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
