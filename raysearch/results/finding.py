"""One thing that disagrees among what is recorded of a search."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One disagreement: which trial (None: the search), where, and what."""

    trial: int | None
    where: str
    what: str

    def __str__(self) -> str:
        """As `raysearch check` prints it."""
        whose = "search" if self.trial is None else f"trial {self.trial}"
        return f"{whose}: {self.where}: {self.what}"
