"""Folders in the forms of published sets: each image has the label that is worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.trainables.data.test_images import pixels
from trainables.data.images import Images, Split, load
from trainables.settings.images import Images as Settings
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.pretraining import PretrainingExperiment

WNIDS = ("n01", "n02")


def write(path: Path, colour: int) -> None:
    """An image of one grey, which says which one it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (10, 8), (colour, colour, colour)).save(path, quality=95)


def colours(split: Split) -> list[int]:
    """Of each image of a split, in its order."""
    found = split.pixels(torch.arange(len(split)))[:, 0, 0, 0]
    return torch.round(found * 255).int().tolist()


def imagenette(root: Path, *, each: int = 6) -> Path:
    """Twelve images for training, greys 0 … 11, six of each class; four more, 100 … 103.

    Of 25 of 100 labels three are wrong: those of the greys 0, 5 and 7.
    """
    lines = ["path,noisy_labels_0,noisy_labels_1,noisy_labels_25,is_valid"]
    for number in range(2 * each):
        true = number // each
        path = f"train/{WNIDS[true]}/{WNIDS[true]}_{number:02d}.JPEG"
        write(root / path, number)
        said = 1 - true if number in (0, 5, 7) else true
        lines.append(f"{path},{WNIDS[true]},{WNIDS[true]},{WNIDS[said]},False")
    for number in range(4):
        true = number // 2
        path = f"val/{WNIDS[true]}/{WNIDS[true]}_{number}.JPEG"
        write(root / path, 100 + number)
        lines.append(f"{path},{WNIDS[true]},{WNIDS[true]},{WNIDS[1 - true]},True")
    (root / "noisy_imagenette.csv").write_text("\n".join([*lines, ""]))
    return root


def opened(path: Path, root: Path, **settings: Any) -> Images:
    """A folder read as a run reads it."""
    own = {"name": "folder", "path": str(path), "image_size": 8, **settings}
    data = Settings().with_values(own)
    found = load(data.facts(), root=root, path=path, seed=data.split_seed, **data.arguments())
    assert isinstance(found, Images)
    return found


def labelled(split: Split) -> dict[int, int]:
    """The label of each grey."""
    return dict(zip(colours(split), split.labels.tolist(), strict=True))


