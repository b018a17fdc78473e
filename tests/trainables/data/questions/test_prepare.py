"""Questions of a small CLEVR: all are there, in order, with their pictures and answers."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainables.data.catalog import DATA_SETS
from trainables.data.questions.catalog import CLEVR_QUESTIONS
from trainables.data.questions.store import QuestionStore, check, open_questions
from trainables.data.questions.words import ANSWERS, UNKNOWN, words_of
from trainables.synthetic.writing import write_set

OPTIONS: dict[str, Any] = {"image_size": 32, "crop": "square"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven made scenes, five for training and two for validation, and a test without answers."""
    folder = write_set(
        "clevr", tmp_path_factory.mktemp("made") / "CLEVR_v1.0", scenes=7, image_size=32
    )
    (folder / "images/test").mkdir()
    shutil.copy(
        folder / "images/val/CLEVR_val_000000.png", folder / "images/test/CLEVR_test_000003.png"
    )
    asked = {
        "image_index": 3,
        "image_filename": "CLEVR_test_000003.png",
        "question": "Is there a sofa?",
    }
    whole = {"info": {"split": "test"}, "questions": [asked]}
    (folder / "questions/CLEVR_test_questions.json").write_text(json.dumps(whole))
    return folder


def packed(made: Path, root: Path) -> Path:
    """The same as the archive that is published."""
    path = root / "clevr/CLEVR_v1.0.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("CLEVR_v1.0")
        for each in sorted(made.rglob("*.*")):
            archive.write(each, f"CLEVR_v1.0/{each.relative_to(made)}")
    return path


@pytest.fixture(scope="module")
def store(made: Path, tmp_path_factory: pytest.TempPathFactory) -> QuestionStore:
    root = tmp_path_factory.mktemp("root")
    packed(made, root)
    return open_questions(CLEVR_QUESTIONS.prepare(root, **OPTIONS))


