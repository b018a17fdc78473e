"""What is made appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainables.core.files import appearing, unfinished_of, whole_folder, written


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with written(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("is_folder", [False, True])
def test_an_exception_leaves_what_was_there(
    tmp_path: Path, is_folder: bool, is_shared: bool
) -> None:
    path = tmp_path / "a"
    with pytest.raises(KeyError), appearing(path, is_shared=is_shared) as partial:
        if is_folder:
            partial.mkdir()
        else:
            partial.write_text("half")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_takes_the_place_of_another_one(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for text in ("old", "new"):
        unfinished_of(folder).mkdir()
        (unfinished_of(folder) / "of a killed process").write_text("")
        with whole_folder(folder) as fresh:
            (fresh / "a.txt").write_text(text)
    assert [path.name for path in folder.iterdir()] == ["a.txt"]
    with pytest.raises(KeyError), whole_folder(folder):
        raise KeyError
    assert (folder / "a.txt").read_text() == "new" and list(tmp_path.iterdir()) == [folder]