def test_what_was_published_for_validation_is_the_test_split(tmp_path: Path) -> None:
    found = opened(imagenette(tmp_path / "nette"), tmp_path)
    assert labelled(found.test) == {100: 0, 101: 0, 102: 1, 103: 1}
    both = labelled(found.train) | labelled(found.val)
    assert both == {number: number // 6 for number in range(12)}
    assert (len(found.train), len(found.val)) == (10, 2) and found.with_unlabelled is None


def test_noisy_labels_are_those_of_training_images_alone(tmp_path: Path) -> None:
    path = imagenette(tmp_path / "nette")
    true, found = (opened(path, tmp_path, noisy_labels=share) for share in (0, 25))
    for split in ("val", "test"):
        assert labelled(getattr(found, split)) == labelled(getattr(true, split))
    listed = {number: number // 6 for number in range(12)} | {0: 1, 5: 1, 7: 0}
    assert labelled(found.train) == {one: listed[one] for one in colours(true.train)}
    assert labelled(found.train) != labelled(true.train)
    assert np.array_equal(pixels(found.train), pixels(true.train))
    assert found.fingerprint != true.fingerprint


def test_one_of_a_hundred_is_none_of_twelve(tmp_path: Path) -> None:
    path = imagenette(tmp_path / "nette")
    true, found = (opened(path, tmp_path, noisy_labels=share) for share in (0, 1))
    assert torch.equal(found.train.labels, true.train.labels)


def test_images_and_their_list_are_compared(tmp_path: Path) -> None:
    path = imagenette(tmp_path / "nette")
    write(path / "train/n01/more.JPEG", 50)
    with pytest.raises(LookupError, match=r"noisy_imagenette.csv must list train/n01/more.JPEG"):
        opened(path, tmp_path, noisy_labels=25)
    (path / "train/n01/more.JPEG").unlink()
    (path / "train/n02/n02_09.JPEG").unlink()
    with pytest.raises(LookupError, match=r"train/n02/n02_09.JPEG must be there, as .*csv lists"):
        opened(path, tmp_path, noisy_labels=25)


def test_a_list_without_the_share_and_one_with_another_class_are_refused(tmp_path: Path) -> None:
    path = imagenette(tmp_path / "nette")
    with pytest.raises(ValueError, match="must have a column noisy_labels_50, and has none"):
        opened(path, tmp_path, noisy_labels=50)
    text = (path / "noisy_imagenette.csv").read_text()
    (path / "noisy_imagenette.csv").write_text(text.replace("n01,n01,n02,", "n01,n01,n09,"))
    with pytest.raises(ValueError, match=r"must name classes of data\.path alone, got 'n09'"):
        opened(path, tmp_path, noisy_labels=25)


def test_a_folder_without_a_list_says_so_before_anything_runs(tmp_path: Path) -> None:
    path = imagenette(tmp_path / "nette")
    (path / "noisy_imagenette.csv").unlink()
    settings = Settings(name="folder", path=str(path), noisy_labels=5)
    assert str(settings.missing()).startswith("data.noisy_labels must be 0, or data.path a folder")


def imagewang(root: Path) -> Path:
    """Three classes in training, one of which is tested; four images without classes."""
    for number in range(12):
        write(root / f"train/n0{number // 4}/{number:02d}.JPEG", number)
    for number in range(2):
        write(root / f"val/n01/{number}.JPEG", 100 + number)
    for number in range(4):
        write(root / f"unsup/{number}.JPEG", 200 + number)
    return root


def test_what_has_no_label_stands_behind_what_has_one(tmp_path: Path) -> None:
    path = imagewang(tmp_path / "wang")
    plain, found = (opened(path, tmp_path, unlabelled=one) for one in (False, True))
    assert labelled(found.test) == {100: 1, 101: 1} and plain.with_unlabelled is None
    more = found.with_unlabelled
    assert more is not None and colours(more) == [*colours(found.train), 200, 201, 202, 203]
    assert more.labels.tolist() == [*found.train.labels.tolist(), -1, -1, -1, -1]
    assert colours(found.train) == colours(plain.train) and torch.equal(found.mean, plain.mean)
    assert found.fingerprint != plain.fingerprint


def test_images_are_taken_from_both_in_the_order_asked(tmp_path: Path) -> None:
    more = opened(imagewang(tmp_path / "wang"), tmp_path, unlabelled=True).with_unlabelled
    assert more is not None
    order = torch.tensor([12, 0, 9, 12, 3])
    everything = torch.arange(len(more))
    for read in (more.take, more.pixels):
        assert torch.equal(read(order), read(everything)[order])
    assert torch.equal(more.take(torch.tensor([0])), more.take(order)[1:2])
    assert torch.equal(more.take(torch.tensor([12])), more.take(order)[:1])


def experiment(path: Path, root: Path, method: str) -> PretrainingExperiment:
    values: dict[str, Any] = {
        "data.name": "folder",
        "data.root": str(root),
        "data.path": str(path),
        "data.image_size": 16,
        "data.unlabelled": True,
        "views.kind": "contrastive",
        "views.size": 16,
        "method.kind": method,
        "model.width": 12,
        "model.layers": 1,
        "training.batch_size": 8,
    }
    found = PretrainingExperiment.create(Pretraining().with_values(values).to_json())
    found.load()
    return found


@pytest.mark.parametrize(("method", "count"), [("simclr", 14), ("supcon", 10)])
def test_only_what_sees_no_label_learns_from_images_without(
    tmp_path: Path, method: str, count: int
) -> None:
    one = experiment(imagewang(tmp_path / "wang"), tmp_path, method)
    assert one.num_examples == count
    seen: set[int] = set()
    labels: list[Tensor] = []
    for step in range(1, 6):
        batch = one.batch(step)
        seen |= set(batch["examples"].tolist())
        labels.append(batch["labels"])
    assert seen == set(range(count))
    assert (-1 in torch.cat(labels)) == (method == "simclr")
    assert one.split("train").labels.min() == 0, "what features are compared with has labels"


def test_a_folder_without_unlabelled_images_and_a_balance_of_them_are_refused(
    tmp_path: Path,
) -> None:
    path = imagenette(tmp_path / "nette")
    settings = Settings(name="folder", path=str(path), unlabelled=True)
    assert str(settings.missing()).startswith("data.unlabelled must be false, or data.path a folde")
    values = {"data.name": "folder", "data.path": str(path), "data.unlabelled": True}
    with pytest.raises(
        ValueError, match=r"data\.balanced must be false where .*'dino' learns from"
    ):
        Pretraining().with_values({**values, "data.balanced": True})
    assert Supervised().with_values({**values, "data.balanced": True}).data.balanced


def tiny_imagenet(root: Path, swapped: Sequence[str] = ("n02", "n01", "n02")) -> Path:
    """Images in a folder more below their classes, and classes of others in a list."""
    for number in range(12):
        wnid = WNIDS[number // 6]
        write(root / f"train/{wnid}/images/{wnid}_{number}.JPEG", number)
        (root / f"train/{wnid}/{wnid}_boxes.txt").write_text("n01_0.JPEG\t0\t0\t62\t63\n")
    lines: list[str] = []
    for number, wnid in enumerate(swapped):
        write(root / f"val/images/val_{number}.JPEG", 100 + number)
        lines.append(f"val_{number}.JPEG\t{wnid}\t0\t32\t44\t62\n")
    (root / "val/val_annotations.txt").write_text("".join(lines))
    write(root / "test/images/test_0.JPEG", 250)
    return root


def test_images_of_tiny_imagenet_have_the_classes_of_its_list(tmp_path: Path) -> None:
    found = opened(tiny_imagenet(tmp_path / "tiny"), tmp_path)
    assert labelled(found.test) == {100: 1, 101: 0, 102: 1}
    assert labelled(found.train) | labelled(found.val) == {n: n // 6 for n in range(12)}


def test_another_list_makes_other_arrays(tmp_path: Path) -> None:
    path = tiny_imagenet(tmp_path / "tiny")
    first = opened(path, tmp_path)
    (path / "val/val_annotations.txt").write_text(
        "".join(f"val_{number}.JPEG\t{wnid}\t0\t0\t1\t10\n" for number, wnid in enumerate(WNIDS))
        + "val_2.JPEG\tn01\t0\t0\t10\t100\n"
    )
    second = opened(path, tmp_path)
    assert labelled(second.test) == {100: 0, 101: 1, 102: 0}
    assert first.fingerprint != second.fingerprint


def test_images_and_annotations_are_compared(tmp_path: Path) -> None:
    path = tiny_imagenet(tmp_path / "tiny")
    write(path / "val/images/val_3.JPEG", 103)
    with pytest.raises(LookupError, match=r"val_annotations.txt must list val_3.JPEG, which is"):
        opened(path, tmp_path)
    for number in (2, 3):
        (path / f"val/images/val_{number}.JPEG").unlink()
    with pytest.raises(LookupError, match=r"val_2.JPEG must be there, as .* lists it"):
        opened(path, tmp_path)
    (path / "val/val_annotations.txt").write_text("val_0.JPEG\tn07\t0\t0\t1\t1\n")
    with pytest.raises(ValueError, match=r"a file and its class in each line, got 'val_0"):
        opened(path, tmp_path)


def wnids(path: Path) -> Path:
    """Classes in an order of their own, of which some have no image."""
    path.write_text("n03 a heron\n\nn02 a hare, a leveret\nn00\nn01 a newt\n")
    return path


def test_classes_are_in_the_order_of_their_list(tmp_path: Path) -> None:
    path, listed = imagenette(tmp_path / "nette"), str(wnids(tmp_path / "wnids.txt"))
    found = opened(path, tmp_path, classes_file=listed)
    settings = Settings(name="folder", path=str(path), classes_file=listed)
    assert settings.facts().classes == ("n03", "n02", "n00", "n01")
    assert labelled(found.test) == {100: 3, 101: 3, 102: 1, 103: 1}
    noisy = opened(path, tmp_path, classes_file=listed, noisy_labels=25)
    said = {number: 3 if number < 6 else 1 for number in range(12)} | {0: 1, 5: 1, 7: 3}
    assert labelled(noisy.train) == {one: said[one] for one in colours(found.train)}


def test_a_folder_of_some_classes_is_the_test_split(tmp_path: Path) -> None:
    """As ImageNet-A and -R, and one corruption and severity of ImageNet-C."""
    path, listed = imagenette(tmp_path / "nette"), str(wnids(tmp_path / "wnids.txt"))
    for number in range(2):
        write(tmp_path / f"c/fog/3/n02/{number}.JPEG", 150 + number)
    write(tmp_path / "c/fog/3/n00/0.JPEG", 160)
    clean = opened(path, tmp_path, classes_file=listed)
    found = opened(path, tmp_path, classes_file=listed, test_path=str(tmp_path / "c/fog/3"))
    assert labelled(found.test) == {150: 1, 151: 1, 160: 2}
    assert colours(found.train) == colours(clean.train) and torch.equal(found.mean, clean.mean)
    assert colours(found.val) == colours(clean.val)


def test_a_folder_that_is_not_divided_keeps_a_sixth_for_validation_then(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / f"birds/n0{number // 6}/{number}.png", number)
    write(tmp_path / "hard/n01/0.png", 99)
    found = opened(tmp_path / "birds", tmp_path, test_path=str(tmp_path / "hard"))
    assert (len(found.train), len(found.val), labelled(found.test)) == (10, 2, {99: 1})


def test_a_class_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    path = imagenette(tmp_path / "nette")

    def said(text: str) -> str:
        (tmp_path / "wnids.txt").write_text(text)
        listed = str(tmp_path / "wnids.txt")
        return str(Settings(name="folder", path=str(path), classes_file=listed).missing())

    assert said("n01\nn03\n").endswith("and wnids.txt has not n02".replace("wn", f"{tmp_path}/wn"))
    assert "each class once and at least two, and" in said("n01\nn02\nn01\n")
    assert said("n01\n").endswith("has 1 classes")
    missing = Settings(name="folder", path=str(path), classes_file="no.txt").missing()
    assert missing == "data.classes_file must be a list of classes, and there is no no.txt"
    lost = Settings(name="folder", path=str(path), test_path="no/such").missing()
    assert str(lost).startswith("data.test_path must be a folder of images, and there is none at")
    write(tmp_path / "hard/n09/0.png", 99)
    with pytest.raises(LookupError, match="hard/n09 must be a class that .*train has, too"):
        opened(path, tmp_path, test_path=str(tmp_path / "hard"))


def test_settings_that_say_nothing_are_not_there() -> None:
    """And so are those of a folder where there is none, and unlabelled images where labels are."""
    folder = {"data.name": "folder", "data.path": "somewhere"}
    every = {
        "data.noisy_labels": 25,
        "data.unlabelled": True,
        "data.classes_file": "wnids.txt",
        "data.test_path": "hard",
    }
    names = {name.removeprefix("data.") for name in every}
    for base in (Supervised(), Pretraining()):
        assert not names & base.canonical().get("data", {}).keys()
        assert base.with_values(every).digest() == base.digest()
        assert not names & base.with_values(folder).canonical()["data"].keys()
    plain = Pretraining().with_values(folder)
    assert names <= plain.with_values(every).canonical()["data"].keys()
    for base in (Supervised(), Pretraining().with_values({"method.kind": "cross_entropy"})):
        found = base.with_values(folder)
        assert found.with_values({"data.unlabelled": True}).digest() == found.digest()
    assert plain.with_values({"data.unlabelled": True}).digest() != plain.digest()
