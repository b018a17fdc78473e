"""Any folder of images: one sub-folder for each class."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from trainables.data.parts import Bytes, Counts, Part
from trainables.data.places import class_names, own_splits
from trainables.data.published import (
    ANNOTATIONS,
    UNLABELLED,
    annotated,
    is_published,
    unlabelled_folder,
)

ENDINGS = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
)
_PIECE = 256
_MODES = {1: "L", 3: "RGB"}


def files(
    path: Path,
    classes: Sequence[str] | None = None,
    *,
    unlabelled: bool = False,
    test_path: Path | None = None,
) -> dict[str, list[tuple[Path, int]]]:
    """The images of each part, sorted, with the number of their class.

    The parts are those that the folder has of its own, or one, `all`. What has no ending of an
    image is left alone. Of a set that was published as `train` and `val` the latter is the part
    `test`. Listed `classes` (None: those that there are) may be without images. With `unlabelled`
    images of `unsup` are a part, whose numbers mean nothing; with a `test_path` the part `test` is
    the folder there.

    Raises:
        LookupError: a class without images, or one of a split that `train` does not have.
    """
    names = class_names(path) if classes is None else classes
    places = _places(path)
    if test_path is not None:
        places = {("train" if key == "all" else key): place for key, place in places.items()}
        places["test"] = test_path
    found: dict[str, list[tuple[Path, int]]] = {}
    for name, inner in places.items():
        if (inner / ANNOTATIONS).is_file():
            found[name] = annotated(inner, names)
            continue
        found[name] = list(_images(inner, names, classes is not None or inner == test_path))
        others = {each.name for each in inner.iterdir() if each.is_dir() and each.name[0] != "."}
        if name != "all" and (extra := sorted(others - set(names))):
            raise LookupError(f"{inner / extra[0]} must be a class that {path / 'train'} has, too")
    if unlabelled:
        found[UNLABELLED] = [(one, 0) for one in _endings(unlabelled_folder(path))]
    return found


def _places(path: Path) -> dict[str, Path]:
    """The folders of the parts."""
    if is_published(path):
        return {"train": path / "train", "test": path / "val"}
    return {name: path / name for name in own_splits(path)} or {"all": path}


def _endings(inner: Path) -> list[Path]:
    """The images below a folder, sorted."""
    return [path for path in sorted(inner.rglob("*")) if path.suffix.lower() in ENDINGS]


def _images(inner: Path, classes: Sequence[str], may_lack: bool) -> Iterator[tuple[Path, int]]:
    for number, name in enumerate(classes):
        images = _endings(inner / name) if (inner / name).is_dir() else []
        if not images and inner.name != "val" and not may_lack:
            raise LookupError(f"{inner / name} must hold images of its class, and has none")
        yield from ((path, number) for path in images)


def parts(
    found: dict[str, list[tuple[Path, int]]],
    side: int,
    channels: int,
    bits: Literal[8, 16] = 8,
) -> list[Part]:
    """The parts of a folder; images scaled so that the shorter side is `side`, the middle kept."""

    def read(path: Path) -> Bytes | Counts:
        return read_image(path, side, channels) if bits == 8 else read_counts(path, side)

    def pieces(images: list[tuple[Path, int]]) -> Iterator[tuple[Any, NDArray[np.int64]]]:
        for start in range(0, len(images), _PIECE):
            piece = images[start : start + _PIECE]
            pixels = np.stack([read(path) for path, _ in piece])
            yield pixels, np.array([number for _, number in piece])

    shape = (channels if bits == 8 else 1, side, side)
    return [Part(name, shape, pieces(images), bits) for name, images in found.items()]


def read_image(path: Path, side: int, channels: int) -> Bytes:
    """An image [C, side, side], turned as its camera says, what is transparent on black.

    Bilinear with antialiasing. Grey images of 16 bits keep their upper 8.

    Raises:
        ValueError: it is damaged or no image; it is named.
    """
    with opened(path) as found:
        image = ImageOps.exif_transpose(found)
        plain = as_bytes(image, channels)
        fitted = ImageOps.fit(plain, (side, side), Image.Resampling.BILINEAR)
    pixels = np.asarray(fitted)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def read_counts(path: Path, side: int) -> Counts:
    """The counts [1, side, side] of a grey image of 16 bits, as `read_image` fits it, rounded.

    Of 8 bits they are 257 times the bytes, so that white is 65535.

    Raises:
        ValueError: it is damaged or no image; it is named.
    """
    with opened(path) as found:
        image = as_counts(ImageOps.exif_transpose(found))
        fitted = ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)
    return rounded(fitted)[None]


def as_counts(image: Image.Image) -> Image.Image:
    """An image in floats, 0…65535, grey."""
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(np.asarray(image).astype(np.float32).clip(0, 65535))
    return Image.fromarray(np.asarray(as_bytes(image, 1)).astype(np.float32) * 257)


def rounded(image: Image.Image) -> Counts:
    """The counts [H, W] of an image in floats."""
    return np.rint(np.asarray(image)).clip(0, 65535).astype(np.uint16)


@contextmanager
def opened(path: Path) -> Generator[Image.Image]:
    """An image that is open; what is wrong with it is a ValueError that names it."""
    try:
        with Image.open(path) as found:
            yield found
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is too large an image: {error}") from None


def as_bytes(image: Image.Image, channels: int) -> Image.Image:
    """An image of bytes, grey or red, green, blue; what is transparent on black.

    Grey images of 16 bits keep their upper 8.
    """
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    elif image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        solid = image.convert("RGBA")
        image = Image.new("RGBA", solid.size, (0, 0, 0, 255))
        image.alpha_composite(solid)
    return image.convert(_MODES[channels])
