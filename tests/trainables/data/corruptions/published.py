"""What the published code made of one picture, in 0…255.

hendrycks/robustness (8190fe3), ImageNet-C/create_c/make_cifar_c.py and make_imagenet_c.py, with the
draws of `drawn`; motion as in imagecorruptions 1.1.2, which has ImageMagick's in Python.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.core.randomness import uniform
from trainables.data.corruptions.noise import Draws

PUBLISHED = [
    # table, corruption, severity: pixels (0, 5, 9), (1, 16, 30), (2, 31, 2), 7 times as far in
    # pictures of 224 pixels, and the mean
    ("cifar", "gaussian_noise", 1, (84.97, 158.68, 126.24, 127.01)),
    ("cifar", "gaussian_noise", 3, (116.21, 115.91, 158.91, 127.28)),
    ("cifar", "gaussian_noise", 5, (87.36, 149.61, 156.88, 127.08)),
    ("cifar", "shot_noise", 1, (96.9, 139.23, 142.29, 126.69)),
    ("cifar", "shot_noise", 3, (104.55, 140.25, 140.25, 126.45)),
    ("cifar", "shot_noise", 5, (91.8, 127.5, 127.5, 127.17)),
    ("cifar", "impulse_noise", 1, (96.0, 138.0, 142.0, 126.99)),
    ("cifar", "impulse_noise", 3, (96.0, 138.0, 142.0, 127.47)),
    ("cifar", "impulse_noise", 5, (96.0, 138.0, 142.0, 127.16)),
    ("cifar", "defocus_blur", 1, (96.45, 137.48, 137.1, 126.88)),
    ("cifar", "defocus_blur", 3, (97.86, 135.86, 122.14, 126.91)),
    ("cifar", "defocus_blur", 5, (99.78, 133.78, 103.11, 126.96)),
    ("cifar", "glass_blur", 1, (96.0, 138.0, 142.0, 126.97)),
    ("cifar", "glass_blur", 3, (88.66, 138.15, 88.81, 126.54)),
    ("cifar", "glass_blur", 5, (86.24, 132.3, 84.23, 126.68)),
    ("cifar", "motion_blur", 1, (102.94, 135.26, 144.76, 126.87)),
    ("cifar", "motion_blur", 3, (135.04, 101.45, 148.2, 126.84)),
    ("cifar", "motion_blur", 5, (111.63, 149.03, 138.27, 126.8)),
    ("cifar", "zoom_blur", 1, (92.55, 139.35, 95.78, 127.92)),
    ("cifar", "zoom_blur", 3, (102.71, 133.28, 84.31, 129.52)),
    ("cifar", "zoom_blur", 5, (114.16, 121.3, 82.55, 131.36)),
    ("cifar", "snow", 1, (109.76, 147.12, 152.64, 139.44)),
    ("cifar", "snow", 3, (184.74, 156.53, 163.27, 155.17)),
    ("cifar", "snow", 5, (153.48, 220.4, 200.63, 179.25)),
    ("cifar", "fog", 1, (102.93, 143.06, 127.48, 129.31)),
    ("cifar", "fog", 3, (98.83, 96.41, 158.0, 112.01)),
    ("cifar", "fog", 5, (103.65, 172.18, 176.65, 116.95)),
    ("cifar", "brightness", 1, (101.54, 150.75, 153.46, 136.78)),
    ("cifar", "brightness", 3, (110.77, 176.25, 176.38, 155.02)),
    ("cifar", "brightness", 5, (110.77, 214.5, 210.75, 176.44)),
    ("cifar", "contrast", 1, (103.72, 135.22, 138.21, 126.86)),
    ("cifar", "contrast", 3, (114.53, 131.32, 132.91, 126.86)),
    ("cifar", "contrast", 5, (122.25, 128.54, 129.12, 126.86)),
    ("cifar", "elastic_transform", 1, (103.25, 65.69, 62.65, 124.99)),
    ("cifar", "elastic_transform", 3, (109.0, 86.94, 81.76, 129.79)),
    ("cifar", "elastic_transform", 5, (108.08, 136.94, 85.46, 127.67)),
    ("cifar", "pixelate", 1, (96.0, 138.0, 142.0, 126.92)),
    ("cifar", "pixelate", 3, (104.0, 150.0, 148.0, 127.03)),
    ("cifar", "pixelate", 5, (93.0, 117.0, 114.0, 127.25)),
    ("cifar", "jpeg_compression", 1, (103.0, 131.0, 129.0, 126.8)),
    ("cifar", "jpeg_compression", 3, (98.0, 121.0, 146.0, 127.02)),
    ("cifar", "jpeg_compression", 5, (116.0, 135.0, 119.0, 127.2)),
    ("cifar", "speckle_noise", 1, (93.86, 132.09, 150.26, 126.89)),
    ("cifar", "speckle_noise", 3, (98.79, 151.39, 134.95, 126.53)),
    ("cifar", "speckle_noise", 5, (96.08, 128.56, 127.63, 125.88)),
    ("cifar", "gaussian_blur", 1, (96.45, 137.48, 139.39, 126.86)),
    ("cifar", "gaussian_blur", 3, (98.73, 135.12, 127.81, 126.86)),
    ("cifar", "gaussian_blur", 5, (101.49, 133.31, 119.8, 126.84)),
    ("cifar", "spatter", 5, (96.0, 138.0, 142.0, 119.77)),
    ("cifar", "saturate", 1, (183.5, 138.0, 153.2, 155.47)),
    ("cifar", "saturate", 3, (33.5, 138.0, 134.0, 111.72)),
    ("cifar", "saturate", 5, (0.0, 138.0, 86.4, 96.1)),
    ("imagenet", "defocus_blur", 3, (97.14, 136.73, 140.74, 126.91)),
    ("imagenet", "motion_blur", 3, (118.58, 111.31, 166.79, 126.9)),
    ("imagenet", "zoom_blur", 3, (121.81, 134.88, 107.68, 130.09)),
    ("imagenet", "snow", 3, (178.57, 252.43, 205.82, 199.05)),
    ("imagenet", "fog", 3, (119.24, 120.47, 144.34, 108.01)),
    ("imagenet", "contrast", 3, (120.72, 129.13, 129.94, 126.91)),
    ("imagenet", "elastic_transform", 3, (100.13, 115.59, 122.98, 127.85)),
    ("imagenet", "pixelate", 3, (100.0, 141.0, 141.0, 127.09)),
    ("imagenet", "jpeg_compression", 3, (94.0, 127.0, 148.0, 127.05)),
]


def picture(side: int) -> Tensor:
    """[1, 3, side, side], 0…1, of bytes."""
    rows = torch.arange(side, dtype=torch.float64)[:, None]
    columns = torch.arange(side, dtype=torch.float64)
    waves = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)[:, None, None]
    values = torch.sin(6.4 * (waves * rows + columns) / side) * torch.cos(9 * columns / side)
    return ((0.5 + 0.45 * values) * 255).round().float()[None] / 255


def drawn(name: str, severity: int, images: int = 1) -> Draws:
    """Uniform numbers that depend on name, severity, and on what they are for."""
    return lambda what, count: uniform(
        7, f"{name} {severity} {what}", 0, torch.arange(images), count
    )
