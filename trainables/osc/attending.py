"""Attention maps of slots and patches on the grid, made of all that was recorded of a network."""

# N images, H heads, S slots, P patches, L layers or iterations.

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainables.layers.recording import attending
from trainables.layers.windows import Windows, windows_of
from trainables.metrics.rollout import cross_rollout, reduced, rollout, slot_rollout
from trainables.metrics.window_rollout import window_rollout
from trainables.osc.evaluations import Segmentation
from trainables.osc.model import RepresentationModel

_BACKBONE, _OBJECTS = "backbone.", "objects."
_OF_PATCHES = ".tokens_look."
"""In co-attention, where patches look at slots."""
_AMONG_SLOTS = ".self_attention"


def names(model: nn.Module, *, of_backbone: bool = True) -> list[str]:
    """The modules of a model whose attention is shown: of the slots, and of the backbone."""
    wanted = (_BACKBONE, _OBJECTS) if of_backbone else (_OBJECTS,)
    return [
        name for name in attending(model) if name.startswith(wanted) and _OF_PATCHES not in name
    ]


def maps_on_grid(
    model: RepresentationModel, recorded: Mapping[str, Tensor], settings: Segmentation, size: int
) -> Tensor:
    """`slot_maps` of what was recorded of images of a side, [N, S, h, w].

    Rows and columns are those of the patches that slots look at; through the windows of Swin, those
    of its first stage.
    """
    grid = model.grid(size)
    windows = windows_of(model, grid) if settings.through_backbone else {}
    found = slot_maps(recorded, settings, grid[0] * grid[1], windows)
    return found.unflatten(2, next(iter(windows.values())).grid if windows else grid)


def slot_maps(
    recorded: Mapping[str, Tensor],
    settings: Segmentation,
    patches: int,
    windows: Mapping[str, Windows] | None = None,
) -> Tensor:
    """Maps [N, S, P] of what was recorded, [T, N, H, Q, K] by module in the order of the network.

    Of the attention to patches those of the `first` or `last` layer, the `mean`, or a rollout.
    `windows` are those of the backbone by module, if it is Swin, with whose rollout P is the number
    of places of its first stage.

    Raises:
        ValueError: the backbone has no attention to go back through.
    """
    among, across = _among_slots(recorded, settings), slot_layers(recorded, settings)
    if settings.source != "rollout":
        found = slot_rollout(across, settings.source, normalizes=False)
    elif among is None:
        found = slot_rollout(across, "layer")
    else:
        found = cross_rollout(among, across)
    if not settings.through_backbone:
        return found
    return found @ _backbone_rollout(recorded, settings, patches, windows or {})


def _backbone_rollout(
    recorded: Mapping[str, Tensor],
    settings: Segmentation,
    patches: int,
    windows: Mapping[str, Windows],
) -> Tensor:
    """What the patches that slots look at go back to, [N, P, P']."""
    steps = {"adds_residual": settings.adds_residual, "halves": settings.halves}
    if windows:
        return window_rollout(
            [(reduced(recorded[name], settings.heads)[0], one) for name, one in windows.items()],
            **steps,
        )
    layers = backbone_layers(recorded, patches, keeps_others=True)
    if layers is None:
        raise ValueError(
            "evaluation.segmentation.through_backbone must be false with a backbone that is "
            "neither a vision transformer nor Swin, whose layers look from all patches, or from "
            "windows of them, at patches, got true"
        )
    return rollout(
        torch.stack([reduced(one, settings.heads) for one in layers]),
        class_tokens=layers.shape[-1] - patches,
        **steps,
    )


def slot_layers(recorded: Mapping[str, Tensor], settings: Segmentation) -> Tensor:
    """What slots look at in each layer or iteration, heads reduced, [L, N, S, P]."""
    return torch.cat(
        [
            reduced(maps, settings.heads)
            for name, maps in recorded.items()
            if name.startswith(_OBJECTS) and not name.endswith(_AMONG_SLOTS)
        ]
    )


def backbone_layers(
    recorded: Mapping[str, Tensor], patches: int, *, keeps_others: bool = False
) -> Tensor | None:
    """Attention of the layers of the backbone, [L, N, H, P, P]; None if it is within windows.

    `keeps_others`: with the tokens that are no patch, which come first.
    """
    layers = [maps for name, maps in recorded.items() if name.startswith(_BACKBONE)]
    sizes = {maps.shape[1:] for maps in layers}
    if len(sizes) != 1 or layers[0].shape[-1] < patches:
        return None
    whole = torch.cat(layers)
    others = 0 if keeps_others else whole.shape[-1] - patches
    return whole[..., others:, others:]


def _among_slots(recorded: Mapping[str, Tensor], settings: Segmentation) -> Tensor | None:
    """What slots look at of one another, [L, N, S, S]; None if they do not."""
    found = [
        reduced(maps, settings.heads)
        for name, maps in recorded.items()
        if name.startswith(_OBJECTS) and name.endswith(_AMONG_SLOTS)
    ]
    return torch.cat(found) if found else None
