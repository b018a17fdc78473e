"""Maps to the simplex as attention calls them: any of them, with padding and grids."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from trainables.layers.entmax_newton import entmax, sparsemax
from trainables.layers.learned_alpha import LearnedAlpha
from trainables.layers.simplex import Entmax, simplex_map
from trainables.layers.tvmax import smoothed

GRID = (3, 4)
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("softmax", {}),
    ("sparsemax", {}),
    ("entmax15", {}),
    ("entmax", {"alpha": 1.3}),
    ("entmax", {"alpha": LearnedAlpha(5, 1.3)}),
    ("tvmax", {"weight": 0.1}),
    ("tvmax", {"weight": 0.1, "learned": True}),
]


def _scores(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _padding() -> Tensor:
    """Of three images: without, with the last row and column, all of it."""
    padding = torch.zeros(3, *GRID, dtype=torch.bool)
    padding[1, 2:] = padding[1, :, 3:] = padding[2] = True
    return padding.flatten(1)


@pytest.mark.parametrize(("kind", "arguments"), KINDS)
def test_padding_gets_nothing_and_changes_nothing(kind: Any, arguments: dict[str, Any]) -> None:
    network = simplex_map(kind, **arguments)
    scores, padding = _scores(3, 5, 2, 12).requires_grad_(), _padding()
    weights = network(scores, padding, GRID)
    (weights * _scores(3, 5, 2, 12, seed=1)).sum().backward()
    away = padding[:, None, None].expand_as(weights)
    assert scores.grad is not None and scores.grad.isfinite().all()
    assert not weights[away].any() and not scores.grad[away].any()
    torch.testing.assert_close(weights[:2].sum(-1), torch.ones(2, 5, 2))
    inner = scores[1:2].unflatten(-1, GRID)[..., :2, :3].flatten(-2)
    alone = network(inner, None, (2, 3))
    torch.testing.assert_close(
        weights[1:2].unflatten(-1, GRID)[..., :2, :3].flatten(-2), alone, atol=1e-5, rtol=0
    )
    for parameter in network.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()


def test_each_kind_is_its_function() -> None:
    scores = _scores(2, 5, 3, 12)
    for kind, alpha in (("softmax", 1.0), ("entmax15", 1.5), ("sparsemax", 2.0)):
        assert torch.equal(simplex_map(kind)(scores), entmax(scores, alpha))  # pyright: ignore[reportArgumentType]
    found = simplex_map("tvmax", weight=0.2, steps=40)(scores, None, GRID)
    expected = sparsemax(smoothed(scores.unflatten(-1, GRID), 0.2, 40).flatten(-2))
    assert torch.equal(found, expected)


def test_each_head_has_its_alpha() -> None:
    learned = LearnedAlpha(3, generator=torch.Generator().manual_seed(0))
    scores = _scores(2, 3, 4, 9)
    found = Entmax(learned)(scores)
    for head, alpha in enumerate(learned.alpha.tolist()):
        expected = entmax(scores[:, head], alpha)
        torch.testing.assert_close(found[:, head], expected, atol=1e-6, rtol=0)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(LookupError, match="kind must be one of softmax, .* got 'hardmax'"):
        simplex_map("hardmax")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="alpha must be in 1…2.05, got 0.5"):
        simplex_map("entmax", alpha=0.5)
    with pytest.raises(ValueError, match=r"one for each head \(4\) or for all, got 3"):
        Entmax(LearnedAlpha(3, 1.5))(_scores(1, 4, 2, 5))
