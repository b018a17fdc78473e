"""The choices of the vision transformer: timm's numbers with all of them, and published sizes."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import timm.models.vision_transformer as timm_vit
import torch
from timm.layers.format import Format
from timm.layers.pos_embed import resample_abs_pos_embed
from torch import Tensor, nn

from trainables.layers.attention import SelfAttention
from trainables.layers.blocks import DropPath
from trainables.layers.positions import resized_positions
from trainables.layers.vit import ViT

SIZES: dict[str, Any] = {
    "image_size": 16,
    "channels": 3,
    "patch_size": 4,
    "width": 16,
    "layers": 3,
    "heads": 4,
    "mlp_ratio": 2.0,
    "classes": 0,
}
TIMMS: dict[str, Any] = {
    "img_size": 16,
    "patch_size": 4,
    "in_chans": 3,
    "num_classes": 0,
    "embed_dim": 16,
    "depth": 3,
    "num_heads": 4,
    "mlp_ratio": 2.0,
    "fc_norm": False,
    "dynamic_img_size": True,
}
NAMES = {
    "class_token": "cls_token",
    "positions": "pos_embed",
    "patches.": "patch_embed.proj.",
    "patch_norm.": "patch_embed.norm.",
    "attention.out.": "attn.proj.",
    "attention.": "attn.",
    "mlp.0.": "mlp.fc1.",
    "mlp.3.": "mlp.fc2.",
}
PUBLISHED: dict[str, Any] = {
    "image_size": 128,
    "channels": 3,
    "patch_size": 8,
    "layers": 4,
    "heads": 4,
    "mlp_ratio": 2.0,
    "classes": 0,
}


def small(**changes: Any) -> Any:
    """A small ViT as it begins."""
    sizes: dict[str, Any] = SIZES | changes
    return ViT(**sizes)


def timms_small(**changes: Any) -> Any:
    """timm's of the same sizes."""
    sizes: dict[str, Any] = TIMMS | changes
    return timm_vit.VisionTransformer(**sizes)


def made(**changes: Any) -> Any:
    """A small ViT with random numbers everywhere."""
    torch.manual_seed(0)
    model = small(**changes).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def timms(model: Any, **changes: Any) -> Any:
    """timm's ViT with the weights of ours."""
    theirs = timms_small(**changes).eval()
    if isinstance(model.patch_norm, nn.LayerNorm):
        theirs.patch_embed.norm = nn.LayerNorm(16, 1e-6)
    renamed: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        part = next((one for one in NAMES if one in name), None)
        renamed[name.replace(part, NAMES[part]) if part else name] = tensor
    theirs.load_state_dict(renamed)
    return theirs


def images(height: int = 16, width: int = 16) -> Tensor:
    return torch.randn(3, 3, height, width, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"qkv_bias": False}, {"qkv_bias": False}),
        ({"eps": 1e-2}, {"norm_layer": partial(nn.LayerNorm, eps=1e-2)}),
        ({"class_has_position": False}, {"no_embed_class": True}),
        ({"output_norm": False}, {"final_norm": False}),
        ({"patch_norm": True}, {}),
        ({"pool": "mean"}, {"class_token": False, "global_pool": "avg"}),
        ({"pool": "mean", "has_class_token": True}, {"global_pool": "avg"}),
    ],
)
def test_each_choice_gives_the_tokens_of_timm(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    model = made(**ours)
    reference = timms(model, **theirs)
    torch.testing.assert_close(model.tokens(images()), reference.forward_features(images()))
    torch.testing.assert_close(model.embed(images()), reference(images()))


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"class_has_position": False}, {"pool": "mean"}])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (12, 36), (8, 8)])
def test_images_of_another_size_give_the_tokens_of_timm(
    changes: dict[str, Any], height: int, width: int
) -> None:
    kinds = {"class_has_position": {"no_embed_class": True}, "pool": {"class_token": False}}
    theirs = {name: value for one in changes for name, value in kinds[one].items()}
    theirs |= {"global_pool": "avg"} if "pool" in changes else {}
    model = made(**changes)
    given, reference = images(height, width), timms(model, **theirs)
    reference.dynamic_img_size, prefix = False, int(not theirs)
    table = resample_abs_pos_embed(
        reference.pos_embed, [height // 4, width // 4], [4, 4], prefix, antialias=False
    )
    reference.pos_embed = nn.Parameter(table)
    reference.patch_embed.flatten, reference.patch_embed.output_fmt = True, Format.NCHW
    torch.testing.assert_close(model.tokens(given), reference.forward_features(given))


@pytest.mark.parametrize("grid", [(6, 6), (2, 3), (3, 8), (4, 4)])
def test_positions_are_resized_as_timm_does_without_averaging(grid: tuple[int, int]) -> None:
    table = torch.randn(1, 16, 5)
    expected = resample_abs_pos_embed(
        table, list(grid), [4, 4], num_prefix_tokens=0, antialias=False
    )
    torch.testing.assert_close(resized_positions(table, (4, 4), grid), expected)


@torch.no_grad()
def test_smaller_images_have_their_own_patches_and_the_position_of_the_class_token() -> None:
    model = made()
    tokens = model.patches(images(8, 12)).flatten(2).mT + model.patch_positions((2, 3))
    tokens = torch.cat([(model.class_token + model.positions[:, :1]).expand(3, -1, -1), tokens], 1)
    for block in model.blocks:
        tokens = block(tokens)
    found = model.features(images(8, 12))
    torch.testing.assert_close(found.patches, model.norm(tokens)[:, 1:])
    assert found.grid == (2, 3)
    torch.testing.assert_close(found.pooled, model.embed(images(8, 12)))


@torch.no_grad()
def test_positions_before_every_block_are_one_table_added_each_time() -> None:
    model = made(positions_at="every_block", class_has_position=False)
    tokens = model.patches(images()).flatten(2).mT
    tokens = torch.cat([model.class_token.expand(3, -1, -1), tokens], 1)
    table = torch.cat([torch.zeros(1, 1, 16), model.positions], 1)
    for block in model.blocks:
        tokens = block(tokens + table)
    torch.testing.assert_close(model.tokens(images()), model.norm(tokens))
    once = made(class_has_position=False)
    assert not torch.allclose(model.tokens(images()), once.tokens(images()))


def test_tied_positions_are_the_live_table_and_teach_it() -> None:
    model = made()
    found = model.patch_positions((4, 4))
    assert torch.equal(found, model.positions[:, 1:])
    model.patch_positions((2, 2)).sum().backward()
    gradient = model.get_parameter("positions").grad
    assert gradient is not None and not gradient[:, 0].any() and gradient[:, 1:].any()


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 3, 4])
def test_drop_path_has_the_rates_of_timm_or_one_for_all(layers: int) -> None:
    def rates(network: nn.Module) -> list[float]:
        return [one.rate for one in network.modules() if isinstance(one, DropPath)]

    theirs = timms_small(depth=layers, drop_path_rate=0.3)
    expected = [getattr(block.drop_path1, "drop_prob", 0.0) for block in theirs.blocks]
    linear = rates(small(layers=layers, drop_path=0.3))
    assert linear == pytest.approx(expected)
    constant = small(layers=layers, drop_path=0.3, drop_path_schedule="constant")
    assert rates(constant) == [0.3] * layers


