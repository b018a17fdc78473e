"""Heads of methods: the numbers of DINO's own, weights at first, and what a gain does."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.projectors import Projector, PrototypeHead, UnitLinear


def wave(*shape: int) -> Tensor:
    """sin(n²), n = 1, 2, … in float64."""
    return torch.sin(torch.arange(1, math.prod(shape) + 1).double().square()).view(shape)


def test_the_head_is_that_of_the_official_code_with_its_gradients() -> None:
    """facebookresearch/dino, `DINOHead` in float64: D = 4, hidden 6, bottleneck 3, K = 5."""
    head = PrototypeHead(4, prototypes=5, hidden=6, bottleneck=3, norm_last_layer=False).double()
    order = [*head.perceptron.parameters(), head.last_layer.gain, head.last_layer.direction]
    with torch.no_grad():
        for number, parameter in enumerate(order):
            parameter.copy_(wave(*parameter.shape) + 0.1 * number)
    features = wave(2, 4).requires_grad_()
    scores = head(features)
    (scores * wave(2, 5)).sum().backward()
    found = [scores[0], head.last_layer.gain.grad, head.last_layer.direction.grad, features.grad]
    official = [
        [1.0636029262269409, -0.07722171675692695, -0.2742877212027629]
        + [-0.0050514764894160355, -0.018656275805512837],
        [-0.2677081389001753, -0.8430533989205113, -0.2170935433232285]
        + [-0.09719208754385636, -0.027924507443408526],
        [0.05329728422134514, -0.1027837659037686, -0.07912339624281547]
        + [0.25374318303189913, -0.1418864963297287, 0.08234010976621216]
        + [0.7891552487736805, 0.12047431567496943, 0.07243708742084279]
        + [-0.16195586196891557, 0.019833810637748334, -0.01116746949294919]
        + [-0.177053418135942, 0.007653728216622967, -0.020872872089935286],
        [0.20339379344854017, 0.15816753425931018, 0.04631048526864351, -0.004265913820018119]
        + [-0.051449936174874, -0.03178696312141412, -0.12751450820817206, 0.09051378151357956],
    ]
    for one, numbers in zip(found, official, strict=True):
        assert one is not None
        assert one.flatten().tolist() == pytest.approx(numbers, rel=1e-10)


def test_the_last_layer_is_torchs_weight_normalisation() -> None:
    ours = UnitLinear(3, 5, learns_gain=True).double()
    theirs = nn.utils.parametrizations.weight_norm(nn.Linear(3, 5, bias=False)).double()
    with torch.no_grad():
        for one, shape in ((0, (5, 1)), (1, (5, 3))):
            theirs.get_parameter(f"parametrizations.weight.original{one}").copy_(wave(*shape))
        ours.gain.copy_(wave(5, 1))
        ours.direction.copy_(wave(5, 3))
    torch.testing.assert_close(ours(wave(2, 3)), theirs(wave(2, 3)))


def test_scores_are_cosines_unless_lengths_are_learned() -> None:
    torch.manual_seed(0)
    head = PrototypeHead(4, prototypes=7, hidden=6, bottleneck=3)
    features = torch.randn(2, 4)
    found = head(features)
    bottleneck, prototypes = head.perceptron(features), head.last_layer.direction
    cosines = functional.cosine_similarity(bottleneck[:, None], prototypes[None], dim=-1)
    torch.testing.assert_close(found, cosines)
    assert not head.last_layer.gain.requires_grad and head.last_layer.direction.requires_grad
    assert PrototypeHead(4, prototypes=7, norm_last_layer=False).last_layer.gain.requires_grad


def test_weights_at_first() -> None:
    torch.manual_seed(0)
    head = PrototypeHead(64, prototypes=300, hidden=256)
    linear = [part for part in head.perceptron if isinstance(part, nn.Linear)]
    assert [part.weight.shape for part in linear] == [(256, 64), (256, 256), (256, 256)]
    for part in linear:
        assert float(part.weight.detach().std()) == pytest.approx(0.02, rel=0.03)
        assert not part.bias.any()
    assert bool((head.last_layer.gain == 1).all())
    bound = head.last_layer.direction.detach().abs().max()
    assert float(bound) == pytest.approx(256**-0.5, rel=1e-3)  # as a linear layer's of torch


@pytest.mark.parametrize("batch_norm", [False, True])
def test_layers_of_the_perceptron(batch_norm: bool) -> None:
    def kinds(layers: int) -> list[str]:
        head = PrototypeHead(4, prototypes=5, hidden=6, layers=layers, batch_norm=batch_norm)
        return [type(part).__name__ for part in head.perceptron]

    between = ["Linear", "BatchNorm1d", "GELU"] if batch_norm else ["Linear", "GELU"]
    assert kinds(1) == ["Linear"]
    assert kinds(3) == [*between, *between, "Linear"]


def test_a_projector_is_its_formula() -> None:
    projector = Projector(4, hidden=6, width=3).double()
    first, _, second = projector.layers
    assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
    expected = torch.relu(wave(5, 4) @ first.weight.T + first.bias) @ second.weight.T + second.bias
    torch.testing.assert_close(projector(wave(5, 4)), expected)


def test_a_normalised_projector_is_its_formula() -> None:
    projector = Projector(4, hidden=6, width=3, norm="batch").double()
    first, _, _, second = projector.layers
    assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
    assert first.bias is None and second.bias is not None
    hidden = wave(5, 4) @ first.weight.T
    deviation = (hidden.var(0, correction=0) + 1e-5).sqrt()
    normalised = torch.relu((hidden - hidden.mean(0)) / deviation)
    expected = normalised @ second.weight.T + second.bias
    torch.testing.assert_close(projector(wave(5, 4)), expected)


def test_widths_of_one_and_of_three_layers() -> None:
    assert [tuple(one.shape) for one in Projector(4, hidden=6, width=3, layers=1).parameters()] == [
        (3, 4),
        (3,),
    ]
    shapes = [tuple(one.shape) for one in Projector(4, hidden=6, width=3, layers=3).parameters()]
    assert shapes == [(6, 4), (6,), (6, 6), (6,), (3, 6), (3,)]


def test_no_layer_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="layers must be at least 1, got 0"):
        Projector(4, hidden=6, width=3, layers=0)
    with pytest.raises(ValueError, match="layers must be at least 1, got 0"):
        PrototypeHead(4, prototypes=5, layers=0)


def test_an_unknown_norm_is_refused_with_a_sentence() -> None:
    with pytest.raises(LookupError, match="norm must be one of none, batch, got 'layer'"):
        Projector(4, hidden=6, width=3, norm="layer")  # pyright: ignore[reportArgumentType]
