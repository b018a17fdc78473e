"""Errors about names that are not on offer, with the nearest ones."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LEAST = 0.6
"""Share of letters that must agree: below it names are told that have little in common."""
_LONGEST = 200
"""Characters that are compared: it takes the square of their number."""


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'X'?` for the most similar of the names, or nothing."""
    short = {known[:_LONGEST]: known for known in names}
    found = [short[near] for near in get_close_matches(name[:_LONGEST], list(short), 1, _LEAST)]
    return f"; did you mean {found[0]!r}?" if found else ""


def on_offer(name: str, names: Iterable[str], most: int = 12) -> str:
    """The nearest name if there is one, otherwise what there is."""
    known = sorted(set(names))
    similar = nearest(name, known)
    if similar:
        return similar
    if not known:
        return "; there is none"
    return f"; there are {listed(known, most)}"


def listed(names: Iterable[str], most: int = 12) -> str:
    """`a, b, c and 4 more`."""
    known = list(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more
