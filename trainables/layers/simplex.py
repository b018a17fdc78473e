"""Maps from scores to the simplex, by which attention mixes values."""

# B images, H heads, Q queries, K = h · w keys.

from __future__ import annotations

from typing import Any, Literal, get_args

from torch import Tensor, nn

from trainables.layers.checks import check_choice
from trainables.layers.entmax_newton import entmax, entmax15, softmax, sparsemax
from trainables.layers.learned_alpha import LearnedAlpha
from trainables.layers.tvmax import TVMax

MapKind = Literal["softmax", "sparsemax", "entmax15", "entmax", "tvmax"]


class Softmax(nn.Module):
    """exp(x) / Σexp(x): every key gets something."""

    def forward(
        self, scores: Tensor, padding: Tensor | None = None, grid: tuple[int, int] | None = None
    ) -> Tensor:
        """[B, H, Q, K] → [B, H, Q, K]; `padding` is bool [B, K], True where there is no key."""
        return softmax(scores, _by_image(padding))


class Sparsemax(nn.Module):
    """The nearest point of the simplex (Martins and Astudillo 2016): most keys get nothing."""

    def forward(
        self, scores: Tensor, padding: Tensor | None = None, grid: tuple[int, int] | None = None
    ) -> Tensor:
        """[B, H, Q, K] → [B, H, Q, K]; `padding` is bool [B, K], True where there is no key."""
        return sparsemax(scores, _by_image(padding))


class Entmax15(nn.Module):
    """α-entmax at 1.5 (Peters et al. 2019), between the two."""

    def forward(
        self, scores: Tensor, padding: Tensor | None = None, grid: tuple[int, int] | None = None
    ) -> Tensor:
        """[B, H, Q, K] → [B, H, Q, K]; `padding` is bool [B, K], True where there is no key."""
        return entmax15(scores, _by_image(padding))


class Entmax(nn.Module):
    """α-entmax of one α, or of those that are learned (Correia et al. 2019).

    Args:
        alpha: in 1…2.05, or a module that has one for each head, or one for all.

    Raises:
        ValueError: a number is not in its range.
    """

    def __init__(self, alpha: float | LearnedAlpha = 1.5) -> None:
        super().__init__()
        if not isinstance(alpha, LearnedAlpha) and not 1 <= alpha <= 2.05:
            raise ValueError(f"alpha must be in 1…2.05, got {alpha}")
        self.alpha = alpha

    def forward(
        self, scores: Tensor, padding: Tensor | None = None, grid: tuple[int, int] | None = None
    ) -> Tensor:
        """[B, H, Q, K] → [B, H, Q, K]; `padding` is bool [B, K], True where there is no key.

        If its α is `unused`, these are the scores themselves, with 0 on padding: no point of the
        simplex. α has a gradient then, which is 0.

        Raises:
            ValueError: there is an α for each head, of another number of heads.
        """
        if not isinstance(self.alpha, LearnedAlpha):
            return entmax(scores, self.alpha, _by_image(padding))
        alpha = self.alpha.alpha
        if len(alpha) not in (1, scores.shape[1]):
            raise ValueError(
                f"alpha must be one for each head ({scores.shape[1]}) or for all, got {len(alpha)}"
            )
        by_head = alpha[:, None, None]
        if self.alpha.form == "unused":
            found = scores + 0 * by_head
            return found if padding is None else found.masked_fill(padding[:, None, None], 0)
        return entmax(scores, by_head, _by_image(padding))


def simplex_map(kind: MapKind, **arguments: Any) -> nn.Module:
    """A map by its name, called as `map(scores, padding, grid)`.

    From scores [B, H, Q, K], padding bool [B, K] (True where there is no key) or None, and the grid
    (h, w) of the keys, which only `tvmax` needs, to weights [B, H, Q, K] in 0…1: keys that are
    padding get exactly 0, rows add up to 1, or are 0 if all their keys are padding.

    Args:
        kind: `softmax`, `sparsemax`, `entmax15`, `entmax` or `tvmax`.
        arguments: those of `Entmax` or of `TVMax`; the others have none.

    Raises:
        LookupError: there is no such map.
        ValueError: an argument is out of its range.
    """
    check_choice("kind", kind, get_args(MapKind))
    kinds: dict[MapKind, type[nn.Module]] = {
        "softmax": Softmax,
        "sparsemax": Sparsemax,
        "entmax15": Entmax15,
        "entmax": Entmax,
        "tvmax": TVMax,
    }
    return kinds[kind](**arguments)


def _by_image(padding: Tensor | None) -> Tensor | None:
    """[B, K] → [B, 1, 1, K]."""
    return None if padding is None else padding[:, None, None]
