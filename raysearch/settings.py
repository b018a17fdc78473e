"""Settings of a place: the folder of runs, the store, the tracking server, packages of sweeps.

An option goes before the environment, that before the file `raysearch.toml`, that before a default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from raysearch.errors import BadSetting
from raysearch.passwords import without_password
from raysearch.sqlite_files import absolute, sqlite_address
from raysearch.sweeps.nearest import nearest
from raysearch.sweeps.search_spec import SearchSpec

STORE, TRACKING = "raysearch.db", "mlflow.db"
"""The databases of events and of MLflow in a folder of runs."""
SWEEPS = ("search_spaces",)
EXPERIMENTS = ("trainables",)
RUNS, FILE = "runs", "raysearch.toml"
"""The folder of runs where nothing says another, and the file that may, here or above."""
KEYS: Mapping[str, str] = {
    "runs": "RAYSEARCH_RUNS",
    "store": "RAYSEARCH_STORE",
    "tracking_uri": "RAYSEARCH_TRACKING_URI",
}
"""Keys of the file, and the variables of the environment that mean the same."""


@dataclass(frozen=True)
class Channels:
    """Whom a search that runs notifies; both may have secrets in them, and are kept nowhere.

    `addresses` are those of apprise, `command` is run by the shell; empty: none.
    """

    addresses: tuple[str, ...] = field(default=(), repr=False)
    command: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """Places, all absolute. By default everything lies under `runs/` of the current folder.

    A folder of runs may be moved or copied: what lies in it by default is found from where it is.

    `store` and `tracking_uri` are database addresses as SQLAlchemy and MLflow read them; `address`
    is a Ray cluster to join (None: one of our own on this machine), whose nodes all see `runs`.
    `tracking_given` says that the user named the tracking address as an option: otherwise a search
    keeps the one it began with. `notify` is whom this command notifies.
    """

    runs: Path
    store: str = field(repr=False)  # both may have a password
    tracking_uri: str = field(repr=False)
    address: str | None = None
    tracking_given: bool = False
    sweeps: tuple[str, ...] = SWEEPS
    experiments: tuple[str, ...] = EXPERIMENTS
    notify: Channels | None = field(default=None, repr=False)

    @classmethod
    def locate(
        cls,
        runs: Path | str | None = None,
        store: str | None = None,
        tracking_uri: str | None = None,
        address: str | None = None,
    ) -> Settings:
        """Settings with what is given, else what environment or file say, else under `runs`.

        Raises:
            BadSetting: the file has another key, or a value that is no text.
        """
        is_all_given = None not in (runs, store, tracking_uri)
        values = {} if is_all_given else places_of(Path.cwd(), os.environ)
        folder = Path(runs or values.get("runs") or RUNS).absolute()
        tracking = tracking_uri or values.get("tracking_uri")
        database = store or values.get("store")
        return cls(
            runs=folder,
            store=absolute(database) if database else sqlite_address(folder / STORE),
            tracking_uri=absolute(tracking) if tracking else _tracking_in(folder),
            address=address,
            tracking_given=tracking_uri is not None,
        )

    def tracking_of(self, spec: SearchSpec) -> Settings:
        """These settings with the tracking address of a search, unless the user named another."""
        is_the_same = spec.tracking_uri == without_password(self.tracking_uri)
        if self.tracking_given or is_the_same:  # with its password, which no event has
            return self
        return replace(self, tracking_uri=spec.tracking_uri or _tracking_in(self.runs))

    @property
    def pinned_tracking(self) -> str | None:
        """The tracking address as a search keeps it: None if it is the default of its folder."""
        is_default = self.tracking_uri == _tracking_in(self.runs)
        return None if is_default else without_password(self.tracking_uri)

    def folder(self, search: str) -> Path:
        """The folder of one search."""
        return self.runs / search


def places_of(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """What the environment says, and else the file `raysearch.toml` in a folder or above it.

    Relative paths of the file are meant from where it lies.

    Raises:
        BadSetting: the file is no TOML, has another key, or a value that is no text.
    """
    file = next((up / FILE for up in (folder, *folder.parents) if (up / FILE).is_file()), None)
    values = {} if file is None else _read(file)
    return values | {key: environment[name] for key, name in KEYS.items() if environment.get(name)}


def _read(file: Path) -> dict[str, str]:
    try:
        found = tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise BadSetting(f"{file} must be TOML that can be read: {error}") from None
    for key, value in found.items():
        if key not in KEYS:
            allowed = f"{nearest(key, KEYS)}; allowed are {', '.join(KEYS)}"
            raise BadSetting(f"{file}: there is no key {key!r}{allowed}")
        if not isinstance(value, str) or not value:
            raise BadSetting(f"{file}: {key} must be a text in quotes, got {value!r}")
    if "runs" in found:
        found["runs"] = str(file.parent / Path(found["runs"]).expanduser())
    for key in ("store", "tracking_uri"):
        if key in found:
            found[key] = absolute(found[key], file.parent)
    return found


def _tracking_in(folder: Path) -> str:
    return sqlite_address(folder / TRACKING)
