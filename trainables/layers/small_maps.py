"""Convolutions whose gradients are fast on small maps on a CPU."""

# B images, C and O channels before and behind, h and w places behind, R and S of a kernel.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_MOST_PLACES = 256
"""B·h·w up to which the gradient of weights is faster as one product of matrices than by oneDNN:
a third of the time with 512 channels at 2 × 8 × 8 places, as much at 2 × 16 × 16 with 256."""


class Convolution(nn.Conv2d):
    """A convolution with weights, gradients and names of torch's.

    Where a batch has few places, on a CPU, the gradient of the weights [O, C, R, S] is the product
    of gradients [O, B·h·w] and windows [B·h·w, R·S·C], and can be taken once, not twice.
    """

    @classmethod
    def of(cls, given: nn.Conv2d) -> Convolution:
        """The same convolution, with the same parameters."""
        with torch.device("meta"):
            made = cls(
                given.in_channels,
                given.out_channels,
                given.kernel_size,  # pyright: ignore[reportArgumentType]
                given.stride,  # pyright: ignore[reportArgumentType]
                given.padding,  # pyright: ignore[reportArgumentType]
                given.dilation,  # pyright: ignore[reportArgumentType]
                given.groups,
                given.bias is not None,
                given.padding_mode,
            )
        made.weight, made.bias = given.weight, given.bias
        return made

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] → [B, O, h, w]."""
        if not self._is_small(input):
            return super().forward(input)
        geometry = (self.stride, self.padding, self.dilation)
        found: Any = _Convolved.apply(input, self.weight, geometry)
        return found if self.bias is None else found + self.bias[:, None, None]

    def _is_small(self, images: Tensor) -> bool:
        is_plain = self.groups == 1 and self.padding_mode == "zeros"
        is_exact = images.dtype in (torch.float32, torch.float64)
        if images.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return False
        if not (is_plain and is_exact and isinstance(self.padding, tuple) and images.ndim == 4):
            return False
        if not (torch.is_grad_enabled() and self.weight.requires_grad):
            return False
        places = images.shape[0] * images.shape[2] * images.shape[3]
        return places <= _MOST_PLACES * self.stride[0] * self.stride[1]


def with_small_maps(network: nn.Module) -> nn.Module:
    """The network with all its convolutions of torch as `Convolution`, under the same names."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Conv2d:
                setattr(parent, name, Convolution.of(child))
    return network


class _Convolved(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, images: Tensor, weight: Tensor, geometry: tuple[Any, Any, Any]
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.geometry = geometry
        return functional.conv2d(images, weight, None, *geometry)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        [gradient] = gradients
        stride, padding, dilation = ctx.geometry
        of_images = None
        if ctx.needs_input_grad[0]:
            of_images, _, _ = torch.ops.aten.convolution_backward(
                gradient,
                images,
                weight,
                None,
                *ctx.geometry,
                False,
                (0, 0),
                1,
                (True, False, False),
            )
        windows = _windows(images, weight, gradient, stride, padding, dilation)
        product = gradient.permute(1, 0, 2, 3).flatten(1) @ windows
        outputs, channels, rows, columns = weight.shape
        return of_images, product.view(outputs, rows, columns, channels).permute(0, 3, 1, 2), None


def _windows(
    images: Tensor,
    weight: Tensor,
    gradient: Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Tensor:
    """What each place looks at, [B·h·w, R·S·C]."""
    down, across = padding
    padded = functional.pad(images.permute(0, 2, 3, 1), (0, 0, across, across, down, down))
    batch, _, _, channels = padded.shape
    (height, width), (rows, columns) = gradient.shape[2:], weight.shape[2:]
    image, row, column, channel = padded.stride()
    shape = (batch, height, width, rows, columns, channels)
    steps = (image, row * stride[0], column * stride[1], row * dilation[0], column * dilation[1])
    return padded.as_strided(shape, (*steps, channel)).reshape(batch * height * width, -1)
