"""Slot Attention alone: each normalisation, in training and evaluation, and the time of a layer."""

# B images, N tokens, K slots of this call; seven slots in training, all 64 wide.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.beside.pairing import (
    SEED,
    Case,
    Gradients,
    Sides,
    gradient,
    moved,
    noise,
    original,
    paired,
    quietly,
)
from trainables.layers.slot_attention import SlotAttention

WIDTH, SLOTS, ITERATIONS = 64, 7, 3
ORIGINAL_NAMES = {"batch_norm": "scalar_batch_norm_single"}
"""The original's names of normalisations, where they are not ours."""

_NORMALIZATIONS = (
    "mean",
    "constant",
    "none",
    "layer_norm",
    "batch_norm",
    "image_level",
    "scaled_mean",
)
_PLACES = {
    "slots_mu": "mean",
    "slots_logsigma": "log_deviation",
    "norm_input.": "norm_tokens.",
    "norm_slots.": "norm_slots.",
    "norm_pre_ff.": "norm_mlp.",
    "to_q.": "to_queries.",
    "to_k.": "to_keys.",
    "to_v.": "to_values.",
    "mlp.": "mlp.",
    "update_ln.gamma": "normalize.scale",
    "update_ln.beta": "normalize.shift",
    "update_ln.weight": "normalize.norm.weight",
    "update_ln.bias": "normalize.norm.bias",
    "update_normalizer.gamma": "normalize.scale",
    "update_normalizer.beta": "normalize.shift",
}


@dataclass(frozen=True)
class Setting:
    """Of one comparison: K slots now, `iterations` now, and which parts there are."""

    normalization: str
    slots: int = SLOTS
    iterations: int = ITERATIONS
    is_implicit: bool = False
    has_torch_gru: bool = False

    @property
    def name(self) -> str:
        """In words."""
        parts = [self.normalization]
        if (self.slots, self.iterations) != (SLOTS, ITERATIONS):
            parts.append(f"{self.slots} slots, {self.iterations} iterations")
        parts += ["implicit"] * self.is_implicit + ["torch's GRU"] * self.has_torch_gru
        return ", ".join(parts)

    @property
    def modes(self) -> tuple[str, ...]:
        """Ours rescales in evaluation only, so the scaled mean trains as the mean does."""
        is_rescaled = self.normalization == "scaled_mean" and self.slots != SLOTS
        return ("eval",) if is_rescaled else ("train", "eval")


def cases() -> list[Case]:
    """Comparisons of all normalisations in four settings, and timings of `mean` at four sizes."""
    settings = [
        setting
        for name in _NORMALIZATIONS
        for setting in (
            Setting(name),
            Setting(name, slots=11, iterations=5),
            Setting(name, is_implicit=True),
            Setting(name, has_torch_gru=True),
        )
    ]
    compared = [Case(setting.name, partial(_compared, setting)) for setting in settings]
    sizes = ((8, 16384, 7), (32, 784, 4), (16, 1024, 10), (16, 784, 24))
    timed = [
        Case(
            f"B {size[0]}, N {size[1]}, K {size[2]}: forward{', backward' * trains}",
            partial(_timed, *size, trains),
            is_compared=False,
            is_timed=True,
        )
        for size in sizes
        for trains in (True, False)
    ]
    return compared + timed


