"""Metrics in lines that a program writes, found by regular expressions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

_LONGEST = 4000
"""Letters of a line that are looked at."""
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Patterns:
    """Regular expressions whose named groups are metrics; `step` is the step."""

    def __init__(self, expressions: Sequence[str]) -> None:
        self._expressions = [re.compile(each) for each in expressions]

    def read(self, line: str) -> list[tuple[int | None, dict[str, float]]]:
        """What a line says: a step, or None, and metrics; a line that does not match says nothing.

        What is no number is left out.
        """
        if not self._expressions:
            return []
        plain = _COLOUR.sub("", line)[:_LONGEST]
        found: list[tuple[int | None, dict[str, float]]] = []
        for expression in self._expressions:
            for match in expression.finditer(plain):
                numbers: dict[str, float] = {}
                for name, text in match.groupdict().items():
                    with suppress(ValueError):
                        if text is not None:
                            numbers[name] = float(text.strip().rstrip("%.,;").replace(",", ""))
                step = numbers.pop("step", None)
                whole = step is not None and step >= 0 and step == step // 1
                if numbers and (step is None or whole):
                    found.append((None if step is None else int(step), numbers))
        return found
