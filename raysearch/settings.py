"""Where things live: the folder of runs, the store, the tracking server, the packages of sweeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

SWEEPS = ("search_spaces",)
EXPERIMENTS = ("trainables",)


@dataclass(frozen=True)
class Settings:
    """Places, all absolute. By default everything lies under `runs/` of the current folder.

    `store` and `tracking_uri` are database addresses as SQLAlchemy and MLflow read them; `address`
    is a Ray cluster to join (None: one of our own on this machine), whose nodes all see `runs`.
    `tracking_given` says that the user named the tracking address: otherwise a search keeps the one
    it began with.
    """

    runs: Path
    store: str = field(repr=False)  # both may have a password
    tracking_uri: str = field(repr=False)
    address: str | None = None
    tracking_given: bool = False
    sweeps: tuple[str, ...] = SWEEPS
    experiments: tuple[str, ...] = EXPERIMENTS

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
            store=store or f"sqlite:///{folder / 'raysearch.db'}",
            tracking_uri=tracking_uri or f"sqlite:///{folder / 'mlflow.db'}",
            address=address,
            tracking_given=tracking_uri is not None,
        )

    def tracking_of(self, spec: Mapping[str, Any]) -> Settings:
        """These settings with the tracking address of a search, unless the user named another."""
        if self.tracking_given:
            return self
        return replace(self, tracking_uri=str(spec["tracking_uri"]))

    def folder(self, search: str) -> Path:
        """The folder of one search."""
        return self.runs / search
