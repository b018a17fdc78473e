"""Python as ruff lays it out: calls broken where ruff would break them, texts, comments."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 100
INDENT = "    "
Argument = str | list[str] | tuple[str, list[str], str]
"""An argument as text, the elements of a list, or elements between a beginning and an end."""


def broken(
    begin: str, arguments: Sequence[Argument], end: str, depth: int, *, whole: bool = True
) -> list[str]:
    """On one line if that fits, else all of them on one line inside, else each on its own.

    `whole` False: each on its own, as with a comment among them.
    """
    flat = [_flat(each) for each in arguments]
    line = ", ".join(flat)
    if whole and len(begin) + len(line) + len(end) <= WIDTH:
        return [f"{begin}{line}{end}"]
    inside = INDENT * (depth + 1)
    if whole and len(inside) + len(line) <= WIDTH:
        return [f"{begin}", f"{inside}{line}", f"{INDENT * depth}{end}"]
    lines: list[str] = []
    for each, shown in zip(arguments, flat, strict=True):
        if isinstance(each, str) or len(inside) + len(shown) < WIDTH:
            lines.append(f"{inside}{shown},")
            continue
        first, elements, last = each if isinstance(each, tuple) else ("[", each, "]")
        # Elements in brackets of their own stand one a line, if not all in the line of these.
        lines += broken(f"{inside}{first}", elements, f"{last},", depth + 1, whole=False)
    return [begin, *lines, f"{INDENT * depth}{end}"]


def _flat(argument: Argument) -> str:
    if isinstance(argument, str):
        return argument
    first, elements, last = argument if isinstance(argument, tuple) else ("[", argument, "]")
    return f"{first}{', '.join(elements)}{last}"


def comment(words: str, indent: str) -> list[str]:
    """A comment of as many lines as it takes."""
    wide = textwrap.wrap(words, WIDTH - len(indent) - 2, break_on_hyphens=False)
    return [f"{indent}# {line}" for line in wide]


def written(value: object) -> str:
    """A plain value as Python writes it, texts in double quotes."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        pairs = [f"{written(key)}: {written(each)}" for key, each in value.items()]
        return f"{{{', '.join(pairs)}}}"
    return repr(value)


def quoted(text: str) -> str:
    """A text in double quotes, unless single ones need fewer escapes."""
    body = repr(f"{text}'\"")[1:-4]  # with both in it, repr takes single ones and escapes them
    if text.count('"') > text.count("'"):
        return f"'{body}'"
    body = body.replace("\\'", "'").replace('"', '\\"')
    return f'"{body}"'
