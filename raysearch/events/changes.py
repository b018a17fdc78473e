"""What may be said of a search after it began, and how that changes its specification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _extended(spec: dict[str, Any], body: Mapping[str, Any]) -> None:
    spec["trials"] = body["trials"]
    spec["time"] = body.get("time")


def _noted(spec: dict[str, Any], body: Mapping[str, Any]) -> None:
    spec["notes"] = body["notes"]


def _tagged(spec: dict[str, Any], body: Mapping[str, Any]) -> None:
    tags = {**spec["tags"], **body["tags"]}
    spec["tags"] = {name: value for name, value in tags.items() if value is not None}
    if body.get("group") is not None:
        spec["group"] = body["group"]


CHANGES = {"extended": _extended, "noted": _noted, "tagged": _tagged, "recoded": dict.update}
"""What may be said of a search after it began: such an event changes its specification."""
