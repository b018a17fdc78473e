"""Numbers, times and lists as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any


def number(value: Any) -> str:
    """Four significant digits of a float; anything else as it is; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        text = f"{value:.4g}"
        digits, exponent, power = text.partition("e")
        return f"{digits}e{int(power)}" if exponent else text
    return str(value)


def elapsed(seconds: float) -> str:
    """`48 s`, `12 min 5 s`, `3 h 20 min`, `2 d 4 h`; below ten seconds with a decimal."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, part, small in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            count, rest = whole // size, whole % size // part
            return f"{count} {unit} {rest} {small}" if rest else f"{count} {unit}"
    return f"{whole} s"


def moment(milliseconds: int | None) -> str:
    """`2026-03-14 09:26 UTC` of milliseconds since 1970."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def listed(items: Iterable[Any], most: int = 8) -> str:
    """`3, 7 and 9`; of very many the first, and how many more."""
    texts = [str(item) for item in items]
    if len(texts) > most:
        return f"{', '.join(texts[:most])} and {len(texts) - most} more"
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def share(part: float) -> str:
    """A share in whole percent: `51 %`."""
    return f"{100 * part:.0f} %"


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers with runs drawn together: `0–4, 7`."""
    parts: list[list[int]] = []
    for each in numbers:
        if parts and each == parts[-1][1] + 1:
            parts[-1][1] = each
        else:
            parts.append([each, each])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in parts)