@torch.no_grad()
def test_without_scaling_logits_are_hotter_by_the_root_of_a_heads_width() -> None:
    torch.manual_seed(0)
    plain, hot = SelfAttention(16, 4), SelfAttention(16, 4, attention_scale="none")
    hot.load_state_dict(plain.state_dict())
    tokens = torch.randn(2, 5, 16)
    queries, keys, values = (
        part.unflatten(-1, (4, 4)).transpose(1, 2) for part in plain.qkv(tokens).chunk(3, -1)
    )
    scores = queries @ keys.mT
    torch.testing.assert_close(hot.attention_weights(tokens), scores.softmax(-1))
    torch.testing.assert_close(plain.attention_weights(tokens), (scores / 2).softmax(-1))
    mixed = (scores.softmax(-1) @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(hot(tokens), hot.out(mixed))


def test_timms_initialisation_is_distributed_as_timms() -> None:
    torch.manual_seed(0)
    ours = small(image_size=32, width=128, classes=50, init="timm")
    theirs = timms_small(img_size=32, embed_dim=128, num_classes=50)
    pairs: list[tuple[Any, Any]] = [
        (ours.blocks[1].attention.qkv, theirs.blocks[1].attn.qkv),
        (ours.blocks[2].mlp[3], theirs.blocks[2].mlp.fc2),
        (ours.patches, theirs.patch_embed.proj),
        (ours.head, theirs.head),
    ]
    for mine, reference in pairs:
        spread = mine.weight.std().item()
        assert spread == pytest.approx(reference.weight.std().item(), rel=0.05)
        assert mine.bias.any() == reference.bias.any()
    assert ours.positions.std().item() == pytest.approx(theirs.pos_embed.std().item(), rel=0.05)
    assert ours.class_token is not None and 0 < ours.class_token.abs().max() < 1e-5


def test_published_networks_have_their_number_of_parameters() -> None:
    with torch.device("meta"):
        first = ViT(
            **PUBLISHED,
            width=64,
            qkv_bias=False,
            eps=1e-5,
            positions_at="every_block",
            output_norm=False,
            pool="mean",
        )
        micro = ViT(**PUBLISHED, width=128)
        unnormalised = ViT(**PUBLISHED, width=128, output_norm=False)
    count = [sum(one.numel() for one in each.parameters()) for each in (first, micro, unnormalised)]
    assert count[:2] == [161_856, 587_904]
    assert count[1] - count[2] == 256, "of the last norm, which 587,904 counts, applied or not"


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"has_class_token": False}, ValueError, "has_class_token must be true with the pool"),
        ({"positions_at": "end"}, LookupError, "positions_at must be one of input, every_block"),
        ({"positions": "none"}, LookupError, "positions must be one of learned, sine_cosine, got"),
        ({"init": "jax"}, LookupError, "init must be one of glorot, timm, got 'jax'"),
        ({"drop_path_schedule": "step"}, LookupError, "drop_path_schedule must be one of linear"),
        ({"attention_scale": "two"}, LookupError, "attention_scale must be one of sqrt, none, got"),
    ],
)
def test_choices_that_are_none_are_refused(
    changes: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        small(**changes)


def test_images_of_broken_patches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"that patch_size \(4\) divides, got 16 × 18"):
        made().tokens(images(16, 18))
    with pytest.raises(ValueError, match="for each of 4 × 4 patches, got 15"):
        resized_positions(torch.zeros(1, 15, 2), (4, 4), (2, 2))