def renamed(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values of the original's Slot Attention under our names.

    Its GRU has gates z, r, n along the last axis of [D, 3 D], ours r, z, n along the first; torch's
    GRU is the same in both.
    """
    found = moved(named, _PLACES)
    if "gru.kernel" not in named:
        return found | moved(named, {"gru.": "gru."})
    for old, new in (("gru.kernel", "gru.weight_ih"), ("gru.recurrent_kernel", "gru.weight_hh")):
        found[new] = _gates(named[old]).T
    found["gru.bias_ih"], found["gru.bias_hh"] = _gates(named["gru.bias"])
    return found


def _gates(values: Tensor) -> Tensor:
    first, second, new = values.chunk(3, -1)
    return torch.cat([second, first, new], -1)


def _networks(setting: Setting, num_slots: int = SLOTS) -> tuple[Any, SlotAttention, Gradients]:
    """Both layers with the same weights."""
    torch.manual_seed(0)
    is_scaled = setting.normalization == "scaled_mean"
    with quietly():
        theirs = original("slot_attention.slot_attention").SlotAttention(
            WIDTH,
            WIDTH,
            num_slots=num_slots,
            iters=ITERATIONS,
            use_imlicit=setting.is_implicit,
            update_normalization=ORIGINAL_NAMES.get(setting.normalization, setting.normalization),
            tf_gru=not setting.has_torch_gru,
        )
    ours = SlotAttention(
        token_width=WIDTH,
        slot_width=WIDTH,
        iterations=ITERATIONS,
        num_slots=num_slots,
        normalization="mean" if is_scaled else setting.normalization,
        implicit="last_step" if setting.is_implicit else "none",
    )
    return theirs, ours, paired(theirs, ours, renamed)


def _compared(setting: Setting, batch: int = 8, tokens: int = 1024) -> Sides:
    """Slots, attention and running statistics; gradients of a random sum of slots and attention."""
    theirs, ours, gradients = _networks(setting)
    with torch.no_grad():  # running statistics that are not those of the start
        for _ in range(3):
            seen, slots = torch.randn(batch, tokens, WIDTH), torch.randn(batch, SLOTS, WIDTH)
            theirs(seen, slots=slots)
            ours(seen, slots=slots)
    first = torch.randn(batch, tokens, WIDTH, requires_grad=True)
    second = first.detach().clone().requires_grad_()
    weights = (
        torch.randn(batch, setting.slots, WIDTH),
        torch.randn(batch, setting.slots, tokens),
    )
    rescale = "cardinality" if setting.normalization == "scaled_mean" else "none"

    def original_step() -> dict[str, Tensor]:
        theirs.zero_grad()
        found: dict[str, Tensor] = {}
        for mode in setting.modes:
            theirs.train(mode == "train")
            torch.manual_seed(SEED)
            out = theirs(first, num_slots=setting.slots, num_iters=setting.iterations)
            found |= _backward(mode, (out["slots"], out["attention"]), weights)
        return found | _running(theirs.update_normalizer, "means", "variances")

    def our_step() -> dict[str, Tensor]:
        ours.zero_grad()
        found: dict[str, Tensor] = {}
        for mode in setting.modes:
            ours.train(mode == "train")
            out = ours(
                second,
                noise(batch, setting.slots, WIDTH),
                iterations=setting.iterations,
                rescale=rescale if mode == "eval" else "none",
            )
            found |= _backward(mode, out, weights)
        return found | _running(ours.normalize, "running_mean", "running_variance")

    def all_gradients() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        of_theirs, of_ours = gradients()
        tokens_too = {"tokens": gradient(first)}, {"tokens": gradient(second)}
        return of_theirs | tokens_too[0], of_ours | tokens_too[1]

    return Sides(original_step, our_step, all_gradients)


def _backward(
    mode: str, found: tuple[Tensor, Tensor], weights: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """The gradients of a weighted sum of slots and attention; both by name."""
    ((found[0] * weights[0]).sum() + (found[1] * weights[1]).sum()).backward()
    return {f"{mode}/slots": found[0], f"{mode}/attention": found[1]}


def _running(normalizer: nn.Module | None, mean: str, variance: str) -> dict[str, Tensor]:
    """The running statistics, of that normalisation which has some."""
    if not hasattr(normalizer, mean):
        return {}
    return {"mean": getattr(normalizer, mean)[0], "variance": getattr(normalizer, variance)[0]}


def _timed(batch: int, tokens: int, slots: int, trains: bool) -> Sides:
    """Forward of `mean`, with or without the gradients of the sum of slots."""
    theirs, ours, _ = _networks(Setting("mean"), num_slots=slots)
    seen = torch.randn(batch, tokens, WIDTH, requires_grad=True)

    def original_step() -> dict[str, Tensor]:
        theirs.zero_grad()
        seen.grad = None
        torch.manual_seed(SEED)
        with torch.set_grad_enabled(trains):
            found = theirs(seen)["slots"]
        if trains:
            found.sum().backward()
        return {"slots": found}

    def our_step() -> dict[str, Tensor]:
        ours.zero_grad()
        seen.grad = None
        with torch.set_grad_enabled(trains):
            found = ours(seen, noise(batch, slots, WIDTH)).slots
        if trains:
            found.sum().backward()
        return {"slots": found}

    return Sides(original_step, our_step)
