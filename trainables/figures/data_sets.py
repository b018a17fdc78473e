"""What is in a data set: some of it as a picture, as rows of words, and in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data import images
from trainables.data.catalog import ROOT, DataSet
from trainables.data.questions.catalog import QuestionSet
from trainables.data.scenes.catalog import SceneSet
from trainables.data.scenes.store import Scenes, Store, open_store
from trainables.figures.palette import color, paint
from trainables.figures.pictures import Page, cell_size, save, shown, table

_COUNTED = 1024
"""Of so many examples pixels are counted."""
_MOST_CLASSES = 20


@dataclass(frozen=True)
class Sample:
    """The `picture` that was written, `facts` of the set, and a `rows` for each thing in it."""

    picture: Path
    facts: dict[str, str]
    rows: list[dict[str, Any]]


def show_images(
    data_set: DataSet, root: Path | None, *, split: str, count: int, store: str | None, into: Path
) -> Sample:
    """Of a set for classification: `count` images of each class, and how many of each there are.

    Raises:
        LookupError: the set is not there. ValueError: what is asked for is not in it.
    """
    if data_set.name in ("folder", "boxes"):
        raise LookupError(
            f"data set {data_set.name} is your own: its images are looked at where they lie"
        )
    if store is not None:
        raise ValueError(f"--store must be left out for {data_set.name}, got {store!r}")
    found = images.load(data_set, root=root or ROOT)
    splits: Mapping[str, Any] = {name: getattr(found, name) for name in ("train", "val", "test")}
    chosen = of_split(splits, split)
    rows: list[list[Tensor | None]] = []
    classes = data_set.classes[:_MOST_CLASSES]
    size = cell_size(data_set.image_size, data_set.image_size, 64)
    for number in range(len(classes)):
        places = (chosen.labels == number).nonzero()[:count, 0]
        pixels = chosen.pixels(places)
        rows.append([*shown(pixels, size)])
    title = f"{data_set.name}, {split}: the first {count} of each class"
    save(table(rows, Page(title, sides=classes)), into)
    mean, deviation = _per_channel(found.mean), _per_channel(found.deviation)
    facts = {
        "images": ", ".join(f"{len(one):,} {name}" for name, one in splits.items()),
        "pixels": f"mean {mean}, deviation {deviation} of the training split, in 0…1",
        "fingerprint": found.fingerprint,
    }
    counts = {
        name: torch.bincount(one.labels, minlength=len(data_set.classes)).tolist()
        for name, one in splits.items()
    }
    table_rows = [
        {"class": word, **{name: of_class[number] for name, of_class in counts.items()}}
        for number, word in enumerate(data_set.classes)
    ]
    return Sample(into, facts, table_rows)


def show_scenes(
    data_set: SceneSet, root: Path | None, *, split: str, count: int, store: str | None, into: Path
) -> Sample:
    """Of a prepared set of scenes: pictures, masks, properties of each object, and numbers.

    `store` is the name of its folder, where several were prepared.

    Raises:
        LookupError: nothing was prepared, or not that. ValueError: no such split, or it is empty.
    """
    folder = chosen_store(data_set, root, store)
    opened = open_store(folder)
    scenes = of_split(opened.splits, split)
    if not len(scenes):
        full = ", ".join(name for name, one in opened.splits.items() if len(one))
        raise ValueError(f"--split must be one with scenes ({full}), got {split!r}")
    positions = _spread(scenes, count)
    _scene_picture(scenes, positions, f"{folder.name}, {split}", into)
    return Sample(into, _scene_facts(opened, scenes, folder), _entities(opened, scenes, positions))


def of_split(splits: Mapping[str, Any], split: str) -> Any:
    """One of the splits. Raises ValueError if there is no such one."""
    if split not in splits:
        raise ValueError(f"--split must be one of {', '.join(splits)}, got {split!r}")
    return splits[split]


def _per_channel(values: Tensor | float) -> str:
    numbers = values.flatten().tolist() if isinstance(values, Tensor) else [values]
    return " ".join(f"{number:.3f}" for number in numbers)


def chosen_store(data_set: SceneSet | QuestionSet, root: Path | None, store: str | None) -> Path:
    """The folder of what was prepared of a set, by its name if there are several.

    Raises:
        LookupError: nothing was prepared, or nothing of that name.
    """
    found = {folder.name: folder for folder in data_set.stores(root)}
    if not found:
        text = data_set.missing(root) or f"nothing was prepared of data set {data_set.name}"
        raise LookupError(f"{text}; `raysearch data prepare {data_set.name}` comes first")
    if store is None and len(found) == 1:
        return next(iter(found.values()))
    if store not in found:
        got = "none" if store is None else repr(store)
        raise LookupError(f"--store must be one of {', '.join(found)}, got {got}")
    return found[store]


def _spread(scenes: Scenes, count: int) -> NDArray[np.int64]:
    """Positions of so many scenes, from all over the split; of clips the first and last frame."""
    total = len(scenes)
    if "clip" not in scenes.fields:
        return np.linspace(0, total - 1, min(count, total)).astype(np.int64)
    _, first = np.unique(scenes.fields["clip"], return_index=True)
    last = np.append(first[1:], total) - 1
    some = np.linspace(0, len(first) - 1, min((count + 1) // 2, len(first))).astype(np.int64)
    return np.unique(np.stack([first[some], last[some]], 1))[:count]


def _scene_picture(scenes: Scenes, positions: Any, title: str, into: Path) -> None:
    """A row for each scene: the picture, all labels in colour, and each object alone on white."""
    pixels = torch.from_numpy(scenes.images(positions)).movedim(-1, 1).float() / 255
    size = cell_size(pixels.shape[2], pixels.shape[3], 112)
    cells: list[list[Tensor | None]] = [[one] for one in shown(pixels, size)]
    heads, bars = ["picture"], list[str | None]([None])
    if scenes.has_labels:
        labels = torch.from_numpy(scenes.labels(positions)).long()
        painted = shown(paint(labels).movedim(-1, 1).float() / 255, size)
        most = int(labels.max())
        heads += ["objects", *map(str, range(1, most + 1))]
        bars += [None, *(color(number) for number in range(1, most + 1))]
        for row, label, image, colours in zip(cells, labels, pixels, painted, strict=True):
            row.append(colours)
            for number in range(1, most + 1):
                mask = (label == number)[None]
                alone = torch.where(mask, image, torch.ones_like(image))
                row.append(shown(alone, size) if mask.any() else None)
    notes = [
        f"scene {place}{_in_clip(scenes, place)}: {scenes.counts[place]} objects"
        for place in positions
    ]
    save(table(cells, Page(title, heads=heads, bars=bars, notes=notes)), into)


def _in_clip(scenes: Scenes, place: int) -> str:
    if "clip" not in scenes.fields:
        return ""
    return f", clip {scenes.fields['clip'][place]}, frame {scenes.fields['frame'][place]}"


def _scene_facts(opened: Store, scenes: Scenes, folder: Path) -> dict[str, str]:
    places = np.linspace(0, len(scenes) - 1, min(_COUNTED, len(scenes))).astype(np.int64)
    pixels = scenes.images(places) / 255.0
    flat = torch.from_numpy(pixels.reshape(-1, pixels.shape[-1]))
    numbers, times = np.unique(scenes.counts, return_counts=True)
    shares = (f"{n}: {t / len(scenes):.1%}" for n, t in zip(numbers, times, strict=True))
    facts = {
        "store": str(folder),
        "scenes": ", ".join(f"{len(one):,} {name}" for name, one in opened.splits.items()),
        "picture": " × ".join(map(str, pixels.shape[1:])),
        "objects": ", ".join(shares),
        "pixels": f"mean {_per_channel(flat.mean(0))}, deviation {_per_channel(flat.std(0))}",
    }
    if scenes.has_labels:
        facts["background"] = f"{(scenes.labels(places) == 0).mean():.1%} of the pixels"
    return {**facts, "fingerprint": opened.fingerprint}


def _entities(opened: Store, scenes: Scenes, positions: Any) -> list[dict[str, Any]]:
    """A row for each object that is there: its scene, its number, and what the records say."""
    rows: list[dict[str, Any]] = []
    fields = {name: values for name, values in scenes.fields.items() if name != "visibility"}
    of_objects = {name: values for name, values in fields.items() if values.ndim > 1}
    visible = scenes.fields.get("visibility")
    objects = _most_objects(opened, scenes)
    for place in positions.tolist():
        of_scene = {
            name: _word(values[place]) for name, values in fields.items() if values.ndim < 2
        }
        for number in range(1, objects + 1):
            is_there = (
                number <= scenes.counts[place]
                if visible is None
                else visible[place, number - 1 - objects]
            )
            if not is_there:
                continue
            of_object = {
                name: _word(values[place, number - 1 - objects])
                for name, values in of_objects.items()
            }
            rows.append({"scene": place, "object": number, **of_scene, **of_object})
    return rows


def _most_objects(opened: Store, scenes: Scenes) -> int:
    """How many objects a scene may have; they come last in the fields, behind the background."""
    if "visibility" in scenes.fields:
        return scenes.fields["visibility"].shape[1] - opened.num_background
    return max((values.shape[1] for values in scenes.fields.values() if values.ndim > 1), default=0)


def _word(value: Any) -> str:
    numbers = np.atleast_1d(np.asarray(value))
    whole = np.issubdtype(numbers.dtype, np.integer) or numbers.dtype == np.bool_
    digits = 3 if len(numbers) == 1 else 2
    return " ".join(str(int(one)) if whole else f"{one:.{digits}g}" for one in numbers)
