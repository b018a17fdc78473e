"""Views of images by the settings of a run, from draws."""

# B images, V views, C channels, S side.

from __future__ import annotations

from torch import Tensor

from trainables.core.experiment import Batch
from trainables.core.randomness import uniform
from trainables.data import infrared, multi_crop
from trainables.data import views as crops
from trainables.settings.views import Contrastive, MultiCrop
from trainables.ssl import strong


def cut(
    images: Tensor,
    settings: MultiCrop | Contrastive,
    seed: int,
    purpose: str,
    step: int,
    places: Tensor,
) -> Batch:
    """Of images [B, C, H, W], 0…1: `large_views` and, if there are any, `small_views`, 0…1.

    [B, V, C, S, S] of large and of small ones; views that are all alike are large. Draws are
    functions of the seed, the purpose, the step and the places [B].
    """

    def draws(which: str, views: int, number: int = multi_crop.DRAWS) -> Tensor:
        found = uniform(seed, f"{purpose} {which} views", step, places, views * number)
        return found.unflatten(1, (views, number))

    if isinstance(settings, Contrastive):
        number = crops.CONTRASTIVE if settings.values == "simclr" else multi_crop.DRAWS
        large = _alike(images, draws("large", settings.count, number), settings)
        return _seen({"large_views": large}, settings, seed, purpose, step, places)
    values = multi_crop.named(**settings.distortions)
    large = multi_crop.multi_crop_large(
        images, draws("large", 2), settings.size, scale=settings.area, values=values
    )
    if not settings.small.number:
        return _seen({"large_views": large}, settings, seed, purpose, step, places)
    small = multi_crop.multi_crop_small(
        images,
        draws("small", settings.small.number),
        settings.small_size,
        scale=settings.small.area,
        local=settings.small.local,
        values=values,
    )
    found = {"large_views": large, "small_views": small}
    return _seen(found, settings, seed, purpose, step, places)


def _seen(
    views: Batch,
    settings: MultiCrop | Contrastive,
    seed: int,
    purpose: str,
    step: int,
    places: Tensor,
) -> Batch:
    """Views [B, V, C, S, S] by name, strongly augmented, and then as an infrared camera sees them:
    shifted, with noise."""
    camera, found = settings.infrared, dict(views)
    for name, one in views.items():
        found[name] = strong.augmented(one, settings, seed, f"{purpose} {name}", step, places)
        if camera.shift:
            draws = uniform(seed, f"{purpose} {name} shift", step, places, one.shape[1])
            found[name] = infrared.with_shift(found[name], draws, camera.shift)
        if camera.noise:
            draws = uniform(seed, f"{purpose} {name} noise", step, places, one[0].numel())
            found[name] = infrared.with_noise(found[name], draws, camera.noise)
    return found


def _alike(images: Tensor, draws: Tensor, settings: Contrastive) -> Tensor:
    """Views that are all made alike, as CIFAR's or as SimCLR's."""
    given = {"scale": settings.area}
    if settings.values == "simclr":
        return crops.contrastive(images, draws, settings.size, **given, **settings.distortions)
    values = multi_crop.named(**settings.distortions)
    return multi_crop.jittered(images, draws, settings.size, **given, values=values)
