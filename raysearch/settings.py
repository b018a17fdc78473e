"""Settings of a place: the folder of runs, the store, the tracking server, packages of sweeps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from raysearch.passwords import without_password
from raysearch.sqlite_files import absolute, sqlite_address
from raysearch.sweeps.search_spec import SearchSpec

STORE, TRACKING = "raysearch.db", "mlflow.db"
"""The databases of events and of MLflow in a folder of runs."""
SWEEPS = ("search_spaces",)
EXPERIMENTS = ("trainables",)


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
    `tracking_given` says that the user named the tracking address: otherwise a search keeps the one
    it began with, if that was another than the default of its folder. `notify` is whom this command
    notifies.
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
        runs: Path | str = "runs",
        store: str | None = None,
        tracking_uri: str | None = None,
        address: str | None = None,
    ) -> Settings:
        """Settings with everything that is not given under `runs`."""
        folder = Path(runs).absolute()
        return cls(
            runs=folder,
            store=absolute(store) if store else sqlite_address(folder / STORE),
            tracking_uri=absolute(tracking_uri) if tracking_uri else _tracking_in(folder),
            address=address,
            tracking_given=tracking_uri is not None,
        )

    def tracking_of(self, spec: SearchSpec) -> Settings:
        """These settings with the tracking address of a search, unless the user named another."""
        if self.tracking_given or spec.tracking_uri is None:
            return self
        return replace(self, tracking_uri=spec.tracking_uri)

    @property
    def pinned_tracking(self) -> str | None:
        """The tracking address as a search keeps it: None if it is the default of its folder."""
        is_default = self.tracking_uri == _tracking_in(self.runs)
        return None if is_default else without_password(self.tracking_uri)

    def folder(self, search: str) -> Path:
        """The folder of one search."""
        return self.runs / search


def _tracking_in(folder: Path) -> str:
    return sqlite_address(folder / TRACKING)
