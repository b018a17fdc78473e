"""Prepared questions: arrays mapped from disk, taken by position."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.files import checksum
from trainables.data.questions.words import Vocabulary

MANIFEST = "manifest.json"
SPLITS = ("train", "val", "test")
ARRAYS = ("pictures", "tokens", "token_splits", "question_splits", "answers")
VERSION = 1
"""Of the files: `manifest.json`, and for each split those of `Questions`, `<split>/<array>.npy`."""

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Questions:
    """A split of I pictures with Q questions of T words in all.

    `pictures` [I, S, S, 3], 0…255; `tokens` [T] the numbers of all words, one question behind the
    other; `token_splits` [Q + 1] where each question begins and the last one ends;
    `question_splits` [I + 1] which questions are of each picture, likewise; `answers` [Q] as in
    `words.ANSWERS`, `words.NO_ANSWER` where it is not known.
    """

    pictures: NDArray[np.uint8]
    tokens: NDArray[np.int32]
    token_splits: NDArray[np.int64]
    question_splits: NDArray[np.int64]
    answers: NDArray[np.uint8]
    vocabulary: Vocabulary

    def __len__(self) -> int:
        """How many questions."""
        return len(self.answers)

    @property
    def num_pictures(self) -> int:
        """How many pictures."""
        return len(self.pictures)

    def of_picture(self, position: int) -> range:
        """Its questions."""
        return range(*self.question_splits[position : position + 2].tolist())

    def images(self, positions: Positions) -> NDArray[np.uint8]:
        """Pictures [B, S, S, 3], 0…255. Raises IndexError."""
        return self.pictures.take(positions, axis=0)

    def numbers(self, questions: Positions) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The words of some questions, one behind the other, and where each of them begins."""
        starts, ends = self.token_splits[questions], self.token_splits[questions + 1]
        parts = [self.tokens[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
        flat = np.concatenate(parts) if parts else np.zeros(0, np.int32)
        return flat, np.concatenate([[0], np.cumsum(ends - starts)]).astype(np.int64)

    def texts(self, questions: Positions) -> list[str]:
        """What is asked, in small letters, with a space before each mark."""
        flat, splits = self.numbers(questions)
        rows = np.split(flat, splits[1:-1]) if len(questions) else []
        return [self.vocabulary.text(row.tolist()) for row in rows]


@dataclass(frozen=True)
class QuestionStore:
    """Prepared questions: `splits` by name (train, val, test), and what the manifest says."""

    folder: Path
    manifest: dict[str, Any]
    splits: Mapping[str, Questions]

    @property
    def fingerprint(self) -> str:
        """Of all pixels, words and answers."""
        return self.manifest["fingerprint"]


def open_questions(folder: Path) -> QuestionStore:
    """Prepared questions, mapped.

    Raises:
        LookupError: there are none.
        ValueError: they are damaged.
    """
    if not (folder / MANIFEST).is_file():
        raise LookupError(f"no prepared questions are at {folder}")
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["version"] != VERSION:
            raise ValueError(f"its version is {manifest['version']}, and {VERSION} is read")
        vocabulary = Vocabulary(manifest["words"])
        splits = {split: _split(folder / split, vocabulary) for split in SPLITS}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ValueError(f"{folder} is damaged ({error}); delete it and prepare it again") from None
    return QuestionStore(folder, manifest, splits)


def _split(folder: Path, vocabulary: Vocabulary) -> Questions:
    arrays = {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in ARRAYS}
    found = Questions(**arrays, vocabulary=vocabulary)
    ends = _ends(found.token_splits), _ends(found.question_splits)
    sizes = len(found.question_splits) - 1, len(found.token_splits) - 1
    if ends != (len(found.tokens), len(found)) or sizes != (found.num_pictures, len(found)):
        raise ValueError(f"{folder.name} has arrays that do not fit together")
    return found


def _ends(splits: NDArray[np.int64]) -> int:
    return int(splits[-1])


def check(folder: Path) -> Iterator[str]:
    """What is wrong with prepared questions: a sentence each; none if all bytes are right."""
    advice = f"delete {folder} and prepare it again"
    try:
        files: Mapping[str, str] = json.loads((folder / MANIFEST).read_text())["files"]
    except (OSError, ValueError, KeyError) as error:
        yield f"{folder / MANIFEST} cannot be read ({error}); {advice}"
        return
    for name, expected in files.items():
        try:
            if checksum(folder / name) != expected:
                yield f"{folder / name} was changed; {advice}"
        except OSError as error:
            yield f"{folder / name} cannot be read ({error.strerror}); {advice}"
