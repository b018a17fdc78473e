"""Our vision transformer against timm's and torch's, and each of its parts against a formula."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import timm.models.vision_transformer as timm_vit
import torch
from torch import Tensor, nn

from trainables.layers.attention import SelfAttention
from trainables.layers.blocks import Block, DropPath
from trainables.layers.positions import sine_cosine_positions
from trainables.layers.vit import ViT

SIZES: dict[str, Any] = {
    "image_size": 8,
    "channels": 3,
    "patch_size": 4,
    "width": 16,
    "layers": 3,
    "heads": 4,
    "mlp_ratio": 2.0,
    "classes": 5,
}


def make(**changes: Any) -> ViT:
    """A small ViT with random weights everywhere."""
    torch.manual_seed(0)
    model = ViT(**(SIZES | changes)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def timms(pool: Literal["token", "avg"]) -> timm_vit.VisionTransformer:
    """timm's ViT of the same sizes."""
    return timm_vit.VisionTransformer(
        img_size=8,
        patch_size=4,
        in_chans=3,
        num_classes=5,
        embed_dim=16,
        depth=3,
        num_heads=4,
        mlp_ratio=2.0,
        global_pool=pool,
        class_token=pool == "token",
        fc_norm=False,
    ).eval()


TIMM_NAMES = {
    "class_token": "cls_token",
    "positions": "pos_embed",
    "patches.": "patch_embed.proj.",
    "attention.out.": "attn.proj.",
    "attention.": "attn.",
    "mlp.0.": "mlp.fc1.",
    "mlp.3.": "mlp.fc2.",
}


def timm_name(name: str) -> str:
    """What timm calls a parameter of ours."""
    for ours, theirs in TIMM_NAMES.items():
        if ours in name:
            return name.replace(ours, theirs)
    return name


@pytest.mark.parametrize(("pool", "theirs"), [("class_token", "token"), ("mean", "avg")])
def test_pre_norm_gives_the_logits_of_timm(pool: str, theirs: Literal["token", "avg"]) -> None:
    ours, reference = make(pool=pool), timms(theirs)
    reference.load_state_dict({timm_name(k): v for k, v in ours.state_dict().items()})
    images = torch.randn(6, 3, 8, 8)
    torch.testing.assert_close(ours(images), reference(images))


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_block_is_torchs_encoder_layer(norm: Literal["pre", "post"]) -> None:
    torch.manual_seed(0)
    ours = Block(16, 4, 2.0, norm=norm)
    reference = nn.TransformerEncoderLayer(
        16, 4, 32, 0.0, "gelu", 1e-6, batch_first=True, norm_first=norm == "pre"
    )
    pairs: list[tuple[Any, Any]] = [
        (reference.self_attn.in_proj_weight, ours.attention.qkv.weight),
        (reference.self_attn.in_proj_bias, ours.attention.qkv.bias),
        (reference.self_attn.out_proj.weight, ours.attention.out.weight),
        (reference.self_attn.out_proj.bias, ours.attention.out.bias),
    ]
    layers: list[tuple[Any, Any]] = [
        (reference.linear1, ours.mlp[0]),
        (reference.linear2, ours.mlp[3]),
        (reference.norm1, ours.norm1),
        (reference.norm2, ours.norm2),
    ]
    for theirs, mine in layers:
        pairs += [(theirs.weight, mine.weight), (theirs.bias, mine.bias)]
    with torch.no_grad():
        for target, source in pairs:
            nn.init.normal_(source, std=0.3)
            target.copy_(source)
    tokens = torch.randn(2, 7, 16, requires_grad=True)
    torch.testing.assert_close(ours(tokens), reference(tokens))


