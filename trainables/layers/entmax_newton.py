"""α-entmax of scores by Newton's method, and its gradients in closed form."""

# R rows, K keys; a = α − 1, q = 1/a, S the sum of a row, U that of p^(2−α).

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_CHUNK = 2**16
"""How many numbers are worked on at once on a CPU, so that they stay in its cache."""
_STEPS = 50
"""At most, on a CPU, which stops when no row moves any more: after 3 to 9 in practice."""
_STEPS_ELSEWHERE = 14
"""Always, on a device that would have to be waited for to see whether rows still move."""
_TINY = 1e-30
_LEAST_RATES = {torch.float32: 1e-6, torch.float64: 1e-9}
"""The least α − 1 of a tensor: p differs there from its limit by about as much as by rounding."""
_MOST = 2.05
_SERIES_BELOW = 1e-3
"""An α − 1 below which e^v − 1 − v is better taken from three terms of its series."""


def entmax(scores: Tensor, alpha: float | Tensor, padding: Tensor | None = None) -> Tensor:
    """The point p of the simplex at which pᵀx + H_α(p) is largest, over the last axis.

    H_α(p) = Σ(p − p^α) / (α(α − 1)), so that p = [(α − 1)x − τ]₊^(1/(α−1)) (Peters et al. 2019,
    equations 9 and 10): softmax at α = 1, sparsemax at 2, and the sparser, the larger α is.
    τ is found by Newton's method on ‖[(α − 1)x − τ]₊‖ = 1, the norm of 1/(α − 1): convex in τ and
    nearly linear, so that no step from the left passes the root and few are needed (the paper
    sorts or bisects). Gradients are those of the paper's proposition 2, and for α of Correia et
    al. 2019, proposition 1, written such that its limit at α = 1, ½(pΣp ln²p − p ln²p), is part of
    it. It can be differentiated once, not twice.

    Args:
        scores: [..., K]; −inf is a key that is not there.
        alpha: one number in 1…2.05, or a tensor that broadcasts to [..., 1], with or without
            gradient. A tensor's numbers outside of 1 + 10⁻⁶ (in double precision 1 + 10⁻⁹) … 2.05
            count as the nearest within. Far above 2 the norm is not convex enough.
        padding: bool that broadcasts to the scores, True where a key is not there.

    Returns:
        [..., K] in 0…1: keys that are not there get exactly 0, rows add up to 1, and those without
        any key are 0 and without gradient. In single precision if the scores are in half.

    Raises:
        ValueError: α is a number outside of 1…2.05, or a tensor whose last size is not 1.
    """
    _check_alpha(alpha)
    if scores.dtype not in _LEAST_RATES:
        scores = scores.float()
    return _Entmax.apply(scores, alpha, padding)


def sparsemax(scores: Tensor, padding: Tensor | None = None) -> Tensor:
    """The point of the simplex nearest to the scores (Martins and Astudillo 2016): α = 2.

    Arguments and result are those of `entmax`.
    """
    return entmax(scores, 2.0, padding)


def entmax15(scores: Tensor, padding: Tensor | None = None) -> Tensor:
    """α-entmax at 1.5, p = [x/2 − τ]₊² (Peters et al. 2019, section 4.2).

    Arguments and result are those of `entmax`.
    """
    return entmax(scores, 1.5, padding)


def softmax(scores: Tensor, padding: Tensor | None = None) -> Tensor:
    """exp(x) / Σexp(x), α-entmax at 1.

    Arguments and result are those of `entmax`.
    """
    return entmax(scores, 1.0, padding)


class _Entmax(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, scores: Tensor, alpha: float | Tensor, padding: Tensor | None
    ) -> Tensor:
        if padding is not None:
            scores = scores.masked_fill(padding, -torch.inf)
        weights = torch.empty_like(scores, memory_format=torch.contiguous_format)
        rates, tolerance = _rates(alpha, weights), _tolerance(alpha, weights)
        rows, found = _rows(scores), _rows(weights)
        for part in _parts(rows):
            _solve(rows[part], found[part], _at(rates, part), tolerance)
        ctx.save_for_backward(weights, *[alpha] * isinstance(alpha, Tensor))
        ctx.alpha = None if isinstance(alpha, Tensor) else alpha
        return weights

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        weights, *given = ctx.saved_tensors
        if ctx.alpha == 1:
            found = torch.ops.aten._softmax_backward_data(gradients[0], weights, -1, weights.dtype)
            return found, None, None
        alpha = given[0] if given else ctx.alpha
        rates = _rates(alpha, weights)
        of_scores = torch.empty_like(weights)
        of_alpha = weights.new_empty(*weights.shape[:-1], 1) if ctx.needs_input_grad[1] else None
        rows, by_weights, found = _rows(weights), _rows(gradients[0]), _rows(of_scores)
        for part in _parts(rows):
            rate = _at(rates, part)
            apart = _by_scores(rows[part], by_weights[part], rate, found[part])
            if of_alpha is not None and isinstance(rate, Tensor):
                _rows(of_alpha)[part] = _by_alpha(rows[part], apart, rate)
        if of_alpha is None:
            return of_scores, None, None
        return of_scores, of_alpha.sum_to_size(alpha.shape).to(alpha.dtype), None


