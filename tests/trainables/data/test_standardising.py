"""Images standardised by their own statistics, by ImageNet's, by none: the same pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torchvision.transforms import Normalize

from tests.trainables.data import files
from tests.trainables.data.test_images import loaded
from tests.trainables.ssl.pretrained import loaded as pretraining
from tests.trainables.ssl.test_going_on import written
from trainables.data.catalog import CIFAR10, DIGITS, MNIST
from trainables.data.images import Images, load
from trainables.data.standardising import Standard, stated
from trainables.settings.images import Images as Settings
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment

GIVEN = ("imagenet", "none")


def test_colours_are_those_that_torchvision_makes_of_them(tmp_path: Path) -> None:
    files.write_cifar(tmp_path, "cifar10", packed=False)
    found = loaded(CIFAR10, tmp_path, standardise="imagenet")
    places = torch.arange(len(found.val))
    normalize: Any = Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    expected = normalize(found.val.pixels(places))
    assert torch.allclose(found.val.take(places), expected, atol=1e-5)


@pytest.mark.parametrize("standard", GIVEN)
def test_pictures_and_fingerprints_stay(tmp_path: Path, standard: Standard) -> None:
    files.write_mnist(tmp_path / "mnist")
    whole = loaded(MNIST, tmp_path, labels_share=0.3)
    found = loaded(MNIST, tmp_path, labels_share=0.3, standardise=standard)
    mean, deviation = stated(standard, 1)
    assert found.fingerprint == whole.fingerprint
    for name in ("train", "val", "test", "with_unlabelled"):
        own, other = getattr(found, name), getattr(whole, name)
        places = torch.arange(len(own))
        assert torch.equal(own.pixels(places), other.pixels(places))
        assert torch.allclose(own.take(places), (own.pixels(places) - mean) / deviation, atol=1e-5)
    assert float(found.background * found.deviation + found.mean) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("standard", GIVEN)
def test_digits_may_be_standardised_otherwise_too(standard: Standard) -> None:
    whole, found = load(DIGITS, limit=100), load(DIGITS, limit=100, standardise=standard)
    assert not isinstance(found, Images) and found.fingerprint == whole.fingerprint
    places = torch.arange(100)
    pixels = whole.train.pixels(places)
    assert torch.allclose(found.train.take(places) * found.deviation + found.mean, pixels)
    assert {"imagenet": 0.449, "none": 0.0}[standard] == pytest.approx(found.mean)
    assert found.background == pytest.approx(-found.mean / found.deviation)


def test_views_and_batches_are_standardised_so() -> None:
    plain, none = (pretraining("simclr", data__standardise=one) for one in ("own", "none"))
    own, other = plain.batch(1)["large_views"], none.batch(1)["large_views"]
    back = own * plain.data.deviation + plain.data.mean
    assert torch.allclose(other, back, atol=1e-5) and float(other.min()) >= -1e-6
    config = Supervised().with_values({"data.standardise": "none"})
    experiment = SupervisedExperiment.create(config.to_json())
    experiment.load()
    assert 0 <= float(experiment.batch(1)["images"].min()) <= 1


def test_own_statistics_are_no_setting_and_names_are_the_same() -> None:
    assert get_args(Settings.model_fields["standardise"].annotation) == get_args(Standard)
    for base in (Supervised(), Pretraining()):
        assert "standardise" not in base.canonical().get("data", {})
        others = {base.with_values({"data.standardise": one}).digest() for one in GIVEN}
        assert len(others | {base.digest()}) == 3


def test_a_network_labels_images_that_are_standardised_as_its_own(tmp_path: Path) -> None:
    from tests.trainables.ssl.pretrained import made

    file, _ = written(tmp_path, made("cross_entropy"))
    values = {"data.labels_from.weights_file": file, "data.labels_from.weights_part": "student"}
    values["data.labels_from.by"] = "classifier"
    named = {name.replace(".", "__"): value for name, value in values.items()}
    with pytest.raises(ValueError, match="data.standardise must be 'own', as in the checkpoint .*"):
        pretraining("supcon", data__standardise="none", **named)
