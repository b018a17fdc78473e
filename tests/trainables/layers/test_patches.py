"""Features of patches from frozen networks of timm, against timm's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor
from torchvision.transforms import functional as vision

from trainables.layers.patches import IMAGENET, PatchFeatures, Shape, shape_of
from trainables.layers.weights import Weights


def made(name: str = "test_vit", **changes: Any) -> PatchFeatures:
    """A small one that sees 32 pixels a side."""
    settings: dict[str, Any] = {"weights": None, "image_size": 32, **changes}
    return PatchFeatures(name=name, **settings)


def images(side: int = 32) -> Tensor:
    """Two images in −1…1."""
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def network(patches: PatchFeatures) -> Any:
    """timm's network inside."""
    return patches.on(torch.device("cpu"))


REGISTERS = "vit_dwee_patch16_reg1_gap_256"
NORMED_BEHIND = "test_vit2"  # its last norm is kept behind the pooling


@pytest.mark.parametrize(
    "name",
    ["test_vit", NORMED_BEHIND, "test_vit_relpos", pytest.param(REGISTERS, marks=pytest.mark.slow)],
)
def test_features_are_timms_without_tokens_that_are_no_patch(name: str) -> None:
    patches = made(name)
    seen = images()  # with mean and deviation ½ pixels are −1…1
    patches.mean = patches.deviation = torch.full((3, 1, 1), 0.5)
    with torch.no_grad():
        tokens = network(patches).forward_features(seen)[:, network(patches).num_prefix_tokens :]
        expected = network(patches).fc_norm(tokens)
    assert patches(seen).shape == (2, 4, tokens.shape[2])
    torch.testing.assert_close(patches(seen), expected)


@pytest.mark.parametrize("layer", [1, 2, 6])
def test_layers_count_from_the_end_and_come_before_the_norm_if_asked(layer: int) -> None:
    patches = made(layer=layer, final_norm=False)
    seen: list[Tensor] = []
    network(patches).blocks[6 - layer].register_forward_hook(lambda *given: seen.append(given[2]))
    torch.testing.assert_close(patches(images()), seen[0][:, 1:])
    torch.testing.assert_close(
        made(layer=layer)(images()), network(patches).norm(seen[0][:, 1:]).detach()
    )


@pytest.mark.parametrize("antialias", [False, True])
def test_images_are_standardised_then_scaled(antialias: bool) -> None:
    patches = made(antialias=antialias, standardization="imagenet")
    mean, deviation = (torch.tensor(one)[:, None, None] for one in IMAGENET)
    standard = ((images(48) + 1) / 2 - mean) / deviation
    bicubic = vision.InterpolationMode.BICUBIC
    expected = vision.resize(standard, [32, 32], bicubic, antialias=antialias)
    torch.testing.assert_close(patches._seen(images(48)), expected)


def test_a_network_standardises_as_it_was_trained_unless_told_otherwise() -> None:
    assert made().mean.flatten().tolist() == [0.5, 0.5, 0.5]
    assert made(standardization="imagenet").mean.flatten().tolist() == pytest.approx(IMAGENET[0])


def test_weights_are_drawn_by_the_name_and_by_nothing_else() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = made()(images())
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(4)
    assert torch.equal(made()(images()), first)
    assert not torch.equal(made("test_vit3")(images())[..., :64], first)


def test_forgotten_networks_come_back_the_same() -> None:
    patches = made()
    first = patches(images())
    patches.forget()
    assert torch.equal(patches(images()), first)


def test_weights_of_a_file_are_interpolated_to_the_side_as_by_timm(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.manual_seed(5)
    torch.save(timm.create_model("test_vit").state_dict(), path)
    given = {"file": str(path)}
    theirs: Any = timm.create_model(
        "test_vit", pretrained=True, img_size=64, pretrained_cfg_overlay=given
    ).eval()
    ours = made(weights=Weights(path), image_size=64)
    with torch.no_grad():
        expected = theirs.forward_features(images(64))[:, 1:]
    torch.testing.assert_close(ours(images(64)), expected)
    assert ours.facts()["weights"] == Weights(path).sha256


def test_nothing_is_to_be_trained_and_nothing_drops_out() -> None:
    inside = network(made())
    assert not inside.training and not any(one.requires_grad for one in inside.parameters())
    assert not made()(images().requires_grad_()).requires_grad


def test_half_precision_is_close_and_comes_back_single() -> None:
    exact, half = made()(images()), made(precision="bfloat16")(images())
    assert half.dtype == torch.float32
    assert float((half - exact).norm() / exact.norm()) < 0.03


@pytest.mark.parametrize(
    ("name", "side", "shape"),
    [
        ("vit_base_patch8_224.dino", None, Shape(28, 28, 768, 12)),
        ("vit_base_patch14_dinov2.lvd142m", 224, Shape(16, 16, 768, 12)),
        ("vit_small_patch14_reg4_dinov2", None, Shape(37, 37, 384, 12)),
    ],
)
def test_shapes_are_known_without_weights(name: str, side: int | None, shape: Shape) -> None:
    assert shape_of(name, side) == shape


def test_guards_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="name must be a network of timm .*'vit_tiny'"):
        shape_of("vit_tiny", 32)
    with pytest.raises(ValueError, match="name must be a vision transformer .*got test_resnet"):
        shape_of("test_resnet", 32)
    with pytest.raises(
        ValueError, match=r"image_size must be a multiple .*test_vit \(16\), got 40"
    ):
        shape_of("test_vit", 40)
    with pytest.raises(ValueError, match="layer must be at most the 6 blocks of test_vit, got 7"):
        made(layer=7)
    with pytest.raises(LookupError, match="precision must be float32 or bfloat16, got 'half'"):
        made(precision="half")
    with pytest.raises(LookupError, match="standardization must be own or imagenet, got 'mine'"):
        made(standardization="mine")
