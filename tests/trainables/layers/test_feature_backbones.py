"""Features of timm's networks: timm's own numbers, for all sizes, pretrained, frozen, refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from trainables.layers.feature_backbones import TimmFeatures
from trainables.layers.positions import resized_positions
from trainables.layers.recording import recorded
from trainables.layers.weights import Weights

SMALL: dict[str, dict[str, Any]] = {
    "test_vit": {},
    "test_resnet": {},
    "vit_small_patch14_reg4_dinov2": {"patch_size": 8, "depth": 2, "embed_dim": 24, "num_heads": 3},
    "deit_tiny_distilled_patch16_224": {"depth": 2, "embed_dim": 24, "num_heads": 3},
    "swin_tiny_patch4_window7_224": {
        "patch_size": 2,
        "window_size": 4,
        "embed_dim": 12,
        "depths": (2, 2),
        "num_heads": (2, 3),
    },
}
SMALL["swinv2_tiny_window8_256"] = SMALL["swin_tiny_patch4_window7_224"]
SWIN, REGISTERS = "swin_tiny_patch4_window7_224", "vit_small_patch14_reg4_dinov2"


def made(name: str, *sizes: int, **changes: Any) -> Any:
    """A small network, the same each time, evaluated."""
    torch.manual_seed(0)
    given = SMALL.get(name, {}) | changes.pop("settings", {})
    return TimmFeatures(name=name, image_sizes=sizes or (32,), settings=given, **changes).eval()


def images(side: int = 32) -> Tensor:
    """Two of pixels in 0…1."""
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("output_norm", [False, True])
def test_features_are_those_of_timm(name: str, output_norm: bool) -> None:
    ours = made(name, output_norm=output_norm)
    network = ours.body
    if not output_norm and isinstance(getattr(network, "norm", None), nn.LayerNorm):
        network.norm = nn.Identity()  # what timm gives without it
        ours.output_norm = True
    whole = network.forward_features(images() * 2 - 1)
    if whole.ndim == 3:
        prefix = network.num_prefix_tokens
        pooled, patches = whole[:, 0], whole[:, prefix:]
    else:
        whole = whole if name.startswith("swin") else whole.permute(0, 2, 3, 1)
        patches = whole.flatten(1, 2)
        pooled = patches.mean(1)
    found = ours(images())
    torch.testing.assert_close(found.patches, patches)
    torch.testing.assert_close(found.pooled, pooled)
    assert found.grid[0] * found.grid[1] == patches.shape[1] and ours.width == patches.shape[2]


@torch.no_grad()
def test_the_norm_behind_the_pooling_serves_patches_too() -> None:
    ours = made("test_vit2")
    tokens = ours.body.forward_features(images() * 2 - 1)[:, ours.body.num_prefix_tokens :]
    torch.testing.assert_close(ours(images()).patches, ours.body.fc_norm(tokens))
    plain = made("test_vit2", output_norm=False)
    torch.testing.assert_close(plain(images()).patches, tokens)


@torch.no_grad()
def test_the_vector_is_the_mean_if_that_is_asked_for() -> None:
    found = made("test_vit", pool="mean")(images())
    torch.testing.assert_close(found.pooled, found.patches.mean(1))
    assert not torch.allclose(found.pooled, made("test_vit")(images()).pooled)


@torch.no_grad()
def test_one_transformer_sees_several_sizes_as_timm_does() -> None:
    ours = made(REGISTERS, 48, 32, 24)
    for side in (48, 32, 24):
        whole = ours.body.forward_features(images(side) * 2 - 1)
        found = ours(images(side))
        assert found.grid == (side // 8, side // 8)
        torch.testing.assert_close(found.patches, whole[:, 5:])
    table = ours.body.pos_embed
    assert ours.grid == (6, 6)
    assert torch.equal(ours.patch_positions((3, 4)), resized_positions(table, (6, 6), (3, 4)))


@torch.no_grad()
@pytest.mark.parametrize("name", [SWIN, "swinv2_tiny_window8_256"])
def test_swin_for_a_smaller_size_is_swin_built_for_it(name: str) -> None:
    several, alone = made(name, 32, 16), made(name, 16)
    alone.body.load_state_dict(several.body.state_dict())
    large = made(name, 32)
    large.body.load_state_dict(several.body.state_dict())
    for one, side in ((alone, 16), (large, 32), (alone, 16)):
        found, expected = several(images(side)), one(images(side))
        torch.testing.assert_close(found.patches, expected.patches)
        assert found.grid == (side // 4, side // 4)
    assert several.grid is None


def weights(path: Path, name: str, **changes: Any) -> Weights:
    """A file of weights with everything that timm's network has, its head among them."""
    torch.manual_seed(7)
    settings: dict[str, Any] = SMALL[name] | changes
    torch.save(timm.create_model(name, **settings).state_dict(), path)
    return Weights(path)


