"""Words and answers have the numbers that they should have."""

from __future__ import annotations

import pytest

from trainables.data.questions.words import (
    ANSWERS,
    NO_ANSWER,
    UNKNOWN,
    Vocabulary,
    answer_number,
    words_of,
)


def test_the_answers_are_the_28_in_their_order() -> None:
    said = "0 1 2 3 4 5 6 7 8 9 10 no yes blue brown cyan gray green purple red yellow cylinder "
    assert " ".join(ANSWERS) == f"{said}cube sphere large small metal rubber" and len(ANSWERS) == 28
    assert answer_number("10") == 10 and answer_number("rubber") == 27
    assert answer_number(None) == NO_ANSWER == 255
    with pytest.raises(ValueError, match="answer must be one of 0, 1, .*, rubber, got 'wood'"):
        answer_number("wood")


def test_marks_are_words_and_capitals_are_not_told_apart() -> None:
    asked = "There is a Tiny thing; is it red?"
    assert words_of(asked) == ["there", "is", "a", "tiny", "thing", ";", "is", "it", "red", "?"]


def test_words_are_numbered_from_2_in_alphabetical_order() -> None:
    vocabulary = Vocabulary(["red", "is", "?", "red", "it"])
    assert vocabulary.words == ("?", "is", "it", "red") and len(vocabulary) == 6
    assert vocabulary.numbers("Is it blue?") == [3, 4, UNKNOWN, 2]
    assert vocabulary.text([0, 3, 4, UNKNOWN, 2, 0]) == "is it [UNK] ?"