def _solve(scores: Tensor, weights: Tensor, rate: float | Tensor, tolerance: float) -> None:
    """Writes the weights of rows."""
    largest = scores.amax(-1, keepdim=True)
    if _is(rate, 0):
        torch.softmax(scores, -1, out=weights)
        _clear(weights, largest == -torch.inf)
        return
    largest.masked_fill_(largest == -torch.inf, 0)
    reduced = torch.sub(scores, largest).mul_(rate)  # 0 at most, so that τ is in −1…0
    gaps, spare = weights, torch.empty_like(reduced)
    moved = torch.zeros_like(largest)  # τ + 1: near α = 1 it is small, and exact where τ is not
    on_cpu = scores.device.type == "cpu"
    for _ in range(_STEPS if on_cpu else _STEPS_ELSEWHERE):
        torch.sub(reduced, moved - 1, out=gaps).relu_()
        step = _step(*_sums(gaps, spare, rate), rate)
        moved += step
        if on_cpu and float(step.max()) <= tolerance:
            break
    _powers(reduced.sub_(moved), weights, spare, rate)
    weights.div_(weights.sum(-1, keepdim=True).clamp_min_(_TINY))


def _clear(weights: Tensor, is_empty: Tensor) -> None:
    """Makes rows 0, which on a CPU is not done if there are none."""
    if weights.device.type != "cpu" or bool(is_empty.any()):
        weights.masked_fill_(is_empty, 0)


def _sums(gaps: Tensor, spare: Tensor, rate: float | Tensor) -> tuple[Tensor, Tensor]:
    """S = Σt^q and U = Σt^(q−1) of gaps t; those that are 0 count for nothing in either."""
    if _is(rate, 1):
        return gaps.sum(-1, keepdim=True), torch.sign(gaps, out=spare).sum(-1, keepdim=True)
    if _is(rate, 0.5):
        norm = torch.linalg.vector_norm(gaps, dim=-1, keepdim=True)
        return norm.square_(), gaps.sum(-1, keepdim=True)
    stays = gaps.sign()
    torch.clamp_min(gaps, _TINY, out=gaps)  # CPUs are slow at the logarithm of 0
    torch.log2(gaps, out=spare).div_(rate).exp2_().mul_(stays)
    total = spare.sum(-1, keepdim=True)
    return total, spare.div_(gaps).sum(-1, keepdim=True)


def _step(total: Tensor, slope: Tensor, rate: float | Tensor) -> Tensor:
    """(1 − n)/n′ of the norm n = S^a, which is S(1 − S^−a)/U; in rows without any key 0 or −1."""
    if _is(rate, 1):
        return total.sub_(1).div_(slope.clamp_min_(1))
    slope.clamp_min_(_TINY)
    if _is(rate, 0.5):
        return torch.sub(total, total.sqrt()).div_(slope)
    has_keys = total.sign()
    total.clamp_min_(_TINY)
    excess = torch.expm1(total.log().mul_(rate).neg_()).neg_()
    return excess.mul_(total).div_(slope).mul_(has_keys)


def _powers(moved: Tensor, weights: Tensor, spare: Tensor, rate: float | Tensor) -> None:
    """Writes [1 + s]₊^q of the numbers `moved`, s, which are changed.

    Where q is large, the rounding of t = 1 + s shows; ln(1 + s) = ln t + (s − (t − 1))/t, whose
    last term is that rounding, keeps it out.
    """
    torch.add(moved, 1, out=weights).relu_()
    if _is(rate, 1):
        return
    if _is(rate, 0.5):
        weights.square_()
        return
    moved.sub_(torch.sub(weights, 1, out=spare))
    torch.sign(weights, out=spare)
    moved.div_(weights.clamp_min_(_TINY)).mul_(1 / math.log(2))
    weights.log2_().add_(moved).div_(rate).exp2_().mul_(spare)


def _by_scores(weights: Tensor, gradient: Tensor, rate: float | Tensor, found: Tensor) -> Tensor:
    """Writes Jᵀg = u ⊙ (g − ḡ) with ḡ = Σug / Σu; returns g − ḡ."""
    slopes = _slopes(weights, rate)
    total = torch.mul(slopes, gradient, out=found).sum(-1, keepdim=True)
    mean = total.div_(slopes.sum(-1, keepdim=True).clamp_min_(_TINY))
    apart = torch.sub(gradient, mean)
    torch.mul(slopes, apart, out=found)
    return apart


