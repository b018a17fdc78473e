"""Questions about scenes: who reads them and looks at the scene finds the same answers."""

from __future__ import annotations

import functools
import re

import pytest

from trainables.data.questions.words import ANSWERS
from trainables.synthetic.clevr import COLORS, MATERIALS, SHAPES, SIZES, Layout, layout
from trainables.synthetic.clevr_questions import NUM_QUESTIONS, Question, questions

WORDS = {
    "size": {"large": "large", "big": "large", "small": "small", "tiny": "small"},
    "color": {color: color for color in COLORS},
    "material": {
        "rubber": "rubber",
        "matte": "rubber",
        "metal": "metal",
        "metallic": "metal",
        "shiny": "metal",
    },
    "shape": {
        "cube": "cube",
        "block": "cube",
        "sphere": "sphere",
        "ball": "sphere",
        "cylinder": "cylinder",
    },
}
"""What each word says of an object."""
ASKED = {
    r"what size is the (.*)\?": "size",
    r"how big is the (.*)\?": "size",
    r"what color is the (.*)\?": "color",
    r"the (.*) has what color\?": "color",
    r"what is the (.*) made of\?": "material",
    r"what material is the (.*)\?": "material",
    r"what shape is the (.*)\?": "shape",
    r"there is a (.*); what shape is it\?": "shape",
}


@functools.cache
def scene(index: int) -> Layout:
    return layout("clevr", 0, index, height=32, ratio=3 / 2)


def objects(made: Layout) -> list[dict[str, str]]:
    """The properties of each object, in words."""
    named = {"size": SIZES, "color": list(COLORS), "material": MATERIALS, "shape": SHAPES}
    return [
        {name: values[getattr(made, name)[each]] for name, values in named.items()}
        for each in range(len(made.size))
    ]


def meant(phrase: str, made: Layout) -> list[dict[str, str]]:
    """The objects to which all words of a phrase apply."""
    found = objects(made)
    for word in phrase.split():
        plain = word.removesuffix("s")
        known = [(name, said[plain]) for name, said in WORDS.items() if plain in said]
        assert known or plain in ("thing", "object"), f"{word} is no word of CLEVR"
        for name, value in known:
            found = [each for each in found if each[name] == value]
    return found


def answered(question: str, made: Layout) -> str:
    text = question.lower()
    if counted := re.fullmatch(r"(?:how many|what number of) (.*) are there\?", text):
        return str(len(meant(counted[1], made)))
    if existing := re.fullmatch(r"(?:are there any|is there a) (.*)\?", text):
        return "yes" if meant(existing[1], made) else "no"
    [(match, name)] = [
        (match, name) for form, name in ASKED.items() if (match := re.fullmatch(form, text))
    ]
    [only] = meant(match[1], made)
    return only[name]


@pytest.mark.parametrize("index", range(12))
def test_each_answer_follows_from_the_scene(index: int) -> None:
    made = scene(index)
    found = questions(made)
    assert [answered(each.text, made) for each in found] == [each.answer for each in found]
    assert len({each.text for each in found}) == len(found) == NUM_QUESTIONS


def test_all_kinds_of_questions_are_asked_and_both_answers_given() -> None:
    found: list[Question] = [each for index in range(12) for each in questions(scene(index))]
    assert {each.family for each in found} == set(range(6))
    answers = {each.answer for each in found}
    assert {"yes", "no", "0", "1", "2"} < answers <= set(ANSWERS)


def test_questions_are_a_function_of_the_scene() -> None:
    again = layout("clevr", 0, 3, height=32, ratio=3 / 2)
    assert questions(again) == questions(scene(3)) != questions(scene(4))
