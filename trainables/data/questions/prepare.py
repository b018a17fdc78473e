"""Preparation of CLEVR's pictures, questions and answers as arrays."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.core.files import unfinished_of, whole_folder, written
from trainables.data.files import alone, checksum, need_space
from trainables.data.questions.store import ARRAYS, MANIFEST, SPLITS, VERSION
from trainables.data.questions.words import Vocabulary, answer_number, words_of
from trainables.data.scenes import pngs
from trainables.data.scenes.clevr_files import ClevrFiles, opened
from trainables.data.scenes.frames import Frame

_TOGETHER = 64  # pictures

Progress = Callable[[int, int], None]


class Asked(NamedTuple):
    """A picture, with its questions and the numbers of their answers."""

    picture: str
    questions: list[str]
    answers: list[int]


def prepare(
    folder: Path,
    files: Sequence[Path],
    *,
    frame: Frame,
    sizes: Mapping[str, int],
    settings: Mapping[str, Any],
    progress: Progress = lambda done, total: None,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Makes the folder of arrays; a split that was whole when it broke off is not made again.

    The splits are CLEVR's own; of each the first so many pictures as `sizes` says, all where it
    says nothing. A split without a file of questions is empty. `settings` say what the arrays are
    made of, and are kept with them.

    Raises:
        ValueError: a file, or a size, is wrong; other arrays are there; there is no room.
    """
    with alone(folder, say):
        if (folder / MANIFEST).exists():
            _need_same(folder, settings)
            return folder
        source = opened(files)
        asked = {split: _asked(source, split, sizes.get(split)) for split in SPLITS}
        if not any(asked.values()):
            raise ValueError(f"{files[0].parent} must hold {_json('train')}, and has no questions")
        unfinished = _begun(folder, {**settings, "times": _times(files)})
        texts = (text for each in asked["train"] for text in each.questions)
        vocabulary = Vocabulary(word for text in texts for word in words_of(text))
        total, done = sum(map(len, asked.values())), 0
        for split, those in asked.items():
            if not (unfinished / split).exists():
                start = done
                _write(
                    unfinished / split,
                    source,
                    those,
                    vocabulary,
                    frame,
                    lambda count, start=start: progress(start + count, total),
                )
            done += len(those)
            progress(done, total)
        _finish(folder, unfinished, settings, vocabulary)
        return folder


def _json(split: str) -> str:
    return f"questions/CLEVR_{split}_questions.json"


def _asked(source: ClevrFiles, split: str, size: int | None) -> list[Asked]:
    """The pictures of a split in the order of their numbers; none without a file of questions."""
    if not source.has(_json(split)):
        return _limited([], split, size)
    found: dict[int, Asked] = {}
    try:
        for each in _objects(source.read(_json(split)).decode()):
            number, name = each["image_index"], each["image_filename"]
            of_picture = found.setdefault(number, Asked(f"images/{split}/{name}", [], []))
            of_picture.questions.append(each["question"])
            of_picture.answers.append(answer_number(each.get("answer")))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{_json(split)} must be the questions of CLEVR ({error})") from None
    return _limited([found[number] for number in sorted(found)], split, size)


def _limited(asked: list[Asked], split: str, size: int | None) -> list[Asked]:
    if size is not None and size > len(asked):
        raise ValueError(f"{split} must be at most {len(asked)} pictures, got {size}")
    return asked if size is None else asked[:size]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """What is in the list `questions`, one by one: all at once would take many times its size."""
    decoder = json.JSONDecoder()
    place = text.index("[", text.index('"questions"')) + 1
    while text[place : place + 1]:
        if text[place] in ", \n\r\t":
            place += 1
        elif text[place] == "]":
            return
        else:
            found, place = decoder.raw_decode(text, place)
            yield found
    raise ValueError("the list of questions breaks off")


