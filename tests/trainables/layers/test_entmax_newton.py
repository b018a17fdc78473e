"""α-entmax by Newton's method is that of the papers and of the package, with both gradients."""

from __future__ import annotations

import entmax as package
import pytest
import torch
from torch import Tensor

from trainables.layers.entmax_newton import entmax, entmax15, softmax, sparsemax

FIXTURE = (1.0, 0.5, 0.0, -1.0)
ALPHAS = (1.011, 1.05, 1.25, 1.37, 1.5, 1.75, 1.9, 1.99)


def _scores(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * scale


@pytest.mark.parametrize(
    ("alpha", "weights"),
    [
        (1.0, (0.473991, 0.287490, 0.174371, 0.064148)),
        (1.25, (0.549876, 0.293634, 0.139483, 0.017007)),
        (1.5, (0.624198, 0.291667, 0.084136, 0.0)),
        (2.0, (0.75, 0.25, 0.0, 0.0)),
    ],
)
def test_weights_of_four_scores_are_those_computed_by_hand(
    alpha: float, weights: tuple[float, ...]
) -> None:
    scores = torch.tensor(FIXTURE, dtype=torch.float64)
    for given in (alpha, torch.tensor(alpha)):
        found = entmax(scores, given)
        torch.testing.assert_close(found, torch.tensor(weights).double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("is_tensor", [True, False])
def test_gradients_of_four_scores_are_those_computed_by_hand(is_tensor: bool) -> None:
    scores = torch.tensor(FIXTURE, dtype=torch.float64, requires_grad=True)
    alpha = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    gradient = torch.tensor([1.0, 2.0, 3.0, 4.0]).double()
    entmax(scores, alpha if is_tensor else 1.5).backward(gradient)
    expected = torch.tensor([-0.546243, 0.166667, 0.379577, 0.0]).double()
    torch.testing.assert_close(scores.grad, expected, atol=1e-6, rtol=0)
    if is_tensor:
        assert float(alpha.grad or 0) == pytest.approx(-0.565723, abs=1e-6)


def _of_package(scores: Tensor, alpha: float) -> Tensor:
    if alpha == 2:
        return package.sparsemax(scores, -1)
    if alpha == 1.5:
        return package.entmax15(scores, -1)
    return package.entmax_bisect(scores, alpha, n_iter=80)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("alpha", [*ALPHAS, 2.0, 2.01])
def test_weights_and_gradients_are_those_of_the_package(
    alpha: float, scale: float, kind: torch.dtype
) -> None:
    theirs = _scores(30, 300, scale=scale).requires_grad_()
    gradient = _scores(30, 300, seed=1)
    reference = _of_package(theirs, alpha)
    reference.backward(gradient)
    for given in (alpha, torch.tensor(alpha, dtype=kind)):
        mine = theirs.detach().to(kind).requires_grad_()
        found = entmax(mine, given)
        found.backward(gradient.to(kind))
        torch.testing.assert_close(found.double(), reference, atol=1e-6, rtol=0)
        # where p is nearly 0, p^(2−α) makes much of its rounding
        near = 1e-10 if kind == torch.float64 else 1e-4
        assert mine.grad is not None
        torch.testing.assert_close(mine.grad.double(), theirs.grad, atol=near, rtol=0)


@pytest.mark.parametrize("alpha", [1.0, 1.37, 1.5, 2.0])
def test_large_scores_in_several_parts_and_supports_are_those_of_the_package(alpha: float) -> None:
    scales = torch.tensor([1e-4, 0.03, 0.3, 3.0]).double().repeat(40)  # supports of 1 to 1024
    scores = _scores(160, 1024) * scales[:, None]
    reference = scores.softmax(-1) if alpha == 1 else _of_package(scores, alpha)
    sizes = (reference > 0).sum(-1)
    assert sizes.max() == 1024 and (alpha == 1 or sizes.min() < 64)
    found = entmax(scores.float().reshape(4, 40, 1024), alpha)
    torch.testing.assert_close(found.reshape(160, 1024).double(), reference, atol=1e-6, rtol=0)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_gradient_of_alpha_is_that_of_finite_differences(alpha: float) -> None:
    scores, gradient, step = _scores(20, 50, scale=2), _scores(20, 50, seed=1), 1e-6
    given = torch.full((20, 1), alpha, dtype=torch.float64, requires_grad=True)
    entmax(scores, given).backward(gradient)
    ends = [entmax(scores, alpha + sign * step) for sign in (1, -1)]
    slopes = ((ends[0] - ends[1]) * gradient).sum(-1, keepdim=True) / (2 * step)
    torch.testing.assert_close(given.grad, slopes, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_gradient_of_alpha_is_that_of_the_paper(alpha: float) -> None:
    scores, gradient = _scores(20, 50, scale=2), _scores(20, 50, seed=1)
    singles = torch.full((20, 1), alpha, requires_grad=True)
    p = entmax(scores, alpha)
    skewed = torch.where(p > 0, p ** (2 - alpha), 0)
    skewed = skewed / skewed.sum(-1, keepdim=True)
    eta = -torch.special.xlogy(p, p)
    slopes = (p - skewed) / (alpha - 1) ** 2
    slopes = slopes + (eta - skewed * eta.sum(-1, keepdim=True)) / (alpha - 1)
    expected = (slopes * gradient).sum(-1, keepdim=True).float()
    entmax(scores.float(), singles).backward(gradient.float())
    torch.testing.assert_close(singles.grad, expected, atol=1e-4, rtol=1e-4)


def test_at_one_alpha_has_the_limit_of_its_gradient() -> None:
    scores, gradient = _scores(20, 50, scale=2), _scores(20, 50, seed=1)
    alpha = torch.ones(20, 1, dtype=torch.float64, requires_grad=True)
    found = entmax(scores, alpha)
    found.backward(gradient)
    p = scores.softmax(-1)
    squared = p * p.log() ** 2
    slopes = (p * squared.sum(-1, keepdim=True) - squared) / 2
    torch.testing.assert_close(found, p, atol=1e-7, rtol=0)
    torch.testing.assert_close(
        alpha.grad, (slopes * gradient).sum(-1, keepdim=True), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("shape", [(), (1,), (3, 1, 1), (2, 1, 1, 1), (2, 3, 4, 1)])
def test_alpha_of_any_shape_gets_the_sum_of_the_gradients_of_its_rows(
    shape: tuple[int, ...],
) -> None:
    scores, gradient = _scores(2, 3, 4, 9), _scores(2, 3, 4, 9, seed=1)
    values = 1.2 + 0.7 * torch.rand(shape, generator=torch.Generator().manual_seed(2)).double()
    alpha, full = (
        values.clone().requires_grad_(),
        values.expand(2, 3, 4, 1).clone().requires_grad_(),
    )
    found, same = entmax(scores, alpha), entmax(scores, full)
    found.backward(gradient)
    same.backward(gradient)
    assert full.grad is not None
    torch.testing.assert_close(found, same)
    torch.testing.assert_close(alpha.grad, full.grad.sum_to_size(shape))


@pytest.mark.parametrize("alpha", [1.1, 1.5, 1.8])
def test_gradients_are_those_of_finite_differences_with_missing_keys(alpha: float) -> None:
    scores = _scores(3, 7).requires_grad_()
    rate = torch.tensor([[alpha], [alpha + 0.1], [1.3]]).double().requires_grad_()
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[0, 4:] = padding[1] = True
    assert torch.autograd.gradcheck(lambda x, a: entmax(x, a, padding), (scores, rate))
    assert torch.autograd.gradcheck(lambda x: entmax(x, alpha, padding), (scores,))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("alpha", [1.0, 1.01, 1.37, 1.5, 2.0, 2.01])
@pytest.mark.parametrize("is_tensor", [True, False])
def test_missing_keys_count_for_nothing(alpha: float, kind: torch.dtype, is_tensor: bool) -> None:
    scores, gradient = _scores(4, 3, 12).to(kind), _scores(4, 3, 12, seed=1).to(kind)
    given = torch.tensor(alpha, dtype=kind, requires_grad=True) if is_tensor else alpha
    padding = torch.zeros(4, 1, 12, dtype=torch.bool)
    padding[1, :, 7:] = padding[2] = True
    whole, infinite = scores.clone().requires_grad_(), scores.masked_fill(padding, -torch.inf)
    found = entmax(whole, given, padding)
    found.backward(gradient)
    assert whole.grad is not None
    assert torch.equal(found, entmax(infinite, given))
    assert not found[padding.expand_as(found)].any() and not found[2].any()
    assert not whole.grad[padding.expand_as(found)].any() and whole.grad.isfinite().all()
    torch.testing.assert_close(found[1, :, :7], entmax(scores[1, :, :7], given))
    ones = torch.ones(3, 3, dtype=kind)
    torch.testing.assert_close(found[[0, 1, 3]].sum(-1), ones)
    if isinstance(given, Tensor):
        assert given.grad is not None and given.grad.isfinite()


def test_named_maps_are_those_of_their_alpha() -> None:
    scores = _scores(5, 20)
    for function, alpha in ((softmax, 1.0), (entmax15, 1.5), (sparsemax, 2.0)):
        assert torch.equal(function(scores), entmax(scores, alpha))
        torch.testing.assert_close(function(scores), entmax(scores, torch.tensor(alpha)))


@pytest.mark.parametrize("alpha", [1.0, 1.3, 1.5, 2.0])
def test_equal_scores_are_uniform_and_ties_are_kept(alpha: float) -> None:
    torch.testing.assert_close(entmax(torch.full((3, 8), 7.0), alpha), torch.full((3, 8), 1 / 8))
    found = entmax(torch.tensor([2.0, 2.0, -50.0]), alpha)
    torch.testing.assert_close(found, torch.tensor([0.5, 0.5, 0.0]))


@pytest.mark.parametrize("alpha", [1.0, 1.3, 1.5, 2.0])
def test_half_precision_is_computed_in_single(alpha: float) -> None:
    scores = _scores(4, 30).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = entmax(scores, alpha)
    assert found.dtype == torch.float32
    assert torch.equal(found, entmax(scores.float(), alpha))


@pytest.mark.parametrize("alpha", [1.0, 1.3, 1.5, 2.0])
def test_inference_gives_the_same_weights(alpha: float) -> None:
    scores = _scores(4, 30)
    with torch.inference_mode():
        found = entmax(scores, torch.tensor(alpha))
        assert torch.equal(found, entmax(scores.clone(), torch.tensor(alpha)))
    assert torch.equal(found, entmax(scores, torch.tensor(alpha)))


@pytest.mark.parametrize("alpha", [1.0, 1.3, 1.5, 2.0])
def test_what_is_no_number_is_not_hidden(alpha: float) -> None:
    scores = _scores(2, 5)
    scores[0, 3] = torch.nan
    found = entmax(scores, alpha)
    assert found[0].isnan().any() and found[1].isfinite().all()


@pytest.mark.parametrize("alpha", [0.99, 2.06])
def test_alpha_outside_of_its_range_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match=rf"alpha must be in 1…2.05, got {alpha}"):
        entmax(_scores(3), alpha)
    edges = torch.tensor([1.0, 2.05])
    taken = entmax(_scores(3).expand(2, 3), torch.tensor([[0.5], [3.0]]))
    torch.testing.assert_close(taken, entmax(_scores(3).expand(2, 3), edges[:, None]))


def test_alpha_for_each_key_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1 as its last size if it is a tensor, got \(3,\)"):
        entmax(_scores(3), torch.full((3,), 1.5))
