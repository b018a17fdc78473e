"""Slot Attention against its formulas written out, in every variant."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from trainables.layers.slot_attention import NORMALIZATIONS, SlotAttention

TOKENS = torch.randn(3, 20, 6, generator=torch.Generator().manual_seed(0)).double()
NOISE = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(1)).double()

variants = pytest.mark.parametrize("normalization", NORMALIZATIONS)


def make(normalization: str = "mean", **changes: Any) -> SlotAttention:
    """A small one in double precision, with random numbers everywhere."""
    sizes: dict[str, Any] = {
        "token_width": 6,
        "slot_width": 8,
        "common_width": 10,
        "num_slots": 4,
        "mlp_width": 12,
    }
    torch.manual_seed(0)
    made = SlotAttention(normalization=normalization, **(sizes | changes)).double()
    for parameter in made.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return made


class Plain:
    """The same numbers by the formulas of the paper, with keys and values, one head at a time."""

    def __init__(self, module: SlotAttention) -> None:
        self.module = module
        self.carried: tuple[Tensor, Tensor] | None = None

    def __call__(self, tokens: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        module, heads = self.module, self.module.heads
        seen = module.norm_tokens(tokens)
        keys, values = (
            module.to_keys(seen).chunk(heads, -1),
            module.to_values(seen).chunk(heads, -1),
        )
        assert module.log_deviation is not None
        slots = module.mean + module.log_deviation.exp() * noise
        shared = torch.empty(0)
        for _ in range(module.iterations):
            queries = module.to_queries(module.norm_slots(slots)).chunk(heads, -1)
            scores = [q @ k.mT / math.sqrt(k.shape[-1]) for q, k in zip(queries, keys, strict=True)]
            shared = torch.stack(scores, 2).flatten(1, 2).softmax(1).unflatten(1, (-1, heads))
            parts = [self.weighted(shared[:, :, h], values[h]) for h in range(heads)]
            state = self.gated(self.normalized(torch.cat(parts, -1)), slots)
            slots = state + module.mlp(module.norm_mlp(state))
        return slots, shared.sum(2)

    def weighted(self, attention: Tensor, values: Tensor) -> Tensor:
        tokens = values.shape[1]
        match self.module.normalization:
            case "mean":
                weights = attention + self.module.eps
                return weights / weights.sum(-1, keepdim=True) @ values
            case "constant":
                return attention @ values * self.module.constant_factor / tokens
            case "learned_scale":
                return attention @ values / tokens
            case _:
                return attention @ values

    def normalized(self, updates: Tensor) -> Tensor:
        own: Any = self.module.normalize
        match self.module.normalization:
            case "learned_scale":
                return own.scale * updates
            case "layer_norm":
                mean, variance = updates.mean(-1, True), updates.var(-1, correction=0, keepdim=True)
                return own.norm.weight * (updates - mean) / (variance + 1e-5).sqrt() + own.norm.bias
            case "image_level":
                mean = updates.mean((1, 2), True)
                variance = (updates - mean).square().mean((1, 2), True)
                return own.scale * (updates - mean) / (variance + 1e-5).sqrt() + own.shift
            case "batch_norm":
                mean, variance = self.carried or (updates.mean(), updates.var(correction=0))
                self.carried = mean, variance
                return own.scale * (updates - mean) / (variance + 1e-5).sqrt() + own.shift
            case _:
                return updates

    def gated(self, updates: Tensor, slots: Tensor) -> Tensor:
        cell = self.module.gru
        w_r, w_z, w_n = functional.linear(updates, cell.weight_ih, cell.bias_ih).chunk(3, -1)
        r_r, r_z, r_n = functional.linear(slots, cell.weight_hh, cell.bias_hh).chunk(3, -1)
        keep = torch.sigmoid(w_z + r_z)
        return (1 - keep) * torch.tanh(w_n + torch.sigmoid(w_r + r_r) * r_n) + keep * slots


def gradients(module: SlotAttention, tokens: Tensor, found: tuple[Tensor, Tensor]) -> list[Tensor]:
    """Of a loss of slots and attention, for all parameters and the tokens."""
    loss = found[0].sin().sum() + (found[1] * torch.linspace(0, 1, tokens.shape[1])).sum()
    return list(torch.autograd.grad(loss, [tokens, *module.parameters()]))


@variants
@pytest.mark.parametrize(("heads", "bias"), [(1, False), (1, True), (2, False), (5, True)])
def test_each_variant_is_its_formula(normalization: str, heads: int, bias: bool) -> None:
    module = make(normalization, heads=heads, projection_bias=bias, eps=1e-3, constant_factor=3.0)
    tokens = TOKENS.clone().requires_grad_()
    found, expected = module(tokens, NOISE), Plain(module)(tokens, NOISE)
    torch.testing.assert_close(tuple(found), expected)
    for one, other in zip(
        gradients(module, tokens, found), gradients(module, tokens, expected), strict=True
    ):
        torch.testing.assert_close(one, other)


@variants
def test_gradients_are_those_of_finite_differences(normalization: str) -> None:
    module = make(normalization, heads=2, projection_bias=True, iterations=2)
    mask = torch.tensor([[True, True, False], [True, True, True]])

    def found(tokens: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return tuple(module(tokens, noise, slot_mask=mask))

    inputs = TOKENS[:2, :4].clone().requires_grad_(), NOISE[:2, :3].clone().requires_grad_()
    assert torch.autograd.gradcheck(found, inputs, fast_mode=True)


def test_the_size_is_that_of_the_paper() -> None:
    module = SlotAttention(token_width=64)
    assert sum(parameter.numel() for parameter in module.parameters()) == 54_336


@variants
def test_permuted_slots_come_out_permuted(normalization: str) -> None:
    module, order = make(normalization), torch.tensor([2, 0, 3, 1])
    found, permuted = module(TOKENS, NOISE), module(TOKENS, NOISE[:, order])
    torch.testing.assert_close(permuted.slots, found.slots[:, order])
    torch.testing.assert_close(permuted.attention, found.attention[:, order])


@variants
def test_the_order_of_tokens_does_not_matter(normalization: str) -> None:
    module, order = make(normalization), torch.randperm(20)
    found, permuted = module(TOKENS, NOISE), module(TOKENS[:, order], NOISE)
    torch.testing.assert_close(permuted.slots, found.slots)
    torch.testing.assert_close(permuted.attention, found.attention[..., order])


@variants
def test_an_image_does_not_depend_on_the_others_in_evaluation(normalization: str) -> None:
    module = make(normalization).eval()
    alone = module(TOKENS[1:2], NOISE[1:2])
    torch.testing.assert_close(alone.slots, module(TOKENS, NOISE).slots[1:2])


@variants
def test_attention_adds_up_to_one_over_slots(normalization: str) -> None:
    attention = make(normalization, heads=2)(TOKENS, NOISE).attention
    torch.testing.assert_close(attention.sum(1), torch.ones(3, 20).double())


@variants
@pytest.mark.parametrize("heads", [1, 2])
def test_a_slot_that_takes_no_part_changes_nothing(normalization: str, heads: int) -> None:
    module, present = make(normalization, heads=heads), [0, 1, 3]
    mask = torch.tensor([[True, True, False, True]]).expand(3, -1)
    found, expected = module(TOKENS, NOISE, slot_mask=mask), module(TOKENS, NOISE[:, present])
    torch.testing.assert_close(found.slots[:, present], expected.slots)
    torch.testing.assert_close(found.attention[:, present], expected.attention)
    assert not found.attention[:, 2].any()
    assert module.log_deviation is not None
    start = module.mean + module.log_deviation.exp() * NOISE
    torch.testing.assert_close(found.slots[:, 2], start[:, 2])


@variants
def test_an_image_without_slots_stays_finite(normalization: str) -> None:
    mask = torch.tensor([[True] * 4, [False] * 4, [True] * 4])
    tokens = TOKENS.clone().requires_grad_()
    module = make(normalization)
    found = module(tokens, NOISE, slot_mask=mask)
    assert all(one.isfinite().all() for one in gradients(module, tokens, found))


@variants
def test_slots_without_mass_stay_finite(normalization: str) -> None:
    module = make(normalization).float()
    module.to_queries.weight.data *= 1e5
    tokens = TOKENS[:, :3].float().requires_grad_()
    found = module(tokens, NOISE.float())
    assert (found.attention.sum(-1) == 0).any() and found.slots.isfinite().all()
    assert all(one.isfinite().all() for one in gradients(module, tokens, found))


def test_the_number_of_slots_and_iterations_is_that_of_the_call() -> None:
    module, noise = make(), torch.randn(3, 9, 8).double()
    found = module(TOKENS, noise, iterations=2).slots
    middle = module(TOKENS, noise, iterations=1).slots
    torch.testing.assert_close(module(TOKENS, slots=middle, iterations=1).slots, found)
    assert found.shape == (3, 9, 8)


def test_learned_slots_start_as_they_are() -> None:
    module = make(prior="learned")
    expected = module(TOKENS, slots=module.mean.expand(3, -1, -1)).slots
    found = module(TOKENS).slots
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    assert module.mean.shape == (1, 4, 8) and module.mean.grad is not None
    assert module.log_deviation is None and module.mean.grad.any()


# Rescaled updates ------------------------------------------------------------------------------


@pytest.mark.parametrize("rescale", ["cardinality", "mass"])
@pytest.mark.parametrize("masked", [False, True])
def test_updates_are_rescaled_in_evaluation(rescale: Any, masked: bool) -> None:
    module, noise = make(heads=2, iterations=1, num_slots=3).eval(), torch.randn(3, 5, 8).double()
    seen: list[Tensor] = []
    module.gru.register_forward_pre_hook(lambda _, given: seen.append(given[0].view(3, 5, 10)))
    mask = torch.tensor([[True, True, False, True, True]]).expand(3, -1) if masked else None
    attention = module(TOKENS, noise, slot_mask=mask).attention
    now = 4 if masked else 5
    module(TOKENS, noise, slot_mask=mask, rescale=rescale)
    share = attention.sum(-1, keepdim=True) * now / 20
    expected = seen[0] * (3 / now if rescale == "cardinality" else share)
    torch.testing.assert_close(seen[1], expected)


def test_nothing_is_rescaled_in_training() -> None:
    with pytest.raises(ValueError, match="rescale must be 'none' in training, got 'mass'"):
        make()(TOKENS, NOISE, rescale="mass")


# Batch normalisation ---------------------------------------------------------------------------


def averages(module: SlotAttention) -> Tensor:
    found = module.normalize
    return torch.cat([found.get_buffer("running_mean"), found.get_buffer("running_variance")])


@pytest.mark.parametrize("implicit", ["none", "last_step", "extra_step"])
def test_running_averages_move_once_in_a_forward_pass(implicit: Any) -> None:
    module = make("batch_norm", implicit=implicit)
    once = make("batch_norm", implicit=implicit, iterations=1)
    module(TOKENS, NOISE)
    once(TOKENS, NOISE)
    torch.testing.assert_close(averages(module), averages(once))
    moved = averages(module)
    module.eval()(TOKENS, NOISE)
    assert torch.equal(averages(module), moved)


@pytest.mark.parametrize("reentrant", [False, True])
def test_activations_can_be_computed_again(reentrant: bool) -> None:
    module, plain = make("batch_norm"), make("batch_norm")
    tokens, same = TOKENS.clone().requires_grad_(), TOKENS.clone().requires_grad_()
    found: Any = checkpoint(module, tokens, NOISE, use_reentrant=reentrant)
    found[0].sum().backward()
    plain(same, NOISE).slots.sum().backward()
    assert tokens.grad is not None and same.grad is not None
    torch.testing.assert_close(tokens.grad, same.grad)
    torch.testing.assert_close(averages(module), averages(plain))


def test_own_statistics_are_at_most_the_iterations() -> None:
    assert make("batch_norm", own_statistics=3).normalize.get_buffer("running_mean").shape == (3,)
    with pytest.raises(ValueError, match=r"own_statistics must be at most iterations \(3\), got 4"):
        make("batch_norm", own_statistics=4)


# Copies and precision --------------------------------------------------------------------------


@variants
@pytest.mark.parametrize("training", [True, False])
def test_a_module_can_be_copied_and_sent_after_a_step(normalization: str, training: bool) -> None:
    module = make(normalization).train(training)
    module(TOKENS, NOISE).slots.sum()
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        expected = copy.deepcopy(module)(TOKENS, NOISE)
        torch.testing.assert_close(tuple(other(TOKENS, NOISE)), tuple(expected))


@variants
@pytest.mark.parametrize("heads", [1, 2])
def test_half_precision_stays_near(normalization: str, heads: int) -> None:
    module = make(normalization, heads=heads, projection_bias=True).float()
    tokens = TOKENS.float().requires_grad_()
    expected = module(tokens, NOISE.float())
    with torch.autocast("cpu", torch.bfloat16):
        found = module(tokens, NOISE.float())
    assert found.slots.dtype == found.attention.dtype == torch.float32
    torch.testing.assert_close(found.attention.sum(1), torch.ones(3, 20), atol=1e-6, rtol=0)
    assert (found.slots - expected.slots).abs().mean() < 0.02 * expected.slots.abs().mean()
    one, other = (
        torch.cat([part.flatten() for part in gradients(module, tokens, each)])
        for each in (found, expected)
    )
    assert (one - other).norm() < 0.2 * other.norm()


@variants
def test_half_precision_keeps_the_gradients_of_the_last_step(normalization: str) -> None:
    module = make(normalization, implicit="last_step").float()
    with torch.autocast("cpu", torch.bfloat16):
        module(TOKENS.float(), NOISE.float()).slots.sum().backward()
    without = {name for name, one in module.named_parameters() if one.grad is None}
    assert without == {"mean", "log_deviation"}


@variants
def test_a_module_can_be_in_half_precision_altogether(normalization: str) -> None:
    module = make(normalization).bfloat16()
    found = module(TOKENS.bfloat16(), NOISE.bfloat16())
    assert found.slots.isfinite().all() and found.slots.dtype == torch.bfloat16


# How it starts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("init", "prior", "keys"),
    [
        ("glorot", math.sqrt(6 / 128), math.sqrt(6 / 84)),
        ("keras", math.sqrt(6 / 65), math.sqrt(6 / 84)),
        ("torch", math.sqrt(6 / 128), math.sqrt(1 / 20)),
    ],
)
def test_parameters_start_within_their_bounds(init: Any, prior: float, keys: float) -> None:
    module = SlotAttention(token_width=20, init=init)
    for parameter, bound in ((module.mean, prior), (module.to_keys.weight, keys)):
        assert 0.85 * bound < parameter.abs().max() <= bound
    assert module.norm_tokens.eps == (1e-3 if init == "keras" else 1e-5)
    assert (init == "torch") == bool(module.mlp.state_dict()["0.bias"].any())
    orthogonal = module.gru.weight_hh.T @ module.gru.weight_hh
    assert (init != "torch") == torch.allclose(orthogonal, torch.eye(64), atol=1e-5)


def test_what_is_not_known_is_named() -> None:
    with pytest.raises(LookupError, match="normalization must be one of mean, .*, got 'sum'"):
        make("sum")
    with pytest.raises(LookupError, match="init must be one of glorot, keras, torch, got 'zero'"):
        make(init="zero")
    with pytest.raises(LookupError, match="implicit must be one of none, .*, got 'first_step'"):
        make(implicit="first_step")
    with pytest.raises(LookupError, match="prior must be one of gaussian, learned, none, got 'no'"):
        make(prior="no")
    with pytest.raises(LookupError, match="rescale must be one of none, .*, got 'size'"):
        make()(TOKENS, NOISE, rescale="size")  # pyright: ignore[reportArgumentType]


def test_heads_divide_the_common_width() -> None:
    with pytest.raises(ValueError, match=r"heads must divide common_width \(10\), got 3"):
        make(heads=3)


def test_slots_start_from_one_thing() -> None:
    for given in ({}, {"noise": NOISE, "slots": NOISE}):
        with pytest.raises(ValueError, match="exactly one of noise and slots must be given, got"):
            make()(TOKENS, **given)
    with pytest.raises(ValueError, match="noise must be None with the prior 'learned'"):
        make(prior="learned")(TOKENS, NOISE)
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        make()(TOKENS, NOISE, iterations=0)
