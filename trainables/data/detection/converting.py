"""Brings sets that come in other forms into that of COCO, once, below the root of data sets."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Literal

from trainables.core.files import whole_folder
from trainables.data.detection import trees, unrel
from trainables.data.detection.facts import ANNOTATIONS, DetectionFacts
from trainables.data.files import alone

Names = Literal["mapped", "as_numbered"]
"""How names that are not those of COCO's categories are understood, see `unrel.converted`."""

_DONE = "converted.json"
_VERSION = 1  # of what is written: another one is converted anew

log = logging.getLogger(__name__)


def converted(
    data_set: DetectionFacts, root: Path, *, image_size: int, names: Names
) -> tuple[Path, Path | None]:
    """The folder of a set in the form of COCO, made if it is not there, and that of its pictures.

    The latter is None where they are below the former. While one process converts, others wait.

    Raises:
        LookupError: what it is converted from is not there.
        ValueError: that is not what is expected.
    """
    origin = data_set.origin(root)
    if origin is None:
        raise LookupError(data_set.missing(root) or f"data set {data_set.name} is not there")
    is_cut = data_set.image_size > 0
    size = image_size or data_set.image_size
    folder = data_set.folder(root, image_size=size, names="" if is_cut else names)
    facts = {"version": _VERSION, "origin": _identity(data_set, origin)}
    if _facts(folder) != facts:
        with alone(folder, log.info):
            if _facts(folder) != facts:
                _convert(origin, folder, size, names, facts)
    return folder, None if is_cut else origin / "images"


def _convert(origin: Path, folder: Path, size: int, names: Names, facts: dict[str, Any]) -> None:
    with whole_folder(folder) as unfinished:  # what is there is of other files
        (unfinished / ANNOTATIONS).mkdir()
        if size:
            trees.cut(origin, unfinished, size)
        else:
            contents = unrel.converted(unrel.read(origin / "annotations.mat"), origin, names)
            path = unfinished / ANNOTATIONS / "instances_test.json"
            path.write_text(json.dumps(contents))
        (unfinished / _DONE).write_text(json.dumps(facts))


def _identity(data_set: DetectionFacts, origin: Path) -> list[list[Any]]:
    """Which files these are: names, sizes in bytes, when last written."""
    paths = [origin / name for name in data_set.needs if (origin / name).is_file()]
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths]


def _facts(folder: Path) -> Any:
    """What a folder was converted from; None if there is none."""
    try:
        return json.loads((folder / _DONE).read_text())
    except (OSError, ValueError):
        return None
