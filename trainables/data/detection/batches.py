"""Batches of pictures with boxes: all of a batch planned, some of it decoded.

A batch is a dictionary of tensors; B pictures of this part, G of the whole batch, N boxes (those of
the picture that has the most in the whole batch, at least 1):

- `images` float [B, 3, h, w], standardised; h and w are the largest of the whole batch, and what a
  picture does not fill, at the bottom and right, is 0;
- `sizes` int64 [B, 2] its height and width within that, `original_sizes` [B, 2] those of its file;
- `image_ids` int64 [B] its number in the annotations, `examples` int64 [B] in the split;
- `boxes` float [B, N, 4] centre (column, row), width, height in 0…1 of the picture; `classes` int64
  [B, N]; the first `counts` int64 [B] of them are real, the others 0;
- `batch_counts` int64 [B, G] the counts of the whole batch, the same in each row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from trainables.data.detection.geometry import (
    Augmentation,
    Plan,
    Resizing,
    as_draws,
    evaluation_plan,
    pixels,
    training_plan,
)
from trainables.data.detection.pictures import begun, decoded
from trainables.data.detection.store import Split

Batch = dict[str, Tensor]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
"""Of red, green and blue in 0…1, by which networks trained on ImageNet expect standardisation."""


def batch(
    split: Split,
    examples: Sequence[int],
    places: Sequence[int],
    *,
    how: Augmentation | Resizing,
    draws: Tensor | None = None,
    mean: Sequence[float] = IMAGENET_MEAN,
    deviation: Sequence[float] = IMAGENET_DEVIATION,
    threads: int = 2,
) -> Batch:
    """The part of a batch that is at some of its places.

    Parts of one batch, joined, equal it bit for bit: only their own pictures are decoded, but all
    are planned.

    Args:
        split: what the examples are of.
        examples: G of them, those of the whole batch.
        places: B of 0 … G − 1, those of this part.
        how: an augmentation, for training, or a size, for evaluation.
        draws: [G, `how.draws`] in [0, 1), of each example, for an augmentation.
        mean: of each channel in 0…1; with `deviation` what pictures are standardised by.
        deviation: of each channel.
        threads: so many decode at once.

    Raises:
        ValueError: draws and augmentation do not go together, a place is not in the batch, a
            deviation is not above 0, or a picture is not as annotated.
    """
    return _begun(split, examples, places, how, draws, _Scaling(mean, deviation), threads)()


def evaluation_batches(
    split: Split,
    examples: Sequence[int],
    batch_size: int,
    *,
    how: Resizing,
    mean: Sequence[float] = IMAGENET_MEAN,
    deviation: Sequence[float] = IMAGENET_DEVIATION,
    threads: int = 2,
) -> Iterator[Batch]:
    """Whole batches of examples in their order, the last one with what is left.

    The next one is decoded while one is looked at.

    Raises:
        ValueError: as of `batch`, or the size is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    scaling = _Scaling(mean, deviation)
    before: Callable[[], Batch] | None = None
    for start in range(0, len(examples), batch_size):
        these = examples[start : start + batch_size]
        following = _begun(split, these, range(len(these)), how, None, scaling, threads)
        if before is not None:
            yield before()
        before = following
    if before is not None:
        yield before()


class _Scaling:
    """Standardises pixels 0…255 in place, (x ÷ 255 − mean) ÷ deviation, by two operations."""

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        if len(mean) != 3 or len(deviation) != 3 or min(deviation) <= 0:
            raise ValueError(
                f"mean and deviation must be of three channels, deviation above 0, got "
                f"{list(mean)} and {list(deviation)}"
            )
        means, deviations = (
            torch.tensor(list(values), dtype=torch.float64)[:, None, None]
            for values in (mean, deviation)
        )
        self._factor = (1 / (255 * deviations)).float()
        self._shift = (-means / deviations).float()

    def __call__(self, images: Tensor) -> None:
        images.mul_(self._factor).add_(self._shift)


def _begun(
    split: Split,
    examples: Sequence[int],
    places: Sequence[int],
    how: Augmentation | Resizing,
    draws: Tensor | None,
    scaling: _Scaling,
    threads: int,
) -> Callable[[], Batch]:
    """Plans a batch and begins to decode a part of it; the function that waits for that."""
    examples, places = [int(one) for one in examples], [int(one) for one in places]
    if not places or not 0 <= min(places) <= max(places) < len(examples):
        raise ValueError(f"places must be some of 0…{len(examples) - 1}, got {places}")
    plans, classes = _plans(split, examples, how, draws)
    height, width = (max(plan.size[axis] for plan in plans) for axis in (0, 1))
    with torch.inference_mode(False):  # threads fill it, and each thread has a mode of its own
        images = torch.zeros(len(places), 3, height, width)

    def fill(row: int) -> None:
        plan, example = plans[places[row]], examples[places[row]]
        here = images[row, :, : plan.size[0], : plan.size[1]]
        here.copy_(pixels(plan, decoded(split.path(example), plan.source)))
        scaling(here)

    pending = begun(fill, len(places), threads)

    def finished() -> Batch:
        for one in pending:
            one.result()
        return {"images": images, **_facts(split, examples, places, plans, classes)}

    return finished


def _plans(
    split: Split, examples: Sequence[int], how: Augmentation | Resizing, draws: Tensor | None
) -> tuple[list[Plan], list[Tensor]]:
    """The plan of each example of a whole batch, and the classes of its boxes."""
    if isinstance(how, Resizing) != (draws is None):
        raise ValueError("draws must be given with an augmentation, and only then")
    numbers = [] if draws is None or isinstance(how, Resizing) else as_draws(draws, how.draws)
    if draws is not None and len(numbers) != len(examples):
        raise ValueError(f"draws must be of the {len(examples)} examples, got {len(numbers)}")
    plans: list[Plan] = []
    classes: list[Tensor] = []
    for place, example in enumerate(examples):
        targets, size = split.targets(example), split.size(example)
        if isinstance(how, Resizing):
            plan = evaluation_plan(size, targets.boxes, targets.areas, how)
        else:
            plan = training_plan(size, targets.boxes, targets.areas, numbers[place], how)
        plans.append(plan)
        classes.append(torch.from_numpy(targets.classes[plan.kept]))
    return plans, classes


def _facts(
    split: Split,
    examples: Sequence[int],
    places: Sequence[int],
    plans: Sequence[Plan],
    classes: Sequence[Tensor],
) -> Batch:
    """All of a part but its pixels."""
    counts = torch.tensor([len(plan.kept) for plan in plans])
    most = max(1, int(counts.max()))
    boxes = torch.zeros(len(places), most, 4)
    labels = torch.zeros(len(places), most, dtype=torch.int64)
    for row, place in enumerate(places):
        count = len(plans[place].kept)
        boxes[row, :count] = torch.from_numpy(plans[place].boxes)
        labels[row, :count] = classes[place]
    chosen = torch.tensor([examples[place] for place in places])
    return {
        "sizes": torch.tensor([plans[place].size for place in places]),
        "original_sizes": torch.tensor([plans[place].source for place in places]),
        "image_ids": torch.from_numpy(split.image_ids[chosen.numpy()]),
        "examples": chosen,
        "boxes": boxes,
        "classes": labels,
        "counts": counts[places],
        "batch_counts": counts.repeat(len(places), 1),
    }
