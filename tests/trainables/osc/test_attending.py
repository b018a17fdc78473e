"""Maps of slots, from what each kind of function of objects was seen to look at."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.models import register_model
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor

from trainables.layers.recording import recorded
from trainables.layers.windows import windows_of
from trainables.metrics.rollout import merging, rollout, unwindowed
from trainables.osc import attending
from trainables.osc.config import Representation
from trainables.osc.evaluations import Segmentation
from trainables.osc.model import Draws, RepresentationModel

N, S, PATCHES = 3, 5, 16
SMALL = {"views.size": 16, "backbone.width": 16, "backbone.patch_size": 4, "backbone.layers": 2}
KINDS: dict[str, dict[str, Any]] = {
    "slot_attention": {"objects.iterations": 2},
    "cross_attention": {"objects.layers": 2},
    "reused cross_attention": {"objects.layers": 2, "objects.reuses_layers": True},
    "co_attention": {"objects.layers": 2},
    "competitive_attention": {"objects.layers": 2},
    "instance_attention": {"objects.layers": 2},
}


def looked(kind: str, **values: Any) -> tuple[RepresentationModel, dict[str, Tensor]]:
    """A model, and what it looked at."""
    name = kind.rpartition(" ")[2]
    config = Representation().with_values(
        {**SMALL, "queries.num_slots": S, "objects.kind": name, **KINDS[kind], **values}
    )
    torch.manual_seed(0)
    model = RepresentationModel(config).eval()
    images = torch.rand(N, 3, 16, 16)
    with recorded(model, attending.names(model)) as recording, torch.no_grad():
        model(images, Draws(choices=torch.rand(N, S)))
    return model, recording.take()


@pytest.mark.parametrize("kind", KINDS)
def test_each_layer_has_a_map_of_each_slot(kind: str) -> None:
    _, maps = looked(kind)
    layers = attending.slot_layers(maps, Segmentation())
    assert layers.shape == (2, N, S, PATCHES)
    over = 2 if kind == "slot_attention" else 3  # slots share a patch, or patches a slot
    torch.testing.assert_close(layers.sum(over), torch.ones_like(layers.sum(over)))


@pytest.mark.parametrize("kind", KINDS)
def test_sources_are_first_last_and_mean_of_the_layers(kind: str) -> None:
    _, maps = looked(kind)
    layers = attending.slot_layers(maps, Segmentation())
    found = {
        name: attending.slot_maps(maps, Segmentation(source=name), PATCHES)
        for name in ("first", "mean", "last")
    }
    torch.testing.assert_close(found["first"], layers[0])
    torch.testing.assert_close(found["mean"], layers.mean(0))
    torch.testing.assert_close(found["last"], layers[1])


def test_a_rollout_of_cross_attention_is_chefers() -> None:
    """R_sk += A R_sk and R_ss += A R_ss; then R_sk += (norm(R_ss − I) + I)ᵀ A."""
    _, maps = looked("cross_attention")
    found = attending.slot_maps(maps, Segmentation(source="rollout"), PATCHES)[0]
    identity = torch.eye(S)
    among, across = identity.clone(), torch.zeros(S, PATCHES)
    for layer in range(2):
        itself = maps[f"objects.blocks.{layer}.self_attention"][0, 0].mean(0)
        cross = maps[f"objects.blocks.{layer}.cross_attention"][0, 0].mean(0)
        across = across + itself @ across
        among = among + itself @ among
        rest = among - identity
        across = across + (rest / rest.sum(1, keepdim=True) + identity).T @ cross
    torch.testing.assert_close(found, across / across.sum(1, keepdim=True))


def test_through_the_backbone_maps_are_carried_back_by_its_rollout() -> None:
    _, maps = looked("slot_attention")
    last = attending.slot_maps(maps, Segmentation(), PATCHES)
    layers = torch.stack([maps[f"backbone.blocks.{n}.attention"][0].mean(1) for n in (0, 1)])
    for adds in (True, False):
        settings = Segmentation(through_backbone=True, adds_residual=adds)
        found = attending.slot_maps(maps, settings, PATCHES)
        torch.testing.assert_close(found, last @ rollout(layers, adds_residual=adds))


def test_tokens_that_are_no_patch_are_left_out() -> None:
    values = {"backbone.pool": "class_token"}
    _, maps = looked("slot_attention", **values)
    assert maps["backbone.blocks.0.attention"].shape[-1] == PATCHES + 1
    layers = attending.backbone_layers(maps, PATCHES)
    assert layers is not None and layers.shape == (2, N, 4, PATCHES, PATCHES)
    settings = Segmentation(through_backbone=True)
    assert attending.slot_maps(maps, settings, PATCHES).shape == (N, S, PATCHES)


@register_model
def tiny_swin_of_tests(pretrained: bool = False, **given: Any) -> SwinTransformer:  # noqa: D103
    shape: dict[str, Any] = {"patch_size": 2, "window_size": 2, "embed_dim": 8}
    return SwinTransformer(depths=(2, 2), num_heads=(1, 2), **shape, img_size=given["img_size"])


def timm_model(name: str, size: int) -> tuple[RepresentationModel, dict[str, Tensor]]:
    """A model on a network of timm, and what it looked at in one image."""
    config = Representation().with_values(
        {
            "backbone.kind": "timm",
            "backbone.name": name,
            "backbone.pretrained": False,
            "views.size": size,
            "queries.num_slots": S,
        }
    )
    torch.manual_seed(0)
    model = RepresentationModel(config).eval()
    with recorded(model, attending.names(model)) as recording, torch.no_grad():
        model(torch.rand(1, 3, size, size), Draws())
    return model, recording.take()


def test_through_swin_maps_are_on_the_grid_of_its_first_stage() -> None:
    """Back through whole layers, ½ (A + I), with merging between stages."""
    model, maps = timm_model("tiny_swin_of_tests", 16)
    windows, product = windows_of(model, (4, 4)), torch.eye(64)[None]
    assert [one.grid for one in windows.values()] == [(8, 8), (8, 8), (4, 4), (4, 4)]
    assert [one.shift for one in windows.values()] == 2 * [(0, 0), (1, 1)]
    for number, (name, one) in enumerate(windows.items()):
        step = rollout(unwindowed(maps[name][0], *one).mean(1)[None])
        product = (
            step @ (merging((8, 8), step) if number == 2 else torch.eye(step.shape[2])) @ product
        )
    plain = attending.maps_on_grid(model, maps, Segmentation(), 16)
    found = attending.maps_on_grid(model, maps, Segmentation(through_backbone=True), 16)
    assert (plain.shape, found.shape) == ((1, S, 4, 4), (1, S, 8, 8))
    torch.testing.assert_close(found.flatten(2), plain.flatten(2) @ product)


def test_through_a_network_without_attention_there_is_no_way_back() -> None:
    model, maps = timm_model("test_resnet", 64)
    with pytest.raises(ValueError, match="through_backbone must be false with a backbone that is"):
        attending.maps_on_grid(model, maps, Segmentation(through_backbone=True), 64)
