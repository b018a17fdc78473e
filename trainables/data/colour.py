"""Colours of images, changed for each image by itself, by factors that come in from outside.

Images are float [N, 3, H, W], red, green, blue; nothing is cut off at 0 and 1 unless it is said.
`brighten`, `saturate`, `contrast` and `turn_hue` are those of TensorFlow's `tf.image`, for numbers
outside 0…1 too; `grey`, `blur` and `solarize` are those of torchvision.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601, as torchvision rounds them)."""


def brighten(images: Tensor, offsets: Tensor) -> Tensor:
    """Adds a number to each image; offsets [N]."""
    return images + _of_images(offsets)


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Moves all values of a channel away from its mean (factor > 1) or to it; factors [N]."""
    mean = images.mean((2, 3), keepdim=True)
    return torch.lerp(mean, images, _of_images(factors))


def saturate(images: Tensor, factors: Tensor) -> Tensor:
    """Multiplies the saturation of HSV, to at most 1; factors [N] of at least 0.

    The largest channel V stays, x becomes V − (V − x) · min(f, V / (V − least)); where V is not
    positive, the pixel becomes grey.
    """
    most, least = images.amax(1, keepdim=True), images.amin(1, keepdim=True)
    span = most - least
    full = torch.where(span > 0, most / span, torch.inf)  # the factor of saturation 1
    factor = torch.minimum(_of_images(factors), full).clamp(min=0)
    return most - (most - images) * factor


def turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Moves the hue of HSV by so many turns of the colour wheel; turns [N], 0 and 1 are none.

    The largest and the smallest channel of a pixel keep their values; greys stay as they are.
    """
    red, green, blue = images.unbind(1)
    most, least = images.amax(1), images.amin(1)
    span = most - least
    unit = torch.where(span > 0, span, 1.0)
    hue = torch.where(
        most == red,
        (green - blue) / unit,
        torch.where(most == green, 2 + (blue - red) / unit, 4 + (red - green) / unit),
    )
    hue = (hue + 6 * _of_images(turns)[:, 0]) % 6
    shares = torch.stack([(hue - 3).abs() - 1, 2 - (hue - 2).abs(), 2 - (hue - 4).abs()], 1)
    return least[:, None] + span[:, None] * shares.clamp(0, 1)


def grey(images: Tensor, chosen: Tensor) -> Tensor:
    """The chosen images, bool [N], in grey: luma in all three channels."""
    return torch.where(_of_images(chosen), luma(images), images)


def luma(images: Tensor) -> Tensor:
    """How bright a pixel is, by red, green and blue: [N, 1, H, W]."""
    weights = images.new_tensor(_LUMA)[:, None, None]
    return (images * weights).sum(1, keepdim=True)


def solarize(images: Tensor, chosen: Tensor, threshold: float = 0.5) -> Tensor:
    """Of the chosen images, bool [N], what is at least the threshold becomes 1 − x; 0…1."""
    turned = torch.where(images >= threshold, 1 - images, images)
    return torch.where(_of_images(chosen), turned, images)


def blur(images: Tensor, deviations: Tensor, size: int) -> Tensor:
    """Blurs each image by a Gaussian of its own, [N] in pixels, of `size` × `size`, an odd number.

    Borders are mirrored. An image whose deviation is 0 stays as it is.
    """
    count, channels, height, width = images.shape
    reach = torch.arange(size, dtype=images.dtype, device=images.device) - size // 2
    kept = deviations.clamp(min=1e-3)[:, None]
    weights = torch.softmax(-0.5 * (reach / kept) ** 2, 1).repeat_interleave(channels, 0)
    half = size // 2
    flat = functional.pad(images, (half, half, half, half), mode="reflect")
    flat = flat.reshape(1, count * channels, height + 2 * half, width + 2 * half)
    groups = count * channels
    flat = functional.conv2d(flat, weights[:, None, :, None], groups=groups)
    flat = functional.conv2d(flat, weights[:, None, None, :], groups=groups)
    blurred = flat.reshape(images.shape)
    return torch.where(_of_images(deviations > 0), blurred, images)


def _of_images(values: Tensor) -> Tensor:
    """Numbers [N] as [N, 1, 1, 1]."""
    return values[:, None, None, None]
