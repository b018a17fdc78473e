"""Any network of timm as a classifier: features, then a linear layer; pretrained or not."""

# B images, C channels, S side of the images, T side that the network sees, D width of the features.

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Self

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers import pretrained
from trainables.layers.channels import COLOURS, ChannelMode, in_front, take_one_channel
from trainables.layers.weights import Weights


class Backbone(nn.Module):
    """timm's network `name`, its pooled features [B, D], dropout, logits of `classes` (0: none).

    Images of one channel: the first layer has one input channel. Of pretrained weights that is what
    `channel_mode` says (see `trainables.layers.channels`): `sum`, the sum over red, green and blue,
    gives the answer for the image copied three times. `scale_to`: images are scaled to that side
    before (bilinear). Networks that are built for one size are built for this. `other_sides` are
    those of images that come besides: scaled by the same factor, and seen by a network built for
    one size as far as timm has it take others (`dynamic_img_size`).

    Pretrained, a network sees images normalised as it was trained with (see `standardised_by`);
    otherwise it sees them as they come. Weights of a checkpoint are not read here: who loads them
    says whether the network `is_normalising`. Frozen, its parameters and running statistics never
    change, it is always in evaluation mode, and only the last layer learns.

    Raises:
        ValueError: no such network, or one that does not take such images, drop path or weights.
    """

    scale: Tensor
    offset: Tensor

    def __init__(
        self,
        *,
        name: str,
        image_size: int,
        channels: int,
        classes: int,
        scale_to: int | None = None,
        weights: Weights | None = None,
        is_frozen: bool = False,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        channel_mode: ChannelMode = "sum",
        other_sides: Sequence[int] = (),
    ) -> None:
        super().__init__()
        check_name(name)
        mode = channel_mode if channels == 1 and weights else "sum"
        self.image_size, self.scale_to, self.is_frozen = image_size, scale_to, is_frozen
        self.weights, self.is_normalising = weights, weights is not None
        self.normalisation = normalisation(name, channels, mode)
        side = scale_to or image_size
        drop_path = 0.0 if is_frozen else drop_path
        others = tuple(self._scaled(one) for one in other_sides if self._scaled(one) != side)
        settings = _settings(name, side, channels, drop_path, is_dynamic=bool(others))
        self.width = _width(name, side, channels, drop_path, others)
        self.body = _body(name, settings, weights, mode)
        self.front = in_front(mode)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.width, classes) if classes else nn.Identity()
        if isinstance(self.head, nn.Linear):
            nn.init.zeros_(self.head.weight)  # uniform predictions at the start
            nn.init.zeros_(self.head.bias)
        self.register_buffer("scale", torch.ones(channels, 1, 1))
        self.register_buffer("offset", torch.zeros(channels, 1, 1))
        if is_frozen:
            self.body.requires_grad_(False)
            if self.front is not None:
                self.front.requires_grad_(False)
            self.body.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, S, S] → logits [B, classes]."""
        return self.head(self.dropout(self.embed(images)))

    def embed(self, images: Tensor) -> Tensor:
        """Images [B, C, S, S] → features [B, D], pooled over the image."""
        return self.body(self.seen(images))

    def seen(self, images: Tensor) -> Tensor:
        """Images [B, C, S, S] as timm's network takes them: normalised, scaled, of its channels."""
        if self.is_normalising:
            images = images * self.scale + self.offset
        side = self._scaled(images.shape[-1])
        if side != images.shape[-1]:
            size = (side, side)
            images = functional.interpolate(images, size, mode="bilinear", align_corners=False)
        return images if self.front is None else self.front(images)

    def _scaled(self, side: int) -> int:
        """The side that the network sees of images of a side."""
        return round(side * (self.scale_to or self.image_size) / self.image_size)

    def train(self, mode: bool = True) -> Self:
        """Training mode for all that is not frozen."""
        super().train(mode)
        if self.is_frozen:
            self.body.eval()
        return self

    def standardised_by(self, mean: Tensor | float, deviation: Tensor | float) -> None:
        """Says how images come: (pixels in 0…1 − mean)/deviation, one number or one a channel [C].

        A pretrained network needs it to see (pixels − m)/s, m and s as timm states them; where the
        number of channels is another than theirs, m and s are their means over the channels, or
        those of the colour whose weights are taken.
        """
        if not self.is_normalising:
            return
        theirs, deviations = self.normalisation
        shape = self.scale.shape[0]
        given = [torch.as_tensor(one).float().flatten().expand(shape) for one in (mean, deviation)]
        with torch.no_grad():
            self.scale.copy_((given[1] / deviations)[:, None, None])
            self.offset.copy_(((given[0] - theirs) / deviations)[:, None, None])


def check_name(name: str) -> None:
    """Raises ValueError, with the nearest name, for one that timm has no network for."""
    base, _, tag = name.partition(".")
    if not timm.is_model(base):
        near = get_close_matches(base, timm.list_models(), 1, 0.5)
        shown = f"did you mean {near[0]!r}?" if near else "such as 'resnet18'"
        raise ValueError(
            f"name must be a network of timm {timm.__version__}, got {name!r}; {shown}"
        )
    if tag and name not in (tagged := timm.list_pretrained(f"{base}.*")):
        shown = ", ".join(one.partition(".")[2] for one in tagged) or "none"
        raise ValueError(f"name must end in a tag that timm has for {base} ({shown}), got {name!r}")


