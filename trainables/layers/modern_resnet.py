"""A residual network that becomes ConvNeXt by choices, one after another."""

# B images, C channels, S side, D width of features.

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.blocks import DropPath
from trainables.layers.checks import check_choice
from trainables.layers.residual import scaled

Stem = Literal["pool", "patches"]
Activation = Literal["relu", "gelu"]
MapNorm = Literal["batch", "layer"]
_EXPANSION = 4
_ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


class ModernResNet(nn.Module):
    """ResNet-50 (He et al. 2016), with what Liu et al. 2022 (section 2, table 10) did to it.

    The defaults are ResNet-50. ConvNeXt-T has blocks (3, 3, 9, 3), width 96, a stem of patches, a
    kernel of 7, GELU, LN, and all other choices, with a layer scale of 1e-6.

    Args:
        channels: of the images.
        classes: 0: no last layer, the features are the output.
        width: channels behind the stem; from stage to stage they double.
        blocks: of the four stages, of which all but the first halve the side.
        stem: `pool`: a convolution 7 × 7 and the largest of 3 × 3, with a stride of 2 each;
            `patches`: a convolution 4 × 4 with a stride of 4.
        depthwise: whether the spatial convolution is by channel.
        inverted: whether the inner width of blocks is four times the outer one, which is that of
            the stage, and not the outer one four times the inner.
        depthwise_first: whether the spatial convolution comes before the two of 1 × 1, and not
            between them.
        kernel_size: of the spatial convolution, odd.
        activation: `relu` or `gelu`.
        fewer_activations: one in each block, in front of its last convolution, none in the stem.
        fewer_norms: one in each block, behind the spatial convolution; shortcuts keep theirs.
        norm: over the batch, or over the channels of a place (ε 1e-6).
        separate_downsampling: whether between stages there are a norm and a convolution 2 × 2 with
            a stride of 2, and a norm behind the mean over places.
        layer_scale: what branches are multiplied by at first, channel by channel (0: by nothing).
        drop_path: of the last block; from block to block it grows from 0.
        scale_to: images are brought to this side first, bilinearly (None: as they are).

    Raises:
        LookupError: there is no such choice.
        ValueError: the kernel is even.
    """

    def __init__(
        self,
        *,
        channels: int,
        classes: int,
        width: int = 64,
        blocks: tuple[int, ...] = (3, 4, 6, 3),
        stem: Stem = "pool",
        depthwise: bool = False,
        inverted: bool = False,
        depthwise_first: bool = False,
        kernel_size: int = 3,
        activation: Activation = "relu",
        fewer_activations: bool = False,
        fewer_norms: bool = False,
        norm: MapNorm = "batch",
        separate_downsampling: bool = False,
        layer_scale: float = 0.0,
        drop_path: float = 0.0,
        scale_to: int | None = None,
    ) -> None:
        super().__init__()
        check_choice("stem", stem, ("pool", "patches"))
        check_choice("activation", activation, tuple(_ACTIVATIONS))
        check_choice("norm", norm, ("batch", "layer"))
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        self.scale_to = scale_to
        self.stem = _stem(channels, width, stem, norm, None if fewer_activations else activation)
        choices = Choices(
            depthwise=depthwise,
            depthwise_first=depthwise_first,
            kernel_size=kernel_size,
            activation=activation,
            fewer_activations=fewer_activations,
            fewer_norms=fewer_norms,
            norm=norm,
            layer_scale=layer_scale,
        )
        rates = torch.linspace(0, drop_path, sum(blocks), device="cpu").tolist()
        taken, layers = width, list[nn.Module]()
        for stage, number in enumerate(blocks):
            narrow, wide = width * 2**stage, _EXPANSION * width * 2**stage
            given, inner = (narrow, wide) if inverted else (wide, narrow)
            stride = 2 if stage else 1
            if stage and separate_downsampling:
                layers += [map_norm(taken, norm), _convolution(taken, given, 2, 2, norm=None)]
                taken, stride = given, 1
            for _ in range(number):
                sizes = {"inner": inner, "stride": stride}
                layers.append(ModernBlock(taken, given, choices, drop_path=rates.pop(0), **sizes))
                taken, stride = given, 1
        self.blocks, self.width = nn.Sequential(*layers), taken
        self.norm = map_norm(taken, norm) if separate_downsampling else nn.Identity()
        self.head = nn.Linear(taken, classes) if classes else nn.Identity()
        self._draw(norm)

    @torch.no_grad()
    def _draw(self, norm: MapNorm) -> None:
        """Weights as He et al. 2015 draw them (fan out), or as ConvNeXt's: of a deviation of 0.02,
        cut off at 2, biases 0."""
        for part in self.modules():
            if norm == "layer" and isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(part.weight, std=0.02, a=-2.0, b=2.0)
            elif isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(part, nn.Conv2d) and part.bias is not None:
                nn.init.zeros_(part.bias)

    def embed(self, images: Tensor) -> Tensor:
        """Images [B, C, S, S] → features [B, D]."""
        maps = self.blocks(self.stem(scaled(images, self.scale_to)))
        return self.norm(maps.mean((2, 3), keepdim=True)).flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, S, S] → logits [B, classes]."""
        return self.head(self.embed(images))


@dataclass(frozen=True)
class Choices:
    """What blocks are made of, as `ModernResNet` has it."""

    depthwise: bool = False
    depthwise_first: bool = False
    kernel_size: int = 3
    activation: Activation = "relu"
    fewer_activations: bool = False
    fewer_norms: bool = False
    norm: MapNorm = "batch"
    layer_scale: float = 0.0


class ModernBlock(nn.Module):
    """A bottleneck: two convolutions 1 × 1 to an `inner` width and back, and a spatial one.

    What was given is added, by a convolution 1 × 1 and a norm where it is of another width or side.
    """

    def __init__(
        self,
        taken: int,
        given: int,
        choices: Choices,
        *,
        inner: int,
        stride: int,
        drop_path: float,
    ) -> None:
        super().__init__()
        norm, activation = choices.norm, _ACTIVATIONS[choices.activation]
        kinds = [("inner", taken, inner), ("spatial", inner, inner), ("outer", inner, given)]
        if choices.depthwise_first:
            kinds = [("spatial", taken, taken), ("inner", taken, inner), ("outer", inner, given)]
        layers: list[nn.Module] = []
        for kind, before, behind in kinds:
            is_spatial = kind == "spatial"
            if layers and (kind == "outer" or not choices.fewer_activations):
                layers.append(activation())
            own = norm if is_spatial or not choices.fewer_norms else None
            sizes = (choices.kernel_size, stride) if is_spatial else (1, 1)
            groups = before if is_spatial and choices.depthwise else 1
            layers.append(_convolution(before, behind, *sizes, norm=own, groups=groups))
            layers += [map_norm(behind, own)] if own else []
        self.branch = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if taken != given or stride > 1:
            convolution = _convolution(taken, given, 1, stride, norm=norm)
            self.shortcut = nn.Sequential(convolution, map_norm(given, norm))
        self.scale: nn.Parameter | None = None
        if choices.layer_scale:
            self.scale = nn.Parameter(torch.full((given,), choices.layer_scale))
        self.drop_path = DropPath(drop_path)
        self.last = nn.Identity() if choices.fewer_activations else activation()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, taken, S, S] → [B, given, ⌈S / stride⌉, ⌈S / stride⌉]."""
        branch = self.branch(maps)
        if self.scale is not None:
            branch = branch * self.scale[:, None, None]
        return self.last(self.shortcut(maps) + self.drop_path(branch))


