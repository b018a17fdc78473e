"""Neighbouring frames of sequences of pictures, by the names of their files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import torch
from torch import Tensor

_NUMBER = re.compile(r"(\d+)\D*$")
"""The number of a frame: the last one in the name of a file, before its ending."""


class Sight(NamedTuple):
    """Where an example is seen: the name of its picture, and its middle there (across, down)."""

    picture: str
    middle: tuple[float, float] = (0.5, 0.5)


class Pairs(NamedTuple):
    """Examples and neighbours of them, int64 [P] each; an example comes once for each of these."""

    anchors: Tensor
    neighbours: Tensor


def frame_of(name: str) -> tuple[str, int] | None:
    """The sequence of a picture and the number of its frame; None if its name has no number.

    A sequence is what the names have in common but for that number, folders and all: of
    `Trip_14_Seq_1/1286352_l.png` it is `Trip_14_Seq_1/*_l.png`, another one than that of the other
    camera of a pair.
    """
    path = PurePosixPath(name)
    found = _NUMBER.search(path.stem)
    if found is None:
        return None
    stem = f"{path.stem[: found.start(1)]}*{path.stem[found.end(1) :]}"
    return str(path.with_name(stem + path.suffix)), int(found[1])


def neighbouring(
    sights: Sequence[Sight], labels: Sequence[int], pictures: Iterable[str], frames: int
) -> Pairs:
    """Which examples are neighbours: of one class and sequence, at most `frames` pictures apart.

    Of several in one picture the one whose middle is nearest, of equals the first. How far apart
    pictures are is counted in `pictures`, all that there are, whether they hold examples or not:
    numbers of frames may have gaps.

    Args:
        sights: of the examples.
        labels: of the examples.
        pictures: names, those of the examples among them.
        frames: at least 1.
    """
    numbers: dict[str, set[int]] = {}
    for found in filter(None, map(frame_of, pictures)):
        numbers.setdefault(found[0], set()).add(found[1])
    rank = {(one, at): k for one, own in numbers.items() for k, at in enumerate(sorted(own))}
    places: list[tuple[str, int] | None] = []
    there: dict[tuple[str, int, int], list[int]] = {}
    for index, (sight, label) in enumerate(zip(sights, labels, strict=True)):
        found = frame_of(sight.picture)
        places.append(None if found is None else (found[0], rank[found]))
        if found is not None:
            there.setdefault((found[0], rank[found], label), []).append(index)
    pairs: list[tuple[int, int]] = []
    for index, place in enumerate(places):
        for apart in [*range(-frames, 0), *range(1, frames + 1)] if place else []:
            others = there.get((place[0], place[1] + apart, labels[index]), []) if place else []
            if others:
                pairs.append((index, min(others, key=lambda one: _apart(sights, index, one))))
    return Pairs(*torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).unbind(1))


def _apart(sights: Sequence[Sight], one: int, other: int) -> tuple[float, int]:
    (x, y), (u, v) = sights[one].middle, sights[other].middle
    return (x - u) ** 2 + (y - v) ** 2, other
