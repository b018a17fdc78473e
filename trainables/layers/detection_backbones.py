"""Backbones of detectors: the last map of a network of torchvision or timm, norms frozen."""

# B images, C channels of the last map, h and w its rows and columns.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

from trainables.layers import pretrained
from trainables.layers.backbones import check_name, normalisation
from trainables.layers.frozen import Frozen
from trainables.layers.frozen_norm import FrozenBatchNorm, freeze_norms
from trainables.layers.patches import IMAGENET
from trainables.layers.small_maps import with_small_maps
from trainables.layers.weights import Weights

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")
"""Those of torchvision; all other names are timm's."""
TRAINED_LAYERS = ("layer2", "layer3", "layer4")
"""Of a ResNet, unless stated (Carion et al. 2020, A.4, whose code freezes the first two stages)."""
MEAN, DEVIATION = IMAGENET
"""By which images are standardised: of ImageNet, red, green, blue."""

_BASIC = RESNETS[:2]


class DetectionBackbone(nn.Module):
    """The last map of a network, with batch norms frozen, and a part of its layers trained.

    Images are standardised by `MEAN` and `DEVIATION`; a pretrained network of timm sees them by
    its own constants. Maps are in channels-last memory.

    Args:
        name: a ResNet of torchvision, or any network of timm that has maps.
        weights: a file of weights; None: drawn.
        trained_layers: whose parameters learn, by their names in the network or the beginnings of
            those, such as `layer4` or `blocks.6`; none: all are frozen. None: `TRAINED_LAYERS` of
            a ResNet of torchvision, all of others.
        dilation: whether the last stage keeps the grid of the one before and has holes in its
            convolutions instead.

    Raises:
        LookupError: no layer has such a name.
        ValueError: there is no such network, or it cannot have dilation, or not such weights.
    """

    scale: Tensor
    offset: Tensor

    def __init__(
        self,
        *,
        name: str,
        weights: Weights | None = None,
        trained_layers: Sequence[str] | None = None,
        dilation: bool = False,
    ) -> None:
        super().__init__()
        self.name, self.weights = name, weights
        build = _resnet if name in RESNETS else _timms
        network, self.channels, self.stride = build(name, weights, dilation)
        self.network = with_small_maps(network).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        if trained_layers is None and name in RESNETS:
            trained_layers = TRAINED_LAYERS
        if trained_layers is not None:
            self._train_only(tuple(trained_layers))
        for label, values in zip(("scale", "offset"), _standardised(name, weights), strict=True):
            self.register_buffer(label, values[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W] → [B, C, h, w], h = ⌈H/stride⌉, w = ⌈W/stride⌉."""
        if self.name not in RESNETS and self.weights is not None:
            images = images * self.scale + self.offset
        images = images.contiguous(memory_format=torch.channels_last)
        if self.name in RESNETS:
            is_frozen = isinstance(self.network, Frozen)
            return self.network(images) if is_frozen else _last_map(self.network, images)
        last = self.network(images)[-1]
        return last if last.shape[1] == self.channels else last.permute(0, 3, 1, 2)

    def freeze(self) -> None:
        """Keeps a network of which nothing learns out of checkpoints: for what is in a file."""
        if any(one.requires_grad for one in self.network.parameters()):
            return
        self.network = Frozen(_LastMap(self.network) if self.name in RESNETS else self.network)

    def facts(self) -> dict[str, object]:
        """What is recorded of a run with this network."""
        return {} if self.weights is None else self.weights.facts()

    def _train_only(self, layers: tuple[str, ...]) -> None:
        names = [name for name, _ in self.network.named_parameters()]
        for layer in layers:
            if not any(name.startswith(f"{layer}.") for name in names):
                known = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
                raise LookupError(
                    f"trained_layers must be layers of {self.name}, of {known} or inside of them, "
                    f"got {layer!r}"
                )
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(any(name.startswith(f"{layer}.") for layer in layers))


def _resnet(name: str, weights: Weights | None, dilation: bool) -> tuple[nn.Module, int, int]:
    """A ResNet of torchvision without its classifier, its channels and stride."""
    if dilation and name in _BASIC:
        raise ValueError(
            f"dilation must be false with {name}, whose blocks cannot have it; take "
            f"{' or '.join(RESNETS[2:])}"
        )
    make: Any = getattr(torchvision.models, name)
    network = make(
        replace_stride_with_dilation=[False, False, dilation], norm_layer=FrozenBatchNorm
    )
    channels = network.fc.in_features
    network.avgpool = network.fc = nn.Identity()
    if weights is not None and not torch.empty(0).is_meta:
        read = pretrained.read(weights, name)
        body = {key: value for key, value in read.items() if not key.startswith("fc.")}
        try:
            network.load_state_dict(body)
        except RuntimeError as error:
            raise _unfit(name, weights, error) from None
    return network, channels, 16 if dilation else 32


class _LastMap(nn.Module):
    """A ResNet of torchvision as what makes maps of images."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return _last_map(self.network, images)


def _last_map(network: Any, images: Tensor) -> Tensor:
    found = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    return network.layer4(network.layer3(network.layer2(network.layer1(found))))


def _timms(name: str, weights: Weights | None, dilation: bool) -> tuple[nn.Module, int, int]:
    """A network of timm up to its last map, the channels and stride of this."""
    check_name(name)
    settings: dict[str, Any] = {"features_only": True, "out_indices": (-1,)}
    with torch.device("meta"):
        network = _features(name, settings)
        if dilation:
            settings["output_stride"] = network.feature_info.reduction()[-1] // 2
            network = _features(name, settings)
            if network.feature_info.reduction()[-1] != settings["output_stride"]:
                raise ValueError(f"dilation must be false with {name}, which cannot have it")
    channels, stride = network.feature_info.channels()[-1], network.feature_info.reduction()[-1]
    if weights is not None and not torch.empty(0).is_meta:
        tensors = pretrained.read(weights, name)
        wanted = dict(network.state_dict())
        if missing := [one for one in wanted if one not in tensors and "num_batches" not in one]:
            raise _unfit(name, weights, f"it has no {missing[0]}")
        overlay = {"state_dict": tensors, "file": None}
        settings |= {"pretrained": True, "pretrained_cfg_overlay": overlay}
    try:
        network = _features(name, settings)
    except (KeyError, RuntimeError) as error:
        if weights is None:
            raise
        raise _unfit(name, weights, error) from None
    return freeze_norms(network), channels, stride


def _features(name: str, settings: dict[str, Any]) -> Any:
    try:
        return timm.create_model(name, **settings)
    except (AttributeError, NotImplementedError, TypeError) as error:
        wanted = "dilation" if "output_stride" in settings else "maps"
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"name must be a network that can have {wanted}, got {name} ({reason})"
        ) from None


def _unfit(name: str, weights: Weights, reason: object) -> ValueError:
    text = " ".join(" ".join(str(reason).split())[:200].split())
    return ValueError(f"weights_file must hold the weights of {name}, got {weights.path}: {text}")


def _standardised(name: str, weights: Weights | None) -> tuple[Tensor, Tensor]:
    """By what images are multiplied, and what is added, so that a network sees its own kind."""
    if weights is None or name in RESNETS:
        return torch.ones(3), torch.zeros(3)
    mean, deviation = normalisation(name, 3)
    given = torch.tensor(MEAN), torch.tensor(DEVIATION)
    return given[1] / deviation, (given[0] - mean) / deviation
