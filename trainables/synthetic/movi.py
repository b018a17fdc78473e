"""Clips like those of MOVi-C, D and E: textured objects that fall among others, from a camera.

F frames, O objects.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.synthetic import records
from trainables.synthetic.draws import draws
from trainables.synthetic.motion import Motion, moving
from trainables.synthetic.pngs import png
from trainables.synthetic.rays import Body, Camera, Floats, looking, normalized
from trainables.synthetic.records import Scene
from trainables.synthetic.rendered import Surface, World, identify, render
from trainables.synthetic.splits import counts, shared_out
from trainables.synthetic.textures import Texture, checks, hues, stripes, waves

SIZE = 256
"""Pixels of an image's side in the published sets."""
FRAMES = 24
SHARES = {"train": 80, "validation": 10, "test": 10}
"""In which proportion the splits get clips."""

_FOCAL, _FILM = 35.0, 32.0  # millimetres
_DISTANCE = (8.5, 10.5)
_PATH = 3.0  # how far at most a moving camera goes


class Variant(NamedTuple):
    """Least and most objects that fall and that lie, whether the camera moves, and how large
    objects are and how far from the middle.
    """

    falling: tuple[int, int]
    lying: tuple[int, int]
    camera_moves: bool
    sizes: tuple[float, float]
    spread: float


VARIANTS = {
    "c": Variant((3, 10), (0, 0), False, (0.5, 0.9), 3.2),
    "d": Variant((1, 3), (10, 20), False, (0.3, 0.6), 4.2),
    "e": Variant((1, 3), (10, 20), True, (0.3, 0.6), 4.2),
}
"""The published sets."""


def clip(seed: int, index: int, *, image_size: int, variant: str, frames: int = FRAMES) -> Scene:
    """Clip `index` of a seed, at 12 frames a second, as a record of TensorFlow Datasets.

    `video` and `segmentations` are F images as PNG, the latter with one channel: 0 the background,
    i + 1 object i. `metadata/…` says the name, sizes and `num_instances`, `instances/…` lists the
    objects one after the other: `image_positions` [O, F, 2] column and row in 0…1 of the image (out
    of it, less or more), `positions` [O, F, 3], `visibility` [O, F] in pixels, `is_dynamic` [O];
    `camera/…` the lens, and `positions` [F, 3].

    Numbers of objects, and what of it moves, are those of the Kubric data sets (Greff et al. 2022);
    instead of scanned objects before photographs there are simple bodies with textures, and motion
    follows rules instead of a physics engine. No two objects meet.

    Raises:
        ValueError: the image is below 16 pixels, or there is no frame.
    """
    if image_size < 16:
        raise ValueError(f"image_size must be at least 16 for MOVi, got {image_size}")
    if frames < 1:
        raise ValueError(f"frames must be at least 1, got {frames}")
    chosen = VARIANTS[variant]
    random = draws(f"movi_{variant}", seed, index)
    falling, lying = (int(random.integers(a, b + 1)) for a, b in chosen[:2])
    motions: list[Motion] = []
    for number in range(lying + falling):
        motion = moving(
            random,
            frames,
            falls=number >= lying,
            others=motions,
            spread=chosen.spread,
            sizes=chosen.sizes,
        )
        motions.append(motion)
    is_dynamic = np.arange(lying + falling) >= lying
    order = random.permutation(len(motions))
    stage = _Stage(random, [motions[number] for number in order])
    cameras = _cameras(random, image_size, frames, moves=chosen.camera_moves)
    return _record(index, stage, cameras, is_dynamic[order])