def _times(files: Sequence[Path]) -> dict[str, int]:
    """When each file was changed: what was begun of others is thrown away."""
    paths = [*files, *sorted((files[0].parent / "questions").glob("*.json"))]
    return {path.name: path.stat().st_mtime_ns for path in paths}


def _begun(folder: Path, settings: Mapping[str, Any]) -> Path:
    """The hidden folder in which arrays wait for the others; emptied if others were begun."""
    unfinished = unfinished_of(folder)
    begun = unfinished / "settings.json"
    if not begun.exists() or json.loads(begun.read_text()) != settings:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        with written(begun) as file:
            file.write(json.dumps(settings).encode())
    return unfinished


def _write(
    folder: Path,
    source: ClevrFiles,
    asked: list[Asked],
    vocabulary: Vocabulary,
    frame: Frame,
    advance: Callable[[int], None],
) -> None:
    """The arrays of a split, in a folder that appears when all are whole."""
    numbers = [vocabulary.numbers(text) for each in asked for text in each.questions]
    arrays: dict[str, NDArray[Any]] = {
        "tokens": np.array([n for each in numbers for n in each], np.int32),
        "token_splits": _splits(numbers),
        "question_splits": _splits([each.questions for each in asked]),
        "answers": np.array([answer for each in asked for answer in each.answers], np.uint8),
    }
    pictures = [each.picture for each in asked]
    with whole_folder(folder) as unfinished:
        for name, array in arrays.items():
            with written(unfinished / f"{name}.npy") as file:
                np.save(file, array)
        _write_pictures(unfinished / "pictures.npy", source, pictures, frame, advance)


def _splits(rows: Sequence[Sequence[Any]]) -> NDArray[np.int64]:
    """Where each row begins, and the last one ends, if all are one behind the other."""
    return np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)]).astype(
        np.int64
    )


def _write_pictures(
    path: Path,
    source: ClevrFiles,
    names: Sequence[str],
    frame: Frame,
    advance: Callable[[int], None],
) -> None:
    if not names:
        np.save(path, np.zeros((0, frame.image_size, frame.image_size, 3), np.uint8))
        return
    pictures: Any = None
    for start in range(0, len(names), _TOGETHER):
        some = frame.pictures(_read(source, names[start : start + _TOGETHER]))
        if pictures is None:
            need_space(path.parent, len(names) * some[0].nbytes)
            shape = (len(names), *some.shape[1:])
            pictures = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
        pictures[start : start + len(some)] = some
        advance(start + len(some))
    pictures.flush()


def _read(source: ClevrFiles, names: Sequence[str]) -> NDArray[np.uint8]:
    try:
        return pngs.stacked(pngs.colour, [source.read(name) for name in names])
    except (ValueError, LookupError) as error:
        raise ValueError(f"{names[0]} or one of the next {error}") from None


def _finish(
    folder: Path, unfinished: Path, settings: Mapping[str, Any], vocabulary: Vocabulary
) -> None:
    files = {
        f"{split}/{name}.npy": checksum(unfinished / split / f"{name}.npy")
        for split in SPLITS
        for name in ARRAYS
    }
    identity = json.dumps([VERSION, files, vocabulary.words])
    manifest = {
        "version": VERSION,
        "settings": settings,
        "words": vocabulary.words,
        "files": files,
        "fingerprint": hashlib.sha256(identity.encode()).hexdigest()[:16],
    }
    with written(unfinished / MANIFEST) as file:
        file.write(json.dumps(manifest, indent=1).encode())
    (unfinished / "settings.json").unlink()
    os.replace(unfinished, folder)


def _need_same(folder: Path, settings: Mapping[str, Any]) -> None:
    there = json.loads((folder / MANIFEST).read_text())["settings"]
    for name, value in settings.items():
        if there.get(name) != value:
            raise ValueError(
                f"{folder} must be of the same {name}, {value}, and is of {there.get(name)}; "
                "delete it to prepare it anew"
            )
