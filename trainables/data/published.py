"""Folders of images in the forms in which sets were published, beside plain ones."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

ANNOTATIONS = "val_annotations.txt"
"""In `val` of Tiny-ImageNet: a line with the file and its class for each image in `val/images`."""
UNLABELLED = "unsup"
"""The folder of Imagewang with images whose classes are not to be known."""
NOISY = "noisy_*.csv"
"""The list of Imagenette and Imagewoof with labels of which a share is wrong."""


def is_published(path: Path) -> bool:
    """Whether a folder is divided into `train` and `val` with classes in them, and no `test`.

    What of Tiny-ImageNet is called `test` has no classes, and does not count.
    """
    if not (path / "train").is_dir() or not (path / "val").is_dir():
        return False
    if (path / "val" / ANNOTATIONS).is_file():
        return True
    return not (path / "test").is_dir() and all(
        any(one.is_dir() for one in (path / name).iterdir()) for name in ("train", "val")
    )


def listed_classes(path: Path) -> list[str]:
    """The first word of each line of a list of classes, in its order; empty lines do not count.

    Raises:
        LookupError: there is no such file. ValueError: a class is there twice, or fewer than two.
    """
    if not path.is_file():
        raise LookupError(f"data.classes_file must be a list of classes, and there is no {path}")
    names = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None or len(names) < 2:
        said = f"{twice} twice" if twice is not None else f"{len(names)} classes"
        raise ValueError(
            f"data.classes_file must list each class once and at least two, and {path} has {said}"
        )
    return names


def check_listed(names: Sequence[str], classes: Sequence[str], classes_file: Path) -> None:
    """Raises LookupError if a sub-folder has the name of no class of a list."""
    if extra := sorted(set(names) - set(classes)):
        raise LookupError(
            f"data.classes_file must list each class of the folders, and {classes_file} has not "
            f"{extra[0]}"
        )


def unlabelled_folder(path: Path) -> Path:
    """That of a folder of images. Raises LookupError if there is none."""
    if not (path / UNLABELLED).is_dir() or not (path / "train").is_dir():
        raise LookupError(
            f"data.unlabelled must be false, or data.path a folder with train and {UNLABELLED}, as "
            f"Imagewang, got {str(path)!r}"
        )
    return path / UNLABELLED


def noisy_list(path: Path) -> Path:
    """The list of noisy labels of a folder. Raises LookupError if there is none, or several."""
    found = sorted(path.glob(NOISY))
    if len(found) != 1:
        raise LookupError(
            f"data.noisy_labels must be 0, or data.path a folder with one {NOISY}, as Imagenette, "
            f"and {str(path)!r} has {len(found)}"
        )
    return found[0]


def noisy_labels(
    path: Path, percent: int, classes: Sequence[str], images: Sequence[Path]
) -> list[int]:
    """The number of the class that the list says of each of the training images.

    Raises:
        LookupError: an image of the list is not there, or one that is there is not in the list.
        ValueError: the list is none of these, or names a class that there is not.
    """
    found, column = noisy_list(path), f"noisy_labels_{percent}"
    with found.open(newline="") as file:
        rows = csv.DictReader(file)
        if missing := {"path", column} - set(rows.fieldnames or ()):
            raise ValueError(f"{found} must have a column {min(missing)}, and has none")
        said = {row["path"]: row[column] for row in rows if row["path"].startswith("train/")}
    there = [image.relative_to(path).as_posix() for image in images]
    if lost := sorted(said.keys() - set(there)):
        raise LookupError(f"{path / lost[0]} must be there, as {found} lists it")
    if unknown := sorted(set(there) - said.keys()):
        raise LookupError(f"{found} must list {unknown[0]}, which is there")
    numbers = {name: number for number, name in enumerate(classes)}
    if odd := sorted(set(said.values()) - numbers.keys()):
        raise ValueError(f"{found} must name classes of data.path alone, got {odd[0]!r}")
    return [numbers[said[name]] for name in there]


def annotated(path: Path, classes: Sequence[str]) -> list[tuple[Path, int]]:
    """The images in `images` of a folder with annotations, sorted, with the number of their class.

    Raises:
        LookupError: an annotated image is not there, or one that is there has no annotation.
        ValueError: a line has no class, or one that training does not have.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    found: dict[Path, int] = {}
    for line in (path / ANNOTATIONS).read_text().splitlines():
        name, *rest = line.split("\t")
        if not rest or rest[0] not in numbers:
            raise ValueError(
                f"{path / ANNOTATIONS} must have a file and its class in each line, got {line!r}"
            )
        found[path / "images" / name] = numbers[rest[0]]
    there = {one for one in (path / "images").glob("*") if one.is_file()}
    if lost := sorted(found.keys() - there):
        raise LookupError(f"{lost[0]} must be there, as {path / ANNOTATIONS} lists it")
    if unknown := sorted(there - found.keys()):
        raise LookupError(f"{path / ANNOTATIONS} must list {unknown[0].name}, which is there")
    return sorted(found.items())
