"""Which images: what the catalogue has, and what a folder of one's own needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from trainables.data.catalog import DIGITS, IMAGE_SETS
from trainables.settings.images import Images, LongTail


def test_the_names_are_those_of_the_catalogue() -> None:
    assert set(get_args(Images.model_fields["name"].annotation)) == IMAGE_SETS.keys()


def test_a_set_has_the_facts_of_the_catalogue() -> None:
    assert Images().facts() is DIGITS and Images(image_size=64).side == 8


def test_a_folder_has_the_classes_of_its_folders(tmp_path: Path) -> None:
    images = Images(name="folder", path=str(tmp_path), image_size=16, channels=1)
    said = images.missing()
    assert said is not None and "data.path must hold at least two classes" in said
    for name in ("wasp", "ant"):
        (tmp_path / name).mkdir()
    facts = images.facts()
    assert images.missing() is None and facts.classes == ("ant", "wasp")
    assert (facts.image_size, facts.channels, images.side) == (16, 1, 16)


def test_a_folder_needs_a_path() -> None:
    with pytest.raises(ValueError, match="path must be given with data.name 'folder'"):
        Images().with_values({"name": "folder"})


def test_what_only_a_folder_needs_is_void() -> None:
    asked = {
        "standardise",
        "copy_to",
        "balanced",
        "labels_share",
        "noisy_labels",
        "unlabelled",
        "classes_file",
        "test_path",
    }
    own = {"path", "image_size", "channels", "thermal", "boxes"}
    assert Images().void() == {"root", "limit"} | own | asked
    assert Images(name="folder", path="pets", limit=9).void() == {"root", "boxes"} | asked
    lists: dict[str, Any] = {"noisy_labels": 5, "classes_file": "classes.txt", "balanced": True}
    named = Images(name="folder", path="pets", limit=9, **lists)
    assert named.void() == {"root", "boxes"} | asked - lists.keys()


def test_no_tail_is_as_if_there_were_none_to_have() -> None:
    none = Images(long_tail=LongTail(shape="step"))
    assert "long_tail" not in none.canonical() and none.canonical() == Images().canonical()
    tails = [Images(long_tail=LongTail(factor=0.1, shape=one)) for one in ("step", "exponential")]
    assert tails[0].canonical() != tails[1].canonical() != none.canonical()
    assert tails[0].void() == none.void()


def test_the_channels_are_those_of_the_set_or_of_the_folder() -> None:
    assert [Images(name=name).num_channels for name in ("digits", "cifar10")] == [1, 3]
    assert Images(name="folder", path="pets", channels=1).num_channels == 1


def test_a_list_of_classes_counts_by_what_is_in_it(tmp_path: Path) -> None:
    def digest(file: str, text: str) -> Any:
        (tmp_path / file).write_text(text)
        named = Images(name="folder", path="pets", classes_file=str(tmp_path / file))
        return named.canonical()["classes_file"]

    first = digest("here.txt", "cat\ndog\n")
    assert first.startswith("sha256:") and digest("there.txt", "cat\ndog\n") == first
    assert digest("here.txt", "dog\ncat, in the other order\n") != first
