"""Metrics of segments and sets: adjusted Rand index, label maps, entropy, average precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.beside.pairing import Case, Sides, original
from trainables.metrics.label_maps import enlarged_label_map, label_map, resized
from trainables.metrics.segments import adjusted_rand, contingency, foreground, mass_entropy
from trainables.metrics.sets import THRESHOLDS, WIDTH, average_precision

IMAGES, LABELS = 64, 11
GRID, PIXELS = 28, 224
"""Patches of a network, and pixels of the masks that are compared."""
OBJECTS, SCENES = 10, 128

_CATEGORIES = (3, 2, 2, 8)


def cases() -> list[Case]:
    """Each is compared and timed, on numbers that are drawn."""
    built: dict[str, Callable[[], Sides]] = {
        f"ARI and F-ARI of masks, {IMAGES} × {size}²": partial(_of_masks, size)
        for size in (64, 128)
    }
    built |= {
        f"ARI and F-ARI of label maps, {IMAGES} × {size}²": partial(_of_labels, size)
        for size in (64, 128, PIXELS)
    }
    built |= {
        "masks to labels, 16 × 28² to 224², bilinear": partial(_enlarged, True),
        "masks to labels, 16 × 28² to 224², nearest": partial(_enlarged, False),
        f"labels, {IMAGES} × 256² to 224²": _resized,
        "entropy of masses": _entropy,
    }
    sets = {
        f"AP at 5 distances, {SCENES} × {slots} slots": partial(_sets, slots) for slots in (10, 21)
    }
    return [Case(name, build, is_timed=True) for name, build in (built | sets).items()]


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _true(size: int, generator: torch.Generator) -> Tensor:
    """True labels [B, S, S] in blocks of 8 × 8."""
    blocks = torch.randint(0, LABELS, (IMAGES, size // 8, size // 8), generator=generator)
    return blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)


def _scores(true: Tensor, found: Tensor) -> dict[str, Tensor]:
    counts = contingency(true, found, LABELS, LABELS)
    return {"ari": adjusted_rand(counts), "foreground": adjusted_rand(foreground(counts))}


def _of_masks(size: int) -> Sides:
    """From one-hot true masks and soft found ones, as training evaluates them."""
    generator = _generator()
    true = _true(size, generator)
    one_hot = functional.one_hot(true, LABELS)
    masks = torch.rand(IMAGES, LABELS, size, size, generator=generator)
    masks = masks.add(one_hot.permute(0, 3, 1, 2) * 0.5).softmax(1)
    arrays = one_hot.numpy(), masks.permute(0, 2, 3, 1).numpy()
    theirs, labels = original("object_discovery.losses").adjusted_rand_index, true.byte()

    def original_step() -> dict[str, Any]:
        return dict(zip(("ari", "foreground"), theirs(*arrays), strict=True))

    return Sides(original_step, lambda: _scores(labels, label_map(masks)))


def _of_labels(size: int) -> Sides:
    """From label maps, of which four tenths of the pixels are drawn anew."""
    generator = _generator()
    true = _true(size, generator)
    kept = torch.rand(IMAGES, size, size, generator=generator) < 0.6
    others = torch.randint(0, LABELS, (IMAGES, size, size), generator=generator)
    found = torch.where(kept, true, others)
    arrays = true.numpy(), found.numpy()
    theirs, labels = original("dinosaur.utils").adjusted_rand_index, true.byte()

    def original_step() -> dict[str, Any]:
        return {"ari": theirs(*arrays), "foreground": theirs(*arrays, with_background=False)}

    return Sides(original_step, lambda: _scores(labels, found))


def _attention() -> Tensor:
    return torch.rand(16, LABELS, GRID * GRID, generator=_generator()).softmax(1)


def _enlarged(is_smooth: bool) -> Sides:
    """Which of the masks of 28 × 28 patches is largest at each of 224 × 224 pixels."""
    attention = _attention()
    theirs = original("dinosaur.utils").compute_upscaling_segmentations
    maps, size = attention.unflatten(2, (GRID, GRID)), (PIXELS, PIXELS)
    kind = "bilinear" if is_smooth else "nearest"
    return Sides(
        lambda: {"labels": theirs(attention, is_smooth)[1]},
        lambda: {"labels": enlarged_label_map(maps, size, kind)},
    )


def _resized() -> Sides:
    """True label maps at the size of the masks."""
    labels = torch.randint(0, LABELS, (IMAGES, 256, 256), generator=_generator()).byte()
    array, theirs = labels.numpy(), original("dinosaur.utils").nearest_neighbor_scaling
    return Sides(
        lambda: {"labels": theirs(array, (-1, PIXELS, PIXELS))},
        lambda: {"labels": resized(labels, (PIXELS, PIXELS), "rounded")},
    )


def _entropy() -> Sides:
    attention, theirs = _attention(), original("dinosaur.utils").marginal_entropy
    return Sides(
        lambda: {"entropy": theirs(attention)}, lambda: {"entropy": mass_entropy(attention)}
    )


def _sets(slots: int) -> Sides:
    """Three to ten objects a scene, and predictions that are these with noise, in any order."""
    generator = _generator()
    shape = (SCENES, OBJECTS)
    one_hot = [
        functional.one_hot(torch.randint(0, width, shape, generator=generator), width)
        for width in _CATEGORIES
    ]
    places = torch.rand(*shape, 3, generator=generator)
    targets = torch.cat([*one_hot, places, torch.ones(*shape, 1)], -1)
    objects = torch.randint(3, OBJECTS + 1, (SCENES, 1), generator=generator)
    targets = targets * (torch.arange(OBJECTS) < objects)[..., None]
    order = torch.rand(SCENES, 21, generator=generator).argsort(1)[:, :slots] % OBJECTS
    deviation = torch.tensor([0.25] * sum(_CATEGORIES) + [0.03] * 3 + [0.3])
    near = targets.gather(1, order[..., None].expand(-1, -1, WIDTH))
    found = near + deviation * torch.randn(SCENES, slots, WIDTH, generator=generator)
    arrays = found.numpy(), targets.numpy()
    distances = [-1 if math.isinf(one) else one for one in THRESHOLDS]
    theirs = original("property_prediction.metrics").average_precision_clevr
    return Sides(
        lambda: {"precision": [theirs(*arrays, distance) for distance in distances]},
        lambda: {"precision": average_precision(found, targets)},
    )
