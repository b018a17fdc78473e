"""Maps from logits of attention to the simplex, and where in the transformer each is used."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from trainables.core.config import Config
from trainables.settings.ranges import Count, Positive, both_ends

AlphaForm = Literal[
    "smooth", "clamped", "sigmoid", "clamped_sigmoid", "unbounded", "constant", "unused"
]
"""As in `trainables.layers.learned_alpha`."""
Layers = Literal["all", "last", "first_three", "alternate"]
LOWEST, HIGHEST = 1.01, 2.0
"""Between what a learned α stays: softmax is 1, and 2 is sparsemax."""
MOST_WEIGHT = 1000.0
"""Of total variation; long before it maps are uniform, whatever the scores."""


class Softmax(Config):
    """The exponential function; no weight is 0."""

    kind: Literal["softmax"] = "softmax"


class Sparsemax(Config):
    """The projection to the simplex (Martins and Astudillo 2016)."""

    kind: Literal["sparsemax"] = "sparsemax"


class Entmax15(Config):
    """The 1.5-entmax (Peters et al. 2019), between softmax and sparsemax."""

    kind: Literal["entmax15"] = "entmax15"


class Entmax(Config):
    """The α-entmax, with an α that is given, or learned from there (Correia et al. 2019).

    A learned α lies in (1.01, 2): of each head in each layer (`tied` `head`), of each layer, or one
    for all (`global`). It starts at `alpha`, or where a standard normal draw for each puts it, or
    `normal_copied`, where those of the first layer do, in all layers, as was published.
    `form` says how it is kept there: by a logistic function, or `clamped` as was published, where
    a head that reaches the end has no gradient any more; the others are those before it.
    """

    kind: Literal["entmax"] = "entmax"
    alpha: Annotated[float, both_ends(LOWEST, HIGHEST), Field(gt=LOWEST, lt=HIGHEST)] = 1.5
    is_learned: bool = True
    start: Literal["given", "normal", "normal_copied"] = "given"
    tied: Literal["head", "layer", "global"] = "head"
    form: AlphaForm = "smooth"

    def void(self) -> frozenset[str]:
        """What only a learned α has; a given start where it is drawn."""
        if not self.is_learned:
            return frozenset({"start", "tied", "form"})
        return frozenset(() if self.start == "given" else {"alpha"})


class TVMax(Config):
    """Sparsemax of what total variation has smoothed on the grid (Martins et al. 2020).

    `weight` is λ, that of the variation, where a learned one starts.
    """

    kind: Literal["tvmax"] = "tvmax"
    weight: Annotated[float, Field(gt=0, le=MOST_WEIGHT)] = 0.05
    is_learned: bool = False


SimplexMap = Annotated[Softmax | Sparsemax | Entmax15 | Entmax | TVMax, Field(discriminator="kind")]


class Attention(Config):
    """The map of one kind of attention, and in which layers; the others have softmax."""

    map: SimplexMap = Softmax()
    layers: Layers = "all"

    def void(self) -> frozenset[str]:
        """Where all layers have softmax anyway."""
        return frozenset({"layers"} if isinstance(self.map, Softmax) else ())

    def is_in(self, layer: int, count: int) -> bool:
        """Whether layer `layer` of `count` (from 0) has the map; alternate ones from the first."""
        return {
            "all": True,
            "last": layer == count - 1,
            "first_three": layer < 3,
            "alternate": layer % 2 == 0,
        }[self.layers]

    def is_everywhere(self, count: int) -> bool:
        """Whether all of `count` layers have the map."""
        return all(self.is_in(layer, count) for layer in range(count))


class CrossAttention(Attention):
    """Attention of queries to the picture.

    `padding` of pictures that are smaller than the largest of their batch is `masked`, or 1 is
    `added` to its logits, as was published.
    """

    padding: Literal["masked", "added"] = "masked"


class Transformer(Config):
    """Encoder and decoder, as in `trainables.layers.detection_transformer`.

    `norm` before each part or behind it; `dropout` is that of weights of attention, of perceptrons
    and of what is added. Learned positions have a table of 50 rows and columns.
    """

    width: Count = 256
    heads: Count = 8
    encoder_layers: Count = 6
    decoder_layers: Count = 6
    mlp_ratio: Positive = 8.0
    dropout: float = Field(default=0.1, ge=0, lt=1)
    norm: Literal["pre", "post"] = "pre"
    activation: Literal["relu", "gelu"] = "relu"
    positions: Literal["sine", "learned"] = "sine"
