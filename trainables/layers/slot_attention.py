"""Slot Attention: slots compete for tokens, over some iterations with shared weights."""

# B images, N tokens, K slots, D width of slots, C common width, H heads.

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from trainables.layers.checks import check_choice
from trainables.layers.gated import gru_cell
from trainables.layers.slot_competition import Competition
from trainables.layers.slot_noise import quasi_normal
from trainables.layers.slot_projections import asked_of_tokens, values_of
from trainables.layers.slot_updates import (
    NORMALIZATIONS,
    Statistics,
    update_normalization,
    weigh,
)

__all__ = ["NORMALIZATIONS", "Attended", "SlotAttention", "quasi_normal"]

INITS = ("glorot", "keras", "torch")
IMPLICIT = ("none", "last_step", "extra_step")
PRIORS = ("gaussian", "learned", "none")
POSITIONS_AT = ("once", "every_iteration")
RESCALES = ("none", "cardinality", "mass")


class Attended(NamedTuple):
    """Slots [B, K, D], and the attention [B, K, N] of the last iteration, single precision.

    Attention adds up to 1 over slots; with several heads it is the sum over heads.
    """

    slots: Tensor
    attention: Tensor


class SlotAttention(nn.Module):
    """Slots from tokens (Locatello et al. 2020, algorithm 1), with a choice of normalisations.

    With x̂ = LN(tokens), k = x̂ W_k, v = x̂ W_v and slots s⁰ from the prior, each iteration is

        q = LN(s) W_q;  A = softmax over slots of q kᵀ / √C;  u = normalise(A, v)
        g = GRU(u, s);  s = g + MLP(LN(g))

    Keys and values are never formed (see `layers.slot_projections`).

    With H heads, the softmax is over slots and heads together, each head has its own part of C,
    scores are divided by √(C/H), and masses are those of slot and head.

    Positions of tokens, if a call has some, are added to the tokens before their LN, and are so in
    keys and values of all iterations: to add them to the same tokens anew would change nothing. In
    `every_iteration` slots have a place, too, as the tokens of a transformer have in every block:
    q = LN(s + p̄) W_q, p̄ the mean position of the tokens that a slot attended to in the iteration
    before, 0 in the first.

    Under autocast, the softmax, masses, statistics, divisions and the GRU are in single precision.

    Args:
        token_width: width of tokens.
        slot_width: D.
        common_width: C, of queries, keys, values and updates; D if None.
        iterations: T, if a call says nothing else.
        normalization: one of `NORMALIZATIONS` (see `layers.slot_updates`).
        mlp_width: hidden width of the MLP; the larger of C and 128 if None.
        heads: H, a divisor of C.
        init: `glorot`: linear layers and prior Glorot-uniform as torch computes it,
            GRU as in Keras. `keras`: the bounds of Keras for the prior too, ±√(6/(1 + D)), and its
            ε = 1e-3 in layer normalisation. `torch`: linear layers and GRU as torch leaves them.
        implicit: `last_step`: iterations before the last are without gradient. `extra_step`: T
            iterations without, and one more with gradient (Chang et al. 2022).
        trains_prior: with `implicit`, s⁰ receives the gradient of the slots that enter the step
            with gradient (straight-through; Jia et al. 2023); otherwise it receives none.
        prior: `gaussian`: s⁰ = μ + exp(log σ) ⊙ noise, μ and σ learned, shared by all slots.
            `learned`: s⁰ₖ is a learned vector for each of `num_slots` slots. `none`: no parameter;
            s⁰ is given in each call.
        num_slots: how many slots there are in training.
        projection_bias: whether W_q, W_k and W_v have biases.
        own_statistics: R of `batch_norm`, at most the number of iterations.
        momentum: of the running averages of `batch_norm`.
        synchronizes: whether `batch_norm` has statistics of all workers.
        constant_factor: of `constant`: updates are A v · constant_factor / N.
        eps: ε of `mean`.
        background_bias: is added to the scores of slot 0, in all heads.
        positions_at: `once` or `every_iteration`, which asks for slots as wide as tokens.

    Raises:
        LookupError: a name is not known.
        ValueError: a number is out of range, or slots with places are not as wide as tokens.
    """

    mean: nn.Parameter
    log_deviation: nn.Parameter | None

    def __init__(
        self,
        *,
        token_width: int,
        slot_width: int = 64,
        common_width: int | None = None,
        iterations: int = 3,
        normalization: str = "mean",
        mlp_width: int | None = None,
        heads: int = 1,
        init: Literal["glorot", "keras", "torch"] = "glorot",
        implicit: Literal["none", "last_step", "extra_step"] = "none",
        trains_prior: bool = False,
        prior: Literal["gaussian", "learned", "none"] = "gaussian",
        num_slots: int = 7,
        projection_bias: bool = False,
        own_statistics: int = 1,
        momentum: float = 0.1,
        synchronizes: bool = True,
        constant_factor: float = 1.0,
        eps: float = 1e-8,
        background_bias: float = 0.0,
        positions_at: Literal["once", "every_iteration"] = "once",
    ) -> None:
        super().__init__()
        common = common_width or slot_width
        check_choice("init", init, INITS)
        check_choice("implicit", implicit, IMPLICIT)
        check_choice("prior", prior, PRIORS)
        _check_positions(positions_at, slot_width, token_width)
        if common % heads:
            raise ValueError(f"heads must divide common_width ({common}), got {heads}")
        if normalization == "batch_norm":
            _check_statistics(own_statistics, iterations)
        self.slot_width, self.common_width, self.heads = slot_width, common, heads
        self.iterations, self.num_slots = iterations, num_slots
        self.normalization, self.constant_factor, self.eps = normalization, constant_factor, eps
        self.implicit, self.trains_prior, self.prior = implicit, trains_prior, prior
        self.background_bias, self.positions_at = background_bias, positions_at
        norm_eps = 1e-3 if init == "keras" else 1e-5
        self.norm_tokens = nn.LayerNorm(token_width, eps=norm_eps)
        self.norm_slots = nn.LayerNorm(slot_width, eps=norm_eps)
        self.norm_mlp = nn.LayerNorm(slot_width, eps=norm_eps)
        self._make_prior()
        self.to_queries = nn.Linear(slot_width, common, bias=projection_bias)
        self.to_keys = nn.Linear(token_width, common, bias=projection_bias)
        self.to_values = nn.Linear(token_width, common, bias=projection_bias)
        self.normalize = update_normalization(
            normalization,
            common,
            own_statistics=own_statistics,
            momentum=momentum,
            synchronizes=synchronizes,
        )
        self.gru = gru_cell(common, slot_width, "torch" if init == "torch" else "keras")
        self.competition, hidden = Competition(heads), mlp_width or max(common, 128)
        self.mlp = nn.Sequential(
            nn.Linear(slot_width, hidden), nn.ReLU(), nn.Linear(hidden, slot_width)
        )
        self._initialize(init)

    def forward(
        self,
        tokens: Tensor,
        noise: Tensor | None = None,
        *,
        slots: Tensor | None = None,
        positions: Tensor | None = None,
        slot_mask: Tensor | None = None,
        iterations: int | None = None,
        rescale: Literal["none", "cardinality", "mass"] = "none",
    ) -> Attended:
        """Slots of tokens [B, N, token width], as many as there are in `noise` or `slots`.

        Args:
            tokens: [B, N, token width].
            noise: [B, K, D], standard normal, of the prior `gaussian`.
            slots: s⁰ itself, [B, K, D], instead of one from the prior.
            positions: of the tokens, [1 or B, N, token width].
            slot_mask: [B, K], True where a slot takes part. Others stay as they were, have no
                attention, and do not count in any statistics.
            iterations: T of this call.
            rescale: in evaluation only, multiplies updates: `cardinality` by the number of slots
                in training over that of now (with `mean`, the scaled mean), `mass` by Sₖ K / N.

        Raises:
            LookupError: there is no such `rescale`.
            ValueError: not exactly one of noise and slots (the prior `learned` takes no noise, and
                `none` takes slots), or something to rescale in training.
        """
        check_choice("rescale", rescale, RESCALES)
        if self.training and rescale != "none":
            raise ValueError(f"rescale must be 'none' in training, got {rescale!r}")
        total = self.iterations if iterations is None else iterations
        if total < 1:
            raise ValueError(f"iterations must be at least 1, got {total}")
        total += self.implicit == "extra_step"
        start = slots = self._start(tokens.shape[0], noise, slots)
        seen = self._seen(tokens if positions is None else tokens + positions)
        attention, places = None, None
        carried: Statistics | None = None
        for iteration in range(total):
            is_last = iteration == total - 1
            if is_last and self.implicit != "none":
                slots = self._cut(slots, start)
            with torch.set_grad_enabled(
                torch.is_grad_enabled() and (is_last or self.implicit == "none")
            ):
                placed = slots if places is None else slots + places
                attention, sums = self._attend(placed, seen, slot_mask)
                updates, carried = self._updates(
                    attention, sums, iteration, carried, slot_mask, rescale
                )
                slots = self._step(slots, updates, slot_mask)
                if positions is not None and self.positions_at == "every_iteration":
                    places = None if is_last else self._places(attention, positions)
        assert attention is not None
        if self.heads > 1:
            attention = attention.unflatten(1, (-1, self.heads)).sum(2)
        return Attended(slots, attention)

    def _make_prior(self) -> None:
        """Its parameters, as far as there are any."""
        self.log_deviation = None
        if self.prior == "none":
            self.register_parameter("mean", None)
            return
        rows = self.num_slots if self.prior == "learned" else 1
        self.mean = nn.Parameter(torch.zeros(1, rows, self.slot_width))
        if self.prior == "gaussian":
            self.log_deviation = nn.Parameter(torch.zeros(1, 1, self.slot_width))

    def _start(self, batch: int, noise: Tensor | None, slots: Tensor | None) -> Tensor:
        """s⁰ [B, K, D]."""
        given = [name for name, one in (("noise", noise), ("slots", slots)) if one is not None]
        if self.prior == "none":
            if given != ["slots"]:
                raise ValueError(f"slots, and no noise, must be given without a prior, got {given}")
            assert slots is not None
            return slots
        if self.prior == "learned":
            if noise is not None:
                raise ValueError("noise must be None with the prior 'learned', got a tensor")
            return self.mean.expand(batch, -1, -1) if slots is None else slots
        if len(given) != 1:
            raise ValueError(f"exactly one of noise and slots must be given, got {given}")
        if slots is not None:
            return slots
        assert self.log_deviation is not None and noise is not None
        return torch.addcmul(self.mean, self.log_deviation.exp(), noise)

    def _cut(self, slots: Tensor, start: Tensor) -> Tensor:
        """Slots without the gradient of what made them; s⁰ has it instead, if it is trained."""
        return slots.detach() + (start - start.detach()) if self.trains_prior else slots.detach()

    def _seen(self, tokens: Tensor) -> Tensor:
        """x̂ [B, N, token width], rounded once if products are to be in half precision."""
        seen = self.norm_tokens(tokens)
        kind = tokens.device.type
        return seen.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else seen

    def _attend(
        self, slots: Tensor, seen: Tensor, slot_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Attention [B, K·H, N], and the tokens added up by it [B, K·H, token width]."""
        heads = self.heads
        queries = self.to_queries(self.norm_slots(slots)) * (self.common_width // heads) ** -0.5
        asked, shift = asked_of_tokens(queries, self.to_keys, heads)
        if self.background_bias:
            is_first = torch.arange(asked.shape[1], device=asked.device) < heads
            bias = (is_first * self.background_bias).to(slots.dtype).expand(asked.shape[:2])
            shift = bias if shift is None else shift + bias
        present = None if slot_mask is None else slot_mask.repeat_interleave(heads, 1)
        return self.competition(seen, asked, shift, present)

    def _places(self, attention: Tensor, positions: Tensor) -> Tensor:
        """The mean position of what each slot attends to, [B, K, D]."""
        by_slot = attention.unflatten(1, (-1, self.heads)).sum(2)
        weights = by_slot / by_slot.sum(-1, keepdim=True).clamp_min(self.eps)
        return weights @ positions.to(weights.dtype)

    def _updates(
        self,
        attention: Tensor,
        sums: Tensor,
        iteration: int,
        carried: Statistics | None,
        slot_mask: Tensor | None,
        rescale: str,
    ) -> tuple[Tensor, Statistics | None]:
        """What the GRU is given, [B, K, C], single precision."""
        with torch.autocast(attention.device.type, enabled=False):
            mass = attention.sum(-1)
            num_tokens = attention.shape[-1]
            weighed, weights = weigh(
                self.normalization,
                _exact(sums),
                mass,
                num_tokens,
                constant_factor=self.constant_factor,
                eps=self.eps,
            )
            updates = _exact(values_of(weighed, weights, self.to_values, self.heads))
            updates, carried = self.normalize(updates, iteration, carried, slot_mask)
            if rescale != "none":
                updates = updates * self._factor(rescale, mass / num_tokens, slot_mask)
            return updates, carried

    def _factor(self, rescale: str, shares: Tensor, slot_mask: Tensor | None) -> Tensor:
        """What updates are multiplied by, [B, K, 1], from the shares of tokens [B, K·H]."""
        shares = shares.unflatten(1, (-1, self.heads)).sum(2)
        present = torch.ones_like(shares) if slot_mask is None else slot_mask.to(shares.dtype)
        slots_now = present.sum(1, keepdim=True).clamp_min(1)
        factor = self.num_slots / slots_now if rescale == "cardinality" else shares * slots_now
        return factor.expand_as(shares)[..., None]

    def _step(self, slots: Tensor, updates: Tensor, slot_mask: Tensor | None) -> Tensor:
        """The slots after an iteration, [B, K, D]."""
        with torch.autocast(slots.device.type, enabled=False):
            state = slots.to(self.gru.weight_hh.dtype)
            gated = self.gru(updates.to(state.dtype).flatten(0, 1), state.flatten(0, 1))
        gated = gated.view_as(slots)
        stepped = gated + self.mlp(self.norm_mlp(gated))
        return stepped if slot_mask is None else torch.where(slot_mask[..., None], stepped, slots)

    @torch.no_grad()
    def _initialize(self, init: str) -> None:
        prior = [one for one in (self.mean, self.log_deviation) if one is not None]
        for parameter in prior:
            bound = (6 / ((1 if init == "keras" else self.slot_width) + self.slot_width)) ** 0.5
            nn.init.uniform_(parameter, -bound, bound)
        if init == "torch":
            return
        for layer in (self.to_queries, self.to_keys, self.to_values, self.mlp[0], self.mlp[2]):
            assert isinstance(layer, nn.Linear)
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _exact(values: Tensor) -> Tensor:
    """In single precision if they are in half."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def _check_positions(positions_at: str, slot_width: int, token_width: int) -> None:
    check_choice("positions_at", positions_at, POSITIONS_AT)
    if positions_at == "every_iteration" and slot_width != token_width:
        raise ValueError(
            f"slot_width must be the width of tokens ({token_width}) with positions_at "
            f"'every_iteration', got {slot_width}"
        )


def _check_statistics(own_statistics: int, iterations: int) -> None:
    if own_statistics > iterations:
        raise ValueError(
            f"own_statistics must be at most iterations ({iterations}), got {own_statistics}"
        )
