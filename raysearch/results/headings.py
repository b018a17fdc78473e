"""Long names cut to headings that still differ."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from os.path import commonprefix

from raysearch.texts import CELL, cut, visible

_WORD = re.compile(r"[^/._\- ]+[/._\- ]*|[/._\- ]+")
_MARK = "…"


def headings(names: Sequence[str], most: int = CELL) -> list[str]:
    """Names of at most `most` letters, in their order; no two that differ become the same.

    Of longer names that are cut alike, what they share is left out and a word on each side kept:
    `block_number_0_learning_rate` and `block_number_1_learning_rate` become `…number_0_learning_…`
    and `…number_1_learning_…`. What would still be the same is not cut.
    """
    whole = list(dict.fromkeys(map(visible, names)))
    found = {name: cut(name, most) for name in whole}
    for alike in _alike(found):
        found |= dict(zip(alike, _apart(alike, most), strict=True))
    for alike in _alike(found):
        found |= {name: name for name in alike}
    return [found[visible(name)] for name in names]


def _alike(found: dict[str, str]) -> list[list[str]]:
    counts = Counter(found.values())
    same = [text for text, count in counts.items() if count > 1]
    return [[name for name, text in found.items() if text == each] for each in same]


def _apart(names: Sequence[str], most: int) -> list[str]:
    """What differs of names, with the words before and behind it."""
    words = [_WORD.findall(name) for name in names]
    begin = len(commonprefix(words))
    rest = [own[begin:] for own in words]
    end = len(commonprefix([own[::-1] for own in rest]))
    return [_around(own, begin, len(own) - end, most) for own in words]


def _around(words: Sequence[str], begin: int, end: int, most: int) -> str:
    first, last = max(begin - 1, 0), min(end + 1, len(words))
    middle = "".join(words[first:last])
    before, behind = _MARK if first > 0 else "", _MARK if last < len(words) else ""
    return before + cut(middle, max(most - len(before + behind), 3)) + behind
