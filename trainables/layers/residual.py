"""Residual networks for small images, with their skip connections and without."""

# B images, C channels, S side, D width of features.

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

STAGES = 3


class Residual(nn.Module):
    """The network of He et al. 2016 for CIFAR (section 4.2), of 6n + 2 layers.

    A convolution 3 × 3, three stages of n blocks of two convolutions with batch normalisation, of
    `width`, twice and four times as many channels, the second and the third halving the side; mean
    over places; linear. Shortcuts are identities, which stride and are padded with zeros where
    stages begin (their option A). Without `skips` there are none (Li et al. 2018, section 5.2).

    Args:
        channels: of the images.
        classes: 0: no last layer, the features are the output.
        depth: 6n + 2.
        width: channels of the first stage.
        skips: whether blocks add what they are given.
        scale_to: images are brought to this side first, bilinearly (None: as they are).

    Raises:
        ValueError: there is no such depth.
    """

    def __init__(
        self,
        *,
        channels: int,
        classes: int,
        depth: int = 20,
        width: int = 16,
        skips: bool = True,
        scale_to: int | None = None,
    ) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"depth must be 6n + 2, such as 8, 20 or 56, got {depth}")
        self.scale_to, self.width = scale_to, width * 2 ** (STAGES - 1)
        self.stem = nn.Sequential(_convolution(channels, width, 1), nn.BatchNorm2d(width))
        blocks: list[nn.Module] = []
        taken = width
        for stage in range(STAGES):
            given = width * 2**stage
            for block in range((depth - 2) // 6):
                stride = 2 if stage and not block else 1
                blocks.append(Block(taken, given, stride=stride, skips=skips))
                taken = given
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(self.width, classes) if classes else nn.Identity()

    def embed(self, images: Tensor) -> Tensor:
        """Images [B, C, S, S] → features [B, D]."""
        images = scaled(images, self.scale_to)
        return self.blocks(self.stem(images).relu()).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, S, S] → logits [B, classes]."""
        return self.head(self.embed(images))


class Block(nn.Module):
    """Two convolutions 3 × 3 with batch normalisation, and what was given, if it `skips`.

    ReLU(x + BN(W₂ ReLU(BN(W₁ x)))).
    """

    def __init__(self, taken: int, given: int, *, stride: int, skips: bool) -> None:
        super().__init__()
        self.first = nn.Sequential(_convolution(taken, given, stride), nn.BatchNorm2d(given))
        self.second = nn.Sequential(_convolution(given, given, 1), nn.BatchNorm2d(given))
        self.stride, self.skips, self.more = stride, skips, given - taken

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, C, S, S] → [B, given, ⌈S / stride⌉, ⌈S / stride⌉]."""
        found = self.second(self.first(maps).relu())
        if self.skips:
            kept = maps[:, :, :: self.stride, :: self.stride]
            before = self.more // 2
            found = found + functional.pad(kept, (0, 0, 0, 0, before, self.more - before))
        return found.relu()


def scaled(images: Tensor, side: int | None) -> Tensor:
    """Images [B, C, S, S] brought to a side, bilinearly (None: as they are)."""
    if side is None or images.shape[-1] == side:
        return images
    return functional.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)


def _convolution(taken: int, given: int, stride: int) -> nn.Conv2d:
    """3 × 3 without bias, its weights drawn as He et al. 2015 have it (fan out)."""
    made = nn.Conv2d(taken, given, 3, stride, padding=1, bias=False)
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    return made
