"""Metrics in lines that a program writes, found by regular expressions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

_LONGEST = 4000
"""Letters of a line that are looked at."""
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


_GROUPED = re.compile(r"([-+]?[1-9]\d{0,2})((?:,\d{3})+)(\.\d*)?([eE][-+]?\d+)?")
"""A number with a comma before each three digits, as 1,024."""


class Patterns:
    """Regular expressions whose named groups are metrics; `step` is the step.

    Attributes:
        notes: what is to be said of lines that matched: once, that a text is no number.
    """

    def __init__(self, expressions: Sequence[str]) -> None:
        self._expressions = [re.compile(each) for each in expressions]
        self.notes, self._is_noted = list[str](), False

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
                    if text is not None and (value := self._number(name, text)) is not None:
                        numbers[name] = value
                step = numbers.pop("step", None)
                whole = step is not None and step >= 0 and step == step // 1
                if numbers and (step is None or whole):
                    found.append((None if step is None else int(step), numbers))
        return found

    def _number(self, name: str, text: str) -> float | None:
        """A group as a number; of a comma that may be that of decimals, none."""
        plain = text.strip().rstrip("%.,;")
        if _GROUPED.fullmatch(plain):
            plain = plain.replace(",", "")
        with suppress(ValueError):
            return float(plain)
        if "," in plain and not self._is_noted:
            self._is_noted = True
            self.notes.append(
                f"--read found {text.strip()[:40]!r} as {name}, which is left out, as all that are "
                f"no number: decimals are written with a point, and a comma stands before each "
                f"three digits, as in 1,024"
            )
        return None
