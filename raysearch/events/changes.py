"""Changes of a search after it began: events, and the specification that they lead to."""

from __future__ import annotations

from dataclasses import replace

from raysearch.events.schema import Extended, Fact, Noted, Recoded, Renamed, Tagged
from raysearch.sweeps.search_spec import CodeState, SearchSpec, read_part


def changed(spec: SearchSpec, fact: Fact) -> SearchSpec:
    """The specification after an event; the same if that is no change of it."""
    match fact:
        case Extended(trials=trials, time=time):
            return replace(spec, trials=trials, time=time)
        case Noted(notes=notes):
            return replace(spec, notes=notes)
        case Tagged(tags=tags, group=group):
            known = {**spec.tags, **tags}
            return replace(
                spec,
                tags={name: value for name, value in known.items() if value is not None},
                group=spec.group if group is None else group,
            )
        case Recoded(code=code):
            return replace(spec, code=read_part(CodeState, code, "code"))
        case Renamed(name=name, folder=folder):
            return replace(spec, search=name, folder=folder)
        case _:
            return spec
