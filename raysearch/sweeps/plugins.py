"""Parts that other packages add: named by their entry points, or by `module:attribute`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from raysearch.errors import UnknownName, foreign
from raysearch.sweeps.exits import staying
from raysearch.sweeps.importing import import_module
from raysearch.sweeps.nearest import listed, nearest

TRACKERS, PRUNERS, SAMPLERS, DATA_SETS = (
    "raysearch.trackers",
    "raysearch.pruners",
    "raysearch.samplers",
    "raysearch.data_sets",
)
"""The groups of entry points, as an installed package states them."""
_WORDS = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
REFERENCE = re.compile(rf"({_WORDS}:{_WORDS})(?::(.*))?", re.DOTALL)
"""`module:attribute`, and what may follow it behind a further colon."""


def is_reference(name: str) -> bool:
    """Whether a name has the form `module:attribute`."""
    match = REFERENCE.fullmatch(name)
    return match is not None and match[2] is None


def modules_in(*texts: str) -> list[str]:
    """The modules of the references in texts such as `median+mine:Pruner:after=2` and `a:B,c`."""
    parts = [part for text in texts for part in re.split(r"[,+]", text)]
    found = [REFERENCE.fullmatch(part.strip()) for part in parts]
    return [match[1].partition(":")[0] for match in found if match is not None]


def entries(group: str) -> dict[str, EntryPoint]:
    """What installed packages add, by name; of two with one name the first on the search path."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        found.setdefault(entry.name, entry)
    return found


def plugin(group: str, what: str, name: str, own: Iterable[str] = ()) -> Any:
    """What an entry point or a `module:attribute` names; a module of the current folder too.

    Args:
        group: one of the groups above.
        what: what it is, as an error begins: `--track`.
        name: its name.
        own: the names that raysearch itself has, to be listed with the others.

    Raises:
        LookupError: there is none; lists what is on offer. BadSetting: it cannot be imported.
    """
    there = entries(group)
    if name in there:
        with foreign(f"entry point {name!r} of {group}"), staying():
            return there[name].load()
    if not is_reference(name):
        offered = [*own, *there]
        raise UnknownName(
            f"{what} must be {listed(offered, len(offered))} or a module:attribute, got {name!r}"
            f"{nearest(name, offered)}"
        )
    module, _, attribute = name.partition(":")
    found: Any = import_module(module, f"{what} {name!r}")
    for part in attribute.split("."):
        if not hasattr(found, part):
            offered = [one for one in vars(found) if not one.startswith("_")]
            raise UnknownName(
                f"{what} must name what is there, and {module!r} has no {attribute!r}"
                f"{nearest(attribute, offered)}"
            )
        found = getattr(found, part)
    return found
