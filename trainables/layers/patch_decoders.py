"""Decoders from slots to the features of patches, and to masks that say whose patch each is."""

# B images, K slots, D their width, P patches, H hidden width, F width of features.

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Decoded(NamedTuple):
    """Features [B, P, F], and masks [B, K, P], single precision, that add up to 1 over slots.

    Masks are None of a decoder that has none of its own.
    """

    features: Tensor
    masks: Tensor | None


class MlpPatchDecoder(nn.Module):
    """Each slot at each patch through one MLP; a mask says how much of it is seen there.

    With s_k a slot and p_n a learned code of a patch, drawn from N(0, 1):

        h_kn = MLP(s_k + p_n);  m_n = softmax over slots of w·h_kn;  ŷ_n = Σ_k m_kn (W h_kn + b)

    (Seitzer et al. 2023, section 3.) Two layers are folded, exactly. The first is linear in the sum
    of slot and code, so it takes K slots and P codes instead of K·P sums; the last is linear in h
    and Σ_k m_kn = 1, so that ŷ_n = W (Σ_k m_kn h_kn) + b, of P mixtures instead of K·P features.

    Args:
        slot_width: D.
        features: F.
        patches: P.
        width: H.
        layers: hidden layers, each with ReLU.
        combines: `add`: slot + code. `concatenate`: the code, D wide too, follows the slot.

    Raises:
        LookupError: `combines` is not known.
    """

    def __init__(
        self,
        *,
        slot_width: int,
        features: int,
        patches: int,
        width: int = 1024,
        layers: int = 3,
        combines: Literal["add", "concatenate"] = "add",
    ) -> None:
        super().__init__()
        if combines not in ("add", "concatenate"):
            raise LookupError(f"combines must be one of add, concatenate, got {combines!r}")
        self.combines = combines
        self.codes = nn.Parameter(torch.randn(patches, slot_width))
        inputs = slot_width * (1 if combines == "add" else 2)
        self.first = nn.Linear(inputs, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(layers - 1))
        self.last = nn.Linear(width, 1 + features)  # the mask first

    def forward(self, slots: Tensor, targets: Tensor | None = None) -> Decoded:
        """Features and masks of slots [B, K, D]; targets are not looked at."""
        of_slots, of_codes = self._split()
        slots_part = functional.linear(slots, of_slots)
        codes_part = functional.linear(self.codes, of_codes, self.first.bias)
        summed = torch.relu_(slots_part[:, None] + codes_part[:, None])
        # Flat: what a layer makes of more dimensions is a view, and in place that costs a copy.
        hidden = summed.flatten(0, 2)
        for layer in self.hidden:
            hidden = torch.relu_(layer(hidden))
        return mixed_once(hidden.view_as(summed), self.last)

    def _split(self) -> tuple[Tensor, Tensor]:
        """The first layer's weights [H, D] for slots and for codes."""
        weight, width = self.first.weight, self.codes.shape[1]
        if self.combines == "add":
            return weight, weight
        return weight[:, :width], weight[:, width:]


class BroadcastPatchDecoder(nn.Module):
    """A spatial broadcast decoder (Watters et al. 2019) on the grid of patches.

    Each slot is laid on every patch, a learned code of the patch is added, `layers` convolutions of
    3 × 3 with ReLU and zeros around follow, then at each patch a linear layer to mask and features,
    mixed as in `MlpPatchDecoder`.

    Of the first convolution the slot's part is folded, exactly: a slot is the same on all patches,
    so its product with each of the nine taps is computed once, and a patch adds up those taps that
    lie inside the grid.

    Args:
        slot_width: D.
        features: F.
        grid: rows and columns of patches.
        channels: of the convolutions.
        layers: how many.
    """

    inside: Tensor

    def __init__(
        self,
        *,
        slot_width: int,
        features: int,
        grid: tuple[int, int],
        channels: int = 256,
        layers: int = 3,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.codes = nn.Parameter(torch.randn(1, slot_width, *grid))
        self.first = nn.Conv2d(slot_width, channels, 3, padding=1)
        self.hidden = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(layers - 1)
        )
        self.last = nn.Linear(channels, 1 + features)
        inside = functional.unfold(torch.ones(1, 1, *grid), 3, padding=1)[0].T
        self.register_buffer("inside", inside.contiguous(), persistent=False)

    def forward(self, slots: Tensor, targets: Tensor | None = None) -> Decoded:
        """Features and masks of slots [B, K, D]; targets are not looked at."""
        batch, count = slots.shape[:2]
        weight = self.first.weight
        taps = torch.einsum("nd,cdt->ntc", slots.flatten(0, 1), weight.flatten(2))
        of_slots = (self.inside.to(taps.dtype) @ taps).unflatten(1, self.grid).permute(0, 3, 1, 2)
        maps = torch.relu_(of_slots + self.first(self.codes))  # channels last
        for layer in self.hidden:
            maps = torch.relu_(layer(maps))
        hidden = maps.permute(0, 2, 3, 1).reshape(batch, count, -1, maps.shape[1])
        return mixed_once(hidden.transpose(1, 2), self.last)


def mixed_once(hidden: Tensor, last: nn.Linear) -> Decoded:
    """What a linear layer makes of slots at patches, hidden [B, P, K, H], mixed by its masks.

    The first output of the layer is the logit of the mask, the others features; these are computed
    of the mixture of hidden values, which is the same as the mixture of features (see
    `MlpPatchDecoder`).
    """
    rows = hidden.flatten(0, 1)
    weight, bias = last.weight[0].to(hidden.dtype), last.bias[0]
    mixture, masks = _Mixture.apply(rows, weight, bias)
    mixture, masks = (one.unflatten(0, hidden.shape[:2]) for one in (mixture, masks))
    features = functional.linear(mixture, last.weight[1:], last.bias[1:])
    return Decoded(features, masks.transpose(1, 2))


class _Mixture(torch.autograd.Function):
    """Σ_k m_k h_k with m = softmax(h·w + b), of rows h [N, K, H]: [N, H], and m [N, K].

    In a function of its own, because h is by far the largest tensor there is: its gradient, of the
    mixture and of the masks together, is written once, by one product.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        logits = (rows @ weight).to(_exact(rows.dtype)) + bias
        masks = logits.softmax(1)
        ctx.save_for_backward(rows, weight, masks)
        return torch.bmm(masks.to(rows.dtype)[:, None], rows)[:, 0], masks

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, of_mixture: Tensor, of_masks: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows, weight, masks = ctx.saved_tensors
        of_masks = of_masks + torch.bmm(rows, of_mixture[..., None])[..., 0]
        of_logits = masks * (of_masks - (masks * of_masks).sum(1, keepdim=True))
        shares = torch.stack([masks, of_logits], 2).to(rows.dtype)
        directions = torch.stack([of_mixture, weight.expand_as(of_mixture)], 1)
        of_weight = of_logits.to(rows.dtype).flatten() @ rows.flatten(0, 1)
        return torch.bmm(shares, directions), of_weight, of_logits.sum()


def _exact(kind: torch.dtype) -> torch.dtype:
    """Single precision for half."""
    return torch.float32 if kind.itemsize < 4 else kind
