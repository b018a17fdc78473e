"""Spatial broadcast decoders: each slot, spread over a grid, becomes an image and a mask."""

# B images, K slots, M = B · K, D width of slots, C channels, S × S pixels.

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
        features = self.first(vectors, self.positions)
        for layer in self.layers:
            features = torch.relu_(layer(features))
        drawn = self.last(features)
        drawn = drawn.to(torch.promote_types(drawn.dtype, torch.float32))
        drawn = drawn.unflatten(0, slots.shape[:2])
        return Drawn(drawn[:, :, :3], drawn[:, :, 3])


class Spread(nn.Module):
    """A layer with ReLU on vectors that are repeated over a grid, with positions: without the grid.

    Where all places hold the same vector, the layer multiplies it by the sum of those weights whose
    places lie inside the grid. These are the same for all rows but a few at the edges (or for all
    even, and for all odd ones), as for columns; so a vector needs only as many products as there
    are classes of rows × classes of columns. The share of positions is one for all vectors.
    """

    taps: Tensor
    classes: Tensor

    def __init__(self, layer: nn.Conv2d | Doubling, side: int, width: int) -> None:
        super().__init__()
        self.layer, self.width = layer, width
        taps, classes = _classes(layer, side)
        self.register_buffer("taps", taps, persistent=False)
        self.register_buffer("classes", classes, persistent=False)

    def forward(self, vectors: Tensor, positions: SoftPositions) -> Tensor:
        """[M, C, H, W] of vectors [M, D] at `positions`, in channels-last memory."""
        weight = self.layer.weight
        weight = weight.transpose(0, 1) if isinstance(self.layer, nn.Conv2d) else weight
        sums = torch.einsum("rk,dckl,sl->drsc", self.taps, weight[: self.width], self.taps)
        table = (vectors @ sums.flatten(1)).unflatten(1, sums.shape[1:])
        field = positions.field()
        if positions.linear is None:  # beside the vectors: the later channels of the grid
            field = torch.cat([field.new_zeros(1, self.width, *field.shape[2:]), field], dim=1)
        shared = self.layer(field).permute(0, 2, 3, 1)
        # What changes in place must be no view: autograd would copy it.
        spread = table.index_select(2, self.classes).index_select(1, self.classes)
        return torch.relu_(spread.add_(shared)).permute(0, 3, 1, 2)


def compose(drawn: Drawn) -> tuple[Tensor, Tensor]:
    """The image [B, 3, H, W] that slots draw together, and their masks [B, K, H, W].

    Masks m = softmax over slots of the logits; the image is Σ_k m_k ⊙ image_k.
    """
    masks = drawn.logits.softmax(1)
    return (drawn.images * masks[:, :, None]).sum(1), masks


class Doubling(nn.ConvTranspose2d):
    """A transposed convolution of stride 2 that doubles a grid: [M, C, h, w] → [M, C', 2h, 2w].

    Its bias is added apart: oneDNN takes up to half of the backward pass for the gradient of one
    inside.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int) -> None:
        super().__init__(
            inputs, outputs, kernel_size, stride=2, padding=kernel_size // 2, output_padding=1
        )

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Maps of twice the size, whatever `output_size` says."""
        padding = self.kernel_size[0] // 2
        grown = functional.conv_transpose2d(input, self.weight, None, 2, padding, 1)
        assert self.bias is not None
        return grown.add_(self.bias.to(grown.dtype)[:, None, None])


def _classes(layer: nn.Conv2d | Doubling, side: int) -> tuple[Tensor, Tensor]:
    """Which places of the kernel each class of rows uses, [classes, k], and each row's class [H].

    0 and 1, with the kernel as a transposed convolution has it. A grid of ones shows which rows a
    kernel reaches that is 1 at one place and 0 elsewhere.
    """
    size = layer.kernel_size[0]
    # On the CPU, also where a network is built without memory, on the meta device.
    kernels = torch.eye(size, device="cpu")[:, None]
    ones = torch.ones(1, 1, side, device="cpu")
    if isinstance(layer, nn.Conv2d):
        used = functional.conv1d(ones, kernels, padding=size // 2)
    else:
        used = functional.conv_transpose1d(
            ones, kernels.transpose(0, 1), stride=2, padding=size // 2, output_padding=1
        )
    taps, classes = used[0].T.unique(dim=0, return_inverse=True)
    return taps, classes
