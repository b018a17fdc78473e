"""What a network says of places: gradients by hand, attention by its formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.backbones import Backbone
from trainables.layers.last_blocks import block_features, check_blocks
from trainables.layers.last_maps import (
    class_attention,
    dense_features,
    last_tap,
    map_and_gradient,
)
from trainables.layers.vit import ViT
from trainables.metrics.grad_cam import grad_cam


def vit(**values: object) -> ViT:
    torch.manual_seed(0)
    settings = {"image_size": 8, "channels": 1, "patch_size": 2, "width": 8, "layers": 3}
    made = ViT(**{**settings, "heads": 2, "classes": 0, **values})  # pyright: ignore
    return made.eval()


def backbone(name: str, side: int = 64) -> Backbone:
    torch.manual_seed(0)
    return Backbone(name=name, image_size=side, channels=3, classes=0).eval()


def images(side: int = 8, channels: int = 1) -> Tensor:
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(1))


class Small(Backbone):
    """A convolution, a mean over places, a linear layer: all by hand."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        torch.manual_seed(0)
        body = nn.Module()
        body.layer4 = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True))
        body.last = nn.Linear(4, 3)
        body.forward = lambda seen: body.last(body.layer4(seen).mean((2, 3)))  # pyright: ignore
        self.body, self.front, self.is_normalising = body, None, False
        self.image_size, self.scale_to = 8, None


def test_grad_cam_of_a_small_network_is_its_closed_form() -> None:
    """y = v·(W·mean A + b): ∂y/∂A^k = (Wᵀv)_k / places, the same everywhere."""
    network, seen = Small(), images()
    goal = torch.tensor([1.0, -2.0, 0.5])
    activations, gradients = map_and_gradient(network, seen, lambda found: found @ goal)
    with torch.no_grad():
        body = network.body
        shown = body.layer4[0](seen).relu()  # pyright: ignore
        weights = body.last.weight.T @ goal / 64  # pyright: ignore
        expected = torch.einsum("k,bkhw->bhw", weights, shown).relu()
    torch.testing.assert_close(activations, shown)
    torch.testing.assert_close(gradients, weights[None, :, None, None].expand_as(gradients))
    torch.testing.assert_close(grad_cam(activations, gradients), expected)


def test_the_gradient_is_that_of_autograd_for_a_cosine() -> None:
    network, seen, goal = backbone("test_resnet"), images(64, 3), torch.randn(1, 96)

    def score(found: Tensor) -> Tensor:
        return functional.cosine_similarity(found, goal)

    activations, gradients = map_and_gradient(network, seen, score)
    body = network.body
    rest = activations.clone().requires_grad_()
    scores = score(body.global_pool(rest))  # pyright: ignore
    [expected] = torch.autograd.grad(scores.sum(), rest)
    torch.testing.assert_close(gradients, expected)
    torch.testing.assert_close(scores, score(network.embed(seen)))


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_of_a_transformer_a_step_along_the_gradient_raises_the_score(norm: str) -> None:
    """Behind the last attention a patch would have no more way into the class token."""
    network, seen, goal = vit(norm=norm), images(), torch.randn(8)
    activations, gradients = map_and_gradient(network, seen, lambda found: found @ goal)
    assert activations.shape == gradients.shape == (2, 8, 4, 4)
    assert float(gradients.abs().amin((1, 2, 3)).max()) >= 0 and float(gradients.abs().max()) > 0
    attention = network.blocks[-1].attention
    bump = 1e-3 * gradients.flatten(2).transpose(1, 2)

    def moved(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return inputs[0] + functional.pad(bump, (0, 0, 1, 0))

    with torch.no_grad():
        before = network.embed(seen) @ goal
        hook = attention.register_forward_pre_hook(moved)  # pyright: ignore
        rise = (network.embed(seen) @ goal - before) / 1e-3
        hook.remove()
    torch.testing.assert_close(rise, gradients.square().sum((1, 2, 3)), rtol=0.05, atol=1e-4)


def test_a_frozen_network_has_a_gradient_too_and_no_hook_stays() -> None:
    network = vit().requires_grad_(False)
    _, gradients = map_and_gradient(network, images(), lambda found: found.sum(1).square())
    assert float(gradients.abs().max()) > 0
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in network.modules())


TAPS = [
    ("resnet18", 64, "layer4.1", False),
    ("convnext_atto", 64, "stages.3", False),
    ("mobilevit_xxs", 64, "stages.4", False),
    ("mobilenetv3_small_050", 64, "blocks.5.0.bn1", False),
    ("tf_efficientnet_lite0", 64, "blocks.6", False),
    ("test_vit", 160, "blocks.5.attn", True),
]


