"""What events say, by the name of their kind."""

from __future__ import annotations

from typing import Any

from raysearch.events.reading import FORMS, fact_of
from raysearch.events.schema import Fact

_ANY: dict[type, Any] = {type(None): None, int: 1, str: "", dict: {}, bool: True}


def fact(kind: str, /, **body: Any) -> Fact:
    """As it would be read."""
    return fact_of(kind, dict(body))


def some(kind: str, /, **body: Any) -> Fact:
    """One of a kind, where it does not matter what else it says."""
    form = FORMS.get(kind)
    needed = {name: form.types[name] for name in form.needed} if form is not None else {}
    anything = {
        name: each.known[0] if each.known else next(_ANY[one] for one in _ANY if one in each.types)
        for name, each in needed.items()
    }
    return fact(kind, **{**anything, **body})