def write(folder: Path, clips: Iterable[Scene], count: int, *, name: str) -> None:
    """Writes `<name>-<split>.tfrecord-<shard>-of-<shards>`, two shards a split, not compressed."""
    for split, own in shared_out(clips, count, SHARES):
        number = counts(count, SHARES)[split]
        shards = min(2, number)
        for shard in range(shards):
            part = itertools.islice(own, number // shards + (shard < number % shards))
            path = folder / f"{name}-{split}.tfrecord-{shard:05d}-of-{shards:05d}"
            records.write(path, part, gzip=False)


def _record(
    index: int, stage: _Stage, cameras: list[Camera], is_dynamic: NDArray[np.bool_]
) -> Scene:
    side, frames, count = cameras[0].size[0], len(cameras), len(stage.motions)
    worlds = [stage.at(frame) for frame in range(frames)]
    shown = [identify(world, camera)[0] for world, camera in zip(worlds, cameras, strict=True)]
    labels = [(body + 1).astype(np.uint8) for body in shown]
    places = np.stack([motion.centres for motion in stage.motions])
    seen = np.stack([camera.project(places[:, f]) for f, camera in enumerate(cameras)], axis=1)
    visible = np.stack([np.bincount(x.ravel(), minlength=count + 1)[1:] for x in labels], axis=1)
    images = [render(world, camera) for world, camera in zip(worlds, cameras, strict=True)]
    return {
        "video": [png(image) for image in images],
        "segmentations": [png(label) for label in labels],
        "metadata/video_name": [str(index).encode()],
        "metadata/width": np.array([side]),
        "metadata/height": np.array([side]),
        "metadata/num_frames": np.array([frames]),
        "metadata/num_instances": np.array([count]),
        "background": [b"textured"],
        "instances/image_positions": (seen[..., :2] / side).astype(np.float32),
        "instances/positions": places.astype(np.float32),
        "instances/visibility": visible,
        "instances/is_dynamic": is_dynamic.astype(np.int64),
        "camera/focal_length": np.array([_FOCAL], dtype=np.float32),
        "camera/sensor_width": np.array([_FILM], dtype=np.float32),
        "camera/positions": np.stack([each.place for each in cameras]).astype(np.float32),
    }


def _cameras(random: np.random.Generator, side: int, frames: int, *, moves: bool) -> list[Camera]:
    """Around the scene and above it, looking at its middle; a moving one goes straight on."""
    angle, height = random.uniform(0, 2 * np.pi), random.uniform(0.35, 0.75)
    flat = np.sqrt(1 - height**2)
    start = random.uniform(*_DISTANCE) * np.array(
        [flat * np.cos(angle), flat * np.sin(angle), height]
    )
    path = normalized(random.normal(size=3) * [1, 1, 0.3]) * random.uniform(0.5, 1) * _PATH
    middle = np.array([0.0, 0.0, 0.5])
    share = np.linspace(0, 1, frames) if moves else np.zeros(frames)
    focal = side * _FOCAL / _FILM
    return [looking(start + x * path, middle, focal=focal, size=(side, side)) for x in share]


class _Stage:
    """The textured objects of a clip, its lamp and what is around, at any frame."""

    def __init__(self, random: np.random.Generator, motions: list[Motion]) -> None:
        self.motions = motions
        self.textures = [_texture(random) for _ in motions]
        self.shine = np.where(random.random(len(motions)) < 0.2, 0.3, 0.0)
        self.light = normalized(np.append(random.uniform(-0.7, 0.7, size=2), 1.0))
        self.backdrop = _Outdoors(random)

    def at(self, frame: int) -> World:
        bodies = [motion.at(frame) for motion in self.motions]
        pairs = zip(bodies, self.textures, strict=True)
        colors = [_within(body, texture) for body, texture in pairs]
        return World(bodies, colors, self.shine, self.light, self.backdrop)


def _texture(random: np.random.Generator) -> Texture:
    colors = hues(random, 2, saturation=(0.2, 0.9), value=(0.25, 1.0))
    kind = random.integers(3)
    if kind == 0:
        return stripes(random, colors, period=random.uniform(0.3, 0.9))
    if kind == 1:
        return checks(random, colors, period=random.uniform(0.6, 1.4))
    third = hues(random, 1, saturation=(0.2, 0.9), value=(0.25, 1.0))
    return waves(random, np.concatenate([colors, third]), longest=random.uniform(0.8, 2.0))


def _within(body: Body, texture: Texture) -> Texture:
    """A texture that moves with a body, in units of its half sizes."""
    inner = body.turn / body.halves
    return lambda places: texture((places - body.centre) @ inner)


class _Outdoors:
    """A textured floor at z = 0 that fades into a clouded dome."""

    def __init__(self, random: np.random.Generator) -> None:
        ground = hues(random, 3, saturation=(0.05, 0.6), value=(0.25, 0.85))
        dome = hues(random, 4, saturation=(0.05, 0.5), value=(0.35, 1.0))
        self.ground = waves(random, ground, longest=random.uniform(2, 8))
        self.dome = waves(random, dome, longest=random.uniform(0.5, 1.5))

    def __call__(self, origins: Floats, rays: Floats) -> Surface:
        with np.errstate(divide="ignore"):
            depth = np.where(rays[:, 2] < 0, -origins[:, 2] / rays[:, 2], np.inf)
        directions = normalized(rays)
        color = np.empty_like(rays)
        below = np.isfinite(depth)
        color[~below] = self.dome(directions[~below])
        starts = origins if len(origins) == 1 else origins[below]
        floor = starts + depth[below, None] * rays[below]
        away = np.exp(-((floor[:, :2] ** 2).sum(1) / 30**2))[:, None]
        color[below] = away * self.ground(floor) + (1 - away) * self.dome(directions[below])
        depth = np.where(depth < 1e3, depth, np.inf)
        up = np.broadcast_to([0.0, 0.0, 1.0], rays.shape)
        return Surface(depth, up, color, np.zeros(len(rays), dtype=int))
