"""Any folder of images: one sub-folder for each class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from trainables.data.parts import Bytes, Part
from trainables.data.places import class_names, own_splits

ENDINGS = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
)
_PIECE = 256
_MODES = {1: "L", 3: "RGB"}


def files(path: Path) -> dict[str, list[tuple[Path, int]]]:
    """The images of each part, sorted, with the number of their class.

    The parts are those that the folder has of its own, or one, `all`. What has no ending of an
    image is left alone.

    Raises:
        LookupError: a class without images, or one of a split that `train` does not have.
    """
    classes = class_names(path)
    splits = own_splits(path)
    found: dict[str, list[tuple[Path, int]]] = {}
    for name in splits or ["all"]:
        inner = path / name if splits else path
        found[name] = list(_images(inner, classes))
        others = {each.name for each in inner.iterdir() if each.is_dir() and each.name[0] != "."}
        if extra := sorted(others - set(classes)):
            raise LookupError(f"{inner / extra[0]} must be a class that {path / 'train'} has, too")
    return found


def _images(inner: Path, classes: list[str]) -> Iterator[tuple[Path, int]]:
    for number, name in enumerate(classes):
        paths = sorted((inner / name).rglob("*")) if (inner / name).is_dir() else []
        images = [path for path in paths if path.suffix.lower() in ENDINGS]
        if not images and inner.name != "val":
            raise LookupError(f"{inner / name} must hold images of its class, and has none")
        yield from ((path, number) for path in images)


def parts(found: dict[str, list[tuple[Path, int]]], side: int, channels: int) -> list[Part]:
    """The parts of a folder; images scaled so that the shorter side is `side`, the middle kept."""

    def pieces(images: list[tuple[Path, int]]) -> Iterator[tuple[Bytes, NDArray[np.int64]]]:
        for start in range(0, len(images), _PIECE):
            piece = images[start : start + _PIECE]
            pixels = np.stack([read_image(path, side, channels) for path, _ in piece])
            yield pixels, np.array([number for _, number in piece])

    return [Part(name, (channels, side, side), pieces(images)) for name, images in found.items()]


def read_image(path: Path, side: int, channels: int) -> Bytes:
    """An image [C, side, side], turned as its camera says, what is transparent on black.

    Bilinear with antialiasing. Grey images of 16 bits keep their upper 8.

    Raises:
        ValueError: it is damaged or no image; it is named.
    """
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            plain = _as_mode(image, _MODES[channels])
            fitted = ImageOps.fit(plain, (side, side), Image.Resampling.BILINEAR)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is too large an image: {error}") from None
    pixels = np.asarray(fitted)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    elif image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        solid = image.convert("RGBA")
        image = Image.new("RGBA", solid.size, (0, 0, 0, 255))
        image.alpha_composite(solid)
    return image.convert(mode)