def normalisation(
    name: str, channels: int, channel_mode: ChannelMode = "sum"
) -> tuple[Tensor, Tensor]:
    """Mean and deviation [C] of the pixels that a pretrained network was made for."""
    facts = get_pretrained_cfg(name)
    if facts is None:
        return torch.zeros(channels, device="cpu"), torch.ones(channels, device="cpu")
    stated = [torch.tensor(one, device="cpu") for one in (facts.mean, facts.std)]
    if channel_mode in COLOURS:
        stated = [one[COLOURS.index(channel_mode)].expand(1) for one in stated]
    mean, deviation = (
        one if len(one) == channels else one.mean().expand(channels) for one in stated
    )
    return mean, deviation


def _settings(
    name: str, side: int, channels: int, drop_path: float, *, is_dynamic: bool = False
) -> dict[str, Any]:
    """The arguments of timm that make the network fit."""
    settings: dict[str, Any] = {"in_chans": channels}
    facts = get_pretrained_cfg(name)
    if facts is not None and facts.fixed_input_size and facts.input_size[1] != side:
        settings["img_size"] = side
    if facts is not None and facts.fixed_input_size and is_dynamic:
        settings["dynamic_img_size"] = True
    if drop_path:
        settings["drop_path_rate"] = drop_path
    return settings


def create(name: str, settings: dict[str, Any], **weights: Any) -> nn.Module:
    """The network with its own last layer taken away."""
    network = timm.create_model(name, **settings, **weights)
    take_away: Any = network.reset_classifier
    take_away(0)
    return network


def drawn(name: str, settings: dict[str, Any]) -> nn.Module:
    """The network with weights drawn from a generator whose seed is a function of its name alone,
    which are the same in all runs with one version of timm and torch."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(int.from_bytes(digest, "little") >> 1)
        return create(name, settings)


def _body(
    name: str, settings: dict[str, Any], weights: Weights | None, mode: ChannelMode
) -> nn.Module:
    """The network; of pretrained weights for one channel as the mode says."""
    if weights is None:
        return create(name, settings)
    if mode == "sum":  # timm's own way, which takes other first layers than convolutions too
        return loaded(name, settings, weights)
    network = loaded(name, {**settings, "in_chans": len(COLOURS)}, weights)
    facts = get_pretrained_cfg(name)
    take_one_channel(network, (facts.first_conv or "") if facts is not None else "", mode)
    return network


@lru_cache
def _width(
    name: str, side: int, channels: int, drop_path: float, others: tuple[int, ...] = ()
) -> int:
    """The width of the features, found without computing anything: on the meta device."""
    plain = _settings(name, side, channels, 0.0, is_dynamic=bool(others))
    seen, width = side, 0
    try:
        with torch.device("meta"), torch.no_grad():
            network = create(name, plain).eval()
            for seen in (*others, side):
                width = network(torch.empty(2, channels, seen, seen)).shape[-1]
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"name must be a network for images of {channels} × {seen} × {seen}, got {name}, which "
            f"fails ({reason}); try a larger image_size"
        ) from None
    given = _settings(name, side, channels, drop_path, is_dynamic=bool(others))
    if drop_path and not has_drop_path(name, given):
        raise ValueError(f"drop_path must be 0 with {name}, which has none, got {drop_path:g}")
    return width


def takes(name: str, side: int, channels: int = 3) -> bool:
    """Whether a network takes images of this side, found without computing anything."""
    try:
        return _width(name, side, channels, 0.0) > 0
    except ValueError:
        return False


def has_drop_path(name: str, settings: dict[str, Any]) -> bool:
    """Whether a network with these arguments of timm, its drop path among them, drops paths."""
    try:
        with torch.device("meta"):
            network = create(name, settings)
    except TypeError:  # an argument that it does not have
        return False
    return any(type(module).__name__ == "DropPath" for module in network.modules())


def loaded(name: str, settings: dict[str, Any], weights: Weights) -> nn.Module:
    """The network with weights, all of which fit, as timm adapts them to channels and size.

    Those of a checkpoint are not read here.
    """
    if torch.empty(0).is_meta or weights.part is not None:
        return create(name, settings)
    tensors = pretrained.read(weights, name)
    try:
        given = {"state_dict": tensors, "file": None}
        network = create(name, settings, pretrained=True, pretrained_cfg_overlay=given)
    except (KeyError, RuntimeError, ValueError) as error:
        reason = " ".join(" ".join(str(error).split())[:200].split())
        raise ValueError(
            f"weights_file must hold all weights of {name} and no others, got {weights.path}: "
            f"{reason}"
        ) from None
    network.pretrained_cfg = {**network.pretrained_cfg, "state_dict": None}  # pyright: ignore
    return network
