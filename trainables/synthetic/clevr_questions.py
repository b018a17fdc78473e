"""Questions about made scenes of CLEVR, in its words, with answers that follow from the scenes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from trainables.synthetic.clevr import COLORS, MATERIALS, SHAPES, SIZES, Layout
from trainables.synthetic.draws import draws

NUM_QUESTIONS = 10
"""Of a scene; fewer if so many different ones are not found soon."""

_TRIES = 60
_NAMES: dict[str, tuple[str, ...]] = {
    "size": SIZES,
    "color": tuple(COLORS),
    "material": MATERIALS,
    "shape": SHAPES,
}
"""Properties in the order in which they are said, and their values by number."""
_SAID = {
    "large": ("large", "big"),
    "small": ("small", "tiny"),
    "rubber": ("rubber", "matte"),
    "metal": ("metal", "metallic", "shiny"),
    "sphere": ("sphere", "ball"),
    "cube": ("cube", "block"),
    "cylinder": ("cylinder",),
}
"""The words for a value, if there is any other; CLEVR's."""
_ANYTHING = ("thing", "object")
_ASKED = {
    "size": ("What size is the {}?", "How big is the {}?"),
    "color": ("What color is the {}?", "The {} has what color?"),
    "material": ("What is the {} made of?", "What material is the {}?"),
    "shape": ("What shape is the {}?", "There is a {}; what shape is it?"),
}
_COUNTED = ("How many {} are there?", "What number of {} are there?")
_EXISTING = ("Are there any {}?", "Is there a {}?")


class Question(NamedTuple):
    """What is asked, and one of CLEVR's 28 answers to it; `family` is the kind of question."""

    text: str
    answer: str
    family: int


class Filter(NamedTuple):
    """Values of some properties, by number."""

    values: dict[str, int]

    def found(self, scene: Layout) -> list[int]:
        """The objects that have them all."""
        each = range(len(scene.size))
        return [n for n in each if all(getattr(scene, p)[n] == v for p, v in self.values.items())]


def questions(scene: Layout) -> list[Question]:
    """Different questions about a scene, of which they are a function: how many, whether, which.

    Each asks for objects with some values of the four properties: how many there are, whether
    there is any, or which value of a property the only one has. As often as not the values are
    those of an object that is there. CLEVR's own questions go further: they relate objects.
    """
    random = draws("clevr_questions", zlib.crc32(scene.places.tobytes()))
    found: dict[str, Question] = {}
    for _ in range(_TRIES):
        if len(found) == NUM_QUESTIONS:
            break
        question = _question(random, scene)
        if question is not None:
            found.setdefault(question.text, question)
    return list(found.values())


def _question(random: np.random.Generator, scene: Layout) -> Question | None:
    """A question; None if it would ask for the only one and there is none, or are several."""
    family = int(random.integers(2 + len(_NAMES)))
    if family >= 2:
        asked = list(_NAMES)[family - 2]
        wanted = _filter(random, scene, [name for name in _NAMES if name != asked], there=True)
        only = wanted.found(scene)
        if len(only) != 1:
            return None
        text = _chosen(random, _ASKED[asked]).format(_said(random, wanted, plural=False))
        return Question(text, _NAMES[asked][int(getattr(scene, asked)[only[0]])], family)
    wanted = _filter(random, scene, list(_NAMES), there=bool(random.integers(2)))
    count = len(wanted.found(scene))
    if family == 0:
        text = _chosen(random, _COUNTED).format(_said(random, wanted, plural=True))
        return Question(text, str(count), family)
    form = int(random.integers(len(_EXISTING)))
    text = _EXISTING[form].format(_said(random, wanted, plural=form == 0))
    return Question(text, "yes" if count else "no", family)


def _filter(
    random: np.random.Generator, scene: Layout, properties: Sequence[str], *, there: bool
) -> Filter:
    """Values of one or more properties: those of an object of the scene, or any."""
    number = int(random.integers(1, len(properties) + 1))
    chosen: list[int] = sorted(random.choice(len(properties), number, replace=False).tolist())
    some = int(random.integers(len(scene.size)))
    values = {
        name: int(getattr(scene, name)[some]) if there else int(random.integers(len(_NAMES[name])))
        for name in (properties[place] for place in chosen)
    }
    return Filter(values)


def _said(random: np.random.Generator, wanted: Filter, *, plural: bool) -> str:
    """In words, such as *tiny red metal blocks*."""
    words = [
        _chosen(random, _SAID.get(value, (value,)))
        for value in (_NAMES[name][wanted.values[name]] for name in _NAMES if name in wanted.values)
    ]
    if "shape" not in wanted.values:
        words.append(_chosen(random, _ANYTHING))
    return " ".join(words) + ("s" if plural else "")


def _chosen(random: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(random.integers(len(options)))]
