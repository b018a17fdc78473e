"""Pruners and samplers of other packages: entry points, or `module:attribute`, with arguments."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from raysearch.errors import BadSetting, foreign
from raysearch.sweeps.arguments import parse
from raysearch.sweeps.nearest import nearest
from raysearch.sweeps.plugins import REFERENCE, entries, plugin
from raysearch.texts import article

Make = Callable[..., Any]


def is_own(text: str, known: Mapping[str, object], group: str) -> bool:
    """Whether `name`, `name:argument=value` or `module:attribute` names a part of other packages.

    What raysearch itself has under a name goes before.
    """
    name = text.partition(":")[0].strip()
    if name in known:
        return False
    return REFERENCE.fullmatch(text.strip()) is not None or name in entries(group)


def own_part(
    what: str, text: str, group: str, known: Mapping[str, object], given: tuple[str, ...] = ()
) -> tuple[Make, dict[str, Any]]:
    """What makes a pruner or a sampler, and the arguments that it is made with.

    Values of arguments are JSON, else words, as in `mine.pruning:Late:after=3`.

    Args:
        what: `pruner` or `sampler`.
        text: as it was named.
        group: the entry points of it.
        known: the names that raysearch itself has.
        given: names of arguments that it is given besides, which it must take.

    Raises:
        LookupError: nothing has that name. BadSetting: it cannot be made with these arguments.
    """
    match = REFERENCE.fullmatch(text.strip())
    name, rest = (match[1], match[2] or "") if match else _split(text)
    make = plugin(group, what, name, known)
    arguments = {key: _value(word) for key, word in parse(f"x:{rest}" if rest else "x")[1].items()}
    if not callable(make):
        raise BadSetting(
            f"{what} {name!r} must be what makes one, got {article(type(make).__name__)}"
        )
    takes = _taken(make)
    for key in (*arguments, *given):
        if takes is not None and key not in takes:
            offered = [each for each in takes if each not in given]
            raise BadSetting(
                f"{what} {name!r} takes {', '.join(offered) or 'no arguments'}, got {key!r}"
                f"{nearest(key, offered)}"
            )
    return make, arguments


def made(what: str, text: str, make: Make, arguments: Mapping[str, Any], kind: type) -> Any:
    """What `make` returns. Raises BadSetting if it raises, or makes something else."""
    with foreign(f"{what} {text!r}"):
        found = make(**arguments)
    if not isinstance(found, kind):
        raise BadSetting(
            f"{what} {text!r} must make a {kind.__name__} of {kind.__module__.partition('.')[0]}, "
            f"got {article(type(found).__name__)}"
        )
    return found


def _split(text: str) -> tuple[str, str]:
    name, _, rest = text.partition(":")
    return name.strip(), rest


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word


def _taken(make: Make) -> list[str] | None:
    """The names of arguments that it takes; None: any, or nobody knows."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return None
    return [each.name for each in parameters if each.kind is not each.VAR_POSITIONAL]
