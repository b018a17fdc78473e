"""The scenes of `clevr` in the form of CLEVR v1.0: PNG images, JSON of them, and questions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from trainables.synthetic.clevr import COLORS, MATERIALS, SHAPES, SIZES, Layout, layout
from trainables.synthetic.clevr_questions import questions
from trainables.synthetic.splits import shared_out

SIZE = 320
"""Pixels of an image's height in the published set; images are 3/2 as wide."""
SHARES = {"train": 70, "val": 15}
"""In which proportion the splits get scenes, as in the published set."""


def scene(seed: int, index: int, *, image_size: int) -> Layout:
    """Scene `index` of a seed, laid out as in `clevr.scene`, but not the same ones."""
    return layout("clevr", seed, index, height=image_size, ratio=3 / 2)


def write(folder: Path, scenes: Iterable[Layout], count: int) -> None:
    """Writes `images/<split>/CLEVR_<split>_<number>.png` and a JSON of each split.

    Those are `scenes/CLEVR_<split>_scenes.json`, and `questions/CLEVR_<split>_questions.json`,
    whose questions have no programs.
    """
    (folder / "scenes").mkdir()
    (folder / "questions").mkdir()
    for split, own in shared_out(scenes, count, SHARES):
        (folder / "images" / split).mkdir(parents=True)
        described: list[dict[str, Any]] = []
        asked: list[dict[str, Any]] = []
        for number, made in enumerate(own):
            described.append(_written(folder, split, number, made))
            asked += _asked(split, number, made, start=len(asked))
        for kind, rows in (("scenes", described), ("questions", asked)):
            text = json.dumps({"info": {"split": split, "version": "1.0"}, kind: rows})
            (folder / kind / f"CLEVR_{split}_{kind}.json").write_text(text)


def _written(folder: Path, split: str, number: int, made: Layout) -> dict[str, Any]:
    name = _file(split, number)
    picture = Image.fromarray(made.image).convert("RGBA")
    picture.save(folder / "images" / split / name)
    objects = [_object(made, each) for each in range(len(made.size))]
    return {"split": split, "image_index": number, "image_filename": name, "objects": objects}


def _asked(split: str, number: int, made: Layout, *, start: int) -> list[dict[str, Any]]:
    return [
        {
            "split": split,
            "image_index": number,
            "image_filename": _file(split, number),
            "question_index": start + place,
            "question_family_index": question.family,
            "question": question.text,
            "answer": question.answer,
        }
        for place, question in enumerate(questions(made))
    ]


def _file(split: str, number: int) -> str:
    return f"CLEVR_{split}_{number:06d}.png"


def _object(made: Layout, number: int) -> dict[str, Any]:
    return {
        "size": SIZES[made.size[number]],
        "material": MATERIALS[made.material[number]],
        "shape": SHAPES[made.shape[number]],
        "color": list(COLORS)[made.color[number]],
        "3d_coords": made.places[number].tolist(),
        "rotation": float(made.rotation[number]),
        "pixel_coords": made.pixel_coords[number].tolist(),
    }
