"""TVMax is what a generic solver finds, on grids of any shape, with its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import label
from scipy.optimize import lsq_linear
from torch import Tensor

from trainables.layers.entmax_newton import sparsemax
from trainables.layers.tvmax import TVMax, _regions, smoothed, smoothed_error, steps_for

NINE = torch.tensor([[1, 0.8, 0], [0.9, 0.2, 0], [0, 0, -0.5]], dtype=torch.float64)


def _scores(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _by_solver(scores: Tensor, weight: float) -> Tensor:
    """The prox of a map by bounded least squares on its dual, with edges between present cells."""
    present = (scores > -torch.inf).numpy()
    number = np.arange(scores.numel()).reshape(scores.shape)
    pairs = [*zip(number[:-1].flat, number[1:].flat, strict=True)]
    pairs += [*zip(number[:, :-1].flat, number[:, 1:].flat, strict=True)]
    pairs = [pair for pair in pairs if present.flat[pair[0]] and present.flat[pair[1]]]
    edges = np.zeros((len(pairs), scores.numel()))
    for row, (first, second) in enumerate(pairs):
        edges[row, [first, second]] = -1, 1
    z = np.where(present, scores.numpy(), 0).flatten()
    dual = lsq_linear(edges.T, z, (-weight, weight), method="bvls", tol=1e-14)
    x = torch.from_numpy(z - edges.T @ dual.x).view(scores.shape)
    return x.masked_fill(torch.from_numpy(~present), -torch.inf)


def _labelled(regions: Tensor) -> np.ndarray:
    found: Any = label(regions.numpy())
    return found[0]


def test_nine_cells_are_those_computed_by_hand() -> None:
    x = smoothed(NINE, 0.05, 300)
    expected = torch.tensor([[0.9, 0.75, 0.025], [0.85, 0.2, 0.025], [0.025, 0.025, -0.4]])
    torch.testing.assert_close(x, expected.double())
    weights = torch.tensor([[0.4, 0.25, 0], [0.35, 0, 0], [0, 0, 0]]).double()
    torch.testing.assert_close(sparsemax(x.flatten()).view(3, 3), weights)


@pytest.mark.parametrize(("height", "width"), [(5, 5), (3, 7), (6, 2), (1, 8), (8, 1), (1, 1)])
@pytest.mark.parametrize("weight", [0.05, 0.5])
def test_maps_are_those_of_a_generic_solver(height: int, width: int, weight: float) -> None:
    scores = _scores(2, height, width)
    if height > 2:
        scores[1, -1], scores[1, :, -1] = -torch.inf, -torch.inf
    found = smoothed(scores, weight, 1000)
    expected = torch.stack([_by_solver(one, weight) for one in scores])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    weights = TVMax(weight, steps=1000)(scores.flatten(1)[:, None, None], None, (height, width))
    torch.testing.assert_close(weights[:, 0, 0], sparsemax(expected.flatten(1)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("weight", [0.05, 0.3])
@pytest.mark.parametrize("is_map", [True, False])
def test_gradients_are_those_of_finite_differences(weight: float, is_map: bool) -> None:
    start, scale, step = _scores(4, 5, seed=3), _scores(4, 5, seed=4), 1e-4
    start[3] = start[:, 4] = -torch.inf

    def total(values: Tensor, weight: float | Tensor) -> Tensor:
        x = smoothed(values, weight, 400)  # to 1e-8, so that differences are to 1e-4
        found = sparsemax(x.flatten(-2)) if is_map else torch.nan_to_num(x.flatten(-2), neginf=0)
        return found @ scale.flatten()

    scores = start.clone().requires_grad_()
    given = torch.tensor(weight, dtype=torch.float64, requires_grad=True)
    total(scores, given).backward()
    moves = step * torch.eye(20).double().view(20, 4, 5)
    slopes = (total(start + moves, weight) - total(start - moves, weight)) / (2 * step)
    torch.testing.assert_close(scores.grad, slopes.view(4, 5), atol=1e-4, rtol=0)
    slope = (total(start, weight + step) - total(start, weight - step)) / (2 * step)
    torch.testing.assert_close(given.grad, slope, atol=2e-4, rtol=0)


def test_a_large_weight_makes_one_region_of_the_mean() -> None:
    scores = _scores(4, 6, 7).requires_grad_()
    found = smoothed(scores, 50.0, 3000)
    torch.testing.assert_close(found, scores.mean((1, 2), keepdim=True).expand_as(found))
    gradient = _scores(4, 6, 7, seed=1)
    found.backward(gradient)
    torch.testing.assert_close(scores.grad, gradient.mean((1, 2), keepdim=True).expand(4, 6, 7))


def test_regions_are_those_of_a_generic_labelling() -> None:
    spiral = torch.tensor(
        [[1, 1, 1, 1, 1], [0, 0, 0, 0, 1], [1, 1, 1, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]]
    )
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randint(2, (5, 5), generator=generator) for _ in range(30)]
    values = torch.stack([spiral, *maps], -1)
    edges = [values.diff(dim=axis).to(torch.int8) for axis in (0, 1)]
    found = _regions(*edges).view(5, 5, -1)
    for index in range(values.shape[-1]):
        ones, zeros = (_labelled(part) for part in (values[..., index], 1 - values[..., index]))
        expected = ones + np.where(zeros > 0, zeros + ones.max(), 0)
        pairs = {*zip(expected.flat, found[..., index].flatten().tolist(), strict=True)}
        assert len(pairs) == len({first for first, _ in pairs}) == len({last for _, last in pairs})


@pytest.mark.parametrize("steps", [5, 30, 100])
def test_the_error_is_no_smaller_than_it_is(steps: int) -> None:
    scores = _scores(3, 4, 6, 7)
    scores[0, ..., 5] = -torch.inf
    exact, found = smoothed(scores, 0.2, 1000), smoothed(scores, 0.2, steps)
    apart = torch.nan_to_num(exact - found, nan=0.0).norm(dim=(-2, -1))
    bound = smoothed_error(scores, 0.2, steps)
    assert bound.shape == (3, 4) and (apart <= bound + 1e-9).all()
    assert steps < 100 or bound.max() < 1e-3
    module = TVMax(0.2, steps=steps)
    torch.testing.assert_close(module.error(scores.flatten(-2)[:, None], None, (6, 7))[:, 0], bound)


@pytest.mark.parametrize("weight", [0.05, 0.2])
def test_the_usual_steps_are_enough(weight: float) -> None:
    scores = _scores(6, 25, 38)
    few, many = smoothed(scores.float(), weight, steps_for(weight)), smoothed(scores, weight, 1000)
    torch.testing.assert_close(few.double(), many, atol=1e-4, rtol=0)


def test_several_parts_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, gradient = _scores(7, 4, 5), _scores(7, 4, 5, seed=1)
    found = []
    for cells in (2**17, 40):
        monkeypatch.setattr("trainables.layers.tvmax._CHUNK", cells)
        start, weight = scores.clone().requires_grad_(), torch.tensor(0.1, requires_grad=True)
        x = smoothed(start, weight, 100)
        x.backward(gradient)
        found.append((x, start.grad, weight.grad))
    torch.testing.assert_close(found[0], found[1])


def test_lambda_is_a_parameter_if_it_is_learned() -> None:
    fixed, learned = TVMax(0.1), TVMax(0.1, learned=True)
    assert not list(fixed.parameters()) and list(learned.state_dict()) == ["log_weight"]
    scores = _scores(2, 3, 4, 20).float()
    weights = learned(scores, None, (4, 5))
    torch.testing.assert_close(weights, fixed(scores, None, (4, 5)))
    weights.square().sum().backward()  # sharper weights want a smaller λ
    assert learned.log_weight is not None and learned.log_weight.grad is not None
    assert learned.log_weight.grad < 0


def test_half_precision_and_inference_are_computed_in_single() -> None:
    scores = _scores(1, 2, 3, 20).bfloat16()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = TVMax(0.1)(scores, None, (4, 5))
    assert torch.equal(found, TVMax(0.1)(scores.float(), None, (4, 5)))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(h, w\) of the 20 keys for TVMax, got None"):
        TVMax()(_scores(1, 1, 1, 20))
    with pytest.raises(ValueError, match=r"of the 20 keys for TVMax, got \(3, 5\)"):
        TVMax()(_scores(1, 1, 1, 20), None, (3, 5))
    with pytest.raises(ValueError, match="weight must be above 0 and at most 1000, got 0"):
        TVMax(0)
    with pytest.raises(ValueError, match="weight must be above 0 and at most 1000, got 1000.1"):
        TVMax(1000.1)
    assert TVMax(1000.0).steps == 1000
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        TVMax(0.1, steps=0)


@pytest.mark.parametrize("shape", [(0, 3, 4, 20), (2, 3, 0, 20)])
def test_no_maps_have_no_weights(shape: tuple[int, ...]) -> None:
    scores = torch.zeros(shape, requires_grad=True)
    module = TVMax(learned=True)
    weights = module(scores, None, (4, 5))
    weights.sum().backward()
    assert weights.shape == shape and scores.grad is not None and module.log_weight is not None
    assert module.log_weight.grad == 0 and module.error(scores, None, (4, 5)).numel() == 0
