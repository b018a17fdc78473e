"""α as a parameter: its range, its start, which forms learn, and that it finds where to go."""

from __future__ import annotations

import copy
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from trainables.layers.learned_alpha import AlphaForm, LearnedAlpha
from trainables.layers.simplex import Entmax


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "form", [form for form in get_args(AlphaForm) if form != "clamped_sigmoid"]
)
def test_alpha_starts_where_it_is_declared(form: AlphaForm) -> None:
    for start in (1.05, 1.5, 1.818):
        alpha = LearnedAlpha(4, start, form=form).alpha
        torch.testing.assert_close(alpha, torch.full((4,), start))


def test_drawn_starts_are_standard_normal_and_differ_by_layer() -> None:
    generator = _generator()
    first, second = (LearnedAlpha(8, generator=generator) for _ in range(2))
    expected = torch.randn(8, generator=_generator())
    assert torch.equal(first.raw, expected) and not torch.equal(first.raw, second.raw)
    torch.testing.assert_close(first.alpha, 1.01 + 0.99 * expected.sigmoid())
    constant = LearnedAlpha(8, generator=_generator(), form="constant")
    assert torch.equal(constant.alpha, 1 + expected.sigmoid())


@pytest.mark.parametrize("alpha", [1.011, 1.05, 1.25, 1.5, 1.75, 1.99])
def test_a_smooth_alpha_has_a_gradient_everywhere(alpha: float) -> None:
    learned = LearnedAlpha(1, alpha)
    scores = torch.randn(2, 1, 3, 10, generator=_generator())
    Entmax(learned)(scores).square().sum().backward()
    assert learned.raw.grad is not None and learned.raw.grad.abs() > 1e-6


def _at(raw: float, form: AlphaForm) -> tuple[Tensor, Tensor]:
    """α and the gradient of raw where it has gone."""
    learned = LearnedAlpha(1, 1.5, form=form)
    with torch.no_grad():
        learned.raw.fill_(raw)
    (slope,) = torch.autograd.grad(learned.alpha.sum(), learned.raw)
    return learned.alpha, slope


@pytest.mark.parametrize("raw", [-4.7, -8.0])
def test_a_head_at_the_edge_is_dead_only_if_it_is_clamped(raw: float) -> None:
    alpha, slope = _at(raw, "clamped")
    assert alpha == 1.01 and slope == 0
    alpha, slope = _at(raw, "smooth")
    assert 1.01 < alpha < 1.03 and slope > 1e-4


@pytest.mark.parametrize("raw", [-5.0, 0.0, 5.0])
def test_a_clamped_sigmoid_is_constant_and_never_learns(raw: float) -> None:
    alpha, slope = _at(raw, "clamped_sigmoid")
    torch.testing.assert_close(alpha, torch.tensor([2.01]))
    assert slope == 0


def test_the_other_forms_are_what_they_say() -> None:
    share = torch.tensor(0.7).sigmoid()
    forms: dict[AlphaForm, Tensor | float] = {
        "sigmoid": 1 + share,
        "clamped": 1 + share,
        "unbounded": 0.7,
    }
    for form, expected in forms.items():
        alpha, slope = _at(0.7, form)
        torch.testing.assert_close(alpha, torch.as_tensor(expected).view(1))
        assert slope > 0


@pytest.mark.parametrize("form", get_args(AlphaForm))
def test_alpha_is_trained_and_saved_unless_it_is_constant(form: AlphaForm) -> None:
    layer = Entmax(LearnedAlpha(4, 1.3, form=form))
    is_trained = form != "constant"
    assert [name for name, _ in layer.named_parameters()] == ["alpha.raw"] * is_trained
    assert list(layer.state_dict()) == ["alpha.raw"]
    other = Entmax(LearnedAlpha(4, 1.7, form=form))
    other.load_state_dict(copy.deepcopy(layer).state_dict())
    assert isinstance(other.alpha, LearnedAlpha) and isinstance(layer.alpha, LearnedAlpha)
    assert torch.equal(other.alpha.alpha, layer.alpha.alpha)


def test_unused_alpha_leaves_the_scores_and_has_a_gradient_of_zero() -> None:
    learned = LearnedAlpha(2, 1.5, form="unused")
    layer = Entmax(learned)
    scores, padding = torch.randn(1, 2, 3, 4), torch.tensor([[False, False, True, False]])
    found = layer(scores, padding)
    found.sum().backward()
    assert torch.equal(found, scores.masked_fill(padding[:, None, None], 0))
    assert learned.raw.grad is not None and torch.equal(learned.raw.grad, torch.zeros(2))


def _trained(form: AlphaForm, target: Tensor) -> tuple[float, float]:
    """α before and after six queries of six tokens have learned to attend as a target does."""
    scores = nn.Parameter(0.1 * torch.randn(1, 1, 6, 6, generator=_generator()))
    layer = Entmax(LearnedAlpha(1, 1.5, form=form))
    assert isinstance(layer.alpha, LearnedAlpha)
    before = layer.alpha.alpha.item()
    optimizer = torch.optim.Adam([scores, *layer.parameters()], lr=0.05)
    for _ in range(60):
        loss = (layer(scores) - target).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return before, layer.alpha.alpha.item()


@pytest.mark.parametrize("form", ["smooth", "clamped", "sigmoid", "unbounded"])
def test_alpha_rises_for_one_key_and_falls_for_all_keys(form: AlphaForm) -> None:
    before, after = _trained(form, torch.eye(6))
    assert after > before + 0.05
    before, after = _trained(form, torch.full((6, 6), 1 / 6))
    assert after < before - 0.02


@pytest.mark.parametrize("form", ["clamped_sigmoid"])
def test_alpha_of_the_dead_form_does_not_move(form: AlphaForm) -> None:
    before, after = _trained(form, torch.eye(6))
    assert before == after == pytest.approx(2.01)


def test_one_module_in_several_layers_is_one_parameter() -> None:
    shared = LearnedAlpha(1, 1.3)
    layers = nn.ModuleList([Entmax(shared), Entmax(shared)])
    assert len(list(layers.parameters())) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"heads": 0, "start": 1.5}, "heads must be at least 1, got 0"),
        ({"start": 1.01}, "start must be between 1.01 and 2.0, got 1.01"),
        ({"start": 2.0}, "start must be between 1.01 and 2.0, got 2.0"),
        ({}, "either a start or a generator to draw it, got neither"),
        ({"start": 1.5, "bounds": (0.9, 2.0)}, r"1 ≤ lo < hi ≤ 2, got \(0.9, 2.0\)"),
        ({"start": 1.5, "bounds": (1.6, 1.5)}, r"1 ≤ lo < hi ≤ 2, got \(1.6, 1.5\)"),
    ],
)
def test_numbers_outside_of_their_range_are_refused(
    arguments: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        LearnedAlpha(**arguments)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="got both"):
        LearnedAlpha(1, 1.5, _generator())


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(LookupError, match="form must be one of smooth, clamped, .* got 'hard'"):
        LearnedAlpha(1, 1.5, form="hard")  # pyright: ignore[reportArgumentType]
