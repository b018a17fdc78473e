"""DINOSAUR's networks: features of patches to slots, and slots back to features and masks."""

# B images, K slots, D their width, P patches, F width of features.

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.patch_decoders import BroadcastPatchDecoder, Decoded, MlpPatchDecoder
from trainables.layers.patch_transformers import AutoregressivePatchDecoder, SlotMixerPatchDecoder
from trainables.layers.patches import Shape
from trainables.slots import config, networks
from trainables.slots.parts import Slots

_NORM_EPS = 1e-6


class Parted(NamedTuple):
    """Features taken apart.

    `reconstruction` [B, P, F] of `target` [B, P, F]; `masks` [B, K, P], which add up to 1 over
    slots; `slots` [B, K, D]; `attention` [B, K, P] of the last iteration.
    """

    target: Tensor
    reconstruction: Tensor
    masks: Tensor
    slots: Tensor
    attention: Tensor


class DinosaurNetwork(nn.Module):
    """LN, a linear layer, ReLU, a linear layer to D; Slot Attention; a decoder of patches.

    Seitzer et al. 2023, section 3. Linear layers here are as torch initialises them.

    Args:
        shape: of the features: rows and columns of patches, F.
        slots: of Slot Attention, whose tokens are D wide.
        decoder: which decoder.
        normalizes_target: whether the decoder is to predict the features of each patch with mean 0
            and variance 1, instead of as they are.

    Raises:
        ValueError: heads do not divide a width.
    """

    def __init__(
        self, *, shape: Shape, slots: Slots, decoder: config.PatchDecoder, normalizes_target: bool
    ) -> None:
        super().__init__()
        self.normalizes_target = normalizes_target
        self.to_tokens = nn.Sequential(
            nn.LayerNorm(shape.width),
            nn.Linear(shape.width, shape.width),
            nn.ReLU(),
            nn.Linear(shape.width, slots.width),
        )
        self.slot_attention = networks.slot_attention(slots, slots.width)
        self.decoder = patch_decoder(decoder, shape, slots.width)

    def forward(
        self,
        features: Tensor,
        noise: Tensor | None,
        *,
        iterations: int | None = None,
        rescale: Literal["none", "cardinality", "mass"] = "none",
    ) -> Parted:
        """Features [B, P, F] taken apart into as many slots as `noise` [B, K, D] has.

        `iterations` and `rescale` are those of Slot Attention. Masks are those of the decoder, or
        the attention if it has none.
        """
        slots, attention = self.slot_attention(
            self.to_tokens(features), noise, iterations=iterations, rescale=rescale
        )
        target = self.target(features)
        decoded: Decoded = self.decoder(slots, target)
        masks = attention if decoded.masks is None else decoded.masks
        return Parted(target, decoded.features, masks, slots, attention)

    def target(self, features: Tensor) -> Tensor:
        """What the decoder is to predict of features [B, P, F]."""
        if not self.normalizes_target:
            return features
        return functional.layer_norm(features, features.shape[-1:], eps=_NORM_EPS)


def patch_decoder(settings: config.PatchDecoder, shape: Shape, slot_width: int) -> nn.Module:
    """The decoder of these settings, for features of a shape.

    Raises:
        ValueError: heads do not divide a width; begins with the path of the setting.
    """
    named = settings.model_dump(exclude={"kind"})
    sizes = {"slot_width": slot_width, "features": shape.width}
    patches = shape.rows * shape.columns
    try:
        if isinstance(settings, config.MlpDecoder):
            return MlpPatchDecoder(**sizes, patches=patches, **named)
        if isinstance(settings, config.SlotMixerDecoder):
            return SlotMixerPatchDecoder(**sizes, patches=patches, **named)
        if isinstance(settings, config.BroadcastDecoder):
            return BroadcastPatchDecoder(**sizes, grid=(shape.rows, shape.columns), **named)
        return AutoregressivePatchDecoder(**sizes, **named)
    except ValueError as error:
        raise ValueError(f"decoder.{error}") from None


def distances(parted: Parted, kind: Literal["mse", "l1", "cosine"] = "mse") -> Tensor:
    """How far each image's reconstruction is from its target, [B], single precision.

    Means over patches and features of (x − y)² or |x − y|, or over patches of 1 − cos(x, y): 0 at
    best, `cosine` 2 at worst.
    """
    found, target = (one if one.dtype.itemsize > 4 else one.float() for one in parted[1::-1])
    if kind == "cosine":
        return (1 - functional.cosine_similarity(found, target, dim=-1)).mean(1)
    difference = (found - target).flatten(1)
    return difference.square().mean(1) if kind == "mse" else difference.abs().mean(1)
