"""What is shown of questions is what was asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.data.questions.catalog import CLEVR_QUESTIONS
from trainables.data.questions.store import open_questions
from trainables.data.questions.words import ANSWERS
from trainables.figures.questions import show_questions
from trainables.synthetic.writing import write_set


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("questions")
    write_set("clevr", root / "clevr", scenes=4, image_size=32)
    CLEVR_QUESTIONS.prepare(root, image_size=32, crop="square")
    return root


def test_each_question_of_the_pictures_has_a_row(root: Path, tmp_path: Path) -> None:
    found = show_questions(
        CLEVR_QUESTIONS, root, split="train", count=2, store=None, into=tmp_path / "a.png"
    )
    store = open_questions(CLEVR_QUESTIONS.stores(root)[0])
    train = store.splits["train"]
    assert found.facts["pictures"] == "3 train, 1 val, 0 test"
    assert [row["picture"] for row in found.rows] == [0] * 10 + [2] * 10
    assert found.rows[0]["question"] == train.texts(np.array([0]))[0]
    assert found.rows[0]["answer"] == ANSWERS[train.answers[0]]
    height, width, _ = np.asarray(Image.open(found.picture)).shape
    assert height > 2 * 96 and width > 96


def test_a_split_without_questions_is_refused(root: Path, tmp_path: Path) -> None:
    into = tmp_path / "a.png"
    with pytest.raises(ValueError, match=r"--split must be one with questions \(train, val\), got"):
        show_questions(CLEVR_QUESTIONS, root, split="test", count=2, store=None, into=into)
    with pytest.raises(LookupError, match="`raysearch data prepare clevr_questions` comes first"):
        show_questions(CLEVR_QUESTIONS, tmp_path, split="val", count=2, store=None, into=into)