def test_post_norm_has_no_last_norm_and_normalised_tokens() -> None:
    model = make(norm="post")
    last = model.blocks[-1].norm2
    assert isinstance(last, nn.LayerNorm) and isinstance(model.norm, nn.Identity)
    nn.init.ones_(last.weight)
    nn.init.zeros_(last.bias)
    tokens = model.tokens(torch.randn(2, 3, 8, 8))
    torch.testing.assert_close(tokens.mean(-1), torch.zeros(2, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(tokens.var(-1, unbiased=False), torch.ones(2, 5), atol=1e-3, rtol=0)


def test_attention_is_its_formula() -> None:
    torch.manual_seed(0)
    layer, tokens = SelfAttention(6, 2), torch.randn(1, 4, 6)
    queries, keys, values = (part.view(4, 2, 3) for part in layer.qkv(tokens)[0].chunk(3, -1))
    expected = torch.zeros(4, 2, 3)
    for head in range(2):
        scores = queries[:, head] @ keys[:, head].T / math.sqrt(3)
        expected[:, head] = scores.softmax(-1) @ values[:, head]
    torch.testing.assert_close(layer(tokens)[0], layer.out(expected.reshape(4, 6)))


def test_positions_are_sines_and_cosines_of_row_and_column() -> None:
    table = sine_cosine_positions(3, 8)
    for row in range(3):
        for column in range(3):
            expected = [
                wave(place / 10000 ** (k / 2))
                for place in (row, column)
                for wave in (math.sin, math.cos)
                for k in range(2)
            ]
            assert table[row * 3 + column].tolist() == pytest.approx(expected, abs=1e-6)


def test_fixed_positions_are_no_parameter_and_spare_the_class_token() -> None:
    model = ViT(**SIZES, positions="sine_cosine")
    assert "positions" not in model.state_dict()
    assert torch.equal(model.positions[0, 0], torch.zeros(16))
    assert torch.equal(model.positions[0, 1:], sine_cosine_positions(2, 16))


def test_without_positions_the_order_of_patches_does_not_matter() -> None:
    model, images = make(), torch.randn(2, 3, 8, 8)
    mirrored = torch.cat([images[..., 4:], images[..., :4]], -1)  # swaps the columns of patches
    assert not torch.allclose(model(images), model(mirrored))
    nn.init.zeros_(model.get_parameter("positions"))
    torch.testing.assert_close(model(images), model(mirrored))


def test_drop_path_drops_whole_images_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    kept = DropPath(0.3)(torch.ones(20_000, 2, 3))
    per_image = kept.flatten(1)
    assert torch.equal(per_image.amin(1), per_image.amax(1))
    torch.testing.assert_close(kept.unique(), torch.tensor([0.0, 1 / 0.7]))
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("layers", "expected"), [(3, [0.0, 0.2, 0.4]), (1, [0.0])])
def test_drop_path_grows_from_none_to_its_rate(layers: int, expected: list[float]) -> None:
    model = make(layers=layers, drop_path=0.4)
    rates = [module.rate for module in model.modules() if isinstance(module, DropPath)]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("rate", ["dropout", "attention_dropout", "drop_path"])
def test_each_rate_is_felt_in_training_only(rate: str) -> None:
    plain, model, images = make(), make(**{rate: 0.5}), torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(model(images), plain(images))
    assert not torch.allclose(model.train()(images), plain(images))


def test_logits_begin_at_zero() -> None:
    assert torch.equal(ViT(**SIZES)(torch.randn(2, 3, 8, 8)), torch.zeros(2, 5))


@pytest.mark.parametrize("pool", ["class_token", "mean"])
def test_vectors_are_the_class_token_or_the_mean(pool: str) -> None:
    model, images = make(pool=pool, classes=0), torch.randn(2, 3, 8, 8)
    tokens = model.tokens(images)
    expected: Tensor = tokens[:, 0] if pool == "class_token" else tokens.mean(1)
    assert tokens.shape == (2, 4 + (pool == "class_token"), 16)
    torch.testing.assert_close(model(images), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"norm": "post", "qkv_bias": False},
        {"attention_scale": "none", "positions_at": "every_block"},
        {"drop_path": 0.5, "layers": 1},
        {"drop_path": 0.5, "drop_path_schedule": "constant"},
        {"dropout": 0.3},
        {"attention_dropout": 0.3},
    ],
)
def test_the_class_token_alone_is_that_of_all_tokens(changes: dict[str, Any]) -> None:
    """Vectors and gradients in training, with the same draws of dropped paths."""
    model = make(**changes).double().train()
    images, found = torch.randn(4, 3, 8, 8, dtype=torch.float64), []
    for pooled in (model.embed, lambda given: model.features(given).pooled):
        torch.manual_seed(1)
        vectors = pooled(images)
        wanted = [one for one in model.parameters() if one is not model.head.weight]
        gradients = torch.autograd.grad(vectors.pow(3).sum(), wanted, allow_unused=True)
        found.append([vectors, *(one for one in gradients if one is not None)])
    assert len(found[0]) == len(found[1]) > 12 * SIZES["layers"] * (changes.get("layers") != 1)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_a_causal_first_token_sees_no_others() -> None:
    attention = SelfAttention(16, 4, is_causal=True)
    with pytest.raises(ValueError, match="first must be None where attention is causal, got one"):
        attention(torch.zeros(1, 2, 16), first=1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"patch_size": 3}, r"patch_size must divide the image \(8\), got 3"),
        ({"heads": 3}, r"heads must divide width \(16\), got 3"),
        ({"width": 6, "heads": 2, "positions": "sine_cosine"}, "width must be a multiple of 4"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ViT(**(SIZES | changes))
