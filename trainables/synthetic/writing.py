"""Writes a whole set of made scenes, and how it was made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trainables.core.files import whole_folder
from trainables.data import places
from trainables.data.root import ROOT
from trainables.synthetic.sets import MADE, Made

DESCRIPTION = "made.json"
"""The file in the folder of a made set that says how it was made."""


def write_set(
    name: str,
    folder: Path,
    *,
    scenes: int,
    image_size: int | None = None,
    seed: int = 0,
    root: Path = ROOT,
    progress: Callable[[int, int], None] | None = None,
    **rules: object,
) -> Path:
    """Makes a set and writes it into a folder, in its original format and under its file names.

    Scene i is a function of (name, seed, i, image size, rules) alone, so that a set of more scenes
    begins with the same ones. `image_size` is the height in pixels, that of the published set
    unless given; `scenes` counts clips for sets of clips. What is made of another set reads it from
    `root`, the folder of data sets. `progress(done, scenes)` is called with each scene made. The
    folder appears when all is written; if it holds this very set, nothing is done.

    Returns:
        The folder, in which `made.json` says name, scenes, image size, seed and rules.

    Raises:
        LookupError: there is no such set, or the one that it is made of is not there.
        ValueError: a number or rule that it cannot have, or the folder holds something else.
    """
    if name not in MADE:
        raise LookupError(f"name must be a set that can be made, got {name!r}; {', '.join(MADE)}")
    made = MADE[name]
    size = made.image_size if image_size is None else image_size
    chosen = {**made.rules, **_checked(name, made, rules)}
    if scenes < made.least:
        raise ValueError(f"scenes of {name} must be at least {made.least}, got {scenes}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    described = {"name": name, "scenes": scenes, "image_size": size, "seed": seed, "rules": chosen}
    if _holds(folder, described):
        return folder
    with whole_folder(folder) as partial:
        every = _scenes(made, described, _needed(name, made, root), progress)
        made.write(partial, every, scenes, **{rule: chosen[rule] for rule in made.writing_rules})
        (partial / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n")
    return folder


def _checked(name: str, made: Made, rules: Mapping[str, object]) -> Mapping[str, object]:
    for rule, value in rules.items():
        if rule not in made.rules:
            offered = ", ".join(made.rules) or "none"
            raise ValueError(f"{rule} is no rule of {name}; it has {offered}")
        kind = type(made.rules[rule])
        if type(value) is not kind:
            raise ValueError(f"{rule} of {name} must be of type {kind.__name__}, got {value!r}")
    return rules


def _holds(folder: Path, described: Mapping[str, Any]) -> bool:
    """Whether a folder holds the described set; False if there is nothing in it."""
    if not folder.exists() or not any(folder.iterdir()):
        return False
    path = folder / DESCRIPTION
    found = json.loads(path.read_text()) if path.exists() else "files that were not made"
    if found == described:
        return True
    raise ValueError(
        f"{folder} must be empty or hold the set {dict(described)}, and holds {found}; "
        "remove it or take another root"
    )


def _needed(name: str, made: Made, root: Path) -> dict[str, Any]:
    """The files that a set is made of, if it is. Raises LookupError if they are not there."""
    if made.needs is None:
        return {}
    found = places.find(made.needs, root)
    if found is None:
        raise LookupError(f"{name} is made of {made.needs.name}: {made.needs.missing(root)}")
    return {"files": tuple(found.paths())}


def _scenes(
    made: Made,
    described: Mapping[str, Any],
    needed: Mapping[str, Any],
    progress: Callable[[int, int], None] | None,
) -> Iterator[Any]:
    count = described["scenes"]
    rules = {
        rule: value for rule, value in described["rules"].items() if rule not in made.writing_rules
    }
    settings = {"image_size": described["image_size"], **made.fixed, **needed, **rules}
    for index in range(count):
        scene = made.scene(described["seed"], index, **settings)
        if progress:
            progress(index + 1, count)
        yield scene
