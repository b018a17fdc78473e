"""The loss of a teacher's views: by a loop over pairs, and the numbers that DINO's own code has."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from trainables.losses.distillation import cross_entropy, distil_views

SHARP: dict[str, Any] = {"temperature": 0.1, "teacher_temperature": 0.055}


def wave(*shape: int) -> Tensor:
    """sin(n²), n = 1, 2, … in float64."""
    return torch.sin(torch.arange(1, math.prod(shape) + 1).double().square()).view(shape)


def test_loss_and_gradient_are_those_of_the_official_code() -> None:
    """facebookresearch/dino, `DINOLoss` of main_dino.py in float64, 4 views, 3 images, K = 5."""
    student = wave(4, 3, 5).requires_grad_()
    centre = torch.linspace(-0.5, 0.5, 5).double()
    loss = distil_views(student, 2 * wave(2, 3, 5), centre=centre, **SHARP)
    loss.backward()
    assert student.grad is not None
    assert loss.item() == pytest.approx(9.899163843463853, rel=1e-12)
    official = [
        [-0.555455123544086, 4.045831554e-09, 0.5554546615298045, 1.03165863e-07, 3.54802587e-07],
        [-0.555421241643869, 0.97518351983, -0.535116413927, 0.10383832789752, 0.0115158078410],
    ]
    torch.testing.assert_close(
        student.grad[[0, 3], 1], torch.tensor(official, dtype=torch.float64), rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize("views", [2, 3, 6])
def test_each_view_of_the_teacher_meets_each_other_view_once(views: int) -> None:
    student, teacher = wave(views, 3, 5), wave(2, 3, 5)
    pairs = [(u, v) for u in range(2) for v in range(views) if u != v]
    terms = [cross_entropy(student[v], teacher[u], **SHARP) for u, v in pairs]
    assert len(terms) == 2 * (views - 1)
    found = distil_views(student, teacher, **SHARP)
    torch.testing.assert_close(found, torch.stack(terms).mean(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("views", [2, 6])
def test_each_image_has_a_loss_of_its_own(views: int) -> None:
    student, teacher = wave(views, 3, 5), wave(2, 3, 5)
    each = distil_views(student, teacher, **SHARP, reduction="none")
    alone = [distil_views(student[:, b, None], teacher[:, b, None], **SHARP) for b in range(3)]
    torch.testing.assert_close(each, torch.stack(alone), rtol=1e-12, atol=0)


def test_gradients_are_those_of_double_precision_differences() -> None:
    student = wave(3, 2, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda one: distil_views(one, wave(2, 2, 4)), student)


@pytest.mark.parametrize("prototypes", [2, 1024])
def test_logits_of_zero_have_the_logarithm_of_their_number(prototypes: int) -> None:
    zeros = torch.zeros(4, 3, prototypes)
    found = distil_views(zeros, zeros[:2], centre=torch.zeros(prototypes))
    assert float(found) == pytest.approx(math.log(prototypes), rel=1e-6)


def test_a_number_added_to_all_logits_of_the_teacher_changes_nothing() -> None:
    student, teacher = wave(4, 3, 5), wave(2, 3, 5)
    shifted = distil_views(student, teacher + 3.0, **SHARP)
    torch.testing.assert_close(shifted, distil_views(student, teacher, **SHARP))
    of_one = torch.tensor([3.0, 0, 0, 0, 0]).double()
    assert abs(float(distil_views(student, teacher + of_one, **SHARP) - shifted)) > 0.1
    centred = distil_views(student, teacher + of_one, centre=of_one, **SHARP)
    torch.testing.assert_close(centred, shifted)


def test_no_gradient_flows_through_teacher_and_centre() -> None:
    student, teacher = wave(3, 2, 4).requires_grad_(), wave(2, 2, 4).requires_grad_()
    centre = wave(4).requires_grad_()
    distil_views(student, teacher, centre=centre).backward()
    assert teacher.grad is None and centre.grad is None and student.grad is not None


def test_half_precision_is_left_before_the_temperature_divides() -> None:
    student, teacher = wave(4, 3, 64).bfloat16(), wave(2, 3, 64).bfloat16()
    found = distil_views(student, teacher)
    torch.testing.assert_close(found, distil_views(student.float(), teacher.float()))
    assert found.dtype == torch.float32


@pytest.mark.parametrize(("views", "seen"), [(1, 2), (3, 1), (3, 3)])
def test_a_teacher_of_other_views_is_refused_with_a_sentence(views: int, seen: int) -> None:
    with pytest.raises(ValueError, match=rf"2 views and student .* got {seen} and {views}"):
        distil_views(wave(views, 2, 4), wave(seen, 2, 4))
