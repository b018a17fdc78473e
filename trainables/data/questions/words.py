"""The words of questions and the answers as numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

ANSWERS = (
    *(str(number) for number in range(11)),
    *("no", "yes"),
    *("blue", "brown", "cyan", "gray", "green", "purple", "red", "yellow"),
    *("cylinder", "cube", "sphere"),
    *("large", "small"),
    *("metal", "rubber"),
)
"""All answers of CLEVR, by number."""
NO_ANSWER = 255
"""Stands for the answer that is not known, such as of CLEVR's test."""
PADDING, UNKNOWN = 0, 1
"""Numbers of no word, and of one that the training questions do not have."""
_FIRST = 2
_WORD = re.compile(r"\w+|[^\w\s]")


def answer_number(answer: str | None) -> int:
    """The number of an answer; `NO_ANSWER` of None. Raises ValueError if there is no such one."""
    if answer is None:
        return NO_ANSWER
    if answer not in ANSWERS:
        raise ValueError(f"answer must be one of {', '.join(ANSWERS)}, got {answer!r}")
    return ANSWERS.index(answer)


def words_of(question: str) -> list[str]:
    """Its words and marks in small letters: *Is it red?* has the four `is`, `it`, `red`, `?`."""
    return _WORD.findall(question.lower())


class Vocabulary:
    """Numbers of words, from 2 in their alphabetical order."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(sorted(set(words)))
        self._numbers = {word: number for number, word in enumerate(self.words, _FIRST)}

    def __len__(self) -> int:
        """How many numbers there are, those of no word and of an unknown one among them."""
        return _FIRST + len(self.words)

    def numbers(self, question: str) -> list[int]:
        """A number for each word."""
        return [self._numbers.get(word, UNKNOWN) for word in words_of(question)]

    def text(self, numbers: Sequence[int]) -> str:
        """The words of numbers with spaces between them; `[UNK]` for unknown ones, as in BERT."""
        named = {PADDING: "", UNKNOWN: "[UNK]"}
        found = (named[n] if n < _FIRST else self.words[n - _FIRST] for n in numbers)
        return " ".join(word for word in found if word)