class ChannelNorm(nn.LayerNorm):
    """LN over the channels of each place of maps."""

    def forward(self, input: Tensor) -> Tensor:
        """Maps [B, C, S, S] → [B, C, S, S]."""
        places = input.permute(0, 2, 3, 1)
        found = functional.layer_norm(
            places, self.normalized_shape, self.weight, self.bias, self.eps
        )
        return found.permute(0, 3, 1, 2)


def map_norm(channels: int, norm: MapNorm) -> nn.Module:
    """A norm of maps [B, C, S, S], by the batch or by the channels of a place."""
    return nn.BatchNorm2d(channels) if norm == "batch" else ChannelNorm(channels, eps=1e-6)


def _stem(
    channels: int, width: int, stem: Stem, norm: MapNorm, activation: Activation | None
) -> nn.Sequential:
    """A quarter of the side, `width` channels."""
    sizes = (7, 2) if stem == "pool" else (4, 4)
    layers = [_convolution(channels, width, *sizes, norm=norm), map_norm(width, norm)]
    layers += [_ACTIVATIONS[activation]()] if activation else []
    return nn.Sequential(*layers, *([nn.MaxPool2d(3, 2, 1)] if stem == "pool" else []))


def _convolution(
    taken: int, given: int, size: int, stride: int, *, norm: MapNorm | None, groups: int = 1
) -> nn.Conv2d:
    """A convolution; without a bias where the norm behind it takes away the mean of a channel."""
    padding = size // 2 if size % 2 else 0
    has_bias = norm != "batch"
    return nn.Conv2d(taken, given, size, stride, padding, groups=groups, bias=has_bias)
