"""Fitting of linear layers on frozen features, until images that are held out no longer gain."""

# n images, S slots, C width of features, Q outputs.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

Pools = Literal["max", "mean"]
Loss = Callable[[Tensor, Tensor], Tensor]

_CONSTANT = 1e-6
"""A feature that deviates by less than this part of its mean is rounding, not information."""


@dataclass(frozen=True)
class Fitting:
    """How a probe is fitted: full batches of AdamW, until held-out images no longer gain.

    Standardised features bear a rate at which some hundred steps are enough. Published probes took
    4,000 or 10,000 instead, whatever came of it: as `steps`, with `learning_rate` 1e-3 and neither
    `stops_early` nor `standardizes`, they are repeated.

    Args:
        steps: at most so many.
        learning_rate: of AdamW.
        weight_decay: of AdamW, on weights and biases.
        stops_early: whether a share `held_out` of the images is not learned from, the probe is the
            one that was best on them, and the end comes when their loss has not fallen by
            `tolerance` for `patience` steps.
        held_out: in 0…1.
        patience: in steps.
        tolerance: a part of the loss of logits that are all 0.
        check_every: how many steps are between two looks at the held-out images.
        standardizes: whether features have mean 0 and deviation 1 for the probe, by the images
            that it is fitted on.
    """

    steps: int = 1000
    learning_rate: float = 0.1
    weight_decay: float = 0.01
    stops_early: bool = True
    held_out: float = 0.2
    patience: int = 50
    tolerance: float = 0.01
    check_every: int = 5
    standardizes: bool = True


@dataclass(frozen=True)
class Readout:
    """A linear layer on features, and how it was fitted.

    `weight` [Q, C] and `bias` [Q] are of (features − `mean`) / `deviation`, both [C]. Of slots, the
    outputs are their maximum or their mean. `fit_losses` has a number for each step, `held_losses`
    one for each of the steps `checked`; they are empty where nothing was held out. `best_step` is
    how many steps the weights have seen.
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    deviation: Tensor
    pools: Pools
    fit_losses: Tensor
    held_losses: Tensor
    checked: Tensor
    best_step: int

    @torch.no_grad()
    def __call__(self, features: Tensor) -> Tensor:
        """Logits [n, Q] of features [n, C] or [n, S, C]."""
        seen = (features - self.mean) / self.deviation
        return _logits(seen, self.weight, self.bias, self.pools)


def fitted(
    features: Tensor,
    targets: Tensor,
    outputs: int,
    loss: Loss,
    pools: Pools,
    generator: torch.Generator,
    fitting: Fitting,
) -> dict[str, Any]:
    """The fields of a `Readout` of features [n, C] or [n, S, C] for targets [n, …].

    `loss` is a scalar of logits [n, `outputs`] and targets. First weights are uniform in ±1/√C;
    they, and who is held out, are drawn by `generator`, which is on the CPU. May be called in
    inference mode.

    Raises:
        ValueError: nobody is held out though the end depends on it, or everybody.
    """
    held = round(len(features) * fitting.held_out) if fitting.stops_early else 0
    if fitting.stops_early and not 0 < held < len(features):
        raise ValueError(
            f"held_out must leave some of {len(features)} images on both sides, "
            f"got {fitting.held_out}"
        )
    with torch.inference_mode(False), torch.enable_grad():
        mean, deviation = _scale(features, fitting.standardizes)
        seen, targets = (features.float() - mean) / deviation, targets.clone()
        bound = features.shape[-1] ** -0.5
        first = torch.rand(outputs, features.shape[-1] + 1, generator=generator).to(seen.device)
        weight, bias = ((2 * first - 1) * bound).split([features.shape[-1], 1], 1)
        order = torch.randperm(len(features), generator=generator).to(seen.device)
        learned = (seen[order[held:]], targets[order[held:]])
        judged = (seen[order[:held]], targets[order[:held]]) if held else None
        layer = (weight.clone().requires_grad_(), bias[:, 0].clone().requires_grad_())
        found = _descend(layer, learned, judged, loss, pools, fitting)
    return {"mean": mean, "deviation": deviation, "pools": pools, **found}


def _descend(
    layer: tuple[Tensor, Tensor],
    learned: tuple[Tensor, Tensor],
    judged: tuple[Tensor, Tensor] | None,
    loss: Loss,
    pools: Pools,
    fitting: Fitting,
) -> dict[str, Any]:
    """AdamW on the layer; it ends where the loss of what is judged no longer falls."""
    optimizer = torch.optim.AdamW(
        layer, lr=fitting.learning_rate, weight_decay=fitting.weight_decay
    )
    fit_losses, held_losses, checked = list[Tensor](), list[float](), list[int]()
    best, lowest, goal, gained = [one.detach().clone() for one in layer], torch.inf, torch.inf, 0
    best_step = 0
    least = 0.0 if judged is None else fitting.tolerance * _blind(judged, layer[1], loss)
    for step in range(1, fitting.steps + 1):
        optimizer.zero_grad()
        value = loss(_logits(learned[0], *layer, pools), learned[1])
        value.backward()
        optimizer.step()
        fit_losses.append(value.detach())
        if judged is None or (step % fitting.check_every and step < fitting.steps):
            continue
        with torch.no_grad():
            now = float(loss(_logits(judged[0], *layer, pools), judged[1]))
        held_losses.append(now)
        checked.append(step)
        if now < lowest:
            lowest, best_step, best = now, step, [one.detach().clone() for one in layer]
        if now < goal:
            goal, gained = now - least, step
        elif step - gained >= fitting.patience:
            break
    if judged is None:
        best, best_step = [one.detach() for one in layer], fitting.steps
    return {
        "weight": best[0],
        "bias": best[1],
        "fit_losses": torch.stack(fit_losses).cpu(),
        "held_losses": torch.tensor(held_losses),
        "checked": torch.tensor(checked, dtype=torch.int64),
        "best_step": best_step,
    }


def _blind(judged: tuple[Tensor, Tensor], bias: Tensor, loss: Loss) -> float:
    """The loss of logits that are all 0."""
    with torch.no_grad():
        return float(loss(bias.new_zeros(len(judged[1]), len(bias)), judged[1]))


def _logits(seen: Tensor, weight: Tensor, bias: Tensor, pools: Pools) -> Tensor:
    """[n, Q] of features [n, C] or [n, S, C]."""
    if seen.dim() == 2:
        return functional.linear(seen, weight, bias)
    if pools == "mean":
        return functional.linear(seen.mean(1), weight, bias)
    return functional.linear(seen, weight, bias).amax(1)


def _scale(features: Tensor, standardizes: bool) -> tuple[Tensor, Tensor]:
    """Mean and deviation of features, [C] each: 0 and 1 where they are left as they are."""
    rows = features.reshape(-1, features.shape[-1]).float()
    if not standardizes:
        return torch.zeros_like(rows[0]), torch.ones_like(rows[0])
    mean, deviation = rows.mean(0), rows.std(0, correction=0)
    return mean, deviation.where(deviation > _CONSTANT * mean.abs(), 1.0)