def asked(made: Path, split: str) -> list[dict[str, Any]]:
    return json.loads((made / f"questions/CLEVR_{split}_questions.json").read_text())["questions"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_each_question_has_its_words_answer_and_picture(
    made: Path, store: QuestionStore, split: str
) -> None:
    found, expected = store.splits[split], asked(made, split)
    numbers = np.arange(len(found))
    texts = [" ".join(words_of(each["question"])) for each in expected]
    assert found.texts(numbers) == texts if split == "train" else len(found) == len(texts)
    assert [ANSWERS[number] for number in found.answers] == [each["answer"] for each in expected]
    for place in range(found.num_pictures):
        mine = [n for n, each in enumerate(expected) if each["image_index"] == place]
        assert list(found.of_picture(place)) == mine


def test_words_are_stored_in_a_row(made: Path, store: QuestionStore) -> None:
    found, expected = store.splits["train"], asked(made, "train")
    flat, splits = found.numbers(np.array([4, 0]))
    fourth, zeroth = (
        found.vocabulary.numbers(each["question"]) for each in (expected[4], expected[0])
    )
    assert flat.tolist() == [*fourth, *zeroth]
    assert splits.tolist() == [0, len(fourth), len(fourth) + len(zeroth)]
    assert found.tokens.dtype == np.int32 and found.token_splits.dtype == np.int64
    assert found.texts(np.array([], np.int64)) == []


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_pictures_are_those_of_the_files(made: Path, store: QuestionStore, split: str) -> None:
    images = store.splits[split].images(np.arange(store.splits[split].num_pictures))
    paths = sorted((made / "images" / split).iterdir())
    assert len(images) == len(paths) == {"train": 6, "val": 1, "test": 1}[split]
    for image, path in zip(images, paths, strict=True):
        # 32 × 48 pixels, of which the square in the middle is kept.
        assert np.array_equal(image, np.asarray(Image.open(path).convert("RGB"))[:, 8:40])


def test_what_is_not_known_is_said(store: QuestionStore) -> None:
    found = store.splits["test"]
    assert found.answers.tolist() == [255] and found.num_pictures == 1
    assert found.texts(np.array([0])) == ["is there a [UNK] ?"]
    assert (found.tokens == UNKNOWN).tolist() == [False, False, False, True, False]


def test_a_folder_of_made_scenes_gives_the_same(
    made: Path, store: QuestionStore, tmp_path: Path
) -> None:
    shutil.copytree(made, CLEVR_QUESTIONS.scenes.folder(tmp_path, made=True, **OPTIONS))
    folder = CLEVR_QUESTIONS.prepare(tmp_path, made=True, **OPTIONS)
    assert folder == tmp_path / "prepared/made-clevr_questions-32-square-nearest"
    assert open_questions(folder).fingerprint == store.fingerprint
    assert CLEVR_QUESTIONS.missing(tmp_path) is None and CLEVR_QUESTIONS.check(tmp_path) == []
    (folder / "val/answers.npy").write_bytes(b"")
    assert "val/answers.npy was changed; delete" in CLEVR_QUESTIONS.check(tmp_path)[0]


def test_the_first_pictures_of_each_split_are_taken_as_were_told(
    made: Path, tmp_path: Path
) -> None:
    packed(made, tmp_path)
    sizes = {"train": 2, "val": 1, "test": 0}
    store = open_questions(CLEVR_QUESTIONS.prepare(tmp_path, sizes=sizes, **OPTIONS))
    assert {name: each.num_pictures for name, each in store.splits.items()} == sizes
    assert len(store.splits["train"]) == 20 and len(store.splits["test"]) == 0
    with pytest.raises(ValueError, match="must be of the same sizes, {}, and is of {'train': 2,"):
        CLEVR_QUESTIONS.prepare(tmp_path, **OPTIONS)
    with pytest.raises(ValueError, match="val must be at most 1 pictures, got 2"):
        CLEVR_QUESTIONS.prepare(tmp_path, sizes={**sizes, "val": 2}, image_size=16)


def test_a_killed_preparation_goes_on_after_the_last_whole_split(
    made: Path, store: QuestionStore, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > 6:
            raise Killed

    packed(made, tmp_path)
    with pytest.raises(Killed):
        CLEVR_QUESTIONS.prepare(tmp_path, progress=stop, **OPTIONS)
    [unfinished] = (tmp_path / "prepared").glob(".*.unfinished")
    assert (unfinished / "train").is_dir() and not (unfinished / "val").exists()
    times = (unfinished / "train/pictures.npy").stat().st_mtime_ns
    folder = CLEVR_QUESTIONS.prepare(tmp_path, **OPTIONS)
    assert (folder / "train/pictures.npy").stat().st_mtime_ns == times
    assert open_questions(folder).fingerprint == store.fingerprint and not list(check(folder))
    assert not list((tmp_path / "prepared").glob(".*.unfinished"))


WRONG = [
    ('{"questions": [', "the list of questions breaks off"),
    ('{"questions": [{"image_index": 0}]}', "image_filename"),
    ('{"questions": [3]}', "must be the questions of CLEVR"),
    (
        '{"questions": [{"image_index": 0, "image_filename": "a.png", "question": "Why?", '
        '"answer": "because"}]}',
        "answer must be one of 0, 1, .* got 'because'",
    ),
    (
        '{"questions": [{"image_index": 0, "image_filename": "a.png", "question": "Why?"}]}',
        "must hold .*images/train/a.png",
    ),
    ("{}", "must be the questions of CLEVR"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_wrong_files_are_named(made: Path, tmp_path: Path, text: str, said: str) -> None:
    folder = tmp_path / "clevr"
    shutil.copytree(made, folder)
    (folder / "questions/CLEVR_train_questions.json").write_text(text)
    with pytest.raises(ValueError, match=said):
        CLEVR_QUESTIONS.prepare(tmp_path, **OPTIONS)
    assert not CLEVR_QUESTIONS.stores(tmp_path)


def test_without_files_or_questions_it_is_said_what_to_do(made: Path, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="run `raysearch data get clevr --root .*`, or put CLEVR"):
        CLEVR_QUESTIONS.prepare(tmp_path, **OPTIONS)
    with pytest.raises(LookupError, match="no made clevr is at .*; run `raysearch data make"):
        CLEVR_QUESTIONS.prepare(tmp_path, made=True, **OPTIONS)
    said = CLEVR_QUESTIONS.missing(tmp_path)
    assert said and said.startswith("data set clevr is not there")
    shutil.copytree(made, tmp_path / "clevr")
    shutil.rmtree(tmp_path / "clevr/questions")
    with pytest.raises(ValueError, match="must hold questions/CLEVR_train_questions.json, and has"):
        CLEVR_QUESTIONS.prepare(tmp_path, **OPTIONS)


def test_questions_are_taken_from_a_folder_at_hand(made: Path, tmp_path: Path) -> None:
    CLEVR_QUESTIONS.get(tmp_path, made, lambda text: None)
    assert (tmp_path / "clevr/questions/CLEVR_val_questions.json").is_file()
    assert DATA_SETS["clevr_questions"] is CLEVR_QUESTIONS


def test_a_store_that_was_cut_is_refused(store: QuestionStore, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(store.folder, folder)
    stream = io.BytesIO()
    np.save(stream, store.splits["val"].answers[:-1])
    (folder / "val/answers.npy").write_bytes(stream.getvalue())
    with pytest.raises(ValueError, match="is damaged .val has arrays that do not fit together"):
        open_questions(folder)
    with pytest.raises(LookupError, match="no prepared questions are at"):
        open_questions(tmp_path)
