"""Names as MLflow takes them: one of ours each, and two are never one."""

from __future__ import annotations

import hashlib
import re

_REFUSED = re.compile(r"[^\w\-. /:]+")
"""What no name of a metric, parameter or tag may hold (`mlflow.utils.validation`)."""
_REFUSED_IN_PATHS = re.compile(r"[^\w\-. /()+,=@\[\]]+")
"""What is escaped in the path of an artifact: a server decodes `%`, and refuses `#`."""
_OWN = re.compile(r"_(?=0x)")
_STROKES = re.compile(r"(?<![^/])/+|/+\Z|(?<=/)/+|(?<![^/])\.{1,2}(?![^/])|\A\.\.")
"""What another path may say too: strokes at an end or doubled, `.` and `..`; and two first dots."""
_LONGEST = 250
_HASHED = 16


def key(name: str) -> str:
    """The name of a metric, parameter or tag in MLflow.

    Most stay as they are. What MLflow refuses is written as `_0x…_`, the hexadecimal numbers of the
    characters: `val/AR@100` is `val/AR_0x40_100`, and the empty name `_0x_`. So that no two names
    become one, `_0x` itself is `_0x5f_0x`. A name of more than 250 characters is cut, and ends in a
    hash of the whole.
    """
    return _fitted(_escaped(name, _REFUSED), name)


def artifact_path(name: str) -> str:
    """The path of an artifact in MLflow, by the same rules; it never leads out of its run."""
    return _escaped(name, _REFUSED_IN_PATHS)


def _escaped(name: str, refused: re.Pattern[str]) -> str:
    if not name:
        return "_0x_"
    if refused.search(name) is None and "_0x" not in name and _STROKES.search(name) is None:
        return name
    marked = {index for match in _OWN.finditer(name) for index in range(*match.span())}
    for pattern in (refused, _STROKES):
        marked |= {index for match in pattern.finditer(name) for index in range(*match.span())}
    parts: list[str] = []
    index = 0
    while index < len(name):
        end = index
        while end in marked:
            end += 1
        if end > index:
            parts.append(f"_0x{'-'.join(f'{ord(letter):x}' for letter in name[index:end])}_")
        else:
            parts.append(name[index])
            end += 1
        index = end
    return "".join(parts)


def _fitted(escaped: str, name: str) -> str:
    if len(escaped) <= _LONGEST:
        return escaped
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:_HASHED]
    return f"{escaped[: _LONGEST - _HASHED - 4]}_0x.{digest}"
