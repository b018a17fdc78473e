"""The scenes of `clevr` as a folder of the form of CLEVR v1.0: PNG images and JSON, no masks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from trainables.synthetic.clevr import COLORS, MATERIALS, SHAPES, SIZES, Layout, layout
from trainables.synthetic.splits import shared_out

SIZE = 320
"""Pixels of an image's height in the published set; images are 3/2 as wide."""
SHARES = {"train": 70, "val": 15}
"""In which proportion the splits get scenes, as in the published set."""


def scene(seed: int, index: int, *, image_size: int) -> Layout:
    """Scene `index` of a seed, laid out as in `clevr.scene`, but not the same ones."""
    return layout("clevr", seed, index, height=image_size, ratio=3 / 2)


def write(folder: Path, scenes: Iterable[Layout], count: int) -> None:
    """Writes `images/<split>/CLEVR_<split>_<number>.png` and `scenes/CLEVR_<split>_scenes.json`."""
    (folder / "scenes").mkdir()
    for split, own in shared_out(scenes, count, SHARES):
        (folder / "images" / split).mkdir(parents=True)
        described = [_written(folder, split, *each) for each in enumerate(own)]
        text = json.dumps({"info": {"split": split, "version": "1.0"}, "scenes": described})
        (folder / "scenes" / f"CLEVR_{split}_scenes.json").write_text(text)


def _written(folder: Path, split: str, number: int, made: Layout) -> dict[str, Any]:
    name = f"CLEVR_{split}_{number:06d}.png"
    picture = Image.fromarray(made.image).convert("RGBA")
    picture.save(folder / "images" / split / name)
    objects = [_object(made, each) for each in range(len(made.size))]
    return {"split": split, "image_index": number, "image_filename": name, "objects": objects}


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