@pytest.mark.parametrize(("name", "side", "path", "is_input"), TAPS)
def test_the_layer_is_that_of_the_kind_of_network(
    name: str, side: int, path: str, is_input: bool
) -> None:
    with torch.device("meta"):
        network = Backbone(name=name, image_size=side, channels=3, classes=0)
    tap = last_tap(network)
    assert tap.module is network.body.get_submodule(path) and tap.is_input == is_input


@pytest.mark.slow
def test_maps_of_swin_have_their_channels_first() -> None:
    with torch.device("meta"):
        network = Backbone(
            name="swin_tiny_patch4_window7_224", image_size=224, channels=3, classes=0
        )
        found = dense_features(network, torch.empty(1, 3, 224, 224))
    assert found.shape == (1, 768, 7, 7) and last_tap(network).channels_last


@pytest.mark.parametrize("pool", ["class_token", "mean"])
def test_attention_of_ours_is_its_formula(pool: str) -> None:
    network, seen = vit(pool=pool), images()
    found = class_attention(network, seen)
    tokens: list[Tensor] = []
    block = network.blocks[-1]
    hook = block.attention.qkv.register_forward_hook(  # pyright: ignore
        lambda _, inputs, output: tokens.append(output)
    )
    with torch.no_grad():
        network.features(seen)
    hook.remove()
    queries, keys, _ = tokens[0].view(2, -1, 3, 2, 4).permute(2, 0, 3, 1, 4)
    weights = (queries @ keys.transpose(-1, -2) / 2).softmax(-1)
    rows = weights[:, :, 0, 1:] if pool == "class_token" else weights.mean(2)
    assert found is not None
    torch.testing.assert_close(found, rows.unflatten(-1, (4, 4)))


def test_attention_of_timm_is_recomputed_from_its_queries_and_keys() -> None:
    network, seen = backbone("test_vit", 160), images(160, 3)
    found = class_attention(network, seen)
    attention = network.body.blocks[-1].attn  # pyright: ignore
    kept: list[Tensor] = []
    hook = attention.qkv.register_forward_hook(lambda _, inputs, output: kept.append(output))  # pyright: ignore
    with torch.no_grad():
        network.embed(seen)
    hook.remove()
    heads = attention.num_heads  # pyright: ignore
    queries, keys, _ = kept[0].unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    weights = (queries @ keys.transpose(-1, -2) * queries.shape[-1] ** -0.5).softmax(-1)
    assert found is not None and attention.fused_attn  # pyright: ignore
    expected = weights[:, :, 0, 1:].unflatten(-1, (10, 10))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_a_convolutional_network_has_no_attention() -> None:
    assert class_attention(backbone("test_resnet"), images(64, 3)) is None


def test_features_by_place_are_those_that_are_pooled() -> None:
    network, seen = backbone("test_resnet"), images(64, 3)
    with torch.no_grad():
        found = dense_features(network, seen)
        torch.testing.assert_close(found.mean((2, 3)), network.embed(seen))
        tokens = vit(pool="mean")
        torch.testing.assert_close(
            dense_features(tokens, images()).mean((2, 3)), tokens.embed(images())
        )


@pytest.mark.parametrize("pool", ["class_token", "mean"])
def test_the_last_blocks_are_those_of_networks_that_end_there(pool: str) -> None:
    whole, seen = vit(pool=pool), images()
    with torch.no_grad():
        found = block_features(whole, seen, 3)
        assert torch.equal(found[:, -8:], whole.embed(seen))
        for blocks in (1, 2):
            short = vit(pool=pool, layers=blocks)
            state = whole.state_dict()
            short.load_state_dict({name: state[name] for name in short.state_dict()})
            expected = short.embed(seen)
            torch.testing.assert_close(found[:, 8 * (blocks - 1) : 8 * blocks], expected)
        assert torch.equal(block_features(whole, seen, 1), whole.embed(seen))


def test_the_last_blocks_of_timm_are_its_own_intermediate_ones() -> None:
    network, seen = backbone("test_vit", 160), images(160, 3)
    with torch.no_grad():
        found = block_features(network, seen, 3)
        take = network.body.get_intermediate_layers  # pyright: ignore
        layers = take(seen, 3, return_prefix_tokens=True, norm=True)  # pyright: ignore
        expected = torch.cat([prefix[:, 0] for _, prefix in layers], 1)
    torch.testing.assert_close(found, expected)


def test_more_blocks_than_there_are_are_refused() -> None:
    check_blocks(vit(), 3)
    with pytest.raises(ValueError, match="blocks must be at most 3 with ViT, which has so many b"):
        check_blocks(vit(), 4)
    with pytest.raises(ValueError, match="at most 1 with ResNet, which has no blocks of tokens"):
        check_blocks(backbone("test_resnet"), 2)
