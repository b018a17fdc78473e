"""Variance and covariance terms against torch.cov, and distillation against its definition."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from trainables.losses.decorrelation import decorrelation
from trainables.losses.distillation import cross_entropy


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(11, 128), (64, 8), (5, 5)])
def test_both_terms_are_those_of_the_covariance_matrix(shape: tuple[int, int]) -> None:
    features = drawn(3, *shape) * torch.linspace(0.1, 2, shape[1])
    width = shape[1]
    variances: list[Tensor] = []
    covariances: list[Tensor] = []
    for group in features:
        matrix = torch.cov(group.T)
        variances.append(torch.relu(1 - (matrix.diagonal() + 1e-4).sqrt()).mean())
        rest = matrix - torch.diag(matrix.diagonal())
        covariances.append(rest.square().sum() / (width * (width - 1)))
    found = decorrelation(features)
    torch.testing.assert_close(found.variance, torch.stack(variances).mean())
    torch.testing.assert_close(found.covariance, torch.stack(covariances).mean())


def test_a_constant_network_has_the_largest_variance_term() -> None:
    found = decorrelation(torch.ones(7, 4))
    assert float(found.variance) == pytest.approx(1 - 0.01) and float(found.covariance) == 0


def test_dimensions_that_vary_enough_and_apart_cost_nothing() -> None:
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    found = decorrelation(2 * corners)
    assert float(found.variance) == 0 and float(found.covariance) == pytest.approx(0, abs=1e-6)


def test_gradients_are_those_of_differences() -> None:
    features = drawn(2, 4, 6).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: tuple(decorrelation(x)), features)


def test_distillation_is_the_cross_entropy_of_both_distributions() -> None:
    student, teacher, centre = drawn(4, 9), drawn(4, 9, seed=1), drawn(9, seed=2)
    loss = cross_entropy(student, teacher, temperature=0.2, teacher_temperature=0.5, centre=centre)
    expected = -sum(
        math.exp(float(torch.log_softmax((teacher[b] - centre) / 0.5, 0)[k]))
        * float(torch.log_softmax(student[b] / 0.2, 0)[k])
        for b in range(4)
        for k in range(9)
    )
    assert float(loss) == pytest.approx(expected / 4, rel=1e-5)


def test_a_uniform_student_scores_log_k_and_a_perfect_one_the_entropy() -> None:
    teacher = drawn(4, 9)
    assert float(cross_entropy(torch.zeros(4, 9), teacher)) == pytest.approx(math.log(9))
    same = cross_entropy(teacher, teacher, temperature=0.1, teacher_temperature=0.1)
    entropy = torch.distributions.Categorical(logits=teacher / 0.1).entropy().mean()
    torch.testing.assert_close(same, entropy)


def test_the_teacher_has_no_gradient() -> None:
    student, teacher = drawn(4, 9).requires_grad_(), drawn(4, 9, seed=1).requires_grad_()
    cross_entropy(student, teacher).backward()
    assert student.grad is not None and teacher.grad is None
