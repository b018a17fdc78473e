"""Scenes like those of CLEVR: cubes, balls and cylinders of rubber or metal on a grey floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainables.synthetic.draws import draws
from trainables.synthetic.rays import (
    BALL,
    CUBE,
    CYLINDER,
    Body,
    Camera,
    Floats,
    looking,
    normalized,
)
from trainables.synthetic.records import Scene
from trainables.synthetic.rendered import Surface, World, identify, render
from trainables.synthetic.textures import plain

SIZE = 240
"""Pixels of an image's height in the published set; images are a third wider than high."""
ENTITIES = 11
SIZES = ("large", "small")
MATERIALS = ("rubber", "metal")
SHAPES = ("cube", "sphere", "cylinder")
COLORS = {
    "gray": (87, 87, 87),
    "red": (173, 35, 35),
    "blue": (42, 75, 215),
    "green": (29, 105, 20),
    "brown": (129, 74, 25),
    "purple": (129, 38, 192),
    "cyan": (41, 208, 208),
    "yellow": (255, 238, 51),
}
"""The values of the attributes, in the order of the generator of CLEVR; records count from 1."""

_UNITS = (CUBE, BALL, CYLINDER)
_RADII = np.array([0.7, 0.35])
_SPREAD = 3.0  # objects lie within ±3 of the middle
_GAP = 0.25  # at least, between the circles around two objects
_FEWEST, _MOST = 3, ENTITIES - 1
_VISIBLE = 200 / (320 * 480)  # of the image, what an object shows at least
_TRIES = 50


@dataclass(frozen=True)
class Layout:
    """The objects of a scene, O of them, from 3 to 10, and what one sees of them.

    `size`, `material`, `shape` and `color` [O] count from 0 in the order of the constants above;
    `places` [O, 3], `rotation` [O] in degrees around the vertical; `shown` [H, W] is the object at
    the centre of each pixel, −1 for the floor.
    """

    size: NDArray[np.int64]
    material: NDArray[np.int64]
    shape: NDArray[np.int64]
    color: NDArray[np.int64]
    places: Floats
    rotation: Floats
    camera: Camera
    world: World
    shown: NDArray[np.int64]

    @property
    def image(self) -> NDArray[np.uint8]:
        """The picture [H, W, 3]."""
        return render(self.world, self.camera)

    @property
    def pixel_coords(self) -> Floats:
        """Column and row of the centres in pixels, and depth, [O, 3]."""
        return self.camera.project(self.places)


def scene(seed: int, index: int, *, image_size: int) -> Scene:
    """Scene `index` of a seed: image [H, W, 3], masks [11, H, W, 1] 0/255, H the image size, W 4/3.

    Entity 0 is the background. `x`, `y`, `z`, `rotation` (degrees) and `visibility` [11],
    `pixel_coords` [11, 3] (column, row, depth) and the codes `size`, `material`, `shape` and
    `color` [11], single bytes from 1, are 0 for the background and for missing objects, but for the
    background's visibility.

    The layout follows the generator of CLEVR (Johnson et al. 2017): 3…10 objects within ±3 that
    keep a distance, each seen in at least 1/768 of the pixels, cubes smaller by √2, a jittered
    camera and lamp. What differs is the renderer.

    Raises:
        ValueError: the image is below 32 pixels high, too small for ten visible objects.
    """
    made = layout("clevr_with_masks", seed, index, height=image_size, ratio=4 / 3)
    count = len(made.size)
    mask = made.shown == np.arange(-1, ENTITIES - 1)[:, None, None]
    mask[count + 1 :] = False
    floats = {
        "x": made.places[:, 0],
        "y": made.places[:, 1],
        "z": made.places[:, 2],
        "rotation": made.rotation,
        "pixel_coords": made.pixel_coords,
    }
    codes = {name: getattr(made, name) + 1 for name in ("size", "material", "shape", "color")}
    return {
        "image": made.image,
        "mask": mask[..., None].astype(np.uint8) * np.uint8(255),
        **{name: _padded(values).astype(np.float32) for name, values in floats.items()},
        **{name: _padded(values).astype(np.uint8) for name, values in codes.items()},
        "visibility": mask.any((1, 2)).astype(np.float32),
    }


