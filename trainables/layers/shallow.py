"""Small networks to compare deep ones with: one convolution, and a perceptron."""

# B images, C channels, S side, D width of features.

from __future__ import annotations

from torch import Tensor, nn

from trainables.layers.residual import scaled


class Convolution(nn.Module):
    """One convolution 3 × 3 of `width` channels, ReLU, and a linear layer on all places.

    Args:
        image_size: side of the images, brought to `scale_to` first if that is given.
        channels: of the images.
        classes: 0: no last layer, the features are the output.
        width: channels of the convolution.
        scale_to: a side (None: images as they are).
    """

    def __init__(
        self,
        *,
        image_size: int,
        channels: int,
        classes: int,
        width: int = 10,
        scale_to: int | None = None,
    ) -> None:
        super().__init__()
        self.scale_to, self.width = scale_to, width * (scale_to or image_size) ** 2
        self.convolution = nn.Conv2d(channels, width, 3, padding=1)
        self.head = nn.Linear(self.width, classes) if classes else nn.Identity()

    def embed(self, images: Tensor) -> Tensor:
        """Images [B, C, S, S] → features [B, D]."""
        return self.convolution(scaled(images, self.scale_to)).relu().flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, S, S] → logits [B, classes]."""
        return self.head(self.embed(images))


class Perceptron(nn.Module):
    """Linear layers of `width` with ReLU behind each, `layers` of them, and a last one.

    Args:
        image_size: side of the images, brought to `scale_to` first if that is given.
        channels: of the images.
        classes: 0: no last layer, the features are the output.
        width: D.
        layers: hidden ones.
        scale_to: a side (None: images as they are).
    """

    def __init__(
        self,
        *,
        image_size: int,
        channels: int,
        classes: int,
        width: int = 128,
        layers: int = 2,
        scale_to: int | None = None,
    ) -> None:
        super().__init__()
        self.scale_to, self.width = scale_to, width
        widths = [channels * (scale_to or image_size) ** 2, *([width] * layers)]
        pairs = zip(widths, widths[1:], strict=False)
        made = [part for pair in pairs for part in (nn.Linear(*pair), nn.ReLU())]
        self.layers = nn.Sequential(nn.Flatten(), *made)
        self.head = nn.Linear(width, classes) if classes else nn.Identity()

    def embed(self, images: Tensor) -> Tensor:
        """Images [B, C, S, S] → features [B, D]."""
        return self.layers(scaled(images, self.scale_to))

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, S, S] → logits [B, classes]."""
        return self.head(self.embed(images))
