"""The properties of an object as 19 numbers, and back.

Letters: N scenes, E entities (0 is the background), O = E − 1 rows for objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.metrics.sets import CATEGORIES, CLEVR_RANGES, WIDTH, Order, columns

Ranges = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
"""The values of x, y and z that are mapped to 0 and to 1."""

STRETCHED: Ranges = ((-3.0, 3.0), (-3.0, 3.0), (0.35, 0.7))
"""z from the half height of CLEVR's small objects to that of the large ones."""

AXES = ("x", "y", "z")


class Objects(NamedTuple):
    """Properties of predicted objects.

    `codes` from 1 of shape, size, material and color, each int64 […]; `places` […, 3] in the units
    of the scene; `confidence` […] that there is an object, 1 for a target.
    """

    codes: dict[str, Tensor]
    places: Tensor
    confidence: Tensor


def ranges(
    coordinates: Literal["clevr6", "stretched", "measured"],
    measured: Mapping[str, Sequence[float]],
) -> Ranges:
    """The ranges of an encoding: −3…3, that with z from 0.35 to 0.7, or those of the objects.

    Args:
        coordinates: which of them; `clevr6` is that of Locatello et al. 2020.
        measured: least and largest `x`, `y` and `z` of the objects, as in the manifest of a store.

    Raises:
        ValueError: to be measured, and a coordinate is not known or is the same for all objects.
    """
    if coordinates != "measured":
        return CLEVR_RANGES if coordinates == "clevr6" else STRETCHED
    found = [(float(low), float(high)) for low, high in (measured.get(a, (0, 0)) for a in AXES)]
    for axis, (low, high) in zip(AXES, found, strict=True):
        if not low < high:
            raise ValueError(
                f"target.coordinates must be 'clevr6' or 'stretched' for a set whose objects "
                f"differ in no {axis}, got 'measured'"
            )
    return found[0], found[1], found[2]


def encode(
    fields: Mapping[str, NDArray],
    *,
    order: Order = "categories_first",
    ranges: Ranges = CLEVR_RANGES,
    padding: Literal["zeros", "normalized"] = "zeros",
) -> NDArray[np.float32]:
    """Targets [N, O, 19], float32: row i is entity i + 1.

    One-hots of shape 3, size 2, material 2 and color 8, coordinates (p − low) / (high − low), and 1
    for an object, in the columns of `metrics.sets.columns`. Rows without an object are `zeros`; or
    `normalized`: so are all but the coordinates, which are those of an object at (0, 0, 0) and may
    lie outside of 0…1, where no prediction gets. Locatello et al. 2020 have zeros, coordinates
    first, and −3…3 for all three.

    Args:
        fields: `x`, `y`, `z`, `visibility` (0: no object) and the codes from 1 of `shape`, `size`,
            `material` and `color`, each [N, E].
        order: which columns come first.
        ranges: what is mapped to 0…1.
        padding: what stands in rows without an object.

    Raises:
        ValueError: an object has a code that is none; names field, scene and value.
    """
    present = _present(fields)
    rows = np.zeros((*present.shape, WIDTH), np.float32)
    place = columns(order)
    for name in CATEGORIES:
        size = place[name].stop - place[name].start
        codes = np.where(present, np.asarray(fields[name])[:, 1:], 0)
        _check(name, codes, present, size)
        rows[..., place[name]] = codes[..., None] == np.arange(1, size + 1)
    low, high = np.array(ranges).T
    points = np.stack([np.asarray(fields[axis])[:, 1:] for axis in AXES], -1)
    points = np.where(present[..., None], points, 0.0)
    rows[..., place["coordinates"]] = (points - low) / (high - low)
    if padding == "zeros":
        rows[~present] = 0
    rows[..., place["real"]] = present[..., None]
    return rows


def decode(
    objects: Tensor, *, order: Order = "categories_first", ranges: Ranges = CLEVR_RANGES
) -> Objects:
    """What predictions or targets […, 19] say: the largest score of each category, the first of
    equal ones, and coordinates in the units of the scene. Of targets the inverse of `encode`.
    """
    place = columns(order)
    codes = {name: objects[..., place[name]].max(-1).indices + 1 for name in CATEGORIES}
    low, high = torch.tensor(ranges, dtype=objects.dtype, device=objects.device).unbind(1)
    places = objects[..., place["coordinates"]] * (high - low) + low
    return Objects(codes, places, objects[..., place["real"]].squeeze(-1))


def _present(fields: Mapping[str, NDArray]) -> NDArray[np.bool_]:
    """Where, [N, O], there is an object."""
    return np.asarray(fields["visibility"])[:, 1:] != 0


def _check(name: str, codes: NDArray, present: NDArray[np.bool_], size: int) -> None:
    """Refuses objects whose category would be written as none."""
    wrong = np.argwhere(present & ((codes < 1) | (codes > size)))
    if len(wrong):
        scene, row = wrong[0]
        raise ValueError(
            f"{name} of an object must be 1 … {size}, got {codes[scene, row]} "
            f"for entity {row + 1} of scene {scene}"
        )