def _slopes(weights: Tensor, rate: float | Tensor) -> Tensor:
    """u = p^(2−α) where p > 0, and 0 elsewhere."""
    stays = weights.sign()
    if _is(rate, 1):
        return stays
    positive = weights.clamp_min(_least(weights))  # CPUs are slow at roots and logarithms of 0
    if _is(rate, 0.5):
        return positive.sqrt_().mul_(stays)
    return positive.log2_().mul_(1 - rate).exp2_().mul_(stays)


def _by_alpha(weights: Tensor, apart: Tensor, rate: Tensor) -> Tensor:
    """Σ (g − ḡ) d of rows, [R, 1], for d = −p(e^v − 1 − v)/a² with v = −a ln p.

    This is Σ g ∂p/∂α: d is ∂p/∂α at a fixed τ, which in its authors' terms is
    (p − p^(2−α))/(α−1)² − p ln p/(α−1), and g − ḡ stands for what τ adds.
    """
    most = -math.log(_least(weights))
    raised = weights.clamp_min(_least(weights)).log_().mul_(-rate).clamp_max_(most)
    _end_slow_vectors(raised)
    found = torch.expm1(raised).sub_(raised)
    if weights.device.type != "cpu" or bool((rate < _SERIES_BELOW).any()):
        series = raised.square().mul_(0.5).mul_(1 + raised / 3 + raised.square() / 12)
        found = torch.where(rate < _SERIES_BELOW, series, found)
    found.mul_(weights).mul_(apart)
    return found.sum(-1, keepdim=True).div_(rate).div_(rate).neg_()


def _end_slow_vectors(like: Tensor) -> None:
    """Raises a few numbers to a power, after which `expm1` takes a tenth of its time on a CPU.

    Upper halves of vector registers that other code leaves in use slow down its older
    instructions; of torch 2.14's functions this one clears them.
    """
    if like.device.type == "cpu":
        like.new_ones(64).pow_(1.5)


def _rates(alpha: float | Tensor, like: Tensor) -> float | Tensor:
    """α − 1 as a number where there are short ways, as [1, 1], or as [R, 1] of each row."""
    if not isinstance(alpha, Tensor):
        rate = alpha - 1
        return rate if rate in (0, 0.5, 1) else like.new_full((1, 1), rate)
    rates = alpha.detach().to(like.dtype).sub(1).clamp_(_LEAST_RATES[like.dtype], _MOST - 1)
    if rates.numel() == 1:
        return rates.reshape(1, 1)
    return rates.expand(*like.shape[:-1], 1).reshape(-1, 1)


def _tolerance(alpha: float | Tensor, like: Tensor) -> float:
    """The largest step after which what is left to go is no more than rounding.

    A step h leaves h² where no key drops out, and h^q where one does.
    """
    epsilon = torch.finfo(like.dtype).eps
    if like.device.type != "cpu" or not like.numel():
        return 0.0
    largest = min(float(alpha.detach().max() if isinstance(alpha, Tensor) else alpha), _MOST)
    return max(4 * epsilon, epsilon ** max(largest - 1, 0.5))


def _parts(rows: Tensor) -> list[slice]:
    """The rows in turn: all at once if they are few, or not on a CPU."""
    is_whole = rows.device.type != "cpu" or rows.numel() <= 2 * _CHUNK
    size = max(len(rows) if is_whole else _CHUNK // rows.shape[1], 1)
    return [slice(start, start + size) for start in range(0, len(rows), size)]


def _at(rates: float | Tensor, part: slice) -> float | Tensor:
    return rates if not isinstance(rates, Tensor) or len(rates) == 1 else rates[part]


def _is(rate: float | Tensor, number: float) -> bool:
    """Whether there is a shorter way than that of any α."""
    return not isinstance(rate, Tensor) and rate == number


def _rows(values: Tensor) -> Tensor:
    return values.reshape(-1, values.shape[-1])


def _least(like: Tensor) -> float:
    return torch.finfo(like.dtype).tiny


def _check_alpha(alpha: float | Tensor) -> None:
    if not isinstance(alpha, Tensor):
        if not 1 <= alpha <= _MOST:
            raise ValueError(f"alpha must be in 1…{_MOST}, got {alpha}")
    elif alpha.ndim and alpha.shape[-1] != 1:
        shape = tuple(alpha.shape)
        raise ValueError(f"alpha must have 1 as its last size if it is a tensor, got {shape}")
