"""Maps of slots, from what each kind of function of objects was seen to look at."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from trainables.layers.recording import recorded
from trainables.metrics.rollout import rollout
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
