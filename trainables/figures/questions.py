"""Some pictures with what is asked of them, and how often each answer is right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainables.data.questions.catalog import QuestionSet
from trainables.data.questions.store import Questions, QuestionStore, open_questions
from trainables.data.questions.words import ANSWERS, NO_ANSWER
from trainables.figures.data_sets import Sample, chosen_store, of_split
from trainables.figures.pictures import Page, cell_size, save, shown, table


def show_questions(
    data_set: QuestionSet,
    root: Path | None,
    *,
    split: str,
    count: int,
    store: str | None,
    into: Path,
) -> Sample:
    """Of prepared questions: `count` pictures, a row for each of their questions, and numbers.

    Raises:
        LookupError: nothing was prepared, or not that. ValueError: no such split, or it is empty.
    """
    opened = open_questions(chosen_store(data_set, root, store))
    questions: Questions = of_split(opened.splits, split)
    if not len(questions):
        full = ", ".join(name for name, one in opened.splits.items() if len(one))
        raise ValueError(f"--split must be one with questions ({full}), got {split!r}")
    total = questions.num_pictures
    positions = np.linspace(0, total - 1, min(count, total)).astype(np.int64)
    _picture(questions, positions, f"{opened.folder.name}, {split}", into)
    rows = [
        {"picture": place, "question": text, "answer": _answer(questions.answers[number])}
        for place in positions.tolist()
        for number, text in zip(*_asked(questions, place), strict=True)
    ]
    return Sample(into, _facts(opened, questions), rows)


def _asked(questions: Questions, place: int) -> tuple[range, list[str]]:
    numbers = questions.of_picture(place)
    return numbers, questions.texts(np.array(numbers, np.int64))


def _answer(number: int) -> str:
    return "?" if number == NO_ANSWER else ANSWERS[number]


def _picture(questions: Questions, positions: Any, title: str, into: Path) -> None:
    """A picture a row, and its first question and answer below it."""
    pixels = torch.from_numpy(questions.images(positions)).movedim(-1, 1).float() / 255
    cells = [[one] for one in shown(pixels, cell_size(pixels.shape[2], pixels.shape[3], 112))]
    notes: list[str] = []
    for place in positions.tolist():
        numbers, texts = _asked(questions, place)
        notes.append(f"picture {place}: {texts[0]} {_answer(questions.answers[numbers[0]])}")
    save(table(cells, Page(title, notes=notes)), into)


def _facts(opened: QuestionStore, questions: Questions) -> dict[str, str]:
    sizes: Mapping[str, Questions] = opened.splits
    lengths = np.diff(questions.token_splits)
    known = questions.answers[questions.answers != NO_ANSWER]
    times = np.bincount(known, minlength=len(ANSWERS))
    shares = times / max(len(known), 1)
    return {
        "store": str(opened.folder),
        "pictures": ", ".join(f"{one.num_pictures:,} {name}" for name, one in sizes.items()),
        "questions": ", ".join(f"{len(one):,} {name}" for name, one in sizes.items()),
        "words": f"{len(questions.vocabulary.words)}, {lengths.min()} … {lengths.max()} a question",
        "answers": ", ".join(f"{word}: {n:.1%}" for word, n in zip(ANSWERS, shares, strict=True)),
        "fingerprint": opened.fingerprint,
    }
