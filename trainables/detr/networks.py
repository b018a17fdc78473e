"""DETR: a backbone, an encoder of cells, a decoder of object queries, and heads behind each layer
of it."""

# B images, H and W their sides, C classes, L decoder layers, Q queries, D width, K cells.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from trainables.detr.official import fitting
from trainables.layers.blocks import Norm
from trainables.layers.checks import check_choice
from trainables.layers.detection_backbones import DetectionBackbone
from trainables.layers.detection_transformer import Decoder, Encoder, LayerSettings, Maps
from trainables.layers.feed_forward import Activation
from trainables.layers.grid_positions import LearnedPositions, SinePositions, grid_padding
from trainables.layers.multihead import PaddingMode

Positions = Literal["sine", "learned"]


class Predictions(NamedTuple):
    """Of all decoder layers, the last one last.

    Logits [L, B, Q, C + 1], of which class C is "no object"; boxes [L, B, Q, 4], centre-x,
    centre-y, width and height in 0…1 of the picture without its padding.
    """

    logits: Tensor
    boxes: Tensor


class Count(NamedTuple):
    """How many numbers of a part of a network learn, and how many of its parameters do not."""

    part: str
    trainable: int
    frozen: int


class DETR(nn.Module):
    """A detector of objects by set prediction (Carion et al. 2020).

    Args:
        backbone: from images to maps.
        num_classes: C, the largest class + 1; 91 for COCO.
        num_queries: Q, the most objects of an image.
        width: D.
        heads: of attention.
        encoder_layers: how many.
        decoder_layers: L.
        mlp_ratio: hidden width of perceptrons over D.
        dropout: rate of weights of attention, hidden values and residuals.
        norm: `post` or `pre`, where norms are (see `EncoderLayer`).
        activation: of perceptrons.
        positions: `sine` or `learned`, of at most 50 rows and columns.
        encoder_self: the map to the simplex of self-attention of each encoder layer, None for
            softmax; None: softmax in all.
        decoder_self: the same of self-attention in the decoder.
        cross: the same of attention of queries to cells.
        padding_mode: of attention of queries to cells, as in `MultiHeadAttention`.

    Raises:
        LookupError: a name is not known.
        ValueError: widths and heads do not fit, or there are not as many maps as layers.
    """

    def __init__(
        self,
        *,
        backbone: DetectionBackbone,
        num_classes: int,
        num_queries: int = 100,
        width: int = 256,
        heads: int = 8,
        encoder_layers: int = 6,
        decoder_layers: int = 6,
        mlp_ratio: float = 8,
        dropout: float = 0.1,
        norm: Norm = "post",
        activation: Activation = "relu",
        positions: Positions = "sine",
        encoder_self: Maps | None = None,
        decoder_self: Maps | None = None,
        cross: Maps | None = None,
        padding_mode: PaddingMode = "masked",
    ) -> None:
        super().__init__()
        check_choice("positions", positions, get_args(Positions))
        self.num_classes = num_classes
        settings: LayerSettings = {
            "mlp_ratio": mlp_ratio,
            "dropout": dropout,
            "norm": norm,
            "activation": activation,
        }
        self.backbone = backbone
        self.projection = nn.Linear(backbone.channels, width)
        self.positions = SinePositions(width) if positions == "sine" else LearnedPositions(width)
        self.encoder = Encoder(width, heads, encoder_layers, maps=encoder_self, settings=settings)
        self.decoder = Decoder(
            width,
            heads,
            decoder_layers,
            self_maps=decoder_self,
            cross_maps=cross,
            padding_mode=padding_mode,
            settings=settings,
        )
        self.queries = nn.Parameter(torch.randn(num_queries, width))
        self.class_head = nn.Linear(width, num_classes + 1)
        self.box_head = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 4),
        )

    def forward(self, images: Tensor, sizes: Tensor) -> Predictions:
        """Predictions of all decoder layers.

        Args:
            images: [B, 3, H, W], standardised, 0 on padding, which is below and to the right.
            sizes: int64 [B, 2], height and width of each picture without its padding.
        """
        features = self.backbone(images)
        height, width = features.shape[2:]
        grid = (height, width)
        padding = grid_padding(sizes, (images.shape[2], images.shape[3]), grid)
        if padding.device.type == "cpu" and not padding.any():
            padding = None  # elsewhere this would wait for the device
        positions = self.positions(grid, padding, device=features.device)
        tokens = self.projection(features.flatten(2).transpose(1, 2))
        positions = positions.to(tokens.dtype)
        unseen = None if padding is None else padding.flatten(1)
        memory = self.encoder(tokens, positions, unseen, grid)
        objects = self.decoder(self.queries, memory, positions, unseen, grid)
        return Predictions(self.class_head(objects), self.box_head(objects).sigmoid())

    def describe(self) -> list[Count]:
        """How many parameters of each part learn and how many do not; the whole comes last."""
        parts = [_count(name, part.parameters()) for name, part in self.named_children()]
        parts.insert(-2, _count("queries", [self.queries]))
        rows = [row for row in parts if row.trainable or row.frozen]
        return [*rows, _count("whole", self.parameters())]

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """Loads weights that the published code has saved, by name.

        What maps of attention learn is not among them and stays as it is.

        Raises:
            ValueError: they are those of another network: names the setting or the tensor.
        """
        self.load_state_dict(fitting(state, self.state_dict()))


def _count(part: str, parameters: Iterable[Tensor]) -> Count:
    numbers = {True: 0, False: 0}
    for parameter in parameters:
        numbers[parameter.requires_grad] += parameter.numel()
    return Count(part, numbers[True], numbers[False])
