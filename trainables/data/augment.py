"""Augmentations drawn for each image by itself, from numbers that depend on its index alone."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2


def shift(images: Tensor, draws: Tensor, pixels: int, background: float | Tensor) -> Tensor:
    """Moves each image by −pixels … pixels in both directions; what comes in is `background`.

    Images [B, C, H, W], draws [B, 2] in [0, 1), background one number or one a channel [C, 1, 1];
    whole pixels, uniform. Same as a random crop of the image padded by `pixels`.
    """
    if pixels == 0:
        return images
    offsets = (draws * (2 * pixels + 1)).long()
    count, channels, height, width = images.shape
    padded = images.new_empty(count, channels, height + 2 * pixels, width + 2 * pixels)
    padded[:] = background
    padded[:, :, pixels : pixels + height, pixels : pixels + width] = images
    rows = offsets[:, 0, None] + torch.arange(height)
    columns = offsets[:, 1, None] + torch.arange(width)
    which = torch.arange(count)[:, None, None]
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def flip(images: Tensor, draws: Tensor) -> Tensor:
    """Mirrors those images left to right whose draw, in [0, 1), is below one half.

    Images [B, C, H, W], draws [B].
    """
    return torch.where((draws < 0.5)[:, None, None, None], images.flip(-1), images)


def turn(images: Tensor, draws: Tensor) -> Tensor:
    """Turns images [B, C, S, S] by ⌊4 · draw⌋ quarters, counter-clockwise; draws [B] in [0, 1)."""
    quarters, turned = (draws * 4).long()[:, None, None, None], images
    for number in (1, 2, 3):
        turned = torch.where(quarters == number, images.rot90(number, (2, 3)), turned)
    return turned


def crop(images: Tensor, draws: Tensor, smallest: float) -> Tensor:
    """Cuts a random square from each image and scales it back (bilinear).

    Images [B, C, H, W], draws [B, 3] in [0, 1): side from `smallest` (in 0…1) to 1 of the image's,
    uniform, and place.
    """
    if smallest == 1:
        return images
    side = smallest + (1 - smallest) * draws[:, 0]
    place = (2 * draws[:, 1:] - 1) * (1 - side)[:, None]
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = side
    theta[:, :, 2] = place
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def mix(
    images: Tensor, labels: Tensor, classes: int, *, mixup: float, cutmix: float, seed: int
) -> tuple[Tensor, Tensor]:
    """MixUp (Zhang et al. 2018) or CutMix (Yun et al. 2019) of a batch, by torchvision.

    `mixup` and `cutmix` are the α of their Beta distributions (0: off); with both on, one of them
    is drawn for each batch. Returns images [B, C, H, W] and soft labels [B, classes] that sum to 1.
    """
    kinds = [
        *([_MixUp(alpha=mixup, num_classes=classes)] if mixup > 0 else []),
        *([_CutMix(alpha=cutmix, num_classes=classes)] if cutmix > 0 else []),
    ]
    generator = torch.Generator().manual_seed(seed)
    chosen = kinds[int(torch.randint(len(kinds), (), generator=generator))]
    chosen.generator = generator
    mixed, soft = chosen(images, labels)
    return mixed, soft


class _MixUp(v2.MixUp):
    """torchvision's, but it draws from a generator of its own and not from the global one, from
    which networks may draw meanwhile.
    """

    generator: torch.Generator

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The share of the image itself."""
        return {"lam": _beta(self.alpha, self.generator)}


class _CutMix(v2.CutMix):
    """torchvision's, with a generator of its own."""

    generator: torch.Generator

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The box that is pasted, and the share of the image that stays."""
        height, width = flat_inputs[0].shape[-2:]
        half = 0.5 * math.sqrt(1.0 - _beta(self.alpha, self.generator))
        x = int(torch.randint(width, (1,), generator=self.generator))
        y = int(torch.randint(height, (1,), generator=self.generator))
        left, right = max(x - int(half * width), 0), min(x + int(half * width), width)
        top, bottom = max(y - int(half * height), 0), min(y + int(half * height), height)
        share = 1.0 - (right - left) * (bottom - top) / (width * height)
        return {"box": (left, top, right, bottom), "lam_adjusted": share}


def _beta(alpha: float, generator: torch.Generator) -> float:
    """A draw from Beta(α, α), as `torch.distributions` makes it, which takes no generator."""
    sample: Any = getattr(torch, "_sample_dirichlet")  # noqa: B009 (it has no public name)
    return float(sample(torch.tensor([[alpha, alpha]]), generator)[0, 0])


def with_partners(places: Tensor, batch_size: int, mixes: bool) -> tuple[Tensor, Tensor | None]:
    """The examples to load for these places of a batch, so that `mix` gives theirs as in the whole.

    torchvision mixes each example with the one before it, the first with the last. Returns places
    [N] with those partners put in front where they are missing, and which of them were asked for:
    None, where that is all (the whole batch, or nothing `mixes`).
    """
    before = (places - 1) % batch_size
    missing = places.roll(1) != before
    if not mixes or not missing.any():
        return places, None
    own = (1 + missing.long()).cumsum(0) - 1
    taken = places.repeat_interleave(1 + missing.long())
    taken[own[missing] - 1] = before[missing]
    return taken, own
