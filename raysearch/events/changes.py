"""Changes of a search after it began: events, and the specification that they lead to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from raysearch.sweeps.search_spec import CodeState, SearchSpec, read_part

Body = Mapping[str, Any]


def _extended(spec: SearchSpec, body: Body) -> SearchSpec:
    return replace(spec, trials=body["trials"], time=body.get("time"))


def _noted(spec: SearchSpec, body: Body) -> SearchSpec:
    return replace(spec, notes=body["notes"])


def _tagged(spec: SearchSpec, body: Body) -> SearchSpec:
    tags = {**spec.tags, **body["tags"]}
    group = body.get("group")
    return replace(
        spec,
        tags={name: value for name, value in tags.items() if value is not None},
        group=spec.group if group is None else group,
    )


def _recoded(spec: SearchSpec, body: Body) -> SearchSpec:
    return replace(spec, code=read_part(CodeState, body["code"], "code"))


CHANGES: Mapping[str, Callable[[SearchSpec, Body], SearchSpec]] = {
    "extended": _extended,
    "noted": _noted,
    "tagged": _tagged,
    "recoded": _recoded,
}
"""What may be said of a search after it began: such an event changes its specification."""
