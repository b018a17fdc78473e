"""Spatial broadcast decoders: each slot, spread over a grid, becomes an image and a mask."""

# B images, K slots, M = B · K, D width of slots, C channels, P row classes × column classes.

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.convolutions import glorot
from trainables.layers.positions import EPS, SoftPositions

KINDS = ("expanding", "stationary", "up_convolve")


class Drawn(NamedTuple):
    """What slots draw: images [B, K, 3, H, W], and logits [B, K, H, W] of their masks."""

    images: Tensor
    logits: Tensor


class BroadcastDecoder(nn.Module):
    """Slots as images and masks, by transposed convolutions of a slot repeated over a grid.

    Positions are added to the grid, or put beside its channels; ReLU follows each layer but the
    last, which has 3 × 3 places and makes 3 colours and the logit of the mask:

        expanding:    from S / 2ⁿ, n transposed convolutions of stride 2, and one of stride 1
        stationary:   from S, three transposed convolutions of stride 1
        up_convolve:  from S / 2ⁿ, n times zeros are put between, and a convolution follows

    (Locatello et al. 2020, section E.2; `up_convolve` Laina et al. 2016.) What comes out is exact,
    how it is computed is not that: transposed convolutions of stride 1 are convolutions with the
    kernel turned round, convolutions behind zeros put between are transposed ones of stride 2, and
    the first layer sees a field that is constant but for positions, which `Spread` computes.

    Args:
        image_size: S, of what is drawn.
        slot_width: D.
        channels: C of the layers.
        kind: one of `KINDS`.
        kernel_size: side of the kernels before the last, odd.
        doublings: n.
        combines, learned_width, normalizes, weight: of `SoftPositions`; a `learned_width` of 0
            takes its ramps.

    Raises:
        LookupError: there is no such `kind`.
        ValueError: 2ⁿ does not divide S where the grid grows, or `kernel_size` is even.
    """

    def __init__(
        self,
        *,
        image_size: int,
        slot_width: int = 64,
        channels: int = 64,
        kind: Literal["expanding", "stationary", "up_convolve"] = "expanding",
        kernel_size: int = 5,
        doublings: int = 4,
        combines: Literal["add", "concatenate"] = "add",
        learned_width: int = 0,
        normalizes: bool = False,
        weight: float | None = None,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise LookupError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        growing = 0 if kind == "stationary" else doublings
        keeping = {"expanding": 1, "stationary": 2, "up_convolve": 0}[kind] + (not growing)
        if image_size % 2**growing:
            raise ValueError(
                f"image_size must be a multiple of {2**growing} (2 to the power of doublings) for "
                f"{kind}, got {image_size}"
            )
        side = image_size >> growing
        self.positions = SoftPositions(
            slot_width,
            size=(side, side),
            combines=combines,
            kind="learned" if learned_width else "ramps",
            learned_width=learned_width or None,
            normalizes=normalizes,
            weight=weight,
        )
        widths = [self.positions.out_channels, *([channels] * (growing + keeping))]
        layers = [
            glorot(
                Doubling(inputs, channels, kernel_size)
                if index < growing
                else nn.Conv2d(inputs, channels, kernel_size, padding=kernel_size // 2)
            )
            for index, inputs in enumerate(widths[:-1])
        ]
        self.first = Spread(layers[0], side, slot_width)
        self.layers = nn.ModuleList(layers[1:])
        self.last = glorot(nn.Conv2d(channels, 4, 3, padding=1))

    def forward(self, slots: Tensor) -> Drawn:
        """What slots [B, K, D] draw; in single precision."""
        vectors = slots.flatten(0, 1)
        if self.positions.normalizes:
            # Over the whole of a constant field means over channels.
            vectors = functional.layer_norm(vectors, vectors.shape[1:], eps=EPS)
        features = torch.relu_(self.first(vectors, self.positions))
        for layer in self.layers:
            features = torch.relu_(layer(features))
        drawn = self.last(features).float().unflatten(0, slots.shape[:2])
        return Drawn(drawn[:, :, :3], drawn[:, :, 3])


class Spread(nn.Module):
    """A convolution, perhaps transposed, of vectors repeated over a grid and a position field.

    Where the vector is the same everywhere, an output depends on it by the sum of those weights
    whose places lie inside the grid. Which those are, is the same for all rows but a few at the
    edges (or alternates between even and odd ones), and for columns: P classes of places. So a
    vector takes P matrices [D, C] instead of a convolution, and the field, which all vectors
    share, one convolution for all of them.
    """

    classes: Tensor
    taps: Tensor

    def __init__(self, layer: nn.Conv2d | Doubling, side: int, width: int) -> None:
        super().__init__()
        self.layer, self.width = layer, width
        taps, classes = _classes(layer, side)
        self.register_buffer("taps", taps, persistent=False)
        self.register_buffer("classes", classes, persistent=False)

    def forward(self, vectors: Tensor, positions: SoftPositions) -> Tensor:
        """[M, C, H, W] of vectors [M, D], in channels-last memory."""
        weight = self.layer.weight
        if isinstance(self.layer, nn.Conv2d):
            weight = weight.transpose(0, 1)
        own = weight[: self.width]
        table = torch.einsum("rk,dckl,sl->drsc", self.taps, own, self.taps)
        spread = (vectors @ table.flatten(1)).unflatten(1, table.shape[1:])
        field = positions.field()
        if positions.linear is None:
            zeros = field.new_zeros(1, self.width, *field.shape[2:])
            field = torch.cat([zeros, field], dim=1)
        shared = self.layer(field)
        spread = spread.index_select(2, self.classes).index_select(1, self.classes)
        return spread.permute(0, 3, 1, 2).add_(shared)


def compose(drawn: Drawn) -> tuple[Tensor, Tensor]:
    """The image [B, 3, H, W] that slots draw together, and their masks [B, K, H, W].

    Masks m = softmax over slots of the logits; the image is Σ_k m_k ⊙ image_k.
    """
    masks = drawn.logits.softmax(1)
    return (drawn.images * masks[:, :, None]).sum(1), masks


class Doubling(nn.ConvTranspose2d):
    """A transposed convolution of stride 2 that doubles the grid: [M, C, h, w] → [M, C', 2h, 2w].

    Its bias is added apart: oneDNN takes up to ten times as long for the gradient of one inside.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int) -> None:
        padding = kernel_size // 2
        super().__init__(inputs, outputs, kernel_size, 2, padding, output_padding=1)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Of maps in channels-last memory; the output has always twice the size."""
        grown = functional.conv_transpose2d(
            input, self.weight, None, self.stride, self.padding, self.output_padding
        )
        assert self.bias is not None
        return grown.add_(self.bias.to(grown.dtype)[:, None, None])


def _classes(layer: nn.Conv2d | Doubling, side: int) -> tuple[Tensor, Tensor]:
    """Which places of the kernel each class of rows uses, [classes, k] of 0 and 1.

    And the class [H] of each row of the output. Found by asking the layer itself: with a kernel
    that is 1 at one place, a constant grid shows the rows which use it.
    """
    size = int(layer.kernel_size[0])
    stride, padding = int(layer.stride[0]), int(layer.padding[0])
    kernels = torch.eye(size)[:, None]
    grid = torch.ones(1, 1, side)
    if isinstance(layer, nn.Conv2d):
        used = functional.conv1d(grid, kernels, stride=stride, padding=padding)[0].T
    else:
        used = functional.conv_transpose1d(
            grid,
            kernels.transpose(0, 1),
            stride=stride,
            padding=padding,
            output_padding=int(layer.output_padding[0]),
        )[0].T
    taps, classes = used.unique(dim=0, return_inverse=True)
    return taps, classes
