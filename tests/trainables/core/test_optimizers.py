"""Optimisers against their formulas, and who is spared from weight decay."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from trainables.core import optimizers
from trainables.layers.vit import ViT


def one(value: float) -> nn.Parameter:
    """A 1 × 1 matrix, as small as a tensor with decay can be."""
    return nn.Parameter(torch.full((1, 1), value, dtype=torch.float64))


def test_adamw_follows_its_formula() -> None:
    weight, lr, decay = one(2.0), 0.1, 0.5
    groups = optimizers.parameter_groups([("weight", weight)], decay)
    optimizer = optimizers.adamw(groups, lr, 0.9, 0.99)
    theta, m, v = 2.0, 0.0, 0.0
    for step, gradient in enumerate((1.0, -3.0, 0.5), 1):
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        m, v = 0.9 * m + 0.1 * gradient, 0.99 * v + 0.01 * gradient**2
        adapted = m / (1 - 0.9**step) / ((v / (1 - 0.99**step)) ** 0.5 + 1e-8)
        theta -= lr * (adapted + decay * theta)
    torch.testing.assert_close(float(weight.detach()), theta)


def test_sgd_follows_its_formula() -> None:
    weight, lr, decay = one(2.0), 0.1, 0.5
    groups = optimizers.parameter_groups([("weight", weight)], decay)
    optimizer = optimizers.sgd(groups, lr, momentum=0.9, nesterov=False)
    theta, mu = 2.0, 0.0
    for gradient in (1.0, -3.0, 0.5):
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        mu = 0.9 * mu + gradient + decay * theta
        theta -= lr * mu
    torch.testing.assert_close(float(weight.detach()), theta)


def test_nesterov_without_momentum_is_plain_sgd() -> None:
    weight = one(2.0)
    groups = optimizers.parameter_groups([("weight", weight)], 0.0)
    weight.grad = torch.ones_like(weight)
    optimizers.sgd(groups, 0.1, momentum=0.0, nesterov=True).step()
    torch.testing.assert_close(float(weight.detach()), 1.9)


@pytest.mark.parametrize("fused", [False, True])
def test_adam_tf_adds_epsilon_before_the_correction(fused: bool) -> None:
    parameter, lr, eps = one(1.0), 0.1, 0.5
    optimizer = optimizers.AdamTF([parameter], lr=lr, eps=eps, fused=fused)
    value, first, second = 1.0, 0.0, 0.0
    for update, gradient in enumerate([0.3, -0.2, 0.7], 1):
        parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        rate = lr * (1 - 0.999**update) ** 0.5 / (1 - 0.9**update)
        value -= rate * first / (second**0.5 + eps)
    assert parameter.item() == pytest.approx(value, abs=1e-6)
    assert optimizer.param_groups[0]["eps"] == eps


def test_adam_tf_goes_on_from_its_state() -> None:
    whole, half = one(1.0), one(1.0)
    first = optimizers.AdamTF([whole], lr=0.1, eps=0.1)
    states = []
    for gradient in (0.3, -0.2):
        whole.grad = torch.full_like(whole, gradient)
        first.step()
        states.append((whole.detach().clone(), copy.deepcopy(first.state_dict())))
    with torch.no_grad():
        half.copy_(states[0][0])
    second = optimizers.AdamTF([half], lr=0.1, eps=0.1)
    second.load_state_dict(states[0][1])
    half.grad = torch.full_like(half, -0.2)
    second.step()
    assert torch.equal(half, whole)


@pytest.mark.parametrize("eps", [1e-8, 0.5])
def test_adam_follows_its_formula(eps: float) -> None:
    weight, lr = one(2.0), 0.1
    groups = optimizers.parameter_groups([("weight", weight)], 0.0)
    optimizer = optimizers.build("adam", groups, lr=lr, beta1=0.9, beta2=0.99, eps=eps)
    theta, m, v = 2.0, 0.0, 0.0
    for step, gradient in enumerate((1.0, -3.0, 0.5), 1):
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        m, v = 0.9 * m + 0.1 * gradient, 0.99 * v + 0.01 * gradient**2
        theta -= lr * m / (1 - 0.9**step) / ((v / (1 - 0.99**step)) ** 0.5 + eps)
    torch.testing.assert_close(float(weight.detach()), theta)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_rmsprop_follows_its_formula(momentum: float) -> None:
    weight, lr, alpha, eps = one(2.0), 0.1, 0.9, 1e-3
    groups = optimizers.parameter_groups([("weight", weight)], 0.0)
    optimizer = optimizers.build("rmsprop", groups, lr=lr, alpha=alpha, momentum=momentum, eps=eps)
    theta, v, mu = 2.0, 0.0, 0.0
    for gradient in (1.0, -3.0, 0.5):
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        v = alpha * v + (1 - alpha) * gradient**2
        mu = momentum * mu + gradient / (v**0.5 + eps)
        theta -= lr * mu
    torch.testing.assert_close(float(weight.detach()), theta)


def test_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(LookupError, match="must be one of adam, .*, sgd, got 'adagrad'"):
        optimizers.build("adagrad", [{"params": [one(1.0)]}], lr=0.1)


def test_a_value_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="momentum"):
        optimizers.build("adamw", [{"params": [one(1.0)]}], lr=0.1, beta1=0, beta2=0, momentum=0.9)


def test_only_matrices_and_filters_decay() -> None:
    vit = ViT(
        image_size=8, channels=1, patch_size=4, width=8, layers=1, heads=2, mlp_ratio=2, classes=3
    )
    decayed, free = optimizers.parameter_groups(vit.named_parameters(), 0.3)
    names = {id(parameter): name for name, parameter in vit.named_parameters()}
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)
    assert {names[id(parameter)] for parameter in decayed["params"]} == {
        *("patches.weight", "head.weight", "blocks.0.mlp.0.weight", "blocks.0.mlp.3.weight"),
        *("blocks.0.attention.qkv.weight", "blocks.0.attention.out.weight"),
    }
    assert len(decayed["params"]) + len(free["params"]) == len(names)


def test_frozen_parameters_are_left_out() -> None:
    weight = one(1.0)
    weight.requires_grad = False
    groups = optimizers.parameter_groups([("a", weight)], 0.1)
    assert [group["params"] for group in groups] == [[], []]


def test_lars_follows_its_formula_and_spares_biases() -> None:
    matrix, bias = torch.tensor([[3.0, 4.0]]).double(), torch.tensor([2.0]).double()
    parameters = [("weight", nn.Parameter(matrix.clone())), ("bias", nn.Parameter(bias.clone()))]
    lr, momentum, decay, trust = 0.5, 0.9, 0.1, 0.02
    groups = optimizers.parameter_groups(parameters, decay)
    optimizer = optimizers.lars(groups, lr, momentum, nesterov=False, trust=trust)
    velocity, bias_velocity = torch.zeros_like(matrix), torch.zeros_like(bias)
    for gradient in (torch.tensor([[1.0, 0.0]]).double(), torch.tensor([[-2.0, 1.0]]).double()):
        parameters[0][1].grad, parameters[1][1].grad = gradient, torch.ones_like(bias)
        optimizer.step()
        local = trust * matrix.norm() / (gradient + decay * matrix).norm()
        velocity = momentum * velocity + local * (gradient + decay * matrix)
        bias_velocity = momentum * bias_velocity + 1
        matrix, bias = matrix - lr * velocity, bias - lr * bias_velocity
    torch.testing.assert_close(parameters[0][1].detach(), matrix, rtol=1e-7, atol=0)
    torch.testing.assert_close(parameters[1][1].detach(), bias)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_the_step_of_lars_does_not_depend_on_the_size_of_the_gradient(factor: float) -> None:
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]]).double())
    groups = optimizers.parameter_groups([("weight", weight)], 0.0)
    optimizer = optimizers.lars(groups, 1.0, 0.0, nesterov=False, trust=0.01)
    weight.grad = torch.tensor([[factor, 0.0]]).double()
    optimizer.step()
    expected = torch.tensor([[3.0 - 0.01 * 5.0, 4.0]]).double()
    torch.testing.assert_close(weight.detach(), expected, rtol=1e-5, atol=0)


def wave(*shape: int) -> Tensor:
    """sin(n²), n = 1, 2, … in float64."""
    return torch.sin(torch.arange(1, math.prod(shape) + 1).double().square()).view(shape)


def test_three_steps_of_lars_are_those_of_barlow_twins() -> None:
    """facebookresearch/barlowtwins, `LARS` of main.py in float64: λ 0.4, rate 0.5, m 0.9."""
    parameters = [nn.Parameter(wave(2, 3)), nn.Parameter(wave(3))]
    parameters.append(nn.Parameter(torch.zeros(2, 2).double()))
    groups = [{"params": parameters, "weight_decay": 0.4}]
    optimizer = optimizers.lars(groups, 0.5, momentum=0.9, trust=1e-3)
    for step in range(3):
        gradients = [(step + 1) * wave(2, 3).flip(0), wave(3) - step, wave(2, 2) + step]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
    official = [
        [0.8416124463659299, -0.7557359919836301, 0.4147833015794978]
        + [-0.29021835010863245, -0.12992700785095485, -0.9921676454535917],
        [0.43114487242174676, 3.316028504030811, 1.2061261341386293],
        [-1.1409787374230533, 1.0251489828023526, -0.5590806063279394, 0.3896535425754247],
    ]
    for parameter, values in zip(parameters, official, strict=True):
        assert parameter.flatten().tolist() == pytest.approx(values, rel=1e-10)


@pytest.mark.parametrize("decay", [0.0, 0.01, 0.4])
def test_the_first_step_of_lars_is_as_long_whatever_the_decay(decay: float) -> None:
    """With ‖g‖ + λ‖θ‖ for a divisor, it was 0.98 of that at 0.01, and 0.74 at 0.4."""
    weight, start = nn.Parameter(wave(4, 5)), wave(4, 5)
    optimizer = optimizers.lars(
        [{"params": [weight], "weight_decay": decay}], 0.3, momentum=0.9, trust=1e-3
    )
    weight.grad = wave(4, 5).flip(0)
    optimizer.step()
    length = (weight.detach() - start).norm()
    assert float(length) == pytest.approx(0.3 * 1e-3 * float(start.norm()), rel=1e-10)


def test_a_bias_under_lars_is_momentum_without_decay() -> None:
    bias, plain = nn.Parameter(wave(4)), nn.Parameter(wave(4))
    ours = optimizers.lars([{"params": [bias], "weight_decay": 0.4}], 0.3, momentum=0.9, trust=1e-3)
    theirs = torch.optim.SGD([plain], lr=0.3, momentum=0.9)
    for step in range(3):
        bias.grad = plain.grad = wave(4) + step
        ours.step()
        theirs.step()
    torch.testing.assert_close(bias, plain)


@pytest.mark.parametrize("nesterov", [False, True])
def test_lars_with_a_ratio_of_one_is_momentum(nesterov: bool) -> None:
    """‖θ‖ / ‖g‖ is above the rate, and so the ratio is bounded to 1."""
    weight, plain = nn.Parameter(wave(2, 3)), nn.Parameter(wave(2, 3))
    ours = optimizers.lars([{"params": [weight]}], 0.1, 0.9, 1.0, nesterov=nesterov, clip=True)
    theirs = torch.optim.SGD([plain], lr=0.1, momentum=0.9, nesterov=nesterov)
    for step in range(3):
        weight.grad = plain.grad = wave(2, 3).flip(1) / (step + 1)
        ours.step()
        theirs.step()
    torch.testing.assert_close(weight, plain)


def test_below_its_bound_the_ratio_is_divided_by_the_rate() -> None:
    weight, start = nn.Parameter(wave(2, 3)), wave(2, 3)
    optimizer = optimizers.lars([{"params": [weight]}], 0.5, 0.9, 1e-3, clip=True)
    weight.grad = wave(2, 3).flip(1)
    optimizer.step()
    length = (weight.detach() - start).norm()
    assert float(length) == pytest.approx(1e-3 * float(start.norm()), rel=1e-10)


CURVATURE = torch.tensor([1.0, 4.0], dtype=torch.float64)


def slope(weight: nn.Parameter) -> None:
    """The gradient of ½·Σ a·θ²."""
    weight.grad = CURVATURE * weight.detach()


@pytest.mark.parametrize("rho", [0.0, 0.1, 2.0])
def test_sam_steps_with_the_gradient_uphill(rho: float) -> None:
    start = torch.tensor([3.0, -1.0], dtype=torch.float64)
    weight, theta, lr = nn.Parameter(start.clone()), start, 0.1
    sgd = optimizers.sgd([{"params": [weight]}], lr, momentum=0.0, nesterov=False)
    optimizer = optimizers.SAM(sgd, rho)
    for _ in range(3):
        slope(weight)
        optimizer.step(lambda: slope(weight))
        uphill = theta + rho * CURVATURE * theta / (CURVATURE * theta).norm()
        theta = theta - lr * CURVATURE * uphill
        torch.testing.assert_close(weight.detach(), theta)


def test_the_norm_of_sam_is_over_all_parameters() -> None:
    ones = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    groups = [{"params": [ones[0]]}, {"params": [ones[1]]}]
    optimizer = optimizers.SAM(optimizers.sgd(groups, 0.0, 0.0, nesterov=False), rho=1.0)
    ones[0].grad, ones[1].grad = torch.tensor([3.0]), torch.tensor([4.0])
    seen: list[Tensor] = []
    optimizer.step(lambda: seen.extend(one.detach().clone() for one in ones))
    torch.testing.assert_close(torch.cat(seen), torch.tensor([0.6, 0.8]))


def test_sam_goes_back_where_the_second_gradient_fails() -> None:
    weight = nn.Parameter(torch.tensor([0.1, 0.7]))
    optimizer = optimizers.SAM(optimizers.sgd([{"params": [weight]}], 1.0, 0.9, False), rho=0.3)
    before = weight.detach().clone()
    weight.grad = torch.tensor([1.0, 3.0])
    with pytest.raises(ZeroDivisionError):
        optimizer.step(lambda: 1 / 0)
    assert torch.equal(weight.detach(), before)


def test_sam_without_a_closure_is_refused() -> None:
    sgd = optimizers.sgd([{"params": [one(1.0)]}], 0.1, 0.0, False)
    with pytest.raises(ValueError, match="must be given a closure"):
        optimizers.SAM(sgd, 0.1).step()


@pytest.mark.parametrize("rho", [0.05, 0.5])
def test_on_a_ball_sam_and_asam_have_their_closed_forms(rho: float) -> None:
    """Of ½‖θ‖² the gradient uphill is θ·(1 + ρ/‖θ‖), with ASAM θ + ρ·θ³/‖θ²‖."""
    theta = torch.tensor([3.0, -1.0, 0.5], dtype=torch.float64)
    for adaptive, cubed in ((False, theta / theta.norm()), (True, theta**3 / (theta**2).norm())):
        weight, seen = nn.Parameter(theta.clone()), list[Tensor]()
        weight.grad = theta.clone()
        sgd = optimizers.sgd([{"params": [weight]}], 0.0, momentum=0.0)
        optimizer = optimizers.SAM(sgd, rho, adaptive=adaptive)
        optimizer.step(lambda: seen.append(weight.detach().clone()))  # noqa: B023
        torch.testing.assert_close(seen[0], theta + rho * cubed)
        assert torch.equal(weight.detach(), theta)


THEIRS = {
    False: (
        [0.9695141991874704, -0.7976306694480995, 0.3110749047640236, -0.1115789868310308],
        [0.2902365484120188, -0.3738892262111821, 0.5804396525408881],
        0.6474450090469798,
    ),
    True: (
        [0.9832455010103428, -0.7068828991013467, 0.5809960871888523, -0.24365341779326136],
        [0.1716970024042155, -0.27854101911756, 0.6036309914550694],
        0.8933363373062672,
    ),
}
"""davda54/sam, sam.py in float64: three steps of a small network around SGD with lr 0.3, m 0.9."""


@pytest.mark.parametrize(("adaptive", "rho"), [(False, 0.05), (True, 2.0)])
def test_three_steps_are_those_of_davda54(adaptive: bool, rho: float) -> None:
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(wave(*parameter.shape))
    images, labels = 2 * wave(6, 4), torch.tensor([0, 2, 1, 1, 0, 2])

    def loss() -> Tensor:
        found = nn.functional.cross_entropy(net(images), labels)
        found.backward()
        return found.detach()

    groups = [{"params": list(net.parameters())}]
    optimizer = optimizers.sam(groups, "sgd", rho, adaptive, lr=0.3, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        loss()
        optimizer.step(loss)  # pyright: ignore[reportArgumentType, reportCallIssue]
    first, last = net[0], net[2]
    assert isinstance(first, nn.Linear) and isinstance(last, nn.Linear)
    row, bias, value = THEIRS[adaptive]
    assert first.weight[0].tolist() == pytest.approx(row, rel=1e-9)
    assert last.bias.tolist() == pytest.approx(bias, rel=1e-9)
    assert float(loss()) == pytest.approx(value, rel=1e-9)


def test_a_share_of_the_weights_moves_so_much_further() -> None:
    """Of ones ε is ρ/√N; 0.6 of them move by 1/0.6 of that, others by the next seed."""
    seen: list[Tensor] = []
    weight = nn.Parameter(torch.ones(100, 100))
    sgd = optimizers.sgd([{"params": [weight]}], 0.0, momentum=0.0)
    optimizer = optimizers.SAM(sgd, rho=1.0, weight_share=0.6)
    for seed in (1, 1, 2):
        weight.grad = torch.ones(100, 100)
        optimizer.step(lambda: seen.append(weight.detach() - 1), seed)
    moved = seen[0] != 0
    assert float(moved.float().mean()) == pytest.approx(0.6, abs=0.02)
    torch.testing.assert_close(seen[0][moved], torch.full((int(moved.sum()),), 0.01 / 0.6))
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])
    with pytest.raises(ValueError, match="must be given a seed that says which weights move"):
        weight.grad = torch.ones(100, 100)
        optimizer.step(lambda: None)