def layout(purpose: str, seed: int, index: int, *, height: int, ratio: float) -> Layout:
    """The layout of scene `index`; images are `height` pixels high and `ratio` times as wide.

    Raises:
        ValueError: the image is below 32 pixels high.
    """
    if height < 32:
        raise ValueError(f"image_size must be at least 32 for CLEVR, got {height}")
    random = draws(purpose, seed, index)
    count = int(random.integers(_FEWEST, _MOST + 1))
    camera = _camera(random, (height, round(height * ratio)))
    while True:
        found = _laid_out(random, count, camera)
        if found is None:
            continue
        shown = np.bincount(found.shown.ravel() + 1, minlength=count + 1)[1:]
        if shown.min() >= max(1, _VISIBLE * found.shown.size):
            return found


def _camera(random: np.random.Generator, size: tuple[int, int]) -> Camera:
    place = np.array([7.4, -6.5, 5.3]) + random.uniform(-0.5, 0.5, size=3)
    # A lens of 35 mm before a film 32 mm wide.
    return looking(place, np.array([0.0, 0.0, 0.2]), focal=size[1] * 35 / 32, size=size)


def _laid_out(random: np.random.Generator, count: int, camera: Camera) -> Layout | None:
    size, material = random.integers(2, size=(2, count))
    shape = random.integers(len(SHAPES), size=count)
    color = random.integers(len(COLORS), size=count)
    rotation = random.uniform(0, 360, size=count)
    lamp = np.array([-0.5, -0.6, 0.85]) + random.uniform(-0.12, 0.12, size=3)
    flat = _apart(random, _RADII[size])
    if flat is None:
        return None
    halves = np.where(SHAPES.index("cube") == shape, _RADII[size] / np.sqrt(2), _RADII[size])
    places = np.column_stack([flat, halves])
    bodies = [_body(*each) for each in zip(shape, places, halves, rotation, strict=True)]
    paints = np.array(list(COLORS.values()))[color] / 255
    world = World(
        bodies=bodies,
        colors=[plain(paint) for paint in paints],
        shine=np.where(MATERIALS.index("metal") == material, 0.55, 0.0),
        light=normalized(lamp),
        backdrop=_floor,
    )
    shown, _ = identify(world, camera)
    return Layout(size, material, shape, color, places, rotation, camera, world, shown)


def _apart(random: np.random.Generator, radii: Floats) -> Floats | None:
    """Places [O, 2] whose circles keep the gap; None if some object finds none in 50 tries."""
    places = np.empty((0, 2))
    for number, radius in enumerate(radii):
        tried = random.uniform(-_SPREAD, _SPREAD, size=(_TRIES, 1, 2))
        free = np.linalg.norm(tried - places, axis=-1) - radius - radii[:number] >= _GAP
        fits = np.flatnonzero(free.all(1))
        if not len(fits):
            return None
        places = np.concatenate([places, tried[fits[0]]])
    return places


def _body(shape: int, place: Floats, half: float, rotation: float) -> Body:
    cos, sin = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return Body(_UNITS[shape], place, np.full(3, half), turn)


def _floor(origins: Floats, rays: Floats) -> Surface:
    """An endless grey floor at z = 0, darker far from the middle, under a pale grey sky."""
    with np.errstate(divide="ignore"):
        depth = np.where(rays[:, 2] < 0, -origins[:, 2] / rays[:, 2], np.inf)
    seen = np.isfinite(depth)
    points = origins + np.where(seen, depth, 0)[:, None] * rays
    away = (points[:, :2] ** 2).sum(1)
    floor = 0.40 + 0.26 / (1 + away / 60)
    grey = np.where(seen, floor, 0.55 + 0.25 * np.clip(rays[:, 2], 0, 1))
    up = np.broadcast_to([0.0, 0.0, 1.0], rays.shape)
    return Surface(depth, up, np.repeat(grey[:, None], 3, axis=1), np.zeros(len(rays), dtype=int))


def _padded(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Values [O, …] of the objects, with zeros for the background and for missing objects."""
    rest = [(0, 0)] * (values.ndim - 1)
    return np.pad(values, [(1, ENTITIES - 1 - len(values)), *rest])