@torch.no_grad()
@pytest.mark.parametrize("name", [SWIN, REGISTERS, "test_vit"])
def test_a_file_with_head_and_norm_is_loaded_and_images_standardised_its_way(
    name: str, tmp_path: Path
) -> None:
    """A strict load into a network without them, as the original has it, fails."""
    size: dict[str, Any] = {} if name == "test_vit" else {"img_size": 64}
    settings: dict[str, Any] = SMALL[name] | size | {"num_classes": 7}
    given = weights(tmp_path / "weights.pt", name, **settings)
    side = 160 if name == "test_vit" else 64
    ours = made(name, side, weights=given, is_frozen=True, settings={"num_classes": 7})
    theirs: Any = timm.create_model(name, **settings).eval()
    theirs.load_state_dict(torch.load(given.path))
    mean, deviation = (
        torch.tensor(ours.body.pretrained_cfg[kind])[:, None, None] for kind in ("mean", "std")
    )
    whole = theirs.forward_features((images(side) - mean) / deviation)
    whole = whole.flatten(1, 2) if name == SWIN else whole[:, theirs.num_prefix_tokens :]
    torch.testing.assert_close(ours(images(side)).patches, whole)
    assert ours.facts()["weights.sha256"] == given.sha256


def test_a_pretrained_transformer_keeps_its_table_for_several_sizes(tmp_path: Path) -> None:
    given = weights(tmp_path / "weights.pt", "test_vit")
    ours = made("test_vit", 64, 32, weights=given)
    assert ours.grid == (10, 10) and ours(images(64)).grid == (4, 4)
    assert torch.equal(ours.body.pos_embed, torch.load(given.path)["pos_embed"])


def test_a_frozen_network_has_no_gradient_and_is_in_no_checkpoint() -> None:
    torch.manual_seed(3)
    frozen = made("test_vit", is_frozen=True, drop_path=0.5).train()
    assert frozen.state_dict() == {} and not frozen.body.training
    found = frozen(images())
    assert not found.patches.requires_grad and torch.equal(frozen(images()).pooled, found.pooled)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        again = TimmFeatures(name="test_vit", image_sizes=(32,), is_frozen=True)
    assert torch.equal(again(images()).pooled, found.pooled), "drawn by the name alone"
    again.load_state_dict(frozen.state_dict())


def test_an_unfrozen_one_learns_and_drops_paths() -> None:
    ours = made("test_vit", drop_path=0.5)
    still = ours(images()).patches
    assert not torch.allclose(ours.train()(images()).patches, still)
    ours(images()).patches.sum().backward()
    assert ours.body.blocks[0].attn.qkv.weight.grad is not None
    assert "network.pos_embed" in ours.state_dict()


@torch.no_grad()
@pytest.mark.parametrize("is_frozen", [False, True])
def test_its_attention_is_recorded(is_frozen: bool) -> None:
    ours = made("test_vit", is_frozen=is_frozen)
    with recorded(ours) as recording:
        ours(images())
        maps = recording.take()
    assert len(maps) == len(ours.body.blocks)
    assert next(iter(maps.values())).shape[-1] == 5


@pytest.mark.parametrize("name", SMALL)
def test_it_is_built_without_memory(name: str) -> None:
    with torch.device("meta"):
        sketch = made(name, is_frozen=True)
        found = sketch(torch.empty(2, 3, 32, 32))
    assert all(one.is_meta for one in (*sketch.parameters(), *sketch.buffers()))
    assert found.pooled.shape == (2, sketch.width)


@pytest.mark.parametrize(
    ("name", "sizes", "changes", "sentence"),
    [
        ("vit_micro", (32,), {}, "name must be a network of timm .*, got 'vit_micro'"),
        ("test_vit", (40,), {}, r"with a side of 40, got test_vit, which fails \("),
        (SWIN, (32, 24), {}, r"got 24: 6 × 6 tokens in stage 2 for windows of 4"),
        (SWIN, (24,), {}, r"got 24: 6 × 6 tokens in stage 2 for windows of 4"),
        ("densenet121", (32,), {"drop_path": 0.1}, "must be 0 with densenet121, which has none"),
        ("test_resnet", (32,), {"pool": "class_token"}, "pool must be 'mean' with test_resnet"),
        ("test_vit", (32,), {"settings": {"wide": 3}}, r"fails \(.*'wide'\)"),
    ],
)
def test_what_does_not_fit_is_refused(
    name: str, sizes: tuple[int, ...], changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        made(name, *sizes, **changes)


def test_images_of_another_size_and_tables_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("a side of 32, 16, got 32 × 16")):
        made(SWIN, 32, 16)(images()[..., :16])
    with pytest.raises(ValueError, match="test_resnet must have a table of positions"):
        made("test_resnet").patch_positions((2, 2))
    with pytest.raises(LookupError, match="pool must be one of class_token, mean, got 'max'"):
        made("test_vit", pool="max")
