"""Strong augmentation by the settings of a run, from draws."""

# B images, V views, C channels.

from __future__ import annotations

from torch import Tensor

from trainables.core.experiment import Batch
from trainables.core.randomness import uniform
from trainables.data import erasing, strong_augment
from trainables.settings.strong import (
    AugMix,
    AutoAugment,
    Plain,
    RandAugment,
    Strengthened,
    arguments,
)

_MADE = {
    "rand_augment": strong_augment.rand_augment,
    "auto_augment": strong_augment.auto_augment,
    "aug_mix": strong_augment.aug_mix,
}


def augmented(
    views: Tensor, settings: Strengthened, seed: int, purpose: str, step: int, places: Tensor
) -> Tensor:
    """Views [B, V, C, H, W], 0…1, by the operations that are asked for: of the same shape, 0…1.

    Draws are functions of the seed, the purpose, the step and the places [B].
    """
    kind = settings.strong.kind
    if kind == "none":
        return views
    count, number = views.shape[1], _number(settings.strong)
    draws = uniform(seed, f"{purpose} {kind}", step, places, count * number)
    flat = _MADE[kind](views.flatten(0, 1), draws.reshape(-1, number), **arguments(settings.strong))
    return flat.unflatten(0, views.shape[:2])


def covered(
    views: Tensor, settings: Strengthened, seed: int, purpose: str, step: int, places: Tensor
) -> Tensor:
    """Standardised views [B, V, C, H, W], of which parts become 0, the mean. Draws as there."""
    flat, count = views.flatten(0, 1), views.shape[1]

    def draws(what: str, number: int) -> Tensor:
        found = uniform(seed, f"{purpose} {what}", step, places, count * number)
        return found.reshape(-1, number)

    if rate := settings.erasing.rate:
        area = settings.erasing.min_area, settings.erasing.max_area
        flat = erasing.erase(flat, draws("erasing", erasing.ERASE), rate=rate, area=area)
    if side := settings.cutout:
        flat = erasing.cutout(flat, draws("cutout", 2), side=side)
    return flat.unflatten(0, views.shape[:2])


def all_covered(
    batch: Batch, settings: Strengthened, seed: int, purpose: str, step: int, places: Tensor
) -> Batch:
    """`covered` of each of several tensors of views by name."""
    return {
        name: covered(one, settings, seed, f"{purpose} {name}", step, places)
        for name, one in batch.items()
    }


def _number(settings: Plain | RandAugment | AutoAugment | AugMix) -> int:
    """How many draws an image takes."""
    if isinstance(settings, RandAugment):
        return 2 * settings.operations
    if isinstance(settings, AugMix):
        return strong_augment.aug_mix_draws(settings.chains)
    return strong_augment.AUTO_AUGMENT
